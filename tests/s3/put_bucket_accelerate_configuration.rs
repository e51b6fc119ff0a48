//! PutBucketAccelerateConfiguration and GetBucketAccelerateConfiguration.

use aws_sdk_s3::types::{AccelerateConfiguration, BucketAccelerateStatus};

use super::raw::request;
use super::{code_of, fresh};
use crate::server::Server;

#[tokio::test]
async fn acceleration_is_never_set_enabled_or_suspended() {
    let (client, bucket) = fresh().await;
    let status = async || {
        let got = client.get_bucket_accelerate_configuration().bucket(&bucket).send().await;
        got.expect("the status").status
    };
    assert_eq!(status().await, None);
    for wanted in [BucketAccelerateStatus::Enabled, BucketAccelerateStatus::Suspended] {
        let configuration = AccelerateConfiguration::builder().status(wanted.clone()).build();
        let set = client.put_bucket_accelerate_configuration().bucket(&bucket);
        set.accelerate_configuration(configuration).send().await.expect("set");
        assert_eq!(status().await, Some(wanted));
    }
}

#[tokio::test]
async fn what_says_no_status_is_refused_and_so_is_a_bucket_with_periods() {
    let (client, bucket) = fresh().await;
    let send = |bucket: &str, body: &str| {
        request(Server::shared(), "PUT", &format!("/{bucket}?accelerate"), &[], body.as_bytes())
    };
    let enabled = "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>";
    for document in ["<AccelerateConfiguration/>", "<x/>", &enabled.replace("Enabled", "On")] {
        assert_eq!(send(&bucket, document).error(), (400, "MalformedXML"), "{document}");
    }
    let dotted = format!("{bucket}.dotted");
    client.create_bucket().bucket(&dotted).send().await.expect("created");
    assert_eq!(send(&dotted, enabled).error(), (400, "InvalidRequest"));
    assert_eq!(send("no-such-bucket-here", enabled).error(), (404, "NoSuchBucket"));
    let nowhere = client.get_bucket_accelerate_configuration().bucket("no-such-bucket-here").send().await;
    assert_eq!(code_of(nowhere), "NoSuchBucket");
}
