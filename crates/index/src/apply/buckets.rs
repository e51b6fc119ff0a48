//! Buckets: their records in the system range, their rows in each data range.

use platform::leaves_out;
use types::{BucketEpoch, BucketId, BucketState, ObjectLock, Versioning};

use super::{Applying, Stop};
use crate::IndexDatabaseError;
use crate::command::{Answer, BucketAt, BucketConfig, BucketRecord, BucketRecordState, BucketRow, Refusal};

type Token = [u8; 16];

impl Applying<'_> {
    pub(super) fn reserve_bucket(&mut self, record: &BucketRecord, token: Token) -> Result<Answer, Stop> {
        if let Some(known) = self.tables.bucket_record_by_name(&record.namespace, &record.name)? {
            if known.state == (BucketRecordState::Creating { token }) {
                return Ok(Answer::BucketReserved(known.id));
            }
            return Err(Refusal::BucketExists(Box::new(known)).into());
        }
        // Whoever got the number of an account that is gone would get the bucket with it.
        self.expect_account(record.owner.account)?;
        let mut counters = self.tables.counters()?;
        let id = counters.next_bucket;
        counters.next_bucket = id.next();
        self.tables.put_counters(&counters)?;
        let state = BucketRecordState::Creating { token };
        self.tables.put_bucket_record(&BucketRecord { id, state, ..record.clone() })?;
        Ok(Answer::BucketReserved(id))
    }

    pub(super) fn publish_bucket(&mut self, id: BucketId, token: Token) -> Result<Answer, Stop> {
        let record = self.bucket_record(id)?;
        match record.state {
            BucketRecordState::Creating { token: of } if of == token => {
                self.put_record_state(record, BucketRecordState::Live)
            }
            BucketRecordState::Live => Ok(Answer::Done),
            _ => Err(Refusal::BucketBusy.into()),
        }
    }

    pub(super) fn begin_bucket_deletion(&mut self, id: BucketId, token: Token) -> Result<Answer, Stop> {
        let record = self.bucket_record(id)?;
        match record.state {
            BucketRecordState::Live => self.put_record_state(record, BucketRecordState::Deleting { token }),
            BucketRecordState::Deleting { token: of } if of == token => Ok(Answer::Done),
            _ => Err(Refusal::BucketBusy.into()),
        }
    }

    /// A record that is gone is what the sender wants.
    pub(super) fn finish_bucket_deletion(&mut self, id: BucketId, token: Token) -> Result<Answer, Stop> {
        let Some(record) = self.tables.bucket_record(id)? else { return Ok(Answer::Done) };
        match record.state {
            BucketRecordState::Deleting { token: of } | BucketRecordState::Creating { token: of } if of == token => {
                if self.tables.has_lifecycle(id)? {
                    self.tables.put_lifecycles_changed(self.stamp)?;
                }
                self.tables.delete_documents(id)?;
                self.tables.delete_bucket_record(&record)?;
                Ok(Answer::Done)
            }
            _ => Err(Refusal::BucketBusy.into()),
        }
    }

    pub(super) fn undo_bucket_deletion(&mut self, id: BucketId, token: Token) -> Result<Answer, Stop> {
        let record = self.bucket_record(id)?;
        match record.state {
            BucketRecordState::Deleting { token: of } if of == token => {
                self.put_record_state(record, BucketRecordState::Live)
            }
            BucketRecordState::Live => Ok(Answer::Done),
            _ => Err(Refusal::BucketBusy.into()),
        }
    }

    pub(super) fn bucket_record(&self, id: BucketId) -> Result<BucketRecord, Stop> {
        Ok(self.tables.bucket_record(id)?.ok_or(Refusal::NoSuchBucket)?)
    }

    fn put_record_state(&self, record: BucketRecord, state: BucketRecordState) -> Result<Answer, Stop> {
        self.tables.put_bucket_record(&BucketRecord { state, ..record })?;
        Ok(Answer::Done)
    }

    pub(super) fn create_bucket_row(&mut self, id: BucketId, config: &BucketConfig) -> Result<Answer, Stop> {
        if let Some(row) = self.bucket_row(id)? {
            return Ok(Answer::BucketRow(row));
        }
        let config = versioned_if_locked(config.clone());
        self.put_bucket_row(BucketRow { id, epoch: BucketEpoch(1), state: BucketState::Live, config })
    }

    /// Versioning that was on is never off again, and object lock stays on: what asks for that is taken as suspended,
    /// and as on. With object lock versioning is enabled, whatever is asked for: a write would replace what is held, or
    /// make versions that nothing can hold.
    pub(super) fn change_bucket_row(&mut self, bucket: BucketAt, config: &BucketConfig) -> Result<Answer, Stop> {
        let row = self.live_bucket(bucket)?;
        let versioning = match (row.config.versioning, config.versioning) {
            (Versioning::Enabled | Versioning::Suspended, Versioning::Off) => Versioning::Suspended,
            (_, wanted) => wanted,
        };
        let object_lock = match config.object_lock {
            ObjectLock::Off if row.config.object_lock.is_on() => ObjectLock::On,
            wanted => wanted,
        };
        let config = versioned_if_locked(BucketConfig { versioning, object_lock });
        self.put_bucket_row(BucketRow { epoch: row.epoch.next(), config, ..row })
    }

    /// What differs from the row of the range in which the bucket begins was left by somebody who went away between two
    /// ranges. A change of settings always raises the epoch: what was decided under the old ones is refused.
    pub(super) fn adopt_bucket_row(&mut self, adopted: &BucketRow) -> Result<Answer, Stop> {
        let row = self.bucket_row(adopted.id)?.ok_or(Refusal::NoSuchBucket)?;
        let differs = row.config != adopted.config;
        if row.epoch > adopted.epoch || (row.epoch == adopted.epoch && !differs) {
            return Ok(Answer::BucketRow(row));
        }
        let epoch = if row.epoch < adopted.epoch { adopted.epoch } else { row.epoch.next() };
        self.put_bucket_row(BucketRow { epoch, config: adopted.config.clone(), ..row })
    }

    /// Nothing can be in a bucket that has no row: it is fenced by that, at epoch 0.
    pub(super) fn fence_bucket(&mut self, id: BucketId) -> Result<Answer, Stop> {
        let Some(row) = self.bucket_row(id)? else {
            return Ok(Answer::Fenced { empty: true, epoch: BucketEpoch(0) });
        };
        let epoch = row.epoch;
        if row.state != BucketState::Fenced {
            self.put_bucket_row(BucketRow { state: BucketState::Fenced, ..row })?;
        }
        Ok(Answer::Fenced { empty: self.is_bucket_empty(id)?, epoch })
    }

    pub(super) fn unfence_bucket(&mut self, id: BucketId) -> Result<Answer, Stop> {
        let row = self.bucket_row(id)?.ok_or(Refusal::NoSuchBucket)?;
        if row.state == BucketState::Live {
            return Ok(Answer::BucketRow(row));
        }
        self.put_bucket_row(BucketRow { epoch: row.epoch.next(), state: BucketState::Live, ..row })
    }

    pub(super) fn drop_bucket_row(&mut self, id: BucketId) -> Result<Answer, Stop> {
        let Some(row) = self.bucket_row(id)? else { return Ok(Answer::Done) };
        if row.state != BucketState::Fenced {
            return Err(Refusal::BucketBusy.into());
        }
        if !self.is_bucket_empty(id)? {
            return Err(Refusal::BucketNotEmpty.into());
        }
        self.forget_followed(id)?;
        self.tables.delete_bucket_row(self.range, id)?;
        self.memory.usage.remove(&(self.range, id));
        self.memory.bucket_rows.insert((self.range, id), None);
        Ok(Answer::Done)
    }

    /// Whether the range has nothing of a bucket: other ranges may, and here their rows may be old.
    fn is_bucket_empty(&self, id: BucketId) -> Result<bool, IndexDatabaseError> {
        self.tables.is_bucket_empty(id, &self.memory.descriptor(self.range).interval)
    }

    /// The row that a write was decided under, if it still stands.
    pub(super) fn live_bucket(&mut self, bucket: BucketAt) -> Result<BucketRow, Stop> {
        match self.bucket_row(bucket.id)? {
            Some(row) if row.epoch == bucket.epoch && row.state == BucketState::Live => Ok(row),
            row if leaves_out("bucket-epoch") => Ok(row.unwrap_or(BucketRow {
                id: bucket.id,
                epoch: bucket.epoch,
                state: BucketState::Live,
                config: BucketConfig::default(),
            })),
            row => Err(Refusal::StaleBucket { row }.into()),
        }
    }

    pub(super) fn bucket_row(&mut self, id: BucketId) -> Result<Option<BucketRow>, Stop> {
        if let Some(row) = self.memory.bucket_rows.get(&(self.range, id)) {
            return Ok(row.clone());
        }
        let row = self.tables.bucket_row(self.range, id)?;
        self.memory.bucket_rows.insert((self.range, id), row.clone());
        Ok(row)
    }

    fn put_bucket_row(&mut self, row: BucketRow) -> Result<Answer, Stop> {
        self.tables.put_bucket_row(self.range, &row)?;
        self.memory.bucket_rows.insert((self.range, row.id), Some(row.clone()));
        Ok(Answer::BucketRow(row))
    }
}

/// Rows with object lock are of feature level 3, as this rule is.
fn versioned_if_locked(config: BucketConfig) -> BucketConfig {
    if config.object_lock.is_on() { BucketConfig { versioning: Versioning::Enabled, ..config } } else { config }
}
