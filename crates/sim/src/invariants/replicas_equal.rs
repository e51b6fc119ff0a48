//! Replicas are equal: once all have applied the same, they hold the same rows.

use std::collections::BTreeMap;

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut first = BTreeMap::new();
    let mut wrong = Vec::new();
    for replica in &evidence.replicas {
        let known = first.entry(replica.range).or_insert(replica);
        if known.rows != replica.rows {
            wrong.push(format!("range {} on nodes {} and {}", replica.range, known.node, replica.node));
        }
    }
    wrong
}
