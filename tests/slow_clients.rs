//! Slow clients hold nothing that a fast one needs: beside 200 of them it keeps at least half of its rate.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::body::body;
use crate::server::Server;

const SLOW_CLIENTS: usize = 200;
/// What a slow client sends or takes at a time, and how often.
const SLOW_PIECE_BYTES: usize = 1 << 10;
const SLOW_PERIOD: Duration = Duration::from_secs(1);
const SLOW_OBJECT_BYTES: usize = 16 << 20;
const FAST_OBJECT_BYTES: usize = 8 << 20;
/// What a sender that goes silent sends before.
const BURST_BYTES: usize = 1 << 20;
/// The longest that 200 of those may hold up another client: a third of what whole windows took.
const SILENT_HOLD_MAX: Duration = Duration::from_secs(10);

/// Two times 200 clients would measure each other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Rates are measured in turn, so that what else the machine does in the meantime slows all of them down.
const ROUNDS: usize = 4;
const MEASURED: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_client_keeps_half_of_its_rate_beside_200_slow_ones() {
    let _alone = ALONE.lock().await;
    let server = Server::start(6);
    let (client, bucket) = (server.client(), server.bucket().await);
    let slow_object = url_to_put(&client, &bucket, "slow").await;
    send(&slow_object, &body(SLOW_OBJECT_BYTES, 1)).await;
    let slow_object = url_to_get(&client, &bucket, "slow").await;
    let fast = Fast {
        put: url_to_put(&client, &bucket, "fast").await,
        get: url_to_get(&client, &bucket, "fast").await,
        body: body(FAST_OBJECT_BYTES, 2),
    };
    let (mut alone, mut beside_readers, mut beside_senders) = (Rates::default(), Rates::default(), Rates::default());
    for _ in 0..ROUNDS {
        alone.take(fast.rates().await);
        let readers = SlowClients::start(|_, began| read_slowly(slow_object.clone(), began)).await;
        until_nothing_is_sent(&server).await;
        beside_readers.take(fast.rates().await);
        readers.end().await;
        let mut urls = Vec::new();
        for at in 0..SLOW_CLIENTS {
            urls.push(url_to_put(&client, &bucket, &format!("slow-{at}")).await);
        }
        let senders = SlowClients::start(|at, began| send_slowly(urls[at].clone(), began)).await;
        beside_senders.take(fast.rates().await);
        senders.end().await;
    }
    let rates = format!("alone {alone:?}, beside readers {beside_readers:?}, beside senders {beside_senders:?}");
    eprintln!("bytes a second: {rates}");
    for beside in [&beside_readers, &beside_senders] {
        assert!(beside.put >= alone.put / 2.0 && beside.get >= alone.get / 2.0, "{rates}");
    }
}

/// What they hold after their burst is for others as soon as others wait for it: a few quarters of a second each, not
/// whole windows of their own pace, for all of those who are in line before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_that_begin_fast_and_go_silent_hold_up_no_other() {
    let _alone = ALONE.lock().await;
    let server = Server::start(6);
    let (client, bucket) = (server.client(), server.bucket().await);
    let mut urls = Vec::new();
    for at in 0..SLOW_CLIENTS {
        urls.push(url_to_put(&client, &bucket, &format!("silent-{at}")).await);
    }
    let other = url_to_put(&client, &bucket, "other").await;
    let silent = SlowClients::start(|at, began| begin_and_go_silent(urls[at].clone(), began)).await;
    let began = Instant::now();
    send(&other, &body(FAST_OBJECT_BYTES, 2)).await;
    let took = began.elapsed();
    eprintln!("another client waited {took:?}");
    assert!(took < SILENT_HOLD_MAX, "another client waited {took:?}");
    silent.end().await;
}

/// The best rates seen, in bytes a second.
#[derive(Debug, Default)]
struct Rates {
    put: f64,
    get: f64,
}

impl Rates {
    fn take(&mut self, other: Self) {
        self.put = self.put.max(other.put);
        self.get = self.get.max(other.get);
    }
}

/// A client that sends and takes as fast as it can.
struct Fast {
    put: PresignedRequest,
    get: PresignedRequest,
    body: Vec<u8>,
}

impl Fast {
    async fn rates(&self) -> Rates {
        let put = self.rate(async || send(&self.put, &self.body).await).await;
        let get = self.rate(async || assert_eq!(take(&self.get).await, self.body.len())).await;
        Rates { put, get }
    }

    /// By the median of its transfers: one that a burst of something else held up is not the rate.
    async fn rate(&self, transfer: impl AsyncFn()) -> f64 {
        let (began, mut took) = (Instant::now(), Vec::new());
        while began.elapsed() < MEASURED {
            let one = Instant::now();
            transfer().await;
            took.push(one.elapsed());
        }
        took.sort_unstable();
        self.body.len() as f64 / took[took.len() / 2].as_secs_f64()
    }
}

/// Clients that are under way until they are told to end.
struct SlowClients(JoinSet<()>);

impl SlowClients {
    /// Starts them, and waits until each has its first bytes through.
    async fn start<F>(one: impl Fn(usize, mpsc::Sender<()>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut clients = JoinSet::new();
        let (began, mut begun) = mpsc::channel(SLOW_CLIENTS);
        for at in 0..SLOW_CLIENTS {
            clients.spawn(one(at, began.clone()));
        }
        for _ in 0..SLOW_CLIENTS {
            begun.recv().await.expect("they run");
        }
        Self(clients)
    }

    /// Ends them; none may have failed before.
    async fn end(mut self) {
        assert!(self.0.try_join_next().is_none(), "a slow client was cut off, or failed");
        self.0.shutdown().await;
    }
}

async fn read_slowly(url: PresignedRequest, began: mpsc::Sender<()>) {
    let mut connection = connect(&url, 0).await;
    let (mut piece, mut period) = ([0; SLOW_PIECE_BYTES], interval(SLOW_PERIOD));
    loop {
        connection.read_exact(&mut piece).await.expect("more of the object");
        let _ = began.try_send(());
        period.tick().await;
    }
}

async fn send_slowly(url: PresignedRequest, began: mpsc::Sender<()>) {
    let mut connection = connect(&url, SLOW_OBJECT_BYTES).await;
    let mut period = interval(SLOW_PERIOD);
    loop {
        connection.write_all(&[0; SLOW_PIECE_BYTES]).await.expect("the server takes it");
        let _ = began.try_send(());
        period.tick().await;
    }
}

/// Sends the first bytes of an object at once, and then nothing.
async fn begin_and_go_silent(url: PresignedRequest, began: mpsc::Sender<()>) {
    let mut connection = connect(&url, SLOW_OBJECT_BYTES).await;
    // What the server does not take yet is sent on while the others are waited for.
    let _ = began.try_send(());
    connection.write_all(&[0; BURST_BYTES]).await.expect("the server takes it");
    std::future::pending::<()>().await;
}

/// Waits until the buffers between the server and those who read slowly are full.
async fn until_nothing_is_sent(server: &Server) {
    let mut looks = interval(Duration::from_millis(200));
    let mut sent = String::new();
    for _ in 0..300 {
        looks.tick().await;
        let metrics = metrics(server).await;
        let line = metrics.lines().find(|line| line.starts_with("cairn_sent_bytes_total")).expect("it is counted");
        if line == sent {
            return;
        }
        line.clone_into(&mut sent);
    }
    panic!("the slow readers go on taking: {sent}");
}

async fn metrics(server: &Server) -> String {
    let host = server.admin_endpoint().trim_start_matches("http://");
    let mut connection = TcpStream::connect(host).await.expect("the server accepts");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("the server takes it");
    let mut page = String::new();
    connection.read_to_string(&mut page).await.expect("a page comes");
    page
}

/// Sends an object whole.
async fn send(url: &PresignedRequest, body: &[u8]) {
    let mut connection = connect(url, body.len()).await;
    connection.write_all(body).await.expect("the server takes it");
    let (head, _) = head_of(&mut connection).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

/// Takes an object whole; answers how many bytes came.
async fn take(url: &PresignedRequest) -> usize {
    let mut connection = connect(url, 0).await;
    let (head, mut bytes) = head_of(&mut connection).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut piece = vec![0; 256 << 10];
    loop {
        match connection.read(&mut piece).await.expect("the body comes") {
            0 => return bytes,
            more => bytes += more,
        }
    }
}

/// Opens a connection and sends the request's head.
async fn connect(url: &PresignedRequest, length: usize) -> TcpStream {
    let (host, target) = url.uri().trim_start_matches("http://").split_once('/').expect("a URL with a path");
    let method = url.method();
    let mut connection = TcpStream::connect(host).await.expect("the server accepts");
    let head =
        format!("{method} /{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("the server takes the head");
    connection
}

/// The head of an answer, and how many bytes came after it already.
async fn head_of(connection: &mut TcpStream) -> (String, usize) {
    let mut came = Vec::new();
    loop {
        assert_ne!(connection.read_buf(&mut came).await.expect("an answer comes"), 0, "no whole head");
        if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
            let after = came.split_off(end + 4).len();
            return (String::from_utf8(came).expect("a head is text"), after);
        }
    }
}

async fn url_to_put(client: &Client, bucket: &str, key: &str) -> PresignedRequest {
    client.put_object().bucket(bucket).key(key).presigned(an_hour()).await.expect("signed")
}

async fn url_to_get(client: &Client, bucket: &str, key: &str) -> PresignedRequest {
    client.get_object().bucket(bucket).key(key).presigned(an_hour()).await.expect("signed")
}

fn an_hour() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(3600)).expect("allowed")
}
