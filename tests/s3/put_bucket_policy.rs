//! PutBucketPolicy and its kin: what a policy opens, and to whom. `anybody` sends requests that nobody signed.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, Delete, ObjectIdentifier, PublicAccessBlockConfiguration, Tag, Tagging, TaggingDirective,
};
use serde_json::json;

use super::raw::{Answer, by_url};
use super::{code_of, fresh, put};
use crate::server::Server;

/// A policy of one statement.
fn allow(bucket: &str, more: serde_json::Value) -> String {
    statement(bucket, "Allow", more)
}

fn statement(bucket: &str, effect: &str, more: serde_json::Value) -> String {
    let mut statement = json!({
        "Effect": effect,
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*"),
    });
    for (name, value) in more.as_object().expect("more elements") {
        statement[name] = value.clone();
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

async fn set(client: &Client, bucket: &str, policy: &str) {
    client.put_bucket_policy().bucket(bucket).policy(policy).send().await.expect("the policy is taken");
}

fn anybody(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let server = Server::shared();
    by_url(server, method, &format!("{}{target}", server.endpoint()), headers, body)
}

fn status_of_anybodys(method: &str, target: &str) -> u16 {
    anybody(method, target, &[], b"").status
}

#[tokio::test]
async fn what_a_policy_opens_anybody_may_read_until_it_is_removed() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "public/page", b"hello").await;
    put(&client, &bucket, "private/page", b"secret").await;
    let (page, secret) = (format!("/{bucket}/public/page"), format!("/{bucket}/private/page"));
    assert_eq!(anybody("GET", &page, &[], b"").error(), (403, "AccessDenied"));
    let policy = allow(&bucket, json!({"Resource": format!("arn:aws:s3:::{bucket}/public/*")}));
    set(&client, &bucket, &policy).await;
    let got = anybody("GET", &page, &[], b"");
    assert_eq!((got.status, got.body.as_slice()), (200, &b"hello"[..]));
    assert_eq!(status_of_anybodys("HEAD", &page), 200);
    for (method, target) in [
        ("GET", secret.clone()),
        ("PUT", page.clone()),
        ("DELETE", page.clone()),
        ("GET", format!("/{bucket}")),
        ("GET", format!("/{bucket}?policy")),
        ("PUT", format!("/{bucket}?policy")),
        ("DELETE", format!("/{bucket}")),
        // Whoever may not list is not told what is there.
        ("GET", format!("/{bucket}/public/none")),
        // A version is another right.
        ("GET", format!("{page}?versionId=null")),
    ] {
        assert_eq!(anybody(method, &target, &[], b"").error(), (403, "AccessDenied"), "{method} {target}");
    }
    let read = client.get_bucket_policy().bucket(&bucket).send().await.expect("it is there");
    assert_eq!(read.policy(), Some(policy.as_str()), "as it came");
    let status = client.get_bucket_policy_status().bucket(&bucket).send().await.expect("it is there");
    assert_eq!(status.policy_status().and_then(|status| status.is_public()), Some(true));
    client.delete_bucket_policy().bucket(&bucket).send().await.expect("removed");
    assert_eq!(status_of_anybodys("GET", &page), 403);
    assert_eq!(code_of(client.get_bucket_policy().bucket(&bucket).send().await), "NoSuchBucketPolicy");
    assert_eq!(code_of(client.get_bucket_policy_status().bucket(&bucket).send().await), "NoSuchBucketPolicy");
}

#[tokio::test]
async fn whoever_may_list_is_told_what_is_not_there() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "a", b"1").await;
    let both = json!({
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
    });
    set(&client, &bucket, &allow(&bucket, both)).await;
    assert_eq!(anybody("GET", &format!("/{bucket}/none"), &[], b"").error(), (404, "NoSuchKey"));
    assert!(anybody("GET", &format!("/{bucket}?list-type=2"), &[], b"").text().contains("<Key>a</Key>"));
    let under = json!({"Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{bucket}"),
        "Condition": {"StringLike": {"s3:prefix": "open/*"}}});
    set(&client, &bucket, &allow(&bucket, under)).await;
    assert_eq!(status_of_anybodys("GET", &format!("/{bucket}?prefix=open/x")), 200);
    assert_eq!(status_of_anybodys("GET", &format!("/{bucket}?prefix=closed/")), 403);
    assert_eq!(status_of_anybodys("GET", &format!("/{bucket}")), 403);
}

#[tokio::test]
async fn what_anybody_may_write_belongs_to_the_buckets_owner() {
    let (client, bucket) = fresh().await;
    let writes =
        json!({"Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": format!("arn:aws:s3:::{bucket}/in/*")});
    set(&client, &bucket, &allow(&bucket, writes)).await;
    assert_eq!(anybody("PUT", &format!("/{bucket}/in/a"), &[], b"by a stranger").status, 200);
    assert_eq!(anybody("PUT", &format!("/{bucket}/out/a"), &[], b"x").error(), (403, "AccessDenied"));
    let tagged = anybody("PUT", &format!("/{bucket}/in/tagged"), &[("x-amz-tagging", "a=b")], b"x");
    assert_eq!(tagged.error(), (403, "AccessDenied"), "tags are another right");
    let listed = client.list_objects().bucket(&bucket).send().await.expect("LIST");
    let owners: Vec<_> = listed.contents().iter().map(|object| object.owner().and_then(|owner| owner.id())).collect();
    let buckets = client.list_buckets().send().await.expect("LIST");
    assert_eq!(owners, [buckets.owner().and_then(|owner| owner.id())]);
    // What a list of keys names would be read for nobody; whoever did not sign begins no upload and copies nothing.
    put(&client, &bucket, "out/kept", b"x").await;
    let delete = "<Delete><Object><Key>in/a</Key></Object></Delete>";
    let listed = anybody("POST", &format!("/{bucket}?delete"), &[], delete.as_bytes());
    assert_eq!(listed.error(), (403, "AccessDenied"));
    let upload = anybody("POST", &format!("/{bucket}/in/b?uploads"), &[], b"");
    assert_eq!(upload.error(), (403, "AccessDenied"));
    let words = "Anonymous users cannot initiate multipart uploads.  Please authenticate.";
    assert_eq!(upload.element("Message"), Some(words));
    let source = format!("{bucket}/in/a");
    let copy = anybody("PUT", &format!("/{bucket}/in/c"), &[("x-amz-copy-source", &source)], b"");
    assert_eq!(copy.error(), (403, "AccessDenied"));
    assert_eq!(anybody("DELETE", &format!("/{bucket}/in/a"), &[], b"").status, 204);
}

#[tokio::test]
async fn of_several_keys_each_is_asked_for_on_its_own() {
    let (client, bucket) = fresh().await;
    for key in ["in/a", "out/kept"] {
        put(&client, &bucket, key, b"x").await;
    }
    let denies = json!({"Action": "s3:DeleteObject", "Resource": format!("arn:aws:s3:::{bucket}/out/*")});
    set(&client, &bucket, &statement(&bucket, "Deny", denies)).await;
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().expect("a key");
    let delete = Delete::builder().objects(object("in/a")).objects(object("out/kept")).build().expect("keys");
    let deleted = client.delete_objects().bucket(&bucket).delete(delete).send().await.expect("each on its own");
    assert_eq!(deleted.deleted().iter().map(|one| one.key()).collect::<Vec<_>>(), [Some("in/a")]);
    let errors: Vec<_> = deleted.errors().iter().map(|one| (one.key(), one.code())).collect();
    assert_eq!(errors, [(Some("out/kept"), Some("AccessDenied"))]);
    assert_eq!(super::get(&client, &bucket, "out/kept").await, b"x");
}

/// Tags are those that the object gets, wherever they stand, and nothing else that looks like them.
#[tokio::test]
async fn conditions_on_tags_look_at_the_tags_that_are_given() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let denies = json!({
        "Action": ["s3:PutObject", "s3:PutObjectTagging"],
        "Condition": {"StringEquals": {"s3:RequestObjectTag/class": "secret"}},
    });
    set(&client, &bucket, &statement(&bucket, "Deny", denies)).await;
    let tagging = |value: &str| {
        let tag = Tag::builder().key("class").value(value).build().expect("a tag");
        Tagging::builder().tag_set(tag).build().expect("tags")
    };
    let tag = async |value| client.put_object_tagging().bucket(&bucket).key("k").tagging(tagging(value)).send().await;
    assert_eq!(code_of(tag("secret").await), "AccessDenied");
    tag("open").await.expect("allowed");
    let put_with = async |tags: &str| client.put_object().bucket(&bucket).key("k").tagging(tags).send().await;
    assert_eq!(code_of(put_with("class=secret").await), "AccessDenied");
    put_with("class=open").await.expect("allowed");
    // A copy that keeps its source's tags gets those, whatever the request names beside it.
    let (_, other) = fresh().await;
    let secret = client.put_object().bucket(&other).key("secret").tagging("class=secret").body(b"s".to_vec().into());
    secret.send().await.expect("PUT");
    let copy = client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{other}/secret"));
    assert_eq!(code_of(copy.clone().send().await), "AccessDenied");
    assert_eq!(code_of(copy.clone().tagging("class=open").send().await), "AccessDenied");
    let replaced = copy.tagging("class=open").tagging_directive(TaggingDirective::Replace);
    replaced.send().await.expect("allowed");
}

#[tokio::test]
async fn conditions_on_versions_and_sources_hold_wherever_they_are_named() {
    let (client, bucket) = fresh().await;
    super::set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let first = client.put_object().bucket(&bucket).key("k").body(b"1".to_vec().into()).send().await.expect("PUT");
    let version = first.version_id().expect("a version").to_owned();
    put(&client, &bucket, "private/x", b"p").await;
    let all = format!("arn:aws:s3:::{bucket}/*");
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": ["s3:DeleteObjectVersion", "s3:GetObjectVersion"], "Resource": all,
            "Condition": {"StringEquals": {"s3:VersionId": version}}},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": all,
            "Condition": {"StringLike": {"s3:x-amz-copy-source": format!("{bucket}/private/*")}}},
    ]});
    set(&client, &bucket, &policy.to_string()).await;
    let named = ObjectIdentifier::builder().key("k").version_id(&version).build().expect("a key");
    let delete = Delete::builder().objects(named).build().expect("keys");
    let deleted = client.delete_objects().bucket(&bucket).delete(delete).send().await.expect("each on its own");
    assert_eq!(deleted.errors().len(), 1);
    let copy = async |source: String| client.copy_object().bucket(&bucket).key("copy").copy_source(source).send().await;
    assert_eq!(code_of(copy(format!("{bucket}/k?versionId={version}")).await), "AccessDenied");
    for source in [format!("{bucket}/private/x"), format!("/{bucket}/private/x"), format!("{bucket}/pri%76ate/x")] {
        assert_eq!(code_of(copy(source.clone()).await), "AccessDenied", "{source}");
    }
    assert!(copy(format!("{bucket}/k")).await.is_ok());
}

#[tokio::test]
async fn nobody_else_comes_near_a_policy_and_attributes_are_for_readers() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let everything =
        json!({"Action": "s3:*", "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")]});
    let policy = allow(&bucket, everything);
    set(&client, &bucket, &policy).await;
    for method in ["GET", "PUT", "DELETE"] {
        let answer = anybody(method, &format!("/{bucket}?policy"), &[], policy.as_bytes());
        assert_eq!(answer.error(), (405, "MethodNotAllowed"), "{method}");
    }
    assert_eq!(status_of_anybodys("GET", &format!("/{bucket}/k")), 200);
    set(&client, &bucket, &allow(&bucket, json!({"Action": "s3:GetObjectAttributes"}))).await;
    let attributes = anybody("GET", &format!("/{bucket}/k?attributes"), &[("x-amz-object-attributes", "ETag")], b"");
    assert_eq!(attributes.error(), (403, "AccessDenied"));
    let both = json!({"Action": ["s3:GetObjectAttributes", "s3:GetObject"]});
    set(&client, &bucket, &allow(&bucket, both)).await;
    let attributes = anybody("GET", &format!("/{bucket}/k?attributes"), &[("x-amz-object-attributes", "ETag")], b"");
    assert_eq!(attributes.status, 200);
}

#[tokio::test]
async fn conditions_look_at_the_request_and_the_object() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let target = format!("/{bucket}/k");
    for (condition, opens) in [
        (json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), false),
        (json!({"Bool": {"aws:SecureTransport": "false"}}), true),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), false),
        (json!({"StringLike": {"aws:Referer": "http://here/*"}}), true),
        (json!({"StringLike": {"aws:Referer": "http://there/*"}}), false),
        (json!({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}), false),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}), true),
        (json!({"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}), false),
    ] {
        set(&client, &bucket, &allow(&bucket, json!({"Condition": condition}))).await;
        let status = anybody("GET", &target, &[("Referer", "http://here/page")], b"").status;
        assert_eq!(status == 200, opens, "{condition}: {status}");
    }
    let tagged = client.put_object().bucket(&bucket).key("k").tagging("open=yes").body(b"x".to_vec().into());
    tagged.send().await.expect("PUT");
    assert_eq!(status_of_anybodys("GET", &target), 200, "by its tag");
}

#[tokio::test]
async fn a_deny_binds_the_owner_who_keeps_the_policy() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let all =
        json!({"Action": "s3:*", "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")]});
    set(&client, &bucket, &statement(&bucket, "Deny", all)).await;
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "AccessDenied");
    assert_eq!(code_of(client.list_objects_v2().bucket(&bucket).send().await), "AccessDenied");
    let copy = client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{bucket}/k")).send().await;
    assert_eq!(code_of(copy), "AccessDenied");
    let (_, other) = fresh().await;
    let out = client.copy_object().bucket(&other).key("copy").copy_source(format!("{bucket}/k")).send().await;
    assert_eq!(code_of(out), "AccessDenied", "its source is denied");
    assert!(client.get_bucket_policy().bucket(&bucket).send().await.is_ok());
    client.delete_bucket_policy().bucket(&bucket).send().await.expect("the owner keeps that");
    assert_eq!(super::get(&client, &bucket, "k").await, b"x");
}

#[tokio::test]
async fn a_public_access_block_keeps_policies_from_opening_anything() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let policy = allow(&bucket, json!({}));
    set(&client, &bucket, &policy).await;
    assert_eq!(status_of_anybodys("GET", &format!("/{bucket}/k")), 200);
    let missing = client.get_public_access_block().bucket(&bucket).send().await;
    assert_eq!(code_of(missing), "NoSuchPublicAccessBlockConfiguration");
    let block =
        PublicAccessBlockConfiguration::builder().block_public_policy(true).restrict_public_buckets(true).build();
    let set_block = client.put_public_access_block().bucket(&bucket).public_access_block_configuration(block);
    set_block.send().await.expect("the block is taken");
    assert_eq!(status_of_anybodys("GET", &format!("/{bucket}/k")), 403, "what is public is for the account alone");
    assert_eq!(code_of(client.put_bucket_policy().bucket(&bucket).policy(&policy).send().await), "AccessDenied");
    let read = client.get_public_access_block().bucket(&bucket).send().await.expect("it is there");
    let read = read.public_access_block_configuration().expect("a configuration");
    assert_eq!((read.block_public_policy(), read.block_public_acls()), (Some(true), Some(false)));
    client.delete_public_access_block().bucket(&bucket).send().await.expect("removed");
    assert_eq!(status_of_anybodys("GET", &format!("/{bucket}/k")), 200);
}

#[tokio::test]
async fn policies_that_say_nothing_are_refused_and_leave_the_old_one() {
    let (client, bucket) = fresh().await;
    let good = allow(&bucket, json!({}));
    set(&client, &bucket, &good).await;
    let set = async |policy: String| code_of(client.put_bucket_policy().bucket(&bucket).policy(policy).send().await);
    for policy in [
        "nothing".to_owned(),
        "{}".to_owned(),
        allow("another-bucket", json!({})),
        allow(&bucket, json!({"Action": "s3:NoSuchAction"})),
        allow(&bucket, json!({"Effect": "Maybe"})),
        allow(&bucket, json!({"Principal": {"AWS": "arn:aws:iam::100000000000:user/nobody"}})),
        allow(&bucket, json!({"Principal": {"AWS": "999999999999"}})),
        allow(&bucket, json!({"Condition": {"StringEquals": {"aws:SourceIp": []}, "NoSuchOperator": {"a": "b"}}})),
    ] {
        assert_eq!(set(policy.clone()).await, "MalformedPolicy", "{policy}");
    }
    let long = allow(&bucket, json!({"Sid": "s".repeat(21 << 10)}));
    assert!(["MalformedPolicy", "MaxMessageLengthExceeded"].contains(&set(long).await.as_str()));
    let read = client.get_bucket_policy().bucket(&bucket).send().await.expect("it is there");
    assert_eq!(read.policy(), Some(good.as_str()));
}
