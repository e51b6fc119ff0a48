//! `sim --seeds 100 --from 1`: runs seeds, each in a process of its own, and fails with those that broke an invariant.

use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use sim::{Scenario, run};

/// Runs the simulated cluster over a range of seeds.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One seed alone, in this process, with its history where it breaks an invariant.
    #[arg(long)]
    seed: Option<u64>,
    /// Simulated seconds in which things go wrong.
    #[arg(long, default_value_t = 30)]
    trouble: u64,
    /// Processes at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Log lines of the simulated processes (of one seed): error, warn, info, debug.
    #[arg(long)]
    log: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        Some(seed) => one(seed, &args),
        None => many(&args),
    }
}

fn one(seed: u64, args: &Args) -> ExitCode {
    if let Some(filter) = &args.log {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    }
    let report = run(seed, &Scenario { trouble: Duration::from_secs(args.trouble), ..Scenario::default() });
    println!("{report}");
    for violation in &report.findings.violations {
        println!("VIOLATION: {violation}");
    }
    if report.findings.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(args: &Args) -> ExitCode {
    let program = std::env::current_exe().expect("a program knows where it is");
    let (end, mut failed) = (args.from + args.seeds, Vec::new());
    let mut next = args.from;
    while next < end {
        let seeds: Vec<u64> = (next..end.min(next + args.jobs.max(1))).collect();
        next += seeds.len() as u64;
        let start = |seed: &u64| {
            let mut command = Command::new(&program);
            command.args(["--seed", &seed.to_string(), "--trouble", &args.trouble.to_string()]);
            (*seed, command.stdout(std::process::Stdio::piped()).spawn().expect("a process can be started"))
        };
        let started: Vec<_> = seeds.iter().map(start).collect();
        for (seed, process) in started {
            let output = process.wait_with_output().expect("a child ends");
            print!("{}", String::from_utf8_lossy(&output.stdout));
            if !output.status.success() {
                failed.push(seed);
            }
        }
    }
    if failed.is_empty() {
        println!("{} seeds hold", args.seeds);
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}; each again: cargo run --release -p sim -- --seed N --trouble {}", args.trouble);
    ExitCode::FAILURE
}
