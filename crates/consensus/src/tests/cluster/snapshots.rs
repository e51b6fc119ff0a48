//! Voters that were away too long get rows instead of the log.

use std::path::Path;

use platform::faulty::Operation;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_away_long_gets_the_rows_and_then_equals_the_others() {
    let mut cluster = Cluster::new(3, busy).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, keys("before", 100)).await;
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    let away = (leader + 1) % 3;
    let index = cluster.power_off(away).expect("it ran");
    let end = index.status().ranges[&FIRST_DATA_RANGE].log_end;
    index.shutdown().await;
    acknowledged.extend(cluster.put_until_purged(bucket, end, "while away").await);
    cluster.start(away).await;
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "after the rows").await;
    assert!(cluster.index(away).purged(FIRST_DATA_RANGE) > Some(end), "its own log was not enough");
    // It can lead with them, and go on.
    let voter = cluster.index(away).voter();
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    cluster.index(leader).transfer(FIRST_DATA_RANGE, voter).await.expect("transferred");
    assert_eq!(cluster.leader(FIRST_DATA_RANGE).await, away);
    acknowledged.extend(cluster.put_all(bucket, keys("after", 20)).await);
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "led by the one that was away").await;
    // The rows are not kept once the log goes on behind them.
    let directory = crate::log::voter_directory(cluster.index(away).voter());
    let disk = cluster.nodes[away].disk.clone();
    let rows = || disk.list(Path::new(&directory)).expect("listed").into_iter().filter(|name| name.contains("rows-"));
    until("the received rows are removed", || rows().count() == 0).await;
    cluster.shutdown().await;
}

/// The power goes at every so many steps of a follower's disk once it has received rows, and while it installs them;
/// whatever it finds, it comes up, and equals the others in the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_power_loss_interrupts_begins_anew() {
    let mut cluster = Cluster::new(3, busy).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, keys("before", 50)).await;
    let mut interrupted = 0;
    for step in (7..50).step_by(7) {
        let leader = cluster.leader(FIRST_DATA_RANGE).await;
        let away = (leader + 1) % 3;
        let index = cluster.power_off(away).expect("it ran");
        let end = index.status().ranges[&FIRST_DATA_RANGE].log_end;
        index.shutdown().await;
        acknowledged.extend(cluster.put_until_purged(bucket, end, &format!("step {step}")).await);
        // Received rows get their name once they are whole; then they are installed.
        cluster.nodes[away].disk.power_off_after(Operation::Rename, "under-way-", step);
        let disk = cluster.nodes[away].disk.clone();
        if let Ok(index) = ReplicatedIndex::open(cluster.settings_of(away)).await {
            cluster.take(away, index);
            let index = cluster.index(away).clone();
            until("the power goes, or it has caught up", || {
                !disk.is_powered() || index.applied(FIRST_DATA_RANGE) >= end + 50
            })
            .await;
        }
        if let Some(index) = cluster.power_off(away) {
            index.shutdown().await;
        }
        interrupted += usize::from(is_half_installed(&cluster.nodes[away].disk));
        cluster.start(away).await;
        cluster.assert_all_there_and_equal(bucket, &acknowledged, &format!("step {step}")).await;
    }
    assert!(interrupted > 0, "the power never went in the midst of an installation");
    cluster.shutdown().await;
}

/// Whether the database on a disk says that rows of some range are being installed. Looks at what another power loss
/// would leave, so as to change nothing.
fn is_half_installed(disk: &FaultyDisk) -> bool {
    let disk: Arc<dyn Disk> = Arc::new(disk.after_power_loss(1));
    let voters = disk.list(Path::new("index")).unwrap_or_default();
    voters.into_iter().any(|voter| {
        let location =
            sqlite_vfs::DatabaseLocation { disk: disk.clone(), path: Path::new("index").join(voter).join("index.db") };
        let Ok(Some(_)) = location.disk.status(&location.path) else { return false };
        let Ok(database) = index::IndexDatabase::open(location, IndexSettings::default()) else { return false };
        [SYSTEM_RANGE, FIRST_DATA_RANGE].into_iter().any(|range| {
            let state = database.applied(range).ok().flatten();
            state.is_some_and(|state| crate::encoding::decode_installing(&state.applied).is_some())
        })
    })
}
