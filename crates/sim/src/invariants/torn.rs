//! No torn read: what a client is given is exactly what one PUT stored.

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    evidence.torn.clone()
}
