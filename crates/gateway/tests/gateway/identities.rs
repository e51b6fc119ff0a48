//! Who has a key of their own: users by their policies, roots of accounts, and nobody once the key is gone.

use index::command::{IdentityChange, IdentityKind, IdentityName};
use types::{AccessKeyId, AccountId};

use crate::world::World;

const ACCOUNT: u64 = 111_122_223_333;

fn denied() -> (u16, String) {
    (403, "AccessDenied".to_owned())
}

fn unknown() -> (u16, String) {
    (403, "InvalidAccessKeyId".to_owned())
}

#[tokio::test]
async fn users_may_what_their_policies_say_and_nothing_else() {
    let world = World::new().await;
    let account = world.account(ACCOUNT, "owner").await;
    let reader = world.user(account, "reader", "readerkey").await;
    world.user(account, "nobody", "nobodykey").await;
    let mut owner = world.client_of("owner");
    assert_eq!(owner.put("/bucket", b"").await.status, 200, "a root may all in its own account");
    assert_eq!(owner.put("/bucket/key", b"bytes").await.status, 200);
    let (mut reader_client, mut nobody) = (world.client_of("readerkey"), world.client_of("nobodykey"));
    assert_eq!(reader_client.get("/bucket/key").await.error(), denied(), "no policy, no right");
    world.identities.attach(reader.clone(), "readonly").await.unwrap();
    world.forget_keys();
    let read = reader_client.get("/bucket/key").await;
    assert_eq!((read.status, read.body.as_slice()), (200, &b"bytes"[..]));
    assert_eq!(reader_client.put("/bucket/key", b"other").await.error(), denied());
    assert_eq!(nobody.get("/bucket/key").await.error(), denied());
    let deny = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}}"#;
    world.identities.set_inline_policy(reader, "no".to_owned(), Some(deny.to_owned())).await.unwrap();
    world.forget_keys();
    assert_eq!(reader_client.get("/bucket/key").await.error(), denied(), "a Deny is stronger");
}

#[tokio::test]
async fn groups_give_rights_and_boundaries_bound_them() {
    let world = World::new().await;
    let account = world.account(ACCOUNT, "owner").await;
    let bob = world.user(account, "bob", "bobkey").await;
    let group = iam::NewIdentity { account, kind: IdentityKind::Group, name: "writers".to_owned(), path: None };
    world.identities.create(group).await.unwrap();
    let group = IdentityName { account, kind: IdentityKind::Group, name: "writers".into() };
    world.identities.attach(group, "readwrite").await.unwrap();
    let join = IdentityChange::AddToGroup { account, group: "writers".into(), user: "bob".into() };
    world.identities.apply(join).await.unwrap();
    let mut client = world.client_of("bobkey");
    assert_eq!(client.put("/bucket", b"").await.status, 200, "what a user makes is the account's");
    assert_eq!(client.put("/bucket/key", b"bytes").await.status, 200);
    assert_eq!(world.client_of("owner").get("/bucket/key").await.status, 200);
    world.identities.set_boundary(bob, Some("readonly")).await.unwrap();
    world.forget_keys();
    assert_eq!(client.put("/bucket/key", b"other").await.error(), denied());
    assert_eq!(client.get("/bucket/key").await.status, 200);
}

#[tokio::test]
async fn accounts_see_their_own_buckets_and_may_nothing_with_others() {
    let world = World::new().await;
    world.account(ACCOUNT, "one").await;
    let other = world.account(222_233_334_444, "two").await;
    let stranger = world.user(other, "stranger", "strangerkey").await;
    world.identities.attach(stranger, "readwrite").await.unwrap();
    let (mut one, mut two) = (world.client_of("one"), world.client_of("two"));
    assert_eq!(one.put("/ones", b"").await.status, 200);
    assert_eq!(two.put("/twos", b"").await.status, 200);
    assert_eq!(one.put("/ones/key", b"bytes").await.status, 200);
    let listed = one.get("/").await.text();
    assert!(listed.contains("<Name>ones</Name>") && !listed.contains("twos"), "{listed}");
    let mut stranger = world.client_of("strangerkey");
    for client in [&mut two, &mut stranger] {
        for path in ["/ones", "/ones/key", "/ones?policy"] {
            assert_eq!(client.get(path).await.error(), denied(), "{path}");
        }
        assert_eq!(client.put("/ones/key", b"other").await.error(), denied());
    }
    assert_eq!(stranger.get("/twos").await.status, 200, "in the own account the policy counts");
    assert_eq!(world.client().get("/ones/key").await.status, 200, "the operator may all");
}

#[tokio::test]
async fn a_disabled_or_removed_key_is_nobodys_a_second_later() {
    let world = World::new().await;
    let account = world.account(ACCOUNT, "owner").await;
    world.user(account, "bob", "bobkey").await;
    let mut bob = world.client_of("bobkey");
    assert_eq!(bob.get("/").await.error(), denied(), "known, without a right");
    let active = |active| IdentityChange::SetAccessKeyActive { id: AccessKeyId("bobkey".into()), active };
    world.identities.apply(active(false)).await.unwrap();
    world.forget_keys();
    assert_eq!(bob.get("/").await.error(), unknown());
    world.identities.apply(active(true)).await.unwrap();
    world.forget_keys();
    assert_eq!(bob.get("/").await.error(), denied());
    let identity = IdentityName { account, kind: IdentityKind::User, name: "bob".into() };
    world.identities.apply(IdentityChange::Delete { identity, with_all: true }).await.unwrap();
    world.forget_keys();
    assert_eq!(bob.get("/").await.error(), unknown());
    assert_eq!(world.client_of("owner").get("/").await.status, 200, "the others' count on");
}

#[tokio::test]
async fn a_key_that_is_known_still_needs_the_right_signature() {
    let world = World::new().await;
    let account = world.account(ACCOUNT, "owner").await;
    assert_eq!(account, AccountId(ACCOUNT));
    let wish = iam::NewAccessKey {
        id: Some(AccessKeyId("otherkey".into())),
        secret: Some(types::SecretKey("another secret".into())),
    };
    world.identities.create_access_key(account, None, wish).await.unwrap();
    let refused = world.client_of("otherkey").get("/").await.error();
    assert_eq!(refused, (403, "SignatureDoesNotMatch".to_owned()));
}
