//! Keys that trip over XML, URLs and paths: each lives through every operation as the bytes that it is.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};

use super::complete_multipart_upload::{begin, named, part};
use super::raw::{Connection, Payload, request, signed};
use super::{code_of, fresh, get, put};
use crate::server::Server;

/// Odd keys that XML can hold.
fn odd_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "  two  spaces  ",
        "a b",
        "a+b",
        "a%20b",
        "a%2Fb",
        "a%252Fb",
        "%",
        "100%",
        "a&amp;b",
        "<a>&'\"</a>",
        "]]>",
        "a//b",
        "//",
        "/",
        "a/",
        "/a",
        "a/./b",
        "a/../b",
        "a/b/..",
        "..a",
        "a..",
        "...",
        "a/b/../..",
        "a?b=c",
        "a?versionId=null",
        "a#b",
        "a;b",
        "a=b&c=d",
        "a:b@c",
        "a\\b",
        "a|b^c`d{e}f~g",
        "[a](b)!*'()",
        "$HOME",
        "`id`",
        "ü",
        "é",
        "e\u{301}",
        "日本語",
        "😀",
        "\u{7ff}\u{800}\u{ffff}\u{10000}",
        "\u{200b}",
        "\u{feff}bom",
        "\u{a0}nbsp",
        "x-amz-meta-a",
        "index.html",
        "con",
        "a.",
        "tab\tbed",
        "line\nbroken",
        "carriage\rreturn",
    ]
    .map(str::to_owned)
    .to_vec();
    keys.push((b'!'..=b'~').map(char::from).collect());
    // 1024 bytes, of one and of three bytes a character.
    keys.extend(["k".repeat(1024), format!("{}k", "€".repeat(341)), format!("{}k", "a/".repeat(511) + "b")]);
    keys
}

/// Everything that a bucket lists, decoded.
async fn listed(client: &Client, bucket: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(bucket).encoding_type(EncodingType::Url);
    pages = pages.max_keys(17);
    let mut pages = pages.into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        keys.extend(page.contents().iter().filter_map(|object| object.key().map(super::list_objects::decoded)));
    }
    keys
}

#[tokio::test]
async fn odd_keys_live_through_every_operation() {
    let (client, bucket) = fresh().await;
    let (_, copies) = fresh().await;
    let mut keys = odd_keys();
    for key in &keys {
        put(&client, &bucket, key, key.as_bytes()).await;
    }
    for key in &keys {
        assert_eq!(get(&client, &bucket, key).await, key.as_bytes(), "{key:?}");
        let head = client.head_object().bucket(&bucket).key(key).send().await.expect("HEAD");
        assert_eq!(head.content_length(), i64::try_from(key.len()).ok(), "{key:?}");
        let source = format!("{bucket}/{}", encoded(key.as_bytes()));
        let copy = client.copy_object().bucket(&copies).key(key).copy_source(source);
        copy.send().await.unwrap_or_else(|error| panic!("a copy of {key:?}: {error:?}"));
        assert_eq!(get(&client, &copies, key).await, key.as_bytes(), "the copy of {key:?}");
    }
    keys.sort();
    assert_eq!(listed(&client, &bucket).await, keys);
    // Each as a prefix and as a marker.
    for (at, key) in keys.iter().enumerate() {
        let found = client.list_objects_v2().bucket(&bucket).prefix(key).max_keys(1).encoding_type(EncodingType::Url);
        let found = found.send().await.expect("LIST");
        assert_eq!(found.contents()[0].key().map(super::list_objects::decoded).as_ref(), Some(key), "prefix {key:?}");
        let after = client.list_objects_v2().bucket(&bucket).start_after(key).max_keys(1);
        let after = after.encoding_type(EncodingType::Url).send().await.expect("LIST");
        let next = after.contents().first().and_then(|object| object.key()).map(super::list_objects::decoded);
        assert_eq!(next.as_ref(), keys.get(at + 1), "after {key:?}");
    }
    delete_all(&client, &bucket, &copies, &keys).await;
}

/// One half in one document, where XML must bring the keys, the other half each by its URL.
async fn delete_all(client: &Client, bucket: &str, copies: &str, keys: &[String]) {
    let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build().expect("a key"));
    let delete = Delete::builder().set_objects(Some(objects.collect())).build().expect("objects");
    let deleted = client.delete_objects().bucket(bucket).delete(delete).send().await.expect("POST ?delete");
    let told: Vec<_> = deleted.deleted().iter().filter_map(|object| object.key()).collect();
    assert_eq!((told, deleted.errors().len()), (keys.iter().map(String::as_str).collect(), 0));
    for key in keys {
        client.delete_object().bucket(copies).key(key).send().await.expect("DELETE");
    }
    for bucket in [bucket, copies] {
        assert!(listed(client, bucket).await.is_empty());
    }
}

/// With escapes for all but letters and digits.
fn encoded(key: &[u8]) -> String {
    escaped(key, b"")
}

/// As signatures have it: what RFC 3986 calls unreserved stays, and slashes.
fn canonical(key: &[u8]) -> String {
    escaped(key, b"-._~/")
}

fn escaped(key: &[u8], kept: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() || kept.contains(byte) => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    key.iter().map(escape).collect()
}

/// XML 1.0 has no such characters, not even by reference; `encoding-type=url` is how they are listed.
#[tokio::test]
async fn bytes_that_no_text_has_are_keys_too() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let mut keys: Vec<Vec<u8>> = (0..=31).chain([127, 128, 255]).map(|byte| vec![b'a', byte, b'z']).collect();
    // This SDK sends no key of spaces.
    keys.extend([
        b" ".to_vec(),
        b"\xc2\xa0".to_vec(),
        b"\xc3\x28".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\xef\xbf\xbe".to_vec(),
    ]);
    keys.sort();
    for key in &keys {
        let target = format!("/{bucket}/{}", encoded(key));
        assert_eq!(request(server, "PUT", &target, &[], key).status, 200, "{target}");
        assert_eq!(&request(server, "GET", &target, &[], b"").body, key, "{target}");
    }
    let list = request(server, "GET", &format!("/{bucket}?list-type=2&encoding-type=url"), &[], b"");
    let found: Vec<_> = list.text().split("<Key>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    let expected: Vec<_> = keys.iter().map(|key| encoded(key).replace("%20", "+")).collect();
    assert_eq!(found, expected);
    // Without it the document is text all the same.
    let plain = request(server, "GET", &format!("/{bucket}?list-type=2"), &[], b"");
    assert_eq!(plain.text().matches("<Key>").count(), keys.len());
    for key in &keys {
        assert_eq!(request(server, "DELETE", &format!("/{bucket}/{}", encoded(key)), &[], b"").status, 204);
    }
    assert_eq!(client.list_objects_v2().bucket(&bucket).send().await.expect("LIST").key_count(), Some(0));
}

/// Clients escape differently; what is meant is the same.
#[tokio::test]
async fn a_key_is_what_its_escapes_say_and_nothing_is_decoded_twice() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    for (path, key) in [
        ("a%62c", "abc"),
        ("%61%2fb", "a/b"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("a%252Fb", "a%2Fb"),
        ("a%25", "a%"),
        ("%2e%2E%2e", "..."),
        ("a/%2e/b", "a/./b"),
        ("%c3%bc", "ü"),
        ("a!$&'()*,;=:@b", "a!$&'()*,;=:@b"),
    ] {
        put(&client, &bucket, key, b"old").await;
        // The signature covers the one canonical form.
        let canonical = format!("/{bucket}/{}", canonical(key.as_bytes()));
        let mut signed = signed(server, "PUT", &canonical, &[], &Payload::Unsigned);
        signed.target = format!("/{bucket}/{path}");
        let sent = signed.with("Content-Length", path.len()).with_body(path.as_bytes());
        assert_eq!(Connection::open(server).exchange(&sent, false).status, 200, "{path}");
        assert_eq!(get(&client, &bucket, key).await, path.as_bytes(), "{path}");
    }
    for path in ["a%", "a%2", "a%zz", "%"] {
        assert_eq!(
            request(server, "GET", &format!("/{bucket}/{path}"), &[], b"").error(),
            (400, "InvalidURI"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn paths_that_climb_above_the_bucket_lead_nowhere() {
    let (client, bucket) = fresh().await;
    let (_, other) = fresh().await;
    put(&client, &other, "k", b"secret").await;
    for path in [
        format!("/{bucket}/../{other}/k"),
        format!("/{bucket}/a/../../{other}/k"),
        format!("/{bucket}/%2e%2e/{other}/k"),
        format!("/{bucket}/..%2f{other}/k"),
        "/..".to_owned(),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = request(Server::shared(), method, &path, &[], b"");
            assert_eq!(answer.error(), (400, "InvalidURI"), "{method} {path}");
        }
    }
    // An empty bucket name is none.
    let answer = request(Server::shared(), "GET", &format!("//{other}/k"), &[], b"");
    assert_eq!(answer.error(), (400, "InvalidBucketName"));
    assert_eq!(get(&client, &other, "k").await, b"secret");
}

#[tokio::test]
async fn the_longest_key_has_1024_bytes_wherever_it_is_written() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "source", b"x").await;
    // 1026 bytes of 342 characters.
    for long in ["k".repeat(1025), "€".repeat(342)] {
        assert_eq!(code_of(client.get_object().bucket(&bucket).key(&long).send().await), "KeyTooLongError");
        let put = client.put_object().bucket(&bucket).key(&long).body(b"x".to_vec().into());
        assert_eq!(code_of(put.send().await), "KeyTooLongError");
        let copy = client.copy_object().bucket(&bucket).key(&long).copy_source(format!("{bucket}/source"));
        assert_eq!(code_of(copy.send().await), "KeyTooLongError");
        let create = client.create_multipart_upload().bucket(&bucket).key(&long);
        assert_eq!(code_of(create.send().await), "KeyTooLongError");
    }
    let longest = "ab".repeat(512);
    let upload = begin(&client, &bucket, &longest).await;
    let one = part(&client, &bucket, &longest, &upload, 1, vec![1; 10]).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key(&longest).upload_id(&upload);
    let completed = complete.multipart_upload(named(vec![one])).send().await.expect("completed");
    assert_eq!(completed.key(), Some(longest.as_str()));
    assert_eq!(get(&client, &bucket, &longest).await, [1; 10]);
}
