//! PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus: the policy is kept as it came.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::xml::XmlWriter;

/// The longest bucket policy, in bytes (S3 User Guide, "Bucket policies").
pub const POLICY_BYTES_MAX: usize = 20 << 10;

/// `MalformedPolicy` with the reason in AWS's words.
pub fn malformed_policy(reason: String) -> S3Error {
    S3Error::new(ErrorCode::MalformedPolicy).with_message(reason)
}

/// The policy that was read.
pub fn get_answer(policy: Bytes) -> Response<Bytes> {
    let length = HeaderValue::from(policy.len());
    let mut response = Response::new(policy);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response
}

/// The policy is set.
pub fn put_answer() -> Response<Bytes> {
    answer::empty(StatusCode::NO_CONTENT)
}

/// Whether the policy is public.
pub fn status_answer(is_public: bool) -> Response<Bytes> {
    let mut xml = XmlWriter::document();
    xml.open_root("PolicyStatus");
    xml.flag("IsPublic", is_public);
    xml.close("PolicyStatus");
    answer::document(xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_answered_as_it_came() {
        let answer = get_answer(Bytes::from_static(b"{ }"));
        assert_eq!(
            (answer.body().as_ref(), &answer.headers()["content-type"]),
            (&b"{ }"[..], &HeaderValue::from_static("application/json"))
        );
        let status = String::from_utf8(status_answer(true).body().to_vec()).unwrap();
        assert!(status.contains("<IsPublic>true</IsPublic>"), "{status}");
    }
}
