//! Tags that are set later: on one version, of which nothing else changes.

use index::command::{CommandBody, SetObjectTags, WhichVersion};
use index::contract::samples::{at, delete, inline_part, key, put, put_object};
use index::{Answer, Refusal};
use types::{Version, VersionId, Versioning};

use crate::world::{World, refused};

fn tags(value: &str) -> Vec<(String, String)> {
    vec![("key".to_owned(), value.to_owned())]
}

fn tag(bucket: u64, epoch: u64, version: WhichVersion, tags: Vec<(String, String)>) -> CommandBody {
    CommandBody::SetObjectTags(Box::new(SetObjectTags { bucket: at(bucket, epoch), key: key("k"), version, tags }))
}

fn put_of(world: &mut World, random: u64) -> VersionId {
    match world.command(put(at(1, 1), "k", random, b"inline bytes")) {
        Answer::Put { id, .. } => id,
        other => panic!("a put, not {other:?}"),
    }
}

#[test]
fn nothing_of_a_version_changes_but_its_tags() {
    let (mut world, bucket) = World::with_bucket(Versioning::Enabled);
    let mut first = put_object(bucket, key("k"), 1, inline_part(1, b"inline bytes"));
    first.version.attributes.tags = tags("given");
    first.version.attributes.legal_hold = types::LegalHold::On;
    let Answer::Put { id: first, .. } = world.apply(CommandBody::PutObject(Box::new(first))) else { panic!("a put") };
    let second = put_of(&mut world, 2);
    for (which, id) in [(WhichVersion::Id(first), first), (WhichVersion::Newest, second)] {
        let before = world.version("k", which).expect("there");
        for tags in [tags("other"), Vec::new()] {
            let answer = world.apply(tag(1, 1, which, tags.clone()));
            assert_eq!(answer, Answer::Tagged { id, null: false });
            let after = world.version("k", which).expect("there");
            let mut expected: Version = before.clone();
            expected.attributes.tags = tags;
            assert_eq!(after, expected, "id, date, bytes and all else stay");
        }
    }
    assert_eq!(world.version("k", WhichVersion::Newest).expect("there").id, second, "the newest stays so");
}

#[test]
fn a_marker_and_what_is_not_there_take_no_tags() {
    let (mut world, bucket) = World::with_bucket(Versioning::Enabled);
    let unknown = WhichVersion::Id(VersionId { stamp: types::CommitStamp(5), random: 5 });
    assert_eq!(world.apply(tag(1, 1, WhichVersion::Newest, tags("x"))), refused(Refusal::NoSuchKey));
    for which in [WhichVersion::Null, unknown] {
        assert_eq!(world.apply(tag(1, 1, which, tags("x"))), refused(Refusal::NoSuchVersion));
    }
    let object = put_of(&mut world, 1);
    let Answer::Deleted { version: Some((id, null)), .. } = world.command(delete(bucket, "k", 2, None)) else {
        panic!("a marker")
    };
    for which in [WhichVersion::Newest, WhichVersion::Id(id)] {
        assert_eq!(world.apply(tag(1, 1, which, tags("x"))), refused(Refusal::IsMarker { id, null }));
    }
    let tagged = world.apply(tag(1, 1, WhichVersion::Id(object), tags("x")));
    assert_eq!(tagged, Answer::Tagged { id: object, null: false }, "what stands below it does");
}

#[test]
fn tags_are_set_under_the_buckets_epoch() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let id = put_of(&mut world, 1);
    world.set_versioning(bucket, Versioning::Enabled);
    let row = world.bucket_row(1);
    let stale = world.apply(tag(1, 1, WhichVersion::Newest, tags("x")));
    assert_eq!(stale, refused(Refusal::StaleBucket { row }));
    let tagged = world.apply(tag(1, 2, WhichVersion::Null, tags("x")));
    assert_eq!(tagged, Answer::Tagged { id, null: true });
}
