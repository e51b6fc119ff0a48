//! What a node does with what the nodes that were named to it say.

use types::{ClusterId, NodeId};

use super::{Greeting, Stage};

/// What a node does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Join the cluster that another node is a member of.
    Join(ClusterId),
    /// Found a cluster of all that were named: this one, if some were made ready for it before.
    Found(Option<ClusterId>),
    /// Ask again, for this reason.
    Wait(String),
}

/// Decides for the node that says `own`. `others` are the other named nodes, `None` for those that don't answer;
/// with `is_forced`, these count as not named.
pub(crate) fn decide(own: &Greeting, others: &[(String, Option<Greeting>)], is_forced: bool) -> Decision {
    let answered: Vec<&Greeting> = others.iter().filter_map(|(_, greeting)| greeting.as_ref()).collect();
    let own_cluster = cluster_of(own.stage);
    let foreign = answered.iter().find_map(|other| {
        let theirs = cluster_of(other.stage)?;
        (own_cluster.is_some_and(|own| own != theirs)).then_some((other, theirs))
    });
    if let Some((other, theirs)) = foreign {
        return Decision::Wait(format!(
            "node {} at {} belongs to cluster {theirs}, and the disks here to another",
            other.node.id, other.node.address
        ));
    }
    let member = answered.iter().find_map(|other| match other.stage {
        Stage::Member { cluster } => Some(cluster),
        _ => None,
    });
    if let Some(cluster) = member {
        return Decision::Join(cluster);
    }
    let silent: Vec<&str> =
        others.iter().filter(|(_, greeting)| greeting.is_none()).map(|(address, _)| address.as_str()).collect();
    if !silent.is_empty() && !is_forced {
        return Decision::Wait(format!("no answer from {}", silent.join(", ")));
    }
    let differs = answered.iter().find(|other| other.named != own.named);
    if let Some(other) = differs
        && !is_forced
    {
        return Decision::Wait(format!(
            "node {} at {} was started with other addresses ({}) than this one ({}); give all nodes the same --join",
            other.node.id,
            other.node.address,
            other.named.join(","),
            own.named.join(",")
        ));
    }
    found(own, &answered)
}

/// Everybody has answered, and nobody is a member.
fn found(own: &Greeting, answered: &[&Greeting]) -> Decision {
    let all = || answered.iter().copied().chain([own]);
    let mut clusters: Vec<ClusterId> = all().filter_map(|greeting| cluster_of(greeting.stage)).collect();
    clusters.sort_unstable();
    clusters.dedup();
    if clusters.len() > 1 {
        return Decision::Wait("the named nodes have disks of different clusters".to_owned());
    }
    // Where a cluster was founded and not to the end, one of those that know of it ends it: no other may found.
    let founded = |greeting: &&Greeting| matches!(greeting.stage, Stage::Prepared { is_founded: true, .. });
    let founder: Option<NodeId> =
        all().filter(founded).map(|greeting| greeting.node.id).min().or_else(|| all().map(|one| one.node.id).min());
    if founder == Some(own.node.id) {
        return Decision::Found(clusters.first().copied());
    }
    Decision::Wait(match founder {
        Some(node) => format!("node {node} founds the cluster"),
        None => "nobody was named".to_owned(),
    })
}

/// The cluster that a node's disks belong to.
fn cluster_of(stage: Stage) -> Option<ClusterId> {
    match stage {
        Stage::Blank => None,
        Stage::Prepared { cluster, .. } | Stage::Member { cluster } => Some(cluster),
    }
}

#[cfg(test)]
mod tests {
    use types::Node;

    use super::*;

    const BLANK: Stage = Stage::Blank;

    fn cluster(number: u8) -> ClusterId {
        ClusterId::from_bytes([number; 16])
    }

    fn prepared(number: u8, is_founded: bool) -> Stage {
        Stage::Prepared { cluster: cluster(number), is_founded }
    }

    fn member(number: u8) -> Stage {
        Stage::Member { cluster: cluster(number) }
    }

    fn node(id: u8, stage: Stage) -> Greeting {
        let node = Node { id: NodeId::from_bytes([id; 16]), address: format!("{id}:9002"), rack: None, zone: None };
        Greeting {
            node,
            stage,
            named: vec!["1:9002".to_owned(), "2:9002".to_owned(), "3:9002".to_owned()],
            profile: None,
            nodes: Vec::new(),
        }
    }

    fn others(greetings: &[Option<Greeting>]) -> Vec<(String, Option<Greeting>)> {
        greetings.iter().enumerate().map(|(at, greeting)| (format!("other {at}"), greeting.clone())).collect()
    }

    fn decided(own: &Greeting, greetings: &[Option<Greeting>]) -> Decision {
        decide(own, &others(greetings), false)
    }

    fn waits(decision: &Decision) -> bool {
        matches!(decision, Decision::Wait(_))
    }

    #[test]
    fn of_blank_nodes_that_all_answer_exactly_the_lowest_founds() {
        let nodes = [node(1, BLANK), node(2, BLANK), node(3, BLANK)];
        let of = |own: usize| {
            let rest: Vec<_> = (0..3).filter(|other| *other != own).map(|other| Some(nodes[other].clone())).collect();
            decided(&nodes[own], &rest)
        };
        assert_eq!(of(0), Decision::Found(None));
        assert!(waits(&of(1)) && waits(&of(2)));
    }

    #[test]
    fn nobody_founds_while_one_is_silent_unless_forced() {
        let silent = [Some(node(2, BLANK)), None];
        assert!(waits(&decided(&node(1, BLANK), &silent)));
        assert_eq!(decide(&node(1, BLANK), &others(&silent), true), Decision::Found(None));
    }

    #[test]
    fn a_blank_node_joins_the_cluster_of_any_member_even_where_others_are_silent() {
        let joins = Decision::Join(cluster(7));
        assert_eq!(decided(&node(1, BLANK), &[Some(node(2, member(7))), None]), joins);
        assert_eq!(decided(&node(1, BLANK), &[Some(node(3, BLANK)), Some(node(2, member(7)))]), joins);
        assert_eq!(decided(&node(1, prepared(7, false)), &[Some(node(2, member(7))), None]), joins);
    }

    #[test]
    fn a_wiped_node_founds_no_second_cluster_while_the_others_have_not_seen_theirs_again() {
        let rest = [Some(node(2, prepared(7, true))), Some(node(3, prepared(7, true)))];
        assert!(waits(&decided(&node(1, BLANK), &rest)));
        // One of those that know of it goes on with it.
        let rest = [Some(node(1, BLANK)), Some(node(3, prepared(7, true)))];
        assert_eq!(decided(&node(2, prepared(7, true)), &rest), Decision::Found(Some(cluster(7))));
    }

    #[test]
    fn a_founding_that_was_broken_off_is_taken_up_with_its_cluster() {
        let rest = [Some(node(2, prepared(7, false))), Some(node(3, BLANK))];
        assert_eq!(decided(&node(1, BLANK), &rest), Decision::Found(Some(cluster(7))));
    }

    #[test]
    fn disks_of_another_cluster_neither_join_nor_found() {
        assert!(waits(&decided(&node(1, prepared(8, false)), &[Some(node(2, member(7))), None])));
        let rest = [Some(node(2, prepared(7, false))), Some(node(3, prepared(8, false)))];
        assert!(waits(&decided(&node(1, BLANK), &rest)));
    }

    #[test]
    fn nodes_with_different_lists_found_nothing() {
        let other = Greeting { named: vec!["1:9002".to_owned()], ..node(2, BLANK) };
        assert!(waits(&decided(&node(1, BLANK), &[Some(other), Some(node(3, BLANK))])));
    }
}
