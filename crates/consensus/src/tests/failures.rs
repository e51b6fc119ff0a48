//! Disks fail, vanish and fill up while the index serves.

use super::*;
use crate::LoggedProposal;
use crate::failure::Failure;
use crate::log::SharedLog;
use crate::machine::range_entry;
use crate::testing::numbered;
use platform::FaultyDisk;
use platform::faulty::{Fault, FaultKind, Operation};
use types::DiskId;

fn faulty(count: usize) -> Vec<FaultyDisk> {
    (0..count as u64).map(FaultyDisk::new).collect()
}

async fn open(disks: &[FaultyDisk], mirrors: usize) -> Arc<ReplicatedIndex> {
    let settings = busy_settings(numbered(disks), mirrors);
    Arc::new(ReplicatedIndex::open(settings).await.expect("opened"))
}

fn number_of(disk: DiskId) -> usize {
    usize::from(disk.to_bytes()[0]) - 1
}

/// Puts until there are copies of the database and the log's beginning is gone: until then a disk needs no copy.
async fn put_until_the_log_is_purged(index: &Arc<ReplicatedIndex>, bucket: BucketAt) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for round in 0..100 {
        acknowledged.extend(put_from_many(index, bucket, &format!("grow {round}"), 4, 20).await);
        let is_purged = index.proposals(FIRST_DATA_RANGE, 0, 1).expect("looked up").is_none();
        if is_purged && !index.status().upkeep.copies.is_empty() {
            return acknowledged;
        }
    }
    panic!("the log was not purged: {:?}", index.status());
}

/// Loses the disk that the database lies on while commands come, by `lose`; everything must go on without a restart,
/// and be there after one.
async fn lose_the_database(lose: impl Fn(&FaultyDisk), with_purged_log: bool) {
    let disks = faulty(3);
    let index = open(&disks, 2).await;
    let bucket = make_bucket(&index).await;
    let mut acknowledged = put_from_many(&index, bucket, "before", 4, 100).await;
    if with_purged_log {
        acknowledged.extend(put_until_the_log_is_purged(&index, bucket).await);
    }
    let lost = index.status().database_disk.expect("a database");
    lose(&disks[number_of(lost)]);
    let during = put_from_many(&index, bucket, "during", 4, 50).await;
    assert_eq!(during.len(), 200, "nothing was refused");
    acknowledged.extend(during);
    until("the database lies elsewhere", || index.status().database_disk != Some(lost)).await;
    assert_all_there(&index, bucket, &acknowledged, "after the loss").await;
    until("two mirrors stand again", || index.status().log.mirrors.len() == 2).await;
    assert_eq!(index.status().failed, None);
    index.shutdown().await;

    // The lost disk comes back as it was, and is not believed.
    let found: Vec<FaultyDisk> = disks
        .iter()
        .map(|disk| {
            disk.heal();
            disk.crash()
        })
        .collect();
    let index = open(&found, 2).await;
    assert_all_there(&index, bucket, &acknowledged, "after a restart").await;
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_databases_disk_goes_on_from_the_log() {
    lose_the_database(|disk| disk.fail_after(0), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_databases_disk_goes_on_from_a_copy() {
    lose_the_database(|disk| disk.fail_after(0), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_database_is_noticed_and_replaced() {
    lose_the_database(FaultyDisk::delete_directory, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_is_replaced() {
    lose_the_database(|disk| disk.set_read_only(true), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_said_to_have_failed_is_left_at_once() {
    let disks = faulty(3);
    let index = open(&disks, 2).await;
    let bucket = make_bucket(&index).await;
    let acknowledged = put_from_many(&index, bucket, "before", 4, 50).await;
    let lost = index.status().database_disk.expect("a database");
    index.disk_failed(lost).await;
    until("the database lies elsewhere", || index.status().database_disk != Some(lost)).await;
    until("two mirrors stand, without it", || {
        let mirrors = index.status().log.mirrors;
        mirrors.len() == 2 && !mirrors.contains(&lost)
    })
    .await;
    assert_all_there(&index, bucket, &acknowledged, "after the failure").await;
    index.shutdown().await;
}

/// The disk with the only log and the database is to be left while commands come: both move to the other one under the
/// same voter, and what was acknowledged outlives the loss of the first and of the power then.
async fn leave_the_disk(with_purged_log: bool) {
    let disks = faulty(2);
    let index = open(&disks, 1).await;
    let bucket = make_bucket(&index).await;
    let mut acknowledged = put_from_many(&index, bucket, "before", 4, 50).await;
    if with_purged_log {
        for round in 0..100 {
            acknowledged.extend(put_from_many(&index, bucket, &format!("grow {round}"), 4, 20).await);
            if index.proposals(FIRST_DATA_RANGE, 0, 1).expect("looked up").is_none() {
                break;
            }
        }
    }
    let (voter, own) = (index.voter(), index.status().database_disk.expect("a database"));
    index.leave_disks([own].into());
    let mut rounds = 0;
    let is_left = || index.status().database_disk != Some(own) && !index.status().log.mirrors.contains(&own);
    while !is_left() {
        rounds += 1;
        assert!(rounds < 10_000, "the disk is not left: {:?}", index.status());
        let during = put_from_many(&index, bucket, &format!("during {rounds}"), 4, 5).await;
        assert_eq!(during.len(), 20, "nothing was refused");
        acknowledged.extend(during);
    }
    assert_eq!((index.status().log.mirrors.len(), index.status().failed), (1, None));
    acknowledged.extend(put_from_many(&index, bucket, "after", 4, 50).await);
    let found: Vec<FaultyDisk> = disks.iter().map(FaultyDisk::crash).collect();
    index.shutdown().await;
    let other = 1 - number_of(own);
    let left = vec![numbered(&found)[other].clone()];
    let index = ReplicatedIndex::open(busy_settings(left, 1)).await.expect("the other disk has all of it");
    assert_eq!(index.voter(), voter);
    assert_all_there(&index, bucket, &acknowledged, "on the other disk alone").await;
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_to_be_left_gives_log_and_database_to_another() {
    leave_the_disk(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_to_be_left_gives_a_log_that_was_purged_to_another() {
    leave_the_disk(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_disk_takes_the_place_of_a_lost_mirror() {
    let disks = faulty(2);
    let index = open(&disks[..1], 2).await;
    let bucket = make_bucket(&index).await;
    assert_eq!(index.status().log.mirrors.len(), 1);
    let mut acknowledged = put_from_many(&index, bucket, "before", 4, 50).await;
    // The registry of this test knows the disks that it was made with; a new index is opened over both.
    index.shutdown().await;
    let index = open(&disks, 2).await;
    until("two mirrors stand", || index.status().log.mirrors.len() == 2).await;
    acknowledged.extend(put_from_many(&index, bucket, "after", 4, 50).await);
    disks[0].fail_after(0);
    acknowledged.extend(put_from_many(&index, bucket, "alone", 4, 50).await);
    assert_eq!(acknowledged.len(), 600);
    assert_all_there(&index, bucket, &acknowledged, "on the new disk alone").await;
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_disk_everything_is_unavailable() {
    let disks = faulty(2);
    let index = open(&disks, 2).await;
    let bucket = make_bucket(&index).await;
    put_from_many(&index, bucket, "before", 4, 20).await;
    disks.iter().for_each(|disk| disk.fail_after(0));
    let refused = index.propose(put(bucket, "lost", b"")).await.expect_err("no disk is left");
    assert!(!matches!(refused, index::IndexError::Damaged { .. }), "{refused}");
    assert!(!index.failed().await.is_empty());
    let refused = index.propose(put(bucket, "lost", b"")).await.expect_err("no disk is left");
    assert!(matches!(refused, index::IndexError::Unavailable { .. }), "{refused}");
    assert!(index.query(Query::Cluster).await.is_err());
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_disks_full_deletes_still_work_and_space_lets_it_go_on() {
    let disks = faulty(2);
    let index = open(&disks, 1).await;
    let bucket = make_bucket(&index).await;
    let mut acknowledged = put_from_many(&index, bucket, "before", 4, 50).await;
    // Less than the floor is left, so that it is noticed before nothing is left at all.
    for disk in &disks {
        let used = (1 << 40) - disk.space().expect("space").free_bytes;
        disk.set_capacity(used + (3 << 20));
    }
    until("space is short", || index.status().low_space).await;
    let refused = index.propose(put(bucket, "more", b"")).await.expect_err("the disks are full");
    assert!(matches!(refused, index::IndexError::Unavailable { .. }), "{refused}");
    let gone = acknowledged.remove(0);
    let deleted = index.propose(samples::delete(bucket, &gone, 1, None)).await.expect("deletes are taken");
    assert!(matches!(deleted, index::Answer::Deleted { .. }), "{deleted:?}");
    assert!(!is_there(&index, bucket, &gone).await);
    disks.iter().for_each(|disk| disk.set_capacity(1 << 40));
    until("space is back", || !index.status().low_space).await;
    acknowledged.extend(put_from_many(&index, bucket, "after", 4, 50).await);
    assert_all_there(&index, bucket, &acknowledged, "after space came back").await;
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_finds_no_room_costs_no_database() {
    let disks = faulty(2);
    let index = open(&disks, 2).await;
    let bucket = make_bucket(&index).await;
    let mut acknowledged = put_from_many(&index, bucket, "before", 4, 50).await;
    let own = index.status().database_disk.expect("a database");
    let database = crate::log::voter_directory(index.voter()).join("index.db");
    disks[number_of(own)].inject(Fault::once(Operation::Write).on(database).forever().with(FaultKind::StorageFull));
    acknowledged.extend(put_from_many(&index, bucket, "meanwhile", 4, 50).await);
    until("checkpoints find no room", || index.status().upkeep.checkpoints_without_room > 2).await;
    assert_eq!(index.status().database_disk, Some(own), "a disk without room is not left as if it were lost");
    disks.iter().for_each(FaultyDisk::heal);
    let before = index.status().upkeep.checkpoints;
    until("a checkpoint is made", || index.status().upkeep.checkpoints > before).await;
    assert_all_there(&index, bucket, &acknowledged, "after there was room").await;
    index.shutdown().await;
}

/// The disk that the database lies on is short, and the one with the copy has no room to set aside: the copy, which was to be the
/// database, is none any more, and counts again only once it was made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_fails_leaves_a_copy_that_is_one() {
    let disks = faulty(2);
    let index = open(&disks, 2).await;
    let bucket = make_bucket(&index).await;
    let mut acknowledged = put_from_many(&index, bucket, "before", 4, 50).await;
    acknowledged.extend(put_until_the_log_is_purged(&index, bucket).await);
    let own = index.status().database_disk.expect("a database");
    let other = *index.status().upkeep.copies.keys().next().expect("a copy");
    let directory = crate::log::voter_directory(index.voter());
    let (to, from) = (&disks[number_of(other)], &disks[number_of(own)]);
    let no_room = Fault::once(Operation::Reserve).on(directory.join("index.db")).forever();
    to.inject(no_room.with(FaultKind::StorageFull));
    from.set_capacity((1 << 40) - from.space().expect("space").free_bytes + (3 << 20));
    until("a move was tried", || {
        let gone = acknowledged.pop().expect("keys are left");
        let deleted = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(index.propose(samples::delete(bucket, &gone, 1, None)))
        });
        deleted.expect("deletes are taken");
        to.status(&directory.join("copy.db")).expect("looked up").is_none()
    })
    .await;
    until("a copy is there that counts", || {
        let counts = index.status().upkeep.copies.contains_key(&other);
        counts && to.status(&directory.join("copy.db")).expect("looked up").is_some()
    })
    .await;
    assert_eq!(index.status().database_disk, Some(own));
    to.heal();
    from.fail_after(0);
    until("the database lies elsewhere", || index.status().database_disk == Some(other)).await;
    assert_all_there(&index, bucket, &acknowledged, "after the loss").await;
    index.shutdown().await;
}

/// The log says all: a database that is made from it anew is the same, row by row, however entries are grouped.
#[tokio::test(flavor = "multi_thread")]
async fn applying_the_log_again_makes_the_same_database() {
    let disks = faulty(2);
    // Never copied, so never purged.
    let upkeep = DatabaseUpkeep { shutdown_copy_bytes_max: 0, ..DatabaseUpkeep::default() };
    let settings = ConsensusSettings { upkeep, ..busy_settings(numbered(&disks), 2) };
    let index = ReplicatedIndex::open(settings.clone()).await.expect("opened");
    index_contract(&index).await;
    index.shutdown().await;
    let path = crate::log::voter_directory(index.voter()).join("index.db");
    let disk = disks[number_of(index.status().database_disk.expect("a database"))].clone();
    drop(index);
    let location = sqlite_vfs::DatabaseLocation { disk: Arc::new(disk), path };
    let database = index::IndexDatabase::open(location, IndexSettings::default()).expect("opened");
    assert_eq!(database.verify().expect("read"), Vec::<String>::new());

    let ConsensusSettings { disks, registry, log, entropy, .. } = settings;
    let log = SharedLog::open(disks, registry, log, entropy, Failure::new(), None).expect("opened");
    for at_once in [1, 7, 5000] {
        let mut again = index::IndexDatabase::in_memory().expect("made");
        for range in [index::SYSTEM_RANGE, index::FIRST_DATA_RANGE] {
            let entries = log.read(range, 0..u64::MAX, u64::MAX).expect("readable");
            let entries: Vec<_> =
                entries.into_iter().map(|entry| range_entry(range, entry).expect("well-formed")).collect();
            for batch in entries.chunks(at_once) {
                again.apply(batch).expect("applied");
            }
        }
        assert_eq!(again.digest().expect("read"), database.digest().expect("read"), "{at_once} at once");
    }
}

/// The rows of its ranges and the proposals since bring the index back where every disk of it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_restored_from_its_rows_and_the_proposals_since() {
    let disks = faulty(2);
    let built =
        sqlite_vfs::DatabaseLocation { disk: Arc::new(FaultyDisk::new(9)) as Arc<dyn Disk>, path: "built.db".into() };
    let settings = || busy_settings(numbered(&disks), 2);
    let index = Arc::new(ReplicatedIndex::open(settings()).await.expect("opened"));
    let bucket = make_bucket(&index).await;
    let mut acknowledged = put_from_many(&index, bucket, "before", 4, 20).await;
    let mut database = index::IndexDatabase::open(built.clone(), IndexSettings::default()).expect("made");
    let mut next = 0;
    for range in index.ranges() {
        index.hold_log(range, Some(index.applied(range)));
        let (stretches, taken) = std::sync::mpsc::channel();
        let take = move |stretch| {
            stretches.send(stretch).expect("the receiver waits");
            std::ops::ControlFlow::Continue(())
        };
        next = index.range_rows(range, 1000, take).await.expect("read").expect("not broken off");
        let bodies = database.last_body().expect("read");
        taken.iter().for_each(|stretch| database.take_rows(&stretch, bodies).expect("taken"));
    }
    // Checkpoints and copies would let the log be purged all the time; it is held for whoever archives.
    let mut proposals = Vec::new();
    for round in 0..5 {
        acknowledged.extend(put_from_many(&index, bucket, &format!("after {round}"), 4, 50).await);
    }
    while let Some(stretch) = index.proposals(index::FIRST_DATA_RANGE, next, 2000).expect("read")
        && stretch.next > next
    {
        proposals.extend(stretch.proposals);
        next = stretch.next;
    }
    assert_eq!(next, index.applied(index::FIRST_DATA_RANGE), "the log is there to its end");
    for LoggedProposal { range, bytes, .. } in proposals {
        let index::Proposal { time, commands } = index::Proposal::decode(&bytes).expect("a proposal");
        let applied = bytes::Bytes::new();
        database.apply(&[index::RangeEntry { range, applied, membership: None, time, commands }]).expect("applied");
    }
    drop(database);
    let voter = index.voter();
    index.hold_log(index::FIRST_DATA_RANGE, None);
    index.shutdown().await;
    drop(index);

    let index = ReplicatedIndex::restore(settings(), built).await.expect("restored");
    assert_ne!(index.voter(), voter);
    assert_all_there(&index, bucket, &acknowledged, "restored").await;
    let index = Arc::new(index);
    acknowledged.extend(put_from_many(&index, bucket, "later", 4, 5).await);
    let voter = index.voter();
    index.shutdown().await;
    // Any one of the disks has all of it from the first moment on.
    for lost in 0..2 {
        let left: Vec<FaultyDisk> = disks.iter().map(FaultyDisk::crash).collect();
        let numbers = numbered(&left).into_iter().enumerate().filter(|(number, _)| *number != lost);
        let settings = busy_settings(numbers.map(|(_, disk)| disk).collect(), 2);
        let index = ReplicatedIndex::open(settings).await.expect("opened");
        assert_eq!(index.voter(), voter, "the old log is superseded");
        assert_all_there(&index, bucket, &acknowledged, &format!("without disk {lost}")).await;
        index.shutdown().await;
    }
}
