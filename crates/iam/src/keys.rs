//! What a process knows of access keys: looked up in the index when a request names them, and kept for a second.
//!
//! A key that was removed or disabled, and a policy that was taken away, count at most [`KEPT`] longer. Who looks again
//! tells what is known; while no identity was changed, the index says no more than that.

use std::sync::Arc;
use std::time::Duration;

use authz::{Attached, Policy, PolicyKind, Principal, Source, User};
use hashlink::LruCache;
use index::query::{AccessKeyAnswer, HeldPolicy, KeyHolder};
use index::{IndexError, IndexService, Query, QueryAnswer};
use parking_lot::Mutex;
use platform::Clock;
use tokio::sync::Semaphore;
use types::{AccessKeyId, CommitStamp, Owner, SecretKey};

use crate::built_in;
use crate::known_policies::KnownPolicies;

/// How long it counts what was known of a key when it was asked for.
pub const KEPT: Duration = Duration::from_secs(1);

/// Of so many keys it is remembered.
const KEYS_MAX: usize = 4096;
/// Of so many that are nobody's: they push no key out that is somebody's.
const STRANGERS_MAX: usize = 1024;
/// So many look-ups of keys that are not known go on at once: whoever makes up keys keeps nobody's index busy.
const LOOK_UPS_MAX: usize = 16;
/// No key has a longer id.
const ID_BYTES_MAX: usize = 128;

/// Whom a key stands for, and what they may do.
#[derive(Debug)]
pub struct KeyIdentity {
    id: AccessKeyId,
    secret: SecretKey,
    owner: Owner,
    user: Option<KnownUser>,
    policies: Vec<KnownPolicy>,
    boundary: Option<KnownPolicy>,
    /// Whether every policy could be read: one that could not may deny anything.
    is_whole: bool,
}

#[derive(Debug)]
struct KnownUser {
    path: Box<str>,
    name: Box<str>,
    id: Box<str>,
}

#[derive(Debug)]
struct KnownPolicy {
    held: HeldPolicy,
    policy: Arc<Policy>,
}

impl KeyIdentity {
    /// The public half of the key.
    pub fn id(&self) -> &AccessKeyId {
        &self.id
    }

    /// What requests are signed with.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The account.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// As `authz` knows them.
    pub fn principal(&self) -> Principal<'_> {
        match &self.user {
            None => Principal::Account(&self.owner),
            Some(user) => {
                Principal::User(User { account: &self.owner, path: &user.path, name: &user.name, id: &user.id })
            }
        }
    }

    /// Whether all of their policies could be read; else nothing may be allowed them.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Their policies and those of their groups.
    pub fn policies(&self) -> Vec<Attached<'_>> {
        self.policies.iter().map(KnownPolicy::attached).collect()
    }

    /// Their permissions boundary.
    pub fn boundary(&self) -> Option<Attached<'_>> {
        let boundary = self.boundary.as_ref()?;
        Some(Attached { source: Source::Boundary(&boundary.held.name), policy: &boundary.policy })
    }

    /// `None` for a secret that this release cannot unseal.
    fn of(holder: KeyHolder, known: &KnownPolicies) -> Option<Self> {
        let secret = match holder.key.secret.scheme {
            0 => SecretKey(String::from_utf8(holder.key.secret.bytes).ok()?.into()),
            _ => return None,
        };
        let mut is_whole = true;
        let mut read = |held: HeldPolicy| {
            let policy = KnownPolicy::of(held, known);
            is_whole &= policy.is_some();
            policy
        };
        let (mut user, mut policies, mut boundary) = (None, Vec::new(), None);
        if let Some(found) = holder.user {
            policies = found.policies.into_iter().filter_map(&mut read).collect();
            boundary = found.boundary.and_then(&mut read);
            user = Some(KnownUser { path: found.row.path, name: found.row.name, id: found.row.id });
        }
        Some(Self { id: holder.key.id, secret, owner: holder.owner, user, policies, boundary, is_whole })
    }
}

impl KnownPolicy {
    fn of(mut held: HeldPolicy, known: &KnownPolicies) -> Option<Self> {
        let kind = match (held.managed, &held.group) {
            (true, _) => PolicyKind::Managed,
            (false, Some(_)) => PolicyKind::GroupInline,
            (false, None) => PolicyKind::UserInline,
        };
        let own = held.document.take();
        let document = own.as_deref().or_else(|| built_in::document(&held.name));
        match document.map(|document| known.read(document, kind)) {
            Some(Ok(policy)) => Some(Self { held, policy }),
            Some(Err(error)) => {
                tracing::error!(policy = %held.name, %error, "a stored policy is unreadable");
                None
            }
            None => {
                tracing::error!(policy = %held.name, "an attached policy is not there");
                None
            }
        }
    }

    fn attached(&self) -> Attached<'_> {
        let HeldPolicy { group, name, managed, .. } = &self.held;
        let source = match (group, managed) {
            (None, true) => Source::UserManaged(name),
            (None, false) => Source::UserInline(name),
            (Some(group), true) => Source::GroupManaged { group, arn: name },
            (Some(group), false) => Source::GroupInline { group, name },
        };
        Attached { source, policy: &self.policy }
    }
}

#[derive(Debug, Clone)]
struct Known {
    /// `None`: there is no such key, or it doesn't count.
    identity: Option<Arc<KeyIdentity>>,
    changed: CommitStamp,
    /// On the monotonic clock, before it was asked for.
    asked: Duration,
}

/// What is remembered.
struct Kept {
    keys: LruCache<AccessKeyId, Known>,
    /// Keys that there are not, or that do not count.
    strangers: LruCache<AccessKeyId, Known>,
}

impl Kept {
    fn get(&mut self, id: &AccessKeyId) -> Option<Known> {
        self.keys.get(id).or_else(|| self.strangers.get(id)).cloned()
    }

    fn keep(&mut self, id: AccessKeyId, known: Known) {
        let before = self.keys.peek(&id).or_else(|| self.strangers.peek(&id));
        // Somebody who asked earlier may come later.
        if before.is_some_and(|before| before.asked > known.asked) {
            return;
        }
        let (of, other) = match known.identity {
            Some(_) => (&mut self.keys, &mut self.strangers),
            None => (&mut self.strangers, &mut self.keys),
        };
        other.remove(&id);
        of.insert(id, known);
    }
}

/// The keys that were used last.
pub struct KnownKeys {
    index: Arc<dyn IndexService>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    policies: KnownPolicies,
    look_ups: Semaphore,
}

impl std::fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownKeys").field("keys", &self.kept.lock().keys.len()).finish_non_exhaustive()
    }
}

impl KnownKeys {
    /// Looks keys up in `index`.
    pub fn new(index: Arc<dyn IndexService>, clock: Arc<dyn Clock>) -> Self {
        let kept = Kept { keys: LruCache::new(KEYS_MAX), strangers: LruCache::new(STRANGERS_MAX) };
        let (kept, policies, look_ups) = (Mutex::new(kept), KnownPolicies::default(), Semaphore::new(LOOK_UPS_MAX));
        Self { index, clock, kept, policies, look_ups }
    }

    /// Whom a key stands for, as it was at most [`KEPT`] ago; `None` where there is no such key, or it is inactive.
    ///
    /// # Errors
    /// [`IndexError`]: the index does not answer.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<KeyIdentity>>, IndexError> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Ok(None);
        }
        let id = AccessKeyId(id.into());
        let is_fresh = |known: &Known| self.clock.monotonic().saturating_sub(known.asked) < KEPT;
        let known = self.kept.lock().get(&id);
        match known {
            Some(known) if is_fresh(&known) => return Ok(known.identity),
            Some(known) if known.identity.is_some() => return self.look_up(id, Some(known)).await,
            _ => {}
        }
        let _one_of_few = self.look_ups.acquire().await.expect("it is never closed");
        // Others may have asked for the same key in the meantime.
        let known = self.kept.lock().get(&id);
        match known {
            Some(known) if is_fresh(&known) => Ok(known.identity),
            known => self.look_up(id, known).await,
        }
    }

    async fn look_up(&self, id: AccessKeyId, before: Option<Known>) -> Result<Option<Arc<KeyIdentity>>, IndexError> {
        let asked = self.clock.monotonic();
        let query = Query::AccessKey { id: id.clone(), known: before.as_ref().map(|known| known.changed) };
        let misanswered =
            || IndexError::Damaged { reason: "a query for a key was answered with something else".to_owned() };
        let QueryAnswer::AccessKey { changed, key } = self.index.query(query).await? else { return Err(misanswered()) };
        let identity = match (key, before) {
            (AccessKeyAnswer::AsKnown, Some(before)) => before.identity,
            (AccessKeyAnswer::AsKnown, None) => return Err(misanswered()),
            (AccessKeyAnswer::Unknown, _) => None,
            (AccessKeyAnswer::Known(holder), _) if !holder.key.active => None,
            (AccessKeyAnswer::Known(holder), _) => {
                let identity = KeyIdentity::of(*holder, &self.policies);
                if identity.is_none() {
                    tracing::error!(access_key = %id, "the secret of a key is sealed in a way that this release does not know");
                }
                identity.map(Arc::new)
            }
        };
        self.kept.lock().keep(id, Known { identity: identity.clone(), changed, asked });
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use authz::{Action, EmptyContext, Policies, Request, Resource, decide};
    use index::command::IdentityKind;
    use index::contract::samples::{access_key, account, identity};
    use index::query::KeyUser;
    use index::{Answer, Command};
    use platform::ManualClock;
    use types::{AccountId, Timestamp};

    use super::*;

    /// An index with one key, that counts questions.
    struct OneKey {
        holder: Mutex<Option<KeyHolder>>,
        changed: Mutex<CommitStamp>,
        asked: AtomicUsize,
        told: AtomicUsize,
    }

    #[async_trait]
    impl IndexService for OneKey {
        async fn propose(&self, _command: Command) -> Result<Answer, IndexError> {
            unreachable!("nothing is changed")
        }

        async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
            let Query::AccessKey { id, known } = query else { panic!("a key is asked for, not {query:?}") };
            self.asked.fetch_add(1, Ordering::Relaxed);
            let changed = *self.changed.lock();
            if known == Some(changed) {
                return Ok(QueryAnswer::AccessKey { changed, key: AccessKeyAnswer::AsKnown });
            }
            self.told.fetch_add(1, Ordering::Relaxed);
            let found = self.holder.lock().clone().filter(|holder| holder.key.id == id);
            let key = found.map_or(AccessKeyAnswer::Unknown, |holder| AccessKeyAnswer::Known(Box::new(holder)));
            Ok(QueryAnswer::AccessKey { changed, key })
        }
    }

    fn held(name: &str, managed: bool, document: Option<&str>) -> HeldPolicy {
        HeldPolicy { group: None, name: name.into(), managed, document: document.map(Into::into) }
    }

    fn holder(policies: Vec<HeldPolicy>) -> KeyHolder {
        let user = KeyUser { row: identity(IdentityKind::User, "bob"), policies, boundary: None };
        KeyHolder { key: access_key("KEY", AccountId(7), Some("bob")), owner: account(7).owner, user: Some(user) }
    }

    fn world(holder: KeyHolder) -> (Arc<OneKey>, ManualClock, KnownKeys) {
        let (asked, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let index = OneKey { holder: Mutex::new(Some(holder)), changed: Mutex::new(CommitStamp(1)), asked, told };
        let (index, clock) = (Arc::new(index), ManualClock::new(Timestamp::from_seconds(1_000_000)));
        let keys = KnownKeys::new(index.clone(), Arc::new(clock.clone()));
        (index, clock, keys)
    }

    #[tokio::test]
    async fn what_is_known_of_a_key_counts_for_a_second_and_is_asked_for_once() {
        let (index, clock, keys) = world(holder(Vec::new()));
        let counts = || (index.asked.load(Ordering::Relaxed), index.told.load(Ordering::Relaxed));
        for _ in 0..3 {
            assert!(keys.find("KEY").await.expect("answered").is_some());
            assert!(keys.find("OTHER").await.expect("answered").is_none());
        }
        assert_eq!(counts(), (2, 2), "one question each, also for a key that there is not");
        clock.advance(KEPT);
        assert!(keys.find("KEY").await.expect("answered").is_some());
        assert_eq!(counts(), (3, 2), "nothing was changed, and so nothing is told again");
        *index.holder.lock() = None;
        *index.changed.lock() = CommitStamp(2);
        assert!(keys.find("KEY").await.expect("answered").is_some(), "for a second");
        clock.advance(KEPT);
        assert!(keys.find("KEY").await.expect("answered").is_none(), "and no longer");
        *index.holder.lock() = Some(holder(Vec::new()));
        *index.changed.lock() = CommitStamp(3);
        clock.advance(KEPT);
        assert!(keys.find("KEY").await.expect("answered").is_some(), "nor does it stay away longer");
        assert!(keys.find(&"K".repeat(200)).await.expect("answered").is_none());
        assert_eq!(counts().0, 5, "what can be no key is not asked for");
    }

    #[tokio::test]
    async fn made_up_keys_push_none_out_and_are_asked_for_once_each() {
        let (index, clock, keys) = world(holder(Vec::new()));
        assert!(keys.find("KEY").await.expect("answered").is_some());
        for number in 0..2 * KEYS_MAX {
            assert!(keys.find(&format!("made-up-{number}")).await.expect("answered").is_none());
        }
        // Several at once wait for the same answer.
        let asked = index.asked.load(Ordering::Relaxed);
        let one = || keys.find("another");
        let _held = keys.look_ups.acquire_many(LOOK_UPS_MAX as u32 - 1).await.expect("free");
        let (first, second, third) = tokio::join!(one(), one(), one());
        assert!([first, second, third].iter().all(|found| matches!(found, Ok(None))));
        assert_eq!(index.asked.load(Ordering::Relaxed), asked + 1);
        // The key that is somebody's is still known, and so doesn't wait for them.
        clock.advance(KEPT);
        let _all = keys.look_ups.acquire().await.expect("free");
        assert!(keys.find("KEY").await.expect("answered").is_some());
        assert_eq!(index.told.load(Ordering::Relaxed), 2 * KEYS_MAX + 2, "it was known before");
    }

    #[tokio::test]
    async fn a_secret_that_is_sealed_otherwise_and_an_inactive_key_are_nobodys() {
        for spoil in [|key: &mut KeyHolder| key.key.active = false, |key: &mut KeyHolder| key.key.secret.scheme = 1] {
            let mut spoilt = holder(Vec::new());
            spoil(&mut spoilt);
            let (_index, _clock, keys) = world(spoilt);
            assert!(keys.find("KEY").await.expect("answered").is_none());
        }
    }

    /// A policy that cannot be read may deny anything.
    #[tokio::test]
    async fn policies_are_read_once_and_one_that_cannot_be_is_told() {
        let built_in = held("arn:aws:iam::aws:policy/readonly", true, None);
        let (_index, _clock, keys) = world(holder(vec![built_in.clone()]));
        let found = keys.find("KEY").await.expect("answered").expect("known");
        assert!(found.is_whole());
        let policies = found.policies();
        let allows = |action| {
            let principal = found.principal();
            let request = Request { principal, action, resource: Resource::Service, context: &EmptyContext };
            decide(&request, &Policies { identity: &policies, ..Policies::default() }).allowed
        };
        assert!(allows(Action::ListAllMyBuckets) && !allows(Action::AdminRead));
        for broken in [held("own", false, Some("{")), held("arn:aws:iam::aws:policy/none", true, None)] {
            let (_index, _clock, keys) = world(holder(vec![built_in.clone(), broken]));
            assert!(!keys.find("KEY").await.expect("answered").expect("known").is_whole());
        }
    }
}
