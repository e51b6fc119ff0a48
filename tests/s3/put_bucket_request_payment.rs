//! PutBucketRequestPayment and GetBucketRequestPayment, and what is told to a requester who pays.

use aws_sdk_s3::types::{Payer, RequestPayer, RequestPaymentConfiguration};

use super::raw::request;
use super::{code_of, fresh, put};
use crate::server::Server;

fn paid_by(payer: Payer) -> RequestPaymentConfiguration {
    RequestPaymentConfiguration::builder().payer(payer).build().expect("a configuration")
}

#[tokio::test]
async fn who_pays_is_kept_and_a_requester_who_pays_is_told() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let payer = async || client.get_bucket_request_payment().bucket(&bucket).send().await.expect("the payer").payer;
    let charged = async || {
        let get = client.get_object().bucket(&bucket).key("k").request_payer(RequestPayer::Requester);
        get.send().await.expect("GET").request_charged.map(|charged| charged.as_str().to_owned())
    };
    assert_eq!((payer().await, charged().await), (Some(Payer::BucketOwner), None));
    for (wanted, told) in [(Payer::Requester, Some("requester".to_owned())), (Payer::BucketOwner, None)] {
        let set = client.put_bucket_request_payment().bucket(&bucket);
        set.request_payment_configuration(paid_by(wanted.clone())).send().await.expect("set");
        assert_eq!((payer().await, charged().await), (Some(wanted), told));
    }
}

#[tokio::test]
async fn what_says_no_payer_is_refused() {
    let (client, bucket) = fresh().await;
    let send = |body: &[u8]| request(Server::shared(), "PUT", &format!("/{bucket}?requestPayment"), &[], body);
    for document in [
        "<RequestPaymentConfiguration/>",
        "<x/>",
        "<RequestPaymentConfiguration><Payer>Me</Payer></RequestPaymentConfiguration>",
    ] {
        assert_eq!(send(document.as_bytes()).error(), (400, "MalformedXML"), "{document}");
    }
    assert_eq!(send(b"").error(), (400, "MissingRequestBodyError"));
    let nowhere = client.get_bucket_request_payment().bucket("no-such-bucket-here").send().await;
    assert_eq!(code_of(nowhere), "NoSuchBucket");
    let nowhere = client.put_bucket_request_payment().bucket("no-such-bucket-here");
    let nowhere = nowhere.request_payment_configuration(paid_by(Payer::Requester)).send().await;
    assert_eq!(code_of(nowhere), "NoSuchBucket");
}
