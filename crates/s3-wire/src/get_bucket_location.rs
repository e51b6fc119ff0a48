//! GetBucketLocation.

use bytes::Bytes;
use http::Response;

use crate::answer;
use crate::xml::XmlWriter;

/// The LocationConstraint that the bucket was made with; empty is us-east-1.
pub fn answer(region: &str) -> Response<Bytes> {
    let mut xml = XmlWriter::document();
    xml.open_root("LocationConstraint");
    // The names that CreateBucket takes need no escaping.
    xml.raw(region);
    xml.close("LocationConstraint");
    answer::document(xml)
}
