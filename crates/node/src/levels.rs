//! The cluster's feature level, as nodes keep to it: who holds it back, and which build is too old for it
//! (docs/decisions/0012-feature-level.md).

use shards::LocalShards;
use shards::superblock::Superblock;
use telemetry::with_causes;
use types::{DiskState, FeatureLevel, Layout, NodeId};

/// The superblock's note of the level of the disk's cluster: a version byte, then the level, little-endian.
const NOTE: &str = "feature-level";
const NOTE_VERSION: u8 = 1;

/// The nodes that keep the cluster from a level: all but those that are given up, where `knows` doesn't say that they
/// know it. It says nothing of a node that was not heard a moment ago: it may be started again with another build.
pub(crate) fn held_back_by(
    layout: &Layout,
    wanted: FeatureLevel,
    knows: impl Fn(NodeId) -> Option<FeatureLevel>,
) -> Vec<NodeId> {
    let is_out = |node: NodeId| {
        let mut disks = layout.disks.iter().filter(|disk| disk.node == node).peekable();
        disks.peek().is_some() && disks.all(|disk| disk.state == DiskState::Out)
    };
    let knows_it = |node: NodeId| knows(node).is_some_and(|known| known >= wanted);
    layout.nodes.iter().map(|node| node.id).filter(|node| !is_out(*node) && !knows_it(*node)).collect()
}

/// The level that a superblock notes; the first one where it notes none.
pub(crate) fn noted_level(superblock: &Superblock) -> FeatureLevel {
    match superblock.notes.get(NOTE).and_then(|note| note.split_first()) {
        None => index::FIRST_FEATURE_LEVEL,
        Some((&NOTE_VERSION, level)) if level.len() == 4 => {
            FeatureLevel(u32::from_le_bytes(level.try_into().expect("its length was checked")))
        }
        // Of a form that this build doesn't know.
        Some(_) => FeatureLevel(u32::MAX),
    }
}

/// Notes a level in a superblock.
pub(crate) fn note(superblock: &mut Superblock, level: FeatureLevel) {
    superblock.notes.insert(NOTE.to_owned(), [&[NOTE_VERSION][..], &level.0.to_le_bytes()].concat());
}

/// Has every disk that serves note the level, so that a start of an older build stops before it reads anything else.
pub(crate) async fn note_level(shards: &LocalShards, level: FeatureLevel) {
    let states = shards.disk_states();
    for disk in states.iter().filter(|(_, health)| !health.is_down()).map(|(disk, _)| disk) {
        let noted = shards.superblock(*disk).map(|superblock| noted_level(&superblock));
        if noted.is_ok_and(|noted| noted >= level) {
            continue;
        }
        if let Err(error) = shards.update_superblock(*disk, move |superblock| note(superblock, level)).await {
            tracing::warn!(%disk, error = %with_causes(&error), "a disk did not take note of the feature level");
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Disk, LayoutEpoch, Node};

    use super::*;
    use crate::watch::samples::{disk_id, node_id};

    fn layout() -> Layout {
        let row = |id| Node { id: node_id(id), address: format!("{id}:9002"), rack: None, zone: None };
        let disk = |id, state| Disk {
            id: disk_id(id, 1),
            node: node_id(id),
            path: "/d".to_owned(),
            mount_point: false,
            capacity_bytes: 1,
            state,
        };
        Layout {
            epoch: LayoutEpoch(1),
            nodes: (1..=4).map(row).collect(),
            disks: vec![disk(1, DiskState::Up), disk(2, DiskState::Down), disk(3, DiskState::Out)],
            groups: Vec::new(),
        }
    }

    #[test]
    fn a_level_waits_for_every_node_that_is_not_given_up() {
        let knows = |levels: [Option<u32>; 4]| {
            move |node: NodeId| {
                let at = (1..=4).position(|id| node_id(id) == node).expect("one of them");
                levels[at].map(FeatureLevel)
            }
        };
        let held = |levels| held_back_by(&layout(), FeatureLevel(2), knows(levels));
        assert_eq!(held([Some(2), Some(1), None, None]), [node_id(2), node_id(4)], "without disks it counts too");
        assert_eq!(held([Some(2), None, Some(1), Some(3)]), [node_id(2)], "one that is silent says nothing");
        assert_eq!(held([Some(2), Some(2), None, Some(2)]), [], "one that is given up is not waited for");
    }
}
