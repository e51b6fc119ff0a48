//! Hosts with addresses of their own: network namespaces on a bridge, whose ways to each other can be cut.
//!
//! The test that wants them runs itself again inside a namespace, where the bridge is: nothing of the machine's own
//! network is touched, and all of it is gone when the test ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

/// Set in the process that is inside.
const INSIDE: &str = "CAIRN_TEST_INSIDE_NETWORK";

/// A bridge and hosts on it. The test itself is one, at an address that is never cut off.
pub struct Network {
    hosts: Vec<Host>,
}

struct Host {
    /// Holds the namespace until its standard input closes.
    holder: Child,
}

impl Network {
    /// Runs the test of this name in a namespace of its own: `Some` in there, `None` outside once it has passed there,
    /// or, said loudly, where the machine doesn't allow it.
    pub fn enter(test: &str, hosts: usize) -> Option<Self> {
        if std::env::var_os(INSIDE).is_some() {
            return Some(Self::with(hosts));
        }
        let trial = "ip link set lo up && ip link add br0 type bridge && nft add table inet trial && unshare -n true";
        let allows = |flags: &&&str| {
            let tried = Command::new("unshare").args([**flags, "sh", "-c", trial]).stderr(Stdio::null()).status();
            tried.is_ok_and(|status| status.success())
        };
        let Some(flags) = ["-n", "-Urn"].iter().find(allows) else {
            // Past the test harness, which keeps the output of tests that pass to itself.
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: this machine allows no network namespaces (ip, nft, unshare), so partitions between \
                 processes are NOT TESTED here ***\n"
            );
            return None;
        };
        let own = std::env::current_exe().expect("a test binary has a path");
        let mut inside = Command::new("unshare")
            .arg(flags)
            .arg(own)
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare ran before");
        let mut said = String::new();
        inside.stdout.take().expect("stdout is a pipe").read_to_string(&mut said).expect("text");
        let status = inside.wait().expect("it is waited for");
        assert!(status.success() && said.contains("1 passed"), "{test} in its own network: {said}");
        println!("{said}");
        None
    }

    fn with(hosts: usize) -> Self {
        for command in [
            "ip link set lo up",
            "ip link add br0 type bridge",
            "ip addr add 10.77.0.254/24 dev br0",
            "ip link set br0 up",
        ] {
            run(command);
        }
        Self { hosts: (0..hosts).map(Host::new).collect() }
    }

    /// A host's address.
    pub fn address(&self, host: usize) -> String {
        address(host)
    }

    /// What starts a program on a host.
    pub fn launcher(&self, host: usize) -> Vec<String> {
        let holder = self.hosts[host].holder.id().to_string();
        ["nsenter", "-t", &holder, "-n"].map(str::to_owned).to_vec()
    }

    /// Lets nothing through from some hosts to others until [`Self::heal`].
    pub fn cut(&self, from: &[usize], to: &[usize]) {
        for host in to {
            let host = &self.hosts[*host];
            host.run("nft add table inet faults");
            host.run("nft add chain inet faults input { type filter hook input priority 0 ; }");
            for source in from {
                host.run(&format!("nft add rule inet faults input ip saddr {} drop", address(*source)));
            }
        }
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        for host in &self.hosts {
            host.run("nft add table inet faults");
            host.run("nft delete table inet faults");
        }
    }
}

impl Host {
    fn new(number: usize) -> Self {
        let mut holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && echo ready && read _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare ran before");
        let mut said = String::new();
        let mut output = BufReader::new(holder.stdout.take().expect("stdout is a pipe"));
        output.read_line(&mut said).expect("it answers");
        assert_eq!(said.trim(), "ready", "a host has a namespace");
        run(&format!("ip link add v{number} type veth peer name eth0 netns {}", holder.id()));
        run(&format!("ip link set v{number} master br0 up"));
        let host = Self { holder };
        host.run(&format!("ip addr add {}/24 dev eth0", address(number)));
        host.run("ip link set eth0 up");
        host
    }

    fn run(&self, command: &str) {
        run(&format!("nsenter -t {} -n {command}", self.holder.id()));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // It ends once its input is closed.
        let _ = self.holder.wait();
    }
}

fn address(host: usize) -> String {
    format!("10.77.0.{}", host + 1)
}

/// Runs a command whose words have no spaces; it must succeed.
fn run(command: &str) {
    let mut words = command.split(' ');
    let program = words.next().expect("a command has a name");
    let output = Command::new(program).args(words).output().expect("it runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
