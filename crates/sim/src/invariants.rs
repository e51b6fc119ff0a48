//! What must hold of every run, each in a file of its own: a check gets the whole history and what was found after the
//! heal, and says what is wrong.

mod applied_once;
mod linearizable;
mod list_agrees;
mod replicas_equal;
mod settles;
mod shards_live;
mod torn;
mod winners;

use std::collections::BTreeMap;

use crate::history::{Listing, ListingId, Record, Subject};

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The history, in order of beginnings.
    pub records: Vec<Record>,
    /// What the listings of versions showed.
    pub listings: BTreeMap<ListingId, Listing>,
    /// What clients were answered that is of no PUT.
    pub torn: Vec<String>,
    /// What each voter holds after the heal, once all have applied the same.
    pub replicas: Vec<Replica>,
    /// What is left to be done in the background, though there was time.
    pub undone: Vec<String>,
    /// Objects that the index names and that could not be read after the heal, and why.
    pub unreadable: Vec<String>,
}

/// The index as one voter holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The node.
    pub node: usize,
    /// For each range, the index after the last entry that is applied.
    pub applied: Vec<u64>,
    /// A hash of all rows.
    pub rows: [u8; 32],
}

impl Evidence {
    /// The records of each subject.
    pub(crate) fn by_subject(&self) -> Vec<(Subject, Vec<Record>)> {
        let mut subjects: Vec<Subject> = self.records.iter().map(|record| record.subject.clone()).collect();
        subjects.sort();
        subjects.dedup();
        let of = |subject: &Subject| self.records.iter().filter(|record| record.subject == *subject).cloned().collect();
        subjects.into_iter().map(|subject| (subject.clone(), of(&subject))).collect()
    }
}

/// What is wrong, and how many subjects are undecided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Each begins with the invariant's name.
    pub violations: Vec<String>,
    /// Subjects whose history has too many possible orders.
    pub undecided: usize,
}

/// What is wrong, of one invariant.
type Check = fn(&Evidence) -> Vec<String>;

/// Checks all invariants.
pub fn check(evidence: &Evidence) -> Findings {
    let mut findings = Findings::default();
    let checks: [(&str, Check); 7] = [
        ("torn read", torn::check),
        ("list disagrees with reads", list_agrees::check),
        ("two winners of a precondition", winners::check),
        ("lost shard", shards_live::check),
        ("applied twice", applied_once::check),
        ("replicas differ", replicas_equal::check),
        ("left undone", settles::check),
    ];
    for (name, check) in checks {
        findings.violations.extend(check(evidence).into_iter().map(|what| format!("{name}: {what}")));
    }
    linearizable::check(evidence, &mut findings);
    findings
}
