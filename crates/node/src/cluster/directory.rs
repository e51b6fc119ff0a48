//! Who has what: from the layout, from what nodes said of themselves, and from who was said to lead.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rpc::client::{Directory, Peer, Stale};
use tokio::sync::watch;
use types::{DiskId, Layout, NodeId, RangeId};

/// What this process knows of the nodes.
pub struct ClusterDirectory {
    /// This process's node, which needs no way to itself.
    own: Option<NodeId>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    layout: Option<watch::Receiver<Arc<Layout>>>,
    /// Where nodes answered: newer than what the layout says.
    addresses: BTreeMap<NodeId, String>,
    leaders: BTreeMap<RangeId, NodeId>,
    /// Which node is asked next who leads.
    turn: usize,
}

impl Known {
    /// All nodes with an address, in order of id.
    fn peers(&self) -> BTreeMap<NodeId, String> {
        let mut peers = BTreeMap::new();
        if let Some(layout) = &self.layout {
            let layout = layout.borrow();
            peers.extend(layout.nodes.iter().map(|node| (node.id, node.address.clone())));
        }
        peers.extend(self.addresses.clone());
        peers
    }

    fn peer(&self, node: NodeId) -> Option<Peer> {
        let from_layout = || {
            let layout = self.layout.as_ref()?.borrow();
            layout.nodes.iter().find(|known| known.id == node).map(|known| known.address.clone())
        };
        let address = self.addresses.get(&node).cloned().or_else(from_layout)?;
        Some(Peer { node, address })
    }
}

impl ClusterDirectory {
    /// Of a process that is this node, or a gateway, and knows nobody yet.
    pub fn new(own: Option<NodeId>) -> Self {
        Self { own, known: Mutex::default() }
    }

    /// A node answered at this address.
    pub fn add(&self, peer: Peer) {
        let mut known = self.known.lock();
        // Whoever answers there now is not somewhere else's any more.
        known.addresses.retain(|_, address| *address != peer.address);
        known.addresses.insert(peer.node, peer.address);
    }

    /// Goes by this layout from now on.
    pub fn follow(&self, layout: watch::Receiver<Arc<Layout>>) {
        self.known.lock().layout = Some(layout);
    }

    /// Somebody said that this node leads a range.
    pub fn set_leader(&self, range: RangeId, leader: NodeId) {
        self.known.lock().leaders.insert(range, leader);
    }

    /// All nodes that are known.
    pub fn peers(&self) -> Vec<Peer> {
        self.known.lock().peers().into_iter().map(|(node, address)| Peer { node, address }).collect()
    }

    /// Where a node is reached.
    pub fn peer(&self, node: NodeId) -> Option<Peer> {
        self.known.lock().peer(node)
    }
}

#[async_trait]
impl Directory for ClusterDirectory {
    fn disk(&self, disk: DiskId) -> Option<Peer> {
        let known = self.known.lock();
        let node = known.layout.as_ref()?.borrow().disk(disk)?.node;
        known.peer(node)
    }

    fn leader(&self, range: RangeId) -> Option<Peer> {
        let known = self.known.lock();
        let leader = known.leaders.get(&range).filter(|leader| Some(**leader) != self.own);
        if let Some(peer) = leader.and_then(|leader| known.peer(*leader)) {
            return Some(peer);
        }
        let others: Vec<_> = known.peers().into_iter().filter(|(node, _)| Some(*node) != self.own).collect();
        let (node, address) = others.get(known.turn % others.len().max(1))?.clone();
        Some(Peer { node, address })
    }

    async fn refresh(&self, stale: Stale) {
        let mut known = self.known.lock();
        match stale {
            Stale::Leader { range, not_at, hint } => match hint.filter(|hint| *hint != not_at) {
                Some(hint) => {
                    known.leaders.insert(range, hint);
                }
                None => {
                    // Others may have learned meanwhile who leads.
                    if known.leaders.get(&range) == Some(&not_at) {
                        known.leaders.remove(&range);
                    }
                    known.turn = known.turn.wrapping_add(1);
                }
            },
            // Another one answered there; where it is now, its greeting or the layout will say.
            Stale::Address { node } => {
                known.addresses.remove(&node);
                known.leaders.retain(|_, leader| *leader != node);
                known.turn = known.turn.wrapping_add(1);
            }
            // The layout is followed all the time.
            Stale::Disk { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Disk, DiskState, Node};

    use super::*;

    const RANGE: RangeId = index::FIRST_DATA_RANGE;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    fn peer(number: u8) -> Peer {
        Peer { node: node(number), address: format!("{number}:9002") }
    }

    fn directory() -> ClusterDirectory {
        let directory = ClusterDirectory::new(Some(node(1)));
        (1..=3).for_each(|number| directory.add(peer(number)));
        directory
    }

    #[tokio::test]
    async fn a_hint_is_followed_and_without_one_all_others_are_asked_in_turn() {
        let directory = directory();
        let mut asked = Vec::new();
        for _ in 0..4 {
            let next = directory.leader(RANGE).expect("somebody is known");
            asked.push(next.node);
            directory.refresh(Stale::Leader { range: RANGE, not_at: next.node, hint: None }).await;
        }
        assert_eq!(asked, [node(2), node(3), node(2), node(3)]);
        directory.refresh(Stale::Leader { range: RANGE, not_at: node(2), hint: Some(node(3)) }).await;
        assert_eq!(directory.leader(RANGE), Some(peer(3)));
        assert_ne!(directory.leader(index::SYSTEM_RANGE), Some(peer(1)), "nobody asks itself over the network");
    }

    #[tokio::test]
    async fn disks_are_where_the_layout_says_and_nodes_where_they_answered() {
        let directory = directory();
        let disk = DiskId::from_bytes([7; 16]);
        assert_eq!(directory.disk(disk), None);
        let row = Node { id: node(4), address: "old:9002".to_owned(), rack: None, zone: None };
        let disks = vec![Disk {
            id: disk,
            node: node(4),
            path: String::new(),
            mount_point: false,
            capacity_bytes: 1,
            state: DiskState::Up,
        }];
        let layout = watch::Sender::new(Arc::new(Layout { nodes: vec![row], disks, ..Layout::default() }));
        directory.follow(layout.subscribe());
        assert_eq!(directory.disk(disk).map(|peer| peer.address), Some("old:9002".to_owned()));
        directory.add(Peer { node: node(4), address: "new:9002".to_owned() });
        assert_eq!(directory.disk(disk).map(|peer| peer.address), Some("new:9002".to_owned()));
        // Another node has taken the address.
        directory.add(Peer { node: node(5), address: "new:9002".to_owned() });
        assert_eq!(directory.disk(disk).map(|peer| peer.address), Some("old:9002".to_owned()));
    }
}
