//! What golden directories hold: objects of every form, in few bytes once compressed.

use std::time::Instant;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, CorsConfiguration, CorsRule, Tag, Tagging,
};
use base64::Engine as _;
use sha2::{Digest, Sha256};

use crate::processes::Member;
use crate::s3::set_versioning;

/// S3's smallest part.
const PART_BYTES: usize = 5 << 20;
/// Of how many equal bytes a body is made, each stretch of others: what is mixed up shows, and little is left of it
/// when it is compressed.
const STRETCH: usize = 60_000;

/// Forms by their names: in the index, in whole copies, one stripe, several.
const FORMS: [(&str, usize); 5] =
    [("empty", 0), ("inline", 700), ("copies", 20_000), ("stripe", 100_001), ("stripes", 450_000)];

fn bytes(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes)
        .map(|at| seed.wrapping_mul(37).wrapping_add(u8::try_from(at / STRETCH % 251).expect("below 251")))
        .collect()
}

async fn put(client: &Client, bucket: &str, key: &str, body: Vec<u8>) {
    let put = client.put_object().bucket(bucket).key(key).body(body.into()).send().await;
    put.unwrap_or_else(|error| panic!("PUT {key}: {error:?}"));
}

async fn part(client: &Client, bucket: &str, key: &str, upload: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number).body(body.into());
    let sent = part.send().await.unwrap_or_else(|error| panic!("part {number} of {key}: {error:?}"));
    CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build()
}

async fn complete(client: &Client, bucket: &str, key: &str, upload: &str, parts: Vec<CompletedPart>) {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload);
    complete.multipart_upload(parts).send().await.unwrap_or_else(|error| panic!("Complete of {key}: {error:?}"));
}

/// What comes first: a bucket of each kind, and an object of each form.
pub async fn begin(client: &Client) {
    for bucket in ["plain", "versioned", "suspended", "empty"] {
        client.create_bucket().bucket(bucket).send().await.expect("created");
    }
    for (seed, (form, size)) in (1..).zip(FORMS) {
        put(client, "plain", form, bytes(size, seed)).await;
        put(client, "versioned", form, bytes(size / 2, 10 + seed)).await;
    }
}

/// What follows: all that an object can be.
pub async fn fill(client: &Client) {
    fill_plain(client).await;
    set_versioning(client, "versioned", BucketVersioningStatus::Enabled).await;
    for (seed, (form, size)) in (20..).zip(FORMS) {
        put(client, "versioned", form, bytes(size, seed)).await;
        put(client, "versioned", form, bytes(size + 1, 10 + seed)).await;
    }
    for key in ["copies", "never was"] {
        client.delete_object().bucket("versioned").key(key).send().await.expect("a marker");
    }
    set_versioning(client, "suspended", BucketVersioningStatus::Enabled).await;
    put(client, "suspended", "key", bytes(300, 40)).await;
    put(client, "suspended", "deleted", bytes(300, 41)).await;
    set_versioning(client, "suspended", BucketVersioningStatus::Suspended).await;
    put(client, "suspended", "key", bytes(90_000, 42)).await;
    client.delete_object().bucket("suspended").key("deleted").send().await.expect("a null marker");
}

async fn fill_plain(client: &Client) {
    let bucket = "plain";
    for (seed, (form, size)) in (50..).zip(FORMS) {
        let copy = client.copy_object().bucket(bucket).key(format!("copy of {form}"));
        copy.copy_source(format!("{bucket}/{form}")).send().await.expect("copied");
        put(client, bucket, &format!("deleted {form}"), bytes(size, seed)).await;
        client.delete_object().bucket(bucket).key(format!("deleted {form}")).send().await.expect("deleted");
    }
    put(client, bucket, "overwritten", bytes(30_000, 60)).await;
    put(client, bucket, "overwritten", bytes(900, 61)).await;
    put(client, bucket, "odd/ключ & <key>?#%20", bytes(10, 62)).await;
    let described = client.put_object().bucket(bucket).key("described").body(bytes(5_000, 63).into());
    let described = described.content_type("text/x-golden").content_encoding("identity").content_language("en");
    let described = described.content_disposition("attachment").cache_control("no-store").tagging("a=1&b=2");
    described.metadata("color", "blue").metadata("shape", "round").send().await.expect("PUT");
    let summed = bytes(1_000, 64);
    let digest = base64::prelude::BASE64_STANDARD.encode(Sha256::digest(&summed));
    let put = client.put_object().bucket(bucket).key("summed").body(summed.into()).checksum_sha256(digest);
    put.send().await.expect("PUT");
    let upload = begin_upload(client, "parts").await;
    let mut parts = vec![part(client, bucket, "parts", &upload, 1, bytes(PART_BYTES, 70)).await];
    // Sent twice: the later one counts; and one that lies in the index.
    part(client, bucket, "parts", &upload, 2, bytes(PART_BYTES, 71)).await;
    parts.push(part(client, bucket, "parts", &upload, 2, bytes(PART_BYTES + 5, 72)).await);
    parts.push(part(client, bucket, "parts", &upload, 3, bytes(900, 73)).await);
    complete(client, bucket, "parts", &upload, parts).await;
    let upload = begin_upload(client, UNDER_WAY).await;
    part(client, bucket, UNDER_WAY, &upload, 1, bytes(PART_BYTES, 74)).await;
    let aborted = begin_upload(client, "aborted").await;
    part(client, bucket, "aborted", &aborted, 1, bytes(70_000, 75)).await;
    let abort = client.abort_multipart_upload().bucket(bucket).key("aborted").upload_id(aborted);
    abort.send().await.expect("aborted");
}

/// The key of the upload that is under way.
const UNDER_WAY: &str = "under way";

async fn begin_upload(client: &Client, key: &str) -> String {
    let begun = client.create_multipart_upload().bucket("plain").key(key).metadata("made", "of parts");
    begun.send().await.expect("begun").upload_id.expect("an upload has an id")
}

/// A later build goes on: it completes what was begun, replaces and deletes what stood, and writes what is new.
pub async fn go_on(client: &Client) {
    let uploads = client.list_multipart_uploads().bucket("plain").send().await.expect("uploads");
    let [upload] = uploads.uploads() else { panic!("one upload is under way: {uploads:?}") };
    let id = upload.upload_id().expect("an id");
    let known = client.list_parts().bucket("plain").key(UNDER_WAY).upload_id(id).send().await.expect("parts");
    let [first] = known.parts() else { panic!("it has one part: {known:?}") };
    let first = CompletedPart::builder().part_number(1).set_e_tag(first.e_tag().map(str::to_owned)).build();
    let second = part(client, "plain", UNDER_WAY, id, 2, bytes(80_000, 80)).await;
    complete(client, "plain", UNDER_WAY, id, vec![first, second]).await;
    for (seed, (form, size)) in (81..).zip(FORMS) {
        put(client, "plain", form, bytes(size + 2, seed)).await;
        put(client, "versioned", form, bytes(size + 2, 10 + seed)).await;
        let gone = client.delete_object().bucket("plain").key(format!("copy of {form}"));
        gone.send().await.expect("deleted");
    }
    set_versioning(client, "suspended", BucketVersioningStatus::Enabled).await;
    client.delete_bucket().bucket("empty").send().await.expect("an empty bucket goes");
    client.create_bucket().bucket("later").send().await.expect("created");
    put(client, "later", "key", bytes(200_000, 99)).await;
    let got = client.get_object().bucket("later").key("key").send().await.expect("GET");
    assert!(got.body.collect().await.expect("the body").into_bytes() == bytes(200_000, 99));
}

/// Splits the first data range at a key.
pub fn split(member: &Member, at: &str) {
    member.at_level(2);
    member.admin(&["range", "split", "1", "--at", at]);
}

/// What builds of level 3 have beside that: documents of a bucket, and tags that were set later.
pub async fn fill_documents(member: &Member) {
    member.at_level(3);
    let client = member.client();
    let rule = CorsRule::builder().allowed_methods("GET").allowed_origins("http://golden.example").build();
    let rules = CorsConfiguration::builder().cors_rules(rule.expect("a rule")).build().expect("rules");
    client.put_bucket_cors().bucket("plain").cors_configuration(rules).send().await.expect("CORS rules");
    let tags = |value: &str| {
        let tag = Tag::builder().key("golden").value(value).build().expect("a tag");
        Tagging::builder().tag_set(tag).build().expect("tags")
    };
    for (bucket, removed) in [("plain", false), ("versioned", true)] {
        client.put_bucket_tagging().bucket(bucket).tagging(tags(bucket)).send().await.expect("tags");
        if removed {
            client.delete_bucket_tagging().bucket(bucket).send().await.expect("removed");
        }
    }
    for key in ["described", "inline", "parts"] {
        client.put_object_tagging().bucket("plain").key(key).tagging(tags(key)).send().await.expect("tags");
    }
}

/// Waits until the archive has everything.
pub fn archived(member: &Member) {
    let begun = Instant::now();
    while member.admin(&["status"])["index"]["archive_lag_seconds"] != 0.0 {
        assert!(begun.elapsed().as_secs() < 120, "the archive has everything");
    }
}
