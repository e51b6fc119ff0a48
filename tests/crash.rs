//! kill -9 at any moment, under load: every acknowledged PUT, Complete, DELETE and copy is there after the restart with
//! the right bytes, nothing is torn, and no command is needed.
//!
//! Writers with keys of their own load the server until a number of answers has come in, then the process is killed and
//! started again, and every key is held against what it may be. The number is different each round, so the kill falls
//! into different places.

use std::sync::Arc;

use aws_sdk_s3::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::model::{Answers, Writer};
use crate::server::Server;

const ROUNDS: u64 = 50;
const WRITERS: u64 = 6;
const KEYS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_fifty_kills() {
    let mut server = Server::start(6);
    let bucket = server.bucket().await;
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, KEYS)).collect();
    let answers = Arc::new(Answers::default());
    for round in 0..ROUNDS {
        let until = answers.count() + 5 + round.wrapping_mul(7919) % 40;
        writers = load_until(&server.client(), &bucket, writers, &answers, until, || server.kill()).await;
        server.restart();
        let client = server.client();
        let mut checks = JoinSet::new();
        for mut writer in writers {
            let (client, bucket) = (client.clone(), bucket.clone());
            checks.spawn(async move {
                writer.check(&client, &bucket).await;
                writer
            });
        }
        writers = checks.join_all().await;
    }
    let listed = keys_listed(&server.client(), &bucket).await;
    let mut present: Vec<String> = writers.iter().flat_map(Writer::present).collect();
    present.sort();
    assert_eq!(listed, present, "the list agrees with the reads");
}

/// Lets the writers write, does `fault` once `until` writes were acknowledged, and waits until all have noticed it.
async fn load_until(
    client: &Client,
    bucket: &str,
    writers: Vec<Writer>,
    answers: &Arc<Answers>,
    until: u64,
    fault: impl FnOnce(),
) -> Vec<Writer> {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for mut writer in writers {
        let (client, bucket, answers, stopped) = (client.clone(), bucket.to_owned(), answers.clone(), stopped.clone());
        tasks.spawn(async move {
            writer.write(&client, &bucket, &answers, stopped).await;
            writer
        });
    }
    while answers.count() < until {
        tokio::task::yield_now().await;
        assert!(!tasks.is_empty() && !stop.is_closed(), "all writers failed before the fault");
    }
    fault();
    stop.send_replace(true);
    tasks.join_all().await
}

async fn keys_listed(client: &Client, bucket: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.expect("LIST").contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    keys
}
