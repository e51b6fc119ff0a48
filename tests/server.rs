//! The binary under test: started on free ports over fresh directories, ended with the test.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use tempfile::TempDir;

use crate::mounts::{FileSystem, Mounts};

/// The root key of every server under test.
pub const ACCESS_KEY: &str = "root-of-the-tests";
/// Its secret.
pub const SECRET_KEY: &str = "a secret of the tests";

/// A running server. Dropping it kills the process as `kill -9` does.
pub struct Server {
    directory: PathBuf,
    _kept: Option<TempDir>,
    process: Mutex<Child>,
    endpoint: String,
    admin: String,
    arguments: Vec<String>,
    /// What the process is started with, and where this process sees its root.
    launcher: Vec<String>,
    root: PathBuf,
    // Dropped after the process was killed.
    mounts: Option<Mounts>,
}

impl Server {
    /// Starts over `disks` fresh directories.
    pub fn start(disks: usize) -> Self {
        Self::start_with(disks, &[])
    }

    /// Starts over `disks` fresh directories with more arguments.
    pub fn start_with(disks: usize, arguments: &[&str]) -> Self {
        Self::start_in(TempDir::new().expect("a temporary directory"), None, disks, arguments)
    }

    /// Starts over `disks` file systems; `None`, said loudly, where the machine doesn't allow that.
    pub fn start_on(file_system: FileSystem, disks: usize, arguments: &[&str]) -> Option<Self> {
        let directory = TempDir::new().expect("a temporary directory");
        let mounts = Mounts::new(file_system, &disks_of(directory.path(), disks))?;
        Some(Self::start_in(directory, Some(mounts), disks, arguments))
    }

    fn start_in(directory: TempDir, mounts: Option<Mounts>, disks: usize, arguments: &[&str]) -> Self {
        let path = directory.path().to_owned();
        let launcher = mounts.as_ref().map(Mounts::launcher).unwrap_or_default();
        let root = mounts.as_ref().map_or_else(|| PathBuf::from("/"), Mounts::root);
        let mut all: Vec<String> = disks_of(&path, disks).iter().map(|disk| disk.display().to_string()).collect();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let (process, endpoint, admin) = spawn(&launcher, &all);
        let process = Mutex::new(process);
        let _kept = Some(directory);
        Self { directory: path, _kept, process, endpoint, admin, arguments: all, launcher, root, mounts }
    }

    /// How many disks it was started over.
    pub fn disks(&self) -> usize {
        self.arguments.iter().take_while(|argument| !argument.starts_with("--")).count()
    }

    /// The server that tests which break nothing share: six disks, 4+2.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = Self::start(6);
            remove_after_this_process(&server);
            server
        })
    }

    /// The directory of disk `n`, counted from 1, as this process sees it.
    pub fn disk(&self, n: usize) -> PathBuf {
        let own = self.own_disk(n);
        self.root.join(own.strip_prefix("/").unwrap_or(&own))
    }

    /// The directory of disk `n`, counted from 1, as the server sees it.
    fn own_disk(&self, n: usize) -> PathBuf {
        self.directory.join(format!("d{n}"))
    }

    /// Does something to the mount of disk `n`.
    pub fn with_mount<T>(&mut self, n: usize, change: impl FnOnce(&mut Mounts, &Path) -> T) -> T {
        let disk = self.own_disk(n);
        change(self.mounts.as_mut().expect("started on mounts"), &disk)
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// `http://127.0.0.1:PORT` of the admin API.
    pub fn admin_endpoint(&self) -> &str {
        &self.admin
    }

    /// Starts the process again over the same directories.
    pub fn restart(&mut self) {
        let (process, endpoint, admin) = spawn(&self.launcher, &self.arguments);
        (self.process, self.endpoint, self.admin) = (Mutex::new(process), endpoint, admin);
    }

    /// Starts the process again over some of its directories alone, those with these numbers.
    pub fn restart_over(&mut self, disks: &[usize]) {
        let some = disks.iter().map(|disk| self.own_disk(*disk).display().to_string());
        let arguments: Vec<String> = some.chain(self.arguments[self.disks()..].iter().cloned()).collect();
        let (process, endpoint, admin) = spawn(&self.launcher, &arguments);
        (self.process, self.endpoint, self.admin) = (Mutex::new(process), endpoint, admin);
    }

    /// Kills the process and starts it over the same directories with other arguments.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        self.kill();
        self.arguments.truncate(self.disks());
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self.restart();
    }

    /// Kills the process at once, as `kill -9` does.
    pub fn kill(&self) {
        let mut process = self.process.lock().expect("nobody panicked with it");
        // The process may have ended already; what counts is that it is gone.
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Has the process end as SIGTERM does, and waits for that.
    pub fn stop(&self) {
        let mut process = self.process.lock().expect("nobody panicked with it");
        crate::processes::terminate(&mut process);
    }

    /// `cairn admin VERB --json` with the root key.
    pub fn admin_command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.arg("admin").args(verb).args(["--json", "--admin-url", &self.admin]);
        command.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY).env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
        command
    }

    /// What `cairn admin status` shows people.
    pub fn shown_status(&self) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.args(["admin", "status", "--admin-url", &self.admin]);
        command.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY).env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
        let output = command.output().expect("the verb runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// What `cairn admin VERB --json` prints; it must succeed.
    pub fn admin(&self, verb: &[&str]) -> String {
        let output = self.admin_command(verb).output().expect("the verb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("JSON is UTF-8")
    }

    /// KiB of files that the process has mapped and in memory: mostly its own code.
    pub fn resident_file_kib(&self) -> u64 {
        let process = self.process.lock().expect("nobody panicked with it").id();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits until the status is as `wanted`; fails after two minutes.
    pub fn wait_for_status(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let begun = std::time::Instant::now();
        loop {
            let status = self.admin(&["status"]);
            if wanted(&status) {
                return;
            }
            assert!(begun.elapsed().as_secs() < 120, "{what}: {status}");
        }
    }

    /// A client with the root key.
    pub fn client(&self) -> Client {
        self.client_as(ACCESS_KEY, SECRET_KEY)
    }

    /// A client with some key.
    pub fn client_as(&self, access_key: &str, secret_key: &str) -> Client {
        client_at(&self.endpoint, access_key, secret_key)
    }

    /// A fresh bucket with a name of its own.
    pub async fn bucket(&self) -> String {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("bucket-{}-{number}", std::process::id());
        self.client().create_bucket().bucket(&name).send().await.expect("a bucket is created");
        name
    }
}

/// A client of a server with some key.
pub fn client_at(endpoint: &str, access_key: &str, secret_key: &str) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "tests"))
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .http_client(http)
        .build();
    Client::from_conf(config)
}

fn disks_of(directory: &Path, disks: usize) -> Vec<PathBuf> {
    (1..=disks).map(|n| directory.join(format!("d{n}"))).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the binary and waits until it says where it serves. A helper shell kills the server once this process has
/// ended, however it ended: the shared server is never dropped.
fn spawn(launcher: &[String], arguments: &[String]) -> (Child, String, String) {
    let words: Vec<&str> = launcher.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_cairn")]).collect();
    let mut process = Command::new(words[0])
        .args(&words[1..])
        .arg("server")
        .args(arguments)
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY)
        .env("CAIRN_DISK_RESERVE", "1MiB")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    end_with_this_process(process.id());
    let errors = process.stderr.take().expect("stderr is a pipe");
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            // `cargo test` shows it for a test that fails.
            let _ = writeln!(std::io::stderr(), "server: {line}");
        }
    });
    let mut lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
    let mut endpoint_after = |word: &str| {
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.trim_start().starts_with(word));
        let line = line.unwrap_or_else(|| panic!("the server ended before it said its {word} address"));
        line.split_whitespace().nth(1).expect("an address follows").to_owned()
    };
    let (endpoint, admin) = (endpoint_after("S3"), endpoint_after("admin"));
    std::thread::spawn(move || lines.for_each(drop));
    (process, endpoint, admin)
}

/// Kills `server` when the pipe from this process closes.
pub fn end_with_this_process(server: u32) {
    when_this_process_ends("kill -9 \"$0\" 2>/dev/null", &[&server.to_string()]);
}

/// Removes the directories of a server that nobody drops, once it is gone.
fn remove_after_this_process(server: &Server) {
    let process = server.process.lock().expect("nobody panicked with it").id().to_string();
    let gone = "n=0; while kill -0 \"$0\" 2>/dev/null && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.1; done; rm -rf \"$1\"";
    when_this_process_ends(gone, &[&process, &server.directory.display().to_string()]);
}

/// Has a shell do something once the pipe from this process closes.
fn when_this_process_ends(what: &str, arguments: &[&str]) {
    let mut watcher = Command::new("sh")
        .args(["-c", &format!("cat >/dev/null; {what}")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell starts");
    // Kept open, and so never closed before this process ends.
    std::mem::forget(watcher.stdin.take());
    std::thread::spawn(move || watcher.wait());
}
