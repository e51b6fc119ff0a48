//! What a request costs the gateway's thread, over an index and disks in memory: `cargo run --release -p gateway --example
//! request_cost [REQUESTS [KIND [READ_BUFFER_KIB]]]`.
//!
//! The gateway has one thread of its own; its CPU time is read before and after a round of requests of one kind that a
//! client sends on one connection, 16 of them at once, so that waking up is a small part.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a tool: it says by panicking what went wrong")]
#![allow(dead_code, unreachable_pub, reason = "the tests' world has more than this needs")]

#[path = "../tests/gateway/client.rs"]
mod client;
#[path = "../tests/gateway/world.rs"]
mod world;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use client::{Client, Payload, Signed};
use world::World;

/// How many requests are under way at once.
const DEPTH: usize = 16;

fn main() {
    let requests: usize = std::env::args().nth(1).map_or(20_000, |text| text.parse().expect("a number"));
    let kind = std::env::args().nth(2);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with(|settings| {
                if let Some(kib) = std::env::args().nth(3) {
                    settings.read_buffer_bytes = kib.parse::<usize>().expect("a number") << 10;
                }
            })
            .await;
            let mut client = world.client();
            assert_eq!(client.put("/bucket", b"").await.status, 200);
            assert_eq!(client.put("/bucket/small", &[7; 4096]).await.status, 200);
            assert_eq!(client.put("/bucket/copies", &[7; 65_536]).await.status, 200);
            let thread = std::fs::read_link("/proc/thread-self").unwrap();
            sender.send((world.client(), format!("/proc/{}/schedstat", thread.display()))).unwrap();
            std::future::pending::<()>().await;
            drop(world);
        });
    });
    let (client, cpu) = receiver.recv().unwrap();
    let none = Payload::Whole(b"");
    let head = client.sign("HEAD", "/bucket/small", &[], &none);
    let get = client.sign("GET", "/bucket/small", &[], &none);
    let large = client.sign("GET", "/bucket/copies", &[], &none);
    let body = vec![7; 4096];
    let put = client.sign("PUT", "/bucket/put", &[], &Payload::Whole(&body)).with("content-length", "4096");
    let list = client.sign("GET", "/bucket?list-type=2&max-keys=1", &[], &none);
    let denied = client.sign("HEAD", "/bucket/small", &[], &none).with("x-amz-meta-a", "b");
    let health = Signed {
        method: "GET".to_owned(),
        target: "/minio/health/live".to_owned(),
        headers: vec![("host".to_owned(), "x".to_owned())],
        signature: String::new(),
    };
    if kind.as_deref().is_none_or(|kind| kind == "PUT 64 MiB") {
        bulk(&client, &cpu);
    }
    for (name, request, body) in [
        ("health page", &health, &[][..]),
        ("HEAD refused", &denied, &[]),
        ("HEAD", &head, &[]),
        ("GET 4 KiB", &get, &[]),
        ("GET 64 KiB", &large, &[]),
        ("PUT 4 KiB", &put, &body),
        ("LIST 1 key", &list, &[]),
    ] {
        if kind.as_ref().is_some_and(|kind| kind != name) {
            continue;
        }
        round(&client, request, body, requests / 10);
        let before = cpu_nanos(&cpu);
        round(&client, request, body, requests);
        let micros = (cpu_nanos(&cpu) - before) as f64 / requests as f64 / 1000.0;
        println!("{name:<14} {micros:6.1} us of the gateway's thread");
    }
}

/// Uploads of 64 MiB: what the gateway's thread does for a GiB, without hashing, which is the workers'.
fn bulk(client: &Client, cpu: &str) {
    let body = vec![7; 64 << 20];
    let length = body.len().to_string();
    let unsigned = client.sign("PUT", "/bucket/bulk", &[], &Payload::Unsigned).with("content-length", &length);
    let chunks = client::Chunks { plain: &body, chunk_bytes: 65_536, is_signed: true, trailer: None, headers: &[] };
    let (signed, chunked) = client.sign_chunks("/bucket/bulk", &chunks);
    for (name, request, body) in [("unsigned", &unsigned, &body), ("signed chunks", &signed, &chunked)] {
        let before = cpu_nanos(cpu);
        let mut stream = TcpStream::connect(client.address).unwrap();
        let mut answers = Answers { received: Vec::new() };
        for _ in 0..4 {
            stream.write_all(&request.head()).unwrap();
            stream.write_all(body).unwrap();
            answers.take_one(&mut stream, false);
        }
        let seconds_per_gib = (cpu_nanos(cpu) - before) as f64 / 1e9 * 4.0;
        println!("PUT 64 MiB, {name:<14} {seconds_per_gib:5.2} s/GiB of the gateway's thread");
    }
}

/// Sends the request so many times on one connection.
fn round(client: &Client, request: &Signed, body: &[u8], requests: usize) {
    let bytes = [&request.head()[..], body].concat();
    let is_head = request.method == "HEAD";
    let mut stream = TcpStream::connect(client.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let batch = bytes.repeat(DEPTH);
    let mut answers = Answers { received: Vec::new() };
    for _ in 0..requests / DEPTH {
        stream.write_all(&batch).unwrap();
        for _ in 0..DEPTH {
            answers.take_one(&mut stream, is_head);
        }
    }
}

/// Bytes that arrived and are not yet taken.
struct Answers {
    received: Vec<u8>,
}

impl Answers {
    fn take_one(&mut self, stream: &mut TcpStream, is_head: bool) {
        loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.received[..end]).to_ascii_lowercase();
                let length = head
                    .split("content-length: ")
                    .nth(1)
                    .map_or(0, |rest| rest.split('\r').next().unwrap().parse().unwrap());
                let whole = end + 4 + if is_head { 0 } else { length };
                while self.received.len() < whole {
                    self.read(stream);
                }
                self.received.drain(..whole);
                return;
            }
            self.read(stream);
        }
    }

    fn read(&mut self, stream: &mut TcpStream) {
        let mut buffer = [0; 65_536];
        let bytes = stream.read(&mut buffer).unwrap();
        assert!(bytes > 0, "the gateway closed the connection");
        self.received.extend_from_slice(&buffer[..bytes]);
    }
}

/// CPU time of a thread, by the kernel's scheduler statistics.
fn cpu_nanos(schedstat: &str) -> u64 {
    let text = std::fs::read_to_string(schedstat).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
