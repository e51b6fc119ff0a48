//! Nodes and ranges of a cluster, as `cairn admin status`, `node list` and `range list` show them: parts of `/v1/status`,
//! and the bodies of `/v1/nodes` and `/v1/ranges`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::cli::human_bytes;

/// The range that has the layout, names of buckets and credentials.
const SYSTEM_RANGE: u64 = 0;

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: String,
    /// Where other nodes reach it.
    pub address: String,
    /// Its rack, if it is labelled.
    pub rack: Option<String>,
    /// Its zone, if it is labelled.
    pub zone: Option<String>,
    /// `up`, `suspect` (late), `down` (silent), `out` (given up), or `unknown` where nobody says.
    pub state: String,
    /// Seconds since it was heard; `None` where it was not since the present leader leads.
    pub silent_seconds: Option<f64>,
    /// Its release.
    pub version: Option<String>,
    /// The newest feature level that its release knows.
    #[serde(default)]
    pub feature_level: Option<u32>,
    /// Where it serves S3, if it does.
    pub endpoint: Option<String>,
    /// Where it serves the admin API.
    pub admin_endpoint: Option<String>,
    /// Seconds since it serves.
    pub uptime_seconds: Option<u64>,
    /// Its disks.
    pub disks: u64,
    /// Those of them that work.
    pub disks_up: u64,
    /// The ranges that it leads.
    pub leads: Vec<u64>,
    /// The ranges that it votes on.
    pub votes: Vec<u64>,
}

/// A range of the index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RangeStatus {
    /// Its number; 0 is the system range.
    pub id: u64,
    /// The node that leads it; `None` while nobody is known to.
    pub leader: Option<String>,
    /// The term of the last vote.
    pub term: u64,
    /// Log entries that are committed.
    pub committed: u64,
    /// About how many bytes of rows it has; `None` where the asked node does not have it.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// The first key that it may have, as bucket number and key; empty: from the beginning.
    #[serde(default)]
    pub start: String,
    /// The first key after it; empty: to the end.
    #[serde(default)]
    pub end: String,
    /// Who has it.
    pub replicas: Vec<ReplicaStatus>,
}

/// Where a range is to be split: the first key of the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitPoint {
    /// The bucket's name.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// A node's part in a range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// The voter's id.
    pub voter: String,
    /// Its node.
    pub node: String,
    /// Where that node is reached; empty where that is not known.
    pub address: String,
    /// Whether it votes, or only learns.
    pub votes: bool,
    /// Committed entries that it is not known to have; `None` where the leader doesn't say.
    pub lag: Option<u64>,
}

impl RangeStatus {
    /// How people call it.
    fn name(&self) -> String {
        if self.id == SYSTEM_RANGE { "system".to_owned() } else { self.id.to_string() }
    }
}

/// A line for each node.
pub fn node_lines(nodes: &[NodeStatus]) -> String {
    let mut text = String::new();
    for node in nodes {
        write_node(&mut text, node).expect("a string takes text");
    }
    text
}

fn write_node(text: &mut String, node: &NodeStatus) -> std::fmt::Result {
    write!(text, "  {}  {:<21} {:7}", node.id, node.address, node.state)?;
    match node.disks {
        0 => text.push_str(" no disk in the cluster: it joins, or was removed and can be ended"),
        all => write!(text, " {}/{all} disks up", node.disks_up)?,
    }
    let names = |ranges: &[u64]| {
        let name = |id: &u64| RangeStatus { id: *id, ..RangeStatus::default() }.name();
        ranges.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    if !node.leads.is_empty() {
        write!(text, ", leads {}", names(&node.leads))?;
    } else if !node.votes.is_empty() {
        write!(text, ", votes on {}", names(&node.votes))?;
    }
    for (label, value) in [("rack", &node.rack), ("zone", &node.zone)] {
        if let Some(value) = value {
            write!(text, ", {label} {value}")?;
        }
    }
    if let Some(version) = &node.version {
        write!(text, ", cairn {version}")?;
    }
    if node.state != "up" {
        match node.silent_seconds {
            Some(silent) => write!(text, ", heard {silent:.0} s ago")?,
            None => text.push_str(", not heard"),
        }
    }
    text.push('\n');
    Ok(())
}

/// A line for each range.
pub fn range_lines(ranges: &[RangeStatus]) -> String {
    let mut text = String::new();
    for range in ranges {
        write_range(&mut text, range).expect("a string takes text");
    }
    text
}

fn write_range(text: &mut String, range: &RangeStatus) -> std::fmt::Result {
    let replica = |replica: &ReplicaStatus| {
        let place = if replica.address.is_empty() { &replica.node } else { &replica.address };
        let mut said = place.clone();
        if Some(&replica.node) == range.leader.as_ref() {
            said.push_str(" (leads)");
        }
        match replica.lag {
            Some(lag) if lag > 0 => said.push_str(&format!(" ({lag} behind)")),
            _ => {}
        }
        if !replica.votes {
            said.push_str(" (learns)");
        }
        said
    };
    let replicas: Vec<String> = range.replicas.iter().map(replica).collect();
    let led = if range.leader.is_some() { "" } else { ", NOBODY leads" };
    let keys = match (range.start.as_str(), range.end.as_str()) {
        ("", "") => String::new(),
        (start, "") => format!(" from {start}"),
        ("", end) => format!(" before {end}"),
        (start, end) => format!(" from {start} before {end}"),
    };
    let bytes = range.bytes.map_or_else(String::new, |bytes| format!(" about {},", human_bytes(bytes)));
    writeln!(
        text,
        "  {:<8}{keys}{bytes} term {}, {} entries committed{led}: {}",
        range.name(),
        range.term,
        range.committed,
        replicas.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_silent_and_a_replica_that_is_behind_are_told() {
        let node = NodeStatus {
            id: "ab".to_owned(),
            address: "a:9002".to_owned(),
            state: "down".to_owned(),
            silent_seconds: Some(12.3),
            disks: 2,
            votes: vec![0, 1],
            ..NodeStatus::default()
        };
        assert_eq!(
            node_lines(&[node]),
            "  ab  a:9002                down    0/2 disks up, votes on system 1, heard 12 s ago\n"
        );
        let replica = |node: &str, votes, lag| ReplicaStatus {
            node: node.to_owned(),
            address: format!("{node}:9002"),
            votes,
            lag,
            ..ReplicaStatus::default()
        };
        let replicas = vec![replica("a", true, Some(0)), replica("b", true, Some(7)), replica("c", false, None)];
        let range = RangeStatus {
            id: 0,
            leader: Some("a".to_owned()),
            term: 3,
            committed: 9,
            replicas,
            ..RangeStatus::default()
        };
        assert_eq!(
            range_lines(&[range]),
            "  system   term 3, 9 entries committed: a:9002 (leads), b:9002 (7 behind), c:9002 (learns)\n"
        );
    }
}
