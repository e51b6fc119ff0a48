//! Histories of the simulated cluster hold all invariants: those of seeds that once failed, of fresh ones, and of some
//! that are the same in every run; and a seed gives one history.
//!
//! Each seed has a process of its own, for only so does it give one history.

use std::process::Command;

use platform::{Entropy, SystemEntropy};

/// Runs a seed and fails with what it breaks, and with how to see it again; what was said of it.
fn holds(seed: u64, trouble_seconds: u64) -> String {
    let mut simulation = Command::new(env!("CARGO_BIN_EXE_sim"));
    simulation.args(["--seed", &seed.to_string(), "--trouble", &trouble_seconds.to_string()]);
    let output = simulation.output().expect("the simulator starts");
    let said = String::from_utf8(output.stdout).expect("text");
    println!("{said}");
    let violations = said.replace("VIOLATION: ", "");
    let panicked = String::from_utf8_lossy(&output.stderr);
    let again = format!("again: cargo run --profile sim -p sim -- --seed {seed} --trouble {trouble_seconds}");
    assert!(output.status.success(), "{again}\n{violations}\n{panicked}");
    said
}

#[test]
fn seeds_that_once_failed_hold() {
    for line in include_str!("../seeds/kept").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a seed and seconds");
        holds(number(), number());
    }
}

#[test]
fn fresh_seeds_hold() {
    for _ in 0..3 {
        let seed = SystemEntropy.number() >> 16;
        println!("fresh seed {seed}");
        holds(seed, 12);
    }
}

/// The scenarios that `tests/net` runs on a build without one of the rules.
#[test]
fn the_seeds_of_the_net_hold() {
    for seed in 1..=SEEDS_OF_THE_NET {
        holds(seed, 12);
    }
}

/// As many as it takes until each of the rules is missed.
const SEEDS_OF_THE_NET: u64 = if cfg!(feature = "leave-out-by-name") { 8 } else { 3 };

#[test]
fn a_seed_gives_one_history() {
    // The report ends with a hash of the history.
    let [first, second] = [holds(77, 10), holds(77, 10)];
    assert_eq!(first, second);
    let answered = first.split(' ').nth(2).and_then(|number| number.parse::<u64>().ok());
    assert!(answered > Some(100), "{first}");
    assert_ne!(holds(78, 10), first);
}
