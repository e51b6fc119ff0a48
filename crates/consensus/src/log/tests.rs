//! The log on disks that lose what was not synced, against a model of what was acknowledged.
//!
//! A script of requests runs until the power goes at some step; the log that is found then must hold all that was
//! acknowledged, and of the requests under way a beginning, nothing else. Then the script goes on from what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use platform::faulty::{Fault, Operation};
use platform::{Disk, FaultyDisk, SystemEntropy};
use types::RangeId;

use super::*;
use crate::encoding::GroupState;
use crate::failure::Failure;
use crate::raft_types::{Entry, Vote, Voter, log_id, term_of};
use crate::testing::{FileRegistry, disk_id, entry, eventually, numbered};

const GROUPS: [RangeId; 2] = [RangeId(0), RangeId(1)];

fn settings(mirrors: usize) -> LogSettings {
    LogSettings {
        mirrors,
        first_segment_bytes: 32 << 10,
        segment_bytes: 64 << 10,
        cache_bytes: 2000,
        free_bytes_min: 1 << 20,
    }
}

fn open(disks: &[FaultyDisk], mirrors: usize) -> Result<SharedLog, LogError> {
    open_as(numbered(disks), mirrors)
}

fn open_as(disks: Disks, mirrors: usize) -> Result<SharedLog, LogError> {
    SharedLog::open(
        disks.clone(),
        Arc::new(FileRegistry(disks)),
        settings(mirrors),
        Arc::new(SystemEntropy),
        Failure::new(),
        None,
    )
}

/// Waits for what was asked.
fn durably(
    ask: impl FnOnce(Box<dyn FnOnce(Result<(), LogError>) + Send>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let (done, durable) = crossbeam_channel::bounded(1);
    ask(Box::new(move |result| drop(done.send(result))))?;
    durable.recv().unwrap_or(Err(LogError::Closed))
}

fn append(log: &SharedLog, group: RangeId, entries: Vec<Entry>) -> Result<(), LogError> {
    durably(|done| log.append(group, entries, done))
}

fn entries_of(log: &SharedLog, group: RangeId) -> Vec<Entry> {
    log.read(group, 0..u64::MAX, u64::MAX).expect("readable")
}

/// What a group's log should hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    state: GroupState,
    entries: Vec<Entry>,
}

impl Model {
    fn next(&self) -> u64 {
        let purged = self.state.purged.map_or(0, |purged| purged.index + 1);
        self.entries.last().map_or(purged, |last| last.log_id.index + 1)
    }

    /// The highest term that anything in it is of.
    fn term(&self) -> u64 {
        let voted = self.state.vote.map_or(0, |vote| vote.leader_id.term);
        let purged = self.state.purged.map_or(0, |purged| term_of(&purged));
        self.entries.iter().map(|entry| term_of(&entry.log_id)).fold(voted.max(purged), u64::max)
    }

    fn of(log: &SharedLog, group: RangeId) -> Self {
        Self { state: log.state(group), entries: entries_of(log, group) }
    }

    /// Whether they are the same but for what is written lazily: purged and committed ids may be older ones.
    fn is_like(&self, found: &Self) -> bool {
        let live = |entry: &&Entry| self.state.purged.is_none_or(|purged| entry.log_id.index > purged.index);
        self.state.vote == found.state.vote
            && found.state.purged <= self.state.purged
            && found.state.committed <= self.state.committed
            && found.entries.iter().filter(live).eq(self.entries.iter())
    }
}

/// One thing that a group asks for.
#[derive(Debug, Clone)]
enum Ask {
    Append(Vec<Entry>),
    Vote(Vote),
    Truncate(u64),
}

impl Ask {
    /// The states that a crash may leave while this is under way, the last one with all of it.
    fn stages(&self, before: &Model) -> Vec<Model> {
        let mut now = before.clone();
        match self {
            Self::Append(entries) => {
                let after = |entry: &Entry| {
                    now.entries.push(entry.clone());
                    now.clone()
                };
                entries.iter().map(after).collect()
            }
            Self::Vote(vote) => {
                now.state.vote = Some(*vote);
                vec![now]
            }
            Self::Truncate(first_removed) => {
                now.entries.retain(|entry| entry.log_id.index < *first_removed);
                vec![now]
            }
        }
    }

    fn start(
        &self,
        log: &SharedLog,
        group: RangeId,
        done: impl FnOnce(Result<(), LogError>) + Send + 'static,
    ) -> Result<(), LogError> {
        match self {
            Self::Append(entries) => log.append(group, entries.clone(), done),
            Self::Vote(vote) => log.save_vote(group, *vote, done),
            Self::Truncate(first_removed) => log.truncate(group, *first_removed, done),
        }
    }
}

/// A small generator of scripts, so that a failing case is named by its numbers.
struct Script(u64);

impl Script {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn ask(&mut self, model: &Model, term: &mut u64) -> Ask {
        match self.below(10) {
            0 => {
                *term += 1;
                Ask::Vote(Vote::new_committed(*term, Voter::from(1)))
            }
            1 if !model.entries.is_empty() => {
                *term += 1;
                Ask::Truncate(model.next() - self.below(model.entries.len() as u64).min(3))
            }
            _ => {
                let count = 1 + self.below(4);
                let next = model.next();
                Ask::Append((next..next + count).map(|index| entry(*term, index, self.below(3000) as usize)).collect())
            }
        }
    }
}

/// Runs a script until something fails; returns, for each group, the states that may be found then.
fn run(
    log: &SharedLog,
    found: &BTreeMap<RangeId, Model>,
    script: &mut Script,
    rounds: usize,
) -> BTreeMap<RangeId, Vec<Model>> {
    let mut acknowledged = found.clone();
    let mut term = 1 + found.values().map(Model::term).max().unwrap_or(0);
    for round in 0..rounds {
        // Several requests at once, of both groups, so that batches have several records.
        let (done, durable) = crossbeam_channel::unbounded();
        let mut possible: BTreeMap<RangeId, Vec<Model>> =
            acknowledged.iter().map(|(group, model)| (*group, vec![model.clone()])).collect();
        let mut asked = 0;
        for _ in 0..1 + script.below(5) {
            let group = GROUPS[script.below(2) as usize];
            let stages = possible.get_mut(&group).expect("both groups");
            let ask = script.ask(stages.last().expect("never empty"), &mut term);
            let more = ask.stages(stages.last().expect("never empty"));
            stages.extend(more);
            let done = done.clone();
            // What is refused at once counts as asked, so that the answers are too few.
            asked += 1;
            if ask.start(log, group, move |result| drop(done.send(result))).is_err() {
                break;
            }
        }
        drop(done);
        let answers: Vec<_> = durable.iter().collect();
        if answers.len() < asked || answers.iter().any(Result::is_err) {
            return possible;
        }
        acknowledged =
            possible.into_iter().map(|(group, stages)| (group, stages.last().expect("never empty").clone())).collect();
        if round % 5 == 4 {
            purge_half(log, &mut acknowledged);
        }
    }
    acknowledged.into_iter().map(|(group, model)| (group, vec![model])).collect()
}

fn purge_half(log: &SharedLog, models: &mut BTreeMap<RangeId, Model>) {
    for (group, model) in models {
        let Some(middle) = model.entries.get(model.entries.len() / 2).map(|entry| entry.log_id) else { continue };
        if log.purge(*group, middle).is_err() {
            return;
        }
        log.set_committed(*group, Some(middle));
        model.state.purged = Some(middle);
        model.state.committed = Some(middle);
        model.entries.retain(|entry| entry.log_id.index > middle.index);
    }
}

fn check(log: &SharedLog, possible: &BTreeMap<RangeId, Vec<Model>>, case: &str) -> BTreeMap<RangeId, Model> {
    let check = |group: &RangeId| {
        let found = Model::of(log, *group);
        let is_possible = possible[group].iter().any(|model| model.is_like(&found));
        assert!(is_possible, "{case}, group {group}: found {found:#?}, possible {:#?}", possible[group]);
        (*group, found)
    };
    GROUPS.iter().map(check).collect()
}

/// Power goes on every disk at about the same step, at each step of the script in turn; then once more.
fn power_loss_at_every_step(mirrors: usize, steps: std::ops::Range<u64>) {
    for step in steps {
        let mut script = Script(step * 31 + mirrors as u64);
        let mut disks: Vec<FaultyDisk> = (0..mirrors as u64).map(|disk| FaultyDisk::new(step * 7 + disk)).collect();
        let mut possible: BTreeMap<RangeId, Vec<Model>> = GROUPS.map(|group| (group, vec![Model::default()])).into();
        for life in 0..3 {
            let case = format!("{mirrors} mirrors, step {step}, life {life}");
            if life < 2 {
                for disk in &disks {
                    disk.power_off_at(step + script.below(3) * script.below(2));
                }
            }
            match open(&disks, mirrors) {
                Ok(log) => {
                    let found = check(&log, &possible, &case);
                    possible = run(&log, &found, &mut script, if life < 2 { 500 } else { 12 });
                }
                Err(error) => assert!(life < 2, "{case}: {error}"),
            }
            disks = disks.iter().map(FaultyDisk::crash).collect();
        }
    }
}

#[test]
fn acknowledged_records_survive_power_loss_at_any_step_on_one_mirror() {
    power_loss_at_every_step(1, 1..160);
}

#[test]
fn acknowledged_records_survive_power_loss_at_any_step_on_two_mirrors() {
    power_loss_at_every_step(2, 1..100);
}

#[test]
fn acknowledged_records_survive_power_loss_at_any_step_on_three_mirrors() {
    power_loss_at_every_step(3, 1..80);
}

#[test]
fn a_log_that_is_closed_is_found_as_it_was() {
    let disks = [FaultyDisk::new(1)];
    let log = open(&disks, 1).expect("opened");
    append(&log, GROUPS[1], vec![entry(1, 0, 10), entry(1, 1, 5000)]).expect("appended");
    log.set_committed(GROUPS[1], Some(log_id(1, 1)));
    let before = GROUPS.map(|group| Model::of(&log, group));
    let voter = log.voter();
    log.close();
    assert!(matches!(append(&log, GROUPS[1], vec![entry(1, 2, 1)]), Err(LogError::Closed)));
    let log = open(&[disks[0].crash()], 1).expect("opened again");
    assert_eq!(GROUPS.map(|group| Model::of(&log, group)), before, "what was noted lazily too");
    assert_eq!(log.voter(), voter);
}

#[test]
fn entries_are_read_from_disk_once_they_left_the_cache() {
    let disks = [FaultyDisk::new(1), FaultyDisk::new(2)];
    let log = open(&disks, 2).expect("opened");
    let all: Vec<Entry> = (0..300).map(|index| entry(1, index, 700)).collect();
    for chunk in all.chunks(7) {
        append(&log, GROUPS[1], chunk.to_vec()).expect("appended");
    }
    assert_eq!(entries_of(&log, GROUPS[1]), all);
    let some = log.read(GROUPS[1], 10..200, 3000).expect("readable");
    assert_eq!(some, all[10..10 + some.len()]);
    assert!((1..8).contains(&some.len()), "{} entries of 700 bytes for 3000", some.len());
}

#[test]
fn segments_below_what_is_purged_are_removed_or_used_again() {
    let disks = [FaultyDisk::new(1)];
    let log = open(&disks, 1).expect("opened");
    let mut next = 0;
    let mut grow = |log: &SharedLog, entries: u64| {
        for index in next..next + entries {
            append(log, GROUPS[1], vec![entry(1, index, 3000)]).expect("appended");
        }
        next += entries;
        next
    };
    let last = grow(&log, 200);
    assert!(log.status().bytes > 500_000);
    log.purge(GROUPS[1], log_id(1, last - 5)).expect("noted");
    eventually("old segments go", || log.status().bytes < 200_000);
    let last = grow(&log, 20);
    log.close();
    drop(log);
    let log = open(&[disks[0].crash()], 1).expect("opened");
    assert_eq!(log.state(GROUPS[1]).purged, Some(log_id(1, 195)));
    assert_eq!(log.last_log_id(GROUPS[1]), Some(log_id(1, last - 1)));
    assert_eq!(entries_of(&log, GROUPS[1]).len(), 24);
}

#[test]
fn a_mirror_that_fails_is_struck_and_another_is_built_while_appends_go_on() {
    let disks: Vec<FaultyDisk> = (0..4).map(FaultyDisk::new).collect();
    let log = open(&disks, 2).expect("opened");
    assert_eq!(log.mirrors(), [disk_id(0), disk_id(1)]);
    let mut all = Vec::new();
    let mut append_some = |log: &SharedLog| {
        for _ in 0..60 {
            let next = entry(1, all.len() as u64, 900);
            all.push(next.clone());
            append(log, GROUPS[1], vec![next]).expect("appended");
        }
        all.clone()
    };
    append_some(&log);
    disks[0].fail_after(0);
    append_some(&log);
    assert!(!log.mirrors().contains(&disk_id(0)));
    eventually("two mirrors stand again", || log.mirrors().len() == 2);
    append_some(&log);
    disks[1].delete_directory();
    append_some(&log);
    eventually("two mirrors stand again", || log.mirrors().len() == 2);
    let all = append_some(&log);
    assert_eq!(
        BTreeSet::from_iter(log.mirrors()),
        BTreeSet::from([disk_id(2), disk_id(3)]),
        "on the disks that are left"
    );

    // The ones that were struck come back, and one of the mirrors is lost: nothing of the old ones is read.
    drop(log);
    disks[0].heal();
    disks[1].restore_directory();
    let found: Vec<FaultyDisk> = disks.iter().map(FaultyDisk::crash).collect();
    found[2].delete_directory();
    let log = open(&found, 2).expect("opened");
    assert_eq!(entries_of(&log, GROUPS[1]), all);
}

#[test]
fn a_stale_mirror_is_never_read() {
    let disks: Vec<FaultyDisk> = (0..2).map(FaultyDisk::new).collect();
    let log = open(&disks, 2).expect("opened");
    append(&log, GROUPS[1], vec![entry(1, 0, 10)]).expect("appended");
    disks[0].fail_after(0);
    append(&log, GROUPS[1], vec![entry(1, 1, 10)]).expect("appended on the other");
    drop(log);
    disks[0].heal();

    // With the good one unreadable, the stale one alone could only give back a part: refused.
    let found: Vec<FaultyDisk> = disks.iter().map(FaultyDisk::crash).collect();
    found[1].inject(Fault::once(Operation::List));
    let refused = open(&found, 2).expect_err("the whole log is not here");
    assert!(matches!(&refused, LogError::NoMirror { disks, .. } if disks == &[disk_id(1)]), "{refused}");

    let log = open(&found, 2).expect("opened");
    assert_eq!(entries_of(&log, GROUPS[1]), [entry(1, 0, 10), entry(1, 1, 10)]);
    eventually("the stale one is built anew", || log.mirrors().len() == 2);
    drop(log);
    let found = [found[0].crash(), found[1].crash()];
    found[1].delete_directory();
    let log = open(&found, 2).expect("opened");
    assert_eq!(entries_of(&log, GROUPS[1]), [entry(1, 0, 10), entry(1, 1, 10)]);
}

#[test]
fn disks_that_are_no_mirrors_know_which_are() {
    let disks: Vec<FaultyDisk> = (0..3).map(FaultyDisk::new).collect();
    let log = open(&disks, 1).expect("opened");
    append(&log, GROUPS[1], vec![entry(1, 0, 10)]).expect("appended");
    let knows = |number: usize| FileRegistry(numbered(&disks)).read().expect("read")[number].1.is_some();
    eventually("the others are told", || knows(1) && knows(2));
    drop(log);
    let found: Vec<FaultyDisk> = disks.iter().map(FaultyDisk::crash).collect();
    let refused = open_as(numbered(&found).split_off(1), 1).expect_err("the mirror is not here");
    assert!(matches!(&refused, LogError::NoMirror { disks, .. } if disks == &[disk_id(0)]), "{refused}");
}

#[test]
fn without_any_mirror_everything_fails_loudly() {
    let disks: Vec<FaultyDisk> = (0..2).map(FaultyDisk::new).collect();
    let log = open(&disks, 2).expect("opened");
    append(&log, GROUPS[1], vec![entry(1, 0, 10)]).expect("appended");
    disks[0].fail_after(0);
    disks[1].fail_after(0);
    assert!(matches!(append(&log, GROUPS[1], vec![entry(1, 1, 10)]), Err(LogError::Failed { .. })));
    assert!(append(&log, GROUPS[1], vec![entry(1, 2, 10)]).is_err());
    assert!(durably(|done| log.save_vote(GROUPS[0], Vote::new(9, Voter::from(1)), done)).is_err());
    assert!(log.status().failed.is_some());
}

#[test]
fn a_failed_sync_strikes_the_mirror_before_the_answer() {
    let disks: Vec<FaultyDisk> = (0..2).map(FaultyDisk::new).collect();
    let log = open(&disks, 2).expect("opened");
    append(&log, GROUPS[1], vec![entry(1, 0, 10)]).expect("appended");
    let before = log.status().generation;
    // On the segment alone: the keeper syncs what it prepares, at its own time.
    let path = super::mirror::voter_directory(log.voter()).join("log").join(super::mirror::segment_name(1));
    disks[1].inject(Fault::once(Operation::Sync).on(path));
    append(&log, GROUPS[1], vec![entry(1, 1, 10)]).expect("appended on the other");
    let registered = FileRegistry(numbered(&disks[..1])).read().expect("read");
    let set = registered[0].1.clone().expect("a set");
    assert!(set.generation > before);
    // It is built anew on the same disk only later, by a generation of its own.
    assert!(set.disks == [disk_id(0)] || set.generation > before + 1, "{set:?}");
}

#[test]
fn a_wrong_record_is_read_from_another_mirror_and_its_own_is_struck() {
    let disks: Vec<FaultyDisk> = (0..2).map(FaultyDisk::new).collect();
    let log = open(&disks, 2).expect("opened");
    let all: Vec<Entry> = (0..40).map(|index| entry(1, index, 900)).collect();
    for one in &all {
        append(&log, GROUPS[1], vec![one.clone()]).expect("appended");
    }
    let path = super::mirror::voter_directory(log.voter()).join("log").join(super::mirror::segment_name(1));
    disks[0].flip_bit(&path, 4096 + 200).expect("flipped");
    assert_eq!(entries_of(&log, GROUPS[1]), all);
    eventually("the bad one is struck", || !log.mirrors().contains(&disk_id(0)) || log.status().generation > 2);
}

#[test]
fn a_damaged_mirror_is_left_out_and_two_damaged_ones_are_an_error() {
    let disks: Vec<FaultyDisk> = (0..2).map(FaultyDisk::new).collect();
    let log = open(&disks, 2).expect("opened");
    let all: Vec<Entry> = (0..5).map(|index| entry(1, index, 900)).collect();
    for one in &all {
        append(&log, GROUPS[1], vec![one.clone()]).expect("appended");
    }
    let path = super::mirror::voter_directory(log.voter()).join("log").join(super::mirror::segment_name(1));
    drop(log);
    let found: Vec<FaultyDisk> = disks.iter().map(FaultyDisk::crash).collect();
    found[0].flip_bit(&path, 2 * 4096 + 300).expect("flipped");
    let log = open(&found, 2).expect("opened from the other");
    assert_eq!(entries_of(&log, GROUPS[1]), all);
    drop(log);
    let found: Vec<FaultyDisk> = disks.iter().map(FaultyDisk::crash).collect();
    for disk in &found {
        disk.flip_bit(&path, 2 * 4096 + 300).expect("flipped");
    }
    let refused = open(&found, 2).expect_err("both are damaged");
    assert!(refused.to_string().contains("had been synced"), "{refused}");
}

#[test]
fn a_full_disk_hands_its_mirror_to_one_with_space() {
    let disks: Vec<FaultyDisk> = (0..2).map(FaultyDisk::new).collect();
    let log = open(&disks, 1).expect("opened");
    append(&log, GROUPS[1], vec![entry(1, 0, 10)]).expect("appended");
    disks[0].set_capacity(0);
    let mut index = 1;
    eventually("the mirror moves", || {
        append(&log, GROUPS[1], vec![entry(1, index, 3000)]).expect("the reserve takes it");
        index += 1;
        log.mirrors() == [disk_id(1)]
    });
    assert_eq!(entries_of(&log, GROUPS[1]).len() as u64, index);
    eventually("space is not short any more", || !log.low_space());
}

#[test]
fn when_all_disks_are_full_appends_wait_for_space_and_lose_nothing() {
    let disks = [FaultyDisk::new(1)];
    let log = open(&disks, 1).expect("opened");
    eventually("the reserve is prepared", || {
        disks[0].list(&super::mirror::voter_directory(log.voter()).join("log")).expect("listed").len() > 1
    });
    disks[0].set_capacity(0);
    let (done, durable) = crossbeam_channel::unbounded();
    let all: Vec<Entry> = (0..60).map(|index| entry(1, index, 3000)).collect();
    for one in &all {
        let done = done.clone();
        log.append(GROUPS[1], vec![one.clone()], move |result| drop(done.send(result))).expect("queued");
    }
    eventually("it is told that space is short", || log.low_space());
    disks[0].set_capacity(1 << 30);
    for _ in &all {
        durable.recv().expect("answered").expect("appended in the end");
    }
    assert_eq!(entries_of(&log, GROUPS[1]), all);
    eventually("space is back", || !log.low_space());
}

/// What is handed on only once it is in this node's own log waits for just that: for its own record, not for one before.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_written_only_once_its_record_is_durable() {
    let disks = [FaultyDisk::new(1)];
    let log = open(&disks, 1).expect("opened");
    eventually("the reserve is prepared", || {
        disks[0].list(&super::mirror::voter_directory(log.voter()).join("log")).expect("listed").len() > 1
    });
    append(&log, GROUPS[1], vec![entry(1, 0, 10)]).expect("appended");
    log.written(GROUPS[1], 0).await.expect("it is");
    disks[0].set_capacity(0);
    let (done, durable) = crossbeam_channel::unbounded();
    for index in 1..60 {
        let done = done.clone();
        log.append(GROUPS[1], vec![entry(1, index, 3000)], move |result| drop(done.send(result))).expect("queued");
    }
    eventually("it is told that space is short", || log.low_space());
    let last = log.written(GROUPS[1], 59);
    let mut last = std::pin::pin!(last);
    assert!(futures::poll!(&mut last).is_pending(), "there is no room for it");
    disks[0].set_capacity(1 << 30);
    last.await.expect("written in the end");
    for _ in 1..60 {
        durable.recv().expect("answered").expect("appended");
    }
    assert!(log.written(GROUPS[1], 0).await.is_ok());
    let never = log.written(GROUPS[1], 60);
    let mut never = std::pin::pin!(never);
    assert!(futures::poll!(&mut never).is_pending());
    log.close();
    assert!(matches!(never.await, Err(LogError::Closed)));
}
