//! What crosses the wire that no SDK would send: framing that two parsers could read differently, floods, bodies that
//! break off. Whatever is refused leaves nothing behind.

use std::thread;

use super::raw::{Answer, Chunks, Connection, Payload, host_of, request, signed, signed_chunks, signed_for};
use super::{fresh, get, put};
use crate::body::body;
use crate::server::Server;

/// Sends bytes on a connection of their own and reads an answer.
fn exchange(bytes: &[u8]) -> Answer {
    Connection::open(Server::shared()).exchange(bytes, false)
}

/// The keys that a bucket has.
async fn keys_in(client: &aws_sdk_s3::Client, bucket: &str) -> Vec<String> {
    let listed = client.list_objects_v2().bucket(bucket).send().await.expect("LIST");
    listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
}

/// A request hides in the body of another, and each framing is one that some parser reads so that it comes out.
#[tokio::test]
async fn a_request_that_hides_in_another_is_never_served() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let hidden = signed(server, "PUT", &format!("/{bucket}/hidden"), &[], &Payload::Unsigned).with("Content-Length", 1);
    let hidden = hidden.with_body(b"x");
    let length = hidden.len();
    let chunked = [format!("{length:x}\r\n").as_bytes(), &hidden, b"\r\n0\r\n\r\n"].concat();
    let after_the_end = [&b"0\r\n\r\n"[..], &hidden].concat();
    for (framing, body) in [
        (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), &after_the_end),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), &after_the_end),
        (format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), &hidden),
        (format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"), &hidden),
        (format!("Content-Length: 0, {length}\r\n"), &hidden),
        (format!("Content-Length: +{length}\r\n"), &hidden),
        (format!("Content-Length: 0x{length:x}\r\n"), &hidden),
        (format!("Content-Length : {length}\r\n"), &hidden),
        (format!("Content-Length:\r\n {length}\r\n"), &hidden),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(), &chunked),
        ("Transfer-Encoding: chunked, identity\r\n".to_owned(), &chunked),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), &chunked),
        ("Transfer-Encoding : chunked\r\n".to_owned(), &chunked),
        ("Transfer-Encoding: \x0bchunked\r\n".to_owned(), &chunked),
        ("Transfer-Encoding:\r\n chunked\r\n".to_owned(), &chunked),
        ("X-Header: a\r\n\tTransfer-Encoding: chunked\r\n".to_owned(), &chunked),
        ("X-Header: a\rTransfer-Encoding: chunked\r\n".to_owned(), &chunked),
        ("X-Header: a\0b\r\nContent-Length: 0\r\n".to_owned(), &hidden),
    ] {
        let outer = signed(server, "PUT", &format!("/{bucket}/outer"), &[], &Payload::Unsigned);
        let mut head = outer.head();
        head.truncate(head.len() - 2);
        let mut connection = Connection::open(server);
        let answer = connection.exchange(&[&head[..], framing.as_bytes(), b"\r\n", body].concat(), false);
        assert!(matches!(answer.status, 400 | 501), "{framing:?}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{framing:?}");
        connection.end_sending();
        assert!(connection.ends(), "something follows the refusal of {framing:?}");
    }
    assert!(keys_in(&client, &bucket).await.is_empty());
}

#[tokio::test]
async fn http_chunks_are_taken_with_extensions_and_trailers_and_refused_when_they_break() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let send = |body: &str| {
        let put = signed(server, "PUT", &format!("/{bucket}/k"), &[], &Payload::Unsigned);
        let mut connection = Connection::open(server);
        connection.send(&put.with("Transfer-Encoding", "chunked").with_body(body.as_bytes()));
        connection.end_sending();
        connection.answer(false)
    };
    for good in ["5;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n", "05\r\nhello\r\n0\r\nx-trailer: ignored\r\n\r\n"] {
        assert_eq!(send(good).status, 200, "{good:?}");
        assert_eq!(get(&client, &bucket, "k").await, b"hello");
    }
    put(&client, &bucket, "k", b"kept").await;
    for bad in [
        "5\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhel",
        "5\r\nhello\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let answer = send(bad);
        assert_eq!(answer.status, 400, "{bad:?}: {answer:?}");
        assert_eq!(get(&client, &bucket, "k").await, b"kept", "{bad:?}");
    }
}

#[tokio::test]
async fn floods_of_headers_are_told_so_and_hung_up_on() {
    let (_, bucket) = fresh().await;
    let server = Server::shared();
    let signed = signed(server, "GET", &format!("/{bucket}"), &[], &Payload::Whole(b""));
    let own = signed.headers.len();
    let with = |headers: usize, bytes: usize| {
        let value = "v".repeat(bytes);
        (own..headers).fold(signed.clone(), |signed, number| signed.with(&format!("X-Filler-{number}"), &value)).head()
    };
    assert_eq!(exchange(&with(100, 1)).status, 200, "as many as there may be");
    assert_eq!(exchange(&with(60, 1000)).status, 200);
    for (what, head) in [("too many", with(101, 1)), ("too long", with(90, 1000)), ("endless", vec![b'A'; 70_000])] {
        let mut connection = Connection::open(server);
        let answer = connection.exchange(&head, false);
        assert_eq!(answer.error(), (400, "RequestHeaderSectionTooLarge"), "{what}");
        let words = "Your request header section exceeds the maximum allowed size.";
        assert_eq!((answer.element("Message"), answer.header("connection")), (Some(words), Some("close")), "{what}");
        connection.end_sending();
        assert!(connection.ends(), "{what}");
    }
}

#[tokio::test]
async fn methods_that_there_are_not_are_refused() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    for (method, target) in [
        ("BREW", "/".to_owned()),
        ("PATCH", format!("/{bucket}/k")),
        ("TRACE", format!("/{bucket}/k")),
        ("POST", format!("/{bucket}/k")),
        ("PROPFIND", format!("/{bucket}")),
        ("get", format!("/{bucket}/k")),
        ("PUT", "/".to_owned()),
        ("DELETE", "/".to_owned()),
    ] {
        let answer = request(Server::shared(), method, &target, &[], b"");
        assert_eq!(answer.error(), (405, "MethodNotAllowed"), "{method} {target}");
        assert_eq!(answer.element("Method"), Some(method));
    }
    assert_eq!(get(&client, &bucket, "k").await, b"x");
}

/// Each way in which an aws-chunked body can be wrong, small and large, as an object and as a part.
#[tokio::test]
async fn spoilt_chunks_and_trailers_leave_nothing_behind() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let upload = super::complete_multipart_upload::begin(&client, &bucket, "k").await;
    let crc = "AAAAAA==";
    for bytes in [100, 300_000] {
        let plain = body(bytes, 9);
        let chunks = |is_signed, trailer| Chunks { plain: &plain, chunk_bytes: 65_536, is_signed, trailer };
        for target in [format!("/{bucket}/k"), format!("/{bucket}/k?partNumber=1&uploadId={upload}")] {
            let spoilt = |chunks: &Chunks<'_>, spoil: &dyn Fn(&mut Vec<u8>)| {
                let (mut signed, mut body) = signed_chunks(server, &target, &[], chunks);
                spoil(&mut body);
                signed.headers.last_mut().expect("Content-Length").1 = body.len().to_string();
                let answer = exchange(&signed.with_body(&body));
                (answer.status, answer.element("Code").unwrap_or_default().to_owned())
            };
            let flip = |at: usize| move |body: &mut Vec<u8>| body[at] = if body[at] == b'1' { b'2' } else { b'1' };
            let of_signature = (403, "SignatureDoesNotMatch".to_owned());
            let signed = chunks(true, None);
            assert_eq!(spoilt(&signed, &flip(30)), of_signature, "the first chunk's signature");
            assert_eq!(spoilt(&signed, &flip(140)), of_signature, "a byte of the body");
            let last = |body: &mut Vec<u8>| flip(body.len() - 10)(body);
            assert_eq!(spoilt(&signed, &last), of_signature, "the last chunk's signature");
            let incomplete = (400, "IncompleteBody".to_owned());
            assert_eq!(spoilt(&signed, &|body| body.truncate(body.len() - 90)), incomplete, "no last chunk");
            let (bad_digest, malformed) = ((400, "BadDigest".to_owned()), (400, "MalformedTrailerError".to_owned()));
            for is_signed in [true, false] {
                let wrong = chunks(is_signed, Some(("x-amz-checksum-crc32", crc)));
                assert_eq!(spoilt(&wrong, &|_| {}), bad_digest, "another checksum than the bytes'");
                let renamed = |body: &mut Vec<u8>| {
                    let at = body.windows(5).rposition(|window| window == b"crc32").expect("the trailer");
                    body[at..at + 5].copy_from_slice(b"other");
                };
                let answer = spoilt(&wrong, &renamed);
                assert!(answer == malformed || is_signed && answer == of_signature, "another trailer: {answer:?}");
            }
            let trailer = chunks(true, Some(("x-amz-checksum-crc32", crc)));
            assert_eq!(spoilt(&trailer, &last), of_signature, "the trailer's signature");
        }
    }
    assert!(keys_in(&client, &bucket).await.is_empty());
    let listed = client.list_parts().bucket(&bucket).key("k").upload_id(upload).send().await.expect("parts");
    assert!(listed.parts().is_empty());
}

#[tokio::test]
async fn a_client_that_dies_while_it_sends_leaves_nothing_behind() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    put(&client, &bucket, "old", b"old").await;
    for key in ["old", "new"] {
        for bytes in [1000, 60_000, 6_000_000] {
            let put = signed(server, "PUT", &format!("/{bucket}/{key}"), &[], &Payload::Unsigned);
            let mut connection = Connection::open(server);
            connection.send(&put.with("Content-Length", bytes).with_body(&body(bytes / 2, 4)));
            drop(connection);
        }
    }
    assert_eq!(keys_in(&client, &bucket).await, ["old"]);
    assert_eq!(get(&client, &bucket, "old").await, b"old");
    // The half-closed way: the client is told.
    let put = signed(server, "PUT", &format!("/{bucket}/new"), &[], &Payload::Unsigned).with("Content-Length", 1000);
    let mut connection = Connection::open(server);
    connection.send(&put.with_body(&[1; 500]));
    connection.end_sending();
    assert_eq!(connection.answer(false).error(), (400, "IncompleteBody"));
    client.delete_object().bucket(&bucket).key("old").send().await.expect("DELETE");
    client.delete_bucket().bucket(&bucket).send().await.expect("nothing else is in it");
}

#[tokio::test]
async fn a_body_is_asked_for_only_once_it_may_come() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let ask = |target: &str, length: u64, headers: &[(&str, &str)]| {
        let put = signed(server, "PUT", target, headers, &Payload::Unsigned).with("Content-Length", length);
        let mut connection = Connection::open(server);
        connection.send(&put.with("Expect", "100-continue").head());
        let first = connection.any_answer(false);
        (connection, first)
    };
    let target = format!("/{bucket}/k");
    for (target, length, headers, refusal) in [
        ("/no-such-bucket-here/k", 5, &[][..], (404, "NoSuchBucket")),
        (&target, 5_368_709_121, &[], (400, "EntityTooLarge")),
        (&target, 5, &[("x-amz-storage-class", "NOWHERE")], (400, "InvalidStorageClass")),
        (&target, 5, &[("x-amz-checksum-crc32", "short")], (400, "InvalidRequest")),
    ] {
        let (_, first) = ask(target, length, headers);
        assert_eq!(first.error(), refusal, "{headers:?}");
    }
    let (mut connection, first) = ask(&target, 5, &[]);
    assert_eq!(first.status, 100);
    assert_eq!(connection.exchange(b"hello", false).status, 200);
    assert_eq!(get(&client, &bucket, "k").await, b"hello");
}

#[tokio::test]
async fn bodies_over_5_gib_are_refused_by_their_length() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let upload = super::complete_multipart_upload::begin(&client, &bucket, "k").await;
    for target in [format!("/{bucket}/k"), format!("/{bucket}/k?partNumber=1&uploadId={upload}")] {
        for length in ["5368709121", "9223372036854775808", "18446744073709551613"] {
            let put = signed(server, "PUT", &target, &[], &Payload::Unsigned).with("Content-Length", length);
            assert_eq!(exchange(&put.head()).error(), (400, "EntityTooLarge"), "{target} {length}");
            let decoded = [("x-amz-decoded-content-length", length)];
            let payload = Payload::Named("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
            let put = signed(server, "PUT", &target, &decoded, &payload).with("Content-Length", 100);
            let answer = exchange(&put.with_body(&[b'x'; 100]));
            assert_eq!(answer.error(), (400, "EntityTooLarge"), "{target} decoded {length}");
        }
        for no_length in ["18446744073709551614", "18446744073709551615", "99999999999999999999"] {
            let put = signed(server, "PUT", &target, &[], &Payload::Unsigned).with("Content-Length", no_length);
            let answer = exchange(&put.head());
            assert_eq!(answer.error(), (400, "BadRequest"), "{target} {no_length}");
            assert_eq!(answer.element("Message"), Some("The Content-Length is not valid."));
        }
    }
}

/// One connection lives through every kind of refusal, and the answers to HEAD have no body that would be read as the
/// next answer.
#[tokio::test]
async fn a_connection_goes_on_after_refusals() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let (tag, _) = put(&client, &bucket, "k", b"hello").await;
    let mut connection = Connection::open(server);
    for (method, target, headers, body, status) in [
        ("GET", format!("/{bucket}/none"), vec![], "", 404),
        ("HEAD", format!("/{bucket}/none"), vec![], "", 404),
        ("HEAD", format!("/{bucket}/k"), vec![], "", 200),
        ("HEAD", format!("/{bucket}?acl"), vec![], "", 405),
        ("GET", format!("/{bucket}/k"), vec![("if-none-match", tag.as_str())], "", 304),
        ("GET", format!("/{bucket}/k"), vec![("if-match", "\"x\"")], "", 412),
        ("GET", format!("/{bucket}/k"), vec![("range", "bytes=9-")], "", 416),
        ("HEAD", format!("/{bucket}/k"), vec![("range", "bytes=9-")], "", 416),
        ("PUT", format!("/{bucket}/k"), vec![("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "body", 400),
        ("PUT", format!("/{bucket}?versioning"), vec![], "<no", 400),
        ("PUT", format!("/{bucket}?replication"), vec![], "{}", 501),
        ("PUT", "/no-such-bucket-here/k".to_owned(), vec![], "body", 404),
        ("DELETE", format!("/{bucket}/none"), vec![], "", 204),
        ("BREW", format!("/{bucket}"), vec![], "", 405),
        ("GET", format!("/{bucket}/%zz"), vec![], "", 400),
        ("GET", format!("/{bucket}/k"), vec![], "", 200),
    ] {
        let signed = signed(server, method, &target, &headers, &Payload::Whole(body.as_bytes()));
        let bytes = signed.with("Content-Length", body.len()).with_body(body.as_bytes());
        let answer = connection.exchange(&bytes, method == "HEAD");
        assert_eq!(answer.status, status, "{method} {target}: {answer:?}");
        assert_eq!(answer.header("connection"), None, "{method} {target}");
    }
    let mut forged = signed(server, "GET", &format!("/{bucket}/k"), &[], &Payload::Whole(b""));
    forged.target = format!("/{bucket}/other");
    assert_eq!(connection.exchange(&forged.head(), false).error(), (403, "SignatureDoesNotMatch"));
    assert_eq!(connection.exchange(&signed(server, "GET", "/", &[], &Payload::Unsigned).head(), false).status, 200);
}

#[tokio::test]
async fn http_1_0_is_answered_and_the_connection_closed() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"hello").await;
    let server = Server::shared();
    let get = signed(server, "GET", &format!("/{bucket}/k"), &[], &Payload::Whole(b""));
    let head = String::from_utf8(get.head()).expect("ASCII").replace("HTTP/1.1", "HTTP/1.0");
    let mut connection = Connection::open(server);
    let answer = connection.exchange(head.as_bytes(), false);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    assert!(connection.ends());
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 "] {
        let head = format!("GET / {version}\r\nHost: x\r\n\r\n");
        assert_eq!(exchange(head.as_bytes()).error(), (400, "BadRequest"), "{version}");
    }
}

/// An absolute target's host is the request's (RFC 9112, section 3.2.2), for the bucket and for the signature: else what
/// was signed for one bucket would open another.
#[tokio::test]
async fn an_absolute_targets_host_is_the_one_that_is_signed() {
    let (client, mine) = fresh().await;
    let (_, other) = fresh().await;
    put(&client, &mine, "k", b"mine").await;
    put(&client, &other, "k", b"other").await;
    let port = host_of(Server::shared()).rsplit_once(':').expect("a port").1;
    let (host_of_mine, host_of_other) = (format!("{mine}.localhost:{port}"), format!("{other}.localhost:{port}"));
    let mut get = signed_for(&host_of_mine, "GET", "/k", &[], &Payload::Whole(b""));
    assert_eq!(exchange(&get.head()).body, b"mine");
    get.target = format!("http://{host_of_mine}/k");
    assert_eq!(exchange(&get.head()).body, b"mine");
    get.target = format!("http://{host_of_other}/k");
    assert_eq!(exchange(&get.head()).error(), (403, "SignatureDoesNotMatch"));
    // The Host header beside it is passed over.
    get.target = format!("http://{host_of_mine}/k");
    get.headers[0].1 = host_of_other;
    assert_eq!(exchange(&get.head()).body, b"mine");
}

#[tokio::test]
async fn slow_senders_are_cut_off_and_leave_nothing() {
    let server = Server::start_with(1, &["--header-timeout", "1s", "--body-timeout", "1s"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    let (server, bucket) = (&server, bucket.as_str());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = Connection::open(server);
            let answer = connection.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n", false);
            assert_eq!(answer.error(), (400, "RequestTimeout"));
            connection.end_sending();
            assert!(connection.ends());
        });
        for bytes in [100, 300_000] {
            scope.spawn(move || {
                let put = signed(server, "PUT", &format!("/{bucket}/k"), &[], &Payload::Unsigned);
                let mut connection = Connection::open(server);
                let begun = put.with("Content-Length", bytes).with_body(&vec![1; bytes / 2]);
                let answer = connection.exchange(&begun, false);
                assert_eq!((answer.error(), answer.header("connection")), ((400, "RequestTimeout"), Some("close")));
            });
        }
    });
    assert!(keys_in(&client, bucket).await.is_empty());
}
