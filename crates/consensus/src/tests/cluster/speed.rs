//! Many callers share round trips and syncs: with several voters too.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_many_callers_share_messages_between_voters() {
    let cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    let index = cluster.index(leader);
    let before: u64 = cluster.wires.0.lock().messages.values().sum();
    let start = tokio::time::Instant::now();
    let acknowledged = put_from_many(index, bucket, "key", 64, 50).await;
    let taken = start.elapsed();
    let messages = cluster.wires.0.lock().messages.values().sum::<u64>() - before;
    assert_eq!(acknowledged.len(), 64 * 50);
    println!("{} commands, {messages} messages, {taken:?}", acknowledged.len());
    assert!(messages < acknowledged.len() as u64, "{messages} messages for {} commands", acknowledged.len());
    cluster.assert_equal("after the load").await;
    cluster.shutdown().await;
}
