//! Why directories cannot be served.

use std::io;
use std::path::{Path, PathBuf};

use index::NewerLevel;
use shards::superblock::SuperblockError;
use types::{ClusterId, DiskId, NodeId};

/// Why the directories cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DisksError {
    /// A directory cannot be made or read, and there is no other disk.
    #[error("the directory {path} cannot be used")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// This process has no right to write into a directory.
    #[error(
        "the directory {path} cannot be written by this process (user {user}, group {group}); run: chown -R \
         {user}:{group} {path}"
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// The process's user.
        user: u32,
        /// Its group.
        group: u32,
    },
    /// A later release has served them, and this one cannot.
    #[error(transparent)]
    NewerLevel(#[from] NewerLevel),
    /// A directory is no disk and not empty.
    #[error("the directory {path} cannot be used: {source}")]
    Superblock {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: SuperblockError,
    },
    /// Another server has it.
    #[error("the directory {path} is in use by another server")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A directory belongs elsewhere.
    #[error("the directory {path} is a disk of cluster {found}, not of {expected}; take it out or start it by itself")]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// Its cluster.
        found: ClusterId,
        /// The cluster of the others.
        expected: ClusterId,
    },
    /// A directory belongs to another node.
    #[error("the directory {path} is a disk of node {found}, not of {expected}")]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Its node.
        found: NodeId,
        /// The node of the others.
        expected: NodeId,
    },
    /// One directory, named more than once.
    #[error("{one} is named twice{}", other_spelling(one, other))]
    NamedTwice {
        /// As it was named first.
        one: PathBuf,
        /// As it was named then.
        other: PathBuf,
    },
    /// One directory within another: what fails or is deleted as one would count as two.
    #[error("the directory {inner} lies within {outer}: give directories that lie side by side, one for each disk")]
    Within {
        /// The one within.
        inner: PathBuf,
        /// The one around it.
        outer: PathBuf,
    },
    /// A copied directory.
    #[error("the directories {one} and {other} are both disk {disk}: one is a copy of the other; take one out")]
    Twice {
        /// One.
        one: PathBuf,
        /// The other.
        other: PathBuf,
        /// The id of both.
        disk: DiskId,
    },
}

impl DisksError {
    pub(super) fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => {
                let (user, group) = platform::process_owner();
                Self::NotOurs { path, user, group }
            }
            _ => Self::Directory { path, source },
        }
    }

    pub(super) fn of_superblock(path: &Path, source: SuperblockError) -> Self {
        match source {
            SuperblockError::Io(source) if source.kind() == io::ErrorKind::PermissionDenied => Self::of(path, source),
            source => Self::Superblock { path: path.to_owned(), source },
        }
    }
}

fn other_spelling(one: &Path, other: &Path) -> String {
    // Paths compare without their slashes at the end; what was typed is what is shown.
    let same = one.as_os_str() == other.as_os_str();
    if same { String::new() } else { format!(", the second time as {}", other.display()) }
}
