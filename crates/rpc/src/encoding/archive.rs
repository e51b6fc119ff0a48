//! What is asked of a node's archive files. Payloads of records go beside these messages, not in them.

use serde::{Deserialize, Serialize};
use shards::{ArchiveError, ArchiveFile, ArchiveSet, StoredArchive};
use types::DiskId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ArchiveRequest {
    /// The payload is the frame's body.
    Append {
        disk: DiskId,
        file: ArchiveFile,
        seq: u64,
    },
    /// The answer's body is the payloads, one behind the other.
    Read {
        disk: DiskId,
        file: ArchiveFile,
        position: u64,
        bytes_max: u64,
    },
    List {
        disk: DiskId,
    },
    Drop {
        disk: DiskId,
        file: ArchiveFile,
    },
    Note {
        disk: DiskId,
        set: ArchiveSet,
    },
    Sets {
        disk: DiskId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ArchiveAnswer {
    Done,
    Page { records: Vec<PageRecord>, next: u64 },
    Listed(Vec<StoredArchive>),
    Sets(Vec<ArchiveSet>),
    Failed(ArchiveError),
}

/// One record of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageRecord {
    pub(crate) seq: u64,
    /// How many bytes of the body are its payload; `None` for one that can't be read.
    pub(crate) bytes: Option<u64>,
}
