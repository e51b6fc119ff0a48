//! PutObjectLockConfiguration, GetObjectLockConfiguration, and buckets that are made with object lock.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode,
    ObjectLockRule, VersioningConfiguration,
};

use super::object_lock::locked;
use super::raw::request;
use super::{code_of, fresh, put, set_versioning};
use crate::server::Server;

fn configuration(default: Option<DefaultRetention>) -> ObjectLockConfiguration {
    let rule = default.map(|default| ObjectLockRule::builder().default_retention(default).build());
    ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).set_rule(rule).build()
}

fn days(mode: ObjectLockRetentionMode, days: i32) -> DefaultRetention {
    DefaultRetention::builder().mode(mode).days(days).build()
}

async fn read(client: &Client, bucket: &str) -> ObjectLockConfiguration {
    let got = client.get_object_lock_configuration().bucket(bucket).send().await.expect("a configuration");
    got.object_lock_configuration.expect("a configuration")
}

#[tokio::test]
async fn a_bucket_made_with_object_lock_has_versioning_for_good() {
    let (client, bucket) = locked().await;
    let versioning = client.get_bucket_versioning().bucket(&bucket).send().await.expect("versioning");
    assert_eq!(versioning.status(), Some(&BucketVersioningStatus::Enabled));
    assert_eq!(read(&client, &bucket).await, configuration(None));
    let suspended = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    let suspend = client.put_bucket_versioning().bucket(&bucket).versioning_configuration(suspended).send().await;
    assert_eq!(code_of(suspend), "InvalidBucketState");
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
}

#[tokio::test]
async fn object_lock_is_turned_on_later_where_versioning_is() {
    let (client, bucket) = fresh().await;
    let set = |default| {
        let set = client.put_object_lock_configuration().bucket(&bucket);
        set.object_lock_configuration(configuration(default)).send()
    };
    let none = client.get_object_lock_configuration().bucket(&bucket).send().await;
    assert_eq!(code_of(none), "ObjectLockConfigurationNotFoundError");
    let (_, before) = put(&client, &bucket, "k", b"null").await;
    assert_eq!(before, None);
    assert_eq!(code_of(set(None).await), "InvalidBucketState");
    set_versioning(&client, &bucket, BucketVersioningStatus::Suspended).await;
    assert_eq!(code_of(set(None).await), "InvalidBucketState");
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let years = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).years(1).build();
    for default in [None, Some(years), Some(days(ObjectLockRetentionMode::Governance, 36_500)), None] {
        set(default.clone()).await.expect("set");
        assert_eq!(read(&client, &bucket).await, configuration(default));
    }
    // What was there stays as it is.
    let head = client.head_object().bucket(&bucket).key("k").version_id("null").send().await.expect("HEAD");
    assert_eq!(head.object_lock_mode(), None);
    client.delete_object().bucket(&bucket).key("k").version_id("null").send().await.expect("held by nothing");
    let nowhere = client.put_object_lock_configuration().bucket("no-such-bucket-here");
    assert_eq!(code_of(nowhere.object_lock_configuration(configuration(None)).send().await), "NoSuchBucket");
}

#[tokio::test]
async fn what_comes_without_a_retention_gets_the_default_from_its_commit_on() {
    let (client, bucket) = locked().await;
    put(&client, &bucket, "before", b"x").await;
    let default = configuration(Some(days(ObjectLockRetentionMode::Governance, 1)));
    let set = client.put_object_lock_configuration().bucket(&bucket).object_lock_configuration(default);
    set.send().await.expect("set");
    let (_, version) = put(&client, &bucket, "after", b"x").await;
    let head = async |key: &str| client.head_object().bucket(&bucket).key(key).send().await.expect("HEAD");
    let after = head("after").await;
    assert_eq!(after.object_lock_mode().map(|mode| mode.as_str()), Some("GOVERNANCE"));
    let lasts =
        after.object_lock_retain_until_date().expect("a date").secs() - after.last_modified().expect("a date").secs();
    assert!((86_400..=86_401).contains(&lasts), "{lasts} s");
    assert_eq!(head("before").await.object_lock_mode(), None);
    let delete = client.delete_object().bucket(&bucket).key("after").set_version_id(version);
    assert_eq!(code_of(delete.send().await), "AccessDenied");
}

#[tokio::test]
async fn configurations_are_refused_in_aws_words() {
    let (client, bucket) = locked().await;
    let send =
        |document: &str| request(Server::shared(), "PUT", &format!("/{bucket}?object-lock"), &[], document.as_bytes());
    let with = |default: &str| {
        let rule = format!("<Rule><DefaultRetention>{default}</DefaultRetention></Rule>");
        let enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        send(&format!("<ObjectLockConfiguration>{enabled}{rule}</ObjectLockConfiguration>"))
    };
    for default in [
        "",
        "<Mode>GOVERNANCE</Mode>",
        "<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>",
        "<Mode>abc</Mode><Days>1</Days>",
        "<Mode>governance</Mode><Days>1</Days>",
    ] {
        assert_eq!(with(default).error(), (400, "MalformedXML"), "{default}");
    }
    let disabled = "<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>";
    for document in ["", "<ObjectLockConfiguration/>", disabled] {
        assert_eq!(send(document).error(), (400, "MalformedXML"), "{document}");
    }
    let positive = "Default retention period must be a positive integer value.";
    let large = "Default retention period too large.";
    for (period, words, argument) in [
        ("<Days>0</Days>", positive, "Days"),
        ("<Years>-1</Years>", positive, "Years"),
        ("<Days>36501</Days>", large, "Days"),
        ("<Years>101</Years>", large, "Years"),
    ] {
        let refused = with(&format!("<Mode>GOVERNANCE</Mode>{period}"));
        assert_eq!((refused.error(), refused.element("Message")), ((400, "InvalidArgument"), Some(words)));
        assert_eq!(refused.element("ArgumentName"), Some(argument));
    }
    assert_eq!(read(&client, &bucket).await, configuration(None), "what is refused changes nothing");
    let (_, open) = fresh().await;
    let target = format!("/{open}?object-lock");
    let document = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    let refused = request(Server::shared(), "PUT", &target, &[], document.as_bytes());
    let words = "Versioning must be &apos;Enabled&apos; on the bucket to apply a Object Lock configuration";
    assert_eq!((refused.error(), refused.element("Message")), ((409, "InvalidBucketState"), Some(words)));
}
