//! Policies as they were read: each text once, however many keys have it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};

use authz::{Policy, PolicyError, PolicyKind};
use parking_lot::Mutex;

/// From so many on, those that nobody has any more are looked for.
const SWEPT_FROM: usize = 64;

/// The policies that keys have which are remembered.
#[derive(Debug, Default)]
pub(crate) struct KnownPolicies {
    hasher: RandomState,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    /// By the hash of kind and text.
    policies: HashMap<u64, Weak<Policy>>,
    sweep_at: usize,
}

impl KnownPolicies {
    /// The policy of this text.
    ///
    /// # Errors
    /// Those of [`Policy::identity`].
    pub(crate) fn read(&self, text: &str, kind: PolicyKind) -> Result<Arc<Policy>, PolicyError> {
        let hash = self.hasher.hash_one((kind, text));
        let known = self.read.lock().policies.get(&hash).and_then(Weak::upgrade);
        // Two texts may have one hash.
        if let Some(known) = known.filter(|known| known.kind() == kind && known.text() == text) {
            return Ok(known);
        }
        let policy = Arc::new(Policy::identity(text.as_bytes(), kind)?);
        let mut read = self.read.lock();
        if read.policies.len() >= read.sweep_at {
            read.policies.retain(|_, policy| policy.strong_count() > 0);
            read.sweep_at = SWEPT_FROM.max(2 * read.policies.len());
        }
        read.policies.insert(hash, Arc::downgrade(&policy));
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/{number}"}}}}"#
        )
    }

    #[test]
    fn a_text_is_read_once_and_forgotten_with_its_last_holder() {
        let known = KnownPolicies::default();
        let read = |number, kind| known.read(&text(number), kind).expect("a policy");
        let one = read(1, PolicyKind::Managed);
        assert!(Arc::ptr_eq(&one, &read(1, PolicyKind::Managed)));
        assert!(!Arc::ptr_eq(&one, &read(1, PolicyKind::UserInline)), "each kind has its rules");
        for number in 2..1000 {
            read(number, PolicyKind::Managed);
        }
        assert!(known.read.lock().policies.len() <= SWEPT_FROM + 1);
        assert!(Arc::ptr_eq(&one, &read(1, PolicyKind::Managed)), "what somebody has is kept");
        assert!(known.read("{", PolicyKind::Managed).is_err());
    }
}
