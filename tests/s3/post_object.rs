//! PostObject: forms as browsers send them, signed as S3 says.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::raw::{Answer, by_url};
use super::{fresh, get};
use crate::body::body;
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

const BOUNDARY: &str = "----a-browsers-boundary";

/// A form that is to be sent.
struct Form {
    bucket: String,
    fields: Vec<(String, String)>,
    conditions: Vec<serde_json::Value>,
    expires_in: Duration,
    file: Vec<u8>,
    file_name: String,
}

impl Form {
    fn new(bucket: &str, key: &str, file: &[u8]) -> Self {
        Self {
            bucket: bucket.to_owned(),
            fields: vec![("key".to_owned(), key.to_owned())],
            conditions: vec![serde_json::json!({"bucket": bucket}), serde_json::json!(["starts-with", "$key", ""])],
            expires_in: Duration::from_secs(600),
            file: file.to_vec(),
            file_name: "file.bin".to_owned(),
        }
    }

    /// With a field that the policy names.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.conditions.push(serde_json::json!(["eq", format!("${name}"), value]));
        self.with_unnamed(name, value)
    }

    /// With a field that the policy doesn't name.
    fn with_unnamed(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn if_only(mut self, condition: serde_json::Value) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Signs it with this secret, as of now.
    fn signed_by(self, secret: &str) -> Self {
        let time = SystemTime::now();
        let date = DateTime::from(time).fmt(DateTimeFormat::DateTime).expect("a time of today");
        let date: String = date.chars().filter(|c| c.is_ascii_digit() || matches!(c, 'T' | 'Z')).collect();
        let date = format!("{}Z", &date[..15]);
        let scope = format!("{ACCESS_KEY}/{}/us-east-1/s3/aws4_request", &date[..8]);
        let expires_in = self.expires_in;
        let form =
            self.with("x-amz-algorithm", "AWS4-HMAC-SHA256").with("x-amz-credential", &scope).with("x-amz-date", &date);
        let expiration = DateTime::from(time + expires_in).fmt(DateTimeFormat::DateTime).expect("a time of today");
        let policy = serde_json::json!({"expiration": expiration, "conditions": form.conditions}).to_string();
        let policy = STANDARD.encode(policy);
        let signature = calculate_signature(generate_signing_key(secret, time, "us-east-1", "s3"), policy.as_bytes());
        form.with_unnamed("policy", &policy).with_unnamed("x-amz-signature", &signature)
    }

    fn encoded(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: application/x-ignored\r\n\r\n",
            self.file_name
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&self.file);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    fn send(&self) -> Answer {
        post(&self.bucket, &self.encoded())
    }
}

fn post(bucket: &str, body: &[u8]) -> Answer {
    let server = Server::shared();
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    by_url(server, "POST", &format!("{}/{bucket}", server.endpoint()), &[("Content-Type", &content_type)], body)
}

#[tokio::test]
async fn a_form_stores_its_file_with_what_its_fields_say() {
    let (client, bucket) = fresh().await;
    for bytes in [0, 3_000, 40_000, 3_000_000] {
        let file = body(bytes, 7);
        let form = Form::new(&bucket, "uploads/${filename}", &file)
            .with("Content-Type", "image/png")
            .with("x-amz-meta-color", "blue")
            .with("acl", "private")
            .with_unnamed("x-ignore-this", "1")
            .signed_by(SECRET_KEY);
        let answer = form.send();
        assert_eq!(answer.status, 204, "{}", answer.text());
        assert_eq!(get(&client, &bucket, "uploads/file.bin").await, file);
        let head = client.head_object().bucket(&bucket).key("uploads/file.bin").send().await.expect("HEAD");
        assert_eq!((head.content_type(), head.e_tag()), (Some("image/png"), answer.header("etag")));
        assert_eq!(head.metadata().and_then(|metadata| metadata.get("color")).map(String::as_str), Some("blue"));
    }
}

#[tokio::test]
async fn a_browser_is_answered_as_its_form_asks() {
    let (_, bucket) = fresh().await;
    let form = || Form::new(&bucket, "a b", b"file");
    let created = form().with("success_action_status", "201").signed_by(SECRET_KEY).send();
    let location = format!("{}/{bucket}/a%20b", Server::shared().endpoint());
    assert_eq!((created.status, created.element("Location")), (201, Some(location.as_str())));
    assert_eq!((created.element("Bucket"), created.element("Key")), (Some(bucket.as_str()), Some("a b")));
    assert_eq!(form().with("success_action_status", "200").signed_by(SECRET_KEY).send().status, 200);
    let sent_on = form().with("success_action_redirect", "http://example.com/done?x=1").signed_by(SECRET_KEY).send();
    let etag = sent_on.header("etag").expect("an ETag").trim_matches('"').to_owned();
    let expected = format!("http://example.com/done?x=1&bucket={bucket}&key=a%20b&etag=%22{etag}%22");
    assert_eq!((sent_on.status, sent_on.header("location")), (303, Some(expected.as_str())));
}

#[tokio::test]
async fn a_form_that_is_not_as_its_policy_says_stores_nothing() {
    let (client, bucket) = fresh().await;
    let form = || Form::new(&bucket, "k", b"0123456789");
    let at_most = |bytes| serde_json::json!(["content-length-range", 0, bytes]);
    let at_least = |bytes| serde_json::json!(["content-length-range", bytes, 1000]);
    let mut expired = form();
    expired.expires_in = Duration::ZERO;
    let mut altered = form().signed_by(SECRET_KEY);
    altered.fields.iter_mut().find(|(name, _)| name == "policy").expect("it is there").1.push_str("IA==");
    let mut elsewhere = form().signed_by(SECRET_KEY);
    elsewhere.bucket = super::fresh().await.1;
    let mut stranger = form().signed_by(SECRET_KEY);
    let credential = stranger.fields.iter_mut().find(|(name, _)| name == "x-amz-credential").expect("it is there");
    credential.1 = credential.1.replace(ACCESS_KEY, "NOBODY");
    for (what, form, error) in [
        ("expired", expired.signed_by(SECRET_KEY), (403, "AccessDenied")),
        ("another secret", form().signed_by("another"), (403, "SignatureDoesNotMatch")),
        ("an altered policy", altered, (403, "SignatureDoesNotMatch")),
        ("an unknown key", stranger, (403, "InvalidAccessKeyId")),
        ("another bucket", elsewhere, (403, "AccessDenied")),
        (
            "a field that is not named",
            form().with_unnamed("x-amz-meta-a", "b").signed_by(SECRET_KEY),
            (403, "AccessDenied"),
        ),
        (
            "a condition",
            form().if_only(serde_json::json!(["starts-with", "$key", "user/"])).signed_by(SECRET_KEY),
            (403, "AccessDenied"),
        ),
        ("too long", form().if_only(at_most(9)).signed_by(SECRET_KEY), (400, "EntityTooLarge")),
        ("too short", form().if_only(at_least(11)).signed_by(SECRET_KEY), (400, "EntityTooSmall")),
        ("a wrong checksum", form().with("x-amz-checksum-crc32", "AAAAAA==").signed_by(SECRET_KEY), (400, "BadDigest")),
        (
            "a wrong MD5",
            form().with("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==").signed_by(SECRET_KEY),
            (400, "BadDigest"),
        ),
        (
            "a broken policy",
            form().if_only(serde_json::json!({})).signed_by(SECRET_KEY),
            (400, "InvalidPolicyDocument"),
        ),
        ("nobody's", form(), (403, "AccessDenied")),
        (
            "version 2",
            form().with_unnamed("AWSAccessKeyId", ACCESS_KEY).with_unnamed("signature", "x"),
            (400, "InvalidRequest"),
        ),
        ("half signed", form().with_unnamed("policy", "e30="), (400, "InvalidArgument")),
    ] {
        let answer = form.send();
        assert_eq!(answer.error(), error, "{what}: {}", answer.text());
    }
    let fits = form().if_only(at_most(10)).if_only(at_least(10)).signed_by(SECRET_KEY).send();
    assert_eq!(fits.status, 204, "{}", fits.text());
    client.delete_object().bucket(&bucket).key("k").send().await.expect("DELETE");
    assert_eq!(client.list_objects_v2().bucket(&bucket).send().await.expect("LIST").key_count(), Some(0));
}

#[tokio::test]
async fn what_is_no_form_is_told_so() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let plain =
        by_url(server, "POST", &format!("{}/{bucket}", server.endpoint()), &[("Content-Type", "text/plain")], b"x");
    assert_eq!(plain.error(), (412, "PreconditionFailed"));
    assert_eq!(plain.element("Condition"), Some("Bucket POST must be of the enclosure-type multipart/form-data"));
    assert_eq!(post(&bucket, b"no parts").error(), (400, "MalformedPOSTRequest"));
    assert_eq!(post(&bucket, format!("--{BOUNDARY}--\r\n").as_bytes()).error(), (400, "InvalidArgument"));
    let long = Form::new(&bucket, &"k".repeat(30_000), b"file").signed_by(SECRET_KEY);
    assert_eq!(long.send().error(), (400, "MaxPostPreDataLengthExceeded"));
    let mut keyless = Form::new(&bucket, "k", b"file");
    keyless.fields.clear();
    keyless.conditions.pop();
    assert_eq!(keyless.signed_by(SECRET_KEY).send().error(), (400, "InvalidArgument"));
    let mut cut_off = Form::new(&bucket, "cut", &body(200_000, 3)).signed_by(SECRET_KEY).encoded();
    cut_off.truncate(cut_off.len() - 10);
    assert_eq!(post(&bucket, &cut_off).error(), (400, "MalformedPOSTRequest"));
    let nowhere = Form::new("no-such-bucket-here", "k", b"file").signed_by(SECRET_KEY).send();
    assert_eq!(nowhere.error(), (404, "NoSuchBucket"));
    assert_eq!(client.list_objects_v2().bucket(&bucket).send().await.expect("LIST").key_count(), Some(0));
}

#[tokio::test]
async fn a_form_gives_tags_as_a_document() {
    let (client, bucket) = fresh().await;
    let tagged =
        |document: &str| Form::new(&bucket, "k", b"bytes").with("tagging", document).signed_by(SECRET_KEY).send();
    let stored = tagged("<Tagging><TagSet><Tag><Key>a b</Key><Value>1</Value></Tag></TagSet></Tagging>");
    assert_eq!(stored.status, 204, "{}", stored.text());
    let tags = client.get_object_tagging().bucket(&bucket).key("k").send().await.expect("tags");
    assert_eq!(tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect::<Vec<_>>(), [("a b", "1")]);
    let twice = "<Tag><Key>a</Key><Value>1</Value></Tag>".repeat(2);
    let refused = tagged(&format!("<Tagging><TagSet>{twice}</TagSet></Tagging>"));
    assert_eq!(refused.error(), (400, "InvalidTag"));
    assert_eq!(tagged("a=1").error(), (400, "MalformedXML"));
}
