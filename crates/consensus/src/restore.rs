//! Taking the index out of its log, and beginning it anew from what was taken: for the archive.
//!
//! A copy of the database and the proposals since are all that a range is. A restored index is a new voter with a log
//! of its own, for the old one may have voted, or acknowledged, what the archive doesn't know.

use bytes::Bytes;
use index::{IndexDatabase, IndexSettings, Proposal, RangeEntry};
use openraft::EntryPayload;
use sqlite_vfs::DatabaseLocation;
use types::{RangeId, Timestamp, VoterId};

use crate::encoding::{encode_applied, encode_membership};
use crate::error::ConsensusError;
use crate::log::voter_directory;
use crate::machine::{DatabasePlaces, full};
use crate::raft_types::{Entry, StoredMembership, log_id};
use crate::replicated_index::{RANGES, ReplicatedIndex, blocking};
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
    /// Begins the index anew from a copy of its database (none: from nothing) and the proposals since, each range's in
    /// order; those that the copy has already are passed over. Whatever index there was on these disks is superseded.
    ///
    /// # Errors
    /// [`ConsensusError`]; what there was before is still what counts then, unless the new log had begun.
    pub async fn restore(
        settings: ConsensusSettings,
        database: Option<DatabaseLocation>,
        proposals: Vec<LoggedProposal>,
    ) -> Result<Self, ConsensusError> {
        let voter = VoterId::from_bytes(settings.entropy.id());
        let (disks, index) = (settings.disks.clone(), settings.index.clone());
        blocking(move || {
            let mut reasons = Vec::new();
            for (id, disk) in &disks {
                let places = DatabasePlaces::new(voter, disks.clone(), index.clone(), RANGES.to_vec());
                let to = DatabaseLocation { disk: disk.clone(), path: voter_directory(voter).join("index.db") };
                let restored = places.prepare(*id).map_err(|error| full(&error));
                let restored = restored.and_then(|()| restore_at(to, database.as_ref(), &proposals, &index));
                match restored {
                    Ok(()) => return Ok(()),
                    Err(reason) => reasons.push(format!("on disk {id}: {reason}")),
                }
            }
            Err(ConsensusError::Database { reason: format!("not restored: {}", reasons.join("; ")) })
        })
        .await?;
        Self::open_as(settings, Some(voter)).await
    }
}

/// Makes the restored database, durably, as one that no log has touched yet.
fn restore_at(
    to: DatabaseLocation,
    from: Option<&DatabaseLocation>,
    proposals: &[LoggedProposal],
    settings: &IndexSettings,
) -> Result<(), String> {
    let told = |error: index::IndexDatabaseError| full(&error);
    if let Some(from) = from {
        IndexDatabase::open(from.clone(), settings.clone()).and_then(|mut source| source.copy_to(&to)).map_err(told)?;
    }
    let mut database = IndexDatabase::open(to, settings.clone()).map_err(told)?;
    for proposal in proposals {
        let applied = database.applied(proposal.range).map_err(told)?;
        let applied = applied.map(|state| crate::machine::mark_of(&state)).transpose();
        let applied = applied.map_err(|error| error.to_string())?.and_then(|mark| mark.applied);
        if applied.is_some_and(|applied| applied.index >= proposal.index) {
            continue;
        }
        let Proposal { time, commands } = Proposal::decode(&proposal.bytes).map_err(|error| error.to_string())?;
        let applied = encode_applied(&log_id(0, proposal.index));
        let entry = RangeEntry { range: proposal.range, applied, membership: None, time, commands };
        database.apply(&[entry]).map_err(told)?;
    }
    let untouched = |range: RangeId| RangeEntry {
        range,
        applied: Bytes::new(),
        membership: Some(encode_membership(&StoredMembership::default())),
        time: Timestamp(0),
        commands: Vec::new(),
    };
    database.apply(&RANGES.map(untouched)).map_err(told)?;
    let checkpoint = database.checkpoint().map_err(told)?;
    if checkpoint.complete { Ok(()) } else { Err("the restored database could not be checkpointed".to_owned()) }
}
