//! What HTTP itself may not do: ambiguous framing, floods of headers, methods that there are not.

use gateway::HeadLimits;
use tokio::io::AsyncWriteExt;

use crate::client::{ends, read_answer};
use crate::world::World;

/// Each is answered 400 (or what is named) in S3's words, and the connection is closed after it.
#[tokio::test]
async fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let world = World::new().await;
    let client = world.client();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for (headers, code) in [
        ("Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", (400, "BadRequest")),
        ("Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", (400, "BadRequest")),
        ("Host: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n", (400, "BadRequest")),
        ("Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n", (400, "BadRequest")),
        ("Host: x\r\nContent-Length: -1\r\n", (400, "BadRequest")),
        ("Host: x\r\nContent-Length:\r\n", (400, "BadRequest")),
        ("Host: x\r\nHost: y\r\n", (400, "BadRequest")),
        ("", (400, "BadRequest")),
        ("Host: x\r\nno header\r\n", (400, "BadRequest")),
        ("Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", (501, "NotImplemented")),
    ] {
        let mut stream = client.connect().await;
        stream.write_all(format!("PUT /b/k HTTP/1.1\r\n{headers}\r\n{smuggled}").as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, false).await;
        assert_eq!(answer.error(), (code.0, code.1.to_owned()), "{headers}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.element("RequestId").as_deref(), answer.header("x-amz-request-id"));
        stream.shutdown().await.unwrap();
        assert!(ends(&mut stream).await, "something follows the refusal of {headers}");
    }
}

#[tokio::test]
async fn a_request_before_a_refused_one_is_answered() {
    let world = World::new().await;
    let mut stream = world.client().connect().await;
    let both = "GET /minio/health/live HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n";
    stream.write_all(both.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream, false).await.status, 200);
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let world = World::with(|settings| settings.head_limits = HeadLimits { bytes_max: 4096, headers_max: 20 }).await;
    let client = world.client();
    let flood = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(20));
    let answer = client.exchange_bytes(flood.as_bytes(), false).await;
    assert_eq!(answer.error(), (400, "RequestHeaderSectionTooLarge".to_owned()));
    let long = format!("GET /?{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(5000));
    let answer = client.exchange_bytes(long.as_bytes(), false).await;
    assert_eq!(answer.error(), (400, "RequestHeaderSectionTooLarge".to_owned()));
    let endless = vec![b'a'; 5000];
    let answer = client.exchange_bytes(&endless, false).await;
    assert_eq!(answer.error(), (400, "RequestHeaderSectionTooLarge".to_owned()));
}

#[tokio::test]
async fn methods_that_there_are_not_are_405() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for (method, target) in [("BREW", "/bucket"), ("PATCH", "/bucket/key"), ("POST", "/bucket/key"), ("PUT", "/")] {
        let answer = client.send(method, target, &[], b"").await;
        assert_eq!(answer.error(), (405, "MethodNotAllowed".to_owned()), "{method} {target}");
    }
    let connect = client.exchange_bytes(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", false).await;
    assert!(connect.status >= 400, "{connect:?}");
    let two = client.get("/bucket?acl&policy").await;
    assert_eq!(two.error(), (400, "InvalidArgument".to_owned()));
}

#[tokio::test]
async fn what_is_no_http_is_answered_or_hung_up_on() {
    let world = World::new().await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = world.client().connect().await;
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        if let Some(answer) = crate::client::read_one(&mut stream, false).await {
            assert_eq!(answer.status, 400);
        }
    }
    assert_eq!(world.client().get("/").await.status, 200, "the gateway goes on");
}
