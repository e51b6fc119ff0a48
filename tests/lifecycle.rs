//! What lifecycle rules say is done, of exactly what they say, by a server whose days are short: rules of one day act
//! within seconds, and those of hundreds never in these tests.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter, NoncurrentVersionExpiration,
    StorageClass, Tag, Tagging, Transition, TransitionStorageClass,
};

use crate::body::body;
use crate::s3::{put, set_versioning};
use crate::server::Server;

/// Long enough that what was written in a test's beginning is there when the rules are set.
const SHORT_DAY: [&str; 2] = ["--lifecycle-day", "2s"];
/// A day on which nothing of a test is due by rules that count several.
const NEVER: i32 = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn rule(id: &str, filter: LifecycleRuleFilter) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
    LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled).filter(filter)
}

fn prefix(prefix: &str) -> LifecycleRuleFilter {
    LifecycleRuleFilter::builder().prefix(prefix).build()
}

fn days(days: i32) -> LifecycleExpiration {
    LifecycleExpiration::builder().days(days).build()
}

fn tag(value: &str) -> Tag {
    Tag::builder().key("keep").value(value).build().expect("a tag")
}

pub async fn set(client: &Client, bucket: &str, rules: Vec<LifecycleRule>) {
    let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().expect("rules");
    let put = client.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(rules);
    put.send().await.expect("the rules are set");
}

/// A rule that has all keys under a prefix expire after a day.
pub fn expires(under: &str) -> LifecycleRule {
    rule(under, prefix(under)).expiration(days(1)).build().expect("a rule")
}

pub async fn keys(client: &Client, bucket: &str) -> BTreeSet<String> {
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    let mut keys = BTreeSet::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.expect("listed").contents().iter().filter_map(|object| object.key.clone()));
    }
    keys
}

/// Versions and markers as (key, whether it is a marker, id).
async fn versions(client: &Client, bucket: &str) -> BTreeSet<(String, bool, String)> {
    let found = client.list_object_versions().bucket(bucket).send().await.expect("listed");
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let objects = found.versions().iter().map(|version| (text(version.key()), false, text(version.version_id())));
    let markers = found.delete_markers().iter().map(|marker| (text(marker.key()), true, text(marker.version_id())));
    objects.chain(markers).collect()
}

/// Waits until exactly `expected` is left. What is expected to stay must be there at every look.
async fn until_left<T: Ord + std::fmt::Debug>(expected: BTreeSet<T>, look: impl AsyncFn() -> BTreeSet<T>) {
    let begun = Instant::now();
    loop {
        let left = look().await;
        let missing: Vec<_> = expected.difference(&left).collect();
        assert!(missing.is_empty(), "these are gone, and should not: {missing:?}");
        if left.len() == expected.len() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "these are left: {:?}", left.difference(&expected).collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The numbers of a sequence that is the same in every run.
fn sequence(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[tokio::test]
async fn exactly_what_rules_name_expires_by_prefix_tags_and_size() {
    let server = Server::start_with(3, &SHORT_DAY);
    let (client, bucket) = (server.client(), server.bucket().await);
    let sized = LifecycleRuleAndOperator::builder().prefix("c").object_size_greater_than(5000).build();
    let tagged = LifecycleRuleAndOperator::builder().prefix("b").tags(tag("no")).build();
    let rules = vec![
        expires("a"),
        rule("tagged", LifecycleRuleFilter::builder().and(tagged).build()).expiration(days(1)).build().expect("a rule"),
        rule("sized", LifecycleRuleFilter::builder().and(sized).build()).expiration(days(1)).build().expect("a rule"),
        rule("late", prefix("")).expiration(days(NEVER)).build().expect("a rule"),
        rule("off", prefix("d")).status(ExpirationStatus::Disabled).expiration(days(1)).build().expect("a rule"),
    ];
    let mut random = sequence(7);
    let mut stays = BTreeSet::new();
    let write = async |number: u64, random: &mut dyn FnMut(u64) -> u64, stays: &mut BTreeSet<String>| {
        let letter = ["a", "b", "c", "d"][usize::try_from(random(4)).expect("few")];
        let value = ["no", "yes"][usize::try_from(random(2)).expect("two")];
        let size = [100, 4000, 6000, 90_000][usize::try_from(random(4)).expect("few")];
        let key = format!("{letter}/{number}");
        let put = client.put_object().bucket(&bucket).key(&key).tagging(format!("keep={value}"));
        put.body(body(size, number).into()).send().await.expect("PUT");
        let goes = match letter {
            "a" => true,
            "b" => value == "no",
            "c" => size > 5000,
            _ => false,
        };
        if !goes {
            stays.insert(key);
        }
    };
    // Before there are rules, and afterwards: by the pass over all keys, and by notes.
    for number in 0..150 {
        write(number, &mut random, &mut stays).await;
    }
    set(&client, &bucket, rules).await;
    for number in 150..300 {
        write(number, &mut random, &mut stays).await;
    }
    assert!(stays.len() > 50 && stays.len() < 250);
    until_left(stays.clone(), async || keys(&client, &bucket).await).await;
    // Other tags bring an object under a rule; it is old enough already.
    let retagged = stays.iter().find(|key| key.starts_with("b/")).cloned().expect("one of them");
    let tags = Tagging::builder().tag_set(tag("no")).build().expect("tags");
    client.put_object_tagging().bucket(&bucket).key(&retagged).tagging(tags).send().await.expect("tagged");
    stays.remove(&retagged);
    until_left(stays.clone(), async || keys(&client, &bucket).await).await;
    let status: serde_json::Value = serde_json::from_str(&server.admin(&["status"])).expect("JSON");
    assert_eq!(status["repair"]["lifecycle"]["expired_objects"], 300 - stays.len());
}

#[tokio::test]
async fn rules_that_are_removed_or_replaced_do_no_more() {
    let server = Server::start_with(3, &["--lifecycle-day", "5s"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    set(&client, &bucket, vec![expires("")]).await;
    for key in ["a/1", "b/1"] {
        put(&client, &bucket, key, b"x").await;
    }
    set(&client, &bucket, vec![expires("a/")]).await;
    until_left(BTreeSet::from(["b/1".to_owned()]), async || keys(&client, &bucket).await).await;
    put(&client, &bucket, "a/2", b"x").await;
    client.delete_bucket_lifecycle().bucket(&bucket).send().await.expect("removed");
    // A bucket with the same rules and a younger object shows that the time is over.
    let witness = server.bucket().await;
    set(&client, &witness, vec![expires("")]).await;
    put(&client, &witness, "w", b"x").await;
    until_left(BTreeSet::new(), async || keys(&client, &witness).await).await;
    assert_eq!(keys(&client, &bucket).await, BTreeSet::from(["a/2".to_owned(), "b/1".to_owned()]));
}

#[tokio::test]
async fn versions_markers_and_uploads_go_as_rules_say() {
    let server = Server::start_with(3, &SHORT_DAY);
    let (client, bucket) = (server.client(), server.bucket().await);
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let noncurrent = |newer: Option<i32>| {
        NoncurrentVersionExpiration::builder().noncurrent_days(1).set_newer_noncurrent_versions(newer).build()
    };
    let markers = LifecycleExpiration::builder().expired_object_delete_marker(true).build();
    let rules = vec![
        rule("old", prefix("old/")).noncurrent_version_expiration(noncurrent(None)).expiration(markers),
        rule("few", prefix("few/")).noncurrent_version_expiration(noncurrent(Some(2))),
        rule("now", prefix("now/")).expiration(days(1)),
        rule("up", prefix("up/")).abort_incomplete_multipart_upload(
            AbortIncompleteMultipartUpload::builder().days_after_initiation(1).build(),
        ),
    ];
    let mut stays = BTreeSet::new();
    let object = |key: &str, id: Option<String>| (key.to_owned(), false, id.unwrap_or_default());
    for key in ["old/a", "few/a", "other/a"] {
        for number in 0..5 {
            let (_, id) = put(&client, &bucket, key, b"x").await;
            let kept = match key {
                "old/a" => number == 4,
                "few/a" => number >= 2,
                _ => true,
            };
            stays.extend(kept.then(|| object(key, id)));
        }
    }
    put(&client, &bucket, "old/gone", b"x").await;
    client.delete_object().bucket(&bucket).key("old/gone").send().await.expect("a marker");
    let (_, expired) = put(&client, &bucket, "now/a", b"x").await;
    stays.insert(object("now/a", expired));
    for key in ["up/a", "other/up"] {
        client.create_multipart_upload().bucket(&bucket).key(key).send().await.expect("begun");
    }
    let rules = rules.into_iter().map(|rule| rule.build().expect("a rule")).collect();
    set(&client, &bucket, rules).await;
    // What has expired as the newest is below a marker, which no rule removes.
    let but_marker = async || {
        let all = versions(&client, &bucket).await;
        all.into_iter().filter(|(key, marker, _)| !(key == "now/a" && *marker)).collect()
    };
    until_left(stays, but_marker).await;
    until_left(BTreeSet::from(["few/a", "old/a", "other/a"].map(str::to_owned)), async || keys(&client, &bucket).await)
        .await;
    until_left(BTreeSet::from(["other/up".to_owned()]), async || {
        let found = client.list_multipart_uploads().bucket(&bucket).send().await.expect("listed");
        found.uploads().iter().filter_map(|upload| upload.key.clone()).collect()
    })
    .await;
    let (_, page) = crate::admin::get(&server, "/metrics");
    for (name, at_least) in [
        ("cairn_lifecycle_expired_objects_total", 1.0),
        ("cairn_lifecycle_expired_noncurrent_versions_total", 7.0),
        ("cairn_lifecycle_expired_markers_total", 1.0),
        ("cairn_lifecycle_aborted_uploads_total", 1.0),
    ] {
        assert_eq!(crate::admin::metric(&page, name), at_least, "{name}");
    }
}

#[tokio::test]
async fn objects_move_to_the_storage_class_of_a_rule_and_stay_readable() {
    let server = Server::start_with(5, &["--lifecycle-day", "2s", "--storage-class", "COLD=4+1"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    let to = Transition::builder().days(1).storage_class(TransitionStorageClass::from("COLD")).build();
    let sizes = [1000, 20_000, 300_000, 5_000_000];
    for size in sizes {
        put(&client, &bucket, &format!("moves/{size}"), &body(size, size as u64)).await;
        put(&client, &bucket, &format!("stays/{size}"), &body(size, size as u64)).await;
    }
    set(&client, &bucket, vec![rule("cold", prefix("moves/")).transitions(to).build().expect("a rule")]).await;
    let standard = async || {
        let found = client.list_objects_v2().bucket(&bucket).send().await.expect("listed");
        let cold = |class: Option<&str>| class == Some("COLD");
        let all = found.contents().iter().filter(|object| !cold(object.storage_class().map(|class| class.as_str())));
        all.filter_map(|object| object.key.clone()).collect()
    };
    until_left(sizes.iter().map(|size| format!("stays/{size}")).collect(), standard).await;
    for size in sizes {
        let key = format!("moves/{size}");
        let head = client.head_object().bucket(&bucket).key(&key).send().await.expect("HEAD");
        assert_eq!(head.storage_class(), Some(&StorageClass::from("COLD")));
        assert!(crate::s3::get(&client, &bucket, &key).await == body(size, size as u64), "{size}");
    }
}

#[tokio::test]
async fn a_server_that_is_killed_while_keys_expire_goes_on_and_takes_nothing_else() {
    let mut server = Server::start_with(3, &SHORT_DAY);
    let bucket = server.bucket().await;
    let client = server.client();
    let mut stays = BTreeSet::new();
    for number in 0..300 {
        let key = format!("{}/{number}", ["goes", "stays"][number % 2]);
        put(&client, &bucket, &key, b"x").await;
        stays.extend((number % 2 == 1).then_some(key));
    }
    set(&client, &bucket, vec![expires("goes/")]).await;
    for _kill in 0..3 {
        let before = keys(&client_of(&server), &bucket).await.len();
        // At once, or in the midst of it, as it happens.
        if before < 280 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server.kill();
        server.restart();
    }
    let client = client_of(&server);
    until_left(stays, async || keys(&client, &bucket).await).await;
}

fn client_of(server: &Server) -> Client {
    server.client()
}
