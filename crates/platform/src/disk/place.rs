//! Where a path leads, so that two spellings of one directory can be told from two directories.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Where a path leads. Two paths that lead to one directory, over links, mounts or detours, have equal places; so have
/// two to a directory that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Whereabouts);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whereabouts {
    /// The file system and the number of what is there.
    There { device: u64, inode: u64 },
    /// The path without links and detours of what is not.
    Missing(PathBuf),
}

impl Place {
    /// Follows `path`; changes nothing.
    ///
    /// # Errors
    /// `PermissionDenied` and the like: the operating system does not say where it leads.
    pub fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let (mut known, mut missing) = (path.as_path(), Vec::new());
        let resolved = loop {
            match fs::canonicalize(known) {
                Ok(resolved) => break resolved,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(error) => {
                    missing.push(known.components().next_back().expect("the root is there"));
                    known = known.parent().ok_or(error)?;
                }
            }
        };
        let located = missing.into_iter().rev().fold(resolved, |mut located, name| {
            match name {
                Component::ParentDir => drop(located.pop()),
                name => located.push(name),
            }
            located
        });
        match fs::metadata(&located) {
            Ok(found) => Ok(Self(Whereabouts::There { device: found.dev(), inode: found.ino() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(Whereabouts::Missing(located))),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the one home of the file system")]
    fn spellings_of_one_directory_have_one_place_before_and_after_it_is_made() {
        let root = tempfile::tempdir().unwrap();
        let other = root.path().join("links");
        std::os::unix::fs::symlink(root.path(), &other).unwrap();
        let spellings = ["d1", "d1/", "./d1", "d1/.", "x/../d1", "links/d1", "links/links/d1/"];
        for made in [false, true] {
            let place = |name: &str| Place::of(root.path().join(name)).unwrap();
            for spelling in spellings.iter().filter(|spelling| !made || !spelling.starts_with('x')) {
                assert_eq!(place(spelling), place("d1"), "{spelling}, made: {made}");
            }
            assert_ne!(place("d1"), place("d2"));
            assert_ne!(place("d1"), place("d1/d1"));
            fs::create_dir_all(root.path().join("d1")).unwrap();
        }
    }
}
