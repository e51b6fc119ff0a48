//! From method, target, query and headers to the operation.

use http::{HeaderMap, HeaderValue, Method};

use super::Operation;
use crate::error::{ErrorCode, S3Error};
use crate::query::Query;
use crate::target::{BaseDomains, Level, Target};

/// Names the operation that a request asks for.
///
/// Query parameters that S3 doesn't know, like `x-id`, are ignored.
///
/// # Errors
/// `MethodNotAllowed` for a method that the target or its sub-resource doesn't have, and no sub-resource has HEAD;
/// `InvalidArgument` for two sub-resources at once, for half of `uploadId` and `partNumber`, for a version of a bucket,
/// and for `x-amz-server-side-encryption` where nothing is begun that could be encrypted; `InvalidRequest` for a bucket's
/// sub-resource on an object.
pub fn identify(method: &Method, target: &Target, query: &Query, headers: &HeaderMap) -> Result<Operation, S3Error> {
    let operation = match target.level() {
        Level::Service => of_service(method),
        Level::Bucket => of_bucket(method, query),
        Level::Object => of_object(method, query, headers),
    }?;
    refuse_stray_encryption(operation, headers)?;
    let copies = matches!(operation, Operation::CopyObject | Operation::UploadPartCopy);
    if *method == Method::PUT && !copies && headers.contains_key("x-amz-copy-source") {
        let value = headers.get("x-amz-copy-source").map(|value| String::from_utf8_lossy(value.as_bytes()));
        return Err(S3Error::invalid_argument(
            "You can only specify a copy source header for copy requests.",
            "x-amz-copy-source",
            value.unwrap_or_default(),
        ));
    }
    Ok(operation)
}

/// How an object is encrypted is said where it begins, and nowhere else.
fn refuse_stray_encryption(operation: Operation, headers: &HeaderMap) -> Result<(), S3Error> {
    use Operation as Op;
    const NAME: &str = "x-amz-server-side-encryption";
    let Some(value) = headers.get(NAME) else { return Ok(()) };
    if matches!(operation, Op::PutObject | Op::CopyObject | Op::CreateMultipartUpload | Op::PostObject) {
        return Ok(());
    }
    let message = format!("{NAME} header is not supported for this operation.");
    Err(S3Error::invalid_argument(message, NAME, String::from_utf8_lossy(value.as_bytes())))
}

fn of_service(method: &Method) -> Result<Operation, S3Error> {
    if *method == Method::GET { Ok(Operation::ListBuckets) } else { Err(not_allowed(method, "SERVICE")) }
}

fn of_bucket(method: &Method, query: &Query) -> Result<Operation, S3Error> {
    use Operation as Op;
    let subresource = subresource(query, BUCKET_SUBRESOURCES)?;
    if let Some(version) = query.bytes("versionId") {
        let message = match subresource {
            Some("acl") if *method == Method::GET => "Invalid version id specified",
            _ => "This operation does not accept a version-id.",
        };
        return Err(S3Error::invalid_argument(message, "versionId", String::from_utf8_lossy(version)));
    }
    let operation = match (method.as_str(), subresource) {
        ("HEAD", None) => Op::HeadBucket,
        ("OPTIONS", _) => Op::PreflightBucket,
        ("GET", None) if query.bytes("list-type") == Some(b"2") => Op::ListObjectsV2,
        ("GET", None) => Op::ListObjects,
        ("PUT", None) => Op::CreateBucket,
        ("DELETE", None) => Op::DeleteBucket,
        ("POST", None) => Op::PostObject,
        ("GET", Some(name)) => get_of_bucket(name, query.has("id")).ok_or_else(|| not_allowed(method, name))?,
        ("PUT", Some(name)) => put_of_bucket(name).ok_or_else(|| not_allowed(method, name))?,
        ("DELETE", Some(name)) => delete_of_bucket(name).ok_or_else(|| not_allowed(method, name))?,
        ("POST", Some("delete")) => Op::DeleteObjects,
        ("POST", Some("metadataConfiguration")) => Op::CreateBucketMetadataConfiguration,
        ("POST", Some("metadataTable")) => Op::CreateBucketMetadataTableConfiguration,
        (_, name) => return Err(not_allowed(method, name.unwrap_or("BUCKET"))),
    };
    Ok(operation)
}

const BUCKET_SUBRESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "session",
    "tagging",
    "uploads",
    "versioning",
    "versions",
    "website",
];

fn get_of_bucket(subresource: &str, has_id: bool) -> Option<Operation> {
    use Operation as Op;
    Some(match subresource {
        "abac" => Op::GetBucketAbac,
        "accelerate" => Op::GetBucketAccelerateConfiguration,
        "acl" => Op::GetBucketAcl,
        "analytics" if has_id => Op::GetBucketAnalyticsConfiguration,
        "analytics" => Op::ListBucketAnalyticsConfigurations,
        "cors" => Op::GetBucketCors,
        "encryption" => Op::GetBucketEncryption,
        "intelligent-tiering" if has_id => Op::GetBucketIntelligentTieringConfiguration,
        "intelligent-tiering" => Op::ListBucketIntelligentTieringConfigurations,
        "inventory" if has_id => Op::GetBucketInventoryConfiguration,
        "inventory" => Op::ListBucketInventoryConfigurations,
        "lifecycle" => Op::GetBucketLifecycleConfiguration,
        "location" => Op::GetBucketLocation,
        "logging" => Op::GetBucketLogging,
        "metadataConfiguration" => Op::GetBucketMetadataConfiguration,
        "metadataTable" => Op::GetBucketMetadataTableConfiguration,
        "metrics" if has_id => Op::GetBucketMetricsConfiguration,
        "metrics" => Op::ListBucketMetricsConfigurations,
        "notification" => Op::GetBucketNotificationConfiguration,
        "object-lock" => Op::GetObjectLockConfiguration,
        "ownershipControls" => Op::GetBucketOwnershipControls,
        "policy" => Op::GetBucketPolicy,
        "policyStatus" => Op::GetBucketPolicyStatus,
        "publicAccessBlock" => Op::GetPublicAccessBlock,
        "replication" => Op::GetBucketReplication,
        "requestPayment" => Op::GetBucketRequestPayment,
        "session" => Op::CreateSession,
        "tagging" => Op::GetBucketTagging,
        "uploads" => Op::ListMultipartUploads,
        "versioning" => Op::GetBucketVersioning,
        "versions" => Op::ListObjectVersions,
        "website" => Op::GetBucketWebsite,
        _ => return None,
    })
}

fn put_of_bucket(subresource: &str) -> Option<Operation> {
    use Operation as Op;
    Some(match subresource {
        "abac" => Op::PutBucketAbac,
        "accelerate" => Op::PutBucketAccelerateConfiguration,
        "acl" => Op::PutBucketAcl,
        "analytics" => Op::PutBucketAnalyticsConfiguration,
        "cors" => Op::PutBucketCors,
        "encryption" => Op::PutBucketEncryption,
        "intelligent-tiering" => Op::PutBucketIntelligentTieringConfiguration,
        "inventory" => Op::PutBucketInventoryConfiguration,
        "lifecycle" => Op::PutBucketLifecycleConfiguration,
        "logging" => Op::PutBucketLogging,
        "metadataAnnotationTable" => Op::UpdateBucketMetadataAnnotationTableConfiguration,
        "metadataInventoryTable" => Op::UpdateBucketMetadataInventoryTableConfiguration,
        "metadataJournalTable" => Op::UpdateBucketMetadataJournalTableConfiguration,
        "metrics" => Op::PutBucketMetricsConfiguration,
        "notification" => Op::PutBucketNotificationConfiguration,
        "object-lock" => Op::PutObjectLockConfiguration,
        "ownershipControls" => Op::PutBucketOwnershipControls,
        "policy" => Op::PutBucketPolicy,
        "publicAccessBlock" => Op::PutPublicAccessBlock,
        "replication" => Op::PutBucketReplication,
        "requestPayment" => Op::PutBucketRequestPayment,
        "tagging" => Op::PutBucketTagging,
        "versioning" => Op::PutBucketVersioning,
        "website" => Op::PutBucketWebsite,
        _ => return None,
    })
}

fn delete_of_bucket(subresource: &str) -> Option<Operation> {
    use Operation as Op;
    Some(match subresource {
        "analytics" => Op::DeleteBucketAnalyticsConfiguration,
        "cors" => Op::DeleteBucketCors,
        "encryption" => Op::DeleteBucketEncryption,
        "intelligent-tiering" => Op::DeleteBucketIntelligentTieringConfiguration,
        "inventory" => Op::DeleteBucketInventoryConfiguration,
        "lifecycle" => Op::DeleteBucketLifecycle,
        "metadataConfiguration" => Op::DeleteBucketMetadataConfiguration,
        "metadataTable" => Op::DeleteBucketMetadataTableConfiguration,
        "metrics" => Op::DeleteBucketMetricsConfiguration,
        "ownershipControls" => Op::DeleteBucketOwnershipControls,
        "policy" => Op::DeleteBucketPolicy,
        "publicAccessBlock" => Op::DeletePublicAccessBlock,
        "replication" => Op::DeleteBucketReplication,
        "tagging" => Op::DeleteBucketTagging,
        "website" => Op::DeleteBucketWebsite,
        _ => return None,
    })
}

const OBJECT_SUBRESOURCES: &[&str] = &[
    "acl",
    "annotation",
    "attributes",
    "encryption",
    "legal-hold",
    "renameObject",
    "restore",
    "retention",
    "select",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versions",
];

fn of_object(method: &Method, query: &Query, headers: &HeaderMap) -> Result<Operation, S3Error> {
    use Operation as Op;
    let subresource = subresource(query, OBJECT_SUBRESOURCES)?;
    let copies = headers.contains_key("x-amz-copy-source");
    let operation = match (method.as_str(), subresource) {
        ("HEAD", None) => Op::HeadObject,
        ("OPTIONS", _) => Op::PreflightObject,
        ("GET", None) => Op::GetObject,
        ("GET", Some(name)) => get_of_object(name, query, method)?,
        ("PUT", Some("uploadId")) if !query.has("partNumber") => {
            let upload = String::from_utf8_lossy(query.bytes("uploadId").unwrap_or_default());
            let message = "This operation does not accept uploadId without partNumber";
            return Err(S3Error::invalid_argument(message, "uploadId", upload));
        }
        ("PUT", Some("uploadId")) if copies => Op::UploadPartCopy,
        ("PUT", Some("uploadId")) => Op::UploadPart,
        ("PUT", None) if query.has("partNumber") => {
            let number = String::from_utf8_lossy(query.bytes("partNumber").unwrap_or_default());
            let message = "This operation does not accept partNumber without uploadId";
            return Err(S3Error::invalid_argument(message, "partNumber", number));
        }
        ("PUT", None) if copies => Op::CopyObject,
        ("PUT", None) => Op::PutObject,
        ("PUT", Some("acl")) => Op::PutObjectAcl,
        ("PUT", Some("annotation")) => Op::PutObjectAnnotation,
        ("PUT", Some("encryption")) => Op::UpdateObjectEncryption,
        ("PUT", Some("legal-hold")) => Op::PutObjectLegalHold,
        ("PUT", Some("renameObject")) => Op::RenameObject,
        ("PUT", Some("retention")) => Op::PutObjectRetention,
        ("PUT", Some("tagging")) => Op::PutObjectTagging,
        ("POST", Some("uploads")) => Op::CreateMultipartUpload,
        ("POST", Some("uploadId")) => Op::CompleteMultipartUpload,
        ("POST", Some("restore")) => Op::RestoreObject,
        ("POST", Some("select")) => Op::SelectObjectContent,
        ("DELETE", None) => Op::DeleteObject,
        ("DELETE", Some("uploadId")) => Op::AbortMultipartUpload,
        ("DELETE", Some("annotation")) => Op::DeleteObjectAnnotation,
        ("DELETE", Some("tagging")) => Op::DeleteObjectTagging,
        (_, name) => return Err(not_allowed(method, name.unwrap_or("OBJECT"))),
    };
    Ok(operation)
}

fn get_of_object(subresource: &'static str, query: &Query, method: &Method) -> Result<Operation, S3Error> {
    use Operation as Op;
    Ok(match subresource {
        "acl" => Op::GetObjectAcl,
        "annotation" if query.has("annotationName") => Op::GetObjectAnnotation,
        "annotation" => Op::ListObjectAnnotations,
        "attributes" => Op::GetObjectAttributes,
        "legal-hold" => Op::GetObjectLegalHold,
        "retention" => Op::GetObjectRetention,
        "tagging" => Op::GetObjectTagging,
        "torrent" => Op::GetObjectTorrent,
        "uploadId" => Op::ListParts,
        "uploads" => {
            return Err(S3Error::invalid_request("Key is not expected for the GET method ?uploads subresource"));
        }
        "versions" => {
            return Err(S3Error::invalid_request("There is no such thing as the ?versions sub-resource for a key"));
        }
        _ => return Err(not_allowed(method, subresource)),
    })
}

/// The one sub-resource out of `known` that the query names.
fn subresource(query: &Query, known: &[&'static str]) -> Result<Option<&'static str>, S3Error> {
    let mut found = None;
    for (name, _) in query.pairs() {
        let Some(name) = known.iter().copied().find(|each| each.as_bytes() == name) else { continue };
        match found {
            None => found = Some(name),
            Some(first) if first == name => {}
            Some(first) => {
                let message = format!("Conflicting query string parameters: {first}, {name}");
                return Err(S3Error::invalid_argument(message, "ResourceType", first));
            }
        }
    }
    Ok(found)
}

/// A request for every operation, for tests that walk them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleRequest {
    /// What it asks for.
    pub operation: Operation,
    /// Its method.
    pub method: Method,
    /// Path and query; the bucket is `b`, the key `k`.
    pub uri: String,
    /// Whether it has an `x-amz-copy-source`.
    pub copies: bool,
}

/// All requests that methods, sub-resources and a copy's source can make, one for each that is an operation.
pub fn example_requests() -> Vec<ExampleRequest> {
    let bucket = BUCKET_SUBRESOURCES.iter().flat_map(|name| [format!("/b?{name}"), format!("/b?{name}&id=1")]);
    let object = OBJECT_SUBRESOURCES.iter().map(|name| format!("/b/k?{name}=1"));
    let more =
        ["/", "/b", "/b/k", "/b?list-type=2", "/b/k?uploadId=1&partNumber=1", "/b/k?annotation&annotationName=a"];
    let mut found: Vec<ExampleRequest> = Vec::new();
    for uri in bucket.chain(object).chain(more.map(str::to_owned)) {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS] {
            for copies in [false, true] {
                let operation = identify_example(&method, &uri, copies);
                if let Some(operation) = operation.filter(|it| found.iter().all(|known| known.operation != *it)) {
                    found.push(ExampleRequest { operation, method: method.clone(), uri: uri.clone(), copies });
                }
            }
        }
    }
    found
}

fn identify_example(method: &Method, uri: &str, copies: bool) -> Option<Operation> {
    let mut headers = HeaderMap::new();
    if copies {
        headers.insert("x-amz-copy-source", HeaderValue::from_static("source/key"));
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let target = Target::parse(None, path, &BaseDomains::new([])).ok()?;
    identify(method, &target, &Query::parse(Some(query)).ok()?, &headers).ok()
}

fn not_allowed(method: &Method, resource: &str) -> S3Error {
    S3Error::new(ErrorCode::MethodNotAllowed)
        .with("Method", method.as_str())
        .with("ResourceType", resource.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::{prop, proptest};

    use super::*;

    fn identified(method: &str, uri: &str, copies: bool) -> Result<Operation, S3Error> {
        let mut headers = HeaderMap::new();
        if copies {
            headers.insert("x-amz-copy-source", HeaderValue::from_static("source/key"));
        }
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let target = Target::parse(None, path, &BaseDomains::new([])).unwrap();
        let query = Query::parse(Some(query)).unwrap();
        identify(&method.parse().unwrap(), &target, &query, &headers)
    }

    fn named(method: &str, uri: &str) -> Result<&'static str, (ErrorCode, String)> {
        let operation = identified(method, uri, false).map_err(|error| (error.code(), error.message().to_owned()));
        operation.map(Operation::name)
    }

    #[test]
    fn every_operation_has_a_request_that_is_it() {
        let seen: HashSet<Operation> = example_requests().into_iter().map(|request| request.operation).collect();
        let missing: Vec<_> = Operation::ALL.iter().filter(|operation| !seen.contains(operation)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn requests_of_clients_are_named_as_aws_names_them() {
        for (method, uri, name) in [
            ("GET", "/", "ListBuckets"),
            ("GET", "/?x-id=ListBuckets", "ListBuckets"),
            ("PUT", "/b", "CreateBucket"),
            ("HEAD", "/b", "HeadBucket"),
            ("GET", "/b?location", "GetBucketLocation"),
            ("GET", "/b?list-type=2&prefix=acl", "ListObjectsV2"),
            ("GET", "/b?prefix=a&unknown", "ListObjects"),
            ("GET", "/b?versions", "ListObjectVersions"),
            ("GET", "/b/?uploads", "ListMultipartUploads"),
            ("POST", "/b?delete=", "DeleteObjects"),
            ("GET", "/b/k?partNumber=1&versionId=1", "GetObject"),
            ("HEAD", "/b/k?partNumber=1", "HeadObject"),
            ("PUT", "/b/k?x-id=PutObject", "PutObject"),
            ("DELETE", "/b/k?versionId=1", "DeleteObject"),
            ("POST", "/b/k?uploads=", "CreateMultipartUpload"),
            ("PUT", "/b/k?partNumber=1&uploadId=1", "UploadPart"),
            ("POST", "/b/k?uploadId=1", "CompleteMultipartUpload"),
            ("DELETE", "/b/k?uploadId=1", "AbortMultipartUpload"),
            ("GET", "/b/k?uploadId=1&max-parts=2", "ListParts"),
            ("GET", "/b/k?attributes", "GetObjectAttributes"),
            ("GET", "/b/k?tagging&versionId=1", "GetObjectTagging"),
            ("GET", "/b?object-lock", "GetObjectLockConfiguration"),
            ("PUT", "/b?policy", "PutBucketPolicy"),
            ("POST", "/b", "PostObject"),
        ] {
            assert_eq!(named(method, uri), Ok(name), "{method} {uri}");
        }
        assert_eq!(identified("PUT", "/b/k", true).map(Operation::name), Ok("CopyObject"));
        assert_eq!(identified("PUT", "/b/k?partNumber=1&uploadId=1", true).map(Operation::name), Ok("UploadPartCopy"));
    }

    #[test]
    fn what_is_no_operation_is_refused_in_aws_words() {
        let code = |method: &str, uri: &str| named(method, uri).unwrap_err().0;
        for (method, uri) in [
            ("POST", "/"),
            ("PUT", "/"),
            ("PATCH", "/b"),
            ("BREW", "/b/k"),
            ("POST", "/b/k"),
            ("POST", "/b?acl"),
            ("PUT", "/b?delete"),
            ("DELETE", "/b?versions"),
            ("DELETE", "/b/k?acl"),
        ] {
            assert_eq!(code(method, uri), ErrorCode::MethodNotAllowed, "{method} {uri}");
        }
        let conflict = "Conflicting query string parameters: acl, policy".to_owned();
        assert_eq!(named("GET", "/b?acl&policy"), Err((ErrorCode::InvalidArgument, conflict)));
        assert_eq!(named("GET", "/b?acl&acl"), Ok("GetBucketAcl"));
        assert_eq!(code("PUT", "/b/k?partNumber=1"), ErrorCode::InvalidArgument);
        assert_eq!(code("PUT", "/b/k?uploadId=1"), ErrorCode::InvalidArgument);
        assert_eq!(code("GET", "/b/k?versions"), ErrorCode::InvalidRequest);
        assert_eq!(code("GET", "/b/k?uploads"), ErrorCode::InvalidRequest);
        assert_eq!(identified("PUT", "/b/k?acl", true).unwrap_err().code(), ErrorCode::InvalidArgument);
    }

    #[test]
    fn reads_are_told_from_writes() {
        assert!(Operation::GetObject.is_read() && Operation::ListParts.is_read());
        assert!(!Operation::PutObject.is_read() && !Operation::RestoreObject.is_read());
    }

    proptest! {
        #[test]
        fn any_request_is_an_operation_or_refused(
            method in "[A-Z]{1,8}",
            path in "/[a-z/]{0,6}",
            names in prop::collection::vec("[a-zA-Z-]{0,12}", 0..4),
        ) {
            if !path.starts_with("//") {
                let _ = identified(&method, &format!("{path}?{}", names.join("&")), false);
            }
        }
    }
}
