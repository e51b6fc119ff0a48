//! The whole cluster as this node sees it: what the nodes say of themselves, put together with the layout.

use std::collections::{BTreeMap, BTreeSet};

use admin::{DiskStatus, FeatureLevelStatus, NodeStatus, RangeStatus, ReplicaStatus};
use types::{Disk, DiskState, FeatureLevel, Layout, NodeId, Profile, RangeId};

use crate::watch::{DiskReport, Heartbeat, NodeReport, NodeState, RangeReport, ReportedHealth};

use crate::levels::held_back_by;

/// What is known of all nodes.
pub(crate) struct Overview<'a> {
    pub(crate) layout: &'a Layout,
    /// What whoever watches said, or this node alone.
    pub(crate) reports: BTreeMap<NodeId, NodeReport>,
}

impl Overview<'_> {
    /// Every node of the layout, and others that were heard.
    pub(crate) fn nodes(&self) -> Vec<NodeStatus> {
        let known = self.layout.nodes.iter().map(|node| node.id);
        let all: BTreeSet<NodeId> = known.chain(self.reports.keys().copied()).collect();
        all.into_iter().map(|node| self.node(node)).collect()
    }

    fn node(&self, id: NodeId) -> NodeStatus {
        let report = self.reports.get(&id);
        let last = self.last(id);
        let row = self.layout.nodes.iter().find(|node| node.id == id).or(last.map(|last| &last.node));
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let disks = self.layout.disks.iter().filter(|disk| disk.node == id);
        let (mut all, mut up) = (0, 0);
        for disk in disks {
            all += 1;
            up += u64::from(matches!(self.disk(disk).state.as_str(), "up" | "full" | "draining"));
        }
        let ranges = self.ranges();
        let name = id.to_string();
        let leads = ranges.iter().filter(|range| range.leader.as_ref() == Some(&name));
        let is_voter = |replica: &ReplicaStatus| replica.votes && replica.node == name;
        let votes = ranges.iter().filter(|range| range.replicas.iter().any(is_voter));
        NodeStatus {
            id: name.clone(),
            address: row.map(|row| row.address.clone()).unwrap_or_default(),
            rack: row.and_then(|row| row.rack.clone()),
            zone: row.and_then(|row| row.zone.clone()),
            state: report.map_or_else(|| "unknown".to_owned(), |report| report.state.to_string()),
            silent_seconds: report.and_then(|report| report.silent_ms).map(|silent| silent as f64 / 1e3),
            version: last.map(|last| last.release.clone()),
            feature_level: last.map(|last| last.feature_level.0),
            endpoint: last.and_then(|last| text(&last.endpoint)),
            admin_endpoint: last.and_then(|last| text(&last.admin_endpoint)),
            uptime_seconds: last.map(|last| last.uptime_seconds),
            disks: all,
            disks_up: up,
            leads: leads.map(|range| range.id).collect(),
            votes: votes.map(|range| range.id).collect(),
        }
    }

    fn last(&self, node: NodeId) -> Option<&Heartbeat> {
        self.reports.get(&node)?.last.as_deref()
    }

    /// The cluster's level, what its nodes know beyond it, and who keeps it from rising.
    pub(crate) fn feature_level(&self, level: FeatureLevel) -> FeatureLevelStatus {
        let knows = |node| {
            let report = self.reports.get(&node).filter(|report| report.state == NodeState::Up)?;
            Some(report.last.as_ref()?.feature_level)
        };
        let known = self.reports.keys().filter_map(|node| knows(*node)).max().unwrap_or(level).max(level);
        let held_back_by = match known > level {
            true => held_back_by(self.layout, FeatureLevel(level.0 + 1), knows),
            false => Vec::new(),
        };
        let held_back_by = held_back_by.iter().map(ToString::to_string).collect();
        FeatureLevelStatus { level: level.0, known: known.0, held_back_by }
    }

    /// Every disk of the layout.
    pub(crate) fn disks(&self) -> Vec<DiskStatus> {
        self.layout.disks.iter().map(|disk| self.disk(disk)).collect()
    }

    fn disk(&self, row: &Disk) -> DiskStatus {
        let report = self.last(row.node).and_then(|last| last.disks.iter().find(|report| report.disk == row.id));
        let (state, reason) = self.state(row, report);
        let of = |count: fn(&DiskReport) -> u64| report.map_or(0, count);
        DiskStatus {
            id: row.id.to_string(),
            node: row.node.to_string(),
            path: row.path.clone(),
            state: state.to_owned(),
            reason,
            total_bytes: of(|report| report.total_bytes),
            free_bytes: of(|report| report.free_bytes),
            shard_bytes: of(|report| report.shard_bytes),
            shards: of(|report| report.shards),
            read_errors: of(|report| report.read_errors),
            index_roles: report.map(|report| report.index_roles.clone()).unwrap_or_default(),
        }
    }

    fn state(&self, row: &Disk, report: Option<&DiskReport>) -> (&'static str, Option<String>) {
        let said = |reason: &str| Some(reason.to_owned());
        let node = self.reports.get(&row.node);
        let is_silent = node.is_some_and(|node| matches!(node.state, NodeState::Down | NodeState::Out));
        match (row.state, report.map(|report| &report.health)) {
            (DiskState::Out, _) => ("out", None),
            _ if is_silent => ("down", said("its node is silent")),
            (_, Some(ReportedHealth::Down { reason })) => ("down", Some(reason.clone())),
            (DiskState::Down, Some(_)) => ("down", said("it failed before, or its node was without it")),
            (DiskState::Down, None) => ("down", None),
            (DiskState::Draining, _) => ("draining", None),
            (DiskState::Up, Some(ReportedHealth::Full)) => ("full", None),
            (DiskState::Up, Some(ReportedHealth::Up)) => ("up", None),
            (DiskState::Up, None) => ("up", said("its node was not heard yet")),
        }
    }

    /// Every range that a node speaks of, as its leader sees it, or else whoever has seen the last vote.
    pub(crate) fn ranges(&self) -> Vec<RangeStatus> {
        let mut best: BTreeMap<RangeId, &RangeReport> = BTreeMap::new();
        let said = self.reports.values().filter_map(|report| report.last.as_deref()).flat_map(|last| &last.ranges);
        for report in said {
            let known = best.entry(report.range).or_insert(report);
            if (report.term, report.leads, report.committed) > (known.term, known.leads, known.committed) {
                *known = report;
            }
        }
        best.into_values().map(|report| self.range(report)).collect()
    }

    fn range(&self, report: &RangeReport) -> RangeStatus {
        let voters = report.voters.iter().map(|(voter, node)| (*voter, *node, true));
        let learners = report.learners.iter().map(|(voter, node)| (*voter, *node, false));
        let replicas = voters.chain(learners).map(|(voter, node, votes)| {
            let row = self.layout.nodes.iter().find(|row| row.id == node);
            let has = report.matched.get(&voter);
            ReplicaStatus {
                voter: voter.to_string(),
                node: node.to_string(),
                address: row.map(|row| row.address.clone()).unwrap_or_default(),
                votes,
                lag: has.map(|has| report.committed.saturating_sub(*has)),
            }
        });
        RangeStatus {
            id: report.range.0,
            leader: report.leader.map(|leader| leader.to_string()),
            term: report.term,
            committed: report.committed,
            bytes: None,
            start: String::new(),
            end: String::new(),
            replicas: replicas.collect(),
        }
    }
}

/// The profile that the layout's nodes, or its disks where there is one node, could hold and that is wider than `wanted`.
/// None while a disk is down: it may be back, or be given up.
pub(crate) fn proposed_profile(layout: &Layout, wanted: Profile) -> Option<Profile> {
    if layout.disks.iter().any(|disk| disk.state == DiskState::Down) {
        return None;
    }
    let counted = || layout.disks.iter().filter(|disk| !disk.state.is_left());
    let nodes: BTreeSet<NodeId> = counted().map(|disk| disk.node).collect();
    let domains = if nodes.len() > 1 { nodes.len() } else { counted().count() };
    let proposed = Profile::for_domains(domains);
    (proposed.width() > wanted.width()).then_some(proposed)
}

#[cfg(test)]
mod tests {
    use types::Node;

    use super::*;
    use crate::watch::samples::{disk_id, heartbeat, node_id};

    fn layout(nodes: u8) -> Layout {
        let row = |id| Node { id: node_id(id), address: format!("{id}:9002"), rack: None, zone: None };
        let disk = |id| Disk {
            id: disk_id(id, 1),
            node: node_id(id),
            path: "/d".to_owned(),
            mount_point: false,
            capacity_bytes: 1,
            state: DiskState::Up,
        };
        Layout { nodes: (1..=nodes).map(row).collect(), disks: (1..=nodes).map(disk).collect(), ..Layout::default() }
    }

    fn report(number: u8, state: NodeState) -> (NodeId, NodeReport) {
        let last = (state == NodeState::Up).then(|| Box::new(heartbeat(number, &[1])));
        (node_id(number), NodeReport { node: node_id(number), state, silent_ms: Some(200), last })
    }

    #[test]
    fn every_node_disk_and_range_is_shown_with_what_is_known_of_it() {
        let mut layout = layout(3);
        layout.disks[1].state = DiskState::Down;
        let reports = [report(1, NodeState::Up), report(2, NodeState::Down)].into();
        let overview = Overview { layout: &layout, reports };
        let nodes = overview.nodes();
        let shown: Vec<_> = nodes.iter().map(|node| (node.state.as_str(), node.disks_up)).collect();
        assert_eq!(shown, [("up", 1), ("down", 0), ("unknown", 1)]);
        assert_eq!((&nodes[0].leads[..], &nodes[0].votes[..], &nodes[1].votes[..]), (&[1][..], &[1][..], &[][..]));
        let disks = overview.disks();
        let states: Vec<_> = disks.iter().map(|disk| (disk.state.as_str(), disk.reason.as_deref())).collect();
        let unheard = Some("its node was not heard yet");
        assert_eq!(states, [("up", None), ("down", Some("its node is silent")), ("up", unheard)]);
        assert_eq!(disks[0].shards, 2);
        let [range] = &overview.ranges()[..] else { panic!("one range was spoken of") };
        assert_eq!(range.leader, Some(node_id(1).to_string()));
        assert_eq!((range.replicas.len(), range.replicas[0].lag), (1, Some(0)));
    }

    #[test]
    fn who_holds_the_feature_level_back_is_shown_while_somebody_knows_more() {
        let layout = layout(4);
        let mut reports: BTreeMap<_, _> =
            [report(1, NodeState::Up), report(2, NodeState::Up), report(3, NodeState::Down)].into();
        let shown = |reports: &BTreeMap<NodeId, NodeReport>| {
            let shown = Overview { layout: &layout, reports: reports.clone() }.feature_level(FeatureLevel(1));
            (shown.level, shown.known, shown.held_back_by)
        };
        assert_eq!(shown(&reports), (1, 1, Vec::new()), "nobody knows more");
        let first = reports.get_mut(&node_id(1)).and_then(|report| report.last.as_mut()).expect("it was heard");
        first.feature_level = FeatureLevel(2);
        assert_eq!(shown(&reports), (1, 2, [2, 3, 4].map(|node| node_id(node).to_string()).into()));
    }

    #[test]
    fn of_two_that_say_they_lead_the_later_term_counts() {
        let layout = layout(2);
        let mut reports: BTreeMap<_, _> = [report(1, NodeState::Up), report(2, NodeState::Up)].into();
        let of = |reports: &mut BTreeMap<NodeId, NodeReport>, number| {
            reports.get_mut(&node_id(number)).expect("it is there").last.as_mut().expect("it was heard").ranges[0]
                .clone()
        };
        let newer = RangeReport { term: 4, leader: Some(node_id(2)), ..of(&mut reports, 2) };
        reports.get_mut(&node_id(2)).expect("it is there").last.as_mut().expect("it was heard").ranges = vec![newer];
        let overview = Overview { layout: &layout, reports };
        assert_eq!(overview.ranges()[0].leader, Some(node_id(2).to_string()));
        assert_eq!((overview.nodes()[0].leads.len(), overview.nodes()[1].leads.len()), (0, 1));
    }

    #[test]
    fn growth_proposes_a_wider_profile_and_loss_none() {
        let wanted = "2+1".parse().expect("a profile");
        let proposed = |layout: &Layout| proposed_profile(layout, wanted).map(|profile| profile.to_string());
        assert_eq!(proposed(&layout(3)), None);
        assert_eq!(proposed(&layout(5)), Some("3+2".to_owned()));
        let mut five = layout(5);
        five.disks[0].state = DiskState::Out;
        assert_eq!(proposed(&five), Some("2+2".to_owned()));
        // A node that was wiped and has joined anew beside what it was makes no more nodes.
        five.disks[1].state = DiskState::Down;
        assert_eq!(proposed(&five), None);
        assert_eq!(proposed(&layout(2)), None);
    }
}
