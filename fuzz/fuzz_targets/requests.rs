//! Heads: any Host, path, query and headers are read or refused by every operation.
//!
//! The first line is the method, the second the target, the others are headers.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use s3_wire::abort_multipart_upload::AbortMultipartUploadRequest;
use s3_wire::copy_object::CopyObjectRequest;
use s3_wire::create_multipart_upload::CreateMultipartUploadRequest;
use s3_wire::delete_object::DeleteObjectRequest;
use s3_wire::get_object::GetObjectRequest;
use s3_wire::get_object_attributes::GetObjectAttributesRequest;
use s3_wire::head::hoisted_headers;
use s3_wire::list_buckets::ListBucketsRequest;
use s3_wire::list_multipart_uploads::ListMultipartUploadsRequest;
use s3_wire::list_object_versions::ListObjectVersionsRequest;
use s3_wire::list_objects::ListObjectsRequest;
use s3_wire::list_objects_v2::ListObjectsV2Request;
use s3_wire::list_parts::ListPartsRequest;
use s3_wire::put_object::PutObjectRequest;
use s3_wire::upload_part::UploadPartRequest;
use s3_wire::upload_part_copy::UploadPartCopyRequest;
use s3_wire::{BaseDomains, ErrorContext, Query, RequestHead, S3Error, Target};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|&byte| byte == b'\n');
    let Some(Ok(method)) = lines.next().map(Method::from_bytes) else { return };
    let Some(Ok(uri)) = lines.next().map(std::str::from_utf8) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(at) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(&line[at + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let _ = read(&method, uri, &headers).map_err(|error| {
        let context = ErrorContext { resource: uri, request_id: "R", host_id: "H" };
        assert!(!error.response(&context).status().is_success());
    });
});

fn read(method: &Method, uri: &str, headers: &HeaderMap) -> Result<(), S3Error> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let target = Target::parse(host, path, &BaseDomains::new(["s3.example.com"]))?;
    let query = Query::parse(Some(query))?;
    let hoisted = hoisted_headers(headers, &query);
    let headers = hoisted.as_ref().unwrap_or(headers);
    let head = RequestHead { method, target: &target, query: &query, headers };
    let _ = AbortMultipartUploadRequest::parse(&head);
    let _ = CopyObjectRequest::parse(&head);
    let _ = CreateMultipartUploadRequest::parse(&head);
    let _ = DeleteObjectRequest::parse(&head);
    let _ = GetObjectAttributesRequest::parse(&head);
    let _ = ListBucketsRequest::parse(&head);
    let _ = ListMultipartUploadsRequest::parse(&head);
    let _ = ListObjectVersionsRequest::parse(&head);
    let _ = ListObjectsRequest::parse(&head);
    let _ = ListObjectsV2Request::parse(&head);
    let _ = ListPartsRequest::parse(&head);
    let _ = PutObjectRequest::parse(&head);
    let _ = UploadPartCopyRequest::parse(&head);
    let _ = UploadPartRequest::parse(&head);
    if let Ok(get) = GetObjectRequest::parse(&head) {
        if let Some(Ok(range)) = get.range.map(|range| range.resolve(1000)) {
            assert!(range.first <= range.last && range.last < 1000);
        }
    }
    head.operation().map(drop)
}
