//! Which nodes vote on a range: how many, over which failure domains, and what to change next when nodes come and go.
//!
//! Pure: nodes and how they are in, voters out. It keeps to this: no change is proposed that leaves a majority to nodes
//! that are not up.

use std::collections::{BTreeMap, BTreeSet};

use types::{NodeId, VoterId};

/// A node that could vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    /// The voter that it is now: one that has lost its log is another than it was. `None` while it was not heard.
    pub(crate) voter: Option<VoterId>,
    pub(crate) rack: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) standing: Standing,
}

/// What may be expected of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is up: it may vote, and may get a vote.
    Up,
    /// It does not answer and may again: it keeps its vote, and gets none.
    Silent,
    /// It is given up, or is to leave: its vote goes to another.
    Leaving,
}

/// How many voters a range has where so many nodes are not given up: 1 on one node, 2 on two, 3 below five, else 5.
pub(crate) fn voters_wanted(nodes: usize, set: Option<usize>) -> usize {
    let by_number = match nodes {
        0..=2 => nodes,
        3..=4 => 3,
        _ => 5,
    };
    set.unwrap_or(by_number).clamp(1, nodes.max(1))
}

/// Adds candidates to `chosen` until there are `count`, each from where the fewest vote already: by zone, then by rack,
/// then by id.
pub(crate) fn spread<'a>(
    mut chosen: Vec<&'a Candidate>,
    others: impl IntoIterator<Item = &'a Candidate>,
    count: usize,
) -> Vec<&'a Candidate> {
    let mut left: Vec<&Candidate> = others.into_iter().collect();
    left.sort_by_key(|candidate| candidate.node);
    while chosen.len() < count && !left.is_empty() {
        let at = (0..left.len()).min_by_key(|at| crowd(left[*at], &chosen)).expect("some are left");
        chosen.push(left.remove(at));
    }
    chosen
}

/// How many of `chosen` share a candidate's zone, and its rack. Racks of two zones may have one label.
fn crowd(candidate: &Candidate, chosen: &[&Candidate]) -> (usize, usize) {
    let others = || chosen.iter().filter(|other| other.node != candidate.node);
    let zone = others().filter(|other| candidate.zone.is_some() && other.zone == candidate.zone);
    let rack = others()
        .filter(|other| candidate.rack.is_some() && other.rack == candidate.rack && other.zone == candidate.zone);
    (zone.count(), rack.count())
}

/// The voters that a range should have next, where it has `current`; `None` where they are to stay. One vote moves at a
/// time, but that an even number of voters is passed over: it bears no more losses than the odd one below it.
pub(crate) fn next_voters(
    current: &BTreeMap<VoterId, NodeId>,
    nodes: &[Candidate],
    set: Option<usize>,
) -> Option<BTreeMap<VoterId, NodeId>> {
    let next = renewed(current, nodes).or_else(|| moved(current, nodes, set))?;
    let up: BTreeSet<VoterId> =
        nodes.iter().filter(|node| node.standing == Standing::Up).filter_map(|node| node.voter).collect();
    let majority_is_up = |voters: &BTreeMap<VoterId, NodeId>| {
        2 * voters.keys().filter(|voter| up.contains(voter)).count() > voters.len()
    };
    (next != *current && majority_is_up(current) && majority_is_up(&next)).then_some(next)
}

/// A node that has lost its log votes as who it is now.
fn renewed(current: &BTreeMap<VoterId, NodeId>, nodes: &[Candidate]) -> Option<BTreeMap<VoterId, NodeId>> {
    let (old, node, new) = current.iter().find_map(|(voter, node)| {
        let candidate = nodes.iter().find(|candidate| candidate.node == *node)?;
        let now = candidate.voter.filter(|_| candidate.standing == Standing::Up)?;
        (now != *voter && !current.contains_key(&now)).then_some((*voter, *node, now))
    })?;
    let mut next = current.clone();
    next.remove(&old);
    next.insert(new, node);
    Some(next)
}

/// The vote of one that leaves goes to another; where there are too few voters or too many, their number changes.
fn moved(
    current: &BTreeMap<VoterId, NodeId>,
    nodes: &[Candidate],
    set: Option<usize>,
) -> Option<BTreeMap<VoterId, NodeId>> {
    let staying: Vec<&Candidate> = nodes.iter().filter(|node| node.standing != Standing::Leaving).collect();
    let wanted = voters_wanted(staying.len(), set);
    let votes = |node: &&Candidate| current.values().any(|voter| *voter == node.node);
    let kept: Vec<&Candidate> = staying.iter().copied().filter(votes).collect();
    let may_come = |node: &&Candidate| !votes(node) && node.standing == Standing::Up && node.voter.is_some();
    let comers = staying.iter().copied().filter(may_come);
    let leaving = current.iter().find(|(_, node)| kept.iter().all(|kept| kept.node != **node));
    if let Some((gone, _)) = leaving
        && let Some(comer) = spread(kept.clone(), comers.clone(), kept.len() + 1).get(kept.len())
    {
        let stay = current.iter().filter(|(voter, _)| *voter != gone).map(|(voter, node)| (*voter, *node));
        return Some(stay.chain(comer.voter.map(|voter| (voter, comer.node))).collect());
    }
    if current.len() > wanted {
        return Some(fewer(current, kept, wanted));
    }
    let others = current.len() - kept.len();
    let mut chosen = spread(kept.clone(), comers, wanted - others);
    if chosen.len() + others < wanted && (chosen.len() + others).is_multiple_of(2) {
        // Two bear no more losses than one, four no more than three.
        chosen.pop();
    }
    let new = chosen.into_iter().skip(kept.len()).filter_map(|node| Some((node.voter?, node.node)));
    Some(current.iter().map(|(voter, node)| (*voter, *node)).chain(new).collect())
}

/// So many of the voters: without those that leave, then without those that are silent, then from where many are.
fn fewer(current: &BTreeMap<VoterId, NodeId>, mut kept: Vec<&Candidate>, count: usize) -> BTreeMap<VoterId, NodeId> {
    while kept.len() > count {
        let rank = |at: &usize| (kept[*at].standing == Standing::Silent, crowd(kept[*at], &kept), kept[*at].node);
        let at = (0..kept.len()).max_by_key(rank).expect("more are left than are wanted");
        kept.remove(at);
    }
    let stays = |node: &NodeId| kept.iter().any(|kept| kept.node == *node);
    current.iter().filter(|(_, node)| stays(node)).map(|(voter, node)| (*voter, *node)).collect()
}

/// To whom this node should hand a range that it leads, so that no node leads clearly more than its share: one that is
/// up, votes on it, and leads at least two fewer. `leaders` are all ranges.
pub(crate) fn hand_over<R: Copy + Ord>(
    own: NodeId,
    leaders: &BTreeMap<R, Option<NodeId>>,
    voters: &BTreeMap<R, BTreeMap<VoterId, NodeId>>,
    nodes: &[Candidate],
) -> Option<(R, VoterId)> {
    let led = |node: NodeId| leaders.values().filter(|leader| **leader == Some(node)).count();
    let is_up = |node: NodeId| nodes.iter().any(|other| other.node == node && other.standing == Standing::Up);
    // While one has no leader, nothing is known of shares.
    if leaders.values().any(Option::is_none) {
        return None;
    }
    // The system range stays longest: whoever gets it listens anew.
    let own_ranges = leaders.iter().rev().filter(|(_, leader)| **leader == Some(own));
    own_ranges.into_iter().find_map(|(range, _)| {
        let others = voters.get(range)?.iter().filter(|(_, node)| **node != own && is_up(**node));
        let (voter, node) = others.min_by_key(|(_, node)| (led(**node), **node))?;
        (led(own) >= led(*node) + 2).then_some((*range, *voter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::samples::{node_id, voter_id};

    fn candidate(number: u8, standing: Standing) -> Candidate {
        Candidate { node: node_id(number), voter: Some(voter_id(number)), rack: None, zone: None, standing }
    }

    /// Nodes numbered from 1: `u` is up, `s` silent, `l` leaves.
    fn nodes(standings: &str) -> Vec<Candidate> {
        let standing = |letter| match letter {
            'u' => Standing::Up,
            's' => Standing::Silent,
            _ => Standing::Leaving,
        };
        (1..).zip(standings.chars()).map(|(number, letter)| candidate(number, standing(letter))).collect()
    }

    fn voters(numbers: &[u8]) -> BTreeMap<VoterId, NodeId> {
        numbers.iter().map(|number| (voter_id(*number), node_id(*number))).collect()
    }

    fn next(current: &[u8], standings: &str) -> Option<Vec<u8>> {
        let next = next_voters(&voters(current), &nodes(standings), None)?;
        Some(next.values().map(|node| node.to_bytes()[0]).collect())
    }

    #[test]
    fn the_number_of_voters_follows_the_number_of_nodes() {
        assert_eq!([0, 1, 2, 3, 4, 5, 9].map(|nodes| voters_wanted(nodes, None)), [1, 1, 2, 3, 3, 5, 5]);
        assert_eq!([1, 3, 9].map(|nodes| voters_wanted(nodes, Some(3))), [1, 3, 3]);
    }

    #[test]
    fn voters_are_spread_over_zones_then_racks() {
        let of = |number, zone: &str, rack: &str| Candidate {
            zone: Some(zone.to_owned()),
            rack: Some(rack.to_owned()),
            ..candidate(number, Standing::Up)
        };
        let all = [of(1, "a", "1"), of(2, "a", "1"), of(3, "a", "2"), of(4, "b", "1"), of(5, "c", "1")];
        let chosen = |count| spread(Vec::new(), &all, count).iter().map(|one| one.node).collect::<Vec<_>>();
        assert_eq!(chosen(3), [1, 4, 5].map(node_id));
        assert_eq!(chosen(4), [1, 4, 5, 3].map(node_id), "another rack of a zone that has a voter");
        // One that comes goes where nobody votes yet.
        let current: BTreeMap<_, _> = voters(&[1, 2, 4]);
        let mut all = all.to_vec();
        all[1].standing = Standing::Leaving;
        assert_eq!(next_voters(&current, &all, None), Some(voters(&[1, 4, 5])));
    }

    #[test]
    fn what_is_as_it_should_be_stays() {
        for (current, standings) in [
            (&[1, 2, 3][..], "uuu"),
            (&[1, 2, 3], "uuuu"),
            (&[1, 2, 3], "usu"),
            (&[1, 2, 3], "usuu"),
            (&[1, 2, 3, 4, 5], "uuuuuuu"),
            (&[1], "u"),
            (&[1, 2], "uu"),
        ] {
            assert_eq!(next(current, standings), None, "{current:?} {standings}");
        }
    }

    #[test]
    fn the_vote_of_one_that_leaves_goes_to_another() {
        assert_eq!(next(&[1, 2, 3], "uulu"), Some(vec![1, 2, 4]));
        // One at a time.
        assert_eq!(next(&[1, 2, 3, 4, 5], "uuulluu"), Some(vec![1, 2, 3, 5, 6]));
        assert_eq!(next(&[1, 2, 3, 5, 6], "uuulluu"), Some(vec![1, 2, 3, 6, 7]));
        // One that is not in the layout any more.
        let removed: Vec<_> = nodes("uuuu").into_iter().filter(|node| node.node != node_id(3)).collect();
        assert_eq!(next_voters(&voters(&[1, 2, 3]), &removed, None), Some(voters(&[1, 2, 4])));
        // Nobody gets it who is silent, or was not heard.
        assert_eq!(next(&[1, 2, 3], "uulsu"), Some(vec![1, 2, 5]));
        let mut unheard = nodes("uulu");
        unheard[3].voter = None;
        assert_eq!(next_voters(&voters(&[1, 2, 3]), &unheard, None), None);
    }

    #[test]
    fn with_nobody_to_take_the_vote_there_are_fewer_voters_where_that_is_better() {
        // Three of five are left: with three voters, one more may go.
        assert_eq!(next(&[1, 2, 3, 4, 5], "uuull"), Some(vec![1, 2, 3]));
        assert_eq!(next(&[1, 2, 3], "uul"), Some(vec![1, 2]));
        assert_eq!(next(&[1, 2, 3, 4, 5], "uuusl"), Some(vec![1, 2, 3]), "the silent one is no loss");
    }

    #[test]
    fn there_are_more_voters_as_nodes_join_and_no_even_number_on_the_way() {
        assert_eq!(next(&[1], "uu"), Some(vec![1, 2]));
        assert_eq!(next(&[1], "uuu"), Some(vec![1, 2, 3]));
        assert_eq!(next(&[1], "uus"), None);
        assert_eq!(next(&[1, 2], "uuu"), Some(vec![1, 2, 3]));
        assert_eq!(next(&[1, 2, 3], "uuuuu"), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(next(&[1, 2, 3], "uuuus"), None);
        assert_eq!(next_voters(&voters(&[1, 2, 3]), &nodes("uuuuu"), Some(3)), None);
    }

    #[test]
    fn one_that_lost_its_log_votes_as_who_it_is_now() {
        let mut all = nodes("uuu");
        all[1].voter = Some(voter_id(77));
        let mut expected = voters(&[1, 3]);
        expected.insert(voter_id(77), node_id(2));
        assert_eq!(next_voters(&voters(&[1, 2, 3]), &all, None), Some(expected));
        // Not while another is silent: the old voter is gone for good, and two of three must be up.
        all[2].standing = Standing::Silent;
        assert_eq!(next_voters(&voters(&[1, 2, 3]), &all, None), None);
    }

    #[test]
    fn nothing_is_changed_that_would_leave_the_majority_to_nodes_that_are_not_up() {
        assert_eq!(next(&[1, 2, 3], "ulsu"), None, "one of three is up: nothing can be committed");
        assert_eq!(next(&[1, 2], "ulu"), None);
        assert_eq!(next(&[1, 2, 3, 4, 5], "uusslu"), None);
    }

    #[test]
    fn a_range_is_handed_to_the_voter_that_leads_least_and_only_for_a_clear_gain() {
        let of = |led: &[u8]| -> BTreeMap<u64, Option<NodeId>> {
            (0..).zip(led).map(|(range, node)| (range, (*node > 0).then(|| node_id(*node)))).collect()
        };
        let all = |ranges: usize| -> BTreeMap<u64, BTreeMap<VoterId, NodeId>> {
            (0..ranges as u64).map(|range| (range, voters(&[1, 2, 3]))).collect()
        };
        let handed =
            |own, led: &[u8], standings: &str| hand_over(node_id(own), &of(led), &all(led.len()), &nodes(standings));
        assert_eq!(handed(1, &[1, 1], "uuu"), Some((1, voter_id(2))));
        assert_eq!(handed(1, &[1, 2], "uuu"), None);
        assert_eq!(handed(2, &[1, 1], "uuu"), None, "it is not its to give");
        assert_eq!(handed(1, &[1, 1, 2], "uuu"), Some((1, voter_id(3))));
        assert_eq!(handed(1, &[1, 1, 2, 3], "uuu"), None);
        assert_eq!(handed(1, &[1, 1], "uss"), None);
        assert_eq!(handed(1, &[1, 1, 0], "uuu"), None, "an election is under way");
    }
}
