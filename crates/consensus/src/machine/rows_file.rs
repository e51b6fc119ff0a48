//! A file of all rows of a range as they are in one read transaction: how a snapshot gets from one voter to another.
//!
//! After the magic come records, each a kind, a length, a CRC32C and a payload: stretches of rows, as `index` gives them,
//! then the end, which says of which entry they are. Without its end a file is nothing.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use index::{AppliedState, IndexReader};
use platform::DiskFile;
use serde::{Deserialize, Serialize};
use telemetry::with_causes;
use types::{RangeDescriptor, RangeId};

use super::{Mark, mark_of};
use crate::encoding::{LogIdForm, decode, decode_membership, encode, encode_membership};

const MAGIC: &[u8; 8] = b"CAIRNROW";
/// Kind, length, CRC32C.
const HEAD_BYTES: usize = 9;
const STRETCH: u8 = 1;
const END: u8 = 2;
/// About how long a stretch is; one row may be longer.
const STRETCH_BYTES: usize = 256 << 10;
/// No record is longer.
const RECORD_BYTES_MAX: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
struct EndForm {
    range: u64,
    last: LogIdForm,
    membership: Bytes,
    stretches: u64,
}

/// A record of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RowsRecord {
    /// For `index::IndexDatabase::install_rows`.
    Stretch(Vec<u8>),
    /// Nothing follows.
    End,
}

/// Writes the rows of a range into a file that is empty; returns how long it is. Blocks.
///
/// # Errors
/// What can't be read or written.
pub(crate) fn write_rows(reader: &mut IndexReader, range: RangeId, file: &dyn DiskFile) -> Result<u64, String> {
    let mut end = 0;
    let mut failed = None;
    let mut stretches = 0;
    let write = |kind: u8, payload: &[u8], end: &mut u64| {
        let written = file.write_all_at(&[IoSlice::new(&head_of(kind, payload)), IoSlice::new(payload)], *end);
        *end += (HEAD_BYTES + payload.len()) as u64;
        written
    };
    file.write_all_at(&[IoSlice::new(MAGIC)], 0).map_err(|error| error.to_string())?;
    end += MAGIC.len() as u64;
    let mut take = |stretch: Vec<u8>| match write(STRETCH, &stretch, &mut end) {
        Ok(()) => {
            stretches += 1;
            std::ops::ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error.to_string());
            std::ops::ControlFlow::Break(())
        }
    };
    let state = reader.range_rows(range, STRETCH_BYTES, &mut take).map_err(|error| with_causes(&error))?;
    let Some(state) = state else { return Err(failed.unwrap_or_default()) };
    let end_record = end_record(range, &state, stretches)?;
    write(END, &end_record, &mut end).map_err(|error| error.to_string())?;
    Ok(end)
}

fn end_record(range: RangeId, state: &AppliedState, stretches: u64) -> Result<Bytes, String> {
    let mark = mark_of(state).map_err(|error| error.to_string())?;
    let applied = mark.applied.ok_or("nothing of the range has been applied here")?;
    let membership = encode_membership(&mark.membership);
    Ok(encode(&EndForm { range: range.0, last: LogIdForm::of(&applied), membership, stretches }))
}

fn head_of(kind: u8, payload: &[u8]) -> [u8; HEAD_BYTES] {
    let length = u32::try_from(payload.len()).expect("records are shorter than 4 GiB").to_le_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&[kind]), &length), payload);
    let mut head = [0; HEAD_BYTES];
    head[0] = kind;
    head[1..5].copy_from_slice(&length);
    head[5..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// Reads a file of rows from its beginning.
pub(crate) struct RowsReader {
    file: Arc<dyn DiskFile>,
    offset: u64,
}

impl RowsReader {
    /// # Errors
    /// It is no file of rows.
    pub(crate) fn new(file: Arc<dyn DiskFile>) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        read_exactly(&*file, &mut magic, 0)?;
        if &magic != MAGIC {
            return Err(damaged("it is no file of rows"));
        }
        Ok(Self { file, offset: MAGIC.len() as u64 })
    }

    /// The next record, and its payload.
    ///
    /// # Errors
    /// It is damaged, or not there.
    pub(crate) fn next(&mut self) -> io::Result<RowsRecord> {
        let (kind, payload) = self.record()?;
        match kind {
            STRETCH => Ok(RowsRecord::Stretch(payload)),
            END => Ok(RowsRecord::End),
            other => Err(damaged(&format!("kind {other} is not known"))),
        }
    }

    fn record(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; HEAD_BYTES];
        read_exactly(&*self.file, &mut head, self.offset)?;
        let length = u32::from_le_bytes(head[1..5].try_into().expect("4 bytes")) as usize;
        if length > RECORD_BYTES_MAX {
            return Err(damaged("a record is too long"));
        }
        let mut payload = vec![0; length];
        read_exactly(&*self.file, &mut payload, self.offset + HEAD_BYTES as u64)?;
        if head_of(head[0], &payload) != head {
            return Err(damaged("a record's CRC is wrong"));
        }
        self.offset += (HEAD_BYTES + length) as u64;
        Ok((head[0], payload))
    }
}

/// Reads a file through, and says how far the range is in its rows.
///
/// # Errors
/// It is damaged, has no end, or another range's rows.
pub(crate) fn check_rows(file: &Arc<dyn DiskFile>, range: RangeId) -> io::Result<Mark> {
    let mut reader = RowsReader::new(file.clone())?;
    let mut stretches = 0;
    let payload = loop {
        match reader.record()? {
            (STRETCH, _) => stretches += 1,
            (END, payload) => break payload,
            (other, _) => return Err(damaged(&format!("kind {other} is not known"))),
        }
    };
    let end: EndForm = decode("end of rows", &payload).map_err(io::Error::other)?;
    if end.range != range.0 || end.stretches != stretches || stretches == 0 {
        return Err(damaged("its end does not fit it"));
    }
    let membership = decode_membership(&end.membership).map_err(io::Error::other)?;
    Ok(Mark { applied: Some(end.last.into_log_id()), membership, installing: None })
}

/// Which places a range has by its file of rows; `None` for the system range.
///
/// # Errors
/// It can't be read.
pub(crate) fn places_in(file: &Arc<dyn DiskFile>, range: RangeId) -> io::Result<Option<RangeDescriptor>> {
    match RowsReader::new(file.clone())?.next()? {
        RowsRecord::Stretch(stretch) => index::descriptor_in(&stretch, range).map_err(io::Error::other),
        RowsRecord::End => Ok(None),
    }
}

fn read_exactly(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(())
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use index::{FIRST_DATA_RANGE, IndexDatabase, IndexSettings, RangeEntry, SYSTEM_RANGE};
    use platform::{Disk, FaultyDisk, OpenOptions};
    use sqlite_vfs::DatabaseLocation;
    use types::Timestamp;

    use super::*;
    use crate::encoding::encode_applied;
    use crate::raft_types::{StoredMembership, log_id};
    use crate::testing::assert_golden;

    fn written() -> (FaultyDisk, Arc<dyn DiskFile>, u64) {
        let disk = FaultyDisk::new(1);
        let location = DatabaseLocation { disk: Arc::new(disk.clone()), path: "index.db".into() };
        let mut database = IndexDatabase::open(location, IndexSettings::default()).expect("made");
        let entry = RangeEntry {
            range: FIRST_DATA_RANGE,
            applied: encode_applied(&log_id(3, 400)),
            membership: Some(encode_membership(&StoredMembership::default())),
            time: Timestamp(5),
            commands: vec![index::contract::samples::plain(index::CommandBody::CreateBucketRow {
                id: types::BucketId(7),
                config: index::command::BucketConfig::default(),
            })],
        };
        database.apply(&[entry]).expect("applied");
        let file = disk.open(Path::new("rows"), OpenOptions::CREATE).expect("made");
        let mut reader = database.reader().expect("a reader");
        let bytes = write_rows(&mut reader, FIRST_DATA_RANGE, &*file).expect("written");
        (disk, file, bytes)
    }

    #[test]
    fn a_file_of_rows_stays_as_it_was_first_written() {
        let (_disk, file, bytes) = written();
        let mut content = vec![0; usize::try_from(bytes).expect("short")];
        read_exactly(&*file, &mut content, 0).expect("read");
        assert_golden("rows_file.bin", &content);
        let mark = check_rows(&file, FIRST_DATA_RANGE).expect("whole");
        assert_eq!(mark.applied, Some(log_id(3, 400)));
        assert!(check_rows(&file, SYSTEM_RANGE).is_err());
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused() {
        let (_disk, file, bytes) = written();
        for offset in 0..bytes {
            let mut byte = [0];
            read_exactly(&*file, &mut byte, offset).expect("read");
            file.write_all_at(&[IoSlice::new(&[byte[0] ^ 0x10])], offset).expect("changed");
            assert!(check_rows(&file, FIRST_DATA_RANGE).is_err(), "byte {offset}");
            file.write_all_at(&[IoSlice::new(&byte)], offset).expect("changed back");
        }
        check_rows(&file, FIRST_DATA_RANGE).expect("whole again");
        file.set_len(bytes - 1).expect("cut");
        assert!(check_rows(&file, FIRST_DATA_RANGE).is_err());
    }
}
