//! Object lock, whatever operation it comes by: headers of what is stored and read, deletes, and policies.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode,
};
use serde_json::json;

use super::raw::{by_url, request};
use super::{code_of, fresh, put};
use crate::server::Server;

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";
/// Of the body `x`: a lock takes a body with a digest.
const CRC32_OF_X: &str = "jNwWgw==";
const LOCKED: &str = "Access Denied because object protected by object lock.";

/// A client and a bucket with object lock.
pub(super) async fn locked() -> (Client, String) {
    let client = Server::shared().client();
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let bucket = format!("locked-{}-{number}", std::process::id());
    let create = client.create_bucket().bucket(&bucket).object_lock_enabled_for_bucket(true);
    create.send().await.expect("a bucket is created");
    (client, bucket)
}

/// A whole second, so many from now on.
pub(super) fn in_seconds(seconds: u64) -> DateTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    DateTime::from_secs(i64::try_from(now.as_secs() + seconds).expect("a time"))
}

pub(super) fn retention(mode: ObjectLockRetentionMode, until: DateTime) -> ObjectLockRetention {
    ObjectLockRetention::builder().mode(mode).retain_until_date(until).build()
}

pub(super) fn hold(status: ObjectLockLegalHoldStatus) -> ObjectLockLegalHold {
    ObjectLockLegalHold::builder().status(status).build()
}

/// What HEAD shows of a version's lock.
async fn shown(client: &Client, bucket: &str, key: &str) -> [Option<String>; 3] {
    let head = client.head_object().bucket(bucket).key(key).send().await.expect("HEAD");
    let got = client.get_object().bucket(bucket).key(key).send().await.expect("GET");
    assert_eq!(head.object_lock_mode(), got.object_lock_mode());
    assert_eq!(head.object_lock_retain_until_date(), got.object_lock_retain_until_date());
    assert_eq!(head.object_lock_legal_hold_status(), got.object_lock_legal_hold_status());
    [
        head.object_lock_mode().map(|mode| mode.as_str().to_owned()),
        head.object_lock_retain_until_date().map(|until| until.secs().to_string()),
        head.object_lock_legal_hold_status().map(|status| status.as_str().to_owned()),
    ]
}

fn lock_of(mode: &str, until: DateTime, hold: &str) -> [Option<String>; 3] {
    [mode.to_owned(), until.secs().to_string(), hold.to_owned()].map(|text| Some(text).filter(|text| !text.is_empty()))
}

#[tokio::test]
async fn puts_copies_and_uploads_are_held_as_they_say() {
    let (client, bucket) = locked().await;
    let until = in_seconds(86_400);
    let stored = client.put_object().bucket(&bucket).key("put").body(b"bytes".to_vec().into());
    let stored = stored.checksum_crc32("sZlDzg==").object_lock_mode(ObjectLockMode::Governance);
    let stored = stored.object_lock_retain_until_date(until);
    let stored = stored.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On).send().await.expect("PUT");
    assert_eq!(shown(&client, &bucket, "put").await, lock_of("GOVERNANCE", until, "ON"));

    // A copy has none of its source's lock.
    let copy = || client.copy_object().bucket(&bucket).copy_source(format!("{bucket}/put"));
    copy().key("copy").send().await.expect("copied");
    assert_eq!(shown(&client, &bucket, "copy").await, [None, None, None]);
    let held = copy().key("held").object_lock_mode(ObjectLockMode::Compliance).object_lock_retain_until_date(until);
    held.send().await.expect("copied");
    assert_eq!(shown(&client, &bucket, "held").await, lock_of("COMPLIANCE", until, ""));
    // A lock is a change, so an object may be copied onto itself by it.
    copy().key("put").object_lock_legal_hold_status(ObjectLockLegalHoldStatus::Off).send().await.expect("copied");
    assert_eq!(shown(&client, &bucket, "put").await, [None, None, Some("OFF".to_owned())]);

    let begun = client.create_multipart_upload().bucket(&bucket).key("parts");
    let begun = begun.object_lock_mode(ObjectLockMode::Governance);
    let begun = begun.object_lock_retain_until_date(until).send().await.expect("begun");
    let upload = begun.upload_id.expect("an id");
    let part = client.upload_part().bucket(&bucket).key("parts").upload_id(&upload).part_number(1);
    let part = part.body(vec![7; 100_000].into()).send().await.expect("a part");
    let part = CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket(&bucket).key("parts").upload_id(&upload);
    let completed = complete.multipart_upload(parts).send().await.expect("completed");
    assert_eq!(shown(&client, &bucket, "parts").await, lock_of("GOVERNANCE", until, ""));
    for (key, version) in [("put", stored.version_id()), ("parts", completed.version_id())] {
        let delete = client.delete_object().bucket(&bucket).key(key).set_version_id(version.map(str::to_owned));
        assert_eq!(code_of(delete.send().await), "AccessDenied", "{key}");
    }
}

#[tokio::test]
async fn locks_in_headers_are_refused_in_aws_words() {
    let (_, bucket) = locked().await;
    let (target, future) = (format!("/{bucket}/k"), "2140-01-01T00:00:00Z");
    let md5 = ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==");
    let both = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
    let not_iso = "The retain until date must be provided in ISO 8601 format";
    let past = "The retain until date must be in the future!";
    let no_digest =
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
    for (headers, code, message, argument) in [
        (&[md5, (MODE, "GOVERNANCE")][..], "InvalidArgument", both, Some(UNTIL)),
        (&[md5, (UNTIL, future)], "InvalidArgument", both, Some(MODE)),
        (&[md5, (MODE, "abc"), (UNTIL, future)], "InvalidArgument", "Unknown wormMode directive.", Some(MODE)),
        (&[md5, (MODE, "GOVERNANCE"), (UNTIL, "abc")], "InvalidArgument", not_iso, Some(UNTIL)),
        (&[md5, (MODE, "GOVERNANCE"), (UNTIL, "2001-01-01T00:00:00Z")], "InvalidArgument", past, Some(UNTIL)),
        (
            &[md5, (HOLD, "wrong")],
            "InvalidArgument",
            "Legal Hold must be either of &apos;ON&apos; or &apos;OFF&apos;",
            Some(HOLD),
        ),
        (&[(HOLD, "ON")], "InvalidRequest", no_digest, None),
    ] {
        let refused = request(Server::shared(), "PUT", &target, headers, b"hello world");
        assert_eq!((refused.error(), refused.element("Message")), ((400, code), Some(message)), "{headers:?}");
        assert_eq!(refused.element("ArgumentName"), argument, "{headers:?}");
    }
    let taken = request(Server::shared(), "PUT", &target, &[md5, (HOLD, "OFF")], b"hello world");
    assert_eq!(taken.status, 200, "{}", taken.text());
    let (client, open) = fresh().await;
    let put = client.put_object().bucket(&open).key("k").checksum_crc32(CRC32_OF_X);
    let put = put.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On).body(b"x".to_vec().into());
    assert_eq!(code_of(put.send().await), "InvalidRequest");
    let refused = request(Server::shared(), "PUT", &format!("/{open}/k"), &[md5, (HOLD, "ON")], b"hello world");
    let words = "Bucket is missing Object Lock Configuration";
    assert_eq!((refused.error(), refused.element("Message")), ((400, "InvalidRequest"), Some(words)));
    let begin = client.create_multipart_upload().bucket(&open).key("k").object_lock_mode(ObjectLockMode::Governance);
    let begin = begin.object_lock_retain_until_date(in_seconds(60)).send().await;
    assert_eq!(code_of(begin), "InvalidRequest");
}

#[tokio::test]
async fn a_plain_delete_adds_a_marker_and_what_is_held_stays() {
    let (client, bucket) = locked().await;
    let (_, version) = put(&client, &bucket, "k", b"held").await;
    let version = version.expect("an id");
    let governance = retention(ObjectLockRetentionMode::Governance, in_seconds(86_400));
    client.put_object_retention().bucket(&bucket).key("k").retention(governance).send().await.expect("set");
    let marker = client.delete_object().bucket(&bucket).key("k").send().await.expect("a marker");
    assert_eq!(marker.delete_marker(), Some(true));
    put(&client, &bucket, "k", b"newer").await;
    let target = format!("/{bucket}/k?versionId={version}");
    let refused = request(Server::shared(), "DELETE", &target, &[], b"");
    assert_eq!((refused.error(), refused.element("Message")), ((403, "AccessDenied"), Some(LOCKED)));
    let gone = client.delete_object().bucket(&bucket).key("k").set_version_id(marker.version_id).send().await;
    assert_eq!(gone.expect("a marker is held by nothing").delete_marker(), Some(true));
    assert_eq!(code_of(client.delete_bucket().bucket(&bucket).send().await), "BucketNotEmpty");
    assert_eq!(
        code_of(client.delete_object().bucket(&bucket).key("k").version_id(&version).send().await),
        "AccessDenied"
    );
    let bypassing = client.delete_object().bucket(&bucket).key("k").version_id(&version);
    bypassing.bypass_governance_retention(true).send().await.expect("bypassed");
    let read = client.get_object().bucket(&bucket).key("k").version_id(&version).send().await;
    assert_eq!(code_of(read), "NoSuchVersion");
}

#[tokio::test]
async fn of_many_deletes_those_of_held_versions_fail() {
    let (client, bucket) = locked().await;
    let mut versions = Vec::new();
    for (key, mode) in [
        ("free", None),
        ("governed", Some(ObjectLockRetentionMode::Governance)),
        ("complied", Some(ObjectLockRetentionMode::Compliance)),
    ] {
        let (_, version) = put(&client, &bucket, key, b"x").await;
        if let Some(mode) = mode {
            let set = client.put_object_retention().bucket(&bucket).key(key);
            set.retention(retention(mode, in_seconds(86_400))).send().await.expect("set");
        }
        versions.push((key, version.expect("an id")));
    }
    let delete = async |bypass: bool| {
        let objects = versions.iter().map(|(key, version)| {
            ObjectIdentifier::builder().key(*key).version_id(version).build().expect("an object")
        });
        let delete = Delete::builder().set_objects(Some(objects.collect())).build().expect("objects");
        let sent = client.delete_objects().bucket(&bucket).delete(delete).bypass_governance_retention(bypass);
        let answer = sent.send().await.expect("answered");
        let gone: Vec<_> = answer.deleted().iter().filter_map(|gone| gone.key().map(str::to_owned)).collect();
        let failed = answer.errors().iter().map(|error| {
            assert_eq!((error.code(), error.message()), (Some("AccessDenied"), Some(LOCKED)));
            error.key().expect("a key").to_owned()
        });
        (gone, failed.collect::<Vec<_>>())
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(delete(false).await, (names(&["free"]), names(&["governed", "complied"])));
    assert_eq!(delete(true).await, (names(&["free", "governed"]), names(&["complied"])));
}

/// A policy that denies everybody this, the owner too.
async fn deny(client: &Client, bucket: &str, action: &str, condition: serde_json::Value) {
    let resource = format!("arn:aws:s3:::{bucket}/*");
    let mut statement = json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource});
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    client.put_bucket_policy().bucket(bucket).policy(policy).send().await.expect("the policy is taken");
}

#[tokio::test]
async fn a_bypass_takes_its_right_and_locks_are_shown_to_who_may_know() {
    let (client, bucket) = locked().await;
    let (_, version) = put(&client, &bucket, "k", b"x").await;
    let until = in_seconds(86_400);
    let set = |until, bypass| {
        let set = client.put_object_retention().bucket(&bucket).key("k").bypass_governance_retention(bypass);
        set.retention(retention(ObjectLockRetentionMode::Governance, until)).send()
    };
    set(until, false).await.expect("set");
    let on = client.put_object_legal_hold().bucket(&bucket).key("k").legal_hold(hold(ObjectLockLegalHoldStatus::On));
    on.send().await.expect("set");
    deny(&client, &bucket, "s3:BypassGovernanceRetention", json!(null)).await;
    assert_eq!(code_of(set(in_seconds(60), true).await), "AccessDenied");
    let delete = client.delete_object().bucket(&bucket).key("k").set_version_id(version);
    assert_eq!(code_of(delete.bypass_governance_retention(true).send().await), "AccessDenied");
    set(in_seconds(90_000), true).await.expect("more needs no bypass");
    deny(&client, &bucket, "s3:GetObjectRetention", json!(null)).await;
    assert_eq!(shown(&client, &bucket, "k").await, [None, None, Some("ON".to_owned())]);
    assert_eq!(code_of(client.get_object_retention().bucket(&bucket).key("k").send().await), "AccessDenied");
    deny(&client, &bucket, "s3:GetObjectLegalHold", json!(null)).await;
    assert_eq!(shown(&client, &bucket, "k").await[2], None);
    assert_eq!(code_of(client.get_object_legal_hold().bucket(&bucket).key("k").send().await), "AccessDenied");
    deny(&client, &bucket, "s3:PutObjectLegalHold", json!(null)).await;
    let put = client.put_object().bucket(&bucket).key("new").checksum_crc32(CRC32_OF_X);
    let put = put.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On).body(b"x".to_vec().into());
    assert_eq!(code_of(put.send().await), "AccessDenied");
    super::put(&client, &bucket, "new", b"without one").await;
}

#[tokio::test]
async fn policies_look_at_what_a_lock_would_be() {
    let (client, bucket) = locked().await;
    put(&client, &bucket, "k", b"x").await;
    let set = |mode, days: u64| {
        let set = client.put_object_retention().bucket(&bucket).key("k");
        set.retention(retention(mode, in_seconds(days * 86_400))).send()
    };
    let put_with = |days: u64| {
        let put = client.put_object().bucket(&bucket).key("put").checksum_crc32(CRC32_OF_X);
        let put =
            put.object_lock_mode(ObjectLockMode::Governance).object_lock_retain_until_date(in_seconds(days * 86_400));
        put.body(b"x".to_vec().into()).send()
    };
    let too_long = json!({"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}});
    deny(&client, &bucket, "s3:PutObjectRetention", too_long).await;
    set(ObjectLockRetentionMode::Governance, 9).await.expect("not too long");
    assert_eq!(code_of(set(ObjectLockRetentionMode::Governance, 12).await), "AccessDenied");
    put_with(9).await.expect("not too long");
    assert_eq!(code_of(put_with(12).await), "AccessDenied");
    let compliance = json!({"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}});
    deny(&client, &bucket, "s3:PutObjectRetention", compliance).await;
    assert_eq!(code_of(set(ObjectLockRetentionMode::Compliance, 9).await), "AccessDenied");
    set(ObjectLockRetentionMode::Governance, 10).await.expect("another mode");
    let governance = json!({"StringEquals": {"s3:object-lock-mode": "GOVERNANCE"}});
    deny(&client, &bucket, "s3:PutObject", governance).await;
    assert_eq!(code_of(put_with(9).await), "AccessDenied");
    put(&client, &bucket, "put", b"without a lock").await;
}

#[tokio::test]
async fn who_did_not_sign_locks_nothing() {
    let (client, bucket) = locked().await;
    let resource = format!("arn:aws:s3:::{bucket}/*");
    let allow = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": resource});
    let policy = json!({"Version": "2012-10-17", "Statement": [allow]}).to_string();
    client.put_bucket_policy().bucket(&bucket).policy(policy).send().await.expect("the policy is taken");
    let server = Server::shared();
    let url = format!("{}/{bucket}/k", server.endpoint());
    let headers = [("content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="), (HOLD, "ON")];
    let refused = by_url(server, "PUT", &url, &headers, b"hello world");
    let words = "Put Object requests with Object Lock parameters require AWS Signature Version 4";
    assert_eq!((refused.error(), refused.element("Message")), ((400, "InvalidArgument"), Some(words)));
}
