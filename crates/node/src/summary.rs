//! What a server says of itself once it serves.

use std::path::PathBuf;

use types::{Disk, DiskState, Layout, SecretKey, StorageClass};

use crate::disks::{Directories, KnownDisk};
use crate::protection::Protection;

/// What a server says of itself once it serves.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The cluster's id.
    pub cluster: String,
    /// The disks.
    pub disks: Vec<DiskSummary>,
    /// How objects that name no storage class are protected.
    pub protection: Protection,
    /// What cannot be read now, and which disks to bring back.
    pub unreadable: Option<String>,
    /// How objects of the other storage classes are.
    pub classes: Vec<(StorageClass, Protection)>,
    /// Where S3 is served.
    pub endpoint: Option<String>,
    /// Where admin is served.
    pub admin_endpoint: String,
    /// The region that signatures may name; any where none is set, and then the one that clients take by themselves.
    pub region: String,
    /// The root key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretKey,
    /// A file that has both.
    pub credential_file: Option<PathBuf>,
}

/// One directory of a server.
#[derive(Debug, Clone)]
pub struct DiskSummary {
    /// The directory.
    pub path: PathBuf,
    /// `up`, or why it isn't.
    pub state: String,
}

/// The directories that a server was given, as they were found, and the disks of the node that are in none of them.
pub(crate) fn disk_summaries(directories: &Directories, layout: &Layout) -> Vec<DiskSummary> {
    let state_of = |known: &KnownDisk| match layout.disk_state(known.id) {
        DiskState::Up => "up".to_owned(),
        DiskState::Down => {
            format!("DOWN: it failed before; if it works again: cairn admin readmit {}", known.path.display())
        }
        DiskState::Draining => "draining".to_owned(),
        DiskState::Out => "out".to_owned(),
    };
    let known = directories.known.iter().map(|known| (known.path.clone(), state_of(known)));
    let blank = directories.blank.iter().map(|path| (path.clone(), "blank".to_owned()));
    let unusable = directories.unusable.iter().map(|(path, reason)| (path.clone(), format!("DOWN: {reason}")));
    let named: Vec<(PathBuf, String)> = known.chain(blank).chain(unusable).collect();
    let is_named = |row: &Disk| {
        let is_known = directories.known.iter().any(|known| known.id == row.id);
        is_known || named.iter().any(|(path, _)| path.display().to_string() == row.path)
    };
    let is_missed = |row: &&Disk| row.node == directories.node && row.state == DiskState::Down && !is_named(row);
    let missed = layout.disks.iter().filter(is_missed);
    let missed = missed.map(|row| (PathBuf::from(&row.path), "DOWN: it is not among the directories named".to_owned()));
    let missed: Vec<_> = missed.collect();
    named.into_iter().chain(missed).map(|(path, state)| DiskSummary { path, state }).collect()
}
