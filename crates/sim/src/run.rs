//! One run: a seed, a cluster, clients, a phase in which everything may go wrong, the heal, a phase in which everything
//! must work again, and the invariants.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use platform::Stage;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::aftermath::{Aftermath, HEAL_PATIENCE};
use crate::client::{Client, Clients, key_name, make_buckets, versioned_bucket};
use crate::cluster::{Cluster, GATEWAYS, NODES};
use crate::history::{History, Record, Subject};
use crate::invariants::{Evidence, Findings, check};
use crate::mishaps::Mishaps;
use crate::nemesis::{Nemesis, USUAL_PACE};
use crate::values::Values;

/// How often it is tried.
const PERIOD: Duration = Duration::from_millis(500);

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How long things go wrong.
    pub trouble: Duration,
    /// Clients.
    pub clients: usize,
    /// Keys of the bucket that stays.
    pub keys: usize,
    /// Buckets that come and go.
    pub buckets: usize,
    /// Buckets with versions.
    pub versioned: usize,
}

impl Default for Scenario {
    fn default() -> Self {
        Self { trouble: Duration::from_secs(30), clients: 6, keys: 4, buckets: 2, versioned: 2 }
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it was started with.
    pub seed: u64,
    /// Operations that were answered.
    pub answered: usize,
    /// Operations of unknown outcome.
    pub unknown: usize,
    /// What went wrong.
    pub mishaps: Mishaps,
    /// Slots that got new owners.
    pub moved_slots: u64,
    /// Terms of the ranges, summed up at the end.
    pub terms: u64,
    /// Steps of threads.
    pub steps: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// What is wrong.
    pub findings: Findings,
    /// A hash of the history.
    pub hash: [u8; 32],
    /// The history.
    pub records: Vec<Record>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {} operations answered, {} unknown, {}, {} slots moved, {} terms, {} steps, {} s, {} undecided, \
             history {}",
            self.seed,
            self.answered,
            self.unknown,
            self.mishaps,
            self.moved_slots,
            self.terms,
            self.steps,
            self.simulated.as_secs(),
            self.findings.undecided,
            &hex::encode(self.hash)[..16],
        )
    }
}

/// Runs one seed to its end.
///
/// # Panics
/// Where the cluster does what it must not in a way that no invariant has words for: it does not form, or a node does not
/// start again.
pub fn run(seed: u64, scenario: &Scenario) -> Report {
    // The turn goes from thread to thread all the time.
    platform::prefer_short_slices();
    let stage = Stage::new(seed);
    let directing = stage.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(move || directing.run_ready())
        .build()
        .expect("a runtime without input and output");
    let _director = stage.enter();
    let report = runtime.block_on(live(seed, scenario, &stage));
    drop(runtime);
    report
}

async fn live(seed: u64, scenario: &Scenario, stage: &Stage) -> Report {
    tokio::spawn(stage.keep_time());
    for machine in 0..=NODES + GATEWAYS {
        stage.set_pace(machine as u64 + 1, USUAL_PACE);
    }
    let start = Instant::now();
    let mut cluster = Cluster::form(seed).await;
    while let Err(error) = make_buckets(&cluster.fronts[0].objects, scenario.versioned).await {
        tracing::info!(%error, "no bucket yet");
        tokio::time::sleep(PERIOD).await;
    }
    let shared = Clients {
        history: History::default(),
        values: Values::default(),
        gateways: cluster.gateways.subscribe(),
        keys: scenario.keys,
        buckets: scenario.buckets,
        versioned: scenario.versioned,
        known_versions: Arc::default(),
        listings: Arc::default(),
        copied: Arc::default(),
        once: Arc::default(),
        torn: Arc::default(),
    };
    let (stop, stopped) = watch::channel(false);
    let client = |number: usize| Client::new(number, shared.clone(), seed.wrapping_mul(1_000_003) + number as u64);
    let clients: Vec<_> =
        (0..scenario.clients).map(|number| tokio::spawn(client(number).run(stopped.clone()))).collect();
    let mut nemesis = Nemesis::new(seed.wrapping_add(0x0bad_5eed), stage.clone());
    nemesis.run(&mut cluster, Instant::now() + scenario.trouble).await;
    nemesis.heal(&mut cluster).await;
    stop.send_replace(true);
    for client in clients {
        client.await.expect("a client does not panic");
    }
    let mut evidence = Evidence::default();
    let mut aftermath = Aftermath {
        client: client(scenario.clients),
        keys: (0..scenario.keys).map(|key| Subject::Key(key_name(key))).collect(),
        once: shared.once.lock().clone(),
        versioned: (0..scenario.versioned).map(|number| Subject::Versions(versioned_bucket(number))).collect(),
        versions: shared.known_versions.lock().clone(),
    };
    evidence.unreadable = aftermath.works_again().await;
    evidence.unreadable.append(&mut cluster.lost_nodes);
    // What is broken already need not be looked at for more.
    if evidence.unreadable.is_empty() {
        evidence.undone = aftermath.settles(&cluster).await;
        evidence.unreadable = aftermath.stands_a_loss(&cluster, nemesis.rotten).await;
    }
    cluster.align_voters(HEAL_PATIENCE).await;
    evidence.replicas = cluster.replicas(HEAL_PATIENCE).await;
    let (terms, moved_slots) = (cluster.terms(), cluster.moved_slots());
    let simulated = start.elapsed();
    cluster.end().await;
    evidence.records = shared.history.records();
    evidence.torn = shared.torn.lock().clone();
    evidence.listings = shared.listings.lock().clone();
    let findings = check(&evidence);
    let answered = evidence.records.iter().filter(|record| record.answered.is_some()).count();
    Report {
        seed,
        answered,
        unknown: evidence.records.len() - answered,
        mishaps: nemesis.mishaps,
        moved_slots,
        terms,
        steps: stage.steps(),
        simulated,
        findings,
        hash: shared.history.hash(),
        records: evidence.records,
    }
}
