//! No acknowledged write is lost, no read is stale: each subject's history is linearizable.

use super::{Evidence, Findings};
use crate::linearizability::{CONFIGURATIONS_MAX, Verdict, check as search};

/// Records that a violation shows.
const RECORDS_SHOWN: usize = 12;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    for (subject, records) in evidence.by_subject() {
        match search(&records, &subject, CONFIGURATIONS_MAX) {
            Verdict::Linearizable => {}
            Verdict::Undecided => findings.undecided += 1,
            Verdict::Violation(explained) => {
                let left: Vec<String> = (0..records.len())
                    .filter(|at| !explained.contains(at) && records[*at].answered.is_some())
                    .take(RECORDS_SHOWN)
                    .map(|at| format!("{:?}", records[at]))
                    .collect();
                let last: Vec<String> =
                    explained.iter().rev().take(4).map(|at| format!("{:?}", records[*at])).collect();
                findings.violations.push(format!(
                    "an acknowledged write was lost or a read is stale: {subject:?}: no order explains all answers; after {} operations, last {last:#?}, none of these can follow: {left:#?}",
                    explained.len(),
                ));
            }
        }
    }
}
