//! How a layout is written: in rows, commands and messages alike.
//!
//! The first format has no place for heirs, and no number of its own: it begins with the layout's epoch. A later one
//! begins with [`LATER_FORMAT`] in the epoch's place, which no layout reaches, and then its number. A layout is written in
//! the oldest format that can say it: as long as nothing moves, releases from before there were moves read it.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Disk, DiskState, Layout, Node, PlacementGroup, Slot};
use crate::{DiskId, LayoutEpoch, PlacementGroupId, Profile, SlotEpoch};

/// What stands in the place of the epoch where a format's number follows.
const LATER_FORMAT: LayoutEpoch = LayoutEpoch(u64::MAX);
/// The format with heirs and drained disks.
const FORMAT_2: u8 = 2;
/// Values of format 1: epoch, nodes, disks, groups.
const VALUES_1: usize = 4;
/// Values of format 2: the mark, the number, then as format 1.
const VALUES_2: usize = 6;

/// A group of format 1.
#[derive(Serialize, Deserialize)]
struct GroupOf1 {
    id: PlacementGroupId,
    profile: Profile,
    slots: Vec<SlotOf1>,
}

/// A slot of format 1.
#[derive(Serialize, Deserialize)]
struct SlotOf1 {
    disk: DiskId,
    epoch: SlotEpoch,
}

impl From<&PlacementGroup> for GroupOf1 {
    fn from(group: &PlacementGroup) -> Self {
        let slots = group.slots.iter().map(|slot| SlotOf1 { disk: slot.disk, epoch: slot.epoch });
        Self { id: group.id, profile: group.profile, slots: slots.collect() }
    }
}

impl From<GroupOf1> for PlacementGroup {
    fn from(group: GroupOf1) -> Self {
        let slots = group.slots.into_iter().map(|slot| Slot::owned(slot.disk, slot.epoch));
        Self { id: group.id, profile: group.profile, slots: slots.collect() }
    }
}

/// Whether format 1 can say it.
fn fits_format_1(layout: &Layout) -> bool {
    layout.slots().all(|(_, _, slot)| slot.heir.is_none())
        && layout.disks.iter().all(|disk| disk.state != DiskState::Draining)
}

impl Serialize for Layout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { epoch, nodes, disks, groups } = self;
        if fits_format_1(self) {
            let mut values = serializer.serialize_tuple(VALUES_1)?;
            values.serialize_element(epoch)?;
            values.serialize_element(nodes)?;
            values.serialize_element(disks)?;
            values.serialize_element(&groups.iter().map(GroupOf1::from).collect::<Vec<_>>())?;
            return values.end();
        }
        let mut values = serializer.serialize_tuple(VALUES_2)?;
        values.serialize_element(&LATER_FORMAT)?;
        values.serialize_element(&FORMAT_2)?;
        values.serialize_element(epoch)?;
        values.serialize_element(nodes)?;
        values.serialize_element(disks)?;
        values.serialize_element(groups)?;
        values.end()
    }
}

impl<'de> Deserialize<'de> for Layout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(VALUES_2, LayoutVisitor)
    }
}

struct LayoutVisitor;

impl<'de> Visitor<'de> for LayoutVisitor {
    type Value = Layout;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a layout of format 1 or {FORMAT_2}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Layout, A::Error> {
        let epoch: LayoutEpoch = next(&mut values)?;
        if epoch != LATER_FORMAT {
            let (nodes, disks): (Vec<Node>, Vec<Disk>) = (next(&mut values)?, next(&mut values)?);
            let groups: Vec<GroupOf1> = next(&mut values)?;
            return Ok(Layout { epoch, nodes, disks, groups: groups.into_iter().map(PlacementGroup::from).collect() });
        }
        let format: u8 = next(&mut values)?;
        if format != FORMAT_2 {
            let known =
                format_args!("layout format {format} is not known to this release, which reads up to {FORMAT_2}")
                    .to_string();
            return Err(A::Error::custom(known));
        }
        let epoch = next(&mut values)?;
        Ok(Layout { epoch, nodes: next(&mut values)?, disks: next(&mut values)?, groups: next(&mut values)? })
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(values: &mut A) -> Result<T, A::Error> {
    values.next_element()?.ok_or_else(|| A::Error::custom("a layout ends too early"))
}
