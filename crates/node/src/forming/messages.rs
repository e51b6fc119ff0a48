//! What nodes say to each other before they are a cluster.

use serde::{Deserialize, Serialize};
use types::{ClusterId, Disk, DiskId, Node, NodeId, Profile, VoterId};

use crate::watch::{ClusterReport, Glance, Heartbeat};

/// The first byte of each message.
const VERSION: u8 = 1;

/// What a node asks another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JoinRequest {
    /// Who are you?
    Greet,
    /// Become a part of this new cluster, unless you belong to another.
    Prepare {
        /// The new cluster.
        cluster: ClusterId,
    },
    /// See to it that the layout has whole groups of this profile on disks that are up and not among these: gateways
    /// don't change the layout themselves.
    MakeGroups {
        /// The profile.
        profile: Profile,
        /// Disks that failed the gateway.
        avoid: Vec<DiskId>,
    },
    /// A member says how it is, to whoever leads the system range.
    Heartbeat(Box<Heartbeat>),
    /// How are all nodes? To whoever leads the system range.
    ShowNodes,
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JoinReply {
    /// To [`JoinRequest::Greet`].
    Greeting(Greeting),
    /// To [`JoinRequest::Prepare`]: the disks are formatted and the voter has a log.
    Prepared(Box<Prepared>),
    /// It was not done, and why.
    Refused(String),
    /// To [`JoinRequest::MakeGroups`]: they are there.
    GroupsMade,
    /// To [`JoinRequest::Heartbeat`].
    Seen(Box<Glance>),
    /// To [`JoinRequest::Heartbeat`] and [`JoinRequest::ShowNodes`]: the node doesn't lead the system range.
    NotWatching {
        /// Who does, as far as is known there.
        leader: Option<NodeId>,
    },
    /// To [`JoinRequest::ShowNodes`].
    Nodes(Box<ClusterReport>),
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It has no disk yet.
    Blank,
    /// Its disks belong to a cluster of which it does not know whether it was founded.
    Prepared {
        /// The cluster.
        cluster: ClusterId,
        /// Whether its index has members: then the cluster was founded, though perhaps not to the end.
        is_founded: bool,
    },
    /// It has seen the rows of a cluster.
    Member {
        /// The cluster.
        cluster: ClusterId,
    },
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Its row in a layout.
    pub(crate) node: Node,
    /// How far it is.
    pub(crate) stage: Stage,
    /// The addresses that it was started with, in order.
    pub(crate) named: Vec<String>,
    /// The profile of objects that name no storage class, once it serves.
    pub(crate) profile: Option<Profile>,
    /// All nodes of its cluster, once it serves.
    pub(crate) nodes: Vec<Node>,
}

/// What a node brings into a cluster that is being founded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// Its row in the layout.
    pub(crate) node: Node,
    /// Its voter.
    pub(crate) voter: VoterId,
    /// Its disks.
    pub(crate) disks: Vec<Disk>,
}

impl JoinRequest {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// From bytes; `None` where they are of another version, or none of ours.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

impl JoinReply {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// From bytes; `None` where they are of another version, or none of ours.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_extend(message, vec![VERSION]).expect("a message of plain fields can be encoded")
}

fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Option<T> {
    let (version, body) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (message, rest) = postcard::take_from_bytes(body).ok()?;
    rest.is_empty().then_some(message)
}

#[cfg(test)]
mod tests {
    use index::contract::kinds::assert_all_kinds;
    use types::NodeId;

    use super::*;

    fn greeting() -> Greeting {
        let node = Node {
            id: NodeId::from_bytes([7; 16]),
            address: "a:9002".to_owned(),
            rack: Some("r1".to_owned()),
            zone: None,
        };
        let stage = Stage::Prepared { cluster: ClusterId::from_bytes([9; 16]), is_founded: true };
        Greeting {
            node,
            stage,
            named: vec!["a:9002".to_owned(), "b:9002".to_owned()],
            profile: None,
            nodes: Vec::new(),
        }
    }

    #[test]
    fn messages_are_the_bytes_that_they_were() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(JoinRequest::Greet.encode()), "0100");
        let prepare = JoinRequest::Prepare { cluster: ClusterId::from_bytes([9; 16]) };
        assert_eq!(hex(prepare.encode()), format!("0101{}", "09".repeat(16)));
        let reply = JoinReply::Greeting(greeting());
        let expected = format!(
            "0100{}06613a39303032{}00{}{}",
            "07".repeat(16),
            "01027231",
            format_args!("01{}01", "09".repeat(16)),
            "0206613a3930303206623a393030320000"
        );
        assert_eq!(hex(reply.encode()), expected);
        assert_eq!(JoinReply::decode(&reply.encode()), Some(reply));
        assert_eq!(JoinRequest::decode(&prepare.encode()), Some(prepare));
    }

    const PREPARED: &str = concat!(
        "0101",
        "07070707070707070707070707070707",
        "06613a3930303201027231",
        "00",
        "03030303030303030303030303030303",
        "01",
        "05050505050505050505050505050505",
        "07070707070707070707070707070707",
        "022f6401ac0200"
    );

    fn refused() -> JoinReply {
        JoinReply::Refused("why".to_owned())
    }

    #[test]
    fn answers_to_prepare_are_the_bytes_that_they_were() {
        let hex = |reply: &JoinReply| reply.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let disk = types::Disk {
            id: types::DiskId::from_bytes([5; 16]),
            node: greeting().node.id,
            path: "/d".to_owned(),
            mount_point: true,
            capacity_bytes: 300,
            state: types::DiskState::Up,
        };
        let prepared = Prepared { node: greeting().node, voter: VoterId::from_bytes([3; 16]), disks: vec![disk] };
        let prepared = JoinReply::Prepared(Box::new(prepared));
        for (reply, expected) in [(prepared, PREPARED), (refused(), "010203776879")] {
            assert_eq!(hex(&reply), expected);
            assert_eq!(JoinReply::decode(&reply.encode()), Some(reply));
        }
    }

    #[test]
    fn what_nodes_say_while_they_serve_is_the_bytes_that_it_was() {
        use crate::watch::samples::{disk_id, glance, heartbeat, node_id};
        use crate::watch::{NodeReport, NodeState};

        let requests = [
            ("heartbeat", JoinRequest::Heartbeat(Box::new(heartbeat(1, &[1, 2])))),
            ("show_nodes", JoinRequest::ShowNodes),
            (
                "make_groups",
                JoinRequest::MakeGroups { profile: "2+1".parse().expect("a profile"), avoid: vec![disk_id(1, 1)] },
            ),
        ];
        let last = Some(Box::new(heartbeat(1, &[1])));
        let node = NodeReport { node: node_id(1), state: NodeState::Suspect, silent_ms: Some(3_000), last };
        let replies = [
            ("groups_made", JoinReply::GroupsMade),
            ("seen", JoinReply::Seen(Box::new(glance()))),
            ("not_watching", JoinReply::NotWatching { leader: Some(node_id(2)) }),
            ("nodes", JoinReply::Nodes(Box::new(ClusterReport { leader: node_id(1), nodes: vec![node] }))),
        ];
        // The rest has its bytes in the test above.
        let prepare = JoinRequest::Prepare { cluster: ClusterId::from_bytes([9; 16]) };
        let row = greeting().node;
        let prepared = Prepared { node: row, voter: VoterId::from_bytes([3; 16]), disks: Vec::new() };
        let others = [JoinReply::Greeting(greeting()), JoinReply::Prepared(Box::new(prepared)), refused()];
        assert_all_kinds(requests.iter().map(|(_, request)| request).chain([&JoinRequest::Greet, &prepare]));
        assert_all_kinds(replies.iter().map(|(_, reply)| reply).chain(&others));
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut text = String::new();
        for (name, request) in requests {
            assert_eq!(JoinRequest::decode(&request.encode()).as_ref(), Some(&request));
            text.push_str(&format!("{name} {}\n", hex(&request.encode())));
        }
        for (name, reply) in replies {
            assert_eq!(JoinReply::decode(&reply.encode()).as_ref(), Some(&reply));
            text.push_str(&format!("{name} {}\n", hex(&reply.encode())));
        }
        assert!(include_str!("../../tests/golden/join.txt") == text, "tests/golden/join.txt should read:\n{text}");
    }

    #[test]
    fn other_bytes_are_no_message() {
        assert_eq!(JoinRequest::decode(&[]), None);
        assert_eq!(JoinRequest::decode(&[2, 0]), None);
        assert_eq!(JoinRequest::decode(&[1, 0, 0]), None);
        assert_eq!(JoinRequest::decode(&[1, 9]), None);
    }
}
