//! Nodes, wires and disks are lost.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_after_the_leader_is_cut_off() {
    for count in [3, 5] {
        let cluster = Cluster::new(count, calm).await;
        let bucket = cluster.make_bucket().await;
        let mut acknowledged = cluster.put_all(bucket, keys("before", 10)).await;
        let leader = cluster.leader(FIRST_DATA_RANGE).await;
        cluster.isolate(&[leader]);
        let start = tokio::time::Instant::now();
        let next = cluster.leader_other_than(FIRST_DATA_RANGE, &[leader]).await;
        cluster.index(next).propose(put(bucket, "soon", b"x")).await.expect("the others go on");
        assert!(start.elapsed() < Duration::from_secs(6), "it took {:?}", start.elapsed());
        acknowledged.push("soon".to_owned());
        cluster.wires.heal();
        cluster.assert_all_there_and_equal(bucket, &acknowledged, &format!("{count} voters")).await;
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_answers_nothing() {
    let cluster = Cluster::new(5, calm).await;
    let bucket = cluster.make_bucket().await;
    cluster.put_all(bucket, keys("before", 5)).await;
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    let minority = [leader, (leader + 1) % 5];
    cluster.isolate(&minority);
    for number in minority {
        let index = cluster.index(number);
        assert!(look_up(index, bucket, "before 0").await.is_err(), "node {number} answered a query");
        assert!(index.propose(put(bucket, "lost", b"x")).await.is_err(), "node {number} took a command");
    }
    let next = cluster.leader_other_than(FIRST_DATA_RANGE, &minority).await;
    assert!(is_there(cluster.index(next), bucket, "before 0").await);
    cluster.wires.heal();
    cluster.assert_equal("healed").await;
    cluster.shutdown().await;
}

/// The old leader is asked all the time while it is cut off and comes back: whatever it answers must have been put by
/// the new one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_comes_back_serves_nothing_stale() {
    let cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    cluster.put_all(bucket, keys("before", 5)).await;
    let old = cluster.leader(FIRST_DATA_RANGE).await;
    cluster.isolate(&[old]);
    let next = cluster.leader_other_than(FIRST_DATA_RANGE, &[old]).await;
    cluster.index(next).propose(put(bucket, "new", b"x")).await.expect("taken");
    let asked = cluster.index(old).clone();
    let asking = tokio::spawn(async move {
        let mut answers = 0;
        while answers < 20 {
            if let Ok(there) = look_up(&asked, bucket, "new").await {
                assert!(there, "an old leader answered as if nothing had been put");
                answers += 1;
            } else if asked.status().ranges[&FIRST_DATA_RANGE].leader == Some(node_id(next)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    tokio::task::yield_now().await;
    cluster.wires.heal();
    tokio::time::timeout(PATIENCE, asking).await.expect("it hears of the new leader").expect("nothing stale");
    cluster.assert_equal("healed").await;
    cluster.shutdown().await;
}

/// What can be said but not heard, and the other way round, must not stop the others for longer than an election.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hears_nothing_is_replaced() {
    let cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    for other in (0..3).filter(|other| *other != leader) {
        cluster.wires.cut_one_way(node_id(leader), node_id(other));
    }
    let next = cluster.leader_other_than(FIRST_DATA_RANGE, &[leader]).await;
    cluster.index(next).propose(put(bucket, "key", b"x")).await.expect("taken");
    cluster.wires.heal();
    cluster.assert_all_there_and_equal(bucket, &["key".to_owned()], "healed").await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_fails_ends_its_voters_and_the_others_go_on() {
    let cluster = Cluster::new(3, busy).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, keys("before", 50)).await;
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    cluster.nodes[leader].disk.fail_after(0);
    acknowledged.extend(cluster.put_all(bucket, keys("during", 50)).await);
    let failed = tokio::time::timeout(PATIENCE, cluster.index(leader).failed()).await.expect("it notices");
    assert_eq!(cluster.index(leader).status().failed, Some(failed));
    let next = cluster.leader_other_than(FIRST_DATA_RANGE, &[leader]).await;
    // Its own callers are to ask those that lead now.
    let asked = look_up(cluster.index(leader), bucket, "before 0").await;
    assert!(matches!(asked, Err(IndexError::NotLeader { .. })), "{asked:?}");
    let told = cluster.index(leader).propose(put(bucket, "elsewhere", b"x")).await;
    assert!(matches!(told, Err(IndexError::NotLeader { .. })), "{told:?}");
    let mut leaders = cluster.index(leader).leaders();
    let forgot = leaders.wait_for(|leaders| leaders.values().all(Option::is_none));
    tokio::time::timeout(PATIENCE, forgot).await.expect("it takes nobody for the leader").expect("it is told");
    assert_all_there(cluster.index(next), bucket, &acknowledged, "without the failed one").await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_acknowledged_is_there_after_all_lose_their_power_at_once() {
    let mut cluster = Cluster::new(3, busy).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = Vec::new();
    for life in 0..3 {
        let leader = cluster.leader(FIRST_DATA_RANGE).await;
        let index = cluster.index(leader).clone();
        let putting = tokio::spawn({
            let (index, life) = (index.clone(), format!("life {life}"));
            async move { put_from_many(&index, bucket, &life, 8, usize::MAX).await }
        });
        until("some were taken", || index.applied(FIRST_DATA_RANGE) > 40 * (life + 1)).await;
        let ended: Vec<_> = (0..3).filter_map(|number| cluster.power_off(number)).collect();
        acknowledged.extend(putting.await.expect("the callers end"));
        for index in ended {
            index.shutdown().await;
        }
        for number in 0..3 {
            cluster.start(number).await;
        }
        cluster.assert_all_there_and_equal(bucket, &acknowledged, &format!("life {life}")).await;
    }
    cluster.shutdown().await;
}

/// The old leader still takes a command when it is cut off; whoever proposed it must not hear that it had no effect.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_in_the_log_is_of_unknown_outcome_and_applies_once() {
    let cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    let old = cluster.leader(FIRST_DATA_RANGE).await;
    let command = samples::numbered(1, 1, 0, put(bucket, "key", b"once").body);
    let log_end = |number: usize| cluster.index(number).status().ranges[&FIRST_DATA_RANGE].log_end;
    let before = log_end(old);
    cluster.isolate(&[old]);
    let (index, sent) = (cluster.index(old).clone(), command.clone());
    let proposing = tokio::spawn(async move { index.propose(sent).await });
    until("it is in the log of the old leader", || log_end(old) > before).await;
    let next = cluster.leader_other_than(FIRST_DATA_RANGE, &[old]).await;
    let first = cluster.index(next).propose(command.clone()).await.expect("taken");
    cluster.wires.heal();
    let outcome = proposing.await.expect("no panic");
    assert!(matches!(outcome, Err(IndexError::Unknown { .. })), "{outcome:?}");
    assert_eq!(cluster.index(next).propose(command).await.expect("taken"), first, "it applied once");
    cluster.assert_equal("healed").await;
    cluster.shutdown().await;
}
