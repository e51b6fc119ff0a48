//! Answers what other nodes ask of the archive files here.

use std::time::Duration;

use bytes::Bytes;
use platform::MemoryBudget;
use shards::{ARCHIVE_PAYLOAD_BYTES_MAX, ArchiveError, ArchivePage, ArchiveService};

use super::dispatch::{Answered, held};
use crate::encoding::{ArchiveAnswer, ArchiveRequest, CallRefusal, PageRecord, encode};
use crate::wire::BODY_BYTES_MAX;

/// A page has at most about so many bytes, whatever was asked for: the caller reads on after it.
const PAGE_BYTES_MAX: u64 = 4 << 20;
const _: () = assert!(ARCHIVE_PAYLOAD_BYTES_MAX <= BODY_BYTES_MAX, "every record fits a frame");

/// Answers a request whose frame had this body.
///
/// # Errors
/// [`CallRefusal::Busy`].
pub(super) async fn answer(
    archive: &dyn ArchiveService,
    request: ArchiveRequest,
    body: Vec<Bytes>,
    budget: &MemoryBudget,
    patience: Duration,
) -> Result<Answered, CallRefusal> {
    let reserve = async |bytes: u64| budget.reserve(bytes, patience).await.map_err(|_none| CallRefusal::Busy);
    let outcome = match request {
        ArchiveRequest::Append { disk, file, seq } => {
            let bytes = body.iter().map(Bytes::len).sum::<usize>();
            let _in_one_piece = reserve(bytes as u64).await?;
            let payload = Bytes::from(body.concat());
            drop(body);
            archive.append_archive(disk, file, seq, payload).await.map(|()| ArchiveAnswer::Done)
        }
        ArchiveRequest::Read { disk, file, position, bytes_max } => {
            let bytes_max = bytes_max.min(PAGE_BYTES_MAX);
            let mut reservations = vec![reserve(bytes_max).await?];
            let mut page = archive.read_archive(disk, file, position, bytes_max).await;
            // The last record may be long; the first one alone fits.
            if page.as_ref().is_ok_and(|page| bytes_of(page) > BODY_BYTES_MAX as u64) {
                page = archive.read_archive(disk, file, position, 1).await;
            }
            let over = page.as_ref().map_or(0, bytes_of).saturating_sub(bytes_max);
            reservations.push(reserve(over).await?);
            match page {
                Ok(page) => {
                    let (answer, body) = sent(page);
                    return Ok(Answered { payload: encode(&answer), body: held(body, reservations) });
                }
                Err(error) => Err(error),
            }
        }
        ArchiveRequest::List { disk } => archive.archives(disk).await.map(ArchiveAnswer::Listed),
        ArchiveRequest::Drop { disk, file } => archive.drop_archive(disk, file).await.map(|()| ArchiveAnswer::Done),
        ArchiveRequest::Note { disk, set } => archive.note_archive(disk, set).await.map(|()| ArchiveAnswer::Done),
        ArchiveRequest::Sets { disk } => archive.archive_sets(disk).await.map(ArchiveAnswer::Sets),
    };
    let answer = outcome.unwrap_or_else(|error: ArchiveError| ArchiveAnswer::Failed(error));
    Ok(Answered { payload: encode(&answer), body: Vec::new() })
}

fn bytes_of(page: &ArchivePage) -> u64 {
    page.records.iter().filter_map(|record| record.payload.as_ref()).map(|payload| payload.len() as u64).sum()
}

fn sent(page: ArchivePage) -> (ArchiveAnswer, Vec<Bytes>) {
    let lengths = page.records.iter().map(|record| PageRecord {
        seq: record.seq,
        bytes: record.payload.as_ref().map(|payload| payload.len() as u64),
    });
    let answer = ArchiveAnswer::Page { records: lengths.collect(), next: page.next };
    (answer, page.records.into_iter().filter_map(|record| record.payload).collect())
}
