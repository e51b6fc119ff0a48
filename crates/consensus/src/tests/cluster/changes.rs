//! Voters come and go.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_voter_becomes_three_and_three_become_one() {
    let mut cluster = Cluster::new(1, busy).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, keys("alone", 50)).await;
    until("it leads alone", || cluster.index(0).group(FIRST_DATA_RANGE).leads_alone()).await;
    cluster.add(1).await;
    cluster.add(2).await;
    let voters = cluster.voters();
    for range in [SYSTEM_RANGE, FIRST_DATA_RANGE] {
        cluster.index(0).change_members(range, voters.clone()).await.expect("changed");
        // Once more changes nothing.
        cluster.index(0).change_members(range, voters.clone()).await.expect("as it is");
    }
    assert!(!cluster.index(0).group(FIRST_DATA_RANGE).leads_alone());
    acknowledged.extend(cluster.put_all(bucket, keys("of three", 50)).await);
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "three").await;
    // Any of them can go now, the first too.
    let first = cluster.nodes[0].index.take().expect("it runs");
    first.shutdown().await;
    acknowledged.extend(cluster.put_all(bucket, keys("without the first", 20)).await);
    for range in [SYSTEM_RANGE, FIRST_DATA_RANGE] {
        let leader = cluster.leader(range).await;
        let left: BTreeMap<_, _> = [(cluster.index(leader).voter(), node_id(leader))].into();
        let index = cluster.index(leader).clone();
        index.change_members(range, left.clone()).await.expect("changed");
        assert_eq!(index.status().ranges[&range].voters, left);
    }
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    assert_all_there(cluster.index(leader), bucket, &acknowledged, "one again").await;
    let group = cluster.index(leader).group(FIRST_DATA_RANGE);
    group.read_barrier().await.expect("it leads");
    until("it needs no barrier any more", || group.leads_alone()).await;
    cluster.shutdown().await;
}

/// A node that lost its disk joins as a new voter: as the old one it could vote twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_voter_whose_log_is_lost_is_replaced_by_a_new_one() {
    let mut cluster = Cluster::new(3, busy).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, keys("before", 100)).await;
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    let lost = (leader + 1) % 3;
    let old = cluster.power_off(lost).expect("it ran");
    old.shutdown().await;
    cluster.nodes[lost].disk = FaultyDisk::new(99);
    let index = ReplicatedIndex::open_as_new_voter(cluster.settings_of(lost)).await.expect("opened");
    assert_ne!(index.voter(), old.voter());
    cluster.take(lost, index);
    // What is meant for the old one is not for the new one.
    let (handler, new) = (cluster.index(lost).raft_handler(), cluster.index(lost).voter());
    for (range, voter) in [(FIRST_DATA_RANGE, old.voter()), (RangeId(77), new)] {
        let stray = handler.handle(node_id(leader), range, voter, Bytes::from_static(b"\x01\x02"));
        assert_eq!(stray.await, Err(rpc::server::RaftError::NotHere));
    }
    let voters = cluster.voters();
    for range in [SYSTEM_RANGE, FIRST_DATA_RANGE] {
        let leader = cluster.leader(range).await;
        cluster.index(leader).change_members(range, voters.clone()).await.expect("changed");
    }
    acknowledged.extend(cluster.put_all(bucket, keys("after", 20)).await);
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "with the new voter").await;
    let status = cluster.index(leader).status();
    assert_eq!(status.ranges[&FIRST_DATA_RANGE].voters, voters);
    // The new one counts: with it, another may go.
    let gone = (0..3).find(|number| *number != lost).expect("three nodes");
    cluster.power_off(gone).expect("it ran").shutdown().await;
    acknowledged.extend(cluster.put_all(bucket, keys("with it", 20)).await);
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "without another").await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_voter_had_is_removed_once_another_has_taken_its_place() {
    let mut cluster = Cluster::new(3, calm).await;
    let old = cluster.nodes[2].index.take().expect("it runs");
    old.shutdown().await;
    let settings = cluster.settings_of(2);
    let disk = settings.disks[0].1.clone();
    let files = |voter| -> Vec<String> {
        let directory = crate::log::voter_directory(voter);
        let mut found = disk.list(&directory).unwrap_or_default();
        found.extend(disk.list(&directory.join("log")).unwrap_or_default());
        found.retain(|name| name != "log");
        found
    };
    assert!(!files(old.voter()).is_empty());
    // A start as the same one removes nothing.
    let same = ReplicatedIndex::open(settings.clone()).await.expect("opened");
    assert_eq!(same.voter(), old.voter());
    same.shutdown().await;
    assert!(!files(old.voter()).is_empty());
    let new = ReplicatedIndex::open_as_new_voter(settings).await.expect("opened");
    assert_eq!(files(old.voter()), Vec::<String>::new());
    assert!(!files(new.voter()).is_empty());
    new.shutdown().await;
    cluster.shutdown().await;
}

/// Founding is asked of every node at once, and again: there is one group in the end.
#[tokio::test(flavor = "multi_thread")]
async fn founding_twice_founds_once() {
    let cluster = Cluster::new(3, calm).await;
    let voters = cluster.voters();
    for number in 0..3 {
        cluster.index(number).found(&voters).await.expect("it was founded before");
    }
    let bucket = cluster.make_bucket().await;
    let acknowledged = cluster.put_all(bucket, keys("key", 5)).await;
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "founded").await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_node_with_peers_is_open_at_once_and_answers_nothing() {
    let mut cluster = Cluster { wires: Wires::default(), nodes: Vec::new(), settings: calm };
    cluster.add(0).await;
    let index = cluster.index(0);
    let not_leader = IndexError::NotLeader { leader: None };
    assert_eq!(look_up(index, samples::at(7, 1), "key").await, Err(not_leader.clone()));
    assert_eq!(index.propose(bucket_row()).await, Err(not_leader));
    assert!(index.status().ranges[&FIRST_DATA_RANGE].voters.is_empty());
    index.shutdown().await;
}
