//! Objects: reads with ranges, conditions, versions and overrides, copies, deletes, listings.

use crate::client::Client;
use crate::world::World;

async fn enable_versioning(client: &mut Client, bucket: &str) {
    let document = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(client.put(&format!("/{bucket}?versioning"), document).await.status, 200);
}

#[tokio::test]
async fn headers_metadata_and_tags_come_back() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let headers = [
        ("content-type", "text/x"),
        ("cache-control", "max-age=1"),
        ("x-amz-meta-colour", "red"),
        ("x-amz-tagging", "a=1&b=2"),
        ("x-amz-storage-class", "REDUCED"),
    ];
    assert_eq!(client.send("PUT", "/bucket/key", &headers, b"hello").await.status, 200);
    for method in ["GET", "HEAD"] {
        let answer = client.send(method, "/bucket/key", &[], b"").await;
        assert_eq!(answer.status, 200);
        for (name, value) in [
            ("content-type", "text/x"),
            ("cache-control", "max-age=1"),
            ("x-amz-meta-colour", "red"),
            ("x-amz-tagging-count", "2"),
            ("x-amz-storage-class", "REDUCED"),
            ("content-length", "5"),
            ("accept-ranges", "bytes"),
            ("server", "Cairn"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {name}");
        }
        assert_eq!(answer.header("x-amz-version-id"), None);
    }
    assert!(client.get("/bucket/key?tagging").await.text().contains("<Key>b</Key><Value>2</Value>"));
    let overridden = client.get("/bucket/key?response-content-type=text%2Fy&response-cache-control=none").await;
    assert_eq!(overridden.header("content-type"), Some("text/y"));
    assert_eq!(overridden.header("cache-control"), Some("none"));
}

#[tokio::test]
async fn errors_name_their_request_and_come_without_body_to_head() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let missing = client.get("/bucket/a%3Cb").await;
    assert_eq!(missing.error(), (404, "NoSuchKey".to_owned()));
    assert_eq!(missing.element("RequestId").as_deref(), missing.header("x-amz-request-id"));
    assert_eq!(missing.element("HostId").as_deref(), missing.header("x-amz-id-2"));
    assert_eq!(missing.element("Resource").as_deref(), Some("/bucket/a%3Cb"));
    assert!(missing.header("date").is_some());
    let head = client.send("HEAD", "/bucket/missing", &[], b"").await;
    assert_eq!(head.status, 404);
    assert!(head.header("x-amz-request-id").is_some());
}

#[tokio::test]
async fn ranges_are_answered_206_and_416() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let body: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(client.put("/bucket/key", &body).await.status, 200);
    for (range, expected) in [
        ("bytes=0-9", 0..10),
        ("bytes=100000-100009", 100_000..100_010),
        ("bytes=199990-", 199_990..200_000),
        ("bytes=-5", 199_995..200_000),
    ] {
        let answer = client.send("GET", "/bucket/key", &[("range", range)], b"").await;
        assert_eq!(answer.status, 206, "{range}");
        let shown = format!("bytes {}-{}/200000", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), Some(shown.as_str()));
        assert!(answer.body == body[expected]);
    }
    let answer = client.send("GET", "/bucket/key", &[("range", "bytes=200000-")], b"").await;
    assert_eq!(answer.error(), (416, "InvalidRange".to_owned()));
    let whole = client.send("GET", "/bucket/key", &[("range", "bytes=0-1,3-4")], b"").await;
    assert_eq!((whole.status, whole.body.len()), (200, 200_000));
}

#[tokio::test]
async fn conditions_are_answered_304_and_412() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let stored = client.put("/bucket/key", b"hello").await;
    let etag = stored.header("etag").unwrap().to_owned();
    let unchanged = client.send("GET", "/bucket/key", &[("if-none-match", &etag)], b"").await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some(etag.as_str())));
    assert!(unchanged.body.is_empty());
    let other = client.send("GET", "/bucket/key", &[("if-match", "\"00000000000000000000000000000000\"")], b"").await;
    assert_eq!(other.error(), (412, "PreconditionFailed".to_owned()));
    assert_eq!(other.element("Condition").as_deref(), Some("If-Match"));

    let exists = client.send("PUT", "/bucket/key", &[("if-none-match", "*")], b"new").await;
    assert_eq!(exists.error(), (412, "PreconditionFailed".to_owned()));
    assert_eq!(client.send("PUT", "/bucket/new", &[("if-none-match", "*")], b"new").await.status, 200);
    assert_eq!(client.send("PUT", "/bucket/key", &[("if-match", &etag)], b"newer").await.status, 200);
    let gone = client.send("PUT", "/bucket/gone", &[("if-match", &etag)], b"newer").await;
    assert_eq!(gone.error(), (404, "NoSuchKey".to_owned()));
    let unbuilt = client.send("PUT", "/bucket/key", &[("if-none-match", &etag)], b"newer").await;
    assert_eq!(unbuilt.error(), (501, "NotImplemented".to_owned()));
    assert_eq!(unbuilt.element("Header").as_deref(), Some("If-None-Match"));
    assert_eq!(client.get("/bucket/key").await.body, b"newer");
}

#[tokio::test]
async fn versions_and_markers_are_shown_and_removed() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    enable_versioning(&mut client, "bucket").await;
    let first = client.put("/bucket/key", b"1").await.header("x-amz-version-id").unwrap().to_owned();
    let second = client.put("/bucket/key", b"22").await.header("x-amz-version-id").unwrap().to_owned();
    assert_eq!(client.get(&format!("/bucket/key?versionId={first}")).await.body, b"1");
    let deleted = client.send("DELETE", "/bucket/key", &[], b"").await;
    assert_eq!((deleted.status, deleted.header("x-amz-delete-marker")), (204, Some("true")));
    let marker = deleted.header("x-amz-version-id").unwrap().to_owned();
    let missing = client.get("/bucket/key").await;
    assert_eq!(missing.error(), (404, "NoSuchKey".to_owned()));
    assert_eq!(missing.header("x-amz-delete-marker"), Some("true"));
    let named = client.get(&format!("/bucket/key?versionId={marker}")).await;
    assert_eq!(named.error(), (405, "MethodNotAllowed".to_owned()));
    assert_eq!(named.header("allow"), Some("DELETE"));
    let list = client.get("/bucket?versions").await.text();
    for id in [&first, &second, &marker] {
        assert!(list.contains(&format!("<VersionId>{id}</VersionId>")), "{list}");
    }
    let removed = client.send("DELETE", &format!("/bucket/key?versionId={marker}"), &[], b"").await;
    assert_eq!((removed.status, removed.header("x-amz-delete-marker")), (204, Some("true")));
    assert_eq!(client.get("/bucket/key").await.body, b"22");
}

#[tokio::test]
async fn copies_take_or_replace_metadata() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let headers = [("x-amz-meta-a", "1"), ("content-type", "text/x")];
    assert_eq!(client.send("PUT", "/bucket/a%20b", &headers, b"hello").await.status, 200);
    let copied = client.send("PUT", "/bucket/copy", &[("x-amz-copy-source", "/bucket/a%20b")], b"").await;
    assert_eq!(copied.status, 200, "{}", copied.text());
    assert_eq!(client.get("/bucket/copy").await.header("x-amz-meta-a"), Some("1"));
    let replaced =
        [("x-amz-copy-source", "bucket/a%20b"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")];
    assert_eq!(client.send("PUT", "/bucket/copy", &replaced, b"").await.status, 200);
    let read = client.get("/bucket/copy").await;
    assert_eq!((read.header("x-amz-meta-a"), read.header("x-amz-meta-b")), (None, Some("2")));
    assert_eq!(read.body, b"hello");
    let onto_itself = client.send("PUT", "/bucket/copy", &[("x-amz-copy-source", "bucket/copy")], b"").await;
    assert_eq!(onto_itself.error(), (400, "InvalidRequest".to_owned()));
    let missing = client.send("PUT", "/bucket/copy", &[("x-amz-copy-source", "bucket/none")], b"").await;
    assert_eq!(missing.error(), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn many_objects_are_deleted_at_once() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for key in ["a", "b", "c"] {
        assert_eq!(client.put(&format!("/bucket/{key}"), b"x").await.status, 200);
    }
    let document = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object>\
                    <Object><Key>none</Key></Object><Object><Key>c</Key><VersionId>what</VersionId></Object></Delete>";
    let bare = client.send("POST", "/bucket?delete", &[], document.as_bytes()).await;
    assert_eq!(bare.error(), (400, "InvalidRequest".to_owned()));
    let md5 = {
        use base64::Engine;
        use md5::Digest;
        base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(document))
    };
    let answer = client.send("POST", "/bucket?delete", &[("content-md5", &md5)], document.as_bytes()).await;
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    for key in ["a", "b", "none"] {
        assert!(text.contains(&format!("<Deleted><Key>{key}</Key></Deleted>")), "{text}");
    }
    assert!(text.contains("<Error><Key>c</Key><VersionId>what</VersionId><Code>InvalidArgument</Code>"), "{text}");
    let list = client.get("/bucket").await.text();
    assert!(list.contains("<Key>c</Key>") && !list.contains("<Key>a</Key>"), "{list}");
}

#[tokio::test]
async fn listings_come_in_pages_in_byte_order() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for key in ["a/1", "a/2", "b%2B1", "b/", "c"] {
        assert_eq!(client.put(&format!("/bucket/{key}"), b"x").await.status, 200);
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = client.get(&format!("/bucket?list-type=2&max-keys=2&continuation-token={token}")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        seen.extend(page.text().match_indices("<Key>").map(|(at, _)| {
            let rest = &page.text()[at + 5..];
            rest[..rest.find('<').unwrap()].to_owned()
        }));
        match page.element("NextContinuationToken") {
            Some(next) => token = next,
            None => break,
        }
    }
    assert_eq!(seen, ["a/1", "a/2", "b+1", "b/", "c"]);
    let rolled = client.get("/bucket?delimiter=%2F&max-keys=2").await;
    assert!(rolled.text().contains("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"));
    assert_eq!(rolled.element("NextMarker").as_deref(), Some("b+1"));
    assert_eq!(client.get("/bucket?max-keys=blah").await.error(), (400, "InvalidArgument".to_owned()));
    assert_eq!(client.get("/bucket?list-type=2&continuation-token=%21").await.error().0, 400);
}

#[tokio::test]
async fn attributes_of_an_object_are_told() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    assert_eq!(client.put("/bucket/key", b"hello").await.status, 200);
    let wanted = [("x-amz-object-attributes", "ETag,ObjectSize,Checksum,StorageClass")];
    let answer = client.send("GET", "/bucket/key?attributes", &wanted, b"").await;
    assert_eq!(answer.element("ETag").as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(answer.element("ObjectSize").as_deref(), Some("5"));
    assert!(answer.text().contains("<ChecksumCRC64NVME>"));
    assert_eq!(client.get("/bucket/key?attributes").await.error(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn what_would_be_kept_otherwise_is_refused_by_name() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for (name, value, code) in [
        ("x-amz-server-side-encryption", "AES256", (501, "NotImplemented")),
        ("x-amz-acl", "public-read", (501, "NotImplemented")),
        ("x-amz-acl", "nonsense", (400, "InvalidArgument")),
        ("x-amz-storage-class", "NOWHERE", (400, "InvalidStorageClass")),
        ("x-amz-object-lock-mode", "GOVERNANCE", (400, "InvalidArgument")),
    ] {
        let answer = client.send("PUT", "/bucket/key", &[(name, value)], b"x").await;
        assert_eq!(answer.error(), (code.0, code.1.to_owned()), "{name}: {value}");
    }
    for acl in ["private", "bucket-owner-full-control"] {
        assert_eq!(client.send("PUT", "/bucket/key", &[("x-amz-acl", acl)], b"x").await.status, 200);
    }
    let metadata = "m".repeat(2100);
    let answer = client.send("PUT", "/bucket/key", &[("x-amz-meta-long", &metadata)], b"x").await;
    assert_eq!(answer.error(), (400, "MetadataTooLarge".to_owned()));
}

#[tokio::test]
async fn keys_are_bytes_up_to_1024() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let odd = ["%FF%00", "a//b/../c", "%25%3C%3E%22", "k".repeat(1024).as_str()].map(str::to_owned);
    for key in &odd {
        assert_eq!(client.put(&format!("/bucket/{key}"), key.as_bytes()).await.status, 200, "{key}");
    }
    for key in &odd {
        assert_eq!(client.get(&format!("/bucket/{key}")).await.body, key.as_bytes(), "{key}");
    }
    let long = format!("/bucket/{}", "k".repeat(1025));
    assert_eq!(client.put(&long, b"").await.error(), (400, "KeyTooLongError".to_owned()));
    assert_eq!(client.put("/bucket/../x", b"").await.error(), (400, "InvalidURI".to_owned()));
}

#[tokio::test]
async fn the_first_part_of_any_object_is_a_range_of_it() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    assert_eq!(client.put("/bucket/key", b"0123456789").await.status, 200);
    assert_eq!(client.put("/bucket/empty", b"").await.status, 200);
    for method in ["GET", "HEAD"] {
        let part = client.send(method, "/bucket/key?partNumber=1", &[], b"").await;
        assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 0-9/10")), "{method}");
        let empty = client.send(method, "/bucket/empty?partNumber=1", &[], b"").await;
        assert_eq!((empty.status, empty.header("content-range")), (200, None), "{method}");
    }
}

#[tokio::test]
async fn what_writes_takes_no_version() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for version in ["null", "abc", ""] {
        let refused = client.put(&format!("/bucket/key?versionId={version}"), b"x").await;
        assert_eq!(refused.error(), (400, "InvalidArgument".to_owned()), "{version}");
        let source = [("x-amz-copy-source", "/bucket/key")];
        for more in ["", "partNumber=1&uploadId=0&"] {
            let refused = client.send("PUT", &format!("/bucket/copy?{more}versionId={version}"), &source, b"").await;
            assert_eq!(refused.error(), (400, "InvalidArgument".to_owned()), "a copy to {more} {version}");
        }
        let part = client.put(&format!("/bucket/key?partNumber=1&uploadId=0&versionId={version}"), b"x").await;
        assert_eq!(part.error(), (400, "InvalidArgument".to_owned()), "a part of {version}");
    }
    assert_eq!(client.get("/bucket/key").await.status, 404);
}

#[tokio::test]
async fn a_delete_marker_is_no_source_of_a_copy() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    enable_versioning(&mut client, "bucket").await;
    assert_eq!(client.put("/bucket/key", b"x").await.status, 200);
    let deleted = client.send("DELETE", "/bucket/key", &[], b"").await;
    let marker = deleted.header("x-amz-version-id").unwrap().to_owned();
    let source = format!("/bucket/key?versionId={marker}");
    let refused = client.send("PUT", "/bucket/copy", &[("x-amz-copy-source", source.as_str())], b"").await;
    assert_eq!(refused.error(), (400, "InvalidRequest".to_owned()));
    assert!(refused.text().contains("may not specifically refer to a delete marker"), "{}", refused.text());
    let newest = client.send("PUT", "/bucket/copy", &[("x-amz-copy-source", "/bucket/key")], b"").await;
    assert_eq!(newest.error(), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn keys_of_encryption_are_refused_where_nothing_is_encrypted() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    assert_eq!(client.put("/bucket/key", b"x").await.status, 200);
    let keys = [("x-amz-server-side-encryption-customer-algorithm", "AES256"), ("x-amz-object-attributes", "ETag")];
    for target in ["/bucket/key", "/bucket/key?attributes"] {
        let refused = client.send("GET", target, &keys, b"").await;
        assert_eq!(refused.error(), (400, "InvalidRequest".to_owned()), "{target}");
    }
    let document = b"<CompleteMultipartUpload></CompleteMultipartUpload>";
    let created = client.send("POST", "/bucket/upload?uploads", &[], b"").await;
    let target = format!("/bucket/upload?uploadId={}", created.element("UploadId").unwrap());
    let refused = client.send("POST", &target, &keys[..1], document).await;
    assert_eq!(refused.error(), (400, "InvalidRequest".to_owned()));
}
