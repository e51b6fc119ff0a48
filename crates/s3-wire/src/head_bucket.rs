//! HeadBucket.

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::answer;
use crate::list_buckets::shown_region;

/// The bucket is there, in this region (empty is us-east-1).
pub fn answer(region: &str) -> Response<Bytes> {
    let mut response = answer::empty(StatusCode::OK);
    answer::set(response.headers_mut(), "x-amz-bucket-region", shown_region(region));
    answer::set(response.headers_mut(), "x-amz-access-point-alias", "false");
    response
}
