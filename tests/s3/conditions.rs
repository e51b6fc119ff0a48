//! Conditions on reads, copies and writes: what holds, what beats what, and that writes are decided at commit.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::BucketVersioningStatus;

use super::complete_multipart_upload::{begin, named, part};
use super::raw::{presigned, request};
use super::{code_of, fresh, get, put, set_versioning};
use crate::server::Server;

const PAST: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const FUTURE: &str = "Tue, 02 Oct 2096 07:06:40 GMT";

#[tokio::test]
async fn reads_follow_rfc_9110_for_get_and_head_alike() {
    let (client, bucket) = fresh().await;
    let (tag, _) = put(&client, &bucket, "k", b"hello").await;
    let (weak, bare) = (format!("W/{tag}"), tag.trim_matches('"').to_owned());
    let list = format!("\"0123456789abcdef0123456789abcdef\", {tag}");
    let other = "\"0123456789abcdef0123456789abcdef\"";
    for (headers, status) in [
        (vec![("if-match", tag.as_str())], 200),
        (vec![("if-match", "*")], 200),
        (vec![("if-match", &list)], 200),
        (vec![("if-match", &bare)], 200),
        (vec![("if-match", other)], 412),
        (vec![("if-none-match", tag.as_str())], 304),
        (vec![("if-none-match", &weak)], 304),
        (vec![("if-none-match", &list)], 304),
        (vec![("if-none-match", "*")], 304),
        (vec![("if-none-match", other)], 200),
        (vec![("if-modified-since", PAST)], 200),
        (vec![("if-modified-since", FUTURE)], 304),
        (vec![("if-modified-since", "yesterday")], 200),
        (vec![("if-unmodified-since", PAST)], 412),
        (vec![("if-unmodified-since", FUTURE)], 200),
        (vec![("if-unmodified-since", "yesterday")], 200),
        // What names the object beats what names a time.
        (vec![("if-match", &tag), ("if-unmodified-since", PAST)], 200),
        (vec![("if-match", other), ("if-unmodified-since", FUTURE)], 412),
        (vec![("if-none-match", other), ("if-modified-since", FUTURE)], 200),
        (vec![("if-none-match", &tag), ("if-modified-since", PAST)], 304),
        (vec![("if-match", &tag), ("if-none-match", &tag)], 304),
        // A range is looked at only once the conditions hold.
        (vec![("if-match", &tag), ("range", "bytes=1-2")], 206),
        (vec![("if-match", other), ("range", "bytes=99-")], 412),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = request(Server::shared(), method, &format!("/{bucket}/k"), &headers, b"");
            assert_eq!(answer.status, status, "{method} {headers:?}");
            if status == 304 {
                assert_eq!((answer.header("etag"), answer.body.len()), (Some(tag.as_str()), 0), "{method} {headers:?}");
                assert!(answer.header("last-modified").is_some());
            }
            if status == 412 && method == "GET" {
                assert_eq!(answer.error(), (412, "PreconditionFailed"));
                assert!(answer.element("Condition").is_some_and(|name| name.starts_with("If-")), "{headers:?}");
            }
        }
    }
}

/// The time of a listing and of a header are one, and compare as whole seconds.
#[tokio::test]
async fn the_objects_own_time_is_not_modified_since() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let head = client.head_object().bucket(&bucket).key("k").send().await.expect("HEAD");
    let at = *head.last_modified().expect("a time");
    let listed = client.list_objects_v2().bucket(&bucket).send().await.expect("LIST");
    assert_eq!(listed.contents()[0].last_modified(), Some(&at));
    let get = || client.get_object().bucket(&bucket).key("k");
    assert!(get().if_unmodified_since(at).send().await.is_ok());
    assert_eq!(super::status_of(get().if_modified_since(at).send().await), 304);
    let before = DateTime::from_secs(at.secs() - 1);
    assert!(get().if_modified_since(before).send().await.is_ok());
}

#[tokio::test]
async fn a_copys_source_has_the_same_conditions_and_fails_as_412() {
    let (client, bucket) = fresh().await;
    let (tag, _) = put(&client, &bucket, "source", b"hello").await;
    let other = "\"0123456789abcdef0123456789abcdef\"";
    let upload = begin(&client, &bucket, "upload").await;
    let source = format!("/{bucket}/source");
    for (headers, status) in [
        (vec![("if-match", tag.as_str())], 200),
        (vec![("if-match", other)], 412),
        (vec![("if-none-match", other)], 200),
        (vec![("if-none-match", tag.as_str())], 412),
        (vec![("if-modified-since", PAST)], 200),
        (vec![("if-modified-since", FUTURE)], 412),
        (vec![("if-unmodified-since", PAST)], 412),
        (vec![("if-unmodified-since", FUTURE)], 200),
        (vec![("if-match", tag.as_str()), ("if-unmodified-since", PAST)], 200),
        (vec![("if-none-match", tag.as_str()), ("if-modified-since", PAST)], 412),
    ] {
        let names: Vec<_> = headers.iter().map(|(name, _)| format!("x-amz-copy-source-{name}")).collect();
        let mut all: Vec<_> = names.iter().zip(&headers).map(|(name, (_, value))| (name.as_str(), *value)).collect();
        all.push(("x-amz-copy-source", &source));
        for target in [format!("/{bucket}/copy"), format!("/{bucket}/upload?partNumber=1&uploadId={upload}")] {
            let answer = request(Server::shared(), "PUT", &target, &all, b"");
            assert_eq!(answer.status, status, "{target} {headers:?}: {}", answer.text());
            if status == 412 {
                assert_eq!(answer.error(), (412, "PreconditionFailed"));
            }
        }
    }
}

#[tokio::test]
async fn a_copys_target_may_be_conditional() {
    let (client, bucket) = fresh().await;
    let (tag, _) = put(&client, &bucket, "source", b"source").await;
    let (old, _) = put(&client, &bucket, "target", b"target").await;
    let copy = |key: &str| client.copy_object().bucket(&bucket).key(key).copy_source(format!("{bucket}/source"));
    assert_eq!(code_of(copy("target").if_none_match("*").send().await), "PreconditionFailed");
    assert_eq!(code_of(copy("target").if_match(&tag).send().await), "PreconditionFailed");
    assert_eq!(code_of(copy("none").if_match(&tag).send().await), "NoSuchKey");
    assert_eq!(get(&client, &bucket, "target").await, b"target");
    copy("target").if_match(&old).send().await.expect("it is this one");
    copy("none").if_none_match("*").send().await.expect("there is none");
    assert_eq!(get(&client, &bucket, "target").await, b"source");
}

#[tokio::test]
async fn an_upload_outlives_a_completion_whose_condition_failed() {
    let (client, bucket) = fresh().await;
    let (old, _) = put(&client, &bucket, "k", b"old").await;
    let upload = begin(&client, &bucket, "k").await;
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 70_000]).await;
    let complete = || {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        complete.multipart_upload(named(vec![one.clone()]))
    };
    assert_eq!(code_of(complete().if_none_match("*").send().await), "PreconditionFailed");
    let other = "\"0123456789abcdef0123456789abcdef\"";
    assert_eq!(code_of(complete().if_match(other).send().await), "PreconditionFailed");
    assert_eq!(get(&client, &bucket, "k").await, b"old");
    complete().if_match(&old).send().await.expect("it is this one");
    assert_eq!(get(&client, &bucket, "k").await, vec![1; 70_000]);

    let upload = begin(&client, &bucket, "none").await;
    let one = part(&client, &bucket, "none", &upload, 1, vec![1; 10]).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key("none").upload_id(&upload);
    let complete = complete.if_match(other).multipart_upload(named(vec![one]));
    assert_eq!(code_of(complete.send().await), "NoSuchKey");
}

/// A condition that S3 doesn't have on a request is named, never passed over.
#[tokio::test]
async fn conditions_that_writes_do_not_have_are_501() {
    let (client, bucket) = fresh().await;
    let (tag, _) = put(&client, &bucket, "k", b"kept").await;
    let upload = begin(&client, &bucket, "k").await;
    let source = format!("/{bucket}/k");
    let write = format!("/{bucket}/k");
    let complete = format!("/{bucket}/k?uploadId={upload}");
    let version = format!("/{bucket}/k?versionId=null");
    let document =
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>";
    for (method, target, name, value, named) in [
        ("PUT", &write, "if-none-match", tag.as_str(), "If-None-Match"),
        ("PUT", &write, "if-modified-since", PAST, "If-Modified-Since"),
        ("PUT", &write, "if-unmodified-since", FUTURE, "If-Unmodified-Since"),
        ("POST", &complete, "if-none-match", &tag, "If-None-Match"),
        ("POST", &complete, "if-modified-since", PAST, "If-Modified-Since"),
        ("DELETE", &write, "if-none-match", "*", "If-None-Match"),
        ("DELETE", &write, "if-unmodified-since", FUTURE, "If-Unmodified-Since"),
        ("DELETE", &write, "x-amz-if-match-size", "4", "x-amz-if-match-size"),
        ("DELETE", &write, "x-amz-if-match-last-modified-time", PAST, "x-amz-if-match-last-modified-time"),
        ("DELETE", &version, "if-match", &tag, "If-Match"),
    ] {
        for copies in [false, true].into_iter().filter(|copies| !copies || method == "PUT") {
            let mut headers = vec![(name, value)];
            headers.extend(copies.then_some(("x-amz-copy-source", source.as_str())));
            let body = if method == "POST" { document } else { "" };
            let answer = request(Server::shared(), method, target, &headers, body.as_bytes());
            assert_eq!(answer.error(), (501, "NotImplemented"), "{method} {headers:?}");
            assert_eq!(answer.element("Header"), Some(named));
        }
    }
    assert_eq!(get(&client, &bucket, "k").await, b"kept");
}

#[tokio::test]
async fn writes_that_have_no_conditions_pass_none_over() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"kept").await;
    let upload = begin(&client, &bucket, "k").await;
    let part = format!("/{bucket}/k?partNumber=1&uploadId={upload}");
    let source = format!("/{bucket}/k");
    let (uploads, aborted) = (format!("/{bucket}/k?uploads"), format!("/{bucket}/k?uploadId={upload}"));
    let (delete, versioning, whole) =
        (format!("/{bucket}?delete"), format!("/{bucket}?versioning"), format!("/{bucket}"));
    let keys = "<Delete><Object><Key>k</Key></Object></Delete>";
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let copied = Some(("x-amz-copy-source", source.as_str()));
    for (method, target, copied, body) in [
        ("PUT", &part, None, "a part"),
        ("PUT", &part, copied, ""),
        ("POST", &uploads, None, ""),
        ("DELETE", &aborted, None, ""),
        ("POST", &delete, None, keys),
        ("PUT", &versioning, None, enabled),
        ("DELETE", &whole, None, ""),
        ("PUT", &whole, None, ""),
    ] {
        for (name, value, named) in [
            ("if-match", "\"x\"", "If-Match"),
            ("if-none-match", "*", "If-None-Match"),
            ("if-unmodified-since", PAST, "If-Unmodified-Since"),
            ("x-amz-if-match-size", "4", "x-amz-if-match-size"),
        ] {
            let headers: Vec<_> = copied.into_iter().chain([(name, value)]).collect();
            let answer = request(Server::shared(), method, target, &headers, body.as_bytes());
            assert_eq!(answer.error(), (501, "NotImplemented"), "{method} {target} {headers:?}");
            assert_eq!(answer.element("Header"), Some(named));
        }
    }
    assert_eq!(get(&client, &bucket, "k").await, b"kept");
    let parts = client.list_parts().bucket(&bucket).key("k").upload_id(&upload).send().await.expect("it stands");
    assert!(parts.parts().is_empty());
}

#[tokio::test]
async fn a_marker_is_no_object_to_conditions() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let (tag, _) = put(&client, &bucket, "k", b"x").await;
    client.delete_object().bucket(&bucket).key("k").send().await.expect("DELETE");
    let put = || client.put_object().bucket(&bucket).key("k").body(b"new".to_vec().into());
    assert_eq!(code_of(put().if_match(&tag).send().await), "NoSuchKey");
    let delete = client.delete_object().bucket(&bucket).key("k").if_match(&tag);
    assert_eq!(code_of(delete.send().await), "NoSuchKey");
    put().if_none_match("*").send().await.expect("there is no current object");
    assert_eq!(get(&client, &bucket, "k").await, b"new");
    assert_eq!(code_of(put().if_none_match("*").send().await), "PreconditionFailed");
}

#[tokio::test]
async fn of_puts_copies_and_completions_that_race_for_a_name_one_wins() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "source", b"of a copy").await;
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..8_u8 {
        let put = client.put_object().bucket(&bucket).key("k").if_none_match("*").body(vec![number; 70_000].into());
        racers.spawn(async move { put.send().await.map(|_| "put").map_err(|error| code_of(Err::<(), _>(error))) });
        let copy = client.copy_object().bucket(&bucket).key("k").if_none_match("*");
        let copy = copy.copy_source(format!("{bucket}/source"));
        racers.spawn(async move { copy.send().await.map(|_| "copy").map_err(|error| code_of(Err::<(), _>(error))) });
        let upload = begin(&client, &bucket, "k").await;
        let one = part(&client, &bucket, "k", &upload, 1, vec![100 + number; 10]).await;
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        let complete = complete.if_none_match("*").multipart_upload(named(vec![one]));
        racers.spawn(
            async move { complete.send().await.map(|_| "upload").map_err(|error| code_of(Err::<(), _>(error))) },
        );
    }
    let (won, lost): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 23));
    for outcome in lost {
        assert_eq!(outcome, Err("PreconditionFailed".to_owned()));
    }
    let kind = match get(&client, &bucket, "k").await {
        bytes if bytes == b"of a copy" => "copy",
        bytes if bytes.len() == 70_000 => "put",
        _ => "upload",
    };
    assert_eq!(won, [Ok(kind)]);
}

/// A counter that many increase: each If-Match names what was read, so that no increase is lost.
#[tokio::test]
async fn if_match_loses_no_update() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"0").await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (client, bucket) = (client.clone(), bucket.clone());
        racers.spawn(async move {
            let mut increased = 0;
            while increased < 3 {
                let read = client.get_object().bucket(&bucket).key("k").send().await.expect("GET");
                let tag = read.e_tag.expect("a tag");
                let text = String::from_utf8(read.body.collect().await.expect("the body").to_vec()).expect("digits");
                let next = (text.parse::<u32>().expect("a number") + 1).to_string();
                let write = client.put_object().bucket(&bucket).key("k").if_match(tag).body(next.into_bytes().into());
                match write.send().await {
                    Ok(_) => increased += 1,
                    refused => assert_eq!(code_of(refused), "PreconditionFailed"),
                }
            }
        });
    }
    racers.join_all().await;
    assert_eq!(get(&client, &bucket, "k").await, b"18");
}

/// While its body is under way a write hides nothing: the condition is looked at when the body is there.
#[tokio::test]
async fn a_condition_is_decided_after_the_body() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let write = client.put_object().bucket(&bucket).key("k").if_none_match("*");
    let valid = aws_sdk_s3::presigning::PresigningConfig::expires_in(std::time::Duration::from_secs(60));
    let url = write.presigned(valid.expect("a minute")).await.expect("signed");
    let headers: String = url.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (host, path) = url.uri().trim_start_matches("http://").split_once('/').expect("a path");
    let mut slow = super::raw::Connection::open(server);
    let head = format!("PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n{headers}\r\n");
    slow.send(head.as_bytes());
    slow.send(b"slow ");
    assert_eq!(presigned(server, &url, &[], b"fast").status, 200, "the slow one has nothing yet");
    assert_eq!(slow.exchange(b"slow!", false).error(), (412, "PreconditionFailed"));
    assert_eq!(get(&client, &bucket, "k").await, b"fast");
}
