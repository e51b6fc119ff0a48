//! Replicas are equal: those that have applied the same hold the same rows.

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let Some((first, others)) = evidence.replicas.split_first() else {
        return vec!["the voters have not come to the same state though nothing is wrong any more".to_owned()];
    };
    let differs = others.iter().filter(|other| other.rows != first.rows);
    differs.map(|other| format!("nodes {} and {} at {:?}", first.node, other.node, first.applied)).collect()
}
