//! Ranges of a node that is alone.

use index::{Answer, Query};
use types::{HomeKey, RangeId};

use super::*;

async fn split(index: &ReplicatedIndex, text: &str) -> RangeId {
    assert_eq!(index.propose(samples::form_for_splits()).await, Ok(Answer::Done));
    let Ok(Answer::Range(child)) = index.propose(samples::plain(CommandBody::AllotRange)).await else {
        panic!("an id is given")
    };
    let at = HomeKey { bucket: BucketId(7), key: samples::key(text) };
    let place = index::place(at.bucket, &at.key);
    let known = types::RangeMap::of(index.descriptors());
    let range = known.of_place(&place).map_or(FIRST_DATA_RANGE, |range| range.id);
    index.split(range, child, at).await.expect("split");
    child
}

async fn usage(index: &ReplicatedIndex) -> u64 {
    match index.query(Query::Usage(BucketId(7))).await.expect("answered") {
        QueryAnswer::Usage(usage) => usage.objects,
        other => panic!("usage was asked for, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_node_splits_restarts_and_goes_on_from_copies() {
    for busy in [false, true] {
        let directories = RealDisks::new(2);
        let settings = || {
            let disks = directories.disks();
            if busy { busy_settings(disks, 2) } else { settings(disks, 2) }
        };
        let mut written = Vec::new();
        for (life, cut) in ["m", "f", "t", "p"].into_iter().enumerate() {
            let index = ReplicatedIndex::open(settings()).await.expect("opened");
            let bucket = make_bucket(&index).await;
            for number in 0..30 {
                if number == 15 {
                    split(&index, cut).await;
                }
                let key = format!("{}{life} {number}", char::from(b'a' + (number * 7 % 26) as u8));
                let answer = index.propose(put(bucket, &key, &[7; 600])).await.expect("taken");
                assert!(matches!(answer, Answer::Put { .. }), "{answer:?}");
                written.push(key);
            }
            assert_eq!(index.ranges().len(), 3 + life);
            assert_all_there(&index, bucket, &written, "before the end").await;
            assert_eq!(usage(&index).await, written.len() as u64);
            if life == 1 {
                // From the copy, or from the log's beginning.
                let disk = index.status().database_disk.expect("it has one");
                index.disk_failed(disk).await;
                for number in 0..20 {
                    let key = format!("qq{life} {number}");
                    index.propose(put(bucket, &key, &[7; 600])).await.expect("taken");
                    written.push(key);
                }
                assert_all_there(&index, bucket, &written, "on the other disk").await;
            }
            index.shutdown().await;
        }
        let index = ReplicatedIndex::open(settings()).await.expect("opened");
        let bucket = samples::at(7, 1);
        assert_all_there(&index, bucket, &written, "in the end").await;
        assert_eq!(index.ranges().len(), 6);
        let measured = index.measure(FIRST_DATA_RANGE).await.expect("measured");
        assert!(measured.bytes > 1000 && measured.middle.is_some(), "{measured:?}");
        index.shutdown().await;
    }
}
