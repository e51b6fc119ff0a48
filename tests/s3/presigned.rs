//! Presigned URLs: what their holder may do, and nothing beside it.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::Config;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::{Client, types::CompletedPart};

use super::complete_multipart_upload::{begin, named};
use super::raw::{by_url, host_of, presigned};
use super::{fresh, get, put, status_of};
use crate::server::Server;

fn for_a_minute() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(60)).expect("a minute")
}

#[tokio::test]
async fn every_operation_that_can_be_presigned_is_served() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let url = client.put_object().bucket(&bucket).key("a b+c").presigned(for_a_minute()).await.expect("signed");
    assert_eq!(presigned(server, &url, &[], b"hello").status, 200);
    let url = client.get_object().bucket(&bucket).key("a b+c").presigned(for_a_minute()).await.expect("signed");
    assert_eq!(presigned(server, &url, &[], b"").body, b"hello");
    // What a browser adds is not signed and counts all the same.
    let part = presigned(server, &url, &[("Range", "bytes=1-2"), ("User-Agent", "x")], b"");
    assert_eq!((part.status, &part.body[..]), (206, &b"el"[..]));
    let url = client.head_object().bucket(&bucket).key("a b+c").presigned(for_a_minute()).await.expect("signed");
    assert_eq!(presigned(server, &url, &[], b"").header("content-length"), Some("5"));
    let url = client.delete_object().bucket(&bucket).key("a b+c").presigned(for_a_minute()).await.expect("signed");
    assert_eq!(presigned(server, &url, &[], b"").status, 204);
    assert_eq!(status_of(client.head_object().bucket(&bucket).key("a b+c").send().await), 404);

    let upload = begin(&client, &bucket, "k").await;
    let part = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
    let url = part.presigned(for_a_minute()).await.expect("signed");
    let answer = presigned(server, &url, &[], b"a part");
    let part = CompletedPart::builder().part_number(1).e_tag(answer.header("etag").expect("a tag")).build();
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(named(vec![part])).send().await.expect("completed");
    assert_eq!(get(&client, &bucket, "k").await, b"a part");
}

#[tokio::test]
async fn a_url_is_valid_for_its_time_alone() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    put(&client, &bucket, "k", b"x").await;
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let at = |start, seconds| {
        let config = PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(seconds));
        client.get_object().bucket(&bucket).key("k").presigned(config.build().expect("at most a week"))
    };
    // Made long ago, and still valid: the clock's 15 minutes are not for URLs.
    let old = at(ago(6 * 86_400), 604_800).await.expect("signed");
    assert_eq!(presigned(server, &old, &[], b"").status, 200);
    let over = at(ago(120), 60).await.expect("signed");
    let answer = presigned(server, &over, &[], b"");
    assert_eq!((answer.error(), answer.element("Message")), ((403, "AccessDenied"), Some("Request has expired")));
    let early = at(SystemTime::now() + Duration::from_secs(3600), 60).await.expect("signed");
    assert_eq!(presigned(server, &early, &[], b"").error(), (403, "AccessDenied"));
    let valid = at(ago(0), 60).await.expect("signed");
    for seconds in ["604801", "-1", "x", ""] {
        let url = valid.uri().replace("X-Amz-Expires=60", &format!("X-Amz-Expires={seconds}"));
        let answer = by_url(server, "GET", &url, &[], b"");
        assert_eq!(answer.error(), (400, "AuthorizationQueryParametersError"), "{seconds}");
    }
}

#[tokio::test]
async fn a_url_is_good_for_nothing_else() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    put(&client, &bucket, "k", b"x").await;
    put(&client, &bucket, "other", b"x").await;
    let signed = client.get_object().bucket(&bucket).key("k").presigned(for_a_minute()).await.expect("signed");
    let url = signed.uri();
    assert_eq!(by_url(server, "GET", url, &[], b"").status, 200);
    let last = if url.ends_with('0') { "1" } else { "0" };
    for (method, url) in [
        ("GET", url.replace("/k?", "/other?")),
        ("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")),
        ("GET", format!("{url}&versionId=null")),
        ("GET", format!("{url}&response-content-type=text/html")),
        ("GET", format!("{}{last}", &url[..url.len() - 1])),
        ("GET", url.replace("127.0.0.1", "localhost")),
        ("PUT", url.to_owned()),
        ("DELETE", url.to_owned()),
    ] {
        assert_eq!(by_url(server, method, &url, &[], b"").error(), (403, "SignatureDoesNotMatch"), "{method} {url}");
    }
    for parameter in ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"] {
        let refused = by_url(server, "GET", &url.replace(parameter, "x-other"), &[], b"").status;
        assert!(matches!(refused, 400 | 403), "without {parameter}: {refused}");
    }
    assert_eq!(get(&client, &bucket, "k").await, b"x");
}

#[tokio::test]
async fn headers_of_the_answer_are_signed_into_the_url() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let get = client.get_object().bucket(&bucket).key("k").response_content_type("text/x; charset=utf-8");
    let get = get.response_content_disposition("attachment; filename=\"ü.txt\"").response_cache_control("no-store");
    let expires = DateTime::from_str("2030-01-01T00:00:00Z", DateTimeFormat::DateTime).expect("a date");
    let get = get.response_content_encoding("br").response_content_language("de").response_expires(expires);
    let url = get.presigned(for_a_minute()).await.expect("signed");
    let answer = presigned(Server::shared(), &url, &[], b"");
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("content-type", "text/x; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-encoding", "br"),
        ("content-language", "de"),
        ("expires", "Tue, 01 Jan 2030 00:00:00 GMT"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    // Raw bytes: each UTF-8 byte of the parameter is one of the header.
    let disposition = answer.header("content-disposition").expect("a disposition");
    let bytes: Vec<u8> = disposition.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect();
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), "attachment; filename=\"ü.txt\"");
}

#[tokio::test]
async fn a_presigned_url_carries_the_metadata_that_it_was_signed_with() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    // This SDK leaves the metadata in headers; others put it into the URL.
    let put = client.put_object().bucket(&bucket).key("k").metadata("color", "blue").content_type("a/b").customize();
    let put = put.mutate_request(|request| {
        let url = format!("{}&x-amz-meta-shape=round", request.uri());
        request.set_uri(url).expect("a URL");
    });
    let url = put.presigned(for_a_minute()).await.expect("signed");
    assert_eq!(presigned(server, &url, &[], b"hello").status, 200);
    let head = client.head_object().bucket(&bucket).key("k").send().await.expect("HEAD");
    let metadata = head.metadata().expect("metadata");
    assert_eq!((metadata["color"].as_str(), metadata["shape"].as_str()), ("blue", "round"));
    assert_eq!(head.content_type(), Some("a/b"));
    // Without the headers that were signed, with others, and with more than were signed.
    assert_eq!(by_url(server, "PUT", url.uri(), &[], b"hello").status, 403);
    let more = presigned(server, &url, &[("x-amz-meta-more", "x")], b"hello");
    assert_eq!((more.error(), more.element("HeadersNotSigned")), ((403, "AccessDenied"), Some("x-amz-meta-more")));
    for (changed, other) in [("content-type", "c/d"), ("x-amz-meta-color", "red")] {
        let headers = url.headers().map(|(name, value)| (name, if name == changed { other } else { value }));
        let headers: Vec<_> = headers.collect();
        assert!(headers.contains(&(changed, other)), "{headers:?}");
        let answer = by_url(server, "PUT", url.uri(), &headers, b"hello");
        assert_eq!(answer.error(), (403, "SignatureDoesNotMatch"), "{changed}");
    }
    let other_url = url.uri().replace("round", "square");
    let headers: Vec<_> = url.headers().collect();
    assert_eq!(by_url(server, "PUT", &other_url, &headers, b"hello").error(), (403, "SignatureDoesNotMatch"));
}

/// A client that names the bucket in the host, as SDKs do unless they are told otherwise.
#[tokio::test]
async fn buckets_named_by_the_host_are_served_presigned_and_signed() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let port = host_of(server).rsplit_once(':').expect("a port").1;
    let config: Config =
        client.config().to_builder().endpoint_url(format!("http://localhost:{port}")).force_path_style(false).build();
    let by_host = Client::from_conf(config);
    let url = by_host.put_object().bucket(&bucket).key("a/b c").presigned(for_a_minute()).await.expect("signed");
    assert!(url.uri().starts_with(&format!("http://{bucket}.localhost:{port}/a/b%20c?")), "{}", url.uri());
    assert_eq!(presigned(server, &url, &[], b"by host").status, 200);
    assert_eq!(get(&client, &bucket, "a/b c").await, b"by host");
    let url = by_host.get_object().bucket(&bucket).key("a/b c").presigned(for_a_minute()).await.expect("signed");
    assert_eq!(presigned(server, &url, &[], b"").body, b"by host");
    // The host is signed: another bucket's is another request.
    let (_, other) = fresh().await;
    put(&client, &other, "a/b c", b"secret").await;
    let answer = by_url(server, "GET", &url.uri().replace(&bucket, &other), &[], b"");
    assert_eq!(answer.error(), (403, "SignatureDoesNotMatch"));
}
