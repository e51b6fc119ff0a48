//! Disks that fill up under the server, one, two, then all of them.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};

use super::*;
use crate::mounts::{FileSystem, Filling};

/// Room for what a test writes several times over.
const DISK: FileSystem = FileSystem::Tmpfs(512 << 20);
/// Large objects that are deleted when all is full.
const HEAVY: usize = 16;
/// More objects than go into what was reserved before the disks were full.
const PUTS_MAX: usize = 20_000;

async fn two_full_disks(first: usize, second: usize) {
    // The other four have half as much room as six: what is deleted must not stay for an hour.
    let Some(server) = Server::start_on(DISK, 6, &["--garbage-grace", "1m"]) else { return };
    let mut fillings = Vec::new();
    two_disks_may_go(server, first, second, |server, disk| fillings.push(Filling::of(&[server.disk(disk)]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_full_disks_lose_nothing_the_first_ones() {
    two_full_disks(1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_full_disks_lose_nothing_later_ones() {
    two_full_disks(3, 5).await;
}

/// One after the other fills up, and every write is acknowledged while any four are left. When all are full, and whatever
/// becomes free is taken at once, writes are refused in S3's words, what was acknowledged is read, and deletes work,
/// after a restart too. Then deletes give space back, and it serves on; the more so when the space is given back.
#[tokio::test(flavor = "multi_thread")]
async fn disks_may_fill_one_by_one_and_serve_again_when_there_is_space() {
    // While a disk is full, deleted bytes stay for a sixtieth of this.
    let Some(mut server) = Server::start_on(DISK, 6, &["--garbage-grace", "1m"]) else { return };
    let disks: Vec<_> = (1..=6).map(|n| server.disk(n)).collect();
    let bucket = server.bucket().await;
    let answers = Arc::new(Answers::default());
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, KEYS)).collect();
    let client = server.client();
    for number in 0..HEAVY {
        assert!(put(&client, &bucket, number, 8 << 20).await.is_ok());
    }
    write_all(&server, &bucket, &mut writers, &answers).await;
    let mut filling: Vec<Filling> = Vec::new();
    for disk in &disks {
        filling.push(Filling::of(std::slice::from_ref(disk)));
        if filling.len() <= 2 {
            write_all(&server, &bucket, &mut writers, &answers).await;
        }
    }
    put_until_refused(&client, &bucket).await;
    check_all(&server, &bucket, &mut writers).await;
    delete_object(&client, &bucket, 0).await;
    server.kill();
    server.restart();
    let client = server.client();
    check_all(&server, &bucket, &mut writers).await;
    put_until_refused(&client, &bucket).await;

    let fillers: Vec<_> = filling.iter().flat_map(|filling| filling.files.clone()).collect();
    drop(filling);
    for number in 1..HEAVY {
        delete_object(&client, &bucket, number).await;
    }
    let begun = std::time::Instant::now();
    while let Err(refused) = put(&client, &bucket, 1, 1 << 20).await {
        assert!(begun.elapsed().as_secs() < 120, "deletes gave no space back: {refused:?}");
    }
    for filler in fillers {
        std::fs::remove_file(filler).expect("space is given back");
    }
    write_all(&server, &bucket, &mut writers, &answers).await;
    check_all(&server, &bucket, &mut writers).await;
}

async fn delete_object(client: &Client, bucket: &str, number: usize) {
    let deleted = client.delete_object().bucket(bucket).key(number.to_string()).send().await;
    deleted.unwrap_or_else(|error| panic!("full disks take no delete: {error:?}"));
}

type Put = Result<PutObjectOutput, SdkError<PutObjectError, HttpResponse>>;

async fn put(client: &Client, bucket: &str, number: usize, bytes: usize) -> Put {
    client.put_object().bucket(bucket).key(number.to_string()).body(vec![7; bytes].into()).send().await
}

/// Puts objects of several sizes until one of each is refused, which must be with an error of S3 and its status.
async fn put_until_refused(client: &Client, bucket: &str) {
    for (first, bytes) in [(1000, 5_000_000), (2000, 300_000), (3000, 20_000), (4000, 4000)] {
        let mut refused = None;
        for number in first..first + PUTS_MAX {
            refused = put(client, bucket, number, bytes).await.err();
            if refused.is_some() {
                break;
            }
        }
        let refused = refused.unwrap_or_else(|| panic!("{PUTS_MAX} times {bytes} bytes found room on full disks"));
        let response = refused.raw_response().unwrap_or_else(|| panic!("no answer: {refused:?}"));
        let answer = (response.status().as_u16(), refused.code().unwrap_or_default());
        let in_words = [(507, "InsufficientStorage"), (503, "ServiceUnavailable"), (503, "SlowDown")];
        assert!(in_words.contains(&answer), "{bytes} bytes: {answer:?}");
    }
}
