//! The promises of the data path, over disks in memory that fail as told.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use proptest::prelude::*;
use types::{
    Checksum, ChecksumAlgorithm, ChecksumType, Extent, Integrity, Layout, Node, NodeId, Profile, Run, RunForm,
};

use super::digests::digest_of;
use super::testing::{Behaviour, Fixture, Frames, body_bytes, home, part_of};
use super::{
    BodyError, BodySource, CopyError, DataPathSettings, ExpectedDigests, ReadError, ShardToRebuild, StoredBody,
    TransferMemoryNeeds, WholeBody, WriteError,
};

/// 4+2 with stripes of 256 KiB.
fn small_profile() -> Profile {
    Profile::new(4, 2, 64 << 10, Integrity::Xxh3).expect("within bounds")
}

/// Settings for tests whose clock is real: what must time out does so soon.
fn hasty() -> DataPathSettings {
    DataPathSettings {
        append_patience: Duration::from_millis(100),
        hedge_after: Duration::from_millis(20),
        pace_window: Duration::from_millis(50),
        ..DataPathSettings::default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime")
}

async fn written(fixture: &Fixture, whole: &Bytes, frame_bytes: usize) -> StoredBody {
    let request = fixture.request(Some(whole.len() as u64));
    fixture.data.write(request, &mut Frames::new(whole, frame_bytes)).await.expect("the body is stored")
}

async fn read(fixture: &Fixture, stored: &StoredBody, range: Range<u64>) -> Result<Bytes, ReadError> {
    let mut reader = fixture.data.read(vec![part_of(stored)], range);
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes.into())
}

async fn read_all(fixture: &Fixture, stored: &StoredBody) -> Result<Bytes, ReadError> {
    read(fixture, stored, 0..stored.plain_bytes).await
}

fn runs(stored: &StoredBody) -> Vec<Run> {
    stored.runs()
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Bodies of every form, in frames of every length, read in every range with any two disks lost.
    #[test]
    fn what_was_written_is_read_whatever_two_disks_are_lost(
        bytes in prop_oneof![0usize..5000, 60_000usize..70_000, 200_000usize..900_000],
        frame_bytes in prop_oneof![1usize..3000, 3000usize..300_000],
        declared in any::<bool>(),
        range in (0.0f64..1.0, 0.0f64..1.0),
        lost in (0usize..6, 0usize..6),
        corrupt in any::<bool>(),
    ) {
        runtime().block_on(async {
            let frame_bytes = frame_bytes.max(bytes / 500);
            let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
            let whole = body_bytes(bytes);
            let mut request = fixture.request(declared.then_some(bytes as u64));
            request.checksums = ChecksumAlgorithm::ALL.to_vec();
            request.expected.payload_sha256 =
                Some(digest_of(ChecksumAlgorithm::Sha256, &whole)[..].try_into().expect("32 bytes"));
            let stored = fixture.data.write(request, &mut Frames::new(&whole, frame_bytes)).await.expect("stored");
            assert_eq!(stored.plain_bytes, bytes as u64);
            assert_eq!(stored.md5, Some(md5_many::md5(&whole)));
            assert_eq!(stored.crc64_nvme.to_be_bytes(), digest_of(ChecksumAlgorithm::Crc64Nvme, &whole)[..]);
            for (checksum, algorithm) in stored.checksums.iter().zip(ChecksumAlgorithm::ALL) {
                assert_eq!((checksum.algorithm, checksum.value()), (algorithm, &digest_of(algorithm, &whole)[..]));
            }
            assert!(!stored.degraded);
            for disk in [lost.0, lost.1].map(|number| fixture.disk(number)) {
                if corrupt { fixture.shards.corrupt(disk) } else { fixture.shards.wipe(disk) }
            }
            assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
            let ends = [range.0, range.1].map(|at| (at * bytes as f64) as usize);
            let (start, end) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let part = read(&fixture, &stored, start as u64..end as u64).await.expect("readable");
            assert_eq!(part, whole.slice(start..end));
            assert!(fixture.notices.discarded.lock().is_empty());
        });
    }

    /// Several parts are read as one; each is compared with its checksum when the range holds it whole.
    #[test]
    fn a_range_may_cross_parts(lengths in prop::collection::vec(0usize..150_000, 1..5), range in (0.0f64..1.0, 0.0f64..1.0)) {
        runtime().block_on(async {
            let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
            let (mut parts, mut whole) = (Vec::new(), Vec::new());
            for &bytes in &lengths {
                let body = body_bytes(bytes);
                parts.push(part_of(&written(&fixture, &body, 50_000).await));
                whole.extend_from_slice(&body);
            }
            let ends = [range.0, range.1].map(|at| (at * whole.len() as f64) as usize);
            let (start, end) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let mut reader = fixture.data.read(parts, start as u64..end as u64);
            let mut bytes = Vec::new();
            while let Some(piece) = reader.next().await {
                bytes.extend_from_slice(&piece.expect("readable"));
            }
            assert!(bytes == whole[start..end]);
        });
    }
}

#[tokio::test]
async fn the_form_follows_the_length() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let form = |stored: &StoredBody| match &stored.extents[..] {
        [Extent::Inline(_)] => "inline",
        [Extent::Slice { run: Run { form: RunForm::Copies { .. }, .. }, .. }] => "copies",
        [Extent::Slice { .. }] => "stripes",
        _ => "none",
    };
    for (bytes, expected) in
        [(0, "none"), (1, "inline"), (4096, "inline"), (4097, "copies"), (65_536, "copies"), (65_537, "stripes")]
    {
        for declared in [Some(bytes as u64), None] {
            let mut body = Frames::new(&body_bytes(bytes), 10_000);
            let stored = fixture.data.write(fixture.request(declared), &mut body).await.expect("stored");
            assert_eq!(form(&stored), expected, "{bytes} bytes");
        }
    }
    let request = super::WriteRequest { may_inline: false, ..fixture.request(None) };
    let stored = fixture.data.write(request, &mut WholeBody::new(body_bytes(10))).await.expect("stored");
    assert_eq!(form(&stored), "copies");
}

#[tokio::test]
async fn headers_say_what_a_rebuild_of_the_index_needs() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let whole = body_bytes(600_000);
    let stored = written(&fixture, &whole, 100_000).await;
    let [run] = &runs(&stored)[..] else { panic!("one run") };
    assert_eq!((run.stripes, run.stripe_bytes, run.last_stripe_bytes), (3, 262_144, 600_000 - 2 * 262_144));
    let stored = fixture.shards.stored.lock();
    assert_eq!(stored.len(), 18);
    for ((_, address), (header, bytes)) in &*stored {
        assert_eq!(header.part_offset, u64::from(address.stripe) * 262_144);
        assert_eq!(header.part_metadata.is_some(), address.stripe == 0);
        assert_eq!((header.address, header.slot.0, header.home.clone()), (*address, address.shard, home()));
        assert_eq!(bytes.len(), run.shard_len_of(address.stripe));
    }
}

#[tokio::test]
async fn copies_lie_in_consecutive_live_slots() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    fixture.shards.set(fixture.disk(1), Behaviour::Down);
    fixture.shards.set(fixture.disk(4), Behaviour::Down);
    for _ in 0..20 {
        let stored = written(&fixture, &body_bytes(10_000), 5000).await;
        let [run] = &runs(&stored)[..] else { panic!("one run") };
        assert_eq!((run.profile.k(), run.profile.m(), stored.degraded), (1, 2, false));
        let layout = fixture.layout.borrow().clone();
        let group = layout.group(run.group).expect("known");
        let disks: BTreeSet<_> = (0..3).map(|copy| group.slots[usize::from(run.slot_of(copy).0)].disk).collect();
        assert_eq!(disks.len(), 3);
        for disk in &disks {
            assert!(fixture.shards.stored.lock().keys().any(|(of, address)| of == disk && address.run == run.id));
        }
    }
}

#[tokio::test]
async fn a_failed_disk_means_a_narrower_run_and_the_stripe_is_written_whole() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    fixture.shards.set(fixture.disk(2), Behaviour::Down);
    let whole = body_bytes(1_000_000);
    let stored = written(&fixture, &whole, 70_000).await;
    assert!(stored.degraded);
    assert!(runs(&stored).iter().all(|run| run.profile.to_string() == "3+2"), "{stored:?}");
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    // The run that got no whole stripe is given up, and with it the shards that other disks took.
    let discarded = fixture.notices.discarded.lock().clone();
    assert_eq!(discarded.len(), 1);
    assert!(!runs(&stored).iter().any(|run| run.id == discarded[0].id));
    // Even with two more lost, all is there.
    fixture.shards.wipe(fixture.disk(0));
    fixture.shards.wipe(fixture.disk(5));
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
}

#[tokio::test]
async fn profiles_narrow_down_to_two_copies_and_then_writes_are_refused() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    let whole = body_bytes(300_000);
    for (down, profile) in [(5, "3+2"), (4, "2+2"), (3, "1+2"), (2, "1+1")] {
        fixture.shards.set(fixture.disk(down), Behaviour::Down);
        let stored = written(&fixture, &whole, 50_000).await;
        assert_eq!(runs(&stored)[0].profile.to_string(), profile);
        let small = written(&fixture, &whole.slice(..9000), 50_000).await;
        assert_eq!(small.degraded, profile == "1+1", "{profile}");
        assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    }
    fixture.shards.set(fixture.disk(1), Behaviour::Down);
    for bytes in [300_000, 9000] {
        let body = whole.slice(..bytes);
        let refused = fixture.data.write(fixture.request(None), &mut WholeBody::new(body)).await;
        assert!(matches!(refused, Err(WriteError::InsufficientDisks { .. })), "{refused:?}");
    }
}

/// Nodes that are restarted one after the other are each away for a moment, and back before the layout calls them down.
#[tokio::test]
async fn disks_that_were_out_of_reach_are_tried_again_rather_than_that_a_write_is_refused() {
    let settings = DataPathSettings { avoid_unreachable: Duration::from_secs(60), ..hasty() };
    let fixture = Fixture::new(6, small_profile(), settings);
    let whole = body_bytes(300_000);
    let set_all = |behaviour| (0..5).for_each(|disk| fixture.shards.set(fixture.disk(disk), behaviour));
    set_all(Behaviour::Away);
    for bytes in [300_000, 9000] {
        let refused = fixture.data.write(fixture.request(None), &mut WholeBody::new(whole.slice(..bytes))).await;
        assert!(matches!(refused, Err(WriteError::InsufficientDisks { .. })), "{refused:?}");
    }
    set_all(Behaviour::Fine);
    assert_eq!(fixture.data.disks().avoided().unreachable.len(), 5);
    assert!(!written(&fixture, &whole, 50_000).await.degraded);
}

/// The disks of a fixture over nodes, `each` on one, with groups by that.
fn spread_over_nodes(fixture: &Fixture, each: usize) {
    let mut layout = Layout { groups: Vec::new(), ..Layout::clone(&fixture.layout.borrow()) };
    let node_of = |at: usize| NodeId::from_bytes([u8::try_from(at / each).expect("few") + 1; 16]);
    for (at, disk) in layout.disks.iter_mut().enumerate() {
        disk.node = node_of(at);
    }
    let node = |at| Node { id: node_of(at), address: String::new(), rack: None, zone: None };
    layout.nodes = (0..layout.disks.len()).step_by(each).map(node).collect();
    let groups = placement::missing_groups(&layout, &[fixture.profile], &[]);
    fixture.layout.send_replace(Arc::new(placement::add_groups(&layout, groups)));
}

/// Two of five nodes are behind a partition: whoever finds that out disk by disk waits twice.
#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_waited_for_once_and_not_for_each_of_its_disks() {
    let settings = DataPathSettings::default();
    let fixture = Fixture::new(10, Profile::new(3, 2, 64 << 10, Integrity::Xxh3).expect("within bounds"), settings);
    spread_over_nodes(&fixture, 2);
    (0..4).for_each(|disk| fixture.shards.set(fixture.disk(disk), Behaviour::Hangs));
    let began = tokio::time::Instant::now();
    let whole = body_bytes(300_000);
    let stored = written(&fixture, &whole, 50_000).await;
    let patience = DataPathSettings::default().append_patience;
    assert!(began.elapsed() < patience * 3 / 2, "{:?}", began.elapsed());
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
}

#[tokio::test]
async fn a_disk_that_was_not_told_its_slots_yet_is_gone_around() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    fixture.shards.set(fixture.disk(3), Behaviour::Untold);
    let whole = body_bytes(300_000);
    for bytes in [300_000, 9000] {
        let stored = written(&fixture, &whole.slice(..bytes), 50_000).await;
        assert_eq!(stored.degraded, bytes == 300_000, "3+2 instead of 4+2, copies as wanted");
    }
}

/// Another gateway had the group made, wrote to it, and this one hears of the object first.
#[tokio::test]
async fn a_group_that_is_newer_than_the_layout_is_read_all_the_same() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    let before = fixture.layout.borrow().clone();
    fixture.shards.set(fixture.disk(3), Behaviour::Away);
    let whole = body_bytes(600_000);
    let stored = written(&fixture, &whole, 50_000).await;
    let after = fixture.layout.borrow().clone();
    assert!(before.group(runs(&stored)[0].group).is_none() && after.group(runs(&stored)[0].group).is_some());
    for range in [0..600_000, 5..7000] {
        fixture.layout.send_replace(Arc::clone(&before));
        *fixture.planner.newer.lock() = Some(Arc::clone(&after));
        let part = read(&fixture, &stored, range.start as u64..range.end as u64).await.expect("readable");
        assert_eq!(part, whole.slice(range));
    }
}

#[tokio::test]
async fn a_disk_that_fails_in_the_middle_ends_the_run_and_a_new_one_begins() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    let whole = body_bytes(2_000_000);
    let fails = fixture.disk(3);
    let shards = Arc::clone(&fixture.shards);
    let mut body = Scripted::new(&whole, 50_000, move |frame| {
        if frame == 20 {
            shards.set(fails, Behaviour::Down);
        }
    });
    let stored = fixture.data.write(fixture.request(Some(2_000_000)), &mut body).await.expect("stored");
    let profiles: BTreeSet<String> = runs(&stored).iter().map(|run| run.profile.to_string()).collect();
    assert_eq!(profiles, BTreeSet::from(["3+2".to_owned(), "4+2".to_owned()]));
    assert!(stored.degraded);
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    assert_offsets_follow(&fixture, &stored);
}

/// Each stripe that a run names says in its header where in the part it lies.
fn assert_offsets_follow(fixture: &Fixture, stored: &StoredBody) {
    let mut offset = 0;
    for run in runs(stored) {
        for stripe in 0..run.stripes {
            let shards = fixture.shards.stored.lock();
            let of_stripe = shards.iter().filter(|((_, a), _)| a.run == run.id && a.stripe == stripe);
            let offsets: Vec<u64> = of_stripe.map(|(_, (header, _))| header.part_offset).collect();
            assert_eq!(offsets, vec![offset; run.profile.width()]);
            offset += run.plain_bytes_of(stripe) as u64;
        }
    }
    assert_eq!(offset, stored.plain_bytes);
}

#[tokio::test]
async fn a_slot_that_does_not_acknowledge_in_time_sends_the_stripe_elsewhere() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    fixture.shards.set(fixture.disk(0), Behaviour::Hangs);
    for bytes in [500_000, 20_000] {
        let whole = body_bytes(bytes);
        let stored = written(&fixture, &whole, 70_000).await;
        assert!(fixture.shards.stored.lock().keys().all(|(disk, _)| *disk != fixture.disk(0)));
        assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    }
}

/// With more slots late than parity makes up for, no other group would be faster: the stripe waits for them.
#[tokio::test(start_paused = true)]
async fn a_store_that_has_much_to_do_is_waited_for() {
    let settings = DataPathSettings::default();
    let fixture = Fixture::new(6, small_profile(), settings.clone());
    for disk in 0..6 {
        fixture.shards.set(fixture.disk(disk), Behaviour::Slow(settings.append_patience * 2));
    }
    let stored = written(&fixture, &body_bytes(300_000), 50_000).await;
    assert_eq!((runs(&stored).len(), stored.degraded), (1, false));
    assert!(fixture.notices.discarded.lock().is_empty());
}

#[tokio::test]
async fn a_full_disk_is_gone_around_and_full_disks_are_said_to_be_full() {
    let fixture =
        Fixture::new(6, small_profile(), DataPathSettings { avoid_full: Duration::from_millis(50), ..hasty() });
    fixture.shards.set(fixture.disk(1), Behaviour::Full);
    let whole = body_bytes(300_000);
    assert!(written(&fixture, &whole, 60_000).await.degraded);
    for disk in 0..6 {
        fixture.shards.set(fixture.disk(disk), Behaviour::Full);
    }
    for bytes in [300_000, 9000] {
        let body = whole.slice(..bytes);
        let refused = fixture.data.write(fixture.request(Some(bytes as u64)), &mut WholeBody::new(body)).await;
        assert!(matches!(refused, Err(WriteError::Full)), "{refused:?}");
    }
    // Inline bodies go on, and when space returns, so do the others.
    assert!(fixture.data.write(fixture.request(None), &mut WholeBody::new(body_bytes(100))).await.is_ok());
    for disk in 0..6 {
        fixture.shards.set(fixture.disk(disk), Behaviour::Fine);
    }
    until(|| fixture.data.disks().avoided().disks.is_empty()).await;
    assert!(!written(&fixture, &whole, 60_000).await.degraded);
}

#[tokio::test]
async fn without_groups_and_planner_a_write_is_refused() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    fixture.shards.set(fixture.disk(1), Behaviour::Down);
    *fixture.planner.refuses.lock() = true;
    let refused = fixture.data.write(fixture.request(None), &mut WholeBody::new(body_bytes(100_000))).await;
    assert!(matches!(refused, Err(WriteError::InsufficientDisks { .. })), "{refused:?}");
    assert_eq!(fixture.notices.discarded.lock().len(), 1);
}

#[tokio::test]
async fn wide_and_narrow_profiles_of_every_kind_work() {
    for (k, m) in [(1, 0), (3, 0), (1, 1), (1, 3), (2, 1), (8, 4), (16, 8)] {
        let profile = Profile::new(k, m, 64 << 10, Integrity::Xxh3).expect("within bounds");
        let fixture = Fixture::new(k + m, profile, DataPathSettings::default());
        for bytes in [5000, 70_000, profile.stripe_bytes(), 2 * profile.stripe_bytes() + 1] {
            let whole = body_bytes(bytes);
            let stored = written(&fixture, &whole, 60_000).await;
            for lost in 0..usize::from(m) {
                fixture.shards.wipe(fixture.disk(lost));
            }
            assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole, "{profile} {bytes}");
        }
    }
}

#[tokio::test]
async fn bad_shards_are_reported_and_too_many_are_an_error() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let whole = body_bytes(200_000);
    let stored = written(&fixture, &whole, 60_000).await;
    let layout = fixture.layout.borrow().clone();
    let group = layout.group(runs(&stored)[0].group).expect("known");
    let [corrupt, lost, lost_too] = [0, 1, 2].map(|shard: usize| group.slots[shard].disk);
    fixture.shards.corrupt(corrupt);
    fixture.shards.wipe(lost);
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    let reported = fixture.notices.bad.lock().clone();
    assert!(reported.iter().all(|bad| bad.home == home()));
    let disks: BTreeSet<_> = reported.iter().map(|bad| (bad.disk, bad.address.shard)).collect();
    assert_eq!(disks, BTreeSet::from([(corrupt, 0), (lost, 1)]));
    fixture.shards.wipe(lost_too);
    let error = read_all(&fixture, &stored).await;
    assert!(matches!(error, Err(ReadError::Unreadable { .. })), "{error:?}");
}

#[tokio::test]
async fn a_freed_run_is_gone() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    for bytes in [200_000, 10_000] {
        let stored = written(&fixture, &body_bytes(bytes), 60_000).await;
        fixture.shards.free_run(runs(&stored)[0].id);
        assert!(matches!(read_all(&fixture, &stored).await, Err(ReadError::Gone)));
    }
}

#[tokio::test]
async fn a_slow_disk_is_gone_around() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    let whole = body_bytes(1_000_000);
    let stored = written(&fixture, &whole, 60_000).await;
    let small = written(&fixture, &whole.slice(..20_000), 60_000).await;
    for behaviour in [Behaviour::Slow(Duration::from_secs(3600)), Behaviour::Hangs] {
        fixture.shards.set(fixture.disk(0), behaviour);
        fixture.shards.set(fixture.disk(1), behaviour);
        assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
        assert_eq!(read_all(&fixture, &small).await.expect("readable"), whole.slice(..20_000));
    }
}

#[tokio::test]
async fn a_range_reads_only_what_it_needs() {
    let fixture = Fixture::new(6, Profile::for_domains(6), DataPathSettings::default());
    let whole = body_bytes(8 << 20);
    let stored = written(&fixture, &whole, 200_000).await;
    assert_eq!(
        read(&fixture, &stored, 3_000_000..3_000_100).await.expect("readable"),
        whole.slice(3_000_000..3_000_100)
    );
    let read_bytes = || fixture.shards.read_bytes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read_bytes(), 100);
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    assert_eq!(read_bytes(), 100 + (8 << 20));
}

#[tokio::test]
async fn with_two_data_shards_out_of_reach_most_bytes_are_read_once() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let whole = body_bytes(10_000_000);
    let stored = written(&fixture, &whole, 200_000).await;
    let layout = fixture.layout.borrow().clone();
    let group = layout.group(runs(&stored)[0].group).expect("known");
    for shard in [1, 3] {
        fixture.shards.set(group.slots[shard].disk, Behaviour::Down);
    }
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    let read_bytes = fixture.shards.read_bytes.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read_bytes < 12_000_000, "{read_bytes}");
    // Ranges that begin and end within stripes are pieced together all the same.
    for range in [100_000..9_900_000, 262_144..524_288, 262_145..10_000_000] {
        let part = read(&fixture, &stored, range.start as u64..range.end as u64).await.expect("readable");
        assert!(part == whole.slice(range));
    }
}

#[tokio::test]
async fn a_part_whose_checksum_is_another_one_is_not_ended() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let whole = body_bytes(300_000);
    let mut stored = written(&fixture, &whole, 60_000).await;
    stored.crc64_nvme ^= 1;
    let mut reader = fixture.data.read(vec![part_of(&stored)], 0..300_000);
    let mut bytes = 0;
    let error = loop {
        match reader.next().await.expect("an error before the end") {
            Ok(piece) => bytes += piece.len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Corrupt) && bytes < 300_000);
    assert!(reader.next().await.is_none());
    // A part that is not read whole cannot be compared.
    assert!(read(&fixture, &stored, 1..300_000).await.is_ok());
}

#[tokio::test]
async fn digests_that_differ_refuse_the_body_and_leave_nothing_behind() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let checksum = |algorithm: ChecksumAlgorithm, fill: u8| {
        Checksum::new(algorithm, ChecksumType::FullObject, vec![fill; algorithm.digest_len()]).expect("its length")
    };
    for bytes in [100, 10_000, 300_000] {
        let whole = body_bytes(bytes);
        let refused = |expected: ExpectedDigests, trailers: Vec<Checksum>| {
            let mut request = fixture.request(Some(bytes as u64));
            request.expected = expected;
            let mut body = Frames::new(&whole, 70_000);
            body.trailers = trailers;
            let data = fixture.data.clone();
            async move { data.write(request, &mut body).await.expect_err("refused") }
        };
        let md5 = ExpectedDigests { md5: Some([0; 16]), ..Default::default() };
        assert!(matches!(refused(md5, vec![]).await, WriteError::BadMd5));
        let sha256 = ExpectedDigests { payload_sha256: Some([0; 32]), ..Default::default() };
        assert!(matches!(refused(sha256, vec![]).await, WriteError::BadPayloadSha256));
        for algorithm in ChecksumAlgorithm::ALL {
            let header = ExpectedDigests { checksums: vec![checksum(algorithm, 1)], ..Default::default() };
            assert!(matches!(refused(header, vec![]).await, WriteError::BadChecksum(of) if of == algorithm));
        }
        let trailer = vec![checksum(ChecksumAlgorithm::Crc64Nvme, 1)];
        let error = refused(ExpectedDigests::default(), trailer).await;
        assert!(matches!(error, WriteError::BadChecksum(ChecksumAlgorithm::Crc64Nvme)));
        let right = ExpectedDigests {
            md5: Some(md5_many::md5(&whole)),
            payload_sha256: None,
            checksums: vec![
                Checksum::new(
                    ChecksumAlgorithm::Sha1,
                    ChecksumType::FullObject,
                    digest_of(ChecksumAlgorithm::Sha1, &whole),
                )
                .expect("its length"),
            ],
        };
        let request = super::WriteRequest { expected: right, ..fixture.request(None) };
        let stored = fixture.data.write(request, &mut Frames::new(&whole, 7000)).await.expect("all is right");
        fixture.shards.stored.lock().retain(|(_, address), _| runs(&stored).iter().all(|run| run.id != address.run));
    }
    let discarded: BTreeSet<_> = fixture.notices.discarded.lock().iter().map(|run| run.id).collect();
    assert!(fixture.shards.stored.lock().keys().all(|(_, address)| discarded.contains(&address.run)));
}

#[tokio::test]
async fn a_body_of_another_length_or_with_an_error_is_refused_and_given_up() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let whole = body_bytes(600_000);
    for declared in [599_999, 600_001] {
        let refused = fixture.data.write(fixture.request(Some(declared)), &mut Frames::new(&whole, 70_000)).await;
        assert!(matches!(refused, Err(WriteError::Length { .. })), "{refused:?}");
    }
    let mut broken = Frames::new(&whole, 70_000).failing_at_end();
    let refused = fixture.data.write(fixture.request(None), &mut broken).await;
    assert!(matches!(refused, Err(WriteError::Body(_))), "{refused:?}");
    let known = || {
        let discarded: BTreeSet<_> = fixture.notices.discarded.lock().iter().map(|run| run.id).collect();
        fixture.shards.stored.lock().keys().all(|(_, address)| discarded.contains(&address.run))
    };
    until(known).await;
    until(|| fixture.budget.reserved_bytes() == 0).await;
}

#[tokio::test]
async fn a_write_that_is_cancelled_gives_its_runs_up() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let whole = body_bytes(600_000);
    {
        let (reached, mut waits) = tokio::sync::mpsc::unbounded_channel();
        let mut body = Scripted::new(&whole, 60_000, move |frame| {
            if frame == 9 {
                reached.send(()).expect("the test listens");
            }
        })
        .hanging_at_end();
        let write = fixture.data.write(fixture.request(None), &mut body);
        tokio::select! {
            _ = write => panic!("the body never ends"),
            _ = waits.recv() => {}
        }
    }
    until(|| fixture.notices.discarded.lock().len() == 1 && fixture.budget.reserved_bytes() == 0).await;
    let discarded = fixture.notices.discarded.lock()[0].id;
    assert!(fixture.shards.stored.lock().keys().all(|(_, address)| address.run == discarded));
}

#[tokio::test]
async fn transfers_stay_within_the_budget_and_give_it_back() {
    let budget_bytes = 8 << 20;
    let fixture = Arc::new(Fixture::with_budget(6, Profile::for_domains(6), hasty(), budget_bytes));
    let whole = body_bytes(9 << 20);
    let transfers: Vec<_> = (0..4)
        .map(|_| {
            let (fixture, whole) = (Arc::clone(&fixture), whole.clone());
            tokio::spawn(async move {
                let stored = written(&fixture, &whole, 100_000).await;
                assert_eq!(runs(&stored).len(), 1, "full stripes");
                assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
            })
        })
        .collect();
    for transfer in transfers {
        while !transfer.is_finished() {
            assert!(fixture.budget.reserved_bytes() <= budget_bytes);
            tokio::task::yield_now().await;
        }
        transfer.await.expect("stored and read");
    }
    until(|| fixture.budget.reserved_bytes() == 0).await;
}

/// The least budget that a server takes: one GET is served beside a PUT that holds all its memory, with as many disks
/// lost as may be, and one PUT in full stripes beside such a GET.
#[tokio::test]
async fn the_least_budget_serves_a_put_and_a_get_side_by_side() {
    let widest = Profile::new(16, 8, 64 << 10, Integrity::Xxh3).expect("within bounds");
    for (disks, profile) in [(2, Profile::for_domains(2)), (6, Profile::for_domains(6)), (24, widest)] {
        let settings = DataPathSettings { memory_patience: Duration::from_millis(500), ..hasty() };
        let needs = TransferMemoryNeeds::of(profile);
        let fixture = Fixture::with_budget(disks, profile, settings, needs.put_bytes + needs.get_bytes);
        let whole = body_bytes(9 << 20);
        let get = fixture.budget.try_reserve(needs.get_bytes).expect("all is free");
        let stored = written(&fixture, &whole, 100_000).await;
        assert_eq!(runs(&stored).len(), 1, "full stripes of {profile}");
        drop(get);
        (0..profile.m()).for_each(|lost| fixture.shards.wipe(fixture.disk(lost)));
        let put = fixture.budget.try_reserve(needs.put_bytes).expect("all is free");
        assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
        drop(put);
        assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    }
}

#[tokio::test]
async fn waiting_too_long_for_memory_is_told() {
    let settings = DataPathSettings { memory_patience: Duration::from_millis(20), ..hasty() };
    let fixture = Fixture::with_budget(6, small_profile(), settings, 1 << 20);
    let stored = written(&fixture, &body_bytes(300_000), 60_000).await;
    let held = fixture.budget.reserve(1 << 20, Duration::ZERO).await.expect("all is free");
    let refused = fixture.data.write(fixture.request(None), &mut WholeBody::new(body_bytes(300_000))).await;
    assert!(matches!(refused, Err(WriteError::SlowDown)), "{refused:?}");
    assert!(matches!(read_all(&fixture, &stored).await, Err(ReadError::SlowDown)));
    drop(held);
    assert!(read_all(&fixture, &stored).await.is_ok());
}

/// Two hundred senders that sent something and then nothing more hold so little that another one gets its stripes, and
/// all of them end well when they go on.
#[tokio::test]
async fn slow_senders_leave_memory_to_a_fast_one() {
    let fixture = Arc::new(Fixture::with_budget(6, Profile::for_domains(6), hasty(), 64 << 20));
    let whole = body_bytes(300_000);
    let (go_on, waits) = tokio::sync::watch::channel(false);
    let slow: Vec<_> = (0..200)
        .map(|number| {
            let (fixture, whole) = (Arc::clone(&fixture), whole.clone());
            let mut body = Scripted::new(&whole, 3000 + 700 * number, |_| {}).waiting_after_first(waits.clone());
            tokio::spawn(async move {
                let stored = fixture.data.write(fixture.request(Some(300_000)), &mut body).await.expect("stored");
                assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
            })
        })
        .collect();
    until(|| fixture.budget.reserved_bytes() > 0).await;
    let fast_body = body_bytes(40 << 20);
    let stored = written(&fixture, &fast_body, 200_000).await;
    assert_eq!(runs(&stored).len(), 1, "nothing was closed short");
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), fast_body);
    // Each is slow by now, and holds a slow sender's memory at most.
    until(|| fixture.budget.reserved_bytes() <= 200 * (96 << 10)).await;
    assert!(slow.iter().all(|sender| !sender.is_finished()));
    go_on.send(true).expect("they wait");
    for sender in slow {
        sender.await.expect("stored and read");
    }
}

/// A sender at 2 KiB every few milliseconds, with the limit set above that: small stripes in few runs, then full ones.
#[tokio::test(start_paused = true)]
async fn a_slow_sender_writes_small_stripes_in_one_run() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    let whole = body_bytes(700_000);
    let mut body = Frames::new(&whole, 10_000).every(Duration::from_secs(1));
    let stored = fixture.data.write(fixture.request(Some(700_000)), &mut body).await.expect("stored");
    let shapes: Vec<(u32, u32)> = runs(&stored).iter().map(|run| (run.stripe_bytes, run.stripes)).collect();
    assert_eq!(shapes, [(65_536, 11)]);
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
}

#[tokio::test]
async fn a_sender_that_turns_slow_and_fast_again_loses_nothing() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    let whole = body_bytes(3_000_000);
    let (go_on, waits) = tokio::sync::watch::channel(false);
    let mut body = Scripted::new(&whole, 400_000, |_| {}).waiting_after_first(waits);
    let write = fixture.data.write(fixture.request(None), &mut body);
    let (stored, ()) = tokio::join!(write, async {
        // The first frame was one full stripe and the begin of another, which is closed short when nothing follows.
        until(|| fixture.shards.stored.lock().len() == 12).await;
        go_on.send(true).expect("the body waits");
    });
    let stored = stored.expect("stored");
    assert_eq!(runs(&stored)[0].plain_bytes(), 400_000);
    assert_eq!(runs(&stored).last().map(|run| run.stripe_bytes), Some(262_144), "full stripes again");
    assert_eq!(read_all(&fixture, &stored).await.expect("readable"), whole);
    assert_offsets_follow(&fixture, &stored);
}

#[tokio::test]
async fn a_reader_that_stalls_gives_up_what_was_read_ahead() {
    let fixture = Fixture::new(6, Profile::for_domains(6), hasty());
    let whole = body_bytes(24 << 20);
    let stored = written(&fixture, &whole, 200_000).await;
    until(|| fixture.budget.reserved_bytes() == 0).await;
    let mut reader = fixture.data.read(vec![part_of(&stored)], 0..stored.plain_bytes);
    let mut bytes = Vec::new();
    while bytes.len() < 4 << 20 {
        bytes.extend_from_slice(&reader.next().await.expect("more").expect("readable"));
    }
    assert!(fixture.budget.reserved_bytes() > 64 << 10, "it was fast and is read ahead for");
    until(|| fixture.budget.reserved_bytes() == 0).await;
    while let Some(piece) = reader.next().await {
        bytes.extend_from_slice(&piece.expect("readable"));
    }
    assert!(bytes == whole);
}

/// Readers that took much and then stop hold what was read ahead for a pace window; who has a need doesn't wait for that.
#[tokio::test]
async fn readers_that_stall_leave_memory_to_others_before_they_are_called_slow() {
    let settings = DataPathSettings {
        pace_window: Duration::from_secs(4),
        memory_patience: Duration::from_secs(2),
        ..DataPathSettings::default()
    };
    let budget_bytes = 32 << 20;
    let fixture = Fixture::with_budget(6, Profile::for_domains(6), settings, budget_bytes);
    let whole = body_bytes(12 << 20);
    let stored = written(&fixture, &whole, 200_000).await;
    until(|| fixture.budget.reserved_bytes() == 0).await;
    let mut readers = Vec::new();
    for _ in 0..12 {
        let mut reader = fixture.data.read(vec![part_of(&stored)], 0..stored.plain_bytes);
        let mut taken = 0;
        while taken < 8 << 20 {
            taken += reader.next().await.expect("more").expect("readable").len();
        }
        readers.push(reader);
    }
    assert!(fixture.budget.reserved_bytes() > budget_bytes / 2, "they are read ahead for");
    let kept = budget_bytes - fixture.budget.reserved_bytes();
    assert!(kept >= budget_bytes / 4);
    written(&fixture, &whole, 200_000).await;
    // With others' needs in the rest, what was read ahead is given up early.
    let needed = fixture.budget.reserve(kept, Duration::ZERO).await.expect("free");
    written(&fixture, &whole, 200_000).await;
    drop(needed);
    for mut reader in readers {
        assert!(reader.next().await.expect("more").is_ok());
    }
}

/// What a reader was given last waits in its socket's buffer, and the memory of its whole step with it: the more readers
/// there are, the shorter their steps.
#[tokio::test]
async fn readers_that_stall_with_what_they_were_given_keep_little_memory() {
    let budget_bytes = 32 << 20;
    let fixture = Fixture::with_budget(6, Profile::for_domains(6), hasty(), budget_bytes);
    let whole = body_bytes(12 << 20);
    let stored = written(&fixture, &whole, 200_000).await;
    until(|| fixture.budget.reserved_bytes() == 0).await;
    let read = |_| (fixture.data.read(vec![part_of(&stored)], 0..stored.plain_bytes), Bytes::new());
    let mut readers: Vec<_> = (0..24).map(read).collect();
    for (reader, given) in &mut readers {
        let mut taken = 0;
        while taken < 8 << 20 {
            *given = reader.next().await.expect("more").expect("readable");
            taken += given.len();
        }
    }
    let given_up = until(|| fixture.budget.reserved_bytes() <= budget_bytes / 4);
    tokio::time::timeout(Duration::from_secs(30), given_up)
        .await
        .expect("a step of half a MiB each would be 12 of 32 MiB");
}

/// Readers of what has lost shards need memory to rebuild with while they hold their steps'; they must not hold so much
/// that nobody gets any.
#[tokio::test]
async fn readers_that_have_to_rebuild_do_not_starve_each_other() {
    let settings = DataPathSettings { memory_patience: Duration::from_secs(20), ..DataPathSettings::default() };
    let fixture = Arc::new(Fixture::with_budget(6, Profile::for_domains(6), settings, 8 << 20));
    let whole = body_bytes(8 << 20);
    let stored = Arc::new(written(&fixture, &whole, 200_000).await);
    until(|| fixture.budget.reserved_bytes() == 0).await;
    fixture.shards.wipe(fixture.disk(0));
    fixture.shards.wipe(fixture.disk(1));
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let (fixture, stored, whole) = (Arc::clone(&fixture), Arc::clone(&stored), whole.clone());
            tokio::spawn(async move { assert!(read_all(&fixture, &stored).await.expect("readable") == whole) })
        })
        .collect();
    for reader in readers {
        reader.await.expect("read");
    }
}

#[tokio::test]
async fn a_lost_shard_is_made_again() {
    let fixture = Fixture::new(6, small_profile(), DataPathSettings::default());
    for bytes in [600_000, 10_000] {
        let stored = written(&fixture, &body_bytes(bytes), 60_000).await;
        let before = fixture.shards.stored.lock().clone();
        fixture.shards.wipe(fixture.disk(0));
        fixture.shards.wipe(fixture.disk(1));
        let lost: Vec<_> =
            before.keys().filter(|at| !fixture.shards.stored.lock().contains_key(*at)).copied().collect();
        for (_, address) in lost {
            let run = runs(&stored)[0].clone();
            let wanted = ShardToRebuild { run, home: home(), stripe: address.stripe, shard: address.shard };
            fixture.data.repair_shard(&wanted).await.expect("made again");
        }
        assert!(*fixture.shards.stored.lock() == before);
        fixture.shards.stored.lock().clear();
    }
}

#[tokio::test]
async fn a_part_is_copied() {
    let fixture = Fixture::new(6, small_profile(), hasty());
    let whole = body_bytes(700_000);
    let stored = written(&fixture, &whole, 60_000).await;
    let request = fixture.request(Some(500_000));
    let copied = fixture.data.copy_part(vec![part_of(&stored)], 100_000..600_000, request).await.expect("copied");
    assert_eq!(read_all(&fixture, &copied).await.expect("readable"), whole.slice(100_000..600_000));
    fixture.shards.free_run(runs(&stored)[0].id);
    let gone = fixture.data.copy_part(vec![part_of(&stored)], 0..700_000, fixture.request(None)).await;
    assert!(matches!(gone, Err(CopyError::Read(ReadError::Gone))), "{gone:?}");
}

/// A body that does something before each frame, and may wait.
struct Scripted<F> {
    frames: std::vec::IntoIter<Bytes>,
    number: usize,
    before: F,
    gate: Option<tokio::sync::watch::Receiver<bool>>,
    hangs_at_end: bool,
}

impl<F: FnMut(usize) + Send> Scripted<F> {
    fn new(whole: &Bytes, frame_bytes: usize, before: F) -> Self {
        let starts = (0..whole.len()).step_by(frame_bytes);
        let frames: Vec<Bytes> = starts.map(|at| whole.slice(at..whole.len().min(at + frame_bytes))).collect();
        Self { frames: frames.into_iter(), number: 0, before, gate: None, hangs_at_end: false }
    }

    fn waiting_after_first(mut self, gate: tokio::sync::watch::Receiver<bool>) -> Self {
        self.gate = Some(gate);
        self
    }

    fn hanging_at_end(mut self) -> Self {
        self.hangs_at_end = true;
        self
    }
}

#[async_trait::async_trait]
impl<F: FnMut(usize) + Send> BodySource for Scripted<F> {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.number == 1
            && let Some(gate) = &mut self.gate
        {
            gate.wait_for(|open| *open).await.expect("the test holds the gate");
        }
        let frame = self.frames.next();
        if frame.is_none() && self.hangs_at_end {
            std::future::pending::<()>().await;
        }
        (self.before)(self.number);
        self.number += 1;
        Ok(frame)
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(Vec::new())
    }
}
