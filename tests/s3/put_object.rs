//! PutObject: what was put is what is got, at every size at which the way of storing changes.

use aws_sdk_s3::primitives::ByteStream;

use super::{code_of, get, put};
use crate::body::body;
use crate::server::Server;

#[tokio::test]
async fn objects_of_every_form_read_back() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let sizes = [0, 1, 4096, 4097, 65_536, 65_537, 1 << 20, (4 << 20) + 1, 9_000_001];
    for (seed, bytes) in sizes.into_iter().enumerate() {
        let (key, sent) = (format!("{bytes}-bytes"), body(bytes, seed as u64));
        client.put_object().bucket(&bucket).key(&key).body(sent.clone().into()).send().await.expect("PUT");
        let got = client.get_object().bucket(&bucket).key(&key).send().await.expect("GET");
        let got = ByteStream::collect(got.body).await.expect("the body arrives").into_bytes();
        assert!(got == sent, "{key}: {} bytes came back", got.len());
    }
}

#[tokio::test]
async fn of_fifty_racing_if_none_match_writes_one_wins() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..50_u8 {
        let put = client.put_object().bucket(&bucket).key("k").if_none_match("*").body(vec![number; 10_000].into());
        racers.spawn(async move { (number, put.send().await) });
    }
    let (won, lost): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(|(_, outcome)| outcome.is_ok());
    assert_eq!(won.len(), 1);
    for (_, outcome) in lost {
        assert_eq!(code_of(outcome), "PreconditionFailed");
    }
    assert_eq!(get(&client, &bucket, "k").await, vec![won[0].0; 10_000]);
}

#[tokio::test]
async fn if_match_needs_the_object_that_it_names() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let write =
        |tag: &str| client.put_object().bucket(&bucket).key("k").if_match(tag).body(b"new".to_vec().into()).send();
    assert_eq!(code_of(write("\"0123456789abcdef0123456789abcdef\"").await), "NoSuchKey");
    let (old, _) = put(&client, &bucket, "k", b"1").await;
    let (new, _) = put(&client, &bucket, "k", b"2").await;
    assert_eq!(code_of(write(&old).await), "PreconditionFailed");
    write(&new).await.expect("it is this one");
}

#[tokio::test]
async fn a_wrong_md5_or_checksum_leaves_nothing_behind() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let write = || client.put_object().bucket(&bucket).key("k").body(b"hello".to_vec().into());
    assert_eq!(code_of(write().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await), "BadDigest");
    assert_eq!(code_of(write().content_md5("not base64").send().await), "InvalidDigest");
    assert_eq!(code_of(write().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "NoSuchKey");
    write().content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await.expect("the right one");
}

#[tokio::test]
async fn keys_are_bytes_and_live_side_by_side() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let keys = [
        "a", "a/", "a/b", "//", "/lead", "trail/", "sp ace", "qu\"ote", "<tag>&", "per%cent", "pl+us", "ünï", "a/../b",
    ];
    for key in keys {
        put(&client, &bucket, key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(get(&client, &bucket, key).await, key.as_bytes(), "{key}");
    }
    let long = "k".repeat(1025);
    let refused = client.put_object().bucket(&bucket).key(&long).body(b"x".to_vec().into()).send().await;
    assert_eq!(code_of(refused), "KeyTooLongError");
}
