//! The admin API as its users have it: the verbs of the binary, the open pages, and that nothing else is open.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::s3::raw::{self, Payload, by_url, host_of, signed_by, signed_for};
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// A plain GET without a signature: status line and body.
pub fn get(server: &Server, path: &str) -> (String, String) {
    let host = server.admin_endpoint().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the admin API accepts");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.lines().next().expect("a status line").to_owned(), body.to_owned())
}

fn status_of(server: &Server, secret: &str) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["admin", "status", "--json", "--admin-url", server.admin_endpoint()])
        .env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("CAIRN_ROOT_SECRET_KEY", secret)
        .output()
        .expect("the verb runs")
}

#[tokio::test]
async fn status_shows_disks_and_usage_to_the_root_key_alone() {
    let server = Server::start(3);
    let bucket = server.bucket().await;
    let put = server.client().put_object().bucket(&bucket).key("k").body(vec![1; 1000].into());
    put.send().await.expect("PUT");
    let output = status_of(&server, SECRET_KEY);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    for fact in [r#""profile":"2+1""#, r#""buckets":1"#, r#""objects":1"#, r#""bytes":1000"#, r#""not_ready":null"#] {
        assert!(shown.contains(fact), "{fact} in {shown}");
    }
    assert_eq!(shown.matches(r#""state":"up""#).count(), 3, "{shown}");
    assert!(!status_of(&server, "a wrong secret").status.success());
}

/// Whoever names the S3 port is told which one to name instead.
#[test]
fn an_admin_url_that_is_the_s3_port_is_answered_with_the_right_one() {
    let server = Server::start(1);
    let told = |verb: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.args(verb).args(["--admin-url", server.endpoint()]);
        command.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY).env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
        let output = command.output().expect("the verb runs");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).expect("errors are UTF-8")
    };
    let verbs: [&[&str]; 5] =
        [&["admin", "status"], &["admin", "scrub"], &["admin", "gateway", "add"], &["admin", "trace"], &["health"]];
    for verb in verbs {
        let told = told(verb);
        assert!(told.contains("serves S3, not the admin API") && told.contains("9001"), "{verb:?}: {told}");
    }
}

#[test]
fn health_and_metrics_are_open_and_nothing_else_is() {
    let server = Server::start(1);
    for page in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(get(&server, page).0, "HTTP/1.1 200 OK", "{page}");
    }
    let (status, metrics) = get(&server, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(metrics.contains("cairn_disk_up"), "{metrics}");
    assert_eq!(get(&server, "/v1/status").0, "HTTP/1.1 403 Forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_shown_as_they_end_with_no_signature_among_them() {
    let server = Server::start(1);
    let bucket = server.bucket().await;
    let mut command = server.admin_command(&["trace", "--errors", "--bucket", &bucket]);
    let mut watching = command.stdout(Stdio::piped()).spawn().expect("the verb runs");
    let mut lines = BufReader::new(watching.stdout.take().expect("stdout is a pipe")).lines();
    let (shown, mut seen) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || lines.by_ref().map_while(Result::ok).try_for_each(|line| shown.send(line)));
    // What has ended before the watcher was there is not shown.
    let line = loop {
        server.client().put_object().bucket(&bucket).key("a b").body(vec![1; 10].into()).send().await.expect("PUT");
        let hour = PresigningConfig::expires_in(Duration::from_secs(3600)).expect("an hour may be had");
        let url = server.client().get_object().bucket(&bucket).key("missing").presigned(hour).await.expect("signed");
        assert_eq!(by_url(&server, "GET", url.uri(), &[], b"").status, 404);
        if let Ok(line) = tokio::time::timeout(Duration::from_millis(200), seen.recv()).await {
            break line.expect("the verb goes on");
        }
    };
    watching.kill().expect("it runs");
    watching.wait().expect("it ends");
    for fact in [r#""operation":"GetObject""#, r#""status":404"#, r#""is_complete":true"#, "/missing\""] {
        assert!(line.contains(fact), "{fact} in {line}");
    }
    assert!(!line.contains("Signature") && !line.contains("Credential"), "{line}");
    // Nobody else sees them.
    assert_eq!(get(&server, "/v1/trace").0, "HTTP/1.1 403 Forbidden");
}

/// The text of a field of the first object in `json` that has it.
pub fn field<'a>(json: &'a str, name: &str) -> &'a str {
    let after = json.split_once(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("{name} in {json}")).1;
    after.split('"').next().expect("it ends")
}

#[test]
fn a_gateway_is_added_listed_without_its_secret_and_removed() {
    let mut server = Server::start(1);
    assert_eq!(server.admin(&["gateway", "list"]).trim(), "[]");
    let added = server.admin(&["gateway", "add", "--name", "web-1"]);
    let (id, credential) = (field(&added, "id").to_owned(), field(&added, "credential"));
    let secret = credential.strip_prefix(&format!("gw1:{id}:")).expect("the credential names its id").to_owned();
    assert_eq!(secret.len(), 64);
    let again = server.admin_command(&["gateway", "add", "--name", "web-1"]).output().expect("the verb runs");
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains(&id), "{again:?}");
    let wrong = server.admin_command(&["gateway", "add", "--name", "web 1"]).output().expect("the verb runs");
    assert!(!wrong.status.success(), "{wrong:?}");
    server.kill();
    server.restart();
    let listed = server.admin(&["gateway", "list"]);
    assert_eq!((field(&listed, "id"), field(&listed, "name")), (id.as_str(), "web-1"), "it is committed");
    assert!(!listed.contains(&secret), "{listed}");
    server.admin(&["gateway", "remove", &id]);
    assert_eq!(server.admin(&["gateway", "list"]).trim(), "[]");
    let gone = server.admin_command(&["gateway", "remove", &id]).output().expect("the verb runs");
    assert!(!gone.status.success() && String::from_utf8_lossy(&gone.stderr).contains("no gateway"), "{gone:?}");
    assert!(get(&server, "/v1/gateways").0.contains("403"), "only to the root key");
}

#[test]
fn a_credential_that_was_made_elsewhere_is_let_in_by_name_of_the_environment() {
    let server = Server::start(1);
    let id = "ab".repeat(16);
    let add = |key: &str| {
        let mut command = server.admin_command(&["gateway", "add", "--given", "--name", "web-1"]);
        command.env("CAIRN_GATEWAY_CREDENTIAL", format!("gw1:{id}:{key}")).output().expect("the verb runs")
    };
    for _ in 0..2 {
        let added = add(&"5a".repeat(32));
        assert!(added.status.success(), "{added:?}");
    }
    assert!(!add(&"5b".repeat(32)).status.success(), "another key of the same id");
    let listed = server.admin(&["gateway", "list"]);
    assert_eq!((field(&listed, "id"), field(&listed, "name")), (id.as_str(), "web-1"));
}

#[test]
fn health_tells_by_its_status_whether_reads_and_writes_work() {
    let server = Server::start(1);
    let health = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.args(["health", "--admin-url", server.admin_endpoint()]).output().expect("the verb runs")
    };
    let ready = health();
    assert!(ready.status.success(), "{ready:?}");
    server.kill();
    let gone = health();
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("not reached"), "{gone:?}");
}

/// The value of a metric without labels, as the page shows it.
pub fn metric(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().expect("a number")
}

/// Names after `before` on the lines of `text`.
fn names_after<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    let name =
        |line: &'a str| line.strip_prefix(before)?.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
    text.lines().filter_map(name).collect()
}

#[tokio::test]
async fn the_page_of_metrics_and_its_document_name_the_same() {
    let server = Server::start(3);
    let bucket = server.bucket().await;
    server.client().put_object().bucket(&bucket).key("k").body(vec![1; 5000].into()).send().await.expect("PUT");
    server.admin(&["scrub"]);
    server.wait_for_status("scrubbed", |status| !status.contains(r#""last_pass_ended":null"#));
    let page = get(&server, "/metrics").1;
    let document = include_str!("../docs/metrics.md");
    assert_eq!(names_after(&page, "# TYPE "), names_after(document, "| `"));
    for (name, value) in [
        ("cairn_buckets", 1.0),
        ("cairn_objects", 1.0),
        ("cairn_object_bytes", 5000.0),
        ("cairn_losses_borne", 1.0),
        ("cairn_degraded_parts", 0.0),
        ("cairn_missing_shards", 0.0),
        ("cairn_repaired_shards_total", 0.0),
        ("cairn_scrubbed_shards_total", 2.0),
    ] {
        assert_eq!(metric(&page, name), value, "{name}");
    }
}

#[test]
fn the_dashboard_shows_only_metrics_that_there_are() {
    let (dashboard, document) = (include_str!("../config/grafana.json"), include_str!("../docs/metrics.md"));
    let known = names_after(document, "| `");
    let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let shown: BTreeSet<&str> =
        dashboard.split(|c| !is_part_of_name(c)).filter(|word| word.starts_with("cairn_")).collect();
    assert!(shown.len() > 15, "{shown:?}");
    for name in shown {
        assert!(known.contains(name.trim_end_matches("_bucket")), "{name} is no metric of docs/metrics.md");
    }
}

#[tokio::test]
async fn what_has_lost_parity_is_counted_until_it_is_repaired() {
    let server = Server::start(3);
    let (client, bucket) = (server.client(), server.bucket().await);
    let put = async |key: &str| {
        let put = client.put_object().bucket(&bucket).key(key).body(vec![1; 300_000].into());
        put.send().await.expect("PUT");
    };
    put("whole").await;
    assert!(server.admin(&["status"]).contains(r#""degraded_parts":0,"missing_shards":0,"#));
    crate::loss::delete(&server.disk(3));
    server.wait_for_status("the loss is noted", |status| status.contains(r#""state":"down""#));
    put("narrow").await;
    let status = server.admin(&["status"]);
    assert!(status.contains(r#""degraded_parts":1,"missing_shards":1,"#), "{status}");
    assert!(status.contains("objects are stored 1+1, NO more disk may be lost"), "{status}");
    let page = get(&server, "/metrics").1;
    assert_eq!((metric(&page, "cairn_degraded_parts"), metric(&page, "cairn_missing_shards")), (1.0, 1.0));
    assert_eq!(metric(&page, "cairn_losses_borne"), 0.0);
    // It comes back empty, and all is made whole.
    std::fs::create_dir(server.disk(3)).expect("a blank directory");
    server.wait_for_status("all is whole", |status| {
        status.contains(r#""degraded_parts":0,"missing_shards":0,"#)
            && status.contains(r#""rebuilding":[],"settling":[]"#)
            && !status.contains(r#""state":"down""#)
    });
    let page = get(&server, "/metrics").1;
    assert_eq!(metric(&page, "cairn_restriped_parts_total"), 1.0);
    assert_eq!(metric(&page, "cairn_losses_borne"), 1.0);
    assert!(metric(&page, "cairn_repaired_shards_total") >= 1.0);
}

/// A certificate that nobody signed, as `openssl req -x509` (which makes it an authority) and others make it: the file
/// that the server serves with is the file that the verb trusts.
#[test]
fn a_certificate_of_ones_own_is_trusted_by_its_file() {
    let directory = tempfile::TempDir::new().expect("a directory");
    for (name, is_ca) in [("plain", IsCa::NoCa), ("authority", IsCa::Ca(BasicConstraints::Unconstrained))] {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        params.is_ca = is_ca;
        let key = KeyPair::generate().expect("a key");
        let (certificate_file, key_file) = (directory.path().join(name), directory.path().join(format!("{name}.key")));
        std::fs::write(&certificate_file, params.self_signed(&key).expect("signed").pem()).expect("written");
        std::fs::write(&key_file, key.serialize_pem()).expect("written");
        let [certificate_file, key_file] = [certificate_file, key_file].map(|file| file.display().to_string());
        let server = Server::start_with(1, &["--tls-cert", &certificate_file, "--tls-key", &key_file]);
        assert!(server.admin(&["status", "--ca", &certificate_file]).contains(r#""not_ready":null"#));
        let refused = server.admin_command(&["status"]).output().expect("the verb runs");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("--ca"), "{said}");
    }
}

#[test]
fn identities_are_made_shown_without_secrets_and_removed() {
    let mut server = Server::start(1);
    let made = server.admin(&["user", "add", "app", "--policy", "readwrite"]);
    let (key, secret) = (field(&made, "access_key").to_owned(), field(&made, "secret_key").to_owned());
    assert_eq!((key.len(), secret.len()), (20, 40), "as long as AWS's");
    let refused = |server: &Server, verb: &[&str], reason: &str| {
        let output = server.admin_command(verb).output().expect("the verb runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(reason), "{verb:?}: {output:?}");
    };
    refused(&server, &["user", "add", "app"], "exists already");
    refused(&server, &["user", "add", "a/b"], "a name has");
    refused(&server, &["user", "add", "other", "--policy", "none"], "policy cannot be found");
    assert!(!server.admin(&["user", "list"]).contains("other"), "what was half made is taken back");
    refused(&server, &["user", "add", "other", "--access-key", &key], "exists already");
    server.admin(&["group", "add", "team"]);
    server.admin(&["group", "join", "team", "app"]);
    let file = tempfile::NamedTempFile::new().expect("made");
    std::fs::write(file.path(), r#"{"Version":"2012-10-17","Statement":[]}"#).expect("written");
    refused(&server, &["policy", "add", "own", file.path().to_str().expect("a path")], "not in order");
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}"#;
    std::fs::write(file.path(), text).expect("written");
    server.admin(&["policy", "add", "own", file.path().to_str().expect("a path")]);
    server.admin(&["policy", "attach", "own", "--group", "team"]);
    refused(&server, &["policy", "remove", "own"], "attached policy");
    server.kill();
    server.restart();
    let users = server.admin(&["user", "list"]);
    for fact in ["arn:aws:iam::100000000000:user/app", "policy/readwrite", "team", &key] {
        assert!(users.contains(fact), "{fact} in {users}");
    }
    let keys = server.admin(&["key", "list", "--user", "app"]);
    assert!(keys.contains(&key) && keys.contains(r#""active":true"#), "{keys}");
    for shown in [users, keys, server.admin(&["policy", "list"]), server.admin(&["group", "list"])] {
        assert!(!shown.contains(&secret), "{shown}");
    }
    server.admin(&["user", "remove", "app"]);
    assert_eq!(server.admin(&["user", "list"]).trim(), "[]");
    assert!(get(&server, "/v1/identities/users").0.contains("403"), "only to who may");
}

/// `admin:*` is for the operator's account, by the policies of its users.
#[tokio::test]
async fn a_user_of_the_operators_account_administers_by_policy() {
    let server = Server::start(1);
    let of = |made: String| (field(&made, "access_key").to_owned(), field(&made, "secret_key").to_owned());
    let admin = of(server.admin(&["user", "add", "admin", "--policy", "consoleAdmin"]));
    let app = of(server.admin(&["user", "add", "app", "--policy", "readwrite"]));
    let tenant = of(server.admin(&["account", "add", "Tenant"]));
    let status = |(access, secret): &(String, String)| {
        let mut command = server.admin_command(&["status"]);
        command.env("CAIRN_ROOT_ACCESS_KEY", access).env("CAIRN_ROOT_SECRET_KEY", secret);
        command.output().expect("the verb runs")
    };
    assert!(status(&admin).status.success());
    for key in [&app, &tenant] {
        let told = status(key);
        assert!(!told.status.success(), "{told:?}");
        assert!(String::from_utf8_lossy(&told.stderr).contains("no right to admin:Read"), "{told:?}");
    }
}

/// What keeps a user from S3 keeps them from making themselves another one.
#[tokio::test]
async fn conditions_of_policies_count_for_the_admin_api() {
    let server = Server::start(1);
    let made = server.admin(&["user", "add", "admin", "--policy", "consoleAdmin"]);
    let status = || {
        let mut command = server.admin_command(&["status"]);
        command.env("CAIRN_ROOT_ACCESS_KEY", field(&made, "access_key"));
        command.env("CAIRN_ROOT_SECRET_KEY", field(&made, "secret_key")).output().expect("the verb runs").status
    };
    assert!(status().success());
    // What is known of a key counts for a second.
    let wait = |wanted: bool, what: &str| {
        let until = Instant::now() + Duration::from_secs(20);
        while status().success() != wanted {
            assert!(Instant::now() < until, "{what}");
        }
    };
    let deny = |name: &str, condition: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{condition}}}}}"#
        );
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        server.admin(&["policy", "add", name, file.path().to_str().expect("a path")]);
        server.admin(&["policy", "attach", name, "--user", "admin"]);
        wait(false, name);
        server.admin(&["policy", "detach", name, "--user", "admin"]);
        wait(true, name);
    };
    for (name, condition) in [
        ("since", r#"{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#),
        ("here", r#"{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}"#),
        ("plain", r#"{"Bool":{"aws:SecureTransport":"false"}}"#),
    ] {
        deny(name, condition);
    }
}

/// Presigned URLs are made to be given away, and cover no body.
#[test]
fn only_what_is_signed_for_the_admin_api_in_its_header_is_let_in() {
    let server = Server::start(1);
    let host = server.admin_endpoint().trim_start_matches("http://");
    let now = DateTime::from(SystemTime::now()).fmt(DateTimeFormat::DateTime).expect("a time");
    let now: String = now.chars().take(19).filter(|letter| !"-:".contains(*letter)).collect();
    let url = format!(
        "/v1/status?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCESS_KEY}%2F{}%2Fus-east-1%2Fcairn-admin\
         %2Faws4_request&X-Amz-Date={now}Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
        &now[..8]
    );
    let (status, body) = get(&server, &url);
    assert!(status.contains("403") && body.contains("in its Authorization header"), "{status} {body}");
    let of_s3 = signed_for(host, "GET", "/v1/status", &[], &Payload::Whole(b""));
    let answer = raw::Connection::to(host).exchange(&of_s3.head(), false);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.text().contains("cairn-admin"), "{answer:?}");
}

/// A document that is long on its way is nobody's once its key is gone.
#[tokio::test]
async fn a_key_that_is_removed_while_its_request_comes_changes_nothing() {
    let server = Server::start(1);
    let bucket = server.bucket().await;
    let made = server.admin(&["user", "add", "app", "--policy", "readwrite"]);
    let key = (field(&made, "access_key"), field(&made, "secret_key"));
    let document = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let target = format!("/{bucket}?tagging");
    let length = document.len().to_string();
    let put = |key| {
        let headers = [("content-length", length.as_str())];
        signed_by(key, host_of(&server), "PUT", &target, &headers, &Payload::Whole(document))
    };
    let begun = || {
        let mut connection = raw::Connection::open(&server);
        connection.send(&put(key).with_body(&document[..10]));
        connection
    };
    let mut first = begun();
    assert_eq!(first.exchange(&document[10..], false).status, 204, "while it counts");
    let mut second = begun();
    server.admin(&["user", "remove", "app"]);
    // What was known of the key counts for a second.
    let at_once = || raw::Connection::open(&server).exchange(&put(key).with_body(document), false).status;
    let until = Instant::now() + Duration::from_secs(20);
    while at_once() != 403 {
        assert!(Instant::now() < until, "the key still counts");
    }
    assert_eq!(second.exchange(&document[10..], false).error(), (403, "InvalidAccessKeyId"));
}
