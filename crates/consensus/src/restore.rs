//! Taking the index out of its log, and beginning it anew from what was taken: for the archive.
//!
//! A range's rows and the proposals since are all that it is. A restored index is a new voter with a log
//! of its own, for the old one may have voted, or acknowledged, what the archive doesn't know.

use bytes::Bytes;
use index::{IndexDatabase, IndexSettings, RangeEntry};
use openraft::EntryPayload;
use platform::threads::run_blocking;
use sqlite_vfs::DatabaseLocation;
use telemetry::with_causes;
use types::{RangeId, Timestamp, VoterId};

use crate::encoding::encode_membership;
use crate::error::ConsensusError;
use crate::log::{Disks, voter_directory};
use crate::machine::DatabasePlaces;
use crate::raft_types::{Entry, StoredMembership};
use crate::replicated_index::{RANGES, ReplicatedIndex};
use crate::settings::ConsensusSettings;

/// A proposal as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedProposal {
    /// Its range.
    pub range: RangeId,
    /// Its place in the range's log.
    pub index: u64,
    /// Its bytes, with a version: `index::Proposal::encode`.
    pub bytes: Bytes,
}

/// A stretch of a range's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedProposals {
    /// Its proposals, in order. Entries that change no rows are left out.
    pub proposals: Vec<LoggedProposal>,
    /// The index after the last entry of the stretch: where the next one begins.
    pub next: u64,
}

impl LoggedProposals {
    /// The stretch that begins at `from`; `None` where the log begins later.
    pub(crate) fn of(range: RangeId, from: u64, end: u64, entries: Vec<Entry>) -> Option<Self> {
        match entries.first() {
            None if from >= end => return Some(Self { proposals: Vec::new(), next: from }),
            Some(first) if first.log_id.index == from => {}
            _ => return None,
        }
        let next = entries.last().map_or(from, |last| last.log_id.index + 1);
        let proposal = |entry: Entry| match entry.payload {
            EntryPayload::Normal(proposed) => {
                Some(LoggedProposal { range, index: entry.log_id.index, bytes: proposed.bytes().clone() })
            }
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        };
        Some(Self { proposals: entries.into_iter().filter_map(proposal).collect(), next })
    }
}

impl ReplicatedIndex {
    /// Begins the index anew over a database that was built from an archive, or by other means. Whatever index there was
    /// on these disks is superseded; `built` is left where it is.
    ///
    /// # Errors
    /// [`ConsensusError`]; what there was before is still what counts then, unless the new log had begun.
    pub async fn restore(settings: ConsensusSettings, built: DatabaseLocation) -> Result<Self, ConsensusError> {
        let voter = VoterId::from_bytes(settings.entropy.id());
        let (disks, index, mirrors) = (settings.disks.clone(), settings.index.clone(), settings.log.mirrors.max(1));
        run_blocking(move || place(voter, disks, index, &built, mirrors)).await?;
        let restored = Self::open_as(settings, Some(voter)).await?;
        // The log does not tell the whole story: once its beginning is purged, no start can think so.
        let settled = restored.settle().await;
        settled.map_err(|error| ConsensusError::Database { reason: error.to_string() })?;
        Ok(restored)
    }
}

/// Puts the database on the disks that the log will be mirrored on: without a copy, the loss of one would lose it.
fn place(
    voter: VoterId,
    disks: Disks,
    settings: IndexSettings,
    built: &DatabaseLocation,
    mirrors: usize,
) -> Result<(), ConsensusError> {
    let failed = |reason: String| ConsensusError::Database { reason };
    let mut source = untouched(built, &settings).map_err(failed)?;
    let places = DatabasePlaces::new(voter, disks.clone(), settings);
    let (mut placed, mut reasons) = (0, Vec::new());
    for (id, disk) in &disks {
        if placed == mirrors {
            break;
        }
        let name = if placed == 0 { "index.db" } else { "copy.db" };
        let to = DatabaseLocation { disk: disk.clone(), path: voter_directory(voter).join(name) };
        let prepared = places.prepare(*id).map_err(|error| with_causes(&error));
        match prepared.and_then(|()| source.copy_to(&to).map(drop).map_err(|error| with_causes(&error))) {
            Ok(()) => placed += 1,
            Err(reason) => {
                tracing::error!(disk = %id, reason, "a disk does not take the restored index");
                reasons.push(format!("on disk {id}: {reason}"));
            }
        }
    }
    if placed == 0 { Err(failed(format!("not restored: {}", reasons.join("; ")))) } else { Ok(()) }
}

/// Makes a database one that no log has touched yet.
fn untouched(built: &DatabaseLocation, settings: &IndexSettings) -> Result<IndexDatabase, String> {
    let untouched = |range: RangeId| RangeEntry {
        range,
        applied: Bytes::new(),
        membership: Some(encode_membership(&StoredMembership::default())),
        time: Timestamp(0),
        commands: Vec::new(),
    };
    let mut database = IndexDatabase::open(built.clone(), settings.clone()).map_err(|error| with_causes(&error))?;
    database.apply(&RANGES.map(untouched)).map_err(|error| with_causes(&error))?;
    Ok(database)
}
