//! Disks as operators name them: by id, or by the directory that the status shows.

use std::path::{Path, absolute};

use admin::AdminError;
use types::{DiskId, Layout};

/// The disk that `text` names: its id, or its directory, as its node was given it, from the root, or its last names where
/// they are no other disk's.
///
/// # Errors
/// [`AdminError::NotFound`]; [`AdminError::Refused`] where several disks have such a directory.
pub(crate) fn named_disk(layout: &Layout, text: &str) -> Result<DiskId, AdminError> {
    if let Ok(id) = text.parse::<DiskId>()
        && layout.disk(id).is_some()
    {
        return Ok(id);
    }
    let named = Path::new(text);
    let is_at = |path: &str| Path::new(path) == named || absolute(path).ok().is_some_and(|path| path == named);
    let ends_so = |path: &str| absolute(path).is_ok_and(|path| path.ends_with(named));
    let found = |fits: &dyn Fn(&str) -> bool| -> Vec<DiskId> {
        layout.disks.iter().filter(|disk| fits(&disk.path)).map(|disk| disk.id).collect()
    };
    let mut disks = found(&is_at);
    if disks.is_empty() && !text.is_empty() {
        disks = found(&ends_so);
    }
    match disks[..] {
        [disk] => Ok(disk),
        [] => Err(AdminError::NotFound(format!(
            "the cluster has no disk {text}: name it by its id or its directory, as `cairn admin status` shows them"
        ))),
        _ => {
            let ids: Vec<String> = disks.iter().map(ToString::to_string).collect();
            Err(AdminError::Refused(format!("several disks are at {text}: name one by its id, {}", ids.join(" or "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Disk, DiskState, NodeId};

    use super::*;

    #[test]
    fn a_disk_is_named_by_its_id_or_its_directory() {
        let id = |number| DiskId::from_bytes([number; 16]);
        let disk = |number, path: &str| Disk {
            id: id(number),
            node: NodeId::from_bytes([1; 16]),
            path: path.to_owned(),
            mount_point: false,
            capacity_bytes: 1,
            state: DiskState::Up,
        };
        let disks = vec![disk(1, "/data/f1"), disk(2, "/data/f2"), disk(3, "f3"), disk(4, "/a/d"), disk(5, "/b/d")];
        let layout = Layout { disks, ..Layout::default() };
        let named = |text: &str| named_disk(&layout, text).ok();
        assert_eq!(named(&id(2).to_string()), Some(id(2)));
        for text in ["/data/f2", "/data/f2/", "f2", "data/f2"] {
            assert_eq!(named(text), Some(id(2)), "{text}");
        }
        let from_root = absolute("f3").expect("a directory is worked in");
        assert_eq!((named("f3"), named(from_root.to_str().expect("UTF-8"))), (Some(id(3)), Some(id(3))));
        assert_eq!(named("/a/d"), Some(id(4)));
        let several = named_disk(&layout, "d").expect_err("two are called so");
        assert!(several.to_string().contains(&id(4).to_string()), "{several}");
        for text in ["", "2", "/f2", "/data", &id(9).to_string()] {
            assert!(matches!(named_disk(&layout, text), Err(AdminError::NotFound(_))), "{text}");
        }
    }
}
