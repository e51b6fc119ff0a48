//! Files and directories as the running process sees them, beside what a power loss would leave of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::dice::{Dice, Fate, Mood};
use super::image::{Change, Image};
use crate::disk::{Create, FileStatus, names_of};

pub(super) type Inode = u64;

const ROOT: Inode = 1;

#[derive(Debug)]
pub(super) struct Tree {
    files: BTreeMap<Inode, File>,
    directories: BTreeMap<Inode, Directory>,
    /// Changes of names since their directory was synced, in the order in which they were made.
    names_pending: Vec<NameChange>,
    next_inode: Inode,
    /// False once the disk's directory itself was deleted.
    root_is_there: bool,
}

#[derive(Debug, Default)]
struct File {
    now: Image,
    /// What a power loss certainly leaves.
    durable: Image,
    /// Changes since the last sync, in order.
    pending: Vec<Change>,
    /// Whether a sync failed, so that `durable` lacks what `now` has though nothing is pending.
    diverged: bool,
    handles: u64,
}

#[derive(Debug, Default)]
struct Directory {
    now: Names,
    durable: Names,
}

type Names = BTreeMap<String, Inode>;

#[derive(Debug, Clone)]
enum NameChange {
    Link {
        directory: Inode,
        name: String,
        inode: Inode,
    },
    Unlink {
        directory: Inode,
        name: String,
    },
    /// Kept or lost as one; durable with the directory of the new name.
    Rename {
        from_directory: Inode,
        from: String,
        directory: Inode,
        to: String,
        inode: Inode,
    },
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            directories: BTreeMap::from([(ROOT, Directory::default())]),
            names_pending: Vec::new(),
            next_inode: ROOT + 1,
            root_is_there: true,
        }
    }

    /// What a power loss leaves of this.
    pub(super) fn after_power_loss(&self, dice: &Dice) -> Self {
        let mood = dice.mood();
        let mut durable: BTreeMap<Inode, Names> =
            self.directories.iter().map(|(&inode, directory)| (inode, directory.durable.clone())).collect();
        for change in &self.names_pending {
            // A name is there or not; nothing of it can be torn.
            let kept = match dice.fate(mood) {
                Fate::Kept => true,
                Fate::Lost => false,
                Fate::Torn => dice.coin(),
            };
            if kept {
                change.apply(&mut durable);
            }
        }
        let directories = durable
            .into_iter()
            .map(|(inode, names)| (inode, Directory { now: names.clone(), durable: names }))
            .collect();
        let files = self.files.iter().map(|(&inode, file)| (inode, file.after_power_loss(dice))).collect();
        let mut tree = Self {
            files,
            directories,
            names_pending: Vec::new(),
            next_inode: self.next_inode,
            root_is_there: self.root_is_there,
        };
        tree.forget_lost_directories();
        tree.forget_unreachable();
        tree
    }

    /// Opens a file and counts the handle.
    pub(super) fn open(&mut self, path: &Path, create: Create) -> io::Result<Inode> {
        let (directory, name) = self.locate(path)?;
        let found = self.directories[&directory].now.get(&name).copied();
        let inode = match (found, create) {
            (Some(_), Create::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) if self.directories.contains_key(&inode) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(inode), _) => inode,
            (None, Create::Never) => return Err(io::ErrorKind::NotFound.into()),
            (None, Create::IfMissing | Create::New) => {
                let inode = self.take_inode();
                self.files.insert(inode, File::default());
                self.link(directory, name, inode);
                inode
            }
        };
        self.file_mut(inode).handles += 1;
        Ok(inode)
    }

    pub(super) fn close(&mut self, inode: Inode) {
        let file = self.file_mut(inode);
        file.handles -= 1;
        if file.handles == 0 {
            self.forget_unreachable();
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_directory, from) = self.locate(from)?;
        let (directory, to) = self.locate(to)?;
        let inode = self.lookup(from_directory, &from)?;
        if let Ok(replaced) = self.lookup(directory, &to) {
            match (self.directories.contains_key(&inode), self.directories.get(&replaced)) {
                _ if inode == replaced => return Ok(()),
                (true, None) => return Err(io::ErrorKind::NotADirectory.into()),
                (false, Some(_)) => return Err(io::ErrorKind::IsADirectory.into()),
                (true, Some(replaced)) if !replaced.now.is_empty() => {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        if self.is_within(directory, inode) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.names_now(from_directory).remove(&from);
        self.names_now(directory).insert(to.clone(), inode);
        self.names_pending.push(NameChange::Rename { from_directory, from, directory, to, inode });
        self.forget_unreachable();
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (directory, name) = self.locate(path)?;
        if self.directories.contains_key(&self.lookup(directory, &name)?) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.names_now(directory).remove(&name);
        self.names_pending.push(NameChange::Unlink { directory, name });
        self.forget_unreachable();
        Ok(())
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        let mut directory = self.root()?;
        for name in names_of(path)? {
            let name = utf8(name)?;
            directory = match self.directories[&directory].now.get(&name).copied() {
                Some(inode) if self.directories.contains_key(&inode) => inode,
                Some(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                None => {
                    let inode = self.take_inode();
                    self.directories.insert(inode, Directory::default());
                    self.link(directory, name, inode);
                    inode
                }
            };
        }
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.directories[&self.find_directory(path)?].now.keys().cloned().collect())
    }

    /// The file or directory under a name; `None` where nothing is.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Inode>> {
        match self.walk(path) {
            Ok(inode) => Ok(Some(inode)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn find_directory(&self, path: &Path) -> io::Result<Inode> {
        let inode = self.walk(path)?;
        if self.directories.contains_key(&inode) { Ok(inode) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    pub(super) fn sync_directory(&mut self, directory: Inode) {
        let (synced, pending) =
            self.names_pending.drain(..).partition(|change: &NameChange| change.directory() == directory);
        self.names_pending = pending;
        self.make_durable(synced);
    }

    /// A sync that failed: each of the directory's changes is durable or never will be, by the dice.
    pub(super) fn fail_sync_directory(&mut self, directory: Inode, dice: &Dice) {
        let (tried, pending): (Vec<_>, _) =
            self.names_pending.drain(..).partition(|change: &NameChange| change.directory() == directory);
        self.names_pending = pending;
        self.make_durable(tried.into_iter().filter(|_| dice.coin()).collect());
    }

    pub(super) fn status(&self, inode: Inode, device: u64) -> FileStatus {
        let image = self.files.get(&inode).map(|file| &file.now);
        FileStatus {
            bytes: image.map_or(0, Image::bytes),
            allocated_bytes: image.map_or(0, Image::allocated_bytes),
            links: self.links(inode),
            device,
            inode,
            is_directory: image.is_none(),
        }
    }

    pub(super) fn read(&self, inode: Inode, buffer: &mut [u8], offset: u64) -> usize {
        self.files[&inode].now.read(buffer, offset)
    }

    pub(super) fn blocks_added_by(&self, inode: Inode, change: &Change) -> u64 {
        self.files[&inode].now.blocks_added_by(change)
    }

    pub(super) fn change(&mut self, inode: Inode, change: Change) {
        let file = self.file_mut(inode);
        file.now.apply(&change);
        file.pending.push(change);
    }

    pub(super) fn sync(&mut self, inode: Inode) {
        self.file_mut(inode).sync();
    }

    /// A sync that failed: each change is durable or never will be, by the dice, though reading still shows it.
    pub(super) fn fail_sync(&mut self, inode: Inode, dice: &Dice) {
        let file = self.file_mut(inode);
        file.durable = survivors(&file.durable, &file.pending, dice);
        file.pending.clear();
        file.diverged = true;
    }

    pub(super) fn flip(&mut self, inode: Inode, offset: u64, mask: u8) -> bool {
        let file = self.file_mut(inode);
        file.durable.flip(offset, mask);
        file.now.flip(offset, mask)
    }

    /// Blocks of all files that have a name or are open, in bytes.
    pub(super) fn used_bytes(&self) -> u64 {
        self.files.values().map(|file| file.now.allocated_bytes()).sum()
    }

    /// Takes all names away, the directory's own too, at once and durably. Open files stay.
    pub(super) fn delete_all(&mut self) {
        self.names_pending.clear();
        self.directories = BTreeMap::from([(ROOT, Directory::default())]);
        self.root_is_there = false;
        self.forget_unreachable();
    }

    /// Puts an empty directory where the deleted one was.
    pub(super) fn restore_root(&mut self) {
        self.root_is_there = true;
    }

    fn walk(&self, path: &Path) -> io::Result<Inode> {
        let mut inode = self.root()?;
        for name in names_of(path)? {
            let directory = self.directories.get(&inode).ok_or(io::ErrorKind::NotADirectory)?;
            inode = *directory.now.get(&utf8(name)?).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    fn root(&self) -> io::Result<Inode> {
        if self.root_is_there { Ok(ROOT) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// The directory of a name that may not be there, and the name.
    fn locate(&self, path: &Path) -> io::Result<(Inode, String)> {
        let name = names_of(path)?.pop().map(utf8).ok_or(io::ErrorKind::IsADirectory)??;
        Ok((self.find_directory(path.parent().unwrap_or(Path::new("")))?, name))
    }

    fn lookup(&self, directory: Inode, name: &str) -> io::Result<Inode> {
        Ok(*self.directories[&directory].now.get(name).ok_or(io::ErrorKind::NotFound)?)
    }

    fn link(&mut self, directory: Inode, name: String, inode: Inode) {
        self.names_now(directory).insert(name.clone(), inode);
        self.names_pending.push(NameChange::Link { directory, name, inode });
    }

    fn links(&self, inode: Inode) -> u64 {
        if inode == ROOT {
            return u64::from(self.root_is_there);
        }
        self.directories
            .values()
            .flat_map(|directory| directory.now.values())
            .filter(|&&linked| linked == inode)
            .count() as u64
    }

    fn is_within(&self, directory: Inode, ancestor: Inode) -> bool {
        directory == ancestor
            || self.directories.get(&ancestor).is_some_and(|names| {
                names
                    .now
                    .values()
                    .any(|&inode| self.directories.contains_key(&inode) && self.is_within(directory, inode))
            })
    }

    fn make_durable(&mut self, changes: Vec<NameChange>) {
        let mut durable: BTreeMap<Inode, Names> = self
            .directories
            .iter_mut()
            .map(|(&inode, directory)| (inode, std::mem::take(&mut directory.durable)))
            .collect();
        for change in &changes {
            change.apply(&mut durable);
            // The old name is gone for good: an entry that was never synced must not bring it back.
            if let NameChange::Rename { from_directory, from, inode, .. } = change {
                self.names_pending.retain(|pending| !pending.links(*from_directory, from, *inode));
            }
        }
        for (inode, names) in durable {
            self.directories.get_mut(&inode).expect("taken from there").durable = names;
        }
        self.forget_unreachable();
    }

    /// Frees files that nothing can reach any more: not by name, not by handle, not after a power loss.
    fn forget_unreachable(&mut self) {
        let mut reachable: BTreeSet<Inode> = self
            .directories
            .values()
            .flat_map(|directory| directory.now.values().chain(directory.durable.values()))
            .copied()
            .collect();
        reachable.extend(self.names_pending.iter().filter_map(NameChange::brings));
        self.files.retain(|inode, file| file.handles > 0 || reachable.contains(inode));
        let named: BTreeSet<Inode> =
            self.directories.values().flat_map(|directory| directory.now.values()).copied().collect();
        for (inode, file) in &mut self.files {
            // Its blocks are free though a power loss may bring the file back; that room isn't ours to count.
            if file.handles == 0 && !named.contains(inode) {
                file.now = Image::default();
            }
        }
    }

    /// Forgets directories whose own name is gone, and so what is in them.
    fn forget_lost_directories(&mut self) {
        let mut named = BTreeSet::from([ROOT]);
        let mut unvisited = vec![ROOT];
        while let Some(inode) = unvisited.pop() {
            let below = self.directories[&inode].now.values().filter(|inode| self.directories.contains_key(inode));
            unvisited.extend(below.copied().filter(|&inode| named.insert(inode)));
        }
        self.directories.retain(|inode, _| named.contains(inode));
    }

    fn names_now(&mut self, directory: Inode) -> &mut Names {
        &mut self.directories.get_mut(&directory).expect("directories are never removed").now
    }

    fn file_mut(&mut self, inode: Inode) -> &mut File {
        self.files.get_mut(&inode).expect("a file stays while it is open")
    }

    fn take_inode(&mut self) -> Inode {
        let inode = self.next_inode;
        self.next_inode += 1;
        inode
    }
}

impl File {
    fn sync(&mut self) {
        for change in &self.pending {
            if self.diverged {
                self.durable.apply(change);
            } else {
                self.durable.take_over(change, &self.now);
            }
        }
        self.pending.clear();
    }

    fn after_power_loss(&self, dice: &Dice) -> Self {
        let durable = survivors(&self.durable, &self.pending, dice);
        Self { now: durable.clone(), durable, ..Self::default() }
    }
}

impl NameChange {
    fn directory(&self) -> Inode {
        match *self {
            Self::Link { directory, .. } | Self::Unlink { directory, .. } | Self::Rename { directory, .. } => directory,
        }
    }

    fn brings(&self) -> Option<Inode> {
        match *self {
            Self::Link { inode, .. } | Self::Rename { inode, .. } => Some(inode),
            Self::Unlink { .. } => None,
        }
    }

    fn links(&self, in_directory: Inode, as_name: &str, to: Inode) -> bool {
        matches!(self, Self::Link { directory, name, inode }
            if *directory == in_directory && name == as_name && *inode == to)
    }

    fn apply(&self, names: &mut BTreeMap<Inode, Names>) {
        const KNOWN: &str = "directories are never removed";
        match self {
            Self::Link { directory, name, inode } => {
                names.get_mut(directory).expect(KNOWN).insert(name.clone(), *inode);
            }
            Self::Unlink { directory, name } => {
                names.get_mut(directory).expect(KNOWN).remove(name);
            }
            Self::Rename { from_directory, from, directory, to, inode } => {
                let old = names.get_mut(from_directory).expect(KNOWN);
                if old.get(from) == Some(inode) {
                    old.remove(from);
                }
                names.get_mut(directory).expect(KNOWN).insert(to.clone(), *inode);
            }
        }
    }
}

fn survivors(durable: &Image, pending: &[Change], dice: &Dice) -> Image {
    let mood: Mood = dice.mood();
    let mut image = durable.clone();
    for change in pending {
        match dice.fate(mood) {
            Fate::Kept => image.apply(change),
            Fate::Lost => {}
            Fate::Torn => image.apply_torn(change, || dice.coin()),
        }
    }
    image.cut();
    image
}

fn utf8(name: &OsStr) -> io::Result<String> {
    name.to_str().map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
