//! What a server says of itself once it serves.

use std::path::PathBuf;

use types::{SecretKey, StorageClass};

use crate::disks::Directories;
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

/// The directories that a server was given, as they were found.
pub(crate) fn disk_summaries(directories: &Directories) -> Vec<DiskSummary> {
    let known = directories.known.iter().map(|known| (&known.path, "up".to_owned()));
    let blank = directories.blank.iter().map(|path| (path, "blank".to_owned()));
    let unusable = directories.unusable.iter().map(|(path, reason)| (path, format!("DOWN: {reason}")));
    known.chain(blank).chain(unusable).map(|(path, state)| DiskSummary { path: path.clone(), state }).collect()
}
