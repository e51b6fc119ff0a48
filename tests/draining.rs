//! A server that was told to stop finishes what it has begun, and tells balancers meanwhile to send nothing more.

use std::time::{Duration, Instant};

use aws_sdk_s3::presigning::PresigningConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::processes::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_is_not_ready_and_ends_its_requests() {
    let mut cluster = Cluster::of(1, 3);
    let node = &mut cluster.nodes[0];
    let client = node.client();
    client.create_bucket().bucket("drained").send().await.expect("created");
    let an_hour = PresigningConfig::expires_in(Duration::from_secs(3600)).expect("allowed");
    let url = client.put_object().bucket("drained").key("key").presigned(an_hour).await.expect("signed");
    let (host, target) = url.uri().trim_start_matches("http://").split_once('/').expect("a URL with a path");
    let mut connection = TcpStream::connect(host).await.expect("the server accepts");
    let head =
        format!("PUT /{target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9000\r\nExpect: 100-continue\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("the server takes the head");
    // It wants the body: the request is under way.
    let mut said = [0; 25];
    connection.read_exact(&mut said).await.expect("an interim answer");
    assert_eq!(said.as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n");

    node.signal("TERM");
    let begun = Instant::now();
    while !node.admin(&["status"])["not_ready"].as_str().is_some_and(|reason| reason.contains("drains")) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it says so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = readiness_page(&node.admin).await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");

    connection.write_all(&[7; 9000]).await.expect("the server takes the body");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer, and the end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    node.restart();
    let kept = node.client().get_object().bucket("drained").key("key").send().await.expect("got");
    assert_eq!(kept.body.collect().await.expect("the body").into_bytes(), vec![7; 9000]);
}

async fn readiness_page(admin: &str) -> String {
    let host = admin.trim_start_matches("http://");
    let mut connection = TcpStream::connect(host).await.expect("the server accepts");
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("the server takes it");
    let mut page = String::new();
    connection.read_to_string(&mut page).await.expect("a page comes");
    page
}
