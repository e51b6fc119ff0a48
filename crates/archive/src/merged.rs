//! Reading one archive file off all disks that have a copy: a record that is damaged or missing on one is read from
//! another.

use std::collections::VecDeque;

use bytes::Bytes;
use shards::{ArchiveFile, ArchiveRecord, ArchiveService};
use types::DiskId;

/// Bytes that are read of a copy at once.
const PAGE_BYTES: u64 = 4 << 20;

/// The records of an archive file, each from whatever copy has it whole.
pub(crate) struct MergedArchive<'a> {
    disks: &'a dyn ArchiveService,
    file: ArchiveFile,
    copies: Vec<Copy>,
    next_seq: u64,
}

struct Copy {
    disk: DiskId,
    position: u64,
    ahead: VecDeque<ArchiveRecord>,
    ended: bool,
}

impl<'a> MergedArchive<'a> {
    /// From the first record on.
    pub(crate) fn new(disks: &'a dyn ArchiveService, file: ArchiveFile, copies: &[DiskId]) -> Self {
        let copy = |disk: &DiskId| Copy { disk: *disk, position: 0, ahead: VecDeque::new(), ended: false };
        Self { disks, file, copies: copies.iter().map(copy).collect(), next_seq: 0 }
    }

    /// The next record's payload; `None` where no copy has it.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        for copy in &mut self.copies {
            if let Some(payload) = copy.take(self.disks, self.file, self.next_seq).await {
                self.next_seq += 1;
                return Some(payload);
            }
        }
        None
    }
}

impl Copy {
    /// The payload of record `seq`, if this copy has it; what comes before is passed over.
    async fn take(&mut self, disks: &dyn ArchiveService, file: ArchiveFile, seq: u64) -> Option<Bytes> {
        loop {
            while let Some(record) = self.ahead.front() {
                if record.seq > seq {
                    return None;
                }
                let record = self.ahead.pop_front()?;
                if record.seq == seq {
                    return record.payload;
                }
            }
            if self.ended {
                return None;
            }
            match disks.read_archive(self.disk, file, self.position, PAGE_BYTES).await {
                Ok(page) if !page.records.is_empty() => {
                    self.position = page.next;
                    self.ahead.extend(page.records);
                }
                Ok(_) => self.ended = true,
                Err(error) => {
                    tracing::warn!(disk = %self.disk, ?file, %error, "a copy of the archive can't be read");
                    self.ended = true;
                }
            }
        }
    }
}
