//! What a later release has written is neither lost nor damaged to this one: it stops, and leaves it as it is.

use index::command::FormCluster;
use index::{Answer, FEATURE_LEVEL, FIRST_FEATURE_LEVEL, Refusal};
use sqlite_vfs::{DatabaseLocation, Role};
use types::FeatureLevel;

use super::*;
use crate::log::voter_directory;

fn raise(level: u32) -> Command {
    samples::plain(CommandBody::RaiseFeatureLevel(FeatureLevel(level)))
}

async fn formed(disks: &RealDisks) -> ReplicatedIndex {
    let index = ReplicatedIndex::open(settings(disks.disks(), 2)).await.expect("opened");
    let form = FormCluster { feature_level: FIRST_FEATURE_LEVEL, ..samples::form_cluster() };
    index.propose(samples::plain(CommandBody::Form(Box::new(form)))).await.expect("formed");
    index
}

/// The format of every database of a node, as a later release would have it.
fn set_format(disks: &RealDisks, index: types::VoterId, format: u32) -> usize {
    let mut databases = 0;
    for (_, disk) in disks.disks() {
        for name in ["index.db", "copy.db"] {
            let path = voter_directory(index).join(name);
            if disk.status(&path).expect("looked at").is_none() {
                continue;
            }
            let location = DatabaseLocation { disk: disk.clone(), path };
            let connection = sqlite_vfs::open(&location, Role::Writer, &sqlite_vfs::Settings::default());
            connection.expect("opened").pragma_update(None, "user_version", format).expect("set");
            databases += 1;
        }
    }
    databases
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_raised_too_far_is_refused_and_one_that_is_not_known_ends_the_index() {
    let disks = RealDisks::new(2);
    let index = formed(&disks).await;
    let bucket = make_bucket(&index).await;
    index.propose(put(bucket, "key", b"bytes")).await.expect("put");
    let gap = index.propose(raise(FEATURE_LEVEL.0 + 2)).await;
    assert_eq!(gap, Ok(Answer::Refused(Refusal::FeatureLevel { level: FIRST_FEATURE_LEVEL })));
    // A level that stands already changes nothing, and a build that knows more goes up to its own.
    for level in FIRST_FEATURE_LEVEL.0..=FEATURE_LEVEL.0 {
        assert_eq!(index.propose(raise(level)).await, Ok(Answer::Done));
    }
    // Others apply it and go on; here nothing may come after it.
    assert!(index.propose(raise(FEATURE_LEVEL.0 + 1)).await.is_err());
    let reason = index.failed().await;
    assert!(reason.contains("start the release that the other nodes run"), "{reason}");
    assert!(index.propose(put(bucket, "late", b"bytes")).await.is_err());
    index.shutdown().await;
    drop(index);
    let again = ReplicatedIndex::open(settings(disks.disks(), 2)).await.expect_err("it is in the log");
    assert!(!again.is_index_lost() && again.to_string().contains("start the release that"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_later_release_is_not_taken_for_lost() {
    let disks = RealDisks::new(2);
    let index = formed(&disks).await;
    let bucket = make_bucket(&index).await;
    index.propose(put(bucket, "key", b"bytes")).await.expect("put");
    let voter = index.voter();
    index.shutdown().await;
    drop(index);
    assert!(set_format(&disks, voter, 3) > 0);
    for _ in 0..2 {
        let refused = ReplicatedIndex::open(settings(disks.disks(), 2)).await.expect_err("it is of a later release");
        assert!(!refused.is_index_lost() && refused.to_string().contains("of a later release"), "{refused}");
    }
    set_format(&disks, voter, 1);
    let index = ReplicatedIndex::open(settings(disks.disks(), 2)).await.expect("that release opens it");
    assert!(index.voter() == voter && is_there(&index, bucket, "key").await, "nothing was changed");
    index.shutdown().await;
}
