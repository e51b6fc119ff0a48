//! Requests of every operation that has more than a bucket and a key: what is read, and what is refused in which words.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::{prop, proptest};
use s3_wire::bucket_versioning::PutBucketVersioningRequest;
use s3_wire::complete_multipart_upload::CompleteMultipartUploadRequest;
use s3_wire::conditions::ETagList;
use s3_wire::copy_object::CopyObjectRequest;
use s3_wire::create_bucket::CreateBucketRequest;
use s3_wire::create_multipart_upload::CreateMultipartUploadRequest;
use s3_wire::delete_object::DeleteObjectRequest;
use s3_wire::delete_objects::DeleteObjectsRequest;
use s3_wire::get_object::GetObjectRequest;
use s3_wire::get_object_attributes::GetObjectAttributesRequest;
use s3_wire::list_buckets::ListBucketsRequest;
use s3_wire::list_multipart_uploads::ListMultipartUploadsRequest;
use s3_wire::list_object_versions::ListObjectVersionsRequest;
use s3_wire::list_objects::ListObjectsRequest;
use s3_wire::list_objects_v2::{ListObjectsV2Request, PageStart};
use s3_wire::list_parts::ListPartsRequest;
use s3_wire::put_object::PutObjectRequest;
use s3_wire::range::RangeSpec;
use s3_wire::upload_part_copy::UploadPartCopyRequest;
use s3_wire::{BaseDomains, ErrorCode, Query, RequestHead, S3Error, Target, VersionRef};
use types::{ChecksumAlgorithm, ChecksumType, Versioning};

const ID: &str = "000000000000000a000000000000000b";
const TAG: &str = "5eb63bbbe01eeed093cb22bb8f5acdc3";

type Headers<'a> = &'a [(&'static str, &'a str)];

/// Reads a request to `uri` with these headers.
fn with<T>(uri: &str, pairs: Headers<'_>, read: impl FnOnce(&RequestHead<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let target = Target::parse(None, path, &BaseDomains::new([])).unwrap();
    let query = Query::parse(Some(query)).unwrap();
    read(&RequestHead { method: &Method::PUT, target: &target, query: &query, headers: &headers })
}

fn told(error: S3Error) -> (ErrorCode, String) {
    (error.code(), error.message().to_owned())
}

#[test]
fn a_bucket_is_made_in_any_region() {
    let region = |body: &str| {
        with("/bucket", &[], |head| CreateBucketRequest::parse(head, body.as_bytes()))
            .map(|request| request.region)
            .map_err(|error| error.code())
    };
    let located = |region: &str| {
        format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}\
             </LocationConstraint></CreateBucketConfiguration>"
        )
    };
    assert_eq!(region(""), Ok(String::new()));
    assert_eq!(region(&located("eu-central-1")), Ok("eu-central-1".to_owned()));
    assert_eq!(region(&located("us-east-1")), Ok(String::new()));
    assert_eq!(region("<CreateBucketConfiguration/>"), Ok(String::new()));
    assert_eq!(region(&located("a b")), Err(ErrorCode::InvalidLocationConstraint));
    assert_eq!(region("<Other/>"), Err(ErrorCode::MalformedXML));
    assert_eq!(region("nonsense"), Err(ErrorCode::MalformedXML));
    let tags = "<CreateBucketConfiguration><Tags><Tag/></Tags></CreateBucketConfiguration>";
    assert_eq!(region(tags), Err(ErrorCode::NotImplemented));
}

#[test]
fn what_a_new_bucket_cannot_have_is_refused_by_name() {
    let refused = |uri: &str, headers: Headers<'_>| {
        with(uri, headers, |head| CreateBucketRequest::parse(head, b"")).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(refused("/Bucket", &[]), Err(ErrorCode::InvalidBucketName));
    assert_eq!(refused("/bucket", &[("x-amz-acl", "private")]), Ok(()));
    assert_eq!(refused("/bucket", &[("x-amz-acl", "public-read")]), Err(ErrorCode::NotImplemented));
    for (text, object_lock) in [("true", true), ("false", false)] {
        let lock = [("x-amz-bucket-object-lock-enabled", text)];
        let request = with("/bucket", &lock, |head| CreateBucketRequest::parse(head, b"")).unwrap();
        assert_eq!(request.object_lock, object_lock);
    }
    assert_eq!(refused("/bucket", &[("x-amz-object-ownership", "BucketOwnerEnforced")]), Ok(()));
    assert_eq!(refused("/bucket", &[("x-amz-object-ownership", "Me")]), Err(ErrorCode::InvalidArgument));
}

#[test]
fn versioning_is_enabled_or_suspended() {
    let parsed = |body: &str| {
        with("/bucket?versioning", &[], |head| PutBucketVersioningRequest::parse(head, body.as_bytes()))
            .map(|request| request.versioning)
            .map_err(|error| error.code())
    };
    let status = |status: &str| format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    assert_eq!(parsed(&status("Enabled")), Ok(Versioning::Enabled));
    assert_eq!(parsed(&status("Suspended")), Ok(Versioning::Suspended));
    assert_eq!(parsed(&status("enabled")), Err(ErrorCode::MalformedXML));
    assert_eq!(parsed("<VersioningConfiguration/>"), Err(ErrorCode::IllegalVersioningConfigurationException));
    assert_eq!(parsed(""), Err(ErrorCode::MissingRequestBodyError));
    let mfa =
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
    assert_eq!(parsed(mfa), Err(ErrorCode::AccessDenied));
}

#[test]
fn a_put_carries_attributes_conditions_and_its_body() {
    let headers = [("content-length", "11"), ("x-amz-meta-a", "b"), ("if-none-match", "*"), ("x-amz-tagging", "k=v")];
    let put = with("/bucket/a%20b", &headers, PutObjectRequest::parse).unwrap();
    assert_eq!((put.key.as_bytes(), put.body.plain_bytes), (&b"a b"[..], Some(11)));
    assert!(
        put.conditions.if_none_match == Some(ETagList::Any)
            && put.attributes.tags == [("k".to_owned(), "v".to_owned())]
    );
    let refused = |headers: Headers<'_>| with("/bucket/k", headers, PutObjectRequest::parse).map_err(told).unwrap_err();
    assert_eq!(refused(&[]).0, ErrorCode::MissingContentLength);
    assert_eq!(refused(&[("content-length", "1"), ("x-amz-write-offset-bytes", "5")]).0, ErrorCode::NotImplemented);
    let long = format!("/bucket/{}", "k".repeat(1025));
    let error = with(&long, &[("content-length", "1")], PutObjectRequest::parse).unwrap_err();
    assert_eq!(error.code(), ErrorCode::KeyTooLongError);
}

#[test]
fn a_get_has_a_range_or_a_part_and_its_overrides() {
    let uri = format!("/bucket/k?versionId={ID}&response-content-type=text/x&response-expires=never");
    let get =
        with(&uri, &[("range", "bytes=-5"), ("x-amz-checksum-mode", "enabled")], GetObjectRequest::parse).unwrap();
    assert_eq!(get.range, Some(RangeSpec::Suffix(5)));
    assert!(get.checksum_mode && !get.overrides.is_empty() && matches!(get.version, Some(VersionRef::Id(_))));
    let resumed = with("/bucket/k", &[("range", "bytes=5-"), ("if-range", TAG)], GetObjectRequest::parse).unwrap();
    assert_eq!(resumed.range, None);
    let refused =
        |uri: &str, headers: Headers<'_>| with(uri, headers, GetObjectRequest::parse).map_err(told).unwrap_err();
    let both = "Cannot specify both Range header and partNumber query parameter".to_owned();
    assert_eq!(refused("/b/k?partNumber=1", &[("range", "bytes=0-1")]), (ErrorCode::InvalidRequest, both));
    assert_eq!(refused("/bucket/k?response-content-type=a%0ab", &[]).0, ErrorCode::InvalidArgument);
    let key = [("x-amz-server-side-encryption-customer-algorithm", "AES256")];
    assert_eq!(refused("/bucket/k", &key).0, ErrorCode::InvalidRequest);
}

#[test]
fn a_delete_names_a_version_or_a_condition() {
    let parse = |uri: &str, headers: Headers<'_>| with(uri, headers, DeleteObjectRequest::parse).map_err(told);
    let delete = parse("/bucket/k?versionId=null", &[("x-amz-bypass-governance-retention", "true")]).unwrap();
    assert_eq!((delete.version, delete.bypass_governance), (Some(VersionRef::Null), true));
    assert_eq!(parse("/bucket/k", &[("if-match", "*")]).unwrap().conditions.if_match, Some(ETagList::Any));
}

fn delete_objects(body: &str) -> Result<DeleteObjectsRequest, (ErrorCode, String)> {
    with("/bucket?delete", &[], |head| DeleteObjectsRequest::parse(head, body.as_bytes())).map_err(told)
}

#[test]
fn deletes_in_bulk_keep_their_order_and_refuse_entries_one_by_one() {
    let body = format!(
        "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key> a&lt;&#x1;b</Key></Object>\
         <Object><Key>v</Key><VersionId>{ID}</VersionId></Object><Object><Key>e</Key><ETag>\"{TAG}\"</ETag></Object>\
         <Object><Key>x</Key><VersionId>nonsense</VersionId></Object><Object><Key>{}</Key></Object>\
         <Object><Key>s</Key><Size>3</Size></Object><Quiet>true</Quiet></Delete>",
        "k".repeat(1025)
    );
    let request = delete_objects(&body).unwrap();
    assert!(request.quiet);
    let kept: Vec<_> = request.objects.iter().filter_map(|object| object.as_ref().ok()).collect();
    assert_eq!(kept[0].key.as_bytes(), b" a<\x01b");
    assert!(matches!(kept[1].version, Some(VersionRef::Id(_))) && kept[2].conditions.if_match.is_some());
    let refused: Vec<_> =
        request.objects.iter().filter_map(|object| object.as_ref().err()).map(|entry| entry.error.code()).collect();
    assert_eq!(refused, [ErrorCode::InvalidArgument, ErrorCode::KeyTooLongError, ErrorCode::NotImplemented]);
}

#[test]
fn deletes_in_bulk_name_1_to_1000_objects() {
    let of = |count: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(count));
    assert_eq!(delete_objects(&of(1000)).unwrap().objects.len(), 1000);
    for body in
        [of(0), of(1001), "<Delete><Object/></Delete>".into(), "<Delete><Object><Key/></Object></Delete>".into()]
    {
        assert_eq!(delete_objects(&body).unwrap_err().0, ErrorCode::MalformedXML);
    }
    let digests = |headers: Headers<'_>| with("/bucket?delete", headers, DeleteObjectsRequest::integrity);
    assert!(digests(&[]).unwrap_err().message().starts_with("Missing required header for this request: Content-MD5"));
    assert!(digests(&[("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==")]).is_ok());
    assert!(digests(&[("x-amz-checksum-crc32", "NhCmhg==")]).is_ok());
}

#[test]
fn copies_take_their_directives() {
    let source = ("x-amz-copy-source", "/source/a%2Fb?versionId=null");
    let parse = |headers: Headers<'_>| with("/bucket/k", headers, CopyObjectRequest::parse).map_err(told);
    let copy = parse(&[source, ("x-amz-meta-a", "b"), ("x-amz-tagging", "k=v")]).unwrap();
    assert_eq!((copy.source.key.as_bytes(), copy.source.version), (&b"a/b"[..], Some(VersionRef::Null)));
    assert!(copy.metadata.is_none() && copy.tags.is_none());
    let copy = parse(&[
        source,
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-meta-a", "b"),
        ("x-amz-website-redirect-location", "/there"),
        ("x-amz-checksum-algorithm", "sha256"),
        ("x-amz-copy-source-if-match", TAG),
    ])
    .unwrap();
    assert_eq!(copy.metadata.as_ref().unwrap().metadata.len(), 1);
    assert_eq!((copy.tags, copy.website_redirect.as_deref()), (Some(Vec::new()), Some(&b"/there"[..])));
    assert_eq!(copy.checksum_algorithm, Some(ChecksumAlgorithm::Sha256));
    assert!(copy.source_conditions.if_match.is_some());
    let unknown = parse(&[source, ("x-amz-metadata-directive", "MERGE")]).unwrap_err();
    assert_eq!(unknown, (ErrorCode::InvalidArgument, "Unknown metadata directive.".to_owned()));
}

#[test]
fn a_copy_onto_itself_must_change_something() {
    let pointless = |headers: Headers<'_>| with("/bucket/k", headers, CopyObjectRequest::parse).unwrap().is_pointless();
    let itself = ("x-amz-copy-source", "bucket/k");
    assert!(pointless(&[itself]));
    assert!(!pointless(&[("x-amz-copy-source", "bucket/other")]));
    assert!(!pointless(&[("x-amz-copy-source", "bucket/k?versionId=null")]));
    for change in [
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-website-redirect-location", "/there"),
        ("x-amz-checksum-algorithm", "CRC32"),
    ] {
        assert!(!pointless(&[itself, change]), "{change:?}");
    }
}

#[test]
fn listings_have_prefixes_limits_and_markers() {
    let v1 = with("/bucket?prefix=a%ff&delimiter=/&marker=m&max-keys=5", &[], ListObjectsRequest::parse).unwrap();
    assert_eq!(
        (&v1.scope.prefix[..], &v1.scope.delimiter[..], v1.scope.limit, &v1.marker[..]),
        (&b"a\xff"[..], &b"/"[..], 5, &b"m"[..])
    );
    let v2 =
        |query: &str| with(&format!("/bucket?list-type=2&{query}"), &[], ListObjectsV2Request::parse).map_err(told);
    assert_eq!(v2("start-after=s").unwrap().start(), PageStart::After("s".into()));
    assert_eq!(v2("start-after=s&continuation-token=t").unwrap().start(), PageStart::Token("t".into()));
    assert_eq!(v2("start-after=s&continuation-token=").unwrap().start(), PageStart::After("s".into()));
    assert!(v2("fetch-owner=true").unwrap().fetch_owner && v2("fetch-owner=2").is_err());
    let words = "Provided max-keys not an integer or within integer range".to_owned();
    assert_eq!(v2("max-keys=blah").unwrap_err(), (ErrorCode::InvalidArgument, words));
    let words = "Invalid Encoding Method specified in Request".to_owned();
    assert_eq!(v2("encoding-type=utf").unwrap_err(), (ErrorCode::InvalidArgument, words));
}

#[test]
fn listings_of_versions_uploads_and_parts_have_two_markers() {
    let versions = |query: &str| with(&format!("/bucket?versions&{query}"), &[], ListObjectVersionsRequest::parse);
    let request = versions(&format!("key-marker=k&version-id-marker={ID}")).unwrap();
    assert!(request.version_marker.is_some());
    assert_eq!(versions("key-marker=k&version-id-marker=").unwrap_err().code(), ErrorCode::InvalidArgument);
    let alone = versions(&format!("version-id-marker={ID}")).unwrap_err();
    assert_eq!(alone.message(), "A version-id marker cannot be specified without a key marker.");
    assert_eq!(versions("key-marker=k&version-id-marker=x").unwrap_err().code(), ErrorCode::InvalidArgument);

    let uploads = |query: &str| with(&format!("/bucket?uploads&{query}"), &[], ListMultipartUploadsRequest::parse);
    assert!(uploads(&format!("key-marker=k&upload-id-marker={ID}")).unwrap().upload_marker.is_some());
    assert_eq!(uploads("upload-id-marker=x").unwrap().upload_marker, None);
    assert_eq!(uploads("key-marker=k&upload-id-marker=x").unwrap_err().message(), "Invalid uploadId marker");

    let parts = |query: &str| with(&format!("/bucket/k?uploadId={ID}&{query}"), &[], ListPartsRequest::parse);
    let request = parts("part-number-marker=3&max-parts=2").unwrap();
    assert_eq!((request.after, request.limit), (3, 2));
    assert_eq!(parts("part-number-marker=99999").unwrap().after, u16::MAX);
    assert_eq!(parts("max-parts=-1").unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[test]
fn lists_of_buckets_come_in_pages() {
    let parse = |query: &str| with(&format!("/?{query}"), &[], ListBucketsRequest::parse).map_err(told);
    let request = parse("max-buckets=2&continuation-token=t&prefix=p&bucket-region=r").unwrap();
    assert_eq!((request.limit, request.token.as_deref(), request.prefix.as_str()), (2, Some("t"), "p"));
    assert_eq!((request.region.as_deref(), parse("").unwrap().limit), (Some("r"), 10_000));
    for limit in ["0", "10001", "-1", "x"] {
        assert_eq!(parse(&format!("max-buckets={limit}")).unwrap_err().0, ErrorCode::InvalidArgument);
    }
}

#[test]
fn an_upload_begins_with_a_checksum_that_it_can_have() {
    let parse = |headers: Headers<'_>| {
        let request = with("/bucket/k?uploads", headers, CreateMultipartUploadRequest::parse);
        request.map(|request| request.checksum).map_err(|error| error.message().to_owned())
    };
    let algorithm = |name| ("x-amz-checksum-algorithm", name);
    let of_type = |name| ("x-amz-checksum-type", name);
    assert_eq!(parse(&[]), Ok(None));
    assert_eq!(parse(&[algorithm("CRC32")]), Ok(Some((ChecksumAlgorithm::Crc32, ChecksumType::Composite))));
    let full = Ok(Some((ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject)));
    assert_eq!(parse(&[algorithm("CRC64NVME")]), full);
    assert!(parse(&[algorithm("SHA256"), of_type("FULL_OBJECT")]).unwrap_err().contains("cannot be used with"));
    assert!(parse(&[of_type("FULL_OBJECT")]).unwrap_err().contains("can only be used with"));
    assert!(parse(&[algorithm("MD4")]).unwrap_err().starts_with("Checksum algorithm provided is unsupported."));
}

#[test]
fn a_part_is_copied_from_a_range() {
    let uri = format!("/bucket/k?uploadId={ID}&partNumber=2");
    let headers = [("x-amz-copy-source", "source/k"), ("x-amz-copy-source-range", "bytes=5-9")];
    let copy = with(&uri, &headers, UploadPartCopyRequest::parse).unwrap();
    assert_eq!((copy.number.get(), copy.range.map(|range| (range.first, range.last))), (2, Some((5, 9))));
    let open = [("x-amz-copy-source", "source/k"), ("x-amz-copy-source-range", "bytes=5-")];
    assert_eq!(with(&uri, &open, UploadPartCopyRequest::parse).unwrap_err().code(), ErrorCode::InvalidArgument);
}

fn complete(headers: Headers<'_>, body: &str) -> Result<CompleteMultipartUploadRequest, (ErrorCode, String)> {
    let uri = format!("/bucket/k?uploadId={ID}");
    with(&uri, headers, |head| CompleteMultipartUploadRequest::parse(head, body.as_bytes())).map_err(told)
}

fn document(parts: &[(&str, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    format!(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
    )
}

#[test]
fn an_upload_ends_with_the_parts_that_are_named() {
    let quoted = format!("&quot;{TAG}&quot;");
    let request = complete(&[("if-match", "*")], &document(&[("1", TAG), ("3", &quoted)])).unwrap();
    let numbers: Vec<_> = request.parts.iter().map(|part| part.number.get()).collect();
    assert_eq!((numbers, request.parts[0].etag), (vec![1, 3], request.parts[1].etag));
    let code = |parts: &[(&str, &str)]| complete(&[], &document(parts)).unwrap_err().0;
    assert_eq!(code(&[]), ErrorCode::MalformedXML);
    let many: Vec<_> = (0..10_001).map(|_| ("1", TAG)).collect();
    assert_eq!(code(&many), ErrorCode::MalformedXML);
    assert_eq!(code(&[("0", TAG)]), ErrorCode::InvalidArgument);
    assert_eq!(code(&[("10001", TAG)]), ErrorCode::InvalidArgument);
    assert_eq!(code(&[("x", TAG)]), ErrorCode::MalformedXML);
    assert_eq!(code(&[("1", "no tag")]), ErrorCode::InvalidPart);
    let without_tag = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
    assert_eq!(complete(&[], without_tag).unwrap_err().0, ErrorCode::MalformedXML);
    assert_eq!(complete(&[], "<Wrong/>").unwrap_err().0, ErrorCode::MalformedXML);
}

#[test]
fn ten_thousand_parts_with_every_checksum_fit_the_limits() {
    let part = |number: usize| {
        format!(
            "<Part><ChecksumCRC32>NhCmhg==</ChecksumCRC32><ETag>\"{TAG}\"</ETag><PartNumber>{number}</PartNumber></Part>"
        )
    };
    let parts: String = (1..=10_000).map(part).collect();
    let request = complete(&[], &format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")).unwrap();
    assert_eq!(request.parts.len(), 10_000);
    assert!(request.parts.iter().all(|part| part.checksum.is_some()));
}

#[test]
fn an_upload_ends_with_checksum_and_size() {
    let body = document(&[("1", TAG)]);
    let of =
        |headers: Headers<'_>| complete(headers, &body).map(|request| request.checksum.map(|sum| sum.checksum_type));
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&[("x-amz-checksum-crc32", "NhCmhg==")]), Ok(Some(ChecksumType::FullObject)));
    assert_eq!(of(&[("x-amz-checksum-crc32", "NhCmhg==-1")]), Ok(Some(ChecksumType::Composite)));
    let typed = [("x-amz-checksum-crc32", "NhCmhg=="), ("x-amz-checksum-type", "COMPOSITE")];
    assert_eq!(of(&typed), Ok(Some(ChecksumType::Composite)));
    let two = [("x-amz-checksum-crc32", "NhCmhg=="), ("x-amz-checksum-crc32c", "NhCmhg==")];
    assert_eq!(of(&two).unwrap_err().0, ErrorCode::InvalidRequest);
    assert_eq!(complete(&[("x-amz-mp-object-size", "77")], &body).unwrap().object_bytes, Some(77));
    for size in ["-1", "x", ""] {
        assert_eq!(complete(&[("x-amz-mp-object-size", size)], &body).unwrap_err().0, ErrorCode::InvalidRequest);
    }
}

#[test]
fn attributes_are_asked_for_by_name() {
    let parse = |headers: Headers<'_>| with("/bucket/k?attributes", headers, GetObjectAttributesRequest::parse);
    let headers = [("x-amz-object-attributes", "ETag, ObjectSize"), ("x-amz-object-attributes", "ObjectParts")];
    let wanted = parse(&headers).unwrap().wanted;
    assert!(wanted.etag && wanted.size && wanted.parts && !wanted.checksum && !wanted.storage_class);
    assert_eq!(parse(&[]).unwrap_err().code(), ErrorCode::InvalidRequest);
    let unknown = parse(&[("x-amz-object-attributes", "etag")]).unwrap_err();
    assert_eq!(told(unknown), (ErrorCode::InvalidArgument, "Invalid attribute name specified.".to_owned()));
}

proptest! {
    #[test]
    fn any_document_is_read_or_refused(document in prop_document()) {
        let body = document.as_bytes();
        let uri = format!("/bucket/k?uploadId={ID}");
        let _ = with(&uri, &[], |head| CompleteMultipartUploadRequest::parse(head, body));
        let _ = with("/bucket", &[], |head| CreateBucketRequest::parse(head, body));
        let _ = with("/bucket", &[], |head| PutBucketVersioningRequest::parse(head, body));
        let _ = with("/bucket", &[], |head| DeleteObjectsRequest::parse(head, body));
    }

    #[test]
    fn any_headers_are_read_or_refused(
        pairs in prop::collection::vec((header_name(), "[ -~]{0,40}"), 0..8),
        query in "[a-zA-Z0-9&=%+-]{0,60}",
    ) {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if Query::parse(Some(&query)).is_err() {
            return Ok(());
        }
        let uri = format!("/bucket/k?{query}");
        let _ = with(&uri, &pairs, |head| head.operation().map(drop));
        let _ = with(&uri, &pairs, |head| PutObjectRequest::parse(head).map(drop));
        let _ = with(&uri, &pairs, |head| GetObjectRequest::parse(head).map(drop));
        let _ = with(&uri, &pairs, |head| CopyObjectRequest::parse(head).map(drop));
        let _ = with(&uri, &pairs, |head| UploadPartCopyRequest::parse(head).map(drop));
        let _ = with(&uri, &pairs, |head| GetObjectAttributesRequest::parse(head).map(drop));
        let _ = with(&uri, &pairs, |head| ListObjectsV2Request::parse(head).map(drop));
    }
}

/// Texts that come close to the documents of requests.
fn prop_document() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::strategy::Strategy;
    let names = [
        "CompleteMultipartUpload",
        "Part",
        "PartNumber",
        "ETag",
        "ChecksumCRC32",
        "Delete",
        "Object",
        "Key",
        "VersionId",
        "Quiet",
        "VersioningConfiguration",
        "Status",
        "CreateBucketConfiguration",
        "LocationConstraint",
    ];
    let piece =
        (prop::sample::select(names.to_vec()), 0..4_u8, "[a-zA-Z0-9&;#<\"-]{0,8}").prop_map(|(name, kind, text)| {
            match kind {
                0 => format!("<{name}>"),
                1 => format!("</{name}>"),
                2 => format!("<{name}>{text}</{name}>"),
                _ => text,
            }
        });
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn header_name() -> impl proptest::strategy::Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "content-length",
        "content-md5",
        "content-encoding",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "x-amz-acl",
        "x-amz-checksum-crc32",
        "x-amz-checksum-algorithm",
        "x-amz-checksum-type",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-copy-source-range",
        "x-amz-decoded-content-length",
        "x-amz-metadata-directive",
        "x-amz-mp-object-size",
        "x-amz-object-attributes",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-storage-class",
        "x-amz-tagging",
        "x-amz-trailer",
        "x-amz-website-redirect-location",
    ])
}
