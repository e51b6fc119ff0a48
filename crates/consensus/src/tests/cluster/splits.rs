//! Ranges that split while they serve: nothing that was acknowledged is lost, on whichever side its key is, whoever is
//! down meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use index::{Answer, Command, CommandBody, Query, QueryAnswer, Router};
use types::{HomeKey, RangeDescriptor};

use super::*;

/// A client that knows all nodes that run, and asks one after the other.
struct Anywhere {
    nodes: Vec<Arc<ReplicatedIndex>>,
    router: Router,
}

/// How long a client asks for somebody who leads.
const ASKING: Duration = Duration::from_secs(20);

impl Anywhere {
    fn of(cluster: &Cluster) -> Self {
        Self { nodes: cluster.running().map(|(_, index)| index.clone()).collect(), router: Router::default() }
    }

    async fn ask<T>(
        &self,
        ask: impl Fn(Arc<ReplicatedIndex>) -> BoxFuture<'static, Result<T, IndexError>> + Send + Sync,
    ) -> Result<T, IndexError> {
        let end = tokio::time::Instant::now() + ASKING;
        loop {
            let mut last = IndexError::NotLeader { leader: None };
            for node in &self.nodes {
                match ask(node.clone()).await {
                    Err(error @ (IndexError::NotLeader { .. } | IndexError::Unavailable { .. })) => last = error,
                    outcome => return outcome,
                }
            }
            if tokio::time::Instant::now() > end {
                return Err(last);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl IndexService for Anywhere {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.router.propose(self, command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.router.query(self, query).await
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        let ask = |node: Arc<ReplicatedIndex>| {
            let command = command.clone();
            async move { node.propose_to(range, command).await }.boxed()
        };
        self.ask(ask).await
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        let ask = |node: Arc<ReplicatedIndex>| {
            let query = query.clone();
            async move { node.query_at(range, query).await }.boxed()
        };
        self.ask(ask).await
    }
}

fn home(text: &str) -> HomeKey {
    HomeKey { bucket: BucketId(7), key: samples::key(text) }
}

/// Splits the range that has the key, wherever it is led.
async fn split_at(client: &Anywhere, text: &str) -> [RangeDescriptor; 2] {
    assert_eq!(client.propose(samples::form_for_splits()).await, Ok(Answer::Done));
    let Ok(Answer::Range(child)) = client.propose(samples::plain(CommandBody::AllotRange)).await else {
        panic!("an id is given")
    };
    let place = index::place(BucketId(7), &samples::key(text));
    let split = |node: Arc<ReplicatedIndex>| {
        let known = types::RangeMap::of(node.descriptors());
        let range = known.of_place(&place).map_or(FIRST_DATA_RANGE, |range| range.id);
        let at = home(text);
        async move { node.split(range, child, at).await }.boxed()
    };
    client.ask(split).await.expect("split")
}

/// Keys that sort into all halves.
fn spread(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{}{prefix} {number}", char::from(b'a' + (number * 7 % 26) as u8))).collect()
}

/// Puts keys until `stop`; those that were acknowledged.
fn writing(
    client: Arc<Anywhere>,
    bucket: BucketAt,
    prefix: String,
    stop: Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for key in spread(&prefix, 100_000) {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            // One whose outcome is not known may be there or not.
            match client.propose(put(bucket, &key, &[7; 500])).await {
                Ok(answer) => {
                    assert!(matches!(answer, Answer::Put { .. }), "{answer:?}");
                    acknowledged.push(key);
                }
                Err(IndexError::Unknown { .. }) => {}
                Err(error) => panic!("{key}: {error}"),
            }
        }
        acknowledged
    })
}

async fn assert_all_listed(client: &Anywhere, keys: &[String], case: &str) {
    let QueryAnswer::Objects(page) =
        client.query(Query::Objects(samples::whole_bucket(7, 1_000_000))).await.expect("listed")
    else {
        panic!("objects")
    };
    let listed: BTreeSet<Vec<u8>> = page
        .entries
        .iter()
        .filter_map(|entry| match entry {
            index::query::ListEntry::Entry(entry) => Some(entry.key.as_bytes().to_vec()),
            index::query::ListEntry::CommonPrefix(_) => None,
        })
        .collect();
    assert_eq!(listed.len(), page.entries.len(), "{case}: each once");
    for key in keys {
        assert!(listed.contains(key.as_bytes()), "{case}: {key} is not listed");
        let query = samples::ask_version(7, key, index::command::WhichVersion::Newest);
        let answer = client.query(query).await.expect("answered");
        assert!(matches!(answer, QueryAnswer::Version { version: Some(_), .. }), "{case}: {key} is lost");
    }
}

async fn assert_whole(cluster: &Cluster, keys: &[String], case: &str) {
    assert_all_listed(&Anywhere::of(cluster), keys, case).await;
    cluster.assert_equal(case).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_splits_while_it_is_written_and_nothing_is_lost() {
    for settings in [calm as fn(Disks) -> ConsensusSettings, busy] {
        let cluster = Cluster::new(3, settings).await;
        let bucket = cluster.make_bucket().await;
        let client = Arc::new(Anywhere::of(&cluster));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> =
            (0..4).map(|writer| writing(client.clone(), bucket, format!("w{writer}"), stop.clone())).collect();
        for cut in ["m", "f", "t"] {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let [lower, upper] = split_at(&client, cut).await;
            assert!(lower.id < upper.id);
            // Both halves have a leader that answers.
            for text in ["a", "e", "g", "n", "u", "z"] {
                client.propose(put(bucket, &format!("{text} after {cut}"), b"x")).await.expect("taken");
            }
        }
        stop.store(true, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.extend(writer.await.expect("no command failed"));
        }
        assert!(acknowledged.len() > 30, "{}", acknowledged.len());
        for (_, index) in cluster.running() {
            assert_eq!(index.ranges().len(), 5);
        }
        assert_whole(&cluster, &acknowledged, "after three splits").await;
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_gets_its_first_answer_after_its_key_went_to_another_range() {
    let cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    let client = Anywhere::of(&cluster);
    let only_new = |number| {
        let put = samples::put_object(bucket, samples::key("z"), number, samples::inline_part(1, b"x"));
        let conditions = index::command::WriteConditions {
            if_none_match: Some(index::command::ETagCondition::Any),
            ..Default::default()
        };
        let put = index::command::PutObject { conditions, ..put };
        samples::numbered(5, number, 0, CommandBody::PutObject(Box::new(put)))
    };
    let first = client.propose(only_new(1)).await.expect("taken");
    assert!(matches!(first, Answer::Put { .. }));
    split_at(&client, "m").await;
    assert_eq!(client.propose(only_new(1)).await.expect("answered"), first);
    assert_eq!(
        client.propose(only_new(2)).await.expect("answered"),
        Answer::Refused(index::Refusal::PreconditionFailed)
    );
    cluster.shutdown().await;
}

/// It replays the split from the log, or, once that is purged, gets the parent's rows and then the child's.
#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_was_down_at_the_split_comes_to_have_both_halves() {
    for (settings, is_purged) in [(calm as fn(Disks) -> ConsensusSettings, false), (busy, true)] {
        let mut cluster = Cluster::new(3, settings).await;
        let bucket = cluster.make_bucket().await;
        let mut acknowledged = cluster.put_all(bucket, spread("before", 60)).await;
        let leader = cluster.leader(FIRST_DATA_RANGE).await;
        let away = (leader + 1) % 3;
        let end = cluster.index(away).status().ranges[&FIRST_DATA_RANGE].log_end;
        let gone = cluster.power_off(away);
        let client = Arc::new(Anywhere::of(&cluster));
        split_at(&client, "m").await;
        let mut rounds = 0;
        loop {
            for key in spread(&format!("r{rounds}"), 40) {
                client.propose(put(bucket, &key, &[7; 500])).await.expect("taken");
                acknowledged.push(key);
            }
            rounds += 1;
            let purged = |(_, index): (usize, &Arc<ReplicatedIndex>)| {
                index.purged(FIRST_DATA_RANGE).is_some_and(|purged| purged > end + 30)
            };
            if !is_purged || cluster.running().all(purged) {
                break;
            }
            assert!(rounds < 400, "the logs are never purged");
        }
        cluster.start(away).await;
        drop(gone);
        assert_whole(&cluster, &acknowledged, &format!("purged: {is_purged}")).await;
        // It leads what it came to have, too.
        let child = *cluster.index(away).ranges().last().expect("it has ranges");
        assert_ne!(child, FIRST_DATA_RANGE);
        let voter = cluster.index(away).voter();
        let leader = cluster.leader(child).await;
        cluster.index(leader).transfer(child, voter).await.expect("transferred");
        assert_eq!(cluster.leader(child).await, away);
        assert_whole(&cluster, &acknowledged, "led by the one that was away").await;
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn power_lost_at_any_moment_around_a_split_loses_nothing() {
    for (round, wait) in [0u64, 1, 5, 20, 60, 150].into_iter().enumerate() {
        let mut cluster = Cluster::new(3, busy).await;
        let bucket = cluster.make_bucket().await;
        let mut acknowledged = cluster.put_all(bucket, spread("before", 40)).await;
        let client = Arc::new(Anywhere::of(&cluster));
        let splitting = tokio::spawn({
            let client = client.clone();
            async move { split_at(&client, "m").await }
        });
        if round % 2 == 0 {
            splitting.await.expect("split");
        } else {
            drop(splitting);
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        // One, or all at once.
        let off: Vec<usize> = if round % 3 == 0 { vec![0, 1, 2] } else { vec![round % 3] };
        let gone: Vec<_> = off.iter().map(|number| cluster.power_off(*number)).collect();
        drop(client);
        for number in off {
            cluster.start(number).await;
        }
        drop(gone);
        let client = Anywhere::of(&cluster);
        for key in spread("after", 30) {
            client.propose(put(bucket, &key, b"x")).await.expect("taken");
            acknowledged.push(key);
        }
        assert_whole(&cluster, &acknowledged, &format!("{wait} ms after the split")).await;
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_comes_after_the_split_gets_each_range_by_its_own_membership() {
    // In whatever order: the first data range comes first, for its log may begin when it had everything.
    let mut cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, spread("before", 60)).await;
    let client = Anywhere::of(&cluster);
    let [lower, upper] = split_at(&client, "m").await;
    cluster.add(3).await;
    let voters: BTreeMap<VoterId, NodeId> =
        cluster.voters().into_iter().filter(|(_, node)| *node != node_id(0)).collect();
    let change = async |range| {
        let leader = cluster.leader(range).await;
        cluster.index(leader).change_members(range, voters.clone()).await.expect("changed");
    };
    tokio::join!(change(upper.id), async {
        change(SYSTEM_RANGE).await;
        assert!(!cluster.index(3).ranges().contains(&upper.id), "not before it has what the first range has become");
        change(lower.id).await;
    });
    let removed = cluster.nodes[0].index.take().expect("it runs");
    removed.shutdown().await;
    cluster.wires.0.lock().handlers.remove(&node_id(0));
    let client = Anywhere::of(&cluster);
    for key in spread("after", 30) {
        client.propose(put(bucket, &key, b"x")).await.expect("taken");
        acknowledged.push(key);
    }
    assert_eq!(cluster.index(3).ranges(), [SYSTEM_RANGE, lower.id, upper.id]);
    assert_whole(&cluster, &acknowledged, "with the new voter").await;
    cluster.shutdown().await;
}
