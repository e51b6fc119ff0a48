//! Signature Version 2, where the operator lets it count: headers, URLs and forms signed by hand.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::time::SystemTime;

use super::raw::{Answer, Connection, by_url};
use super::{get, put};
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

fn signature(text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET_KEY.as_bytes()).expect("any key");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn send(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    Connection::open(server).exchange(&[head.as_bytes(), b"\r\n", body].concat(), method == "HEAD")
}

/// What `text` says is signed, after method, digest, type and date.
fn send_signed(
    server: &Server,
    method: &str,
    target: &str,
    more: &[(&str, &str)],
    signed: &str,
    body: &[u8],
) -> Answer {
    let date = DateTime::from(SystemTime::now()).fmt(DateTimeFormat::HttpDate).expect("a date");
    let authorization = format!("AWS {ACCESS_KEY}:{}", signature(&format!("{method}\n\n\n{date}\n{signed}")));
    let mut headers = vec![("Date", date.as_str()), ("Authorization", authorization.as_str())];
    headers.extend(more);
    send(server, method, target, &headers, body)
}

#[tokio::test]
async fn requests_urls_and_forms_count_where_the_operator_says_so() {
    let server = Server::start_with(1, &["--signature-v2", "on"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    // A header.
    let target = format!("/{bucket}/a%20b");
    let signed = format!("x-amz-meta-a:b\n{target}");
    let answer = send_signed(&server, "PUT", &target, &[("x-amz-meta-a", "b")], &signed, b"hello");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(get(&client, &bucket, "a b").await, b"hello");
    let tags = format!("{target}?tagging");
    assert_eq!(send_signed(&server, "GET", &tags, &[], &tags, b"").status, 200);
    assert_eq!(send_signed(&server, "GET", &tags, &[], &target, b"").error(), (403, "SignatureDoesNotMatch"));
    let unsigned = send_signed(&server, "PUT", &target, &[("x-amz-meta-a", "b")], &target, b"other");
    assert_eq!(unsigned.error(), (403, "SignatureDoesNotMatch"));
    assert_eq!(get(&client, &bucket, "a b").await, b"hello");
    // A URL.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let url = |expires: u64| {
        let text = signature(&format!("GET\n\n\n{expires}\n{target}"));
        let text = text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("{}{target}?AWSAccessKeyId={ACCESS_KEY}&Expires={expires}&Signature={text}", server.endpoint())
    };
    assert_eq!(by_url(&server, "GET", &url(now + 60), &[], b"").body, b"hello");
    assert_eq!(by_url(&server, "GET", &url(now - 1), &[], b"").error(), (403, "AccessDenied"));
    assert_eq!(by_url(&server, "DELETE", &url(now + 60), &[], b"").error(), (403, "SignatureDoesNotMatch"));
    // A form.
    let form = |key: &str| {
        let policy = format!(
            r#"{{"expiration":"2100-01-01T00:00:00Z","conditions":[{{"bucket":"{bucket}"}},["starts-with","$key","up"]]}}"#
        );
        let policy = STANDARD.encode(policy);
        let signed = signature(&policy);
        let fields = [("key", key), ("AWSAccessKeyId", ACCESS_KEY), ("policy", &policy), ("signature", &signed)];
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str(&format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
        }
        body.push_str("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nby a form\r\n--x--\r\n");
        let headers = [("Content-Type", "multipart/form-data; boundary=x")];
        send(&server, "POST", &format!("/{bucket}"), &headers, body.as_bytes())
    };
    assert_eq!(form("up").status, 204);
    assert_eq!(get(&client, &bucket, "up").await, b"by a form");
    assert_eq!(form("down").error(), (403, "AccessDenied"));
}

#[tokio::test]
async fn nobody_is_let_in_by_it_otherwise() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "k", b"x").await;
    let target = format!("/{bucket}/k");
    assert_eq!(send_signed(server, "GET", &target, &[], &target, b"").error(), (400, "InvalidRequest"));
}
