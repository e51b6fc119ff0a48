//! Identities: names are free once, quotas are kept, nothing goes that something hangs on, and a key is answered with all
//! that bears on it.

use index::command::{
    ACCESS_KEYS_MAX, ATTACHED_MAX, BucketRecord, BucketRecordState, CommandBody, GROUPS_MAX, IdentityChange,
    IdentityKind, IdentityName, IdentityRefusal, IdentityRow, IdentityThing, POLICY_VERSIONS_MAX,
};
use index::contract::samples::{access_key, account, form_cluster, identity, policy};
use index::query::{AccessKeyAnswer, HeldPolicy, IdentityAnswer, IdentityQuery, KeyHolder};
use index::{Answer, Query, QueryAnswer, Refusal};
use types::{AccessKeyId, AccountId, BucketId, BucketName, CommitStamp, Namespace, Timestamp};

use crate::world::{World, refused};

const ACCOUNT: AccountId = AccountId(7);
const BUILT_IN: &str = "arn:aws:iam::aws:policy/readonly";

fn change(world: &mut World, change: IdentityChange) -> Answer {
    world.apply(CommandBody::ChangeIdentity(Box::new(change)))
}

fn done(world: &mut World, wish: IdentityChange) {
    assert_eq!(change(world, wish), Answer::Done);
}

fn no(refusal: IdentityRefusal) -> Answer {
    refused(Refusal::Identity(refusal))
}

fn name(kind: IdentityKind, name: &str) -> IdentityName {
    IdentityName { account: ACCOUNT, kind, name: name.into() }
}

fn user(text: &str) -> IdentityName {
    name(IdentityKind::User, text)
}

fn make(kind: IdentityKind, text: &str) -> IdentityChange {
    IdentityChange::Create { account: ACCOUNT, row: Box::new(identity(kind, text)) }
}

fn key(id: &str, holder: Option<&str>) -> IdentityChange {
    IdentityChange::CreateAccessKey(Box::new(access_key(id, ACCOUNT, holder)))
}

fn make_policy(text: &str) -> IdentityChange {
    IdentityChange::CreatePolicy { account: ACCOUNT, row: Box::new(policy(text, &format!("document of {text}"))) }
}

fn arn(text: &str) -> Box<str> {
    format!("arn:aws:iam::000000000007:policy/{text}").into()
}

fn attach(identity: IdentityName, arn: &str) -> IdentityChange {
    IdentityChange::Attach { identity, arn: arn.into() }
}

fn inline(identity: IdentityName, policy: &str, document: Option<&str>) -> IdentityChange {
    IdentityChange::SetInlinePolicy { identity, policy: policy.into(), document: document.map(Into::into) }
}

fn add_to_group(group: &str, user: &str) -> IdentityChange {
    IdentityChange::AddToGroup { account: ACCOUNT, group: group.into(), user: user.into() }
}

/// A formed cluster with account 7.
fn world() -> World {
    let mut world = World::new();
    world.apply(CommandBody::Form(Box::new(form_cluster())));
    done(&mut world, IdentityChange::CreateAccount(Box::new(account(7))));
    world
}

fn ask(world: &mut World, query: IdentityQuery) -> IdentityAnswer {
    match world.ask(Query::Identities(Box::new(query))) {
        QueryAnswer::Identities(answer) => answer,
        other => panic!("identities were asked for, not {other:?}"),
    }
}

fn row(world: &mut World, identity: IdentityName) -> Option<IdentityRow> {
    match ask(world, IdentityQuery::Get(identity)) {
        IdentityAnswer::Identity(found) => found.map(|found| found.0),
        other => panic!("an identity was asked for, not {other:?}"),
    }
}

fn look_up(world: &mut World, id: &str, known: Option<CommitStamp>) -> (CommitStamp, AccessKeyAnswer) {
    match world.ask(Query::AccessKey { id: AccessKeyId(id.into()), known }) {
        QueryAnswer::AccessKey { changed, key } => (changed, key),
        other => panic!("a key was asked for, not {other:?}"),
    }
}

fn holder(world: &mut World, id: &str) -> KeyHolder {
    match look_up(world, id, None) {
        (_, AccessKeyAnswer::Known(holder)) => *holder,
        other => panic!("the key is known, not {other:?}"),
    }
}

#[test]
fn an_account_takes_its_number_canonical_id_and_email_once() {
    let mut world = world();
    let other = |number: u64, like: u64| {
        let mut row = account(number);
        row.owner.canonical_id = account(like).owner.canonical_id;
        row
    };
    let make = |row| IdentityChange::CreateAccount(Box::new(row));
    let exists = |thing| no(IdentityRefusal::AlreadyExists(thing));
    assert_eq!(change(&mut world, make(account(7))), exists(IdentityThing::Account));
    assert_eq!(change(&mut world, make(other(8, 7))), exists(IdentityThing::CanonicalId));
    let mut same_email = account(8);
    same_email.email = Some("ACCOUNT-7@example.COM".into());
    assert_eq!(change(&mut world, make(same_email)), exists(IdentityThing::Email), "capitals or not");
    let mut roots = account(8);
    roots.owner.canonical_id = form_cluster().root.owner.canonical_id;
    assert_eq!(change(&mut world, make(account(AccountId::ROOT.0))), exists(IdentityThing::Account));
    // The first account has no row, and its canonical id is taken all the same.
    assert_eq!(change(&mut world, make(roots)), exists(IdentityThing::CanonicalId));
    let invalid = no(IdentityRefusal::Invalid(IdentityThing::Account));
    assert_eq!(change(&mut world, make(account(1_000_000_000_000))), invalid);
    done(&mut world, make(account(8)));
    let IdentityAnswer::Accounts(rows) = ask(&mut world, IdentityQuery::Accounts { after: None, limit: 9 }) else {
        panic!("accounts were asked for")
    };
    assert_eq!(rows.iter().map(|row| row.owner.account.0).collect::<Vec<_>>(), [7, 8]);
    assert!(rows.iter().all(|row| row.created > Timestamp(0)), "`apply` says when");
}

#[test]
fn an_account_goes_once_it_has_nothing_and_its_names_are_free_again() {
    let mut world = world();
    let delete = || IdentityChange::DeleteAccount(ACCOUNT);
    let conflict = |thing| no(IdentityRefusal::DeleteConflict(thing));
    done(&mut world, make(IdentityKind::User, "bob"));
    assert_eq!(change(&mut world, delete()), conflict(IdentityThing::User));
    done(&mut world, IdentityChange::Delete { identity: user("bob"), with_all: false });
    done(&mut world, key("ROOT7", None));
    let record = BucketRecord {
        id: BucketId(0),
        namespace: Namespace::default(),
        name: BucketName::new("bucket").expect("a name"),
        owner: account(7).owner,
        region: String::new(),
        created: Timestamp(0),
        state: BucketRecordState::Live,
    };
    let reserve = |token| CommandBody::ReserveBucket { record: Box::new(record.clone()), token: [token; 16] };
    world.apply(reserve(1));
    assert_eq!(change(&mut world, delete()), conflict(IdentityThing::Bucket));
    assert_eq!(holder(&mut world, "ROOT7").key.account, ACCOUNT, "what was refused took nothing");
    world.apply(CommandBody::FinishBucketDeletion { id: BucketId(1), token: [1; 16] });
    done(&mut world, delete());
    assert_eq!(look_up(&mut world, "ROOT7", None).1, AccessKeyAnswer::Unknown, "its root's keys go with it");
    let none = no(IdentityRefusal::NoSuchEntity(IdentityThing::Account));
    assert_eq!(world.apply(reserve(2)), none, "nobody has a bucket");
    assert_eq!(change(&mut world, delete()), no(IdentityRefusal::NoSuchEntity(IdentityThing::Account)));
    let orphan = change(&mut world, make(IdentityKind::User, "bob"));
    assert_eq!(orphan, no(IdentityRefusal::NoSuchEntity(IdentityThing::Account)));
    done(&mut world, IdentityChange::CreateAccount(Box::new(account(7))));
}

#[test]
fn names_differ_by_more_than_capitals_within_a_kind_and_account() {
    let mut world = world();
    done(&mut world, make(IdentityKind::User, "Bob"));
    done(&mut world, make(IdentityKind::User, "Bob"));
    let mut other = identity(IdentityKind::User, "bOB");
    other.id = "AIDAOTHER".into();
    let create = |account, row| IdentityChange::Create { account, row: Box::new(row) };
    let taken = no(IdentityRefusal::AlreadyExists(IdentityThing::User));
    assert_eq!(change(&mut world, create(ACCOUNT, other.clone())), taken, "another wish for the same name");
    done(&mut world, make(IdentityKind::Group, "bob"));
    done(&mut world, create(AccountId::ROOT, other));
    assert_eq!(row(&mut world, user("BOB")).expect("found").name, "Bob".into(), "as it was given");
    for wrong in ["", "a/b", &"x".repeat(129)] {
        let wrong = change(&mut world, make(IdentityKind::User, wrong));
        assert_eq!(wrong, no(IdentityRefusal::Invalid(IdentityThing::User)));
    }
    let mut no_role = identity(IdentityKind::Role, "role");
    no_role.role = None;
    assert_eq!(change(&mut world, create(ACCOUNT, no_role)), no(IdentityRefusal::Invalid(IdentityThing::Role)));
    let mut laden = identity(IdentityKind::User, "laden");
    laden.attached = vec!["arn".into()];
    laden.access_keys = vec![AccessKeyId("KEY".into())];
    laden.groups = vec!["bob".into()];
    done(&mut world, create(ACCOUNT, laden));
    let laden = row(&mut world, user("laden")).expect("found");
    assert!(laden.attached.is_empty() && laden.access_keys.is_empty() && laden.groups.is_empty(), "{laden:?}");
}

#[test]
fn keys_are_of_one_holder_each_and_few() {
    let mut world = world();
    done(&mut world, make(IdentityKind::User, "bob"));
    done(&mut world, key("KEY1", Some("bob")));
    done(&mut world, key("KEY1", Some("bob")));
    let taken = no(IdentityRefusal::AlreadyExists(IdentityThing::AccessKey));
    assert_eq!(change(&mut world, key("KEY1", None)), taken, "another holder's");
    assert_eq!(change(&mut world, key("ROOTKEY", Some("bob"))), taken, "the root credential's");
    let nobody = change(&mut world, key("KEY3", Some("nobody")));
    assert_eq!(nobody, no(IdentityRefusal::NoSuchEntity(IdentityThing::User)));
    done(&mut world, key("KEY2", Some("bob")));
    let limit = no(IdentityRefusal::LimitExceeded(IdentityThing::AccessKey));
    assert_eq!(ACCESS_KEYS_MAX, 2);
    assert_eq!(change(&mut world, key("KEY3", Some("bob"))), limit);
    done(&mut world, IdentityChange::SetAccessKeyActive { id: AccessKeyId("KEY2".into()), active: false });
    assert!(!holder(&mut world, "KEY2").key.active && holder(&mut world, "KEY1").key.active);
    let keys = IdentityQuery::AccessKeys { account: ACCOUNT, user: Some("bob".to_owned()) };
    let IdentityAnswer::AccessKeys(keys) = ask(&mut world, keys) else { panic!("keys were asked for") };
    assert_eq!(keys.iter().map(|key| (&*key.id.0, key.active)).collect::<Vec<_>>(), [("KEY1", true), ("KEY2", false)]);
    done(&mut world, IdentityChange::DeleteAccessKey(AccessKeyId("KEY1".into())));
    assert_eq!(look_up(&mut world, "KEY1", None).1, AccessKeyAnswer::Unknown);
    done(&mut world, key("KEY3", Some("bob")));
    let printed = format!("{:?}", holder(&mut world, "KEY3"));
    assert!(printed.contains("KEY3") && !printed.contains("bytes"), "a secret is never shown: {printed}");
}

#[test]
fn a_key_is_answered_with_all_that_bears_on_it_and_no_more_often_than_something_changed() {
    let mut world = world();
    assert_eq!(look_up(&mut world, "KEY", None).1, AccessKeyAnswer::Unknown);
    done(&mut world, make(IdentityKind::User, "bob"));
    done(&mut world, make(IdentityKind::Group, "Team"));
    done(&mut world, key("KEY", Some("bob")));
    for text in ["one", "two", "limit"] {
        done(&mut world, make_policy(text));
    }
    done(&mut world, attach(user("bob"), &arn("one")));
    done(&mut world, attach(user("bob"), BUILT_IN));
    done(&mut world, attach(name(IdentityKind::Group, "team"), &arn("two")));
    done(&mut world, inline(user("bob"), "own", Some("inline")));
    done(&mut world, inline(name(IdentityKind::Group, "team"), "ours", Some("of all")));
    done(&mut world, add_to_group("team", "bob"));
    done(&mut world, IdentityChange::SetBoundary { identity: user("bob"), arn: Some(arn("limit")) });
    let (changed, _) = look_up(&mut world, "KEY", None);
    assert_eq!(look_up(&mut world, "KEY", Some(changed)), (changed, AccessKeyAnswer::AsKnown));

    let found = holder(&mut world, "KEY");
    assert_eq!(found.owner, account(7).owner);
    let held = |group: Option<&str>, name: &str, managed, document: Option<&str>| HeldPolicy {
        group: group.map(Into::into),
        name: name.into(),
        managed,
        document: document.map(Into::into),
    };
    let found = found.user.expect("a user's");
    let expected = [
        held(None, "own", false, Some("inline")),
        held(None, &arn("one"), true, Some("document of one")),
        held(None, BUILT_IN, true, None),
        held(Some("Team"), "ours", false, Some("of all")),
        held(Some("Team"), &arn("two"), true, Some("document of two")),
    ];
    assert_eq!(found.policies, expected);
    assert_eq!(found.boundary, Some(held(None, &arn("limit"), true, Some("document of limit"))));

    let version = IdentityChange::CreatePolicyVersion {
        account: ACCOUNT,
        policy: "one".into(),
        document: "newer".into(),
        set_default: true,
    };
    assert_eq!(change(&mut world, version), Answer::PolicyVersion(2));
    let (later, answer) = look_up(&mut world, "KEY", Some(changed));
    let AccessKeyAnswer::Known(found) = answer else { panic!("it was changed: {answer:?}") };
    assert!(later > changed);
    let found = found.user.expect("a user's");
    assert_eq!(found.policies[1].document.as_deref(), Some("newer"), "the version that counts");
    done(&mut world, IdentityChange::Delete { identity: user("bob"), with_all: true });
    assert_eq!(look_up(&mut world, "KEY", Some(later)).1, AccessKeyAnswer::Unknown, "gone with the user");
}

#[test]
fn a_user_of_the_first_account_has_the_owner_of_its_credential() {
    let mut world = world();
    let row = Box::new(identity(IdentityKind::User, "ops"));
    done(&mut world, IdentityChange::Create { account: AccountId::ROOT, row });
    let key = access_key("OPSKEY", AccountId::ROOT, Some("ops"));
    done(&mut world, IdentityChange::CreateAccessKey(Box::new(key)));
    assert_eq!(holder(&mut world, "OPSKEY").owner, form_cluster().root.owner);
    let of_root = IdentityChange::CreateAccessKey(Box::new(access_key("MORE", AccountId::ROOT, None)));
    let none = no(IdentityRefusal::NoSuchEntity(IdentityThing::Account));
    assert_eq!(change(&mut world, of_root), none, "its root has the credential that the cluster was founded with");
}

#[test]
fn what_something_hangs_on_stays_unless_all_is_to_go() {
    let mut world = world();
    done(&mut world, make(IdentityKind::User, "bob"));
    done(&mut world, make(IdentityKind::Group, "team"));
    done(&mut world, make_policy("one"));
    let team = || name(IdentityKind::Group, "team");
    let delete = |identity, with_all| IdentityChange::Delete { identity, with_all };
    let conflict = |thing| no(IdentityRefusal::DeleteConflict(thing));
    done(&mut world, add_to_group("team", "bob"));
    assert_eq!(change(&mut world, delete(user("bob"), false)), conflict(IdentityThing::Membership));
    assert_eq!(change(&mut world, delete(team(), false)), conflict(IdentityThing::Membership));
    done(&mut world, attach(user("bob"), &arn("one")));
    done(&mut world, attach(user("bob"), &arn("ONE")));
    done(&mut world, IdentityChange::SetBoundary { identity: user("bob"), arn: Some(arn("one")) });
    let delete_policy = || IdentityChange::DeletePolicy { account: ACCOUNT, policy: "one".into() };
    assert_eq!(change(&mut world, delete_policy()), conflict(IdentityThing::Attachment));
    done(&mut world, IdentityChange::Detach { identity: user("bob"), arn: arn("one") });
    let again = IdentityChange::Detach { identity: user("bob"), arn: arn("one") };
    assert_eq!(change(&mut world, again), no(IdentityRefusal::NoSuchEntity(IdentityThing::Attachment)));
    assert_eq!(change(&mut world, delete_policy()), conflict(IdentityThing::Boundary));
    done(&mut world, delete(team(), true));
    assert!(row(&mut world, user("bob")).expect("found").groups.is_empty(), "its users are in it no more");
    done(&mut world, attach(user("bob"), &arn("one")));
    done(&mut world, inline(user("bob"), "own", Some("{}")));
    done(&mut world, delete(user("bob"), true));
    done(&mut world, delete_policy());
    done(&mut world, make(IdentityKind::User, "bob"));
    let found = ask(&mut world, IdentityQuery::Get(user("bob")));
    let IdentityAnswer::Identity(Some(found)) = found else { panic!("it is there: {found:?}") };
    assert!(found.1.is_empty(), "nothing of the former one is left");
    done(&mut world, IdentityChange::Delete { identity: user("bob"), with_all: false });
    done(&mut world, IdentityChange::DeleteAccount(ACCOUNT));
}

#[test]
fn policies_have_few_versions_of_which_the_one_that_counts_stays() {
    let mut world = world();
    done(&mut world, make_policy("one"));
    let version = |set_default| IdentityChange::CreatePolicyVersion {
        account: ACCOUNT,
        policy: "one".into(),
        document: "{}".into(),
        set_default,
    };
    let delete = |number| IdentityChange::DeletePolicyVersion { account: ACCOUNT, policy: "one".into(), number };
    assert_eq!(POLICY_VERSIONS_MAX, 5);
    for number in 2..=5 {
        assert_eq!(change(&mut world, version(number == 3)), Answer::PolicyVersion(number));
    }
    let limit = no(IdentityRefusal::LimitExceeded(IdentityThing::PolicyVersion));
    assert_eq!(change(&mut world, version(true)), limit);
    assert_eq!(change(&mut world, delete(3)), no(IdentityRefusal::DeleteConflict(IdentityThing::PolicyVersion)));
    done(&mut world, delete(5));
    assert_eq!(change(&mut world, version(false)), Answer::PolicyVersion(6), "no number is given twice");
    let default = |number| IdentityChange::SetDefaultPolicyVersion { account: ACCOUNT, policy: "one".into(), number };
    let absent = no(IdentityRefusal::NoSuchEntity(IdentityThing::PolicyVersion));
    assert_eq!(change(&mut world, default(5)), absent);
    done(&mut world, default(1));
    done(&mut world, delete(3));
}

#[test]
fn quotas_are_those_of_iam() {
    let mut world = world();
    done(&mut world, make(IdentityKind::User, "bob"));
    for number in 0..=GROUPS_MAX {
        let group = format!("group-{number}");
        done(&mut world, make(IdentityKind::Group, &group));
        let expected = if number < GROUPS_MAX {
            Answer::Done
        } else {
            no(IdentityRefusal::LimitExceeded(IdentityThing::Membership))
        };
        assert_eq!(change(&mut world, add_to_group(&group, "bob")), expected);
    }
    done(&mut world, add_to_group("GROUP-0", "bob"));
    for number in 0..=ATTACHED_MAX {
        let text = format!("policy-{number}");
        done(&mut world, make_policy(&text));
        let expected = if number < ATTACHED_MAX {
            Answer::Done
        } else {
            no(IdentityRefusal::LimitExceeded(IdentityThing::Attachment))
        };
        assert_eq!(change(&mut world, attach(user("bob"), &arn(&text))), expected);
    }
    // White space doesn't count, nor does what is replaced.
    let half = "x ".repeat(1024);
    done(&mut world, inline(user("bob"), "one", Some(&half)));
    done(&mut world, inline(user("bob"), "two", Some(&half)));
    let limit = no(IdentityRefusal::LimitExceeded(IdentityThing::InlinePolicy));
    assert_eq!(change(&mut world, inline(user("bob"), "three", Some("x"))), limit);
    done(&mut world, inline(user("bob"), "TWO", Some("x")));
    done(&mut world, inline(user("bob"), "three", Some("x")));
    done(&mut world, inline(user("bob"), "two", None));
    let absent = no(IdentityRefusal::NoSuchEntity(IdentityThing::InlinePolicy));
    assert_eq!(change(&mut world, inline(user("bob"), "two", None)), absent);
}

#[test]
fn a_policy_of_another_account_is_attached_to_nobody() {
    let mut world = world();
    done(&mut world, IdentityChange::CreateAccount(Box::new(account(8))));
    done(&mut world, make(IdentityKind::User, "bob"));
    let theirs = IdentityChange::CreatePolicy { account: AccountId(8), row: Box::new(policy("theirs", "{}")) };
    done(&mut world, theirs);
    let absent = no(IdentityRefusal::NoSuchEntity(IdentityThing::Policy));
    for foreign in ["arn:aws:iam::000000000008:policy/theirs", "arn:aws:iam::000000000007:policy/theirs", "theirs"] {
        assert_eq!(change(&mut world, attach(user("bob"), foreign)), absent, "{foreign}");
    }
    let boundary = IdentityChange::SetBoundary { identity: name(IdentityKind::Group, "none"), arn: None };
    assert_eq!(change(&mut world, boundary), no(IdentityRefusal::NoSuchEntity(IdentityThing::Group)));
}

#[test]
fn users_are_listed_in_order_of_name_by_pages() {
    let mut world = world();
    for text in ["carol", "Bob", "alice", "dave"] {
        done(&mut world, make(IdentityKind::User, text));
    }
    let mut list = |after: &str, limit| {
        let query = IdentityQuery::List { account: ACCOUNT, kind: IdentityKind::User, after: after.to_owned(), limit };
        let IdentityAnswer::Identities(rows) = ask(&mut world, query) else { panic!("users were asked for") };
        rows.into_iter().map(|row| row.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list("", 10), ["alice", "Bob", "carol", "dave"]);
    assert_eq!(list("BOB", 1), ["carol"]);
}
