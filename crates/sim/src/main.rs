//! `sim --seeds 100`: runs seeds, each in a process of its own, says what was checked, and fails with those that broke an
//! invariant.

mod randomness;

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use platform::{Entropy, SystemEntropy};
use sim::{Report, Scenario, run};

/// Runs the simulated cluster over seeds.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first, the others follow on it; without, each is a fresh one.
    #[arg(long)]
    from: Option<u64>,
    /// One seed alone, in this process, with its history where it breaks an invariant.
    #[arg(long)]
    seed: Option<u64>,
    /// Simulated seconds in which things go wrong.
    #[arg(long, default_value_t = 30)]
    trouble: u64,
    /// Processes at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Log lines of the simulated processes (of one seed): error, warn, info, debug.
    #[arg(long)]
    log: Option<String>,
}

/// What runs have come to, summed up.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    answered: u64,
    unknown: u64,
    mishaps: u64,
    moved_slots: u64,
    undecided: u64,
    violations: u64,
}

/// Begins the line with which a process tells another its totals.
const TOTALS: &str = "totals:";

impl Totals {
    fn of(report: &Report) -> Self {
        Self {
            answered: report.answered as u64,
            unknown: report.unknown as u64,
            mishaps: report.mishaps.total(),
            moved_slots: report.moved_slots,
            undecided: report.findings.undecided as u64,
            violations: report.findings.violations.len() as u64,
        }
    }

    fn to_line(self) -> String {
        let Self { answered, unknown, mishaps, moved_slots, undecided, violations } = self;
        format!("{TOTALS} {answered} {unknown} {mishaps} {moved_slots} {undecided} {violations}")
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut numbers = line.strip_prefix(TOTALS)?.split_whitespace().map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        let (answered, unknown, mishaps) = (next()?, next()?, next()?);
        let (moved_slots, undecided, violations) = (next()?, next()?, next()?);
        Some(Self { answered, unknown, mishaps, moved_slots, undecided, violations })
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.answered += more.answered;
        self.unknown += more.unknown;
        self.mishaps += more.mishaps;
        self.moved_slots += more.moved_slots;
        self.undecided += more.undecided;
        self.violations += more.violations;
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        Some(seed) => one(seed, &args),
        None => many(&args),
    }
}

fn one(seed: u64, args: &Args) -> ExitCode {
    randomness::fix();
    if let Some(filter) = &args.log {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    }
    let report = run(seed, &Scenario { trouble: Duration::from_secs(args.trouble), ..Scenario::default() });
    println!("{report}");
    for violation in &report.findings.violations {
        println!("VIOLATION: {violation}");
    }
    println!("{}", Totals::of(&report).to_line());
    if report.findings.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(args: &Args) -> ExitCode {
    let fresh = SystemEntropy;
    let seed_of = |at: u64| args.from.map_or_else(|| fresh.number() >> 16, |from| from + at);
    let mut left = 0..args.seeds;
    let (mut running, mut failed, mut totals) = (VecDeque::new(), Vec::new(), Totals::default());
    loop {
        while running.len() < args.jobs.max(1)
            && let Some(at) = left.next()
        {
            let seed = seed_of(at);
            running.push_back((seed, start(seed, args.trouble)));
        }
        let Some((seed, process)) = running.pop_front() else { break };
        let output = process.wait_with_output().expect("a child ends");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match Totals::from_line(line) {
                Some(of_seed) => totals += of_seed,
                None => println!("{line}"),
            }
        }
        if !output.status.success() {
            println!("seed {seed} FAILED: {}", output.status);
            failed.push(seed);
        }
    }
    let Totals { answered, unknown, mishaps, moved_slots, undecided, violations } = totals;
    println!(
        "{} seeds: {answered} operations checked, {unknown} more of unknown outcome, {mishaps} faults and changes, \
         {moved_slots} slots moved, {undecided} subjects undecided, {violations} violations",
        args.seeds,
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}; each again: cargo run --profile sim -p sim -- --seed N --trouble {}", args.trouble);
    ExitCode::FAILURE
}

fn start(seed: u64, trouble: u64) -> Child {
    let program = std::env::current_exe().expect("a program knows where it is");
    let mut command = Command::new(program);
    command.args(["--seed", &seed.to_string(), "--trouble", &trouble.to_string()]);
    command.stdout(Stdio::piped()).spawn().expect("a process can be started")
}
