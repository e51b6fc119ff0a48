//! What is said of an object beside its bytes: metadata, standard headers, tags, storage class.

use aws_sdk_s3::types::{MetadataDirective, StorageClass, TaggingDirective};

use super::raw::{Answer, Connection, Payload, request, signed};
use super::{code_of, fresh, put};
use crate::body::body;
use crate::server::Server;

/// A PUT with headers of any bytes. They are not signed, so none may be an `x-amz-` header: those are in the URL.
fn put_with_bytes(target: &str, headers: &[u8]) -> Answer {
    let server = Server::shared();
    let mut head = signed(server, "PUT", target, &[], &Payload::Unsigned).with("Content-Length", 1).head();
    head.truncate(head.len() - 2);
    Connection::open(server).exchange(&[&head[..], headers, b"\r\nx"].concat(), false)
}

/// The bytes of a header's value, of which the answer's text has one character each.
fn bytes_of(answer: &Answer, name: &str) -> Option<Vec<u8>> {
    answer.header(name).map(|value| value.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect())
}

#[tokio::test]
async fn all_standard_headers_are_kept() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let headers = [
        ("content-type", "text/plain; charset=\"utf-8\""),
        ("cache-control", "max-age=60, private"),
        ("content-disposition", "attachment; filename=\"a,b;c.txt\""),
        ("content-encoding", "gzip, br"),
        ("content-language", "de, en"),
        ("expires", "whenever"),
        ("x-amz-website-redirect-location", "/elsewhere"),
    ];
    assert_eq!(request(server, "PUT", &format!("/{bucket}/k"), &headers, b"x").status, 200);
    client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{bucket}/k")).send().await.expect("copied");
    for key in ["k", "copy"] {
        for method in ["GET", "HEAD"] {
            let answer = request(server, method, &format!("/{bucket}/{key}"), &[], b"");
            for (name, value) in headers {
                // Where an object redirects to is told by itself, and a copy has none of its own.
                let expected = Some(value).filter(|_| key == "k" || name != "x-amz-website-redirect-location");
                assert_eq!(answer.header(name), expected, "{method} {key}: {name}");
            }
        }
    }
    // Nothing else of a request is.
    put(&client, &bucket, "plain", b"x").await;
    let plain = request(server, "GET", &format!("/{bucket}/plain"), &[], b"");
    for (name, _) in &headers[1..] {
        assert_eq!(plain.header(name), None, "{name}");
    }
    assert_eq!(request(server, "PUT", &format!("/{bucket}/bare"), &[], b"x").status, 200);
    let bare = request(server, "HEAD", &format!("/{bucket}/bare"), &[], b"");
    assert_eq!(bare.header("content-type"), Some("binary/octet-stream"));
}

#[tokio::test]
async fn headers_of_any_bytes_come_back_as_they_were() {
    let (_, bucket) = fresh().await;
    let target = format!("/{bucket}/k");
    let utf8 = "attachment; filename=\"\u{fc}\u{20ac}.txt\"".as_bytes();
    let latin1 = b"caf\xe9";
    let lines = [b"Content-Disposition: ", utf8, b"\r\nCache-Control: ", latin1, b"\r\n"].concat();
    assert_eq!(put_with_bytes(&target, &lines).status, 200);
    let head = request(Server::shared(), "HEAD", &target, &[], b"");
    assert_eq!(bytes_of(&head, "content-disposition").as_deref(), Some(utf8));
    assert_eq!(bytes_of(&head, "cache-control").as_deref(), Some(&latin1[..]));
}

#[tokio::test]
async fn odd_metadata_is_kept() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let headers = [
        ("x-amz-meta-UPPER-Case", "Value Case"),
        ("x-amz-meta-empty", ""),
        ("x-amz-meta-spaces", "  around and  within  "),
        ("x-amz-meta-twice", "one"),
        ("x-amz-meta-twice", "two"),
        ("x-amz-meta-quote", "\"<&>\"; a=b, c"),
        ("x-amz-meta-dots.and_lines", "%20+"),
        ("x-amz-meta-utf8", "ü€😀"),
        ("x-amz-meta-encoded", "=?UTF-8?B?w7w=?="),
    ];
    let stored = request(server, "PUT", &format!("/{bucket}/k"), &headers, b"x");
    assert_eq!(stored.status, 200, "{}", stored.text());
    client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{bucket}/k")).send().await.expect("copied");
    for key in ["k", "copy"] {
        let head = request(server, "HEAD", &format!("/{bucket}/{key}"), &[], b"");
        for (name, value) in [
            ("x-amz-meta-upper-case", "Value Case"),
            ("x-amz-meta-empty", ""),
            ("x-amz-meta-spaces", "around and  within"),
            ("x-amz-meta-twice", "one,two"),
            ("x-amz-meta-quote", "\"<&>\"; a=b, c"),
            ("x-amz-meta-dots.and_lines", "%20+"),
            ("x-amz-meta-utf8", "ü€😀"),
            ("x-amz-meta-encoded", "=?UTF-8?B?w7w=?="),
        ] {
            assert_eq!(bytes_of(&head, name).as_deref(), Some(value.as_bytes()), "{key}: {name}");
        }
    }
    let read = client.head_object().bucket(&bucket).key("k").send().await.expect("the SDK reads it");
    assert_eq!(read.metadata().map(std::collections::HashMap::len), Some(8));
}

#[tokio::test]
async fn metadata_has_2_kib_wherever_it_is_given() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    put(&client, &bucket, "source", b"x").await;
    let source = format!("/{bucket}/source");
    let copy = [("x-amz-copy-source", source.as_str()), ("x-amz-metadata-directive", "REPLACE")];
    for (method, target, more) in [
        ("PUT", format!("/{bucket}/k"), &[][..]),
        ("PUT", format!("/{bucket}/copy"), &copy),
        ("POST", format!("/{bucket}/upload?uploads"), &[]),
    ] {
        // Names and values count, the prefix doesn't.
        let (fits, over) = ("v".repeat(2048 - 6), "v".repeat(2048 - 5));
        let send = |value: &str| {
            let mut headers = vec![("x-amz-meta-one", "1"), ("x-amz-meta-b", value)];
            headers.push(("x-amz-meta-c", ""));
            headers.extend_from_slice(more);
            request(server, method, &target, &headers, b"")
        };
        let stored = send(&fits);
        assert_eq!(stored.status, 200, "{method} {target}: {}", stored.text());
        let refused = send(&over);
        assert_eq!(refused.error(), (400, "MetadataTooLarge"), "{method} {target}");
        assert_eq!((refused.element("Size"), refused.element("MaxSizeAllowed")), (Some("2049"), Some("2048")));
    }
}

#[tokio::test]
async fn a_copy_takes_or_replaces_metadata_and_tags_each_by_its_directive() {
    let (client, bucket) = fresh().await;
    let put = client.put_object().bucket(&bucket).key("k").metadata("color", "blue").content_type("a/b");
    put.tagging("color=blue&shape=round").body(b"x".to_vec().into()).send().await.expect("PUT");
    for (metadata, tagging, color, content_type, tags) in [
        (MetadataDirective::Copy, TaggingDirective::Copy, Some("blue"), "a/b", 2),
        (MetadataDirective::Replace, TaggingDirective::Copy, Some("red"), "c/d", 2),
        (MetadataDirective::Copy, TaggingDirective::Replace, Some("blue"), "a/b", 1),
        (MetadataDirective::Replace, TaggingDirective::Replace, Some("red"), "c/d", 1),
    ] {
        let copy = client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{bucket}/k"));
        let copy = copy.metadata_directive(metadata).tagging_directive(tagging).content_type("c/d");
        copy.metadata("color", "red").tagging("only=one").send().await.expect("copied");
        let got = client.get_object().bucket(&bucket).key("copy").send().await.expect("GET");
        assert_eq!(got.metadata().and_then(|metadata| metadata.get("color")).map(String::as_str), color);
        assert_eq!((got.content_type(), got.tag_count()), (Some(content_type), Some(tags)));
        let listed = client.get_object_tagging().bucket(&bucket).key("copy").send().await.expect("tags");
        assert_eq!(i32::try_from(listed.tag_set().len()).ok(), Some(tags));
    }
    // Replaced by nothing: nothing is left.
    let copy = client.copy_object().bucket(&bucket).key("bare").copy_source(format!("{bucket}/k"));
    let copy = copy.metadata_directive(MetadataDirective::Replace).tagging_directive(TaggingDirective::Replace);
    copy.send().await.expect("copied");
    let bare = client.head_object().bucket(&bucket).key("bare").send().await.expect("HEAD");
    assert!(bare.metadata().is_none_or(std::collections::HashMap::is_empty), "{bare:?}");
    let tags = client.get_object_tagging().bucket(&bucket).key("bare").send().await.expect("tags");
    assert!(tags.tag_set().is_empty());
    let unknown = client.copy_object().bucket(&bucket).key("x").copy_source(format!("{bucket}/k"));
    let unknown = unknown.metadata_directive(MetadataDirective::from("MERGE"));
    assert_eq!(code_of(unknown.send().await), "InvalidArgument");
}

#[tokio::test]
async fn tags_given_at_a_put_are_counted_told_and_bounded() {
    let (client, bucket) = fresh().await;
    let put = |tagging: &str| {
        let put = client.put_object().bucket(&bucket).key("k").tagging(tagging);
        put.body(b"x".to_vec().into()).send()
    };
    let ten: Vec<_> = (0..10).map(|n| format!("key-{n}=value-{n}")).collect();
    put(&ten.join("&")).await.expect("ten tags");
    let head = client.head_object().bucket(&bucket).key("k").send().await.expect("HEAD");
    assert_eq!(head.tag_count(), Some(10));
    put("a%20b%2B=c%2Fd%3A%40&empty=&%C3%BC=%E6%97%A5").await.expect("encoded tags");
    let tags = client.get_object_tagging().bucket(&bucket).key("k").send().await.expect("tags");
    let mut pairs: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [("a b+", "c/d:@"), ("empty", ""), ("ü", "日")]);
    for (tagging, code) in [
        (format!("{}&one=more", ten.join("&")), "BadRequest"),
        ("a=1&a=2".to_owned(), "InvalidArgument"),
        ("aws:a=1".to_owned(), "InvalidTag"),
        ("a=%3Cb%3E".to_owned(), "InvalidTag"),
        ("=value".to_owned(), "InvalidTag"),
        (format!("{}=v", "k".repeat(129)), "InvalidTag"),
        (format!("k={}", "v".repeat(257)), "InvalidTag"),
        ("a=%zz".to_owned(), "InvalidArgument"),
    ] {
        assert_eq!(code_of(put(&tagging).await), code, "{tagging}");
    }
    put(&format!("{}={}", "k".repeat(128), "v".repeat(256))).await.expect("the longest");
    client.put_object().bucket(&bucket).key("k").body(b"x".to_vec().into()).send().await.expect("PUT");
    let head = client.head_object().bucket(&bucket).key("k").send().await.expect("HEAD");
    assert_eq!(head.tag_count(), None, "an overwritten object's tags are gone");
}

#[tokio::test]
async fn a_storage_class_is_one_that_is_configured() {
    let server = Server::start_with(3, &["--storage-class", "THRIFTY=2+1"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    let thrifty = StorageClass::from("THRIFTY");
    let sent = body(400_000, 6);
    let put = |key: &str, class: StorageClass| {
        let put = client.put_object().bucket(&bucket).key(key).storage_class(class);
        put.body(sent.clone().into()).send()
    };
    put("standard", StorageClass::Standard).await.expect("PUT");
    put("thrifty", thrifty.clone()).await.expect("PUT");
    assert_eq!(code_of(put("none", StorageClass::Glacier).await), "InvalidStorageClass");
    let copy = |key: &str| client.copy_object().bucket(&bucket).key(key).copy_source(format!("{bucket}/standard"));
    copy("copy").storage_class(thrifty.clone()).send().await.expect("copied");
    // A change of class alone is a change: an object may be copied onto itself.
    copy("standard").storage_class(thrifty.clone()).send().await.expect("copied");
    put("kept", StorageClass::Standard).await.expect("PUT");
    let listed = client.list_objects_v2().bucket(&bucket).send().await.expect("LIST");
    let classes: Vec<_> = listed.contents().iter().map(|object| (object.key(), object.storage_class())).collect();
    let of = |key, class| (Some(key), Some(class));
    let expected = ["STANDARD", "THRIFTY"].map(aws_sdk_s3::types::ObjectStorageClass::from);
    let [standard, other] = &expected;
    assert_eq!(classes, [of("copy", other), of("kept", standard), of("standard", other), of("thrifty", other)]);
    for (key, class) in [("kept", None), ("thrifty", Some(&thrifty)), ("standard", Some(&thrifty))] {
        let got = client.get_object().bucket(&bucket).key(key).send().await.expect("GET");
        assert_eq!(got.storage_class(), class, "{key}");
        assert!(got.body.collect().await.expect("the body").to_vec() == sent);
    }
}
