//! Writers that go on whatever happens, and remember what they were told.
//!
//! Each has keys of its own. A key whose last write got no answer is not written again: that write may take effect at
//! any later time, and both outcomes stay right. A reader who sees anything else than what may be there fails the test
//! at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Dice;
use crate::body::body;
use crate::server::{ACCESS_KEY, SECRET_KEY, client_at};

/// Inline, copies, one short stripe, several stripes.
const SIZES: [usize; 5] = [700, 4096, 20_000, 300_000, 4_000_000];
/// S3's smallest part.
const PART_BYTES: usize = 5 << 20;
/// Keys that a writer has at a time.
const KEYS: u64 = 8;
/// How long after the last fault reads and writes may fail.
const PATIENCE: Duration = Duration::from_secs(60);

/// A body by its seed and size; `None` where there is no object.
type Content = Option<(u64, usize)>;

fn bytes_of(content: Content) -> Option<Vec<u8>> {
    content.map(|(seed, size)| body(size, seed))
}

/// A client that sends each request once and waits for its answer at most 15 s: what it repeats by itself could take
/// effect behind a later write.
pub fn once(endpoint: &str) -> Client {
    let client = client_at(endpoint, ACCESS_KEY, SECRET_KEY);
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(15)).build();
    let once = client.config().to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
    Client::from_conf(once.build())
}

/// Writers at work.
pub struct Load {
    stop: watch::Sender<bool>,
    writers: JoinSet<Writer>,
    answers: Arc<AtomicU64>,
}

impl Load {
    /// Starts `writers`, each of which sends to these endpoints in turn. An endpoint may change: see the sender's end.
    pub fn start(bucket: &str, endpoints: watch::Receiver<Vec<String>>, writers: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let answers = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for number in 0..writers {
            let writer = Writer {
                number,
                bucket: bucket.to_owned(),
                endpoints: endpoints.clone(),
                dice: Dice::new(number + 1),
                generations: BTreeMap::new(),
                settled: BTreeMap::new(),
                unanswered: BTreeMap::new(),
            };
            tasks.spawn(writer.write(answers.clone(), stopped.clone()));
        }
        Self { stop, writers: tasks, answers }
    }

    /// How many writes were acknowledged so far.
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Waits until writes are acknowledged: as many as there are writers, so that it is not one that was under way.
    pub async fn until_it_goes_on(&self, what: &str) {
        let (begun, before) = (Instant::now(), self.answers());
        while self.answers() < before + self.writers.len() as u64 + 1 {
            assert!(begun.elapsed() < PATIENCE, "no write is acknowledged {PATIENCE:?} after {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the writers and returns what they know. Fails where one has seen what can't be.
    pub async fn end(self) -> Ledger {
        self.stop.send_replace(true);
        let acknowledged = self.answers();
        Ledger { writers: self.writers.join_all().await, acknowledged }
    }
}

/// What all writers know.
pub struct Ledger {
    writers: Vec<Writer>,
    acknowledged: u64,
}

impl Ledger {
    /// Holds every key and the list against what was acknowledged, through every one of these endpoints.
    pub async fn assert_all(&self, endpoints: &[String]) {
        let unanswered: usize = self.writers.iter().map(|writer| writer.unanswered.len()).sum();
        assert!(self.acknowledged > 0, "something was written");
        println!("{} writes acknowledged, {unanswered} without an answer", self.acknowledged);
        for endpoint in endpoints {
            let client = once(endpoint);
            let mut checks = JoinSet::new();
            for writer in &self.writers {
                let mut possible: Vec<(String, Vec<Content>)> = Vec::new();
                possible.extend(writer.settled.iter().map(|(key, content)| (key.clone(), vec![*content])));
                possible.extend(writer.unanswered.iter().map(|(key, both)| (key.clone(), both.to_vec())));
                let (client, bucket) = (client.clone(), writer.bucket.clone());
                checks.spawn(async move {
                    for (key, possible) in possible {
                        assert_one_of(&client, &bucket, &key, &possible).await;
                    }
                });
            }
            checks.join_all().await;
            self.assert_list(&client).await;
        }
    }

    async fn assert_list(&self, client: &Client) {
        let bucket = &self.writers.first().expect("there are writers").bucket;
        let listed: BTreeSet<String> = keys_listed(client, bucket).await.into_iter().collect();
        let is_there = |(_, content): &(&String, &Content)| content.is_some();
        let settled = |writer: &'_ Writer| -> Vec<String> {
            writer.settled.iter().filter(is_there).map(|(key, _)| key.clone()).collect()
        };
        let present: BTreeSet<String> = self.writers.iter().flat_map(settled).collect();
        let missing: Vec<_> = present.difference(&listed).collect();
        assert!(missing.is_empty(), "acknowledged and not listed: {missing:?}");
        let open: BTreeSet<&String> = self.writers.iter().flat_map(|writer| writer.unanswered.keys()).collect();
        let extra: Vec<_> = listed.difference(&present).filter(|key| !open.contains(key)).collect();
        assert!(extra.is_empty(), "listed and not there: {extra:?}");
    }
}

struct Writer {
    number: u64,
    bucket: String,
    endpoints: watch::Receiver<Vec<String>>,
    dice: Dice,
    /// How often each of the keys was given up.
    generations: BTreeMap<u64, u64>,
    settled: BTreeMap<String, Content>,
    /// Acknowledged last, and sent after it without an answer.
    unanswered: BTreeMap<String, [Content; 2]>,
}

impl Writer {
    async fn write(mut self, answers: Arc<AtomicU64>, stop: watch::Receiver<bool>) -> Self {
        let mut clients: BTreeMap<String, Client> = BTreeMap::new();
        let mut steps = 0;
        while !*stop.borrow() {
            steps += 1;
            let endpoints = self.endpoints.borrow().clone();
            let at = self.dice.index(endpoints.len());
            let mut client =
                |endpoint: &String| clients.entry(endpoint.clone()).or_insert_with(|| once(endpoint)).clone();
            let (one, other) = (client(&endpoints[at]), client(&endpoints[(at + 1) % endpoints.len()]));
            if self.step(&one, &other, self.number << 40 | steps).await {
                answers.fetch_add(1, Ordering::Relaxed);
            } else {
                // Refusals come at once; others want the processor too.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self
    }

    /// One write, and a look at it through another endpoint; whether it was acknowledged.
    async fn step(&mut self, client: &Client, other: &Client, seed: u64) -> bool {
        let number = self.dice.below(0..KEYS);
        let generation = self.generations.entry(number).or_default();
        let key = format!("writer-{}/key {number}/{generation}", self.number);
        let before = self.settled.get(&key).copied().flatten();
        let size = SIZES[self.dice.index(SIZES.len())];
        let (next, done) = match self.dice.below(0..10) {
            0 => (None, delete(client, &self.bucket, &key).await),
            1 => {
                let next = Some((seed, PART_BYTES + size));
                (next, upload(client, &self.bucket, &key, next).await)
            }
            _ => {
                let next = Some((seed, size));
                (next, put(client, &self.bucket, &key, next).await)
            }
        };
        if !done {
            *self.generations.get_mut(&number).expect("just made") += 1;
            self.settled.remove(&key);
            self.unanswered.insert(key, [before, next]);
            return false;
        }
        self.settled.insert(key.clone(), next);
        // An error says nothing; an answer must be right.
        if let Ok(found) = get(other, &self.bucket, &key).await {
            assert!(found == bytes_of(next), "{key} was acknowledged as {next:?}; a read saw {}", told(&found));
        }
        true
    }
}

fn told(found: &Option<Vec<u8>>) -> String {
    found.as_ref().map_or("nothing".to_owned(), |bytes| format!("{} other bytes", bytes.len()))
}

async fn assert_one_of(client: &Client, bucket: &str, key: &str, possible: &[Content]) {
    let begun = Instant::now();
    let found = loop {
        match get(client, bucket, key).await {
            Ok(found) => break found,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{key} can't be read: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let is = |content: &Content| bytes_of(*content) == found;
    assert!(possible.iter().any(is), "{key} may be one of {possible:?}, and is {}", told(&found));
}

async fn put(client: &Client, bucket: &str, key: &str, content: Content) -> bool {
    let body = bytes_of(content).expect("a PUT has a body");
    client.put_object().bucket(bucket).key(key).body(body.into()).send().await.is_ok()
}

async fn delete(client: &Client, bucket: &str, key: &str) -> bool {
    client.delete_object().bucket(bucket).key(key).send().await.is_ok()
}

async fn upload(client: &Client, bucket: &str, key: &str, content: Content) -> bool {
    let body = bytes_of(content).expect("an upload has a body");
    let Ok(created) = client.create_multipart_upload().bucket(bucket).key(key).send().await else { return false };
    let id = created.upload_id().expect("an upload has an id");
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip(body.chunks(PART_BYTES)) {
        let part = client.upload_part().bucket(bucket).key(key).upload_id(id).part_number(number);
        let Ok(part) = part.body(bytes.to_vec().into()).send().await else { return false };
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag().map(str::to_owned)).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(id).multipart_upload(parts);
    complete.send().await.is_ok()
}

/// The object's bytes; `None` where there is none.
///
/// # Errors
/// Any answer but an object or NoSuchKey, in words.
pub async fn get(client: &Client, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, String> {
    match client.get_object().bucket(bucket).key(key).send().await {
        Ok(got) => match got.body.collect().await {
            Ok(body) => Ok(Some(body.to_vec())),
            Err(error) => Err(format!("{error:?}")),
        },
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => Ok(None),
        Err(error) => Err(format!("{error:?}")),
    }
}

async fn keys_listed(client: &Client, bucket: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.expect("LIST").contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    keys
}
