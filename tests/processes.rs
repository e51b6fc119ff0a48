//! Processes of a cluster under test: nodes over fresh directories that find each other, and gateways.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::body::body;
use crate::server::{ACCESS_KEY, SECRET_KEY, client_at, end_with_this_process};

const SECRET: &str = "the secret of the nodes under test, long enough";

/// A process of the cluster. Dropping it kills it as `kill -9` does.
pub struct Member {
    pub arguments: Vec<String>,
    pub credential: Option<String>,
    process: Child,
    pub endpoint: String,
    pub admin: String,
}

impl Member {
    /// Starts a process; it is ready once [`Starting::ready`] returns.
    pub fn start(arguments: Vec<String>, credential: Option<String>) -> Starting {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command
            .args(&arguments)
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY)
            .env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY)
            .env("CAIRN_DISK_RESERVE", "1MiB")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match &credential {
            Some(credential) => command.env("CAIRN_GATEWAY_CREDENTIAL", credential),
            None => command.env("CAIRN_CLUSTER_SECRET", SECRET),
        };
        let mut process = command.spawn().expect("the binary starts");
        end_with_this_process(process.id());
        let errors = process.stderr.take().expect("stderr is a pipe");
        let name = arguments.last().cloned().unwrap_or_default();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                // `cargo test` shows it for a test that fails.
                let _ = writeln!(std::io::stderr(), "{name}: {line}");
            }
        });
        Starting { arguments, credential, process }
    }

    pub fn client(&self) -> Client {
        client_at(&self.endpoint, ACCESS_KEY, SECRET_KEY)
    }

    pub fn kill(&mut self) {
        // It may have ended already; what counts is that it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts the process again as it was.
    pub fn restart(&mut self) {
        self.kill();
        let again = Self::start(self.arguments.clone(), self.credential.clone()).ready();
        *self = again;
    }

    /// Ends it as an operator does.
    pub fn terminate(&mut self) {
        let killed = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill runs");
        assert!(killed.success());
        let ended = self.process.wait().expect("it is waited for");
        assert!(ended.success(), "it ends in order: {ended}");
    }

    pub fn admin(&self, verb: &[&str]) -> serde_json::Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.arg("admin").args(verb).args(["--json", "--admin-url", &self.admin]);
        command.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY).env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
        let output = command.output().expect("the verb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that may still wait for its cluster.
pub struct Starting {
    arguments: Vec<String>,
    credential: Option<String>,
    process: Child,
}

impl Starting {
    /// Waits until it says where it serves.
    pub fn ready(self) -> Member {
        let Self { arguments, credential, mut process } = self;
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let mut endpoint_after = |word: &str| {
            let line = lines.by_ref().map_while(Result::ok).find(|line| line.trim_start().starts_with(word));
            let line = line.unwrap_or_else(|| panic!("the process ended before it said its {word} address"));
            line.split_whitespace().nth(1).expect("an address follows").to_owned()
        };
        let (endpoint, admin) = (endpoint_after("S3"), endpoint_after("admin"));
        std::thread::spawn(move || lines.for_each(drop));
        Member { arguments, credential, process, endpoint, admin }
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
        let directory = TempDir::new().expect("a temporary directory");
        let addresses = free_addresses(nodes);
        let start = |at: usize| Member::start(arguments(&directory, &addresses, at, disks), None);
        let starting: Vec<Starting> = (0..nodes).map(start).collect();
        let nodes = starting.into_iter().map(Starting::ready).collect();
        Self { nodes, addresses, directory }
    }

    pub fn node_directory(&self, at: usize) -> PathBuf {
        self.directory.path().join(format!("n{at}"))
    }

    /// Starts a gateway with a credential that a node gives it.
    pub fn gateway(&self) -> Member {
        let told = self.nodes[0].admin(&["gateway", "add"]);
        let credential = told["credential"].as_str().expect("a credential").to_owned();
        let arguments = ["gateway", "--join", &self.addresses.join(",")].map(str::to_owned).to_vec();
        Member::start(arguments, Some(credential)).ready()
    }
}

fn arguments(directory: &TempDir, addresses: &[String], at: usize, disks: usize) -> Vec<String> {
    let mut arguments = vec!["server".to_owned()];
    arguments.extend((1..=disks).map(|disk| directory.path().join(format!("n{at}/d{disk}")).display().to_string()));
    let options = ["--join", &addresses.join(","), "--rpc-listen", &addresses[at]];
    arguments.extend(options.map(str::to_owned));
    arguments
}

/// Addresses of this machine that nobody listens at. Others could take them meanwhile: the kernel gives new ones first.
pub fn free_addresses(count: usize) -> Vec<String> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    held.iter().map(|held| held.local_addr().expect("it listens").to_string()).collect()
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
