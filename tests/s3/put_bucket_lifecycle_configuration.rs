//! PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration, DeleteBucketLifecycle, and what answers say of the
//! rules. That they are carried out is in `lifecycle.rs` beside this folder.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleAndOperator, LifecycleRuleFilter, NoncurrentVersionExpiration, Tag,
    TransitionDefaultMinimumObjectSize,
};

use super::raw::{Answer, request};
use super::{code_of, fresh, put};
use crate::server::Server;

fn configuration(rules: Vec<LifecycleRule>) -> BucketLifecycleConfiguration {
    BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().expect("rules")
}

fn days(days: i32) -> LifecycleExpiration {
    LifecycleExpiration::builder().days(days).build()
}

fn rule(id: &str, prefix: &str, after: i32) -> LifecycleRule {
    let filter = LifecycleRuleFilter::builder().prefix(prefix).build();
    let rule = LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled).filter(filter);
    rule.expiration(days(after)).build().expect("a rule")
}

async fn set(client: &Client, bucket: &str, rules: Vec<LifecycleRule>) {
    let put = client.put_bucket_lifecycle_configuration().bucket(bucket);
    put.lifecycle_configuration(configuration(rules)).send().await.expect("set");
}

async fn standing(client: &Client, bucket: &str) -> Vec<LifecycleRule> {
    let found = client.get_bucket_lifecycle_configuration().bucket(bucket).send().await.expect("rules");
    found.rules().to_vec()
}

#[tokio::test]
async fn rules_are_set_replaced_and_removed() {
    let (client, bucket) = fresh().await;
    let get = || client.get_bucket_lifecycle_configuration().bucket(&bucket).send();
    assert_eq!(code_of(get().await), "NoSuchLifecycleConfiguration");
    client.delete_bucket_lifecycle().bucket(&bucket).send().await.expect("what isn't there is removed");
    let tag = Tag::builder().key("a & b").value("1").build().expect("a tag");
    let and = LifecycleRuleAndOperator::builder().prefix("logs/").tags(tag);
    let and = and.object_size_greater_than(10).object_size_less_than(20).build();
    let noncurrent = NoncurrentVersionExpiration::builder().noncurrent_days(3).newer_noncurrent_versions(5).build();
    let full = LifecycleRule::builder()
        .id("all & everything")
        .status(ExpirationStatus::Disabled)
        .filter(LifecycleRuleFilter::builder().and(and).build())
        .expiration(LifecycleExpiration::builder().date(DateTime::from_secs(1_893_456_000)).build())
        .noncurrent_version_expiration(noncurrent)
        .build()
        .expect("a rule");
    #[allow(deprecated, reason = "clients from before there were filters send it")]
    let legacy = LifecycleRule::builder().id("old").status(ExpirationStatus::Enabled).prefix("tmp/");
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(7).build();
    let legacy = legacy.abort_incomplete_multipart_upload(abort).build().expect("a rule");
    let rules = vec![full, legacy, rule("last", "", 365)];
    set(&client, &bucket, rules.clone()).await;
    assert_eq!(standing(&client, &bucket).await, rules);
    set(&client, &bucket, vec![rule("only", "x", 1)]).await;
    assert_eq!(standing(&client, &bucket).await, [rule("only", "x", 1)]);
    client.delete_bucket_lifecycle().bucket(&bucket).send().await.expect("removed");
    assert_eq!(code_of(get().await), "NoSuchLifecycleConfiguration");
}

#[tokio::test]
async fn rules_get_an_id_and_the_least_size_is_answered() {
    let (client, bucket) = fresh().await;
    let put = client.put_bucket_lifecycle_configuration().bucket(&bucket);
    let nameless = |prefix: &str| {
        let mut rule = rule("", prefix, 9);
        rule.id = None;
        rule
    };
    let put = put.lifecycle_configuration(configuration(vec![nameless("a"), nameless("b")]));
    let size = TransitionDefaultMinimumObjectSize::AllStorageClasses128K;
    let answer = put.transition_default_minimum_object_size(size.clone()).send().await.expect("set");
    assert_eq!(answer.transition_default_minimum_object_size(), Some(&size));
    let found = client.get_bucket_lifecycle_configuration().bucket(&bucket).send().await.expect("rules");
    assert_eq!(found.transition_default_minimum_object_size(), Some(&size));
    let ids: Vec<&str> = found.rules().iter().filter_map(LifecycleRule::id).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && !ids[0].is_empty(), "{ids:?}");
}

fn send(bucket: &str, rules: &str) -> Answer {
    let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    request(Server::shared(), "PUT", &format!("/{bucket}?lifecycle"), &[], document.as_bytes())
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused() {
    let (client, bucket) = fresh().await;
    set(&client, &bucket, vec![rule("stands", "", 1)]).await;
    let rule = |content: &str| format!("<Rule><ID>a</ID><Filter/><Status>Enabled</Status>{content}</Rule>");
    let expires = "<Expiration><Days>1</Days></Expiration>";
    let refused = |rules: &str| send(&bucket, rules).error().1.to_owned();
    assert_eq!(refused(""), "MalformedXML");
    assert_eq!(refused(&rule(expires).replace("Enabled", "enabled")), "MalformedXML");
    assert_eq!(refused(&rule(expires).repeat(2)), "InvalidArgument");
    assert_eq!(refused(&rule(expires).replace(">a<", &format!(">{}<", "i".repeat(256)))), "InvalidArgument");
    assert_eq!(refused(&rule("<Expiration><Days>0</Days></Expiration>")), "InvalidArgument");
    assert_eq!(refused(&rule("<Expiration><Date>2030-01-01T12:00:00Z</Date></Expiration>")), "InvalidArgument");
    assert_eq!(refused(&rule("<Expiration><Date>tomorrow</Date></Expiration>")), "MalformedXML");
    assert_eq!(refused(&rule("")), "InvalidRequest");
    let to = "<Transition><Days>1</Days><StorageClass>NOWHERE</StorageClass></Transition>";
    assert_eq!(refused(&rule(to)), "InvalidStorageClass");
    let wrong = [("x-amz-transition-default-minimum-object-size", "none")];
    let document = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", rule(expires));
    let answer = request(Server::shared(), "PUT", &format!("/{bucket}?lifecycle"), &wrong, document.as_bytes());
    assert_eq!(answer.error(), (400, "InvalidArgument"));
    assert_eq!(send("no-such-bucket-here", &rule(expires)).error(), (404, "NoSuchBucket"));
    let get = client.get_bucket_lifecycle_configuration().bucket("no-such-bucket-here").send().await;
    assert_eq!(code_of(get), "NoSuchBucket");
    assert_eq!(standing(&client, &bucket).await.len(), 1, "what is refused changes nothing");
    assert_eq!(standing(&client, &bucket).await[0].id(), Some("stands"));
}

/// Seconds since 1970 of the midnight in UTC from which on something made now is `days` old.
fn midnight_after(days: u64) -> [i64; 2] {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    // The test may run over a midnight.
    [now - 60, now].map(|now| i64::try_from((now / 86_400 + 1 + days) * 86_400).expect("soon"))
}

fn assert_expires(header: Option<&str>, days: u64, rule: &str) {
    let header = header.expect("the answer says when the object expires");
    let date = header.strip_prefix("expiry-date=\"").and_then(|rest| rest.split_once("\", rule-id=\""));
    let (date, id) = date.expect("a date and a rule");
    let date = DateTime::from_str(date, aws_sdk_s3::primitives::DateTimeFormat::HttpDate).expect("an HTTP date");
    assert!(midnight_after(days).contains(&date.secs()), "{header}");
    assert_eq!(id.trim_end_matches('"'), rule);
}

#[tokio::test]
async fn answers_say_when_an_object_expires_and_by_which_rule() {
    let (client, bucket) = fresh().await;
    let tag = Tag::builder().key("k").value("v").build().expect("a tag");
    let mut tagged = rule("tagged", "", 2);
    tagged.filter = Some(LifecycleRuleFilter::builder().tag(tag).build());
    set(&client, &bucket, vec![rule("two words", "logs/", 5), tagged]).await;
    let put_tagged = client.put_object().bucket(&bucket).key("logs/a").tagging("k=v").body(vec![1].into());
    assert_expires(put_tagged.send().await.expect("PUT").expiration(), 2, "tagged");
    let stored = client.put_object().bucket(&bucket).key("logs/b").body(vec![1].into()).send().await.expect("PUT");
    assert_expires(stored.expiration(), 5, "two%20words");
    let head = client.head_object().bucket(&bucket).key("logs/b").send().await.expect("HEAD");
    assert_expires(head.expiration(), 5, "two%20words");
    let found = client.get_object().bucket(&bucket).key("logs/a").send().await.expect("GET");
    assert_expires(found.expiration(), 2, "tagged");
    let source = format!("{bucket}/logs/b");
    let copied = client.copy_object().bucket(&bucket).key("logs/c").copy_source(&source).send().await.expect("copy");
    assert_expires(copied.expiration(), 5, "two%20words");
    let elsewhere = client.put_object().bucket(&bucket).key("other").body(vec![1].into()).send().await.expect("PUT");
    assert_eq!(elsewhere.expiration(), None);
}

#[tokio::test]
async fn uploads_say_when_they_are_ended_and_what_they_become() {
    let (client, bucket) = fresh().await;
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(3).build();
    let mut ends = rule("ends", "up/", 9);
    ends.abort_incomplete_multipart_upload = Some(abort);
    set(&client, &bucket, vec![ends]).await;
    let begun = client.create_multipart_upload().bucket(&bucket).key("up/a").send().await.expect("begun");
    assert!(midnight_after(3).contains(&begun.abort_date().expect("a date").secs()));
    assert_eq!(begun.abort_rule_id(), Some("ends"));
    let id = begun.upload_id().expect("an id");
    let listed = client.list_parts().bucket(&bucket).key("up/a").upload_id(id).send().await.expect("parts");
    assert!(midnight_after(3).contains(&listed.abort_date().expect("a date").secs()));
    let part = client.upload_part().bucket(&bucket).key("up/a").upload_id(id).part_number(1).body(vec![1].into());
    let etag = part.send().await.expect("a part").e_tag.expect("a tag");
    let named = aws_sdk_s3::types::CompletedPart::builder().part_number(1).e_tag(etag).build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(named).build();
    let complete = || {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("up/a").upload_id(id);
        complete.multipart_upload(parts.clone()).send()
    };
    assert_expires(complete().await.expect("completed").expiration(), 9, "ends");
    assert_expires(complete().await.expect("again").expiration(), 9, "ends");
    let other = client.create_multipart_upload().bucket(&bucket).key("elsewhere").send().await.expect("begun");
    assert_eq!((other.abort_date(), other.abort_rule_id()), (None, None));
    put(&client, &bucket, "elsewhere", b"x").await;
}
