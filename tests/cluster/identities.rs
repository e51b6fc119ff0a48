//! Accounts and users as an operator makes them, through two gateways of a cluster: what one of them knows of a key, the
//! other knows, and what was taken away counts nowhere a second or two later.

use std::future::Future;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::processes::{Cluster, Member};
use crate::server::client_at;

/// How long what was taken away may count.
const PATIENCE: Duration = Duration::from_secs(10);

fn code<T, E: ProvideErrorMetadata, R>(outcome: Result<T, SdkError<E, R>>) -> Option<String> {
    match outcome {
        Ok(_) => None,
        Err(error) => Some(error.code().unwrap_or("no code").to_owned()),
    }
}

async fn read(client: &Client, bucket: &str) -> Option<String> {
    code(client.get_object().bucket(bucket).key("key").send().await)
}

async fn write(client: &Client, bucket: &str) -> Option<String> {
    code(client.put_object().bucket(bucket).key("key").body(vec![1; 10].into()).send().await)
}

async fn until<F: Future<Output = Option<String>>>(what: &str, wanted: Option<&str>, mut ask: impl FnMut() -> F) {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if answer.as_deref() == wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: {answer:?}, not {wanted:?}");
    }
}

/// A client with the key that a verb has printed.
fn client_of(member: &Member, made: &serde_json::Value) -> Client {
    let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name} in {made}"));
    client_at(&member.endpoint, text("access_key"), text("secret_key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_the_rights_of_their_policies_through_every_gateway() {
    let cluster = Cluster::of(3, 1);
    let node = &cluster.nodes[0];
    let (first, second) = (cluster.gateway(), cluster.gateway());
    let account = ["account", "add", "Team", "--id", "111122223333", "--canonical-id", "team-id", "--email", "t@x.org"];
    let owner = node.admin(&[&account[..], &["--access-key", "TEAMKEY", "--secret-key", "a given secret"]].concat());
    assert_eq!((owner["access_key"].as_str(), owner["canonical_id"].as_str()), (Some("TEAMKEY"), Some("team-id")));
    let of_team = |verb: &[&str]| node.admin(&[verb, &["--account", "111122223333"]].concat());
    let reader = of_team(&["user", "add", "reader", "--policy", "readonly"]);
    let writer = of_team(&["user", "add", "writer", "--policy", "readwrite"]);

    let root = client_of(&first, &owner);
    root.create_bucket().bucket("teams").send().await.expect("a root may all in its own account");
    let made = root.list_buckets().send().await.expect("listed");
    assert_eq!(made.owner().and_then(|owner| owner.id()), Some("team-id"));
    for gateway in [&first, &second] {
        let (reader, writer) = (client_of(gateway, &reader), client_of(gateway, &writer));
        assert_eq!(write(&writer, "teams").await, None);
        assert_eq!(read(&reader, "teams").await, None);
        assert_eq!(write(&reader, "teams").await.as_deref(), Some("AccessDenied"));
    }

    // Another account sees none of it.
    let other = client_of(&second, &node.admin(&["account", "add", "Other"]));
    assert_eq!(read(&other, "teams").await.as_deref(), Some("AccessDenied"));
    assert!(other.list_buckets().send().await.expect("listed").buckets().is_empty());

    // What one gateway was told, all go by.
    let at_second = client_of(&second, &writer);
    let key = writer["access_key"].as_str().expect("a key").to_owned();
    node.admin(&["key", "disable", &key]);
    until("a disabled key", Some("InvalidAccessKeyId"), || read(&at_second, "teams")).await;
    node.admin(&["key", "enable", &key]);
    until("an enabled key", None, || read(&at_second, "teams")).await;
    of_team(&["policy", "detach", "readwrite", "--user", "writer"]);
    until("a detached policy", Some("AccessDenied"), || write(&at_second, "teams")).await;
    of_team(&["user", "remove", "writer"]);
    for gateway in [&first, &second] {
        let writer = client_of(gateway, &writer);
        until("a removed user", Some("InvalidAccessKeyId"), || read(&writer, "teams")).await;
    }
    assert_eq!(read(&client_of(&first, &reader), "teams").await, None, "the others' rights stay");
}
