//! What is stored gets the profile that is wanted now, where that is asked for, and clients see nothing of it.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, StorageClass, VersioningConfiguration,
};

use crate::body::body;
use crate::server::Server;

/// Inline, whole copies, one short stripe, several stripes.
const SIZES: [usize; 4] = [1000, 20_000, 300_000, 9_000_000];
const PART_BYTES: usize = 5 << 20;

fn key(size: usize) -> String {
    format!("of {size} bytes")
}

async fn upload(client: &Client, bucket: &str, key: &str) {
    let begun = client.create_multipart_upload().bucket(bucket).key(key).send().await.expect("begun");
    let id = begun.upload_id().expect("an id");
    let mut parts = Vec::new();
    for (number, size) in [(1, PART_BYTES), (2, 30_000)] {
        let part = client.upload_part().bucket(bucket).key(key).upload_id(id).part_number(number);
        let part = part.body(body(size, number.unsigned_abs().into()).into()).send().await.expect("a part");
        let etag = part.e_tag().map(str::to_owned);
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(etag).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(id).multipart_upload(parts);
    complete.send().await.expect("completed");
}

async fn assert_all_there(client: &Client, bucket: &str) {
    let get = async |key: String| {
        let found = client.get_object().bucket(bucket).key(&key).send().await.expect("GET");
        found.body.collect().await.expect("its bytes").to_vec()
    };
    for size in SIZES {
        assert!(get(key(size)).await == body(size, size as u64), "{size}");
    }
    assert!(get("upload".to_owned()).await == [body(PART_BYTES, 1), body(30_000, 2)].concat());
    assert!(get("of a class".to_owned()).await == body(300_000, 7));
}

/// The status once no pass is under way.
fn ended(server: &Server) -> serde_json::Value {
    let is_over = |status: &str| status.contains(r#""restripe":{"running":false"#);
    server.wait_for_status("the pass is over", is_over);
    serde_json::from_str(&server.admin(&["status"])).expect("JSON")
}

fn written_anew(server: &Server) -> u64 {
    let status = ended(server);
    assert_eq!(status["restripe"]["parts_left"], 0, "{}", status["restripe"]);
    assert_eq!(status["restripe"]["versions_looked_at"], status["usage"]["versions"], "{}", status["restripe"]);
    status["restripe"]["parts_written_anew"].as_u64().expect("a number")
}

#[tokio::test]
async fn what_is_stored_gets_the_profile_that_is_wanted_now_where_that_is_asked_for() {
    let server = Server::start_with(6, &["--profile", "2+1", "--storage-class", "THIN=2+1"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(&bucket).versioning_configuration(versioning).send().await.expect("enabled");
    for size in SIZES {
        // The older version is as much to be kept as the current one.
        for seed in [1, size as u64] {
            let put = client.put_object().bucket(&bucket).key(key(size)).body(body(size, seed).into());
            put.send().await.expect("PUT");
        }
    }
    upload(&client, &bucket, "upload").await;
    let thin = client.put_object().bucket(&bucket).key("of a class").storage_class(StorageClass::from("THIN"));
    thin.body(body(300_000, 7).into()).send().await.expect("PUT");

    server.admin(&["profile", "4+2"]);
    server.admin(&["restripe"]);
    // Two versions each of the three that are not inline; two parts and their manifest. The class has its own profile.
    assert_eq!(written_anew(&server), 9);
    assert_all_there(&client, &bucket).await;
    server.admin(&["restripe"]);
    assert_eq!(written_anew(&server), 0, "all of it is as wanted");

    // Two disks may go now, of what was written when it was one. The class's object may lose one alone.
    client.delete_object().bucket(&bucket).key("of a class").send().await.expect("deleted");
    for disk in [2, 5] {
        crate::loss::delete(&server.disk(disk));
    }
    server.wait_for_status("both are down", |status| status.matches(r#""state":"down""#).count() == 2);
    for size in SIZES {
        let found = client.get_object().bucket(&bucket).key(key(size)).send().await.expect("GET");
        assert!(found.body.collect().await.expect("its bytes").to_vec() == body(size, size as u64), "{size}");
    }
    let refused = server.admin_command(&["restripe"]).output().expect("the verb runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("do not hold 4+2"), "{said}");
}

/// To fewer data shards too: before disks are taken away that the wider profile needs.
#[tokio::test]
async fn what_is_stored_may_become_narrower_and_a_pass_may_be_ended() {
    let server = Server::start_with(6, &["--profile", "4+2"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    for number in 0..40 {
        let put = client.put_object().bucket(&bucket).key(format!("{number}")).body(body(400_000, number).into());
        put.send().await.expect("PUT");
    }
    server.admin(&["profile", "2+1"]);
    server.admin(&["restripe"]);
    server.admin(&["restripe", "--stop"]);
    ended(&server);
    server.admin(&["restripe"]);
    written_anew(&server);
    server.admin(&["restripe"]);
    assert_eq!(written_anew(&server), 0, "the pass before has left nothing");
    for number in 0..40 {
        let found = client.get_object().bucket(&bucket).key(format!("{number}")).send().await.expect("GET");
        assert!(found.body.collect().await.expect("its bytes").to_vec() == body(400_000, number), "{number}");
    }
}
