//! What every [`ShardService`] and every [`ArchiveService`] must hold, in-process or over the wire.
//!
//! Panics tell which promise is broken. The disk must be one that nobody else uses, with room for some 30 MiB, and must
//! have the slots of [`claims`].

use std::ops::Range;

use bytes::Bytes;
use types::{
    BucketId, Code, DiskId, HomeKey, Integrity, ObjectKey, PlacementGroupId, Profile, RangeId, RunForm, RunId,
    SlotEpoch, SlotIndex, TicketId,
};

use crate::{
    ARCHIVE_PAYLOAD_BYTES_MAX, ArchiveError, ArchiveFile, ArchiveRecord, ArchiveService, ArchiveSet,
    SMALL_BODY_BYTES_MAX, ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, SlotClaim,
};

/// The groups that the suite writes into.
const GROUPS: Range<u64> = 1..5;
const EPOCH: SlotEpoch = SlotEpoch(7);
const SLOT: SlotIndex = SlotIndex(2);
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// The slots that the disk must have claimed.
pub fn claims() -> Vec<SlotClaim> {
    GROUPS.map(|group| SlotClaim { group: PlacementGroupId(group), slot: SLOT, epoch: EPOCH, sealed: false }).collect()
}

/// A header for a shard of one of the suite's groups.
pub fn header(address: ShardAddress, integrity: Integrity) -> ShardHeader {
    ShardHeader {
        address,
        slot: SLOT,
        slot_epoch: EPOCH,
        profile: Profile::new(4, 2, 1 << 20, integrity).expect("a profile within its bounds"),
        code: Code(1),
        form: RunForm::Striped,
        home: HomeKey { bucket: BucketId(3), key: ObjectKey::new("a/key").expect("a key within its bounds") },
        part: 1,
        part_offset: u64::from(address.stripe) << 22,
        stripe_bytes: 4 << 20,
        plain_bytes: 1 << 20,
        part_metadata: (address.stripe == 0).then(|| Bytes::from_static(b"what an index row needs")),
    }
}

/// An address in one of the suite's groups; `run` and `stripe` are free.
pub fn address(group: u64, run: u64, stripe: u32) -> ShardAddress {
    let run = RunId { ticket: TicketId(5), tail: run };
    ShardAddress { group: PlacementGroupId(group), run, stripe, shard: SLOT.0 }
}

/// A body that differs from those of all other addresses.
pub fn body(address: &ShardAddress, bytes: usize) -> ShardBody {
    let mut content = vec![0; bytes];
    let name = format!("{address:?} {bytes}");
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut content);
    let content = Bytes::from(content);
    // Cut where nobody aligns, as an encoder of odd lengths would.
    let cut = (bytes / 3).min(100_000);
    [content.slice(..cut), content.slice(cut..)].into_iter().filter(|piece| !piece.is_empty()).collect()
}

/// Runs the whole suite.
pub async fn shard_service_contract(service: &dyn ShardService, disk: DiskId) {
    appended_shards_read_back(service, disk).await;
    ranges_are_exact(service, disk).await;
    a_repeated_append_succeeds_without_a_second_copy(service, disk).await;
    broken_calls_are_refused(service, disk).await;
    old_layouts_are_refused(service, disk).await;
    lists_are_in_order_and_complete(service, disk).await;
    freed_runs_are_gone_and_others_stay(service, disk).await;
    concurrent_appends_all_arrive(service, disk).await;
    sealed_slots_take_nothing_and_are_read(service, disk).await;
}

const LENGTHS: [usize; 9] =
    [1, 100, 4096, 5000, SMALL_BODY_BYTES_MAX, SMALL_BODY_BYTES_MAX + 1, 200_000, 1 << 20, (1 << 20) - 1];

async fn appended_shards_read_back(service: &dyn ShardService, disk: DiskId) {
    for (run, bytes) in (1000..).zip(LENGTHS) {
        for integrity in [Integrity::Xxh3, Integrity::Blake3] {
            let address = address(1, run * 2 + u64::from(integrity == Integrity::Blake3), 0);
            append(service, disk, header(address, integrity), bytes).await;
            assert_holds(service, disk, &address, bytes).await;
            assert_eq!(service.header(disk, address).await.expect("it was appended"), header(address, integrity));
        }
    }
}

async fn ranges_are_exact(service: &dyn ShardService, disk: DiskId) {
    for (run, bytes) in (200..).zip([5000, SMALL_BODY_BYTES_MAX, 200_000, 1 << 20]) {
        let address = address(1, run, 0);
        append(service, disk, header(address, Integrity::Xxh3), bytes).await;
        let whole = body(&address, bytes).concat();
        let block = 64 * 1024;
        let edges = [0, 1, 4095, 4999, block - 1, block, block + 1, 3 * block, 199_999, 4 * block, bytes - 1, bytes];
        let within = edges.into_iter().filter(|edge| *edge <= bytes);
        for start in within.clone() {
            for end in within.clone().filter(|end| *end >= start) {
                let read = read(service, disk, address, start..end).await.expect("within the shard");
                assert_eq!(read, whole[start..end], "bytes {start}..{end} of {bytes}");
            }
        }
    }
}

async fn a_repeated_append_succeeds_without_a_second_copy(service: &dyn ShardService, disk: DiskId) {
    for (run, bytes) in [(300, 5000), (301, 100_000)] {
        let address = address(1, run, 0);
        for _ in 0..3 {
            append(service, disk, header(address, Integrity::Xxh3), bytes).await;
        }
        assert_holds(service, disk, &address, bytes).await;
        let listed = service.list(disk, Some(ShardAddress { shard: 0, ..address }), 1).await.expect("listed");
        assert_eq!(
            listed.iter().map(|shard| (shard.address, shard.bytes)).collect::<Vec<_>>(),
            [(address, bytes as u64)]
        );
    }
}

async fn broken_calls_are_refused(service: &dyn ShardService, disk: DiskId) {
    let address = address(1, 400, 0);
    let header = header(address, Integrity::Xxh3);
    for bytes in [0, (1 << 20) + 1] {
        let refused = service.append(disk, header.clone(), body(&address, bytes)).await;
        assert!(matches!(refused, Err(ShardError::Invalid { .. })), "a body of {bytes} bytes: {refused:?}");
    }
    let copies = RunForm::Copies { first_slot: SlotIndex(0), group_width: 6 };
    let small = ShardHeader { form: copies, ..header.clone() };
    let refused = service.append(disk, small, body(&address, SMALL_BODY_BYTES_MAX + 1)).await;
    assert!(matches!(refused, Err(ShardError::Invalid { .. })), "a copy above 64 KiB: {refused:?}");
    append(service, disk, header, 5000).await;
    for (start, end) in [(0, 5001), (5001, 5001), (10, 9)] {
        let refused = service.read(disk, address, start..end).await;
        assert!(matches!(refused, Err(ShardError::Invalid { .. })), "bytes {start}..{end}: {refused:?}");
    }
    let nobody = DiskId::from_bytes([0xee; 16]);
    assert!(matches!(service.list(nobody, None, 1).await, Err(ShardError::UnknownDisk { disk }) if disk == nobody));
}

async fn old_layouts_are_refused(service: &dyn ShardService, disk: DiskId) {
    let address = address(1, 500, 0);
    let good = header(address, Integrity::Xxh3);
    let stale = [
        ShardHeader { slot_epoch: SlotEpoch(6), ..good.clone() },
        ShardHeader { slot_epoch: SlotEpoch(8), ..good.clone() },
        ShardHeader { slot: SlotIndex(1), ..good.clone() },
    ];
    for header in stale {
        let refused = service.append(disk, header.clone(), body(&address, 100)).await;
        assert!(matches!(refused, Err(ShardError::Stale { named, .. }) if named == header.slot_epoch), "{refused:?}");
    }
    assert!(matches!(service.read(disk, address, 0..1).await, Err(ShardError::Missing { .. })));
}

async fn lists_are_in_order_and_complete(service: &dyn ShardService, disk: DiskId) {
    let mut expected = Vec::new();
    for run in [905, 901, 903] {
        for stripe in [2, 0, 1] {
            let address = address(2, run, stripe);
            append(service, disk, header(address, Integrity::Xxh3), 100 + stripe as usize).await;
            expected.push((address, 100 + u64::from(stripe)));
        }
    }
    expected.sort_unstable();
    for limit in [1, 2, 100] {
        let mut listed = Vec::new();
        let mut after = Some(address(2, 0, 0));
        loop {
            let page = service.list(disk, after, limit).await.expect("listed");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.address);
            listed.extend(page.iter().map(|shard| (shard.address, shard.bytes)));
        }
        let of_group: Vec<_> = listed.into_iter().filter(|(address, _)| address.group == PlacementGroupId(2)).collect();
        assert_eq!(of_group, expected, "by pages of {limit}");
    }
}

async fn freed_runs_are_gone_and_others_stay(service: &dyn ShardService, disk: DiskId) {
    let group = PlacementGroupId(3);
    for run in 600..604 {
        for (stripe, bytes) in [(0, 5000), (1, 100_000)] {
            append(service, disk, header(address(3, run, stripe), Integrity::Xxh3), bytes).await;
        }
    }
    let runs: Vec<_> = [600, 602, 99_999].into_iter().map(|run| address(3, run, 0).run).collect();
    for _ in 0..2 {
        service.free(disk, group, runs.clone()).await.expect("freed");
    }
    for run in 600..604 {
        for (stripe, bytes) in [(0, 5000), (1, 100_000)] {
            let address = address(3, run, stripe);
            if run % 2 == 0 {
                let read = service.read(disk, address, 0..1).await;
                assert!(matches!(read, Err(ShardError::Gone { .. })), "{read:?}");
                assert!(matches!(service.header(disk, address).await, Err(ShardError::Gone { .. })));
            } else {
                assert_holds(service, disk, &address, bytes).await;
            }
        }
    }
    let listed = service.list(disk, Some(address(3, 0, 0)), 100).await.expect("listed");
    let runs: Vec<_> = listed.iter().map(|shard| shard.address.run.tail).collect();
    assert_eq!(runs, [601, 601, 603, 603]);
    // A run may come back, as when its slot is moved away and back again.
    append(service, disk, header(address(3, 600, 1), Integrity::Xxh3), 100_000).await;
    assert_holds(service, disk, &address(3, 600, 1), 100_000).await;
    assert!(service.read(disk, address(3, 600, 0), 0..1).await.is_err());
}

async fn concurrent_appends_all_arrive(service: &dyn ShardService, disk: DiskId) {
    let addresses: Vec<_> = (700..740).map(|run| address(3, run, 0)).collect();
    let bytes = |at: usize| if at.is_multiple_of(4) { 70_000 } else { 1000 + at };
    let appends = addresses
        .iter()
        .enumerate()
        .map(|(at, address)| service.append(disk, header(*address, Integrity::Xxh3), body(address, bytes(at))));
    for appended in futures::future::join_all(appends).await {
        appended.expect("appended");
    }
    for (at, address) in addresses.iter().enumerate() {
        assert_holds(service, disk, address, bytes(at)).await;
    }
    // The same shard from two sides at once is one shard.
    let twin = address(3, 800, 0);
    let twins = [(); 2].map(|()| service.append(disk, header(twin, Integrity::Xxh3), body(&twin, 3000)));
    for appended in futures::future::join_all(twins).await {
        appended.expect("appended");
    }
    assert_holds(service, disk, &twin, 3000).await;
}

async fn sealed_slots_take_nothing_and_are_read(service: &dyn ShardService, disk: DiskId) {
    let group = PlacementGroupId(GROUPS.end - 1);
    let own = |run| header(address(group.0, run, 0), Integrity::Xxh3);
    append(service, disk, own(900), 5000).await;
    // Another slot, and an earlier owner's.
    service.seal(disk, group, SlotIndex(SLOT.0 + 1), EPOCH).await.expect("sealed");
    service.seal(disk, group, SLOT, SlotEpoch(EPOCH.0 - 1)).await.expect("sealed");
    append(service, disk, own(901), 100_000).await;
    for _twice in 0..2 {
        service.seal(disk, group, SLOT, EPOCH).await.expect("sealed");
        for bytes in [5000, 100_000] {
            let refused = service.append(disk, own(902), body(&own(902).address, bytes)).await;
            assert!(matches!(refused, Err(ShardError::Stale { .. })), "{refused:?}");
        }
    }
    assert_holds(service, disk, &own(900).address, 5000).await;
    assert_holds(service, disk, &own(901).address, 100_000).await;
    let listed = service.list(disk, Some(address(group.0, 0, 0)), 100).await.expect("listed");
    assert_eq!(listed.iter().map(|shard| shard.address.run.tail).collect::<Vec<_>>(), [900, 901]);
    let nobody = DiskId::from_bytes([0xee; 16]);
    assert!(service.seal(nobody, group, SLOT, EPOCH).await.is_err());
}

async fn append(service: &dyn ShardService, disk: DiskId, header: ShardHeader, bytes: usize) {
    let body = body(&header.address, bytes);
    service.append(disk, header, body).await.expect("appended");
}

/// Checks that a shard is there with the bytes of [`body`].
///
/// # Panics
/// When it isn't.
pub async fn assert_holds(service: &dyn ShardService, disk: DiskId, address: &ShardAddress, bytes: usize) {
    let read = read(service, disk, *address, 0..bytes).await.expect("it is there");
    assert!(read == body(address, bytes).concat(), "shard {address:?} of {bytes} bytes has other bytes");
}

async fn read(
    service: &dyn ShardService,
    disk: DiskId,
    address: ShardAddress,
    range: Range<usize>,
) -> Result<Vec<u8>, ShardError> {
    let pieces = service.read(disk, address, range.start as u64..range.end as u64).await?;
    assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX), "a piece is longer than 256 KiB");
    Ok(pieces.concat())
}

/// Runs the suite of [`ArchiveService`].
pub async fn archive_service_contract(service: &dyn ArchiveService, disk: DiskId) {
    records_read_back_in_order(service, disk).await;
    records_out_of_order_are_refused(service, disk).await;
    dropped_files_are_gone_and_others_stay(service, disk).await;
    notes_are_kept_by_range(service, disk).await;
    let nobody = DiskId::from_bytes([0xee; 16]);
    assert!(matches!(service.archives(nobody).await, Err(ArchiveError::UnknownDisk { disk }) if disk == nobody));
}

/// A record of an archive file that differs from all others.
pub fn archive_payload(file: ArchiveFile, seq: u64, bytes: usize) -> Bytes {
    let mut content = vec![0; bytes];
    let name = format!("{file:?} {seq}");
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut content);
    content.into()
}

/// All records of a file: their numbers and payloads.
pub async fn read_archive(
    service: &dyn ArchiveService,
    disk: DiskId,
    file: ArchiveFile,
    bytes_max: u64,
) -> Result<Vec<ArchiveRecord>, ArchiveError> {
    let (mut all, mut position) = (Vec::new(), 0);
    loop {
        let page = service.read_archive(disk, file, position, bytes_max).await?;
        if page.records.is_empty() {
            return Ok(all);
        }
        all.extend(page.records);
        position = page.next;
    }
}

async fn records_read_back_in_order(service: &dyn ArchiveService, disk: DiskId) {
    let file = ArchiveFile { range: RangeId(1), generation: 7 };
    assert!(matches!(read_archive(service, disk, file, 1).await, Err(ArchiveError::Lost { .. })));
    let lengths = [1, 5000, 4 << 20, 100];
    let written: Vec<_> = (0..).zip(lengths).map(|(seq, bytes)| (seq, archive_payload(file, seq, bytes))).collect();
    for (seq, payload) in &written {
        for _twice in 0..2 {
            service.append_archive(disk, file, *seq, payload.clone()).await.expect("appended");
        }
    }
    for bytes_max in [1, 6000, u64::MAX] {
        let read = read_archive(service, disk, file, bytes_max).await.expect("read");
        let read: Vec<_> = read.into_iter().map(|record| (record.seq, record.payload.expect("whole"))).collect();
        assert!(read == written, "by {bytes_max} bytes");
    }
    let listed = service.archives(disk).await.expect("listed");
    assert_eq!(listed.iter().map(|stored| (stored.file, stored.records)).collect::<Vec<_>>(), [(file, 4)]);
    assert!(listed[0].bytes > lengths.iter().sum::<usize>() as u64);
    let last = service.read_archive(disk, file, listed[0].last, 1).await.expect("read");
    assert_eq!(last.records.iter().map(|record| record.seq).collect::<Vec<_>>(), [3]);
}

async fn records_out_of_order_are_refused(service: &dyn ArchiveService, disk: DiskId) {
    let file = ArchiveFile { range: RangeId(1), generation: 8 };
    let append = async |seq, bytes| service.append_archive(disk, file, seq, archive_payload(file, seq, bytes)).await;
    assert!(matches!(append(3, 10).await, Err(ArchiveError::Lost { .. })), "a file begins with record 0");
    append(0, 10).await.expect("appended");
    append(1, 10).await.expect("appended");
    for seq in [0, 3] {
        assert!(matches!(append(seq, 10).await, Err(ArchiveError::Invalid { .. })), "record {seq}");
    }
    for bytes in [0, ARCHIVE_PAYLOAD_BYTES_MAX + 1] {
        assert!(matches!(append(2, bytes).await, Err(ArchiveError::Invalid { .. })), "{bytes} bytes");
    }
    append(2, 10).await.expect("appended");
}

async fn dropped_files_are_gone_and_others_stay(service: &dyn ArchiveService, disk: DiskId) {
    let [kept, dropped] = [9, 10].map(|generation| ArchiveFile { range: RangeId(2), generation });
    for file in [kept, dropped] {
        service.append_archive(disk, file, 0, archive_payload(file, 0, 10)).await.expect("appended");
    }
    for _twice in 0..2 {
        service.drop_archive(disk, dropped).await.expect("dropped");
    }
    assert!(matches!(read_archive(service, disk, dropped, 1).await, Err(ArchiveError::Lost { .. })));
    assert_eq!(read_archive(service, disk, kept, 1).await.expect("read").len(), 1);
    service.append_archive(disk, dropped, 0, archive_payload(dropped, 0, 20)).await.expect("begun anew");
    let listed = service.archives(disk).await.expect("listed");
    assert!(listed.windows(2).all(|pair| pair[0].file < pair[1].file));
    assert_eq!(listed.iter().filter(|stored| stored.file.range == RangeId(2)).count(), 2);
}

async fn notes_are_kept_by_range(service: &dyn ArchiveService, disk: DiskId) {
    assert_eq!(service.archive_sets(disk).await.expect("read"), []);
    let set = |range, generation| ArchiveSet {
        file: ArchiveFile { range: RangeId(range), generation },
        disks: vec![disk, DiskId::from_bytes([5; 16])],
    };
    for noted in [set(1, 3), set(0, 1), set(1, 4)] {
        service.note_archive(disk, noted).await.expect("noted");
    }
    assert_eq!(service.archive_sets(disk).await.expect("read"), [set(0, 1), set(1, 4)]);
}
