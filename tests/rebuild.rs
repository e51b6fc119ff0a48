//! The index is lost, log, votes, database, mirrors and copies: `cairn admin index rebuild` makes it again, from the
//! archive, or, with that gone too, from the shards' headers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, VersioningConfiguration};
use tokio::sync::watch;

use crate::body::body;
use crate::loss::delete;
use crate::server::Server;

/// S3's smallest part.
const PART_BYTES: usize = 5 << 20;
/// What the archive is behind at most, by its promise.
const BEHIND_MAX: Duration = Duration::from_secs(10);

/// What a client sees of a server: each version of each key with all that is said of it.
type Seen = BTreeMap<(String, String, String), String>;

/// Sizes: inline, copies, one stripe, several.
const SIZES: [(&str, usize); 4] = [("inline", 700), ("small", 20_000), ("stripe", 300_000), ("large", 9_000_000)];

async fn put(client: &Client, bucket: &str, key: &str, bytes: usize, seed: u64) {
    let put = client.put_object().bucket(bucket).key(key).body(body(bytes, seed).into());
    let put = put.content_type("text/x-test").cache_control("no-store").metadata("color", "blue").tagging("a=1&b=2");
    put.send().await.expect("PUT");
}

async fn begin(client: &Client, bucket: &str, key: &str) -> String {
    let created = client.create_multipart_upload().bucket(bucket).key(key).metadata("shape", "round");
    created.send().await.expect("begun").upload_id.expect("an upload has an id")
}

async fn part(client: &Client, bucket: &str, key: &str, upload: &str, number: i32, bytes: Vec<u8>) -> CompletedPart {
    let part = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number).body(bytes.into());
    let part = part.send().await.expect("a part");
    CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
}

async fn complete(client: &Client, bucket: &str, key: &str, upload: &str, parts: Vec<CompletedPart>) {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload);
    complete.multipart_upload(parts).send().await.expect("completed");
}

/// A bucket with objects of every form, copies, an upload that was completed, and keys that were deleted.
async fn fill_plain(client: &Client, bucket: &str) {
    for (seed, (name, bytes)) in (1..).zip(SIZES) {
        put(client, bucket, name, bytes, seed).await;
        let copy = client.copy_object().bucket(bucket).key(format!("copy of {name}"));
        copy.copy_source(format!("{bucket}/{name}")).send().await.expect("copied");
        put(client, bucket, &format!("deleted {name}"), bytes, 50 + seed).await;
        client.delete_object().bucket(bucket).key(format!("deleted {name}")).send().await.expect("deleted");
    }
    // Overwritten: only the later one counts.
    put(client, bucket, "overwritten", 30_000, 20).await;
    put(client, bucket, "overwritten", 200_000, 21).await;
    let upload = begin(client, bucket, "multipart").await;
    let mut parts = vec![part(client, bucket, "multipart", &upload, 1, body(PART_BYTES, 30)).await];
    parts.push(part(client, bucket, "multipart", &upload, 2, body(PART_BYTES + 1000, 31)).await);
    // One that lies in the index, and one that was sent twice.
    part(client, bucket, "multipart", &upload, 2, body(PART_BYTES + 1000, 32)).await;
    parts[1] = part(client, bucket, "multipart", &upload, 2, body(PART_BYTES + 2000, 33)).await;
    parts.push(part(client, bucket, "multipart", &upload, 3, body(900, 34)).await);
    complete(client, bucket, "multipart", &upload, parts).await;
}

/// A bucket whose versions are kept: two of each size, and a marker over one of them.
async fn fill_versioned(client: &Client, bucket: &str) {
    put(client, bucket, "stripe", 250_000, 60).await;
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(bucket).versioning_configuration(enabled).send().await.expect("enabled");
    for (seed, (name, bytes)) in (70..).zip(SIZES) {
        put(client, bucket, name, bytes, seed).await;
        put(client, bucket, name, bytes + 10, 10 + seed).await;
    }
    client.delete_object().bucket(bucket).key("small").send().await.expect("a marker");
    client.delete_object().bucket(bucket).key("never was").send().await.expect("a marker");
}

/// Everything that a client can see.
async fn see(client: &Client) -> Seen {
    let mut seen = Seen::new();
    for bucket in client.list_buckets().send().await.expect("listed").buckets() {
        let bucket = bucket.name().expect("a bucket has a name");
        let versioning = client.get_bucket_versioning().bucket(bucket).send().await.expect("versioning");
        seen.insert((bucket.to_owned(), String::new(), String::new()), format!("{:?}", versioning.status()));
        let listed = client.list_object_versions().bucket(bucket).send().await.expect("listed");
        for marker in listed.delete_markers() {
            let (key, id) = (marker.key().expect("a key"), marker.version_id().expect("an id"));
            let said = format!("marker, latest {:?}, {:?}", marker.is_latest(), marker.last_modified());
            seen.insert((bucket.to_owned(), key.to_owned(), id.to_owned()), said);
        }
        for version in listed.versions() {
            let (key, id) = (version.key().expect("a key"), version.version_id().expect("an id"));
            let get = client.get_object().bucket(bucket).key(key).version_id(id).send().await.expect("GET");
            let said = format!(
                "latest {:?}, {:?}, {:?}, {:?}, {:?}, {:?}, {:?}, {:?}",
                version.is_latest(),
                get.last_modified(),
                get.e_tag(),
                get.content_type(),
                get.cache_control(),
                get.metadata().map(|metadata| metadata.iter().collect::<BTreeMap<_, _>>()),
                get.tag_count(),
                get.content_length(),
            );
            let bytes = get.body.collect().await.expect("the body").into_bytes();
            seen.insert((bucket.to_owned(), key.to_owned(), id.to_owned()), format!("{said}, {}", hash(&bytes)));
        }
    }
    seen
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Waits until the archive has everything.
fn wait_for_archive(server: &Server) {
    server.wait_for_status("the archive has everything", |status| status.contains(r#""archive_lag_seconds":0.0"#));
}

/// Deletes a directory on every disk.
fn delete_everywhere(server: &Server, directory: &str) {
    for disk in 1..=server.disks() {
        match std::fs::remove_dir_all(server.disk(disk).join(directory)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{directory}: {error}"),
            _ => {}
        }
    }
}

/// What `/readyz` and a plain request on the S3 port answer.
fn get(endpoint: &str, path: &str) -> String {
    let host = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the port accepts");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// Kills the server, takes its index away, and starts it again: it must say what is wrong, and serve nothing.
fn lose_index(server: &mut Server) {
    server.kill();
    delete_everywhere(server, "index");
    server.restart();
    let ready = get(server.admin_endpoint(), "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("cairn admin index rebuild"), "{ready}");
    // Disks are told by where they are: nobody can ask for the status now.
    assert!(ready.contains(&server.disk(1).display().to_string()), "{ready}");
    let s3 = get(server.endpoint(), "/bucket/key");
    assert!(s3.starts_with("HTTP/1.1 503") && s3.contains("<Code>ServiceUnavailable</Code>"), "{s3}");
}

/// Rebuilds and returns the report, once the server serves.
fn rebuild(server: &Server, options: &[&str]) -> String {
    server.admin(&[&["index", "rebuild"][..], options].concat())
}

/// The range's files in the archive, by disk.
fn archive_files(server: &Server) -> Vec<(usize, String)> {
    let of_disk = |disk| {
        let names = std::fs::read_dir(server.disk(disk).join("archive")).into_iter().flatten();
        names.map(move |entry| (disk, entry.expect("readable").file_name().to_string_lossy().into_owned()))
    };
    let mut files: Vec<(usize, String)> = (1..=server.disks()).flat_map(of_disk).collect();
    files.sort();
    files
}

/// A stop ends tickets after the archive's last round, and purges the log: what the archive lacks of it stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_archive_goes_on_after_a_stop_where_it_ended() {
    let mut server = Server::start_with(6, &["--archive-period", "200ms"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "before", 1 << 20, 1).await;
    wait_for_archive(&server);
    let before = archive_files(&server);
    assert!(!before.is_empty());
    for _ in 0..2 {
        server.stop();
        server.restart();
        wait_for_archive(&server);
        assert_eq!(archive_files(&server), before, "no generation was begun anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_comes_back_whole_from_the_archive() {
    let mut server = Server::start_with(6, &["--archive-period", "200ms"]);
    let client = server.client();
    let (plain, versioned) = (server.bucket().await, server.bucket().await);
    fill_plain(&client, &plain).await;
    fill_versioned(&client, &versioned).await;
    let upload = begin(&client, &plain, "under way").await;
    let first = part(&client, &plain, "under way", &upload, 1, body(PART_BYTES, 40)).await;
    let before = see(&client).await;
    wait_for_archive(&server);

    lose_index(&mut server);
    let told = rebuild(&server, &["--dry-run"]);
    assert!(told.contains(r#""dry_run":true"#), "{told}");
    assert!(get(server.admin_endpoint(), "/readyz").starts_with("HTTP/1.1 503"), "a dry run changes nothing");
    let report = rebuild(&server, &[]);
    assert!(report.contains(r#""unproven":{"count":0"#) && report.contains(r#""without_archive":[]"#), "{report}");
    let client = server.client();
    assert_same(&before, &see(&client).await);
    assert!(get(server.admin_endpoint(), "/readyz").starts_with("HTTP/1.1 200"));

    // It goes on: the upload is completed, others write, and all of it outlives a restart and another loss.
    let second = part(&client, &plain, "under way", &upload, 2, body(5000, 41)).await;
    complete(&client, &plain, "under way", &upload, vec![first, second]).await;
    put(&client, &plain, "later", 400_000, 42).await;
    client.create_bucket().bucket("made-later").send().await.expect("created");
    let later = see(&client).await;
    wait_for_archive(&server);
    server.kill();
    server.restart();
    assert_same(&later, &see(&server.client()).await);
    lose_index(&mut server);
    rebuild(&server, &[]);
    assert_same(&later, &see(&server.client()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_archive_shard_headers_bring_back_what_is_not_inline() {
    let mut server = Server::start_with(6, &["--archive-period", "200ms"]);
    let client = server.client();
    let (plain, versioned) = (server.bucket().await, server.bucket().await);
    fill_plain(&client, &plain).await;
    fill_versioned(&client, &versioned).await;
    let before = see(&client).await;
    wait_for_archive(&server);
    server.kill();
    delete_everywhere(&server, "index");
    delete_everywhere(&server, "archive");
    // Two disks may be gone for good as well.
    for disk in [2, 5] {
        std::fs::remove_dir_all(server.disk(disk)).expect("removed");
    }
    server.restart();
    let refused = server.admin_command(&["index", "rebuild"]).output().expect("the verb runs");
    let refusal = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && refusal.contains("--accept-loss"), "{refusal}");
    let report = rebuild(&server, &["--accept-loss"]);
    assert!(!report.contains(r#""unproven":{"count":0"#) && report.contains(r#""archive":[]"#), "{report}");

    let after = see(&server.client()).await;
    // Ids and dates of versions are new; what is current says the same of itself as before.
    let current = |seen: &Seen, bucket: &str, key: &str| -> Option<String> {
        let said = seen.iter().filter(|((of, name, id), _)| of == bucket && name == key && !id.is_empty());
        let said = said.map(|(_, said)| said.clone()).find(|said| said.starts_with("latest Some(true)"))?;
        // The date is the second of the facts.
        Some(said.split_once("\"").map(|(_, rest)| rest.to_owned()).unwrap_or(said))
    };
    for key in
        ["small", "stripe", "large", "copy of small", "copy of stripe", "copy of large", "overwritten", "multipart"]
    {
        let (was, is) = (current(&before, &plain, key), current(&after, &plain, key));
        assert!(was.is_some() && is == was, "{key}: {is:?} instead of {was:?}");
    }
    for key in ["stripe", "large"] {
        let (was, is) = (current(&before, &versioned, key), current(&after, &versioned, key));
        assert!(was.is_some() && is == was, "{key}: {is:?} instead of {was:?}");
    }
    let versions =
        |seen: &Seen, key: &str| seen.keys().filter(|(bucket, name, _)| *bucket == versioned && name == key).count();
    assert_eq!((versions(&after, "stripe"), versions(&after, "large")), (3, 2), "older versions are there too");
    let settings = (versioned.clone(), String::new(), String::new());
    assert_eq!(after[&settings], before[&settings], "the bucket is versioned as before");
    assert_eq!(current(&after, &plain, "inline"), None, "what lay in the index alone is lost");
    let status = server.admin(&["status"]);
    assert!(status.contains(r#""not_ready":null"#), "{status}");

    // It is a store again, and its blank places are made whole without a command.
    put(&server.client(), &plain, "later", 400_000, 42).await;
    server.wait_for_status("the blank directories are rebuilt", |status| {
        status.matches(r#""state":"up""#).count() == 6 && status.contains(r#""rebuilding":[]"#)
    });
    let later = see(&server.client()).await;
    for disk in [1, 4] {
        delete(&server.disk(disk));
    }
    assert_same(&later, &see(&server.client()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_ten_seconds_before_a_loss_is_in_the_archive() {
    let mut server = Server::start(6);
    let bucket = server.bucket().await;
    let (stop, stopped) = watch::channel(false);
    let mut writers = Vec::new();
    let client = Arc::new(server.client());
    for writer in 0..4 {
        let (client, bucket, stopped) = (client.clone(), bucket.clone(), stopped.clone());
        writers.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                // Those of the numbers that three divides lie in the index alone.
                let (key, bytes) = (format!("{writer}-{number}"), [700, 20_000, 90_000][number % 3]);
                let put = client.put_object().bucket(&bucket).key(&key).body(body(bytes, number as u64).into());
                if *stopped.borrow() || put.send().await.is_err() {
                    break;
                }
                acknowledged.push((key, Instant::now()));
            }
            acknowledged
        }));
    }
    let begun = Instant::now();
    server.wait_for_status("there is load for longer than the archive may be behind", |status| {
        assert!(!status.contains(r#""archive_lag_seconds":null"#) || begun.elapsed() < BEHIND_MAX, "{status}");
        begun.elapsed() > BEHIND_MAX + Duration::from_secs(4)
    });
    server.kill();
    let killed = Instant::now();
    stop.send_replace(true);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("a writer"));
    }
    let old: Vec<_> = acknowledged.iter().filter(|(_, at)| killed.duration_since(*at) > BEHIND_MAX).collect();
    assert!(old.len() > 20, "{} of {} writes are old enough", old.len(), acknowledged.len());
    lose_index(&mut server);
    let report = rebuild(&server, &[]);
    let mut there = BTreeSet::new();
    let mut pages = server.client().list_objects_v2().bucket(&bucket).into_paginator().send();
    while let Some(page) = pages.next().await {
        there.extend(page.expect("listed").contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    for (key, _) in old {
        assert!(there.contains(key), "{key} was answered more than 10 s before: {report}");
    }
    // What is on the disks of the last seconds is there as well, marked as unproven.
    let large = acknowledged.iter().filter(|(key, _)| !number_of(key).is_multiple_of(3));
    for (key, _) in large {
        assert!(there.contains(key), "{key} was answered, and all of it lay on the disks: {report}");
    }
}

fn number_of(key: &str) -> usize {
    key.split_once('-').and_then(|(_, number)| number.parse().ok()).expect("a key of the test")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_is_refused_where_an_index_stands_and_can_be_begun_again() {
    let mut server = Server::start_with(3, &["--archive-period", "200ms"]);
    let bucket = server.bucket().await;
    for number in 0..20 {
        put(&server.client(), &bucket, &format!("key {number}"), 100_000, number).await;
    }
    let before = see(&server.client()).await;
    let refused = server.admin_command(&["index", "rebuild"]).output().expect("the verb runs");
    let refusal = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && refusal.contains("the index stands"), "{refusal}");
    assert_same(&before, &see(&server.client()).await);
    wait_for_archive(&server);

    lose_index(&mut server);
    // Killed somewhere in the middle, at a different place each time.
    for round in 0..4 {
        let mut verb = server.admin_command(&["index", "rebuild"]);
        let mut verb = verb.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the verb runs");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(30 * round) {
            tokio::task::yield_now().await;
        }
        server.kill();
        let _ = verb.wait();
        server.restart();
    }
    if get(server.admin_endpoint(), "/readyz").starts_with("HTTP/1.1 503") {
        rebuild(&server, &[]);
    }
    assert_same(&before, &see(&server.client()).await);
    server.kill();
    server.restart();
    assert_same(&before, &see(&server.client()).await);
}

fn assert_same(before: &Seen, after: &Seen) {
    for (version, said) in before {
        assert_eq!(after.get(version), Some(said), "{version:?}");
    }
    let more: Vec<_> = after.keys().filter(|version| !before.contains_key(version)).collect();
    assert!(more.is_empty(), "{more:?} was not there before");
}
