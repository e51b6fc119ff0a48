//! Starts that fail, and what a start says: the real binary over fresh directories.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server::Server;

/// A start over `directories` below `root`, which must end by itself, badly.
fn refused(root: &Path, arguments: &[&str]) -> String {
    let output = start(root, arguments).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    String::from_utf8(output.stderr).expect("errors are UTF-8")
}

fn start(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.current_dir(root).arg("server").args(arguments);
    command.env("CAIRN_LISTEN", "127.0.0.1:0").env("CAIRN_ADMIN_LISTEN", "127.0.0.1:0");
    command
}

/// What a start over `directories` says until it serves, on stdout and on stderr; the server is ended then.
fn banner(root: &Path, arguments: &[&str]) -> (String, String) {
    let mut process = start(root, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("CAIRN_DISK_RESERVE", "1MiB")
        .spawn()
        .expect("the binary starts");
    let lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
    let mut said = String::new();
    for line in lines {
        said += &line;
        said += "\n";
        if line.contains("aws --endpoint-url") {
            break;
        }
    }
    process.kill().expect("it serves until it is ended");
    let rest = process.wait_with_output().expect("it has ended");
    (said, String::from_utf8(rest.stderr).expect("log lines are UTF-8"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn is_empty(root: &Path) -> bool {
    std::fs::read_dir(root).expect("the root is there").next().is_none()
}

#[test]
fn a_start_that_fails_leaves_no_directory_behind() {
    let (root, elsewhere) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it is bound").to_string();
    let missing = elsewhere.path().join("tls.crt").display().to_string();
    let no_certificate = elsewhere.path().join("no.crt").display().to_string();
    std::fs::write(&no_certificate, "no certificate").expect("written");
    let cases: [(&[&str], &str); 12] = [
        (&["--listen", &taken], "--listen"),
        (&["--admin-listen", &taken], "--admin-listen"),
        (&["--listen", "127.0.0.1:47193", "--admin-listen", "0.0.0.0:47193"], "--admin-listen"),
        (&["--tls-cert", &missing, "--tls-key", &missing], "tls.crt cannot be read"),
        (&["--tls-cert", &no_certificate, "--tls-key", &no_certificate], "no.crt holds no PEM certificate"),
        (&["--tls-cert", &missing], "give both or none"),
        (&["--profile", "4x2"], "K+M"),
        (&["--integrity", "crc"], "xxh3 or blake3"),
        (&["--shard-size", "100KiB"], "power of two"),
        (&["--storage-class", "STANDARD=1+1"], "STANDARD has the profile"),
        (&["--storage-class", "RR=1+1,RR=1+0"], "a class has one profile"),
        (&["--bucket", "No Bucket"], "No Bucket"),
    ];
    for (arguments, reason) in cases {
        let error = refused(root.path(), &[&["d1", "deep/d2"], arguments].concat());
        assert!(error.contains(reason), "{reason} in {error}");
        assert!(is_empty(root.path()), "{arguments:?}");
    }
}

/// A variable that is misspelt would leave the default without a word.
#[test]
fn a_variable_that_is_no_setting_is_warned_of_with_the_nearest_that_is_one() {
    let root = TempDir::new().expect("a directory");
    let mut command = start(root.path(), &["d1", "--profile", "4x2", "--log-format", "text"]);
    command.env("CAIRN_MEMROY", "1GiB").env("CAIRN_NODES_PORT_9002_TCP", "tcp://10.0.0.1:9002");
    let said = said(&command.output().expect("the binary starts"));
    let warned = said.lines().find(|line| line.contains("CAIRN_MEMROY")).unwrap_or_else(|| panic!("no word: {said}"));
    assert!(warned.contains("WARN") && warned.contains("CAIRN_MEMORY\""), "{warned}");
    assert!(!said.contains("CAIRN_NODES_PORT"), "{said}");
}

#[tokio::test]
async fn a_memory_that_is_too_small_is_refused_with_the_least_that_serves() {
    let root = TempDir::new().expect("a directory");
    let directories = ["d1", "d2", "d3", "d4", "d5", "d6"];
    let with = |memory: &'static str| [&directories[..], &["--memory", memory]].concat();
    let error = refused(root.path(), &with("1KiB"));
    // 4+2: 6 MiB for a PUT, 1.3 MiB for a GET, as much again for SQLite.
    assert!(error.contains("at least 15MiB") && error.contains("4+2"), "{error}");
    assert!(refused(root.path(), &with("14MiB")).contains("at least 15MiB"));
    assert!(is_empty(root.path()));
    let server = crate::server::Server::start_with(6, &["--memory", "15MiB"]);
    let (client, bucket) = (server.client(), server.bucket().await);
    let body = vec![7; 9 << 20];
    let put = client.put_object().bucket(&bucket).key("k").body(body.clone().into());
    put.send().await.expect("PUT");
    let got = client.get_object().bucket(&bucket).key("k").send().await.expect("GET");
    assert!(got.body.collect().await.expect("the body").to_vec() == body);
}

#[tokio::test]
async fn shards_are_of_the_size_and_kind_that_is_set_whatever_sets_the_profile() {
    // The kind of a record's checksums (docs/disk-format.md).
    let kinds = |server: &crate::server::Server| -> Vec<u8> {
        let mut kinds = Vec::new();
        for disk in 1..=server.disks() {
            for file in std::fs::read_dir(server.disk(disk).join("segments")).expect("segments").flatten() {
                let bytes = std::fs::read(file.path()).expect("it is read");
                let magic = b"\xc4CNREC\r\n";
                let records = bytes.chunks(4096).filter(|page| page.starts_with(magic));
                kinds.extend(records.map(|record| record[11]));
            }
        }
        kinds
    };
    let mut server = crate::server::Server::start_with(2, &["--integrity", "blake3", "--shard-size", "128KiB"]);
    let bucket = server.bucket().await;
    let put = async |server: &crate::server::Server, key: &str| {
        let body = vec![7; 1280 << 10].into();
        server.client().put_object().bucket(&bucket).key(key).body(body).send().await.expect("PUT");
    };
    put(&server, "first").await;
    // 1+1: ten stripes of one shard each, on either disk, in pages of their own.
    assert_eq!(kinds(&server), [2; 20]);
    server.restart_with(&["--integrity", "xxh3"]);
    put(&server, "second").await;
    let mut kinds = kinds(&server);
    kinds.sort_unstable();
    assert_eq!(kinds, [vec![1; 4], vec![2; 20]].concat(), "what is set later counts for what is written later");
}

#[test]
fn a_directory_that_is_named_twice_is_not_called_in_use() {
    let root = TempDir::new().expect("a directory");
    for (other, said) in
        [("d1", "d1 is named twice\n"), ("d1/", "named twice, the second time as d1/"), ("./d1", "./d1")]
    {
        let error = refused(root.path(), &["d1", "d2", other]);
        assert!(error.contains(said) && !error.contains("in use"), "{error}");
        assert!(is_empty(root.path()), "{other}");
    }
}

#[test]
fn what_is_said_at_the_start_is_what_the_disks_at_hand_bear() {
    let root = TempDir::new().expect("a directory");
    let classes = ["--profile", "4+2", "--storage-class", "THIN=2+1,WIDE=8+4"];
    let (said, _) = banner(root.path(), &[&["d1", "d2", "d3"], &classes[..]].concat());
    assert!(said.contains("disks    3 (too few for 4+2: objects are stored 1+2, any 2 disks may be lost)"), "{said}");
    assert!(said.contains("class    THIN (2+1: any one disk may be lost)"), "{said}");
    assert!(
        said.contains("class    WIDE (too few for 8+4: objects are stored 1+2, any 2 disks may be lost)"),
        "{said}"
    );
    let (said, _) = banner(root.path(), &["d1", "d2", "--profile", "4+2"]);
    assert!(said.contains("(1 missing of 4+2: objects are stored 1+1, any one more disk may be lost)"), "{said}");
}

#[test]
fn the_line_to_try_has_the_secret_and_runs_as_it_stands() {
    let root = TempDir::new().expect("a directory");
    let (said, _) = banner(root.path(), &["a disk's"]);
    let (_, line) = said.split_once("  try      ").expect("a line to try");
    let (environment, _) = line.split_once("\\\n").expect("of two halves");
    let shown = Command::new("sh").current_dir(root.path()).args(["-c", &format!("{environment} env")]).output();
    let shown = String::from_utf8(shown.expect("a shell").stdout).expect("text");
    let stored = std::fs::read_to_string(root.path().join("a disk's/root-credential.json")).expect("a credential");
    let stored: serde_json::Value = serde_json::from_str(&stored).expect("JSON");
    for (name, value) in
        [("AWS_ACCESS_KEY_ID", &stored["access_key"]), ("AWS_SECRET_ACCESS_KEY", &stored["secret_key"])]
    {
        let wanted = format!("{name}={}", value.as_str().expect("text"));
        assert!(shown.lines().any(|line| line == wanted), "{environment}");
    }
}

#[test]
fn the_first_start_warns_of_nothing() {
    let root = TempDir::new().expect("a directory");
    let (said, log) = banner(root.path(), &["d1", "d2", "d3"]);
    assert!(said.contains("disks    3 (2+1: any one disk may be lost)"), "{said}");
    assert!(!log.contains("WARN") && !log.contains("ERROR") && !log.contains("made anew"), "{log}");
}

#[test]
fn a_server_at_rest_gives_back_the_code_of_its_start() {
    let server = Server::start(6);
    let started = server.resident_file_kib();
    let begun = Instant::now();
    while server.resident_file_kib() * 10 > started * 9 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} KiB of {started}", server.resident_file_kib());
        std::thread::sleep(Duration::from_millis(20));
    }
    server.admin(&["status"]);
}

#[test]
fn help_shows_defaults_and_an_error_says_its_cause_once() {
    let root = TempDir::new().expect("a directory");
    let help = said(&start(root.path(), &["--help"]).output().expect("help is printed"));
    // Wherever lines are broken.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for default in ["[default: ./cairn-data]", "[default: 127.0.0.1:9000]", "[default: 256MiB]", "[default: 30d]"] {
        assert!(help.contains(default), "{default} in {help}");
    }
    std::fs::write(root.path().join("file"), "no directory").expect("written");
    std::fs::create_dir(root.path().join("full")).expect("made");
    std::fs::write(root.path().join("full/thesis.tex"), "precious").expect("written");
    for arguments in [&["file"][..], &["full"], &["--tls-cert", "none", "--tls-key", "none"], &["d1", "--profile", "x"]]
    {
        let error = refused(root.path(), arguments);
        let causes: Vec<&str> = error.trim_end().split(": ").collect();
        let mut once = causes.clone();
        once.dedup();
        assert_eq!(causes, once, "{error}");
    }
}
