//! Moves votes as nodes come and go: whoever leads a range gives the vote of a node that is given up, or leaves, to
//! another, and has as many voters as the number of nodes asks for. Which, `voters` decides; this does it, one change at
//! a time, and hands ranges to nodes that lead fewer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use consensus::{RangeStatus, ReplicatedIndex};
use index::FIRST_DATA_RANGE;
use platform::Clock;
use tokio::sync::watch;
use types::{Layout, NodeId, RangeId, VoterId};

use crate::layout::LayoutKeeper;
use crate::voters::{Candidate, Standing, hand_over, next_voters};
use crate::watch::{Glance, Lookout, NodeState};

/// How often it is looked whether a vote is to move.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a change may take before it is looked at anew: who was to learn may be gone. What it has learnt stays.
const CHANGE_PATIENCE: Duration = Duration::from_secs(120);
/// How long leaders must have stayed before a range is handed over, and how long after the last time.
const CALM: Duration = Duration::from_secs(60);
/// How far behind the one that a range is handed to may be, in entries.
const BEHIND_MAX: u64 = 1_000;

/// What votes are moved with.
pub(crate) struct Voting {
    pub(crate) node: NodeId,
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) layout: Arc<LayoutKeeper>,
    pub(crate) lookout: Arc<Lookout>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many voters a range has, where that is set.
    pub(crate) voters: Option<usize>,
}

impl Voting {
    /// Looks every second until `stopped` changes.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut calm_since = (self.clock.monotonic(), BTreeMap::new());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopped.changed() => return,
            }
            tokio::select! {
                () = self.look(&mut calm_since) => {}
                _ = stopped.changed() => return,
            }
        }
    }

    async fn look(&self, calm_since: &mut (Duration, Leaders)) {
        self.index.hear_feature_level(self.layout.feature_level());
        let ranges = self.index.status().ranges;
        let Some(glance) = self.lookout.glance() else { return };
        let nodes = candidates(&self.layout.current(), &glance);
        for (range, status) in ranges.iter().filter(|(_, status)| status.leads) {
            let nodes = able_to_vote(*range, &ranges, self.index.voter(), nodes.clone());
            self.change(*range, status, &nodes).await;
        }
        let leaders: Leaders = ranges.iter().map(|(range, status)| (*range, status.leader)).collect();
        let now = self.clock.monotonic();
        if leaders != calm_since.1 {
            *calm_since = (now, leaders);
        } else if now.saturating_sub(calm_since.0) >= CALM {
            calm_since.0 = now;
            self.balance(&leaders, &ranges, &nodes).await;
        }
    }

    /// Changes the voters of a range that this node leads, where they are not as they should be.
    async fn change(&self, range: RangeId, status: &RangeStatus, nodes: &[Candidate]) {
        let next = match next_voters(&status.voters, nodes, self.voters) {
            Some(next) => next,
            // One that was to vote and did not come to it.
            None if !status.learners.is_empty() => status.voters.clone(),
            None => return,
        };
        let of = |voters: &BTreeMap<VoterId, NodeId>| voters.values().copied().collect::<Vec<_>>();
        tracing::info!(%range, from = ?of(&status.voters), to = ?of(&next), "the voters of a range are changed");
        let changed = tokio::time::timeout(CHANGE_PATIENCE, self.index.change_members(range, next)).await;
        match changed {
            Ok(Ok(())) => tracing::info!(%range, "the voters of a range were changed"),
            Ok(Err(error)) => tracing::warn!(%range, %error, "the voters of a range were not changed"),
            Err(_) => tracing::warn!(%range, "the voters of a range were not changed in time"),
        }
    }

    async fn balance(&self, leaders: &Leaders, ranges: &BTreeMap<RangeId, RangeStatus>, nodes: &[Candidate]) {
        let voters = ranges.iter().map(|(range, status)| (*range, status.voters.clone())).collect();
        let Some((range, to)) = hand_over(self.node, leaders, &voters, nodes) else { return };
        let status = &ranges[&range];
        let has = status.matched.get(&to).copied().unwrap_or_default();
        if has + BEHIND_MAX < status.committed {
            return;
        }
        tracing::info!(%range, %to, "a range is handed to a node that leads fewer");
        if let Err(error) = self.index.transfer(range, to).await {
            tracing::warn!(%range, %to, %error, "a range was not handed over");
        }
    }
}

/// Who leads each range.
type Leaders = BTreeMap<RangeId, Option<NodeId>>;

/// The nodes of a layout, and what may be expected of each.
fn candidates(layout: &Layout, glance: &Glance) -> Vec<Candidate> {
    let candidate = |node: &types::Node| {
        let seen = glance.nodes.iter().find(|seen| seen.node == node.id);
        Candidate {
            node: node.id,
            voter: seen.and_then(|seen| seen.voter),
            rack: node.rack.clone(),
            zone: node.zone.clone(),
            standing: match seen.map(|seen| seen.state) {
                Some(NodeState::Out) => Standing::Leaving,
                _ if is_leaving(layout, node.id) => Standing::Leaving,
                Some(NodeState::Up) => Standing::Up,
                Some(NodeState::Suspect | NodeState::Down) | None => Standing::Silent,
            },
        }
    };
    layout.nodes.iter().map(candidate).collect()
}

/// The nodes as candidates for a vote on a range: one that a split has made goes only to nodes that vote on the first data
/// range, for no other begins it (`consensus` starts it where the first one is up to date).
fn able_to_vote(
    range: RangeId,
    ranges: &BTreeMap<RangeId, RangeStatus>,
    own: VoterId,
    mut nodes: Vec<Candidate>,
) -> Vec<Candidate> {
    let voters = |range: RangeId| ranges.get(&range).map(|status| &status.voters);
    // Who does not vote there itself may know old voters.
    let first = voters(FIRST_DATA_RANGE).filter(|first| range > FIRST_DATA_RANGE && first.contains_key(&own));
    let Some(first) = first else { return nodes };
    for node in &mut nodes {
        let votes = |voter: &VoterId| voters(range).is_some_and(|current| current.contains_key(voter));
        node.voter = node.voter.filter(|voter| first.contains_key(voter) || votes(voter));
    }
    nodes
}

/// Whether a node's vote is to go to another, by the layout: it is drained, or given up, with all of its disks.
fn is_leaving(layout: &Layout, node: NodeId) -> bool {
    let states: BTreeSet<bool> =
        layout.disks.iter().filter(|disk| disk.node == node).map(|disk| disk.state.is_left()).collect();
    states == [true].into()
}

#[cfg(test)]
mod tests {
    use types::{Disk, DiskState, Node};

    use super::*;
    use crate::watch::GlanceNode;
    use crate::watch::samples::{disk_id, node_id, voter_id};

    #[test]
    fn a_node_that_is_given_up_or_drained_as_a_whole_leaves() {
        use DiskState::{Down, Draining, Out, Up};
        let all = [[Up, Up], [Up, Draining], [Draining, Draining], [Out, Draining], [Out, Down], [Down, Down]];
        let disk = |node, number, state| Disk {
            id: disk_id(node, number),
            node: node_id(node),
            path: String::new(),
            mount_point: false,
            capacity_bytes: 1,
            state,
        };
        let row = |node| Node { id: node_id(node), address: String::new(), rack: None, zone: None };
        let of_node = |(node, states): (u8, [DiskState; 2])| [disk(node, 1, states[0]), disk(node, 2, states[1])];
        // Another one has no disks, and one more was not seen.
        let nodes = (1..=8).map(row).collect();
        let layout = Layout { nodes, disks: (1..).zip(all).flat_map(of_node).collect(), ..Layout::default() };
        let seen = |node| GlanceNode {
            node: node_id(node),
            state: if node == 6 { NodeState::Down } else { NodeState::Up },
            voter: Some(voter_id(node)),
            free_bytes: BTreeMap::new(),
        };
        let glance = Glance { leader: node_id(1), nodes: (1..=7).map(seen).collect() };
        let standings: Vec<_> = candidates(&layout, &glance).iter().map(|candidate| candidate.standing).collect();
        let (up, silent, leaving) = (Standing::Up, Standing::Silent, Standing::Leaving);
        assert_eq!(standings, [up, up, leaving, leaving, up, silent, up, silent]);
    }

    #[test]
    fn a_range_that_a_split_made_goes_to_voters_of_the_first_alone() {
        let voters = |numbers: &[u8]| numbers.iter().map(|number| (voter_id(*number), node_id(*number))).collect();
        let status = |numbers: &[u8]| RangeStatus { voters: voters(numbers), ..RangeStatus::default() };
        let child = RangeId(2);
        let ranges = [(FIRST_DATA_RANGE, status(&[1, 2, 4])), (child, status(&[1, 2, 3]))].into();
        let node = |number| Candidate {
            node: node_id(number),
            voter: Some(voter_id(number)),
            rack: None,
            zone: None,
            standing: if number == 3 { Standing::Leaving } else { Standing::Up },
        };
        let nodes: Vec<_> = [0, 1, 2, 3, 4].map(node).into();
        let next = |range, own| {
            let able = able_to_vote(range, &ranges, voter_id(own), nodes.clone());
            next_voters(&ranges[&range].voters, &able, Some(3))
        };
        assert_eq!(next(child, 1), Some(voters(&[1, 2, 4])), "not to 0, which does not have the first range");
        assert_eq!(next(child, 3), Some(voters(&[0, 1, 2])), "who is no voter there does not know");
        assert_eq!(next(FIRST_DATA_RANGE, 1), None);
    }
}
