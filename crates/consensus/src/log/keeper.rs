//! The thread that looks after the mirrors: prepares segments, removes what is no longer needed, builds a mirror where
//! one is missing, moves one away from a full disk, and tells the other disks which mirrors count.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::bounded;
use platform::threads;
use platform::{Disk, DiskFile};
use types::DiskId;

use super::mirror::{MirrorDisk, segment_number};
use super::record::SegmentHeader;
use super::scan::scan_segment;
use super::shared::{Shared, wait_for_flag};
use super::writer::{Control, SPARES_FROM_BYTES};

/// How often it looks without being called: space comes and goes unannounced.
const ROUND: Duration = Duration::from_secs(2);
/// After so many rounds a disk on which no mirror could be built is tried again.
const ROUNDS_UNTIL_RETRY: u32 = 15;
/// After so many rounds, six hours, every segment is read through again.
const ROUNDS_PER_VERIFICATION: u32 = 6 * 60 * 60 / ROUND.as_secs() as u32;
/// How many segments of either size a mirror has prepared.
const SPARES: usize = 1;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// The generation that the other disks were told.
    told: Option<(u64, Vec<DiskId>)>,
    /// Disks on which no mirror could be built, and for how many rounds they are left alone.
    avoided: BTreeMap<DiskId, u32>,
    spare_names: u64,
    /// Segments that were read through on a disk, and rounds until all are read again.
    verified: BTreeSet<(DiskId, u64)>,
    rounds_until_verified_again: u32,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            told: None,
            avoided: BTreeMap::new(),
            spare_names: 0,
            verified: BTreeSet::new(),
            rounds_until_verified_again: ROUNDS_PER_VERIFICATION,
        }
    }

    /// Goes its rounds until the log is closed or fails.
    pub(super) fn run(mut self) {
        while !self.shared.is_over() {
            self.tell_others();
            self.remove_segments();
            self.build_missing();
            let full = self.prepare_spares();
            self.move_from(full);
            self.leave_disks();
            self.verify_one();
            self.avoided.retain(|_, rounds| {
                *rounds -= 1;
                *rounds > 0
            });
            wait_for_flag(&self.shared.keeper_due, &self.shared.wake_keeper, ROUND);
        }
    }

    fn mirrors(&self) -> Vec<Arc<MirrorDisk>> {
        self.shared.mirrors.lock().clone()
    }

    /// Disks that are no mirrors.
    fn others(&self) -> Vec<(DiskId, Arc<dyn Disk>)> {
        let mirrors = self.shared.set.lock().disks.clone();
        self.shared.disks.lock().iter().filter(|(id, _)| !mirrors.contains(id)).cloned().collect()
    }

    /// Writes the mirror set to the disks that are none, so that a start without the mirrors knows what it misses, and
    /// removes what they have of the log: it is behind.
    fn tell_others(&mut self) {
        let set = self.shared.set.lock().clone();
        let others = self.others();
        let now = (set.generation, others.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        if self.told.as_ref() == Some(&now) {
            return;
        }
        for (id, disk) in others {
            if let Err(error) = self.shared.registry.write(id, &set) {
                tracing::warn!(disk = %id, %error, "a disk was not told the mirror set");
                continue;
            }
            if let Err(error) = clear(&MirrorDisk::new(id, disk, self.shared.voter)) {
                tracing::warn!(disk = %id, %error, "an old log was not removed");
            }
        }
        self.told = Some(now);
    }

    fn remove_segments(&self) {
        let needed_from = self.shared.needed_from.load(Ordering::Relaxed);
        let in_use = {
            let mut segments = self.shared.segments.lock();
            let needed = segments.split_off(&needed_from);
            std::mem::replace(&mut *segments, needed)
        };
        if in_use.is_empty() {
            return;
        }
        // Readers that still hold a file read on from it, or find a bad CRC where it was recycled.
        drop(in_use);
        for mirror in self.mirrors() {
            if let Err(error) = self.retire(&mirror, needed_from) {
                tracing::warn!(disk = %mirror.id, %error, "old log segments were not removed");
            }
        }
    }

    fn retire(&self, mirror: &MirrorDisk, needed_from: u64) -> io::Result<()> {
        for name in mirror.disk.list(&mirror.directory)? {
            let Some(number) = segment_number(&name).filter(|number| *number < needed_from) else { continue };
            let bytes = mirror.disk.status(&mirror.path_of(number))?.map_or(0, |status| status.bytes);
            mirror.retire_segment(number, bytes, if self.is_spare_size(bytes) { SPARES } else { 0 })?;
        }
        Ok(())
    }

    fn is_spare_size(&self, bytes: u64) -> bool {
        let settings = &self.shared.settings;
        bytes == settings.segment_bytes || bytes == settings.first_segment_bytes
    }

    /// Prepares the next segments; returns the mirrors whose disks are short of space.
    fn prepare_spares(&mut self) -> Vec<Arc<MirrorDisk>> {
        let settings = self.shared.settings.clone();
        let busy = self.shared.appended_bytes.load(Ordering::Relaxed) >= SPARES_FROM_BYTES;
        let mut full = Vec::new();
        for mirror in self.mirrors() {
            // The small one is the reserve: with it deletes go on, and the mirror can move, when space has run out.
            let mut wanted = vec![settings.first_segment_bytes];
            if busy {
                wanted.push(settings.segment_bytes);
            }
            let prepared = wanted.into_iter().try_for_each(|bytes| self.prepare(&mirror, bytes));
            match prepared.and_then(|()| mirror.disk.space()) {
                Ok(space) if space.free_bytes >= settings.free_bytes_min => {}
                Ok(_) => full.push(mirror),
                Err(error) if error.kind() == io::ErrorKind::StorageFull => full.push(mirror),
                Err(error) => {
                    let reason = format!("a segment can't be prepared: {error}");
                    self.shared.control(Control::Strike { disk: mirror.id, reason });
                }
            }
        }
        full
    }

    fn prepare(&mut self, mirror: &MirrorDisk, bytes: u64) -> io::Result<()> {
        if mirror.spares(bytes) >= SPARES {
            return Ok(());
        }
        self.spare_names += 1;
        let name = format!("spare-{}-{:016x}", hex_of(self.shared.entropy.number()), self.spare_names);
        mirror.prepare_spare(&name, bytes)
    }

    /// Moves the mirrors that are short of space to disks that have some; says so where there are none.
    fn move_from(&mut self, full: Vec<Arc<MirrorDisk>>) {
        let mut stay = false;
        for mirror in full {
            // Built first, struck then: at no time are there fewer copies.
            if self.candidate().is_some_and(|(id, disk)| self.build(id, disk)) {
                self.shared.control(Control::Leave { disk: mirror.id, reason: "it is full" });
            } else {
                stay = true;
            }
        }
        if self.shared.low_space.swap(stay, Ordering::Relaxed) != stay {
            tracing::warn!(low = stay, "space for the log");
        }
    }

    /// Moves the mirrors off disks that are to be left, as far as others can take them.
    fn leave_disks(&mut self) {
        let leaving = self.shared.leaving.lock().clone();
        let wanted = self.shared.settings.mirrors.max(1);
        for mirror in self.mirrors().into_iter().filter(|mirror| leaving.contains(&mirror.id)) {
            // As it stands now: the writer may not have struck the last one yet, for which another was built already.
            let staying = self.shared.set.lock().disks.iter().filter(|disk| !leaving.contains(disk)).count();
            if staying >= wanted || self.candidate().is_some_and(|(id, disk)| self.build(id, disk)) {
                self.shared.control(Control::Leave { disk: mirror.id, reason: "it is to be left" });
            }
        }
    }

    fn build_missing(&mut self) {
        let disks = self.shared.disks.lock().len();
        let wanted = self.shared.settings.mirrors.max(1).min(disks);
        while self.shared.set.lock().disks.len() < wanted {
            let Some((id, disk)) = self.candidate() else { return };
            self.build(id, disk);
        }
    }

    /// The disk with the most space that is no mirror and not to be left.
    fn candidate(&self) -> Option<(DiskId, Arc<dyn Disk>)> {
        let needed = 2 * self.shared.settings.free_bytes_min;
        let leaving = self.shared.leaving.lock().clone();
        let is_usable = |id: &DiskId| !self.avoided.contains_key(id) && !leaving.contains(id);
        let usable = self.others().into_iter().filter(|(id, _)| is_usable(id));
        let with_space = usable.filter_map(|(id, disk)| {
            let free = disk.space().ok()?.free_bytes;
            (free >= needed).then_some((free, id, disk))
        });
        with_space.max_by_key(|(free, ..)| *free).map(|(_, id, disk)| (id, disk))
    }

    /// Builds a mirror on a disk while appends go on; tells whether it is one now.
    fn build(&mut self, id: DiskId, disk: Arc<dyn Disk>) -> bool {
        tracing::info!(disk = %id, "a log mirror is being built");
        *self.shared.building.lock() = Some(id);
        let built = self.try_build(Arc::new(MirrorDisk::new(id, disk, self.shared.voter)));
        *self.shared.building.lock() = None;
        if let Err(error) = &built {
            tracing::error!(disk = %id, %error, "a log mirror could not be built");
            self.shared.control(Control::Abandon);
            self.avoided.insert(id, ROUNDS_UNTIL_RETRY);
        }
        built.is_ok()
    }

    fn try_build(&self, mirror: Arc<MirrorDisk>) -> io::Result<()> {
        // That the disk is in place is known to its superblock alone: in a directory under a mount that is gone, nothing
        // may be made, or it would not be blank when the disk's successor is mounted.
        let set = self.shared.set.lock().clone();
        self.shared.registry.write(mirror.id, &set)?;
        clear(&mirror)?;
        mirror.create_directory()?;
        let mut copied = BTreeMap::new();
        // Most of it before appends go there too, the rest after.
        self.copy_sealed(&mirror, &mut copied)?;
        let (answer, joined) = bounded(1);
        self.shared.control(Control::Join(mirror.clone(), answer));
        let joined = threads::receive(&joined).map_err(|_| over())?.map_err(io::Error::other)?;
        joined.ok_or_else(|| io::Error::other("it can't begin a segment"))?;
        self.copy_sealed(&mirror, &mut copied)?;
        let (answer, admitted) = bounded(1);
        self.shared.control(Control::Admit(copied, answer));
        if threads::receive(&admitted).map_err(|_| over())? {
            Ok(())
        } else {
            Err(io::Error::other("it failed meanwhile"))
        }
    }

    /// Reads one sealed segment through on one mirror, so that rot is found while another mirror has the bytes.
    fn verify_one(&mut self) {
        self.rounds_until_verified_again -= 1;
        if self.rounds_until_verified_again == 0 {
            self.verified.clear();
            self.rounds_until_verified_again = ROUNDS_PER_VERIFICATION;
        }
        let next = {
            let segments = self.shared.segments.lock();
            segments.iter().find_map(|(number, segment)| {
                let end_seq = segments.get(&(number + 1))?.header.first_seq;
                let unread = segment.files.iter().find(|(disk, _)| !self.verified.contains(&(*disk, *number)));
                unread.map(|(disk, file)| (*disk, file.clone(), segment.header, end_seq, segment.files.len()))
            })
        };
        let Some((disk, file, header, end_seq, copies)) = next else { return };
        self.verified.insert((disk, header.number));
        let reason = match is_whole(&*file, &header, end_seq) {
            Ok(true) => return,
            Ok(false) => format!("segment {} has bad records", header.number),
            Err(error) => format!("segment {} can't be read: {error}", header.number),
        };
        if copies > 1 {
            self.shared.control(Control::Strike { disk, reason });
        } else {
            // Nothing else has it; what the database holds is not touched by it.
            tracing::error!(%disk, reason, "the only log mirror is damaged");
        }
    }

    /// Copies every segment that has a successor and is not copied yet.
    fn copy_sealed(&self, mirror: &MirrorDisk, copied: &mut BTreeMap<u64, Arc<dyn DiskFile>>) -> io::Result<()> {
        loop {
            let next = {
                let segments = self.shared.segments.lock();
                segments.iter().find_map(|(number, segment)| {
                    let successor = segments.get(&(number + 1))?;
                    // Those that the new mirror got from the writer lie there already.
                    let missing = !copied.contains_key(number) && !segment.files.is_empty();
                    let on_mirror = segment.files.iter().any(|(disk, _)| *disk == mirror.id);
                    (missing && !on_mirror)
                        .then(|| (segment.header, segment.files[0].clone(), successor.header.first_seq))
                })
            };
            let Some((header, (source_disk, source), end_seq)) = next else { return Ok(()) };
            if self.shared.is_over() {
                return Err(over());
            }
            if mirror.disk.status(&mirror.path_of(header.number))?.is_some() {
                // Begun by the writer after the join.
                return Ok(());
            }
            let file = mirror.copy_segment(&*source, header.number, header.bytes)?;
            if !is_whole(&*file, &header, end_seq)? {
                if !is_whole(&*source, &header, end_seq).unwrap_or(false) {
                    let reason = format!("segment {} has bad records", header.number);
                    self.shared.control(Control::Strike { disk: source_disk, reason });
                }
                return Err(io::Error::other(format!("the copy of segment {} has bad records", header.number)));
            }
            copied.insert(header.number, file);
        }
    }
}

/// Whether all records of a sealed segment are good.
fn is_whole(file: &dyn DiskFile, header: &SegmentHeader, end_seq: u64) -> io::Result<bool> {
    Ok(scan_segment(file, header, Some(end_seq), &mut |_, _| Ok(()))?.next_seq == end_seq)
}

/// Removes whatever lies in a directory that is to become a mirror, or was one.
fn clear(mirror: &MirrorDisk) -> io::Result<()> {
    let names = match mirror.disk.list(&mirror.directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    if names.is_empty() {
        return Ok(());
    }
    for name in names {
        mirror.disk.remove(&mirror.directory.join(name))?;
    }
    mirror.disk.sync_directory(&mirror.directory)
}

fn over() -> io::Error {
    io::Error::other("the log is closed")
}

fn hex_of(number: u64) -> String {
    format!("{number:016x}")
}
