//! The archive files of one disk: appended to, read, removed; what their records mean is not known here.
//!
//! One append is under way at a time, and each is synced before the next: of all records, only the last can be torn by
//! a crash. So a damaged payload with a whole record behind it is corruption, and is said so; at the end of the file it
//! was never acknowledged, and is cut.

mod record;

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use platform::{DiskFile, OpenOptions};

use crate::core::{Core, WriteFailure};
use crate::{ARCHIVE_PAYLOAD_BYTES_MAX, ArchiveError, ArchiveFile, ArchivePage, ArchiveRecord, StoredArchive};
use record::{FileKey, HEAD_BYTES, RecordHead, checksum_of, encode_header, name_of, parse_name};

/// The directory of all archive files on a disk.
const DIRECTORY: &str = "archive";

/// The archive files that are being appended to. All calls block.
#[derive(Debug, Default)]
pub(crate) struct ArchiveStore {
    open: Mutex<BTreeMap<ArchiveFile, Tail>>,
}

/// Where a file ends.
#[derive(Debug, Clone)]
struct Tail {
    file: Arc<dyn DiskFile>,
    end: u64,
    next_seq: u64,
    /// The last record's head.
    last: Option<RecordHead>,
}

impl ArchiveStore {
    /// Appends, as [`crate::ArchiveService::append_archive`] says.
    pub(crate) fn append(&self, core: &Core, name: ArchiveFile, seq: u64, payload: &[u8]) -> Result<(), ArchiveError> {
        check(core)?;
        if payload.is_empty() || payload.len() > ARCHIVE_PAYLOAD_BYTES_MAX {
            let reason = format!("a payload of {} bytes, of 1 to {ARCHIVE_PAYLOAD_BYTES_MAX}", payload.len());
            return Err(ArchiveError::Invalid { reason });
        }
        let head = RecordHead::of(seq, payload);
        let mut open = self.open.lock();
        let known = match open.get(&name) {
            Some(tail) => Some(tail.clone()),
            None => find_tail(core, name)?,
        };
        let tail = match known {
            Some(tail) if tail.last == Some(head) => return Ok(()),
            Some(tail) if tail.next_seq == seq => tail,
            None if seq == 0 => create(core, name)?,
            Some(tail) => return Err(out_of_order(seq, tail.next_seq)),
            None => return Err(lost(core, name, "it isn't there")),
        };
        let bytes = (HEAD_BYTES + payload.len()) as u64;
        let written = write(core, name, &tail, &head, payload);
        // What the file holds beyond the end that is kept here is never read, and is written over.
        open.insert(name, tail.clone());
        written?;
        open.insert(name, Tail { end: tail.end + bytes, next_seq: seq + 1, last: Some(head), ..tail });
        Ok(())
    }

    /// Reads, as [`crate::ArchiveService::read_archive`] says.
    pub(crate) fn read(
        core: &Core,
        name: ArchiveFile,
        position: u64,
        bytes_max: u64,
    ) -> Result<ArchivePage, ArchiveError> {
        check(core)?;
        let Some(mut reader) = Reader::open(core, name)? else { return Err(lost(core, name, "it isn't there")) };
        reader.offset = if position == 0 { HEAD_BYTES as u64 } else { position };
        let mut page = ArchivePage { records: Vec::new(), next: reader.offset };
        let mut bytes = 0;
        while bytes < bytes_max || page.records.is_empty() {
            let Some(head) = reader.next() else { break };
            let payload = reader.payload_before(&head);
            bytes += u64::from(head.payload_bytes);
            page.records.push(ArchiveRecord { seq: head.seq, payload });
            page.next = reader.offset;
        }
        Ok(page)
    }

    /// Lists, as [`crate::ArchiveService::archives`] says.
    pub(crate) fn list(core: &Core) -> Result<Vec<StoredArchive>, ArchiveError> {
        check(core)?;
        let names = match core.home.disk.list(Path::new(DIRECTORY)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(down(core, &error.to_string())),
            Ok(names) => names,
        };
        let mut files: Vec<ArchiveFile> = names.iter().filter_map(|name| parse_name(name)).collect();
        files.sort_unstable();
        let mut found = Vec::new();
        for file in files {
            if let Ok(Some(tail)) = find_tail(core, file) {
                let last = tail.last.map_or(0, |head| HEAD_BYTES as u64 + u64::from(head.payload_bytes));
                found.push(StoredArchive { file, records: tail.next_seq, bytes: tail.end, last: tail.end - last });
            }
        }
        Ok(found)
    }

    /// Removes, as [`crate::ArchiveService::drop_archive`] says.
    pub(crate) fn remove(&self, core: &Core, name: ArchiveFile) -> Result<(), ArchiveError> {
        check(core)?;
        self.open.lock().remove(&name);
        match core.home.disk.remove(&path_of(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(down(core, &error.to_string())),
            _ => Ok(()),
        }
    }
}

fn path_of(name: ArchiveFile) -> PathBuf {
    Path::new(DIRECTORY).join(name_of(name))
}

fn check(core: &Core) -> Result<(), ArchiveError> {
    Ok(core.health.check()?)
}

fn down(core: &Core, reason: &str) -> ArchiveError {
    core.health.take_down(reason);
    ArchiveError::DiskDown { disk: core.home.disk_id, reason: reason.to_owned() }
}

fn lost(core: &Core, file: ArchiveFile, reason: &str) -> ArchiveError {
    ArchiveError::Lost { disk: core.home.disk_id, file, reason: reason.to_owned() }
}

fn out_of_order(seq: u64, expected: u64) -> ArchiveError {
    ArchiveError::Invalid { reason: format!("record {seq}, where record {expected} is the next") }
}

fn failed(core: &Core, failure: WriteFailure) -> ArchiveError {
    match failure {
        WriteFailure::Full => ArchiveError::DiskFull { disk: core.home.disk_id },
        WriteFailure::Failed(reason) => down(core, &reason),
    }
}

/// Makes an empty file whose name is durable. What a crash left of one that had begun is written over.
fn create(core: &Core, name: ArchiveFile) -> Result<Tail, ArchiveError> {
    let create = || -> Result<Tail, WriteFailure> {
        core.check_in_place()?;
        let disk = &core.home.disk;
        disk.create_directory(Path::new(DIRECTORY))?;
        disk.sync_directory(Path::new(""))?;
        let file = disk.open(&path_of(name), OpenOptions::CREATE)?;
        file.set_len(0)?;
        let key = FileKey::new(&core.home.secret, name);
        file.write_all_at(&[IoSlice::new(&encode_header(&key, core.home.disk_id, name))], 0)?;
        file.sync_data()?;
        disk.sync_directory(Path::new(DIRECTORY))?;
        Ok(Tail { file, end: HEAD_BYTES as u64, next_seq: 0, last: None })
    };
    create().map_err(|failure| failed(core, failure))
}

fn write(core: &Core, name: ArchiveFile, tail: &Tail, head: &RecordHead, payload: &[u8]) -> Result<(), ArchiveError> {
    let bytes = (HEAD_BYTES + payload.len()) as u64;
    let key = FileKey::new(&core.home.secret, name);
    let write = || -> Result<bool, WriteFailure> {
        if !core.has_room(bytes)? {
            return Err(WriteFailure::Full);
        }
        let head = head.encode(&key, tail.end);
        tail.file.write_all_at(&[IoSlice::new(&head), IoSlice::new(payload)], tail.end)?;
        tail.file.sync_data()?;
        core.check_in_place()?;
        Ok(tail.file.status()?.links > 0)
    };
    match write() {
        Ok(true) => Ok(()),
        // The disk is as it was, but somebody has deleted the file.
        Ok(false) => Err(lost(core, name, "its name is gone")),
        Err(failure) => Err(failed(core, failure)),
    }
}

/// Finds where a file ends; `None` when there is none, or only its beginning.
fn find_tail(core: &Core, name: ArchiveFile) -> Result<Option<Tail>, ArchiveError> {
    let Some(mut reader) = Reader::open(core, name)? else { return Ok(None) };
    let mut tail = Tail { file: reader.file.clone(), end: HEAD_BYTES as u64, next_seq: 0, last: None };
    let mut before = tail.clone();
    while let Some(head) = reader.next() {
        before = tail;
        tail = Tail { file: reader.file.clone(), end: reader.offset, next_seq: head.seq + 1, last: Some(head) };
    }
    // Only the last one's payload is read: others were durable before the next was begun.
    Ok(Some(match &tail.last {
        Some(head) if reader.payload_before(head).is_none() => before,
        _ => tail,
    }))
}

/// Reads a file's records one after the other.
struct Reader {
    file: Arc<dyn DiskFile>,
    key: FileKey,
    offset: u64,
    bytes: u64,
    /// The number that the next record has, once one was read.
    next_seq: Option<u64>,
}

impl Reader {
    fn open(core: &Core, name: ArchiveFile) -> Result<Option<Self>, ArchiveError> {
        let unreadable = |error: io::Error| lost(core, name, &error.to_string());
        let file = match core.home.disk.open(&path_of(name), OpenOptions::EXISTING) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(unreadable)?,
        };
        let bytes = file.status().map_err(unreadable)?.bytes;
        let key = FileKey::new(&core.home.secret, name);
        let mut header = [0; HEAD_BYTES];
        let read = file.read_at(&mut header, 0).map_err(unreadable)?;
        if read < HEAD_BYTES || header != encode_header(&key, core.home.disk_id, name) {
            // A file that a crash left before its header was durable holds no record either.
            return Ok(None);
        }
        Ok(Some(Self { file, key, offset: HEAD_BYTES as u64, bytes, next_seq: None }))
    }

    /// The next record's head; passes over its payload. `None` where no record follows.
    fn next(&mut self) -> Option<RecordHead> {
        let mut head = [0; HEAD_BYTES];
        let read = self.file.read_at(&mut head, self.offset).ok()?;
        let head = (read == HEAD_BYTES).then(|| RecordHead::decode(&head, &self.key, self.offset)).flatten()?;
        let end = self.offset + HEAD_BYTES as u64 + u64::from(head.payload_bytes);
        if end > self.bytes || self.next_seq.is_some_and(|expected| expected != head.seq) {
            return None;
        }
        self.offset = end;
        self.next_seq = Some(head.seq + 1);
        Some(head)
    }

    /// The payload of the record that was passed over last, if it is what was written.
    fn payload_before(&self, head: &RecordHead) -> Option<Bytes> {
        let mut payload = vec![0; head.payload_bytes as usize];
        let read = self.file.read_at(&mut payload, self.offset - u64::from(head.payload_bytes)).ok()?;
        (read == payload.len() && checksum_of(&payload) == head.checksum).then(|| payload.into())
    }
}
