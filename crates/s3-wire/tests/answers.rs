//! Answers byte for byte as AWS writes them, and whole whatever keys they carry.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use s3_wire::complete_multipart_upload::{CompletedAnswer, KEEP_ALIVE_PROLOGUE};
use s3_wire::copy_object::CopiedAnswer;
use s3_wire::delete_object::Deleted;
use s3_wire::delete_objects::{DeleteOutcome, Refused};
use s3_wire::get_object::{Content, GetObjectRequest, ObjectAnswer, ObjectFacts, ResponseOverrides};
use s3_wire::get_object_attributes::{AttributesPart, GetObjectAttributesRequest, PartsPage};
use s3_wire::list_buckets::{ListBucketsRequest, ListedBucket};
use s3_wire::list_multipart_uploads::{ListMultipartUploadsRequest, ListedUpload};
use s3_wire::list_object_versions::{ListObjectVersionsRequest, ListedVersion};
use s3_wire::list_objects::{ListLine, ListObjectsRequest, ListedObject};
use s3_wire::list_objects_v2::ListObjectsV2Request;
use s3_wire::list_parts::{ListPartsRequest, ListedPart, UploadOfParts};
use s3_wire::put_object::StoredAnswer;
use s3_wire::range::ByteRange;
use s3_wire::xml::{Element, XmlWriter};
use s3_wire::{BaseDomains, ErrorCode, Operation, Query, RequestHead, S3Error, Target, VersionRef, percent};
use types::{
    AccountId, BucketName, CanonicalId, Checksum, ChecksumAlgorithm, ChecksumType, CommitStamp, ETag, ObjectAttributes,
    ObjectKey, Owner, PartNumber, StorageClass, Timestamp, UploadId, VersionId, Versioning,
};

const AT: Timestamp = Timestamp(1_369_353_600_987_654);
const TAG: ETag = ETag::of_body([0xab; 16]);
const VERSION: VersionRef = VersionRef::Id(VersionId { stamp: CommitStamp(10), random: 11 });
const PROLOGUE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
const OWNER: &str = "<Owner><ID>c0ffee</ID><DisplayName>root &amp; co</DisplayName></Owner>";

fn with<T>(uri: &str, pairs: &[(&'static str, &'static str)], read: impl FnOnce(&RequestHead<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let target = Target::parse(None, path, &BaseDomains::new([])).unwrap();
    let query = Query::parse(Some(query)).unwrap();
    read(&RequestHead { method: &Method::GET, target: &target, query: &query, headers: &headers })
}

fn text(response: &Response<Bytes>) -> &str {
    assert_eq!(response.headers()["content-length"], response.body().len().to_string().as_str());
    std::str::from_utf8(response.body()).unwrap()
}

/// The body without its prologue and the namespace of its root.
fn document(response: &Response<Bytes>) -> String {
    assert_eq!(response.headers()["content-type"], "application/xml");
    let body = text(response).strip_prefix(PROLOGUE).unwrap();
    body.replacen(&format!(" {NAMESPACE}"), "", 1)
}

fn shown<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn owner() -> Owner {
    Owner { account: AccountId::ROOT, canonical_id: CanonicalId("c0ffee".into()), display_name: "root & co".into() }
}

fn object<'a>(key: &'a [u8], class: &'a StorageClass) -> ListedObject<'a> {
    ListedObject { key, modified: AT, etag: TAG, size: 7, storage_class: class, checksum: None, owner: None }
}

const CONTENTS_REST: &str = "<LastModified>2013-05-24T00:00:00.000Z</LastModified>\
    <ETag>&quot;abababababababababababababababab&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass>";

#[test]
fn list_buckets() {
    let (name, owner) = (BucketName::new("abc").unwrap(), owner());
    let buckets = [ListedBucket { name: &name, created: AT, region: "" }];
    let request = with("/?prefix=a", &[], ListBucketsRequest::parse).unwrap();
    assert_eq!(
        document(&s3_wire::list_buckets::answer(&request, &owner, &buckets, Some("next"))),
        format!(
            "<ListAllMyBucketsResult>{OWNER}<Buckets><Bucket><Name>abc</Name>\
             <CreationDate>2013-05-24T00:00:00.000Z</CreationDate><BucketRegion>us-east-1</BucketRegion></Bucket>\
             </Buckets><Prefix>a</Prefix><ContinuationToken>next</ContinuationToken></ListAllMyBucketsResult>"
        )
    );
}

#[test]
fn bucket_answers() {
    let bucket = BucketName::new("abc").unwrap();
    assert_eq!(shown(&s3_wire::create_bucket::answer(&bucket), "location"), Some("/abc"));
    assert_eq!(shown(&s3_wire::head_bucket::answer(""), "x-amz-bucket-region"), Some("us-east-1"));
    let gone = s3_wire::delete_bucket::answer();
    assert_eq!((gone.status(), shown(&gone, "content-length")), (StatusCode::NO_CONTENT, None));
    let location = |region| document(&s3_wire::get_bucket_location::answer(region));
    assert_eq!(location("EU"), "<LocationConstraint>EU</LocationConstraint>");
    assert_eq!(location(""), "<LocationConstraint></LocationConstraint>");
    let versioning = |versioning| document(&s3_wire::bucket_versioning::get_answer(versioning));
    assert_eq!(versioning(Versioning::Off), "<VersioningConfiguration></VersioningConfiguration>");
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(versioning(Versioning::Enabled), enabled);
    assert!(s3_wire::delete_bucket::not_empty(&bucket, true).message().ends_with("delete all versions in the bucket."));
}

#[test]
fn list_objects_v1_has_its_next_marker_only_with_a_delimiter() {
    let class = StorageClass::default();
    let lines = [ListLine::Entry(object(b"a<", &class)), ListLine::CommonPrefix(b"b/")];
    let request = with("/abc?delimiter=/&max-keys=2&marker=A", &[], ListObjectsRequest::parse).unwrap();
    assert_eq!(
        document(&s3_wire::list_objects::answer(&request, &lines, true)),
        format!(
            "<ListBucketResult><Name>abc</Name><Prefix></Prefix><Marker>A</Marker><NextMarker>b/</NextMarker>\
             <MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><Contents><Key>a&lt;</Key>\
             {CONTENTS_REST}</Contents><CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes></ListBucketResult>"
        )
    );
    let request = with("/abc?max-keys=1", &[], ListObjectsRequest::parse).unwrap();
    assert!(!text(&s3_wire::list_objects::answer(&request, &lines[..1], true)).contains("NextMarker"));
}

#[test]
fn list_objects_v2() {
    let (class, owner) = (StorageClass::default(), owner());
    let mut entry = object("k ä".as_bytes(), &class);
    entry.owner = Some(&owner);
    entry.checksum = Some((ChecksumAlgorithm::Crc32, ChecksumType::FullObject));
    let uri = "/abc?list-type=2&encoding-type=url&start-after=s+s&continuation-token=&prefix=k";
    let request = with(uri, &[], ListObjectsV2Request::parse).unwrap();
    let (before_size, rest) = CONTENTS_REST.split_once("<Size>7</Size>").unwrap();
    assert_eq!(
        document(&s3_wire::list_objects_v2::answer(&request, &[ListLine::Entry(entry)], Some("next"))),
        format!(
            "<ListBucketResult><Name>abc</Name><Prefix>k</Prefix><StartAfter>s+s</StartAfter>\
             <ContinuationToken></ContinuationToken><NextContinuationToken>next</NextContinuationToken>\
             <KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>\
             <IsTruncated>true</IsTruncated><Contents><Key>k+%C3%A4</Key>{before_size}\
             <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>7</Size>{OWNER}\
             {rest}</Contents></ListBucketResult>"
        )
    );
}

#[test]
fn list_object_versions() {
    let (class, owner) = (StorageClass::default(), owner());
    let version = |marker, version, newest| {
        let object = object(b"k", &class);
        ListLine::Entry(ListedVersion { object, version, newest, marker, owner: &owner })
    };
    let request = with("/abc?versions&max-keys=2", &[], ListObjectVersionsRequest::parse).unwrap();
    let lines = [version(true, VERSION, true), version(false, VersionRef::Null, false)];
    let time = "<LastModified>2013-05-24T00:00:00.000Z</LastModified>";
    let rest = CONTENTS_REST.strip_prefix(time).unwrap();
    assert_eq!(
        document(&s3_wire::list_object_versions::answer(&request, &lines, true)),
        format!(
            "<ListVersionsResult><Name>abc</Name><Prefix></Prefix><KeyMarker></KeyMarker>\
             <VersionIdMarker></VersionIdMarker><NextKeyMarker>k</NextKeyMarker>\
             <NextVersionIdMarker>null</NextVersionIdMarker><MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated>\
             <DeleteMarker><Key>k</Key><VersionId>{VERSION}</VersionId><IsLatest>true</IsLatest>{time}{OWNER}\
             </DeleteMarker><Version><Key>k</Key><VersionId>null</VersionId><IsLatest>false</IsLatest>{time}{rest}\
             {OWNER}</Version></ListVersionsResult>"
        )
    );
}

#[test]
fn list_multipart_uploads_and_parts() {
    let (class, owner) = (StorageClass::default(), owner());
    let upload = UploadId::from_bytes([0xcd; 16]);
    let request = with("/abc?uploads", &[], ListMultipartUploadsRequest::parse).unwrap();
    let line = ListedUpload { key: b"k", upload, owner: &owner, storage_class: &class, began: AT, checksum: None };
    let initiator = OWNER.replace("Owner>", "Initiator>");
    assert_eq!(
        document(&s3_wire::list_multipart_uploads::answer(&request, &[ListLine::Entry(line)], false)),
        format!(
            "<ListMultipartUploadsResult><Bucket>abc</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>\
             <Prefix></Prefix><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated><Upload><Key>k</Key>\
             <UploadId>{upload}</UploadId>{initiator}{OWNER}<StorageClass>STANDARD</StorageClass>\
             <Initiated>2013-05-24T00:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>"
        )
    );
    let request = with(&format!("/abc/k?uploadId={upload}"), &[], ListPartsRequest::parse).unwrap();
    let sum = Checksum::new(ChecksumAlgorithm::Crc32, ChecksumType::FullObject, vec![1, 2, 3, 4]).unwrap();
    let number = PartNumber::new(2).unwrap();
    let part = ListedPart { number, etag: &TAG, plain_bytes: 7, modified: AT, checksum: Some(&sum) };
    let checksum = Some((ChecksumAlgorithm::Crc32, ChecksumType::Composite));
    let of = UploadOfParts { owner: &owner, storage_class: &class, checksum };
    assert_eq!(
        document(&s3_wire::list_parts::answer(&request, &of, &[part], true)),
        format!(
            "<ListPartsResult><Bucket>abc</Bucket><Key>k</Key><UploadId>{upload}</UploadId>{initiator}{OWNER}\
             <StorageClass>STANDARD</StorageClass><PartNumberMarker>0</PartNumberMarker>\
             <NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>true</IsTruncated>\
             <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType><Part>\
             <PartNumber>2</PartNumber><LastModified>2013-05-24T00:00:00.000Z</LastModified>\
             <ETag>&quot;abababababababababababababababab&quot;</ETag><Size>7</Size>\
             <ChecksumCRC32>AQIDBA==</ChecksumCRC32></Part></ListPartsResult>"
        )
    );
}

fn facts(attributes: &ObjectAttributes) -> ObjectFacts<'_> {
    ObjectFacts { attributes, etag: &TAG, modified: AT, plain_bytes: 100, version_id: Some(VERSION) }
}

#[test]
fn get_and_head_object() {
    let attributes = ObjectAttributes::default();
    let none = ResponseOverrides::default();
    let sum = Checksum::new(ChecksumAlgorithm::Crc32, ChecksumType::FullObject, vec![1, 2, 3, 4]).unwrap();
    let answer = |content, overrides: &ResponseOverrides| {
        let object = facts(&attributes);
        ObjectAnswer { object, content, parts_count: Some(3), checksum: Some(&sum), overrides }.write()
    };
    let whole = answer(Content::Whole, &none);
    assert_eq!((whole.status(), shown(&whole, "content-length")), (StatusCode::OK, Some("100")));
    assert_eq!(shown(&whole, "etag"), Some("\"abababababababababababababababab\""));
    assert_eq!(shown(&whole, "last-modified"), Some("Fri, 24 May 2013 00:00:00 GMT"));
    assert_eq!(shown(&whole, "accept-ranges"), Some("bytes"));
    assert_eq!(shown(&whole, "content-type"), Some("binary/octet-stream"));
    assert_eq!(shown(&whole, "x-amz-version-id"), Some(VERSION.to_string().as_str()));
    assert_eq!(shown(&whole, "x-amz-mp-parts-count"), Some("3"));
    assert_eq!(shown(&whole, "x-amz-checksum-crc32"), Some("AQIDBA=="));
    assert_eq!(shown(&whole, "x-amz-checksum-type"), Some("FULL_OBJECT"));
    let part = answer(Content::Range(ByteRange { first: 10, last: 19 }), &none);
    assert_eq!((part.status(), shown(&part, "content-length")), (StatusCode::PARTIAL_CONTENT, Some("10")));
    assert_eq!(shown(&part, "content-range"), Some("bytes 10-19/100"));
    let uri = "/abc/k?response-content-type=text/x&response-cache-control=no-store";
    let request = with(uri, &[], GetObjectRequest::parse).unwrap();
    let other = answer(Content::Whole, &request.overrides);
    assert_eq!((shown(&other, "content-type"), shown(&other, "cache-control")), (Some("text/x"), Some("no-store")));
}

#[test]
fn reads_that_find_nothing() {
    let key = ObjectKey::new("k").unwrap();
    let newest = s3_wire::get_object::delete_marker(&key, AT, Some(VERSION), false);
    let named = s3_wire::get_object::delete_marker(&key, AT, Some(VERSION), true);
    let context = s3_wire::ErrorContext { resource: "/abc/k", request_id: "R", host_id: "H" };
    let (newest, named) = (newest.response(&context), named.response(&context));
    assert_eq!((newest.status(), shown(&newest, "x-amz-delete-marker")), (StatusCode::NOT_FOUND, Some("true")));
    assert_eq!((named.status(), shown(&named, "allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("DELETE")));
    assert_eq!(s3_wire::get_object::no_such_version(&key, VERSION).code(), ErrorCode::NoSuchVersion);
    let part = s3_wire::get_object::no_such_part(PartNumber::new(9).unwrap(), 3);
    assert_eq!((part.code(), part.field("ActualPartCount")), (ErrorCode::InvalidPartNumber, Some("3")));
}

#[test]
fn stored_copied_and_deleted() {
    let sum = Checksum::new(ChecksumAlgorithm::Sha1, ChecksumType::FullObject, vec![1; 20]).unwrap();
    let stored = StoredAnswer { etag: &TAG, version: Some(VERSION), checksum: Some(&sum) }.write();
    assert_eq!((shown(&stored, "content-length"), stored.status()), (Some("0"), StatusCode::OK));
    assert!(shown(&stored, "x-amz-checksum-sha1").is_some() && shown(&stored, "x-amz-version-id").is_some());
    let copied = CopiedAnswer {
        etag: &TAG,
        modified: AT,
        checksum: None,
        version: Some(VERSION),
        source_version: Some(VersionRef::Null),
    };
    let response = copied.write();
    let content = "<LastModified>2013-05-24T00:00:00.000Z</LastModified>\
                   <ETag>&quot;abababababababababababababababab&quot;</ETag>";
    assert_eq!(document(&response), format!("<CopyObjectResult>{content}</CopyObjectResult>"));
    assert_eq!(shown(&response, "x-amz-copy-source-version-id"), Some("null"));
    assert_eq!(
        document(&s3_wire::upload_part_copy::answer(&copied)),
        format!("<CopyPartResult>{content}</CopyPartResult>")
    );
    let deleted = s3_wire::delete_object::answer(Deleted { version: Some(VERSION), marker: true });
    assert_eq!((deleted.status(), shown(&deleted, "x-amz-delete-marker")), (StatusCode::NO_CONTENT, Some("true")));
}

#[test]
fn delete_objects_answers_all_or_with_quiet_what_failed() {
    let key = ObjectKey::new("k&").unwrap();
    let deleted = Deleted { version: Some(VERSION), marker: true };
    let outcomes = [
        DeleteOutcome::Deleted { key: key.clone(), named: None, deleted },
        DeleteOutcome::Deleted { key, named: Some(VersionRef::Null), deleted: Deleted::default() },
        DeleteOutcome::Refused(Refused {
            key: Bytes::from_static(b"x"),
            version: Some("v".to_owned()),
            error: S3Error::new(ErrorCode::AccessDenied),
        }),
    ];
    let failed = "<Error><Key>x</Key><VersionId>v</VersionId><Code>AccessDenied</Code><Message>Access Denied</Message>\
                  </Error>";
    assert_eq!(
        document(&s3_wire::delete_objects::answer(&outcomes, false)),
        format!(
            "<DeleteResult><Deleted><Key>k&amp;</Key><DeleteMarker>true</DeleteMarker>\
             <DeleteMarkerVersionId>{VERSION}</DeleteMarkerVersionId></Deleted><Deleted><Key>k&amp;</Key>\
             <VersionId>null</VersionId></Deleted>{failed}</DeleteResult>"
        )
    );
    let quiet = document(&s3_wire::delete_objects::answer(&outcomes, true));
    assert_eq!(quiet, format!("<DeleteResult>{failed}</DeleteResult>"));
}

#[test]
fn complete_multipart_upload_whole_or_after_keeping_alive() {
    let (bucket, key) = (BucketName::new("abc").unwrap(), ObjectKey::new("k").unwrap());
    let etag = ETag { parts: Some(2), ..TAG };
    let sum = Checksum::new(ChecksumAlgorithm::Crc32, ChecksumType::Composite, vec![1, 2, 3, 4]).unwrap();
    let location = "http://localhost/abc/k";
    let answer = CompletedAnswer {
        location,
        bucket: &bucket,
        key: &key,
        etag: &etag,
        checksum: Some(&sum),
        version: Some(VERSION),
    };
    let response = answer.write();
    assert_eq!(
        document(&response),
        "<CompleteMultipartUploadResult><Location>http://localhost/abc/k</Location><Bucket>abc</Bucket><Key>k</Key>\
         <ETag>&quot;abababababababababababababababab-2&quot;</ETag><ChecksumCRC32>AQIDBA==-2</ChecksumCRC32>\
         <ChecksumType>COMPOSITE</ChecksumType></CompleteMultipartUploadResult>"
    );
    let mut rest = XmlWriter::fragment();
    answer.write_element(&mut rest);
    let kept_alive = format!("{KEEP_ALIVE_PROLOGUE}  {}", std::str::from_utf8(&rest.finish()).unwrap());
    assert!(Element::parse(kept_alive.as_bytes(), 1 << 20).is_ok());
    assert_eq!(kept_alive.replace("  <", "<"), text(&response));
}

#[test]
fn get_object_attributes() {
    let headers = [("x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize")];
    let request = with("/abc/k?attributes", &headers, GetObjectAttributesRequest::parse).unwrap();
    let attributes = ObjectAttributes::default();
    let parts = [AttributesPart { number: PartNumber::ONE, size: 100, checksum: None }];
    let page = PartsPage { count: 1, page: Some(&parts), truncated: false };
    let response = s3_wire::get_object_attributes::answer(&request, &facts(&attributes), None, None, Some(&page));
    assert_eq!(
        document(&response),
        "<GetObjectAttributesResponse><ETag>abababababababababababababababab</ETag><ObjectParts>\
         <PartsCount>1</PartsCount><PartNumberMarker>0</PartNumberMarker>\
         <NextPartNumberMarker>1</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated><Part>\
         <PartNumber>1</PartNumber><Size>100</Size></Part></ObjectParts><StorageClass>STANDARD</StorageClass>\
         <ObjectSize>100</ObjectSize></GetObjectAttributesResponse>"
    );
    assert_eq!(shown(&response, "last-modified"), Some("Fri, 24 May 2013 00:00:00 GMT"));
}

#[test]
fn every_operation_is_served_or_answered_as_not_configured_or_not_implemented() {
    let (bucket, owner) = (BucketName::new("abc").unwrap(), owner());
    for &operation in Operation::ALL {
        let answer = s3_wire::not_configured::answer(operation, &bucket, &owner);
        assert_eq!(answer.is_none(), s3_wire::not_configured::is_served(operation), "{operation:?}");
        match answer {
            Some(Ok(response)) if response.status() == StatusCode::OK => {
                assert!(operation.is_read(), "{operation:?}");
                assert!(Element::parse(response.body(), 1 << 20).is_ok(), "{operation:?}");
            }
            Some(Ok(response)) => {
                assert_eq!(response.status(), StatusCode::NO_CONTENT);
                assert!(operation.name().starts_with("Delete"), "{operation:?}");
            }
            Some(Err(error)) if error.code() == ErrorCode::NotImplemented => {
                assert_eq!(error.field("Operation"), Some(operation.name()));
            }
            Some(Err(_)) | None => {}
        }
        // Nothing that sets something may seem to work.
        if operation.name().starts_with("Put") && !s3_wire::not_configured::is_served(operation) {
            let code =
                s3_wire::not_configured::answer(operation, &bucket, &owner).map(|answer| answer.map_err(|e| e.code()));
            assert!(matches!(code, Some(Err(ErrorCode::NotImplemented))), "{operation:?}");
        }
    }
    let acl = s3_wire::not_configured::answer(Operation::GetBucketAcl, &bucket, &owner).unwrap().unwrap();
    assert!(text(&acl).contains("<Permission>FULL_CONTROL</Permission>") && text(&acl).contains(OWNER));
}

proptest! {
    #[test]
    fn any_keys_make_whole_documents_that_name_them(keys in prop::collection::vec(any::<Vec<u8>>(), 0..6), url: bool) {
        let class = StorageClass::default();
        let lines: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| match at % 2 {
                0 => ListLine::Entry(object(key, &class)),
                _ => ListLine::CommonPrefix(key),
            })
            .collect();
        let uri = if url { "/abc?list-type=2&encoding-type=url" } else { "/abc?list-type=2" };
        let request = with(uri, &[], ListObjectsV2Request::parse).unwrap();
        let response = s3_wire::list_objects_v2::answer(&request, &lines, None);
        // A character that XML doesn't have is written as a reference that no reader of XML 1.0 takes, as AWS does.
        let readable = url || keys.iter().all(|key| key.iter().all(|byte| *byte != 0));
        if readable {
            let tree = Element::parse(response.body(), 1 << 20).unwrap();
            let named = |element: &Element<'_>| match element.name() {
                "Contents" => Some(element.child("Key").unwrap().unwrap().text().to_owned()),
                "CommonPrefixes" => Some(element.child("Prefix").unwrap().unwrap().text().to_owned()),
                _ => None,
            };
            let mut read: Vec<_> = tree.children().iter().filter_map(named).collect();
            let mut expected: Vec<_> = keys.iter().map(|key| match url {
                true => {
                    let mut encoded = Vec::new();
                    percent::encode_listing(&mut encoded, key);
                    String::from_utf8(encoded).unwrap()
                }
                false => String::from_utf8_lossy(key).into_owned(),
            }).collect();
            read.sort();
            expected.sort();
            prop_assert_eq!(read, expected);
        }
        prop_assert!(std::str::from_utf8(response.body()).is_ok());
    }
}
