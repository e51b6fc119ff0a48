//! Connections: kept alive, timed out, half closed, drained; and the health pages.

use std::time::Duration;

use gateway::Readiness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, Payload, ends, read_answer};
use crate::world::World;

/// A gateway that waits for nobody longer than some milliseconds.
async fn impatient() -> (World, Client) {
    let world = World::with(|settings| {
        settings.timeouts.head = Duration::from_millis(200);
        settings.timeouts.idle = Duration::from_millis(300);
        settings.timeouts.stall = Duration::from_millis(200);
        settings.timeouts.linger = Duration::from_millis(200);
    })
    .await;
    let mut client = world.client();
    assert_eq!(client.put("/bucket", b"").await.status, 200);
    (world, client)
}

#[tokio::test]
async fn one_connection_takes_many_requests() {
    let (_world, client) = World::with_bucket("bucket").await;
    let mut stream = client.connect().await;
    for number in 0..20 {
        let body = number.to_string().into_bytes();
        let put = client.sign("PUT", "/bucket/key", &[], &Payload::Whole(&body));
        let put = put.with("content-length", &body.len().to_string());
        stream.write_all(&[put.head(), body.clone()].concat()).await.unwrap();
        assert_eq!(read_answer(&mut stream, false).await.status, 200);
        let get = client.sign("GET", "/bucket/key", &[], &Payload::Whole(b""));
        stream.write_all(&get.head()).await.unwrap();
        assert_eq!(read_answer(&mut stream, false).await.body, body);
        // A refused request with a short body doesn't end the connection.
        let refused = client.sign("PUT", "/nowhere/key", &[], &Payload::Unsigned).with("content-length", "5");
        stream.write_all(&[refused.head(), b"hello".to_vec()].concat()).await.unwrap();
        let answer = read_answer(&mut stream, false).await;
        assert_eq!((answer.status, answer.header("connection")), (404, None));
    }
}

/// A client that sends the body only once it has an answer is told, long before the gateway takes it for stalled.
#[tokio::test]
async fn a_refusal_does_not_wait_for_a_body_that_does_not_come() {
    let (_world, client) = World::with_bucket("bucket").await;
    let mut stream = client.connect().await;
    let refused = client.sign("PUT", "/nowhere/key", &[], &Payload::Unsigned).with("content-length", "5");
    stream.write_all(&refused.head()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(10), read_answer(&mut stream, false)).await;
    let answer = answer.expect("no answer before the body is given up as stalled");
    assert_eq!((answer.status, answer.header("connection")), (404, Some("close")));
    assert!(ends(&mut stream).await);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    assert_eq!(client.put("/bucket/key", b"hello").await.status, 200);
    let mut all = Vec::new();
    for target in ["/bucket/key", "/bucket/none", "/bucket/key"] {
        all.extend(client.sign("GET", target, &[], &Payload::Whole(b"")).head());
    }
    let mut stream = client.connect().await;
    stream.write_all(&all).await.unwrap();
    for status in [200, 404, 200] {
        assert_eq!(read_answer(&mut stream, false).await.status, status);
    }
}

#[tokio::test]
async fn a_client_that_shuts_its_side_down_gets_its_answer() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let put = client.sign("PUT", "/bucket/key", &[], &Payload::Whole(b"hello")).with("content-length", "5");
    let mut stream = client.connect().await;
    stream.write_all(&[put.head(), b"hello".to_vec()].concat()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_answer(&mut stream, false).await.status, 200);
    assert!(ends(&mut stream).await);
    assert_eq!(client.get("/bucket/key").await.body, b"hello");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_answered_request_timeout() {
    let (_world, client) = impatient().await;
    let mut stream = client.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let answer = read_answer(&mut stream, false).await;
    assert_eq!(answer.error(), (400, "RequestTimeout".to_owned()));
    stream.shutdown().await.unwrap();
    assert!(ends(&mut stream).await);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_request_timeout() {
    let (_world, mut client) = impatient().await;
    for bytes in [100, 100_000] {
        let put = client.sign("PUT", "/bucket/key", &[], &Payload::Unsigned);
        let put = put.with("content-length", &bytes.to_string());
        let mut stream = client.connect().await;
        stream.write_all(&put.head()).await.unwrap();
        stream.write_all(&vec![1; bytes / 2]).await.unwrap();
        let answer = read_answer(&mut stream, false).await;
        assert_eq!(answer.error(), (400, "RequestTimeout".to_owned()));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(client.get("/bucket/key").await.status, 404);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (_world, client) = impatient().await;
    let mut fresh = client.connect().await;
    let mut used = client.connect().await;
    used.write_all(b"GET /minio/health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut used, false).await.status, 200);
    assert!(ends(&mut fresh).await && ends(&mut used).await);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left() {
    let (_world, mut client) = impatient().await;
    assert_eq!(client.put("/bucket/key", &vec![1; 32 << 20]).await.status, 200);
    let get = client.sign("GET", "/bucket/key", &[], &Payload::Whole(b""));
    let mut stream = client.connect().await;
    stream.write_all(&get.head()).await.unwrap();
    // Nothing is read until the gateway has left: what is in the socket's buffers is far less than the object.
    let mut peeked = [0; 1];
    stream.peek(&mut peeked).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        // A write fails only once the other side is gone.
        while stream.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the gateway waits for ever");
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    assert!(received.len() < 32 << 20);
}

#[tokio::test]
async fn draining_lets_requests_under_way_end() {
    let (world, mut client) = World::with_bucket("bucket").await;
    let put = client.sign("PUT", "/bucket/key", &[], &Payload::Unsigned).with("content-length", "5");
    let mut busy = client.connect().await;
    busy.write_all(&[put.head(), b"hel".to_vec()].concat()).await.unwrap();
    // A second answer on the same port proves that the first request has long been begun.
    assert_eq!(client.get("/bucket").await.status, 200);
    let mut idle = client.connect().await;
    idle.write_all(b"GET /minio/health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut idle, false).await.status, 200);

    let World { handle, .. } = world;
    let drained = tokio::spawn(handle.drain(Duration::from_secs(20)));
    assert!(ends(&mut idle).await, "idle connections are closed at once");
    busy.write_all(b"lo").await.unwrap();
    let answer = read_answer(&mut busy, false).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(drained.await.unwrap());
    assert!(tokio::net::TcpStream::connect(client.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn draining_does_not_wait_for_what_is_no_request_yet() {
    let (world, client) = World::with_bucket("bucket").await;
    let mut begun = client.connect().await;
    begun.write_all(b"GET / HT").await.unwrap();
    // A request on a later connection proves that the first one's bytes have long arrived.
    assert_eq!(world.client().get("/bucket").await.status, 200);
    let World { handle, .. } = world;
    assert!(handle.drain(Duration::from_secs(20)).await, "nothing had to be broken off");
    assert!(ends(&mut begun).await);
}

#[tokio::test]
async fn draining_breaks_off_what_takes_too_long() {
    let (world, client) = World::with_bucket("bucket").await;
    let put = client.sign("PUT", "/bucket/key", &[], &Payload::Unsigned).with("content-length", "5");
    let mut busy = client.connect().await;
    busy.write_all(&put.head()).await.unwrap();
    assert_eq!(world.client().get("/bucket").await.status, 200);
    let World { handle, .. } = world;
    assert!(!handle.drain(Duration::from_millis(50)).await);
    assert!(ends(&mut busy).await);
}

#[tokio::test]
async fn health_pages_need_no_signature() {
    let world = World::new().await;
    let client = world.client();
    let probe = |page: &str| format!("GET /minio/health/{page} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    assert_eq!(client.exchange_bytes(&probe("ready"), false).await.status, 200);
    world.readiness.send(Readiness::NotReady { reason: "no quorum".to_owned() }).unwrap();
    let answer = client.exchange_bytes(&probe("cluster"), false).await;
    assert_eq!((answer.status, answer.text().as_str()), (503, "no quorum\n"));
    assert_eq!(client.exchange_bytes(&probe("live"), false).await.status, 200);
    // In a bucket that the host names it is a key like others.
    let of_bucket = b"GET /minio/health/live HTTP/1.1\r\nHost: bucket.localhost\r\n\r\n";
    assert_eq!(client.exchange_bytes(of_bucket, false).await.error(), (404, "NoSuchBucket".to_owned()));
}
