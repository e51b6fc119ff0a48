//! XML bodies: any bytes are read or refused by every operation that takes a document.
#![no_main]

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use s3_wire::bucket_accelerate::Acceleration;
use s3_wire::bucket_cors::{CORS_BYTES_MAX, CorsConfiguration};
use s3_wire::bucket_lifecycle::{LifecycleConfiguration, MinimumSize};
use s3_wire::bucket_request_payment::Payer;
use s3_wire::bucket_versioning::PutBucketVersioningRequest;
use s3_wire::bucket_website::WebsiteConfiguration;
use s3_wire::complete_multipart_upload::CompleteMultipartUploadRequest;
use s3_wire::create_bucket::CreateBucketRequest;
use s3_wire::delete_objects::DeleteObjectsRequest;
use s3_wire::operation::XML_BYTES_MAX;
use s3_wire::tagging::{self, Tagged};
use s3_wire::xml::{DEPTH_MAX, Element, XmlWriter};
use s3_wire::{
    BaseDomains, Query, RequestHead, Target, object_legal_hold, object_lock_configuration, object_retention,
};

fuzz_target!(|document: &[u8]| {
    let target = Target::parse(None, "/bucket/key", &BaseDomains::new([])).expect("a plain path");
    let query = Query::parse(Some("uploadId=000102030405060708090a0b0c0d0e0f")).expect("a plain query");
    let headers = HeaderMap::new();
    let head = RequestHead { method: &Method::POST, target: &target, query: &query, headers: &headers };
    let _ = CompleteMultipartUploadRequest::parse(&head, document);
    let _ = CreateBucketRequest::parse(&head, document);
    let _ = DeleteObjectsRequest::parse(&head, document);
    let _ = PutBucketVersioningRequest::parse(&head, document);
    // What is stored must be readable, whatever it was made of.
    if let Ok(rules) = LifecycleConfiguration::parse(document, MinimumSize::default()) {
        assert_eq!(LifecycleConfiguration::parse_stored(&rules.stored()).as_ref(), Ok(&rules));
    }
    if let Ok(rules) = CorsConfiguration::parse(document) {
        assert!(rules.document().len() > CORS_BYTES_MAX || CorsConfiguration::parse(&rules.document()).is_ok());
    }
    for tagged in [Tagged::Object, Tagged::Bucket] {
        if let Ok(tags) = tagging::parse_document(document, tagged) {
            assert_eq!(tagging::parse_document(&tagging::document(&tags), tagged), Ok(tags));
        }
    }
    if let Ok(website) = WebsiteConfiguration::parse(document) {
        assert!(website.document().len() > XML_BYTES_MAX || WebsiteConfiguration::parse(&website.document()).is_ok());
    }
    if let Ok(Some(retention)) = object_retention::parse(document) {
        let shown = object_retention::get_answer(Some(retention)).expect("there is one");
        assert_eq!(object_retention::parse(shown.body()), Ok(Some(retention)));
    }
    let _ = (object_legal_hold::parse(document), object_lock_configuration::parse(document));
    let _ = Payer::parse(document);
    let _ = Acceleration::parse(document, &target.bucket().expect("a name"));
    if let Ok(tree) = Element::parse(document, 1 << 20) {
        assert!(depth(&tree) <= DEPTH_MAX);
        let mut xml = XmlWriter::document();
        xml.text("Text", tree.text());
        let written = xml.finish();
        // Characters that XML 1.0 doesn't have are written as references that it doesn't have either.
        if let Ok(read) = Element::parse(&written, usize::MAX) {
            assert_eq!(read.text(), tree.text());
        }
    }
});

fn depth(tree: &Element<'_>) -> usize {
    1 + tree.children().iter().map(depth).max().unwrap_or(0)
}
