//! Whoever has no right reads and changes nothing: every operation of S3 and every route of the admin API is asked, as
//! nobody, with a wrong signature, as a stranger, by a key that is disabled, by a user without rights and by one whom a
//! policy denies everything.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::Tag;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3_wire::Operation;
use s3_wire::operation::{ExampleRequest, example_requests};
use sha2::{Digest, Sha256};

use crate::admin::field;
use crate::s3::raw::{Answer, Connection, Payload, host_of, signed_by};
use crate::s3::{get, put};
use crate::server::Server;

/// What no answer may have.
const HIDDEN: &str = "nobody-else-reads-this";

/// How somebody asks.
enum Caller {
    Nobody,
    By { name: &'static str, access: String, secret: String },
}

impl Caller {
    fn name(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::By { name, .. } => name,
        }
    }

    fn ask(&self, host: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        headers.push(("content-length", &length));
        let request = match self {
            Self::Nobody => {
                let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
                for (name, value) in &headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                [head.as_bytes(), b"\r\n", body].concat()
            }
            Self::By { access, secret, .. } => {
                signed_by((access, secret), host, method, target, &headers, &Payload::Whole(body)).with_body(body)
            }
        };
        Connection::to(host).exchange(&request, method == "HEAD")
    }
}

/// Those who may nothing with the operator's bucket.
async fn callers(server: &Server) -> Vec<Caller> {
    let by = |name, made: &str| Caller::By {
        name,
        access: field(made, "access_key").to_owned(),
        secret: field(made, "secret_key").to_owned(),
    };
    let user = |name: &'static str, more: &[&str]| by(name, &server.admin(&[&["user", "add", name], more].concat()));
    let stranger = by("stranger", &server.admin(&["account", "add", "Stranger"]));
    let (powerless, denied) = (user("powerless", &[]), user("denied", &["--policy", "AdministratorAccess"]));
    let disabled = user("disabled", &["--policy", "AdministratorAccess"]);
    let Caller::By { access, .. } = &disabled else { unreachable!("it has a key") };
    server.admin(&["key", "disable", access]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    std::fs::write(file.path(), text).expect("written");
    server.admin(&["policy", "add", "nothing", file.path().to_str().expect("a path")]);
    server.admin(&["policy", "attach", "nothing", "--user", "denied"]);
    let forged = Caller::By {
        name: "forger",
        access: crate::server::ACCESS_KEY.to_owned(),
        secret: "guessed-secret".to_owned(),
    };
    vec![Caller::Nobody, forged, stranger, disabled, powerless, denied]
}

/// What is asked with the operation, so that nothing but the missing right can be the reason.
fn body_of(operation: Operation) -> &'static [u8] {
    match operation {
        Operation::DeleteObjects => b"<Delete><Object><Key>k</Key></Object></Delete>",
        Operation::PutObjectTagging | Operation::PutBucketTagging => {
            b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
        }
        Operation::PutBucketVersioning => {
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        }
        Operation::PutObjectLockConfiguration => {
            b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
        }
        Operation::PutObjectRetention => {
            b"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2100-01-01T00:00:00Z</RetainUntilDate></Retention>"
        }
        Operation::PutObjectLegalHold => b"<LegalHold><Status>ON</Status></LegalHold>",
        Operation::PutObject | Operation::UploadPart => b"overwritten",
        _ => b"",
    }
}

fn ask(caller: &Caller, host: &str, bucket: &str, request: &ExampleRequest) -> Answer {
    let target = match request.uri.strip_prefix("/b") {
        Some(rest) => format!("/{bucket}{rest}"),
        None => request.uri.clone(),
    };
    let body = body_of(request.operation);
    let checksum = STANDARD.encode(Sha256::digest(body));
    let source = format!("{bucket}/k");
    let mut headers = Vec::new();
    if request.copies {
        headers.push(("x-amz-copy-source", source.as_str()));
    }
    if !body.is_empty() {
        headers.push(("x-amz-checksum-sha256", &checksum));
    }
    if request.method == "OPTIONS" {
        headers.extend([("origin", "http://elsewhere.example"), ("access-control-request-method", "GET")]);
    }
    if request.operation == Operation::GetObjectAttributes {
        headers.push(("x-amz-object-attributes", "ETag"));
    }
    caller.ask(host, request.method.as_str(), &target, &headers, body)
}

/// What of the answers is no refusal, and why that tells nothing.
fn is_harmless(caller: &Caller, operation: Operation, answer: &Answer) -> bool {
    match operation {
        // Of another's account there is nothing to list; the name is taken.
        Operation::ListBuckets => caller.name() == "stranger" && answer.status == 200,
        Operation::CreateBucket => caller.name() == "stranger" && answer.status == 409,
        // Whoever may make buckets is told that this is not built.
        Operation::CreateSession => caller.name() == "stranger" && answer.status == 501,
        // Each key is refused by itself.
        Operation::DeleteObjects => answer.status == 200 && answer.text().contains("<Code>AccessDenied</Code>"),
        // A form has to be one before anybody is asked for.
        Operation::PostObject => matches!(answer.status, 400 | 412),
        _ => false,
    }
}

async fn state(client: &Client, bucket: &str) -> Vec<String> {
    let versions = client.list_object_versions().bucket(bucket).send().await.expect("listed");
    let uploads = client.list_multipart_uploads().bucket(bucket).send().await.expect("listed");
    let tags = client.get_bucket_tagging().bucket(bucket).send().await.expect("tags");
    let object = client.get_object_tagging().bucket(bucket).key("k").send().await.expect("tags");
    let versioning = client.get_bucket_versioning().bucket(bucket).send().await.expect("versioning");
    let buckets = client.list_buckets().send().await.expect("buckets");
    vec![
        format!("{:?}", versions.versions()),
        format!("{:?}", uploads.uploads()),
        format!("{:?}", tags.tag_set()),
        format!("{:?}", object.tag_set()),
        format!("{:?}", versioning.status()),
        format!("{:?}", buckets.buckets()),
    ]
}

#[tokio::test]
async fn whoever_has_no_right_reads_and_changes_nothing() {
    let server = Server::start(1);
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "k", HIDDEN.as_bytes()).await;
    let tag = |value: &str| Tag::builder().key("tag").value(value).build().expect("a tag");
    let tagging = aws_sdk_s3::types::Tagging::builder().tag_set(tag(HIDDEN)).build().expect("tags");
    client.put_bucket_tagging().bucket(&bucket).tagging(tagging.clone()).send().await.expect("tagged");
    client.put_object_tagging().bucket(&bucket).key("k").tagging(tagging).send().await.expect("tagged");
    let callers = callers(&server).await;
    let before = state(&client, &bucket).await;
    let requests = example_requests();
    assert_eq!(requests.len(), Operation::ALL.len(), "every operation is asked");
    for caller in &callers {
        for request in &requests {
            let answer = ask(caller, host_of(&server), &bucket, request);
            let refused = answer.status == 403 || is_harmless(caller, request.operation, &answer);
            assert!(refused, "{} asks for {}: {answer:?}", caller.name(), request.operation.name());
            let told = String::from_utf8_lossy(&answer.body).contains(HIDDEN)
                || answer.headers.iter().any(|(_, value)| value.contains(HIDDEN));
            assert!(!told, "{} is told by {}: {answer:?}", caller.name(), request.operation.name());
        }
    }
    assert_eq!(state(&client, &bucket).await, before);
    assert_eq!(get(&client, &bucket, "k").await, HIDDEN.as_bytes());
}

/// Method and path of every route that is not open, `{...}` filled in.
const ADMIN_ROUTES: &[(&str, &str)] = &[
    ("GET", "/v1/status"),
    ("GET", "/v1/trace"),
    ("GET", "/v1/nodes"),
    ("GET", "/v1/ranges"),
    ("POST", "/v1/ranges/{range}/split"),
    ("POST", "/v1/profile"),
    ("POST", "/v1/scrub"),
    ("POST", "/v1/restripe/{wish}"),
    ("POST", "/v1/disks/{disk}/readmit"),
    ("POST", "/v1/disks/{disk}/{change}"),
    ("POST", "/v1/nodes/{node}/{change}"),
    ("POST", "/v1/rebalance/{wish}"),
    ("GET", "/v1/moves"),
    ("GET", "/v1/gateways"),
    ("POST", "/v1/gateways"),
    ("DELETE", "/v1/gateways/{id}"),
    ("POST", "/v1/identities"),
    ("GET", "/v1/identities/{what}"),
    ("GET", "/v1/index/rebuild"),
    ("POST", "/v1/index/rebuild"),
];

/// Those that anybody may ask.
const OPEN_PAGES: [&str; 4] = ["/livez", "/readyz", "/healthz", "/metrics"];

/// The routes of the source: a new one must be listed here.
fn routes_of_source() -> BTreeSet<(String, String)> {
    let source = include_str!("../crates/admin/src/server.rs");
    let mut found = BTreeSet::new();
    for route in source.split(".route(\"").skip(1) {
        let (path, rest) = route.split_once('"').expect("a path ends");
        let handlers = rest.split_once("\n").map_or(rest, |(line, _)| line);
        for (method, call) in [("GET", "get("), ("POST", "post("), ("PUT", "put("), ("DELETE", "delete(")] {
            if handlers.contains(&format!(" {call}")) || handlers.contains(&format!(".{call}")) {
                found.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    found
}

#[tokio::test]
async fn whoever_has_no_right_administers_nothing() {
    let listed = ADMIN_ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
    let open = |path: &str| OPEN_PAGES.contains(&path) || path == "/v1/probe";
    let closed: BTreeSet<_> = routes_of_source().into_iter().filter(|(_, path)| !open(path)).collect();
    assert_eq!(closed, listed.collect(), "a route that is not listed here is asked by nobody");
    let server = Server::start(1);
    let host = server.admin_endpoint().trim_start_matches("http://");
    for caller in callers(&server).await {
        for (method, path) in ADMIN_ROUTES {
            let path: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { "1" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let answer = caller.ask(host, method, &path, &[], b"{}");
            assert_eq!(answer.status, 403, "{} asks for {method} {path}: {answer:?}", caller.name());
        }
    }
}
