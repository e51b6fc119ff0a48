//! The directories that a server is given: which are disks of this cluster, which are blank, which are neither.
//!
//! A blank directory is formatted only where that is safe: when all are blank (a new cluster), when the layout has no
//! disk at its path (a new disk), or when it takes the place of a disk that is gone and is a mount point exactly when
//! that one was; else it is *not mounted*.

mod error;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use index::NewerLevel;
use platform::{DirectoryLock, Disk, Entropy, Place, RealDisk};
use shards::superblock::{self, DiskIdentity, Found, SuperblockError};
use telemetry::with_causes;
use types::{ClusterId, DiskId, DiskState, Layout, NodeId};

pub(crate) use error::DisksError;

use crate::levels::noted_level;

/// A directory that is a disk of this cluster.
#[derive(Debug, Clone)]
pub(crate) struct KnownDisk {
    /// Its id.
    pub id: DiskId,
    /// The directory.
    pub path: PathBuf,
    /// Keeps other servers off the directory.
    pub(crate) lock: Arc<DirectoryLock>,
    /// The same, as the stores use it.
    pub disk: Arc<dyn Disk>,
}

/// What a set of directories turned out to be.
#[derive(Debug)]
pub(crate) struct Directories {
    /// The cluster: of the formatted disks, or a new one.
    pub cluster: ClusterId,
    /// The node: of the formatted disks, or a new one.
    pub node: NodeId,
    /// Disks.
    pub known: Vec<KnownDisk>,
    /// Blank directories beside formatted ones: to be judged by the layout.
    pub blank: Vec<PathBuf>,
    /// Directories that cannot be used now, and why: their disks are down.
    pub unusable: Vec<(PathBuf, String)>,
}

/// What a set of directories is, before any of it is changed.
#[derive(Debug)]
pub(crate) struct Looked {
    known: Vec<(PathBuf, Box<superblock::Superblock>)>,
    blank: Vec<PathBuf>,
    unusable: Vec<(PathBuf, String)>,
}

impl Looked {
    /// Looks at all directories.
    ///
    /// # Errors
    /// [`DisksError`]: a set that nobody can have meant, or nothing usable.
    pub(crate) fn at(paths: &[PathBuf]) -> Result<Self, DisksError> {
        check_places(paths)?;
        let mut known: Vec<(PathBuf, Box<superblock::Superblock>)> = Vec::new();
        let (mut blank, mut unusable) = (Vec::new(), Vec::new());
        for path in paths {
            match look(path) {
                Ok(Found::Formatted(superblock)) => known.push((path.clone(), superblock)),
                Ok(Found::Blank) => blank.push(path.clone()),
                Err(error @ DisksError::Superblock { source: SuperblockError::Foreign { .. }, .. }) => {
                    return Err(error);
                }
                Err(error) if paths.len() == 1 => return Err(error),
                Err(error) => unusable.push((path.clone(), with_causes(&error))),
            }
        }
        check_identities(&known)?;
        known.iter().try_for_each(|(_, superblock)| NewerLevel::check(noted_level(superblock)))?;
        Ok(Self { known, blank, unusable })
    }

    /// The cluster and the node that the disks among them belong to; `None` where there is none.
    pub(crate) fn identity(&self) -> Option<(ClusterId, NodeId)> {
        self.known.first().map(|(_, superblock)| (superblock.cluster, superblock.node))
    }

    /// Opens the disks; where there is none, makes and formats all directories as disks of this node.
    ///
    /// # Errors
    /// [`DisksError`].
    pub(crate) fn open(
        self,
        cluster: ClusterId,
        node: NodeId,
        entropy: &dyn Entropy,
    ) -> Result<Directories, DisksError> {
        let Self { known, mut blank, mut unusable } = self;
        let is_single = known.len() + blank.len() + unusable.len() == 1;
        let is_new = known.is_empty();
        let mut disks = Vec::new();
        for (path, superblock) in known {
            let (disk, lock) = open(&path)?;
            disks.push(KnownDisk { id: superblock.disk, path, lock, disk });
        }
        if is_new {
            // All are made and held before the first is formatted.
            let mut held = Vec::new();
            for path in std::mem::take(&mut blank) {
                match make(&path).and_then(|()| open(&path)) {
                    Ok((disk, lock)) => held.push((path, disk, lock)),
                    Err(error @ DisksError::InUse { .. }) => return Err(error),
                    Err(error) if is_single => return Err(error),
                    Err(error) => unusable.push((path, with_causes(&error))),
                }
            }
            for (path, disk, lock) in held {
                disks.push(format_held(path, disk, lock, cluster, node, entropy)?);
            }
        }
        Ok(Directories { cluster, node, known: disks, blank, unusable })
    }
}

impl Directories {
    /// Looks at all directories, and makes and formats them as a new cluster if all are blank or missing.
    ///
    /// # Errors
    /// [`DisksError`]: a set that nobody can have meant, or nothing usable. A set is judged before any of it is changed.
    pub(crate) fn open(paths: &[PathBuf], entropy: &dyn Entropy) -> Result<Self, DisksError> {
        let looked = Looked::at(paths)?;
        let new = || (ClusterId::from_bytes(entropy.id()), NodeId::from_bytes(entropy.id()));
        let (cluster, node) = looked.identity().unwrap_or_else(new);
        looked.open(cluster, node, entropy)
    }
}

/// What to do with a blank directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blank {
    /// Format it as a disk that the layout doesn't have.
    New,
    /// Format it in the place of this disk, and rebuild.
    Replaces(DiskId),
    /// Leave it alone.
    NotMounted(DiskId),
}

/// Judges a blank directory by the layout; `present` are the disks that were found elsewhere.
pub(crate) fn judge_blank(layout: &Layout, node: NodeId, path: &Path, mount_point: bool, present: &[DiskId]) -> Blank {
    let label = path.display().to_string();
    let gone = |disk: &&types::Disk| {
        disk.node == node && disk.path == label && disk.state != DiskState::Out && !present.contains(&disk.id)
    };
    match layout.disks.iter().find(gone) {
        Some(old) if old.mount_point == mount_point => Blank::Replaces(old.id),
        Some(old) => Blank::NotMounted(old.id),
        None => Blank::New,
    }
}

/// Makes a directory where it is missing.
///
/// # Errors
/// [`DisksError::Directory`], [`DisksError::NotOurs`].
pub(crate) fn make(path: &Path) -> Result<(), DisksError> {
    RealDisk::create(path).map(drop).map_err(|source| DisksError::of(path, source))
}

/// Formats a blank directory.
///
/// # Errors
/// [`DisksError::Superblock`].
pub(crate) fn format(
    path: &Path,
    cluster: ClusterId,
    node: NodeId,
    entropy: &dyn Entropy,
) -> Result<KnownDisk, DisksError> {
    let (disk, lock) = open(path)?;
    format_held(path.to_owned(), disk, lock, cluster, node, entropy)
}

fn format_held(
    path: PathBuf,
    disk: Arc<dyn Disk>,
    lock: Arc<DirectoryLock>,
    cluster: ClusterId,
    node: NodeId,
    entropy: &dyn Entropy,
) -> Result<KnownDisk, DisksError> {
    let identity = DiskIdentity { cluster, node, disk: DiskId::from_bytes(entropy.id()) };
    superblock::format(&*disk, identity, entropy).map_err(|source| DisksError::of_superblock(&path, source))?;
    Ok(KnownDisk { id: identity.disk, path, lock, disk })
}

/// Looks at a directory without changing it; a missing one is blank.
///
/// # Errors
/// [`DisksError`].
pub(crate) fn look(path: &Path) -> Result<Found, DisksError> {
    let disk = match RealDisk::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Blank),
        opened => opened.map_err(|source| DisksError::of(path, source))?,
    };
    superblock::inspect(&disk).map_err(|source| DisksError::of_superblock(path, source))
}

fn open(path: &Path) -> Result<(Arc<dyn Disk>, Arc<DirectoryLock>), DisksError> {
    let failed = |source| DisksError::of(path, source);
    let disk = RealDisk::open(path).map_err(failed)?;
    let lock = disk.lock().map_err(|source| match source.kind() {
        io::ErrorKind::ResourceBusy => DisksError::InUse { path: path.to_owned() },
        _ => failed(source),
    })?;
    Ok((Arc::new(disk), Arc::new(lock)))
}

/// The row of a disk in the layout.
///
/// # Errors
/// The disk's, when it cannot say how large it is.
pub(crate) fn layout_row(known: &KnownDisk, node: NodeId) -> io::Result<types::Disk> {
    Ok(types::Disk {
        id: known.id,
        node,
        path: known.path.display().to_string(),
        mount_point: known.disk.is_mount_point()?,
        capacity_bytes: known.disk.space()?.total_bytes,
        state: DiskState::Up,
    })
}

/// A path that leads nowhere is judged when it is looked at.
fn check_places(paths: &[PathBuf]) -> Result<(), DisksError> {
    let mut places: BTreeMap<Place, &PathBuf> = BTreeMap::new();
    for path in paths {
        let Ok(place) = Place::of(path) else { continue };
        if let Some(one) = places.insert(place, path) {
            return Err(DisksError::NamedTwice { one: one.clone(), other: path.clone() });
        }
    }
    for path in paths {
        let Ok(absolute) = std::path::absolute(path) else { continue };
        let around = |outer: &Path| Place::of(outer).ok().and_then(|place| places.get(&place).copied());
        if let Some(outer) = absolute.ancestors().skip(1).find_map(around) {
            return Err(DisksError::Within { inner: path.clone(), outer: outer.clone() });
        }
    }
    Ok(())
}

fn check_identities(known: &[(PathBuf, Box<superblock::Superblock>)]) -> Result<(), DisksError> {
    let Some((_, first)) = known.first() else { return Ok(()) };
    for (at, (path, superblock)) in known.iter().enumerate() {
        if superblock.cluster != first.cluster {
            let (found, expected) = (superblock.cluster, first.cluster);
            return Err(DisksError::OtherCluster { path: path.clone(), found, expected });
        }
        if superblock.node != first.node {
            let (found, expected) = (superblock.node, first.node);
            return Err(DisksError::OtherNode { path: path.clone(), found, expected });
        }
        if let Some((one, _)) = known[..at].iter().find(|(_, earlier)| earlier.disk == superblock.disk) {
            return Err(DisksError::Twice { one: one.clone(), other: path.clone(), disk: superblock.disk });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use platform::SystemEntropy;
    use types::LayoutEpoch;

    use super::*;
    use crate::levels;

    fn paths(root: &Path, count: usize) -> Vec<PathBuf> {
        (1..=count).map(|n| root.join(format!("d{n}"))).collect()
    }

    #[test]
    fn blank_directories_become_one_cluster_and_are_known_again() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path(), 3);
        let open = || Directories::open(&paths, &SystemEntropy);
        let told = |directories: Directories| {
            assert!(directories.blank.is_empty());
            let ids: Vec<DiskId> = directories.known.iter().map(|disk| disk.id).collect();
            (directories.cluster, directories.node, ids)
        };
        let first = told(open().unwrap());
        assert_eq!(told(open().unwrap()), first);
    }

    #[test]
    fn disks_of_a_later_release_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path(), 3);
        let known = Directories::open(&paths[..2], &SystemEntropy).unwrap().known;
        let noted = |level: u32| {
            let file = superblock::SuperblockFile::open(&*known[1].disk).unwrap();
            file.update(|superblock| levels::note(superblock, types::FeatureLevel(level))).unwrap();
        };
        noted(index::FEATURE_LEVEL.0);
        assert!(Looked::at(&paths).is_ok());
        noted(index::FEATURE_LEVEL.0 + 1);
        let refused = Looked::at(&paths).unwrap_err();
        assert!(matches!(refused, DisksError::NewerLevel(_)), "{refused}");
        assert!(refused.to_string().contains("start the release that the other nodes run"), "{refused}");
        assert!(!paths[2].exists(), "nothing was made");
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path(), 2);
        let serving = Directories::open(&paths, &SystemEntropy).unwrap();
        assert!(matches!(Directories::open(&paths, &SystemEntropy), Err(DisksError::InUse { .. })));
        drop(serving);
        assert!(Directories::open(&paths, &SystemEntropy).is_ok());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test plays somebody else")]
    fn a_set_that_is_refused_is_left_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path(), 3);
        std::fs::create_dir(&paths[2]).unwrap();
        std::fs::write(paths[2].join("thesis.tex"), "precious").unwrap();
        assert!(matches!(Directories::open(&paths, &SystemEntropy), Err(DisksError::Superblock { .. })));
        assert!(!paths[0].exists() && !paths[1].exists());
        // A blank directory that somebody holds: the others are not formatted.
        std::fs::create_dir(&paths[1]).unwrap();
        let held = RealDisk::open(&paths[1]).unwrap().lock().unwrap();
        assert!(matches!(Directories::open(&paths[..2], &SystemEntropy), Err(DisksError::InUse { .. })));
        assert!(std::fs::read_dir(&paths[0]).map_or(0, Iterator::count) == 0);
        drop(held);
        assert!(Directories::open(&paths[..2], &SystemEntropy).is_ok());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test plays somebody else")]
    fn a_directory_that_is_named_twice_is_said_to_be() {
        let root = tempfile::tempdir().unwrap();
        let d1 = root.path().join("d1");
        let refusal = |other: PathBuf| {
            let error = Directories::open(&[d1.clone(), other], &SystemEntropy).unwrap_err();
            error.to_string().replace(&format!("{}/", root.path().display()), "")
        };
        assert_eq!(refusal(d1.clone()), "d1 is named twice");
        assert_eq!(refusal(root.path().join("d1/")), "d1 is named twice, the second time as d1/");
        assert!(!d1.exists());
        Directories::open(std::slice::from_ref(&d1), &SystemEntropy).unwrap();
        std::os::unix::fs::symlink("d1", root.path().join("link")).unwrap();
        assert_eq!(refusal(root.path().join("link")), "d1 is named twice, the second time as link");
        assert_eq!(refusal(root.path().join("./d1")), "d1 is named twice, the second time as ./d1");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test plays somebody else")]
    fn a_directory_within_another_is_no_disk_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let [d1, d2] = ["d1", "d2"].map(|name| root.path().join(name));
        std::fs::create_dir(&d2).unwrap();
        std::os::unix::fs::symlink("d2", root.path().join("link")).unwrap();
        for (outer, inner) in [(&d1, d1.join("deep/disk")), (&d2, root.path().join("link/disk"))] {
            for paths in [[outer.clone(), inner.clone()], [inner.clone(), outer.clone()]] {
                let error = Directories::open(&paths, &SystemEntropy).unwrap_err();
                assert!(matches!(&error, DisksError::Within { .. }), "{error}");
            }
        }
        assert!(!d1.exists() && !d2.join("disk").exists());
        Directories::open(&[d1, root.path().join("d10")], &SystemEntropy).unwrap();
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test plays somebody else")]
    fn other_clusters_foreign_folders_and_copies_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path(), 4);
        Directories::open(&paths[..1], &SystemEntropy).unwrap();
        Directories::open(&paths[1..2], &SystemEntropy).unwrap();
        assert!(matches!(Directories::open(&paths[..2], &SystemEntropy), Err(DisksError::OtherCluster { .. })));
        std::fs::create_dir(&paths[2]).unwrap();
        std::fs::write(paths[2].join("thesis.tex"), "precious").unwrap();
        assert!(matches!(Directories::open(&paths[..3], &SystemEntropy), Err(DisksError::Superblock { .. })));
        std::fs::create_dir(&paths[3]).unwrap();
        std::fs::copy(paths[0].join("superblock"), paths[3].join("superblock")).unwrap();
        let copies = [paths[0].clone(), paths[3].clone()];
        assert!(matches!(Directories::open(&copies, &SystemEntropy), Err(DisksError::Twice { .. })));
    }

    #[test]
    fn a_blank_directory_replaces_only_where_it_is_mounted_as_the_old_one_was() {
        let (node, old) = (NodeId::from_bytes([1; 16]), DiskId::from_bytes([2; 16]));
        let disk = types::Disk {
            id: old,
            node,
            path: "/mnt/a".to_owned(),
            mount_point: true,
            capacity_bytes: 1,
            state: DiskState::Down,
        };
        let layout = Layout { epoch: LayoutEpoch(1), disks: vec![disk], ..Layout::default() };
        let judged =
            |path: &str, mounted, present: &[DiskId]| judge_blank(&layout, node, Path::new(path), mounted, present);
        assert_eq!(judged("/mnt/a", true, &[]), Blank::Replaces(old));
        assert_eq!(judged("/mnt/a", false, &[]), Blank::NotMounted(old));
        assert_eq!(judged("/mnt/b", true, &[]), Blank::New);
        assert_eq!(judged("/mnt/a", true, &[old]), Blank::New);
    }

    #[test]
    fn who_may_not_write_is_told_the_command_that_helps() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let (user, group) = platform::process_owner();
        let wanted = format!("run: chown -R {user}:{group} /data");
        let superblock = DisksError::of_superblock(Path::new("/data"), SuperblockError::Io(denied()));
        for error in [DisksError::of(Path::new("/data"), denied()), superblock] {
            assert!(error.to_string().ends_with(&wanted), "{error}");
        }
    }
}
