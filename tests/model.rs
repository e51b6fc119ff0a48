//! A client that remembers what it was told: writers with keys of their own change a bucket and note each answer, so
//! that after any fault every key can be held against what it may be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::sync::watch;

use crate::body::body;

/// Sizes at which the way of storing changes: inline, copies, one short stripe, several stripes.
const SIZES: [usize; 6] = [0, 700, 4096, 20_000, 300_000, 5_000_000];
/// S3's smallest part.
const PART_BYTES: usize = 5 << 20;

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Absent,
    /// The body of this seed and size.
    Body {
        seed: u64,
        bytes: usize,
    },
}

impl Content {
    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Absent => None,
            Self::Body { seed, bytes } => Some(body(bytes, seed)),
        }
    }
}

/// What is known of one key.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// What the last acknowledged write left.
    acknowledged: Content,
    /// What a write that was not answered would leave, if it took effect.
    unanswered: Option<Content>,
}

/// One writer and its keys.
pub struct Writer {
    number: u64,
    keys: u64,
    steps: u64,
    known: BTreeMap<String, Known>,
}

/// Counts the answers of all writers, so that a fault can be timed by them.
#[derive(Debug, Default)]
pub struct Answers(AtomicU64);

impl Answers {
    /// How many writes were acknowledged so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Writer `number` with `keys` keys of its own.
    pub fn new(number: u64, keys: u64) -> Self {
        Self { number, keys, steps: 0, known: BTreeMap::new() }
    }

    /// Writes until `stop` says so or a write fails; a failed write stays unanswered.
    pub async fn write(&mut self, client: &Client, bucket: &str, answers: &Arc<Answers>, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if !self.step(client, bucket, answers).await {
                return;
            }
        }
    }

    /// One write; whether it was acknowledged.
    pub async fn step(&mut self, client: &Client, bucket: &str, answers: &Answers) -> bool {
        self.steps += 1;
        let dice = (self.number << 32 | self.steps).wrapping_mul(0xD134_2543_DE82_EF95) >> 20;
        let key = format!("writer-{}/key {}", self.number, dice % self.keys);
        let known = *self.known.get(&key).unwrap_or(&Known { acknowledged: Content::Absent, unanswered: None });
        // An unanswered write stays possible only until a later one is acknowledged; both are kept apart by waiting
        // for the check after a fault, which settles it.
        assert!(known.unanswered.is_none(), "the key was checked after the fault");
        let seed = self.number << 32 | self.steps;
        let bytes = SIZES[usize::try_from(dice >> 8).expect("64 bits") % SIZES.len()];
        let done = match dice >> 16 & 15 {
            0 | 1 => self.note(&key, Content::Absent, delete(client, bucket, &key)).await,
            2 => {
                let next = Content::Body { seed, bytes: PART_BYTES + bytes };
                self.note(&key, next, upload(client, bucket, &key, next)).await
            }
            3 if matches!(known.acknowledged, Content::Body { .. }) => {
                let target = format!("{key} copy");
                let next = known.acknowledged;
                let copied = copy(client, bucket, &key, &target);
                self.note(&target, next, copied).await
            }
            _ => {
                let next = Content::Body { seed, bytes };
                self.note(&key, next, put(client, bucket, &key, next)).await
            }
        };
        if done {
            answers.0.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// Awaits a write that leaves `next` and keeps what is then known.
    async fn note(&mut self, key: &str, next: Content, write: impl Future<Output = bool>) -> bool {
        let known =
            self.known.entry(key.to_owned()).or_insert(Known { acknowledged: Content::Absent, unanswered: None });
        known.unanswered = Some(next);
        let done = write.await;
        if done {
            *known = Known { acknowledged: next, unanswered: None };
        }
        done
    }

    /// Reads every key back: it holds what was acknowledged last, or what an unanswered write would have left, whole.
    pub async fn check(&mut self, client: &Client, bucket: &str) {
        for (key, known) in &mut self.known {
            let found = get(client, bucket, key).await;
            let is = |content: Content| content.bytes() == found;
            let settled =
                [Some(known.acknowledged), known.unanswered].into_iter().flatten().find(|content| is(*content));
            let Some(settled) = settled else {
                panic!("{key} holds {:?} bytes, but {known:?} is known", found.map(|bytes| bytes.len()));
            };
            *known = Known { acknowledged: settled, unanswered: None };
        }
    }

    /// The keys that hold an object.
    pub fn present(&self) -> Vec<String> {
        let holds = |known: &Known| matches!(known.acknowledged, Content::Body { .. });
        self.known.iter().filter(|(_, known)| holds(known)).map(|(key, _)| key.clone()).collect()
    }
}

async fn put(client: &Client, bucket: &str, key: &str, content: Content) -> bool {
    let body = content.bytes().expect("a PUT has a body");
    client.put_object().bucket(bucket).key(key).body(body.into()).send().await.is_ok()
}

async fn delete(client: &Client, bucket: &str, key: &str) -> bool {
    client.delete_object().bucket(bucket).key(key).send().await.is_ok()
}

async fn copy(client: &Client, bucket: &str, source: &str, target: &str) -> bool {
    let source = format!("{bucket}/{}", source.replace(' ', "%20"));
    client.copy_object().bucket(bucket).key(target).copy_source(source).send().await.is_ok()
}

async fn upload(client: &Client, bucket: &str, key: &str, content: Content) -> bool {
    let body = content.bytes().expect("an upload has a body");
    let Ok(created) = client.create_multipart_upload().bucket(bucket).key(key).send().await else { return false };
    let id = created.upload_id().expect("an upload has an id");
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip(body.chunks(PART_BYTES)) {
        let part = client.upload_part().bucket(bucket).key(key).upload_id(id).part_number(number);
        let Ok(part) = part.body(bytes.to_vec().into()).send().await else { return false };
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag().map(str::to_owned)).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    client
        .complete_multipart_upload()
        .bucket(bucket)
        .key(key)
        .upload_id(id)
        .multipart_upload(parts)
        .send()
        .await
        .is_ok()
}

/// The object's bytes; `None` where there is none. Anything but an object or NoSuchKey fails the test.
async fn get(client: &Client, bucket: &str, key: &str) -> Option<Vec<u8>> {
    match client.get_object().bucket(bucket).key(key).send().await {
        Ok(got) => Some(got.body.collect().await.unwrap_or_else(|error| panic!("{key}: {error:?}")).to_vec()),
        Err(error) => {
            let service = error.as_service_error();
            assert!(service.is_some_and(|error| error.is_no_such_key()), "{key}: {error:?}");
            None
        }
    }
}
