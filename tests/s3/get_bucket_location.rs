//! GetBucketLocation: the region that the bucket was made with, whatever it is.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::raw::request;
use super::{code_of, fresh};
use crate::server::Server;

#[tokio::test]
async fn any_region_is_kept_and_answered() {
    let (client, plain) = fresh().await;
    for name in ["eu-west-1", "EU", "mars-south-7"] {
        let located = format!("{plain}-{}", name.to_ascii_lowercase());
        let constraint = BucketLocationConstraint::from(name);
        let region = CreateBucketConfiguration::builder().location_constraint(constraint.clone()).build();
        let create = client.create_bucket().bucket(&located).create_bucket_configuration(region);
        create.send().await.expect("any region is taken");
        let answered = client.get_bucket_location().bucket(&located).send().await.expect("location");
        assert_eq!(answered.location_constraint, Some(constraint));
    }
    let answered = client.get_bucket_location().bucket(&plain).send().await.expect("location");
    assert!(answered.location_constraint.is_none_or(|region| region.as_str().is_empty()));
}

/// SDKs tell us-east-1 by its emptiness.
#[tokio::test]
async fn us_east_1_is_the_empty_element_however_it_was_asked_for() {
    let (_, bucket) = fresh().await;
    let server = Server::shared();
    for (number, document) in [
        "",
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
        "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>",
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/{bucket}-{number}");
        assert_eq!(request(server, "PUT", &target, &[], document.as_bytes()).status, 200, "{document}");
        let location = request(server, "GET", &format!("{target}?location"), &[], b"");
        let element = "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></LocationConstraint>";
        assert!(location.text().ends_with(element), "{}", location.text());
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_one_makes_no_bucket() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let name = format!("{bucket}-nowhere");
    for (document, code) in [
        (
            "<CreateBucketConfiguration><LocationConstraint>a b</LocationConstraint></CreateBucketConfiguration>",
            "InvalidLocationConstraint",
        ),
        ("<CreateBucketConfiguration><LocationConstraint>eu-west-1", "MalformedXML"),
        ("<Other/>", "MalformedXML"),
    ] {
        let answer = request(server, "PUT", &format!("/{name}"), &[], document.as_bytes());
        assert_eq!(answer.error(), (400, code), "{document}");
    }
    assert_eq!(code_of(client.get_bucket_location().bucket(&name).send().await), "NoSuchBucket");
}
