//! What the records of an archive file hold: a range's rows, then the proposals since.
//!
//! Format: a version byte, then postcard. A version's meaning never changes; golden bytes are in the tests.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{Timestamp, VoterId};

const VERSION: u8 = 1;

/// One record's payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ArchiveEntry {
    /// A stretch of rows, for `index::IndexDatabase::take_rows`.
    Rows(Bytes),
    /// All rows have been: what follows is log.
    State(StateEnd),
    /// A stretch of the range's log.
    Log(LogStretch),
}

/// How far the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateEnd {
    /// The index after the last entry that is in the rows.
    pub(crate) next: u64,
    /// When they were read: everything that was answered before is in them.
    pub(crate) time: Timestamp,
    /// Bytes of the records of rows.
    pub(crate) state_bytes: u64,
    /// Whose log goes on behind the rows: another voter's may have other entries under the same indexes.
    pub(crate) voter: VoterId,
}

/// A stretch of a range's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogStretch {
    /// The index of its first entry.
    pub(crate) from: u64,
    /// The index after its last.
    pub(crate) next: u64,
    /// When the range was looked at, if the stretch goes as far as the range did then: everything that was answered
    /// before is in it, or in what comes before it.
    pub(crate) complete: Option<Timestamp>,
    /// [`StateEnd::state_bytes`] again, so that the last record says how long the log is.
    pub(crate) state_bytes: u64,
    /// [`StateEnd::voter`] again.
    pub(crate) voter: VoterId,
    /// Index and bytes of its proposals; entries that change no rows have none.
    pub(crate) proposals: Vec<(u64, Bytes)>,
}

/// Bytes that are no entry of a known version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Written by a newer release.
    #[error("archive format {found} is not known to this release, which reads up to {VERSION}")]
    UnknownVersion {
        /// The version byte; 0 for no bytes at all.
        found: u8,
    },
    /// Of a known version, but not well-formed.
    #[error("a record of the archive is malformed")]
    Malformed,
}

impl ArchiveEntry {
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_extend(self, vec![VERSION]).expect("entries hold nothing that postcard refuses").into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        match bytes.split_first() {
            Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
                Ok((entry, [])) => Ok(entry),
                Ok(_) | Err(_) => Err(EntryError::Malformed),
            },
            Some((&found, _)) => Err(EntryError::UnknownVersion { found }),
            None => Err(EntryError::UnknownVersion { found: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes on disks outlive the release that wrote them.
    #[test]
    fn entries_of_version_1_stay_readable() {
        let voter = VoterId::from_bytes([3; 16]);
        let log = LogStretch {
            from: 300,
            next: 302,
            complete: Some(Timestamp(7)),
            state_bytes: 9,
            voter,
            proposals: vec![(301, Bytes::from_static(b"proposal"))],
        };
        for (entry, golden) in [
            (ArchiveEntry::Rows(Bytes::from_static(b"rows")), "01 00 04 726f7773"),
            (
                ArchiveEntry::State(StateEnd { next: 300, time: Timestamp(5), state_bytes: 9, voter }),
                "01 01 ac02 05 09 03030303030303030303030303030303",
            ),
            (
                ArchiveEntry::Log(log),
                "01 02 ac02 ae02 0107 09 03030303030303030303030303030303 01 ad02 08 70726f706f73616c",
            ),
        ] {
            let golden = hex::decode(golden.replace(' ', "")).expect("hex");
            assert_eq!(hex::encode(entry.encode()), hex::encode(&golden));
            assert_eq!(ArchiveEntry::decode(&golden), Ok(entry));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(ArchiveEntry::decode(b""), Err(EntryError::UnknownVersion { found: 0 }));
        assert_eq!(ArchiveEntry::decode(b"\x02\x00"), Err(EntryError::UnknownVersion { found: 2 }));
        assert_eq!(ArchiveEntry::decode(b"\x01\x09"), Err(EntryError::Malformed));
    }
}
