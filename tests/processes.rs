//! Processes of a cluster under test: nodes over fresh directories that find each other, and gateways.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::body::body;
use crate::server::{ACCESS_KEY, SECRET_KEY, client_at, end_with_this_process};

const SECRET: &str = "the secret of the nodes under test, long enough";

/// How long an orchestrator waits before it kills, with something to spare.
const END_PATIENCE: Duration = Duration::from_secs(25);

/// What a process is started with.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What starts it, before its own name: the way into a namespace.
    pub launcher: Vec<String>,
    /// The binary; this build's own, unless it is to be another.
    pub binary: PathBuf,
    /// The role and its arguments.
    pub arguments: Vec<String>,
    /// Where it listens for S3 and for the admin API.
    pub host: String,
    /// A gateway's; nodes have the cluster's secret.
    pub credential: Option<String>,
    /// More settings, by their names in the environment.
    pub environment: Vec<(String, String)>,
}

impl Launch {
    /// A process on the loopback interface.
    pub fn of(arguments: Vec<String>, credential: Option<String>) -> Self {
        let (binary, host) = (env!("CARGO_BIN_EXE_cairn").into(), "127.0.0.1".to_owned());
        Self { launcher: Vec::new(), binary, arguments, host, credential, environment: Vec::new() }
    }

    /// A node with these disks, that listens at `own` and finds others at `named`.
    pub fn node(disks: &[PathBuf], named: &[String], own: &str) -> Self {
        let mut arguments = vec!["node".to_owned()];
        arguments.extend(disks.iter().map(|disk| disk.display().to_string()));
        arguments.extend(["--join", &named.join(","), "--rpc-listen", own].map(str::to_owned));
        Self::of(arguments, None)
    }

    /// Starts it; it is ready once [`Starting::ready`] returns.
    pub fn start(self) -> Starting {
        let binary = self.binary.display().to_string();
        let mut words = self.launcher.iter().chain([&binary]).chain(&self.arguments);
        let mut command = Command::new(words.next().expect("the binary is one"));
        let own = format!("{}:0", self.host);
        command
            .args(words)
            .args(["--listen", &own, "--admin-listen", &own])
            .env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY)
            .env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY)
            .env("CAIRN_DISK_RESERVE", "1MiB")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match &self.credential {
            Some(credential) => command.env("CAIRN_GATEWAY_CREDENTIAL", credential),
            None => command.env("CAIRN_CLUSTER_SECRET", SECRET),
        };
        let mut process = command.spawn().expect("the binary starts");
        end_with_this_process(process.id());
        let errors = process.stderr.take().expect("stderr is a pipe");
        let name = self.arguments.last().cloned().unwrap_or_default();
        let said = std::thread::spawn(move || {
            let mut last = String::new();
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                // `cargo test` shows it for a test that fails.
                let _ = writeln!(std::io::stderr(), "{name}: {line}");
                last = line;
            }
            last
        });
        Starting { launch: self, process, said }
    }
}

/// A process of the cluster. Dropping it kills it as `kill -9` does.
pub struct Member {
    pub launch: Launch,
    process: Child,
    #[cfg_attr(not(feature = "next-level"), allow(dead_code, reason = "only an upgrade reads last words"))]
    said: JoinHandle<String>,
    /// Where it serves S3; empty for a node that doesn't.
    pub endpoint: String,
    pub admin: String,
}

impl Member {
    pub fn client(&self) -> Client {
        client_at(&self.endpoint, ACCESS_KEY, SECRET_KEY)
    }

    /// Waits until all nodes know a feature level, and the cluster is at it.
    pub fn at_level(&self, level: u64) {
        let begun = Instant::now();
        while self.admin(&["status"])["feature_level"]["level"].as_u64() < Some(level) {
            assert!(begun.elapsed().as_secs() < 120, "the cluster comes to level {level}");
        }
    }

    pub fn kill(&mut self) {
        // It may have ended already; what counts is that it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts the process again as it was.
    pub fn restart(&mut self) {
        self.kill();
        *self = self.launch.clone().start().ready();
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        signal(&self.process, name);
    }

    /// Ends it as an operator does.
    pub fn terminate(&mut self) {
        terminate(&mut self.process);
    }

    /// Waits until it ends by itself, and not well; its last words.
    #[cfg(feature = "next-level")]
    pub fn ended(&mut self) -> String {
        let said = std::mem::replace(&mut self.said, std::thread::spawn(String::new));
        last_words(&mut self.process, said)
    }

    /// `cairn admin VERB --json` with the root key, of the process's own build.
    pub fn admin_command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.launch.binary);
        command.arg("admin").args(verb).args(["--json", "--admin-url", &self.admin]);
        command.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY).env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
        command
    }

    pub fn admin(&self, verb: &[&str]) -> serde_json::Value {
        let output = self.admin_command(verb).output().expect("the verb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

/// Sends a process a signal, by its name.
fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
    assert!(sent.expect("kill runs").success(), "the process lives");
}

/// Ends a process as an operator does.
pub fn terminate(process: &mut Child) {
    signal(process, "TERM");
    let ended = wait_for_end(process);
    assert!(ended.success(), "it ends in order: {ended}");
}

fn wait_for_end(process: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(ended) = process.try_wait().expect("it is waited for") {
            return ended;
        }
        if begun.elapsed() > END_PATIENCE {
            let _ = process.kill();
            panic!("it does not end within {END_PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a process said last that ends, and not well.
#[cfg(feature = "next-level")]
fn last_words(process: &mut Child, said: JoinHandle<String>) -> String {
    let ended = wait_for_end(process);
    let said = said.join().expect("it is only read");
    assert!(!ended.success(), "{said}");
    said
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that may still wait for its cluster.
pub struct Starting {
    launch: Launch,
    process: Child,
    /// Ends with the process, and has its last words then.
    said: JoinHandle<String>,
}

impl Starting {
    /// Waits until it ends because it must not serve; its last words.
    #[cfg(feature = "next-level")]
    pub fn refused(self) -> String {
        let Self { mut process, said, .. } = self;
        last_words(&mut process, said)
    }

    /// Waits until it says where it serves.
    pub fn ready(self) -> Member {
        let Self { launch, mut process, said } = self;
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let mut endpoint = String::new();
        let admin = loop {
            let line = lines.by_ref().next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("{:?} ended before it said where it serves", launch.arguments));
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("S3"), Some(address)) => address.clone_into(&mut endpoint),
                (Some("admin"), Some(address)) => break address.to_owned(),
                _ => {}
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Member { launch, process, said, endpoint, admin }
    }
}

/// Nodes that serve S3 too.
pub struct Cluster {
    pub nodes: Vec<Member>,
    pub addresses: Vec<String>,
    // Dropped after the processes were killed.
    directory: TempDir,
}

impl Cluster {
    /// Forms a cluster of so many nodes with so many disks each.
    pub fn of(nodes: usize, disks: usize) -> Self {
        let addresses = free_addresses(nodes);
        let launch = |at: usize, disks: &[PathBuf]| Launch::of(arguments(&addresses, at, disks), None);
        Self::of_launches(addresses.clone(), launch, disks)
    }

    /// Forms a cluster of what `launch` gives for each node's number and directory. `addresses` are where the nodes
    /// reach each other.
    pub fn of_launches(addresses: Vec<String>, launch: impl Fn(usize, &[PathBuf]) -> Launch, disks: usize) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let of_node = |at: usize| -> Vec<PathBuf> {
            (1..=disks).map(|disk| directory.path().join(format!("n{at}/d{disk}"))).collect()
        };
        let starting: Vec<Starting> = (0..addresses.len()).map(|at| launch(at, &of_node(at)).start()).collect();
        let nodes = starting.into_iter().map(Starting::ready).collect();
        Self { nodes, addresses, directory }
    }

    pub fn node_directory(&self, at: usize) -> PathBuf {
        self.directory.path().join(format!("n{at}"))
    }

    /// Starts a gateway with a credential that a node gives it.
    pub fn gateway(&self) -> Member {
        self.gateway_launch().start().ready()
    }

    /// What such a gateway is started with.
    pub fn gateway_launch(&self) -> Launch {
        let told = self.nodes[0].admin(&["gateway", "add"]);
        let credential = told["credential"].as_str().expect("a credential").to_owned();
        let arguments = ["gateway", "--join", &self.addresses.join(",")].map(str::to_owned).to_vec();
        Launch::of(arguments, Some(credential))
    }
}

/// What a node that serves S3 too is started with.
pub fn arguments(addresses: &[String], at: usize, disks: &[PathBuf]) -> Vec<String> {
    let mut arguments = vec!["server".to_owned()];
    arguments.extend(disks.iter().map(|disk| disk.display().to_string()));
    let options = ["--join", &addresses.join(","), "--rpc-listen", &addresses[at]];
    arguments.extend(options.map(str::to_owned));
    arguments
}

/// The ports that are handed out here: below those that the kernel gives to whoever asks for any (32768 and up, unless
/// told otherwise). One of those could go to a process under test for its S3 or admin port before it listens at it.
const PORTS: Range<u16> = 10_000..32_000;

/// Addresses of this machine that nobody listens at, none of them twice.
pub fn free_addresses(count: usize) -> Vec<String> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Suites that run side by side begin at different ports.
    let first = std::process::id().wrapping_mul(97);
    let next = || {
        let at = first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % u32::try_from(PORTS.len()).expect("few");
        format!("127.0.0.1:{}", u32::from(PORTS.start) + at)
    };
    let addresses = std::iter::repeat_with(next).take(PORTS.len());
    let free: Vec<String> = addresses.filter(|address| TcpListener::bind(address).is_ok()).take(count).collect();
    assert_eq!(free.len(), count, "so many ports are free");
    free
}

/// Objects of every form: inline, whole copies, stripes.
const SIZES: [usize; 4] = [100, 40_000, 300_000, 7 << 20];

pub async fn put_all(client: &Client, bucket: &str, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let mut objects = Vec::new();
    // No two objects share bytes, whatever they are called.
    let named = prefix.bytes().fold(1_u64, |sum, byte| sum.wrapping_mul(257).wrapping_add(byte.into()));
    for (seed, size) in (named..).zip(SIZES) {
        let (key, bytes) = (format!("{prefix}/{size}"), body(size, seed));
        let sent = client.put_object().bucket(bucket).key(&key).body(ByteStream::from(bytes.clone())).send().await;
        sent.unwrap_or_else(|error| panic!("PUT {key}: {error:?}"));
        objects.push((key, bytes));
    }
    objects
}

pub async fn assert_all(client: &Client, bucket: &str, objects: &[(String, Vec<u8>)]) {
    for (key, bytes) in objects {
        let got = client.get_object().bucket(bucket).key(key).send().await;
        let got = got.unwrap_or_else(|error| panic!("GET {key}: {error:?}"));
        let got = got.body.collect().await.unwrap_or_else(|error| panic!("GET {key}: {error:?}")).to_vec();
        assert!(got == *bytes, "{key} is what was stored");
    }
}
