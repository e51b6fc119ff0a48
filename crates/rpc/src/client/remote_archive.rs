//! The archive files on other nodes' disks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use shards::{
    ARCHIVE_PAYLOAD_BYTES_MAX, ArchiveError, ArchiveFile, ArchivePage, ArchiveRecord, ArchiveService, ArchiveSet,
    StoredArchive,
};
use types::DiskId;

use super::disk_calls::{DiskCall, DiskCalls, NoAnswer};
use super::{Directory, RpcClient};
use crate::RpcSettings;
use crate::encoding::{ArchiveAnswer, ArchiveRequest, PageRecord, Service, decode, encode};
use crate::handshake::Lane;
use crate::wire::Reply;

/// The archive files of all nodes that the directory knows. What may have been done is not repeated here: whoever
/// appends may do so, for a record that is there already is not written twice.
pub struct RemoteArchive {
    calls: DiskCalls,
}

impl RemoteArchive {
    /// Goes by this directory.
    pub fn new(client: RpcClient, directory: Arc<dyn Directory>) -> Self {
        Self { calls: DiskCalls { client, directory } }
    }

    fn settings(&self) -> &RpcSettings {
        self.calls.client.settings()
    }

    async fn ask(
        &self,
        disk: DiskId,
        request: ArchiveRequest,
        body: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<(ArchiveAnswer, Vec<Bytes>), ArchiveError> {
        let lane = lane_of(&request);
        let call = DiskCall { disk, service: Service::Archive, lane, payload: encode(&request), body, timeout };
        let read = |Reply { payload, body }| match decode::<ArchiveAnswer>(&payload) {
            Ok(ArchiveAnswer::Failed(ArchiveError::UnknownDisk { disk: unknown })) if unknown == disk => {
                Err(NoAnswer::NotThere)
            }
            Ok(answer) => Ok((answer, body)),
            Err(error) => Err(NoAnswer::Unreachable(error.to_string())),
        };
        match self.calls.ask(&call, read).await {
            Ok((ArchiveAnswer::Failed(error), _)) => Err(error),
            Ok(answer) => Ok(answer),
            Err(NoAnswer::NotThere) => Err(ArchiveError::UnknownDisk { disk }),
            Err(none) => Err(ArchiveError::Unreachable { disk, reason: none.reason() }),
        }
    }

    async fn change(&self, disk: DiskId, request: ArchiveRequest, body: Vec<Bytes>) -> Result<(), ArchiveError> {
        match self.ask(disk, request, body, self.settings().append_timeout).await? {
            (ArchiveAnswer::Done, _) => Ok(()),
            _ => Err(misanswered(disk)),
        }
    }
}

fn lane_of(request: &ArchiveRequest) -> Lane {
    match request {
        ArchiveRequest::Append { .. } | ArchiveRequest::Read { .. } => Lane::Bulk,
        ArchiveRequest::List { .. }
        | ArchiveRequest::Drop { .. }
        | ArchiveRequest::Note { .. }
        | ArchiveRequest::Sets { .. } => Lane::Small,
    }
}

fn misanswered(disk: DiskId) -> ArchiveError {
    ArchiveError::Unreachable { disk, reason: "the node answered another question".to_owned() }
}

/// Cuts a body into the payloads of a page's records; `None` where the lengths don't fit it.
fn records_of(page: Vec<PageRecord>, body: Vec<Bytes>) -> Option<Vec<ArchiveRecord>> {
    let mut left = body.iter().try_fold(0usize, |sum, piece| sum.checked_add(piece.len()))?;
    let mut pieces = body.into_iter();
    let mut piece = Bytes::new();
    let mut records = Vec::new();
    for PageRecord { seq, bytes } in page {
        let Some(bytes) = bytes else {
            records.push(ArchiveRecord { seq, payload: None });
            continue;
        };
        let bytes = usize::try_from(bytes).ok()?;
        left = left.checked_sub(bytes)?;
        let mut payload = Vec::with_capacity(bytes);
        while payload.len() < bytes {
            if piece.is_empty() {
                piece = pieces.next()?;
            }
            let taken = piece.len().min(bytes - payload.len());
            payload.extend_from_slice(&piece[..taken]);
            piece.advance(taken);
        }
        records.push(ArchiveRecord { seq, payload: Some(payload.into()) });
    }
    (left == 0).then_some(records)
}

#[async_trait]
impl ArchiveService for RemoteArchive {
    async fn append_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        seq: u64,
        payload: Bytes,
    ) -> Result<(), ArchiveError> {
        if payload.len() > ARCHIVE_PAYLOAD_BYTES_MAX {
            let reason = format!("a payload of {} bytes, of 1 to {ARCHIVE_PAYLOAD_BYTES_MAX}", payload.len());
            return Err(ArchiveError::Invalid { reason });
        }
        let body = if payload.is_empty() { Vec::new() } else { vec![payload] };
        self.change(disk, ArchiveRequest::Append { disk, file, seq }, body).await
    }

    async fn read_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        position: u64,
        bytes_max: u64,
    ) -> Result<ArchivePage, ArchiveError> {
        let request = ArchiveRequest::Read { disk, file, position, bytes_max };
        let answered = self.ask(disk, request, Vec::new(), self.settings().read_timeout).await?;
        let (ArchiveAnswer::Page { records, next }, body) = answered else { return Err(misanswered(disk)) };
        let records = records_of(records, body).ok_or_else(|| misanswered(disk))?;
        Ok(ArchivePage { records, next })
    }

    async fn archives(&self, disk: DiskId) -> Result<Vec<StoredArchive>, ArchiveError> {
        match self.ask(disk, ArchiveRequest::List { disk }, Vec::new(), self.settings().read_timeout).await? {
            (ArchiveAnswer::Listed(archives), _) => Ok(archives),
            _ => Err(misanswered(disk)),
        }
    }

    async fn drop_archive(&self, disk: DiskId, file: ArchiveFile) -> Result<(), ArchiveError> {
        self.change(disk, ArchiveRequest::Drop { disk, file }, Vec::new()).await
    }

    async fn note_archive(&self, disk: DiskId, set: ArchiveSet) -> Result<(), ArchiveError> {
        self.change(disk, ArchiveRequest::Note { disk, set }, Vec::new()).await
    }

    async fn archive_sets(&self, disk: DiskId) -> Result<Vec<ArchiveSet>, ArchiveError> {
        match self.ask(disk, ArchiveRequest::Sets { disk }, Vec::new(), self.settings().read_timeout).await? {
            (ArchiveAnswer::Sets(sets), _) => Ok(sets),
            _ => Err(misanswered(disk)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_by_its_lengths_and_by_no_others() {
        let body = || vec![Bytes::from_static(b"ab"), Bytes::from_static(b"cde")];
        let page = |lengths: &[Option<u64>]| {
            (0..).zip(lengths).map(|(seq, bytes)| PageRecord { seq, bytes: *bytes }).collect::<Vec<_>>()
        };
        let record =
            |seq, payload: Option<&'static [u8]>| ArchiveRecord { seq, payload: payload.map(Bytes::from_static) };
        assert_eq!(
            records_of(page(&[Some(1), None, Some(3), Some(1)]), body()),
            Some(vec![record(0, Some(b"a")), record(1, None), record(2, Some(b"bcd")), record(3, Some(b"e"))])
        );
        for lengths in [&[Some(4)][..], &[Some(6)], &[Some(5), Some(1)], &[Some(u64::MAX)], &[]] {
            assert_eq!(records_of(page(lengths), body()), None, "{lengths:?}");
        }
    }
}
