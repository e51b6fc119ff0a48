//! SplitRange: a range becomes two. No row of an object moves, for rows lie by place, not by range.

use types::{BucketId, RangeInterval};

use super::{Applying, Stop, signed};
use crate::command::{Answer, CommandBody, Refusal, SplitRange};
use crate::rows::DescriptorRow;
use crate::tables::{RangeRow, UsageChange};
use crate::{AppliedState, IndexDatabaseError, SYSTEM_RANGE, keys};

impl Applying<'_> {
    /// Refuses a command on a key that the range doesn't have, and one on many keys that was meant for other places
    /// than it has.
    pub(super) fn check_place(&self, body: &CommandBody) -> Result<(), Stop> {
        if self.range == SYSTEM_RANGE || body.is_of_system_range() {
            return Ok(());
        }
        let row = self.memory.descriptor(self.range);
        let fits = match body {
            CommandBody::Within { epoch, body } => *epoch == row.epoch && Self::is_inside(&row.interval, body),
            CommandBody::SplitRange(split) => split.expected == row.epoch,
            // Its rows name the range.
            CommandBody::RemoveGarbage { .. } | CommandBody::DropDue { .. } => true,
            body if body.key().is_some() || matches!(body, CommandBody::DiscardRuns { .. }) => {
                Self::is_inside(&row.interval, body)
            }
            // Whoever sends it bare knows of no split.
            _ => row.epoch == DescriptorRow::WHOLE.epoch,
        };
        if fits { Ok(()) } else { Err(Refusal::NotInRange(Box::new(row.of(self.range))).into()) }
    }

    fn is_inside(interval: &RangeInterval, body: &CommandBody) -> bool {
        match body {
            CommandBody::DiscardRuns { runs } => runs
                .iter()
                .filter_map(|run| run.home.as_ref())
                .all(|home| interval.contains(&keys::place(home.bucket, &home.key))),
            body => body.key().is_none_or(|(bucket, key)| interval.contains(&keys::place(bucket, key))),
        }
    }

    /// The parent keeps its garbage: each row has exactly one range that collects it, which need not have the key that
    /// it was freed from.
    pub(super) fn split_range(&mut self, split: &SplitRange) -> Result<Answer, Stop> {
        let (parent, child) = (self.range, split.child);
        let row = self.memory.descriptor(parent);
        let place = keys::place(split.at.bucket, &split.at.key);
        let halves = row.interval.split(&place).filter(|_| child > parent && !self.memory.ranges.contains_key(&child));
        let Some((lower, upper)) = halves else {
            return Err(Refusal::NotInRange(Box::new(row.of(parent))).into());
        };
        let epoch = types::SplitEpoch(row.epoch.0 + 1);
        let lower = DescriptorRow { interval: lower, epoch, ..row };
        let upper = DescriptorRow { interval: upper, epoch, born: self.entry.to_vec() };
        self.tables.put_descriptor(parent, &lower)?;
        self.tables.put_descriptor(child, &upper)?;
        self.memory.descriptors.insert(parent, lower.clone());
        self.memory.descriptors.insert(child, upper.clone());

        let of_parent = self.memory.range_mut(parent);
        let membership = of_parent.state.membership.clone();
        let state = AppliedState { applied: self.entry.clone(), membership };
        let of_child = RangeRow { state, ..of_parent.clone() };
        self.tables.put_range(child, &of_child)?;
        self.memory.ranges.insert(child, of_child);

        self.tables.inherit(parent, child)?;
        self.memory.answers.inherit(parent, child);
        self.split_usage(split.at.bucket, split)?;
        self.tables.hand_over_buckets(parent, child, split.at.bucket)?;
        self.tables.hand_over_followed(parent, child, split.at.bucket)?;
        self.memory.bucket_rows.clear();
        self.memory.followed.clear();
        Ok(Answer::Split(Box::new([lower.of(parent), upper.of(child)])))
    }

    fn split_usage(&mut self, cut: BucketId, split: &SplitRange) -> Result<(), IndexDatabaseError> {
        // The counters' rows are about to move: what this transaction has counted goes into them before.
        for ((range, bucket), change) in std::mem::take(&mut self.memory.usage) {
            self.tables.change_usage(range, bucket, &change)?;
        }
        let moved = &split.moved;
        let comes = UsageChange {
            objects: signed(moved.objects),
            versions: signed(moved.versions),
            markers: signed(moved.markers),
            bytes: signed(moved.bytes),
            uploads: signed(moved.uploads),
            upload_bytes: signed(moved.upload_bytes),
        };
        let goes = UsageChange {
            objects: -comes.objects,
            versions: -comes.versions,
            markers: -comes.markers,
            bytes: -comes.bytes,
            uploads: -comes.uploads,
            upload_bytes: -comes.upload_bytes,
        };
        self.tables.change_usage(self.range, cut, &goes)?;
        self.tables.change_usage(split.child, cut, &comes)
    }
}
