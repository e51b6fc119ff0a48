//! What S3 keeps with a bucket, tags and locks: changed through one gateway, seen through another.

use aws_sdk_s3::types::{
    BucketVersioningStatus, DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold,
    ObjectLockLegalHoldStatus, ObjectLockRetentionMode, ObjectLockRule, Tag, Tagging,
};

use super::splits::split;
use crate::processes::{Cluster, Member};
use crate::s3::raw::{Answer, request_to};
use crate::s3::{code_of, put, set_versioning};

const BUCKET: &str = "documents";
/// One on either side of the cut.
const KEYS: [&str; 2] = ["a", "z"];

fn send(member: &Member, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    request_to(member.endpoint.trim_start_matches("http://"), method, target, headers, body.as_bytes())
}

fn rules(origin: &str) -> String {
    format!(
        "<CORSConfiguration><CORSRule><AllowedOrigin>{origin}</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
         </CORSRule></CORSConfiguration>"
    )
}

/// A bucket in two ranges, whose rules are changed through one gateway: the next answer of another one, out of either
/// range, and its next preflight go by the new ones. No time passes in between that the other could have asked in.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_cors_through_one_gateway_is_seen_at_once_through_another() {
    let cluster = Cluster::of(3, 1);
    let (first, second) = (cluster.gateway(), cluster.gateway());
    first.client().create_bucket().bucket(BUCKET).send().await.expect("created");
    for key in KEYS {
        put(&first.client(), BUCKET, key, b"bytes").await;
    }
    cluster.nodes[0].at_level(3);
    split(&cluster.nodes[0], 1, &format!("{BUCKET}/m"));
    for round in 1..20 {
        let (origin, former) = (format!("http://round-{round}"), format!("http://round-{}", round - 1));
        let (changed_by, seen_by) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let set = send(changed_by, "PUT", &format!("/{BUCKET}?cors"), &[], &rules(&origin));
        assert_eq!(set.status, 200, "{}", set.text());
        let key = KEYS[round / 2 % 2];
        let told = |origin: &str| {
            let answer = send(seen_by, "GET", &format!("/{BUCKET}/{key}"), &[("Origin", origin)], "");
            assert_eq!(answer.status, 200);
            answer.header("access-control-allow-origin").map(str::to_owned)
        };
        assert_eq!(told(&origin), Some(origin.clone()), "round {round}");
        assert_eq!(told(&former), None, "round {round}");
    }
    for round in 20..40 {
        let origin = format!("http://round-{round}");
        let (changed_by, asked) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        assert_eq!(send(changed_by, "PUT", &format!("/{BUCKET}?cors"), &[], &rules(&origin)).status, 200);
        let question = [("Origin", origin.as_str()), ("Access-Control-Request-Method", "GET")];
        assert_eq!(send(asked, "OPTIONS", &format!("/{BUCKET}/k"), &question, "").status, 200, "round {round}");
        let removed = send(changed_by, "DELETE", &format!("/{BUCKET}?cors"), &[], "");
        assert_eq!(removed.status, 204);
        assert_eq!(send(asked, "OPTIONS", &format!("/{BUCKET}/k"), &question, "").status, 403, "round {round}");
    }
}

/// A bucket in two ranges that gets object lock, and another default each round, through one gateway: whatever another one
/// puts into either range afterwards has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_default_retention_set_through_one_gateway_holds_what_comes_through_another() {
    let cluster = Cluster::of(3, 1);
    let (first, second) = (cluster.gateway(), cluster.gateway());
    let (setter, writer) = (first.client(), second.client());
    setter.create_bucket().bucket(BUCKET).send().await.expect("created");
    set_versioning(&setter, BUCKET, BucketVersioningStatus::Enabled).await;
    for key in KEYS {
        put(&writer, BUCKET, key, b"bytes").await;
    }
    cluster.nodes[0].at_level(3);
    split(&cluster.nodes[0], 1, &format!("{BUCKET}/m"));
    for round in 1..12 {
        let default = DefaultRetention::builder().mode(ObjectLockRetentionMode::Governance).days(round).build();
        let rule = ObjectLockRule::builder().default_retention(default).build();
        let lock = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).rule(rule);
        let set = setter.put_object_lock_configuration().bucket(BUCKET).object_lock_configuration(lock.build());
        set.send().await.expect("set");
        for key in KEYS {
            let (_, version) = put(&writer, BUCKET, key, b"bytes").await;
            let head = setter.head_object().bucket(BUCKET).key(key).send().await.expect("HEAD");
            assert_eq!(head.version_id(), version.as_deref());
            let until = head.object_lock_retain_until_date().expect("a retention").secs();
            let lasts = until - head.last_modified().expect("a date").secs();
            let expected = i64::from(round) * 86_400;
            assert!((expected..=expected + 1).contains(&lasts), "round {round}: {lasts} s");
            // One gateway lifts it, and the other one deletes.
            let delete = || setter.delete_object().bucket(BUCKET).key(key).set_version_id(version.clone());
            assert_eq!(code_of(delete().send().await), "AccessDenied", "round {round}");
            let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
            let held = writer.put_object_legal_hold().bucket(BUCKET).key(key).legal_hold(hold);
            held.send().await.expect("held");
            let bypassed = delete().bypass_governance_retention(true).send().await;
            assert_eq!(code_of(bypassed), "AccessDenied", "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_tags_through_one_gateway_is_seen_at_once_through_another() {
    let cluster = Cluster::of(3, 1);
    let clients = [cluster.gateway(), cluster.gateway()].map(|gateway| (gateway.client(), gateway));
    clients[0].0.create_bucket().bucket(BUCKET).send().await.expect("created");
    put(&clients[0].0, BUCKET, "key", b"bytes").await;
    cluster.nodes[0].at_level(3);
    for round in 1..20 {
        let tag = Tag::builder().key("round").value(round.to_string()).build().expect("a tag");
        let tags = Tagging::builder().tag_set(tag).build().expect("tags");
        let (setter, reader) = (&clients[round % 2].0, &clients[(round + 1) % 2].0);
        setter.put_object_tagging().bucket(BUCKET).key("key").tagging(tags.clone()).send().await.expect("set");
        let of_object = reader.get_object_tagging().bucket(BUCKET).key("key").send().await.expect("tags");
        assert_eq!(of_object.tag_set(), tags.tag_set());
        setter.put_bucket_tagging().bucket(BUCKET).tagging(tags.clone()).send().await.expect("set");
        let of_bucket = reader.get_bucket_tagging().bucket(BUCKET).send().await.expect("tags");
        assert_eq!(of_bucket.tag_set(), tags.tag_set());
    }
    // Documents and tags are the cluster's: they outlive whoever leads.
    let mut cluster = cluster;
    cluster.nodes[0].kill();
    let of_bucket = clients[0].0.get_bucket_tagging().bucket(BUCKET).send().await.expect("tags");
    assert_eq!(of_bucket.tag_set()[0].value(), "19");
    cluster.nodes[0].restart();
}
