//! DeleteBucket: only what is empty goes, and nothing that was acknowledged goes with it.

use aws_sdk_s3::types::BucketVersioningStatus;

use super::complete_multipart_upload::{begin, part};
use super::{code_of, fresh, put, set_versioning};

#[tokio::test]
async fn noncurrent_versions_and_markers_keep_a_bucket() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let (_, version) = put(&client, &bucket, "k", b"x").await;
    let gone = client.delete_object().bucket(&bucket).key("k").send().await.expect("DELETE");
    let delete = || client.delete_bucket().bucket(&bucket).send();
    for id in [version.expect("an id"), gone.version_id.expect("a marker has an id")] {
        assert_eq!(code_of(delete().await), "BucketNotEmpty");
        client.delete_object().bucket(&bucket).key("k").version_id(id).send().await.expect("DELETE of a version");
    }
    delete().await.expect("nothing is left");
}

/// What AWS does: nobody can see an upload among the objects, so none keeps the bucket.
#[tokio::test]
async fn uploads_under_way_go_with_their_bucket() {
    let (client, bucket) = fresh().await;
    let mut uploads = Vec::new();
    for key in ["a", "b"] {
        let upload = begin(&client, &bucket, key).await;
        part(&client, &bucket, key, &upload, 1, vec![1; 100_000]).await;
        uploads.push((key, upload));
    }
    client.delete_bucket().bucket(&bucket).send().await.expect("no object is in it");
    client.create_bucket().bucket(&bucket).send().await.expect("the name is free again");
    let listed = client.list_multipart_uploads().bucket(&bucket).send().await.expect("uploads");
    assert!(listed.uploads().is_empty(), "{listed:?}");
    for (key, upload) in uploads {
        let late = client.upload_part().bucket(&bucket).key(key).upload_id(upload).part_number(2);
        assert_eq!(code_of(late.body(vec![2; 10].into()).send().await), "NoSuchUpload");
    }
}

#[tokio::test]
async fn an_object_keeps_the_bucket_and_its_uploads() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let upload = begin(&client, &bucket, "k").await;
    assert_eq!(code_of(client.delete_bucket().bucket(&bucket).send().await), "BucketNotEmpty");
    part(&client, &bucket, "k", &upload, 1, vec![1; 10]).await;
}

#[tokio::test]
async fn of_a_put_and_a_deletion_that_race_one_is_refused() {
    let (client, bucket) = fresh().await;
    for round in 0..8 {
        let name = format!("{bucket}-{round}");
        client.create_bucket().bucket(&name).send().await.expect("created");
        let put = client.put_object().bucket(&name).key("k").body(vec![7; 5000].into()).send();
        let (put, deletion) = tokio::join!(put, client.delete_bucket().bucket(&name).send());
        match put {
            Ok(_) => {
                assert_eq!(code_of(deletion), "BucketNotEmpty", "an object was acknowledged in round {round}");
                assert_eq!(super::get(&client, &name, "k").await, vec![7; 5000]);
            }
            refused => {
                let code = code_of(refused);
                assert!(["NoSuchBucket", "OperationAborted"].contains(&code.as_str()), "{code}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_ones_own_or_not_there_is_refused() {
    let (client, bucket) = fresh().await;
    assert_eq!(code_of(client.delete_bucket().bucket("no-such-bucket-here").send().await), "NoSuchBucket");
    assert_eq!(code_of(client.delete_bucket().bucket("No_Bucket").send().await), "InvalidBucketName");
    let others = client.delete_bucket().bucket(&bucket).expected_bucket_owner("999999999999");
    assert_eq!(code_of(others.send().await), "AccessDenied");
    client.head_bucket().bucket(&bucket).send().await.expect("it is still there");
}
