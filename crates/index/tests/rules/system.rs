//! The system range: the cluster, credentials, names of buckets.

use index::command::{BucketRecord, BucketRecordState, CommandBody, FormCluster, GatewayRow, Rebalancing};
use index::contract::samples::{credential, form_cluster, gateway, owner};
use index::{Answer, FEATURE_LEVEL, IndexDatabaseError, NewerLevel, Query, QueryAnswer, Refusal};
use types::{BucketId, BucketName, DiskId, FeatureLevel, Layout, LayoutEpoch, Namespace, Timestamp};

use crate::world::{World, refused};

fn record(name: &str) -> BucketRecord {
    BucketRecord {
        id: BucketId(0),
        namespace: Namespace::default(),
        name: BucketName::new(name).expect("a name"),
        owner: owner(),
        region: "eu-central-1".to_owned(),
        created: Timestamp(5),
        state: BucketRecordState::Live,
    }
}

fn reserve(world: &mut World, name: &str, token: u8) -> Answer {
    world.apply(CommandBody::ReserveBucket { record: Box::new(record(name)), token: [token; 16] })
}

fn names(world: &mut World, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(|name| BucketName::new(name).expect("a name"));
    let query = Query::Buckets { namespace: Namespace::default(), prefix: prefix.to_owned(), after, limit };
    let QueryAnswer::BucketRecords(records) = world.ask(query) else { panic!("records were asked for") };
    records.into_iter().map(|record| record.name.to_string()).collect()
}

#[test]
fn a_cluster_is_formed_once() {
    let mut world = World::new();
    assert_eq!(world.ask(Query::Cluster), QueryAnswer::Cluster(None));
    let raise = CommandBody::RaiseFeatureLevel(FeatureLevel(9));
    assert_eq!(world.apply(raise), Answer::Done, "there is no level to raise yet");
    world.apply(CommandBody::Form(Box::new(form_cluster())));
    let mut other = form_cluster();
    (other.cluster, other.root) = (types::ClusterId::from_bytes([9; 16]), credential("OTHER"));
    assert_eq!(world.apply(CommandBody::Form(Box::new(other))), Answer::Done);
    let QueryAnswer::Cluster(Some(view)) = world.ask(Query::Cluster) else { panic!("it was formed") };
    assert_eq!((view.cluster, view.feature_level), (form_cluster().cluster, FeatureLevel(1)), "what stood, stays");
    assert_eq!(world.ask(Query::Credentials), QueryAnswer::Credentials(vec![credential("ROOTKEY")]));
}

#[test]
fn a_credential_is_replaced_under_its_access_key() {
    let mut world = World::new();
    let of_a_user = |key: &str| {
        let mut credential = credential(key);
        credential.owner.account = types::AccountId(42);
        credential
    };
    for key in ["BBB", "AAA", "BBB"] {
        assert_eq!(world.apply(CommandBody::PutCredential(of_a_user(key))), Answer::Done);
    }
    assert_eq!(world.ask(Query::Credentials), QueryAnswer::Credentials(vec![of_a_user("AAA"), of_a_user("BBB")]));
    for key in ["ROOT1", "ROOT2"] {
        assert_eq!(world.apply(CommandBody::PutCredential(credential(key))), Answer::Done);
    }
    let left = vec![of_a_user("AAA"), of_a_user("BBB"), credential("ROOT2")];
    assert_eq!(world.ask(Query::Credentials), QueryAnswer::Credentials(left), "the former root key is worth nothing");
}

#[test]
fn gateways_are_added_replaced_and_revoked_by_their_id() {
    let mut world = World::new();
    for number in [2, 1, 2] {
        assert_eq!(world.apply(CommandBody::PutGateway(Box::new(gateway(number)))), Answer::Done);
    }
    let renamed = GatewayRow { name: "other".to_owned(), ..gateway(1) };
    assert_eq!(world.apply(CommandBody::PutGateway(Box::new(renamed))), Answer::Done);
    let named = |world: &mut World| {
        let QueryAnswer::Gateways(gateways) = world.ask(Query::Gateways) else { panic!("gateways were asked for") };
        assert!(gateways.iter().all(|gateway| gateway.added > Timestamp(0)), "`apply` says when: {gateways:?}");
        gateways.into_iter().map(|gateway| (gateway.id, gateway.name)).collect::<Vec<_>>()
    };
    let (first, second) = ((gateway(1).id, "other".to_owned()), (gateway(2).id, gateway(2).name));
    assert_eq!(named(&mut world), [first, second.clone()]);
    for _twice in 0..2 {
        assert_eq!(world.apply(CommandBody::RemoveGateway(gateway(1).id)), Answer::Done);
    }
    assert_eq!(named(&mut world), [second]);
    world.apply(CommandBody::Form(Box::new(form_cluster())));
    assert_eq!(named(&mut world).len(), 1, "other rows of the system range are none of theirs");
    let printed = format!("{:?}", gateway(0x5a));
    assert!(printed.contains("gateway-90") && !printed.contains("90, 90"), "a key is never shown: {printed}");
}

#[test]
fn a_layout_is_changed_only_from_where_it_was_planned() {
    let mut world = World::new();
    let change = |expected, epoch| CommandBody::ChangeLayout {
        expected: LayoutEpoch(expected),
        layout: Layout { epoch: LayoutEpoch(epoch), ..Layout::default() },
    };
    assert_eq!(world.apply(change(1, 2)), refused(Refusal::StaleLayout), "there is none");
    world.apply(CommandBody::Form(Box::new(form_cluster())));
    assert_eq!(world.apply(change(1, 2)), Answer::Done);
    assert_eq!(world.apply(change(1, 2)), refused(Refusal::StaleLayout));
    assert_eq!(world.apply(change(2, 4)), refused(Refusal::StaleLayout), "epochs rise by one");
    let QueryAnswer::Cluster(Some(view)) = world.ask(Query::Cluster) else { panic!("it was formed") };
    assert_eq!(view.layout.epoch, LayoutEpoch(2));
}

#[test]
fn rebalancing_is_off_until_it_is_set_and_then_as_it_was_set_last() {
    let mut world = World::new();
    assert_eq!(world.ask(Query::Rebalancing), QueryAnswer::Rebalancing(Rebalancing::Off));
    for state in [Rebalancing::On, Rebalancing::Paused, Rebalancing::Off] {
        assert_eq!(world.apply(CommandBody::SetRebalancing(state)), Answer::Done);
        assert_eq!(world.ask(Query::Rebalancing), QueryAnswer::Rebalancing(state));
    }
}

#[test]
fn the_wanted_profile_is_the_one_that_was_set_last() {
    let mut world = World::new();
    assert_eq!(world.ask(Query::WantedProfile), QueryAnswer::WantedProfile(None));
    let set = |profile: &str, unless_set| CommandBody::SetWantedProfile {
        profile: profile.parse().expect("a profile"),
        unless_set,
    };
    for (profile, unless_set, expected) in [("2+1", true, "2+1"), ("3+2", true, "2+1"), ("4+2", false, "4+2")] {
        assert_eq!(world.apply(set(profile, unless_set)), Answer::Done);
        let expected = expected.parse().expect("a profile");
        assert_eq!(world.ask(Query::WantedProfile), QueryAnswer::WantedProfile(Some(expected)));
    }
}

#[test]
fn disks_are_away_until_they_are_back() {
    let mut world = World::new();
    let disks = |numbers: &[u8]| numbers.iter().map(|number| DiskId::from_bytes([*number; 16])).collect::<Vec<_>>();
    assert_eq!(world.ask(Query::AwayDisks), QueryAnswer::AwayDisks(Vec::new()));
    for (away, back, expected) in
        [(&[3, 1][..], &[][..], &[1, 3][..]), (&[1, 2], &[9], &[1, 2, 3]), (&[], &[1, 3], &[2]), (&[4], &[2, 4], &[])]
    {
        assert_eq!(world.apply(CommandBody::NoteAway { away: disks(away), back: disks(back) }), Answer::Done);
        assert_eq!(world.ask(Query::AwayDisks), QueryAnswer::AwayDisks(disks(expected)));
    }
}

#[test]
fn the_feature_level_rises_by_one_and_never_falls() {
    let mut world = World::new();
    let standing = FeatureLevel(FEATURE_LEVEL.0 - 1);
    world.apply(CommandBody::Form(Box::new(FormCluster { feature_level: standing, ..form_cluster() })));
    let raise = |level| CommandBody::RaiseFeatureLevel(FeatureLevel(level));
    assert_eq!(world.apply(raise(standing.0 + 2)), refused(Refusal::FeatureLevel { level: standing }));
    // Said again, or late, it changes nothing.
    for level in [standing.0, FEATURE_LEVEL.0, FEATURE_LEVEL.0, standing.0] {
        assert_eq!(world.apply(raise(level)), Answer::Done);
    }
    let QueryAnswer::Cluster(Some(view)) = world.ask(Query::Cluster) else { panic!("it was formed") };
    assert_eq!(view.feature_level, FEATURE_LEVEL);
}

/// Neither an answer nor a row: replicas of other builds go on from there, and this one must not differ from them.
#[test]
fn a_build_applies_nothing_above_its_own_level() {
    let newer = FeatureLevel(FEATURE_LEVEL.0 + 1);
    let stops = |error: IndexDatabaseError| {
        assert!(matches!(error, IndexDatabaseError::NewerLevel(NewerLevel { found }) if found == newer));
        assert!(error.to_string().contains("start the release that the other nodes run"), "{error}");
    };
    let mut world = World::new();
    world.apply(CommandBody::Form(Box::new(FormCluster { feature_level: FEATURE_LEVEL, ..form_cluster() })));
    let before = world.database.digest().expect("a digest");
    stops(world.try_apply(CommandBody::RaiseFeatureLevel(newer)).expect_err("it is not known"));
    assert_eq!(world.database.digest().expect("a digest"), before, "nothing is half applied");
    let again = world.try_apply(CommandBody::RaiseFeatureLevel(FEATURE_LEVEL));
    assert!(matches!(again, Err(IndexDatabaseError::Failed)), "nor is what follows: {again:?}");
    let mut world = World::new();
    let form = CommandBody::Form(Box::new(FormCluster { feature_level: newer, ..form_cluster() }));
    stops(world.try_apply(form).expect_err("it is not known"));
}

#[test]
fn a_bucket_name_is_taken_once_and_its_number_never_again() {
    let mut world = World::new();
    assert_eq!(reserve(&mut world, "name", 1), Answer::BucketReserved(BucketId(1)));
    assert_eq!(reserve(&mut world, "name", 1), Answer::BucketReserved(BucketId(1)), "the same wish");
    let Answer::Refused(Refusal::BucketExists(known)) = reserve(&mut world, "name", 2) else { panic!("it is taken") };
    assert_eq!((known.id, known.region.as_str()), (BucketId(1), "eu-central-1"));
    let QueryAnswer::BucketRecords(unfinished) = world.ask(Query::UnfinishedBuckets) else { panic!() };
    assert_eq!(unfinished, [*known]);

    let id = BucketId(1);
    let publish = |token| CommandBody::PublishBucket { id, token: [token; 16] };
    assert_eq!(world.apply(publish(2)), refused(Refusal::BucketBusy));
    assert_eq!(world.apply(publish(1)), Answer::Done);
    assert_eq!(world.apply(publish(1)), Answer::Done);
    assert_eq!(world.ask(Query::UnfinishedBuckets), QueryAnswer::BucketRecords(Vec::new()));

    let (begin, finish, undo) = (
        |token| CommandBody::BeginBucketDeletion { id, token: [token; 16] },
        |token| CommandBody::FinishBucketDeletion { id, token: [token; 16] },
        |token| CommandBody::UndoBucketDeletion { id, token: [token; 16] },
    );
    assert_eq!(world.apply(finish(1)), refused(Refusal::BucketBusy), "it lives");
    assert_eq!(world.apply(begin(3)), Answer::Done);
    assert_eq!(world.apply(begin(4)), refused(Refusal::BucketBusy));
    assert_eq!(world.apply(undo(4)), refused(Refusal::BucketBusy));
    assert_eq!(world.apply(undo(3)), Answer::Done);
    assert_eq!(world.apply(begin(5)), Answer::Done);
    assert_eq!(world.apply(finish(5)), Answer::Done);
    assert_eq!(world.apply(finish(5)), Answer::Done, "gone is gone");
    assert_eq!(world.apply(publish(1)), refused(Refusal::NoSuchBucket));
    assert_eq!(reserve(&mut world, "name", 6), Answer::BucketReserved(BucketId(2)));
    assert_eq!(world.apply(CommandBody::FinishBucketDeletion { id: BucketId(2), token: [6; 16] }), Answer::Done);
    assert_eq!(names(&mut world, "", None, 10), Vec::<String>::new(), "one never published is given back too");
}

#[test]
fn buckets_are_listed_in_order_of_name_by_pages() {
    let mut world = World::new();
    for name in ["bb1", "aa2", "aa1", "aa3", "ab1"] {
        reserve(&mut world, name, 1);
    }
    assert_eq!(names(&mut world, "", None, 10), ["aa1", "aa2", "aa3", "ab1", "bb1"]);
    assert_eq!(names(&mut world, "", Some("aa2"), 2), ["aa3", "ab1"]);
    assert_eq!(names(&mut world, "aa", Some("aa1"), 10), ["aa2", "aa3"]);
    assert_eq!(names(&mut world, "b", Some("aa1"), 10), ["bb1"]);
    assert_eq!(names(&mut world, "zz", None, 10), Vec::<String>::new());
    assert_eq!(names(&mut world, "a\u{7f}", None, 10), Vec::<String>::new());
}
