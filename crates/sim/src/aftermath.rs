//! What must hold once nothing goes wrong any more: all works again, and as much may be lost as before.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::{Client, KnownVersion};
use crate::cluster::{Cluster, NODES};
use crate::history::{Outcome, Subject};

/// How long everything may take to work again once all is well.
pub(crate) const HEAL_PATIENCE: Duration = Duration::from_secs(90);
/// How long moves of slots may take to end then: they wait for tickets.
const SETTLING_PATIENCE: Duration = Duration::from_secs(300);
/// How long it takes to verify and repair all shards.
const SCRUB_PATIENCE: Duration = Duration::from_secs(20);
/// By how much the archive may be behind.
const ARCHIVE_LAG_MAX: Duration = Duration::from_secs(10);
/// How often a read may fail before the object passes for lost.
const ATTEMPTS_OF_A_READ: usize = 4;
/// How often something is tried.
const PERIOD: Duration = Duration::from_millis(500);

/// Who looks, and at what.
pub(crate) struct Aftermath {
    pub(crate) client: Client,
    /// Keys that many write.
    pub(crate) keys: Vec<Subject>,
    /// Keys that were written once.
    pub(crate) once: Vec<Subject>,
    /// Keys with versions.
    pub(crate) versioned: Vec<Subject>,
    /// The versions that clients know.
    pub(crate) versions: Vec<KnownVersion>,
}

impl Aftermath {
    /// Reads, writes and lists all keys until that works; what can't be in time, though it is there.
    pub(crate) async fn works_again(&mut self) -> Vec<String> {
        let deadline = Instant::now() + HEAL_PATIENCE;
        let all: Vec<Subject> = [&self.keys[..], &self.once, &self.versioned].concat();
        for subject in all {
            while self.client.get(subject.clone()).await == Outcome::Unknown {
                if Instant::now() > deadline {
                    return vec![format!("{subject:?} cannot be read though nothing is wrong any more")];
                }
                tokio::time::sleep(PERIOD).await;
            }
        }
        self.list().await;
        for subject in self.keys.clone() {
            while self.client.put_whatever(subject.clone()).await == Outcome::Unknown {
                if Instant::now() > deadline {
                    return vec![format!("{subject:?} cannot be written though nothing is wrong any more")];
                }
                tokio::time::sleep(PERIOD).await;
            }
            self.client.get(subject).await;
        }
        self.list().await;
        Vec::new()
    }

    async fn list(&mut self) {
        self.client.list().await;
        for subject in self.versioned.clone() {
            self.client.list_versions(subject).await;
        }
    }

    /// Waits until slots have stopped moving, what they left is gone, and all shards were verified; what is not done then.
    pub(crate) async fn settles(&mut self, cluster: &Cluster) -> Vec<String> {
        if let Err(reason) = cluster.settle_slots(SETTLING_PATIENCE).await {
            return vec![format!("slots have not settled: {reason}")];
        }
        cluster.scrub();
        tokio::time::sleep(SCRUB_PATIENCE).await;
        let mut undone = cluster.damaged_shards().await;
        undone.extend(cluster.garbage_left().await);
        undone.extend(cluster.archives_behind(ARCHIVE_LAG_MAX));
        undone
    }

    /// Reads all with the disks of one node after the other taken for lost; what cannot be read, though as much may be lost.
    /// Where bits have turned over on one node's disks, that node is the one: a loss of its own beside another's is more than
    /// is promised.
    pub(crate) async fn stands_a_loss(&mut self, cluster: &Cluster, rotten: Option<usize>) -> Vec<String> {
        let mut wrong = Vec::new();
        for node in (0..NODES).filter(|node| rotten.is_none_or(|rotten| rotten == *node)) {
            let shunned = cluster.disks_of(node);
            cluster.fronts.iter().for_each(|front| front.gate.shun(shunned.clone()));
            for unread in self.read_all().await {
                wrong.push(format!("{unread} cannot be read without the disks of node {node}, of which any may go"));
            }
        }
        cluster.fronts.iter().for_each(|front| front.gate.shun(BTreeSet::new()));
        wrong
    }

    /// What cannot be read.
    async fn read_all(&mut self) -> Vec<String> {
        let mut unread = Vec::new();
        for subject in [&self.keys[..], &self.once, &self.versioned].concat() {
            let mut attempts = 0;
            while self.client.get(subject.clone()).await == Outcome::Unknown {
                attempts += 1;
                if attempts == ATTEMPTS_OF_A_READ {
                    unread.push(format!("{subject:?}"));
                    break;
                }
                tokio::time::sleep(PERIOD).await;
            }
        }
        for version in self.versions.iter().filter(|version| !version.is_marker) {
            let mut attempts = 0;
            while self.client.get_version(version.clone()).await == Outcome::Unknown {
                attempts += 1;
                if attempts == ATTEMPTS_OF_A_READ {
                    unread.push(format!("{version:?}"));
                    break;
                }
                tokio::time::sleep(PERIOD).await;
            }
        }
        unread
    }
}
