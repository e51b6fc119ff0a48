//! CreateBucket.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use types::BucketName;

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;
use crate::object_attributes::check_acl;
use crate::operation::XML_BYTES_MAX;
use crate::xml::Element;

/// A bucket is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateBucketRequest {
    /// Its name.
    pub bucket: BucketName,
    /// Its LocationConstraint; empty is us-east-1.
    pub region: String,
    /// Whether it has object lock, and so versioning.
    pub object_lock: bool,
}

impl CreateBucketRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidBucketName`, `MalformedXML`, `InvalidLocationConstraint`; `NotImplemented` naming the header for an
    /// ownership under which ACLs would count.
    pub fn parse(head: &RequestHead<'_>, body: &[u8]) -> Result<Self, S3Error> {
        let bucket = head.bucket()?;
        // Names that stand from before keep working.
        if ["-.", ".-"].iter().any(|pair| bucket.as_str().contains(pair)) {
            return Err(S3Error::new(ErrorCode::InvalidBucketName).with("BucketName", bucket.as_str()));
        }
        check_acl(head)?;
        if let Some(name) = head.headers.keys().find(|name| name.as_str().starts_with("x-amz-grant-")) {
            return Err(S3Error::header_not_implemented(name.as_str()));
        }
        match head.header("x-amz-object-ownership")? {
            None | Some("BucketOwnerEnforced") => {}
            Some("BucketOwnerPreferred" | "ObjectWriter") => {
                return Err(S3Error::header_not_implemented("x-amz-object-ownership"));
            }
            Some(other) => {
                let message = format!("Invalid x-amz-object-ownership header: {other}");
                return Err(S3Error::invalid_argument(message, "x-amz-object-ownership", other));
            }
        }
        let region = if body.is_empty() { String::new() } else { parse_region(body)? };
        Ok(Self { bucket, region, object_lock: head.flag("x-amz-bucket-object-lock-enabled") })
    }
}

fn parse_region(body: &[u8]) -> Result<String, S3Error> {
    let configuration = Element::parse(body, XML_BYTES_MAX)?.named("CreateBucketConfiguration")?;
    for unbuilt in ["Tags", "Bucket", "Location"] {
        if configuration.child(unbuilt)?.is_some() {
            return Err(S3Error::new(ErrorCode::NotImplemented).with("Element", unbuilt));
        }
    }
    let region = configuration.child_text("LocationConstraint")?.unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if region.len() > 64 || !region.bytes().all(allowed) {
        return Err(S3Error::new(ErrorCode::InvalidLocationConstraint).with("LocationConstraint", region));
    }
    Ok(if region == "us-east-1" { String::new() } else { region.to_owned() })
}

/// The bucket was made.
pub fn answer(bucket: &BucketName) -> Response<Bytes> {
    let mut response = answer::empty(StatusCode::OK);
    let location = HeaderValue::try_from(format!("/{bucket}")).expect("a bucket's name is ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    response
}
