//! What a disk that took another's place notes in its superblock: that it is not whole yet, and which tickets its last round
//! waits for, so that a start goes on waiting where the last process was.

use shards::Superblock;
use types::TicketId;

/// The note of a disk that took another's place and is not whole yet.
pub const REBUILDING_NOTE: &str = "rebuilding";
/// The note of such a disk that has all there was, and is looked over once more when the writers of before are done.
pub const SETTLING_NOTE: &str = "settling";

/// The version of what either note holds.
const VERSION: u8 = 1;

/// Marks a disk as one that took another's place; which tickets it waits for is not known yet.
pub fn mark_replaced(superblock: &mut Superblock) {
    superblock.notes.insert(REBUILDING_NOTE.to_owned(), Vec::new());
}

/// All tickets below it are to be over before the disk's last round begins; `None` for a disk that waits for none, or of which
/// that is not noted, or by a later release.
pub fn awaited_ticket(superblock: &Superblock) -> Option<TicketId> {
    let noted = [REBUILDING_NOTE, SETTLING_NOTE].into_iter().find_map(|note| superblock.notes.get(note))?;
    let (version, ticket) = noted.split_first()?;
    let ticket = <[u8; 8]>::try_from(ticket).ok().filter(|_| *version == VERSION)?;
    Some(TicketId(u64::from_be_bytes(ticket)))
}

/// Notes which tickets the disk waits for, where it waits at all.
pub(crate) fn note_awaited(superblock: &mut Superblock, ticket: TicketId) {
    let value: Vec<u8> = std::iter::once(VERSION).chain(ticket.0.to_be_bytes()).collect();
    for note in [REBUILDING_NOTE, SETTLING_NOTE] {
        if let Some(noted) = superblock.notes.get_mut(note) {
            noted.clone_from(&value);
        }
    }
}

/// Notes that a round has brought all there was, and with `is_settled` that it was the last.
pub(crate) fn note_round(superblock: &mut Superblock, is_settled: bool) {
    let noted = superblock.notes.remove(REBUILDING_NOTE);
    if is_settled {
        superblock.notes.remove(SETTLING_NOTE);
    } else if let Some(noted) = noted {
        superblock.notes.insert(SETTLING_NOTE.to_owned(), noted);
    }
}

#[cfg(test)]
mod tests {
    use types::{ClusterId, DiskId, NodeId};

    use super::*;

    /// A disk's superblock; what else it has is of no matter here.
    fn superblock() -> Superblock {
        let (cluster, node, disk) =
            (ClusterId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]), DiskId::from_bytes([3; 16]));
        let identity = shards::DiskIdentity { cluster, node, disk };
        let disk = platform::FaultyDisk::new(1);
        shards::superblock::format(&disk, identity, &platform::SystemEntropy).expect("formatted");
        match shards::superblock::inspect(&disk).expect("a superblock") {
            shards::superblock::Found::Formatted(superblock) => *superblock,
            shards::superblock::Found::Blank => panic!("it was formatted"),
        }
    }

    #[test]
    fn what_is_waited_for_stays_noted_until_the_disk_has_settled() {
        let mut superblock = superblock();
        note_awaited(&mut superblock, TicketId(1));
        assert_eq!((superblock.notes.len(), awaited_ticket(&superblock)), (0, None), "it took nobody's place");
        mark_replaced(&mut superblock);
        assert_eq!(awaited_ticket(&superblock), None, "nothing is counted yet");
        note_awaited(&mut superblock, TicketId(0x0102));
        assert_eq!(superblock.notes[REBUILDING_NOTE], [1, 0, 0, 0, 0, 0, 0, 1, 2], "the format");
        note_round(&mut superblock, false);
        assert!(superblock.notes.contains_key(SETTLING_NOTE) && superblock.notes.len() == 1);
        assert_eq!(awaited_ticket(&superblock), Some(TicketId(0x0102)));
        superblock.notes.insert(SETTLING_NOTE.to_owned(), vec![2, 7]);
        assert_eq!(awaited_ticket(&superblock), None, "a later release's");
        note_round(&mut superblock, true);
        assert!(superblock.notes.is_empty());
    }
}
