//! Accounts, a bucket and shorthands that the tests share.

use std::collections::BTreeMap;

use authz::{
    Acl, Action, Attached, BucketFacts, Decision, Key, Policies, Policy, PolicyKind, Principal, Request,
    RequestContext, Resource, RoleSession, Source, User, Value, Values, decide,
};
use types::{AccountId, BucketName, CanonicalId, ObjectKey, Owner};

/// The account that has the bucket.
pub(crate) const HOLDER: u64 = 111_111_111_111;
/// Another one.
pub(crate) const STRANGER: u64 = 222_222_222_222;

/// The root of the account with this number.
pub(crate) fn owner(account: u64) -> Owner {
    Owner {
        account: AccountId(account),
        canonical_id: CanonicalId(format!("{account:064}").into()),
        display_name: format!("account-{account}").into(),
    }
}

pub(crate) fn bucket_name() -> BucketName {
    BucketName::new("examplebucket").expect("a name")
}

/// The user `bob` of an account.
pub(crate) fn bob(account: &Owner) -> Principal<'_> {
    Principal::User(User { account, path: "/", name: "bob", id: "AIDABOB" })
}

/// Somebody who has taken on the role `reader` of an account.
pub(crate) fn reader(account: &Owner) -> Principal<'_> {
    Principal::Session(RoleSession {
        account,
        role_path: "/",
        role_name: "reader",
        role_id: "AROAREADER",
        session_name: "job",
    })
}

/// What a request has, by the names of keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts(BTreeMap<String, Values<'static>>);

impl Facts {
    pub(crate) fn of(facts: &[(&str, &'static str)]) -> Self {
        facts.iter().fold(Self::default(), |all, (key, value)| all.with(key, (*value).into()))
    }

    pub(crate) fn with(mut self, key: &str, values: Values<'static>) -> Self {
        self.0.insert(key.to_ascii_lowercase(), values);
        self
    }

    pub(crate) fn with_value(self, key: &str, value: Value<'static>) -> Self {
        self.with(key, Values::One(value))
    }
}

impl RequestContext for Facts {
    fn values(&self, key: Key<'_>) -> Values<'_> {
        self.0.get(&key.to_string().to_ascii_lowercase()).cloned().unwrap_or(Values::Absent)
    }
}

/// A bucket policy of these statements, each with the braces left out.
pub(crate) fn bucket_policy(statements: &[&str]) -> Policy {
    let text = document(statements);
    Policy::bucket(text.as_bytes(), &bucket_name()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An identity's policy of these statements.
pub(crate) fn identity_policy(statements: &[&str]) -> Policy {
    policy_of(PolicyKind::UserInline, statements)
}

pub(crate) fn policy_of(kind: PolicyKind, statements: &[&str]) -> Policy {
    let text = document(statements);
    Policy::identity(text.as_bytes(), kind).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The document of these statements.
pub(crate) fn document(statements: &[&str]) -> String {
    let statements: Vec<String> = statements.iter().map(|statement| format!("{{{statement}}}")).collect();
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "))
}

pub(crate) fn inline(policy: &Policy) -> Attached<'_> {
    Attached { source: Source::UserInline("inline"), policy }
}

/// What is asked of the bucket, or of a key in it.
pub(crate) struct Question<'a> {
    pub(crate) principal: Principal<'a>,
    pub(crate) action: Action,
    pub(crate) key: Option<&'a str>,
    pub(crate) facts: Facts,
}

impl<'a> Question<'a> {
    pub(crate) fn of_bucket(principal: Principal<'a>, action: Action) -> Self {
        Self { principal, action, key: None, facts: Facts::default() }
    }

    pub(crate) fn of_key(principal: Principal<'a>, action: Action, key: &'a str) -> Self {
        Self { principal, action, key: Some(key), facts: Facts::default() }
    }

    pub(crate) fn with(self, facts: Facts) -> Self {
        Self { facts, ..self }
    }

    /// Asks, and hands the decision over.
    pub(crate) fn ask<T>(&self, policies: &Policies<'_>, then: impl FnOnce(&Request<'_>, &Decision<'_>) -> T) -> T {
        let bucket = bucket_name();
        let key = self.key.map(|key| ObjectKey::new(key.to_owned()).expect("a key"));
        let resource = match &key {
            Some(key) => Resource::Object { bucket: &bucket, key },
            None => Resource::Bucket(&bucket),
        };
        let request = Request { principal: self.principal, action: self.action, resource, context: &self.facts };
        let decision = decide(&request, policies);
        then(&request, &decision)
    }

    pub(crate) fn allowed(&self, policies: &Policies<'_>) -> bool {
        self.ask(policies, |_, decision| decision.allowed)
    }

    /// The decision as it is shown.
    pub(crate) fn shown(&self, policies: &Policies<'_>) -> String {
        self.ask(policies, |_, decision| decision.to_string())
    }
}

/// The bucket with this policy.
pub(crate) fn with_policy<'a>(owner: &'a Owner, policy: &'a Policy) -> Policies<'a> {
    Policies { bucket: Some(BucketFacts { policy: Some(policy), ..BucketFacts::of(owner) }), ..Policies::default() }
}

/// The bucket with this ACL, where ACLs count.
pub(crate) fn with_acl<'a>(owner: &'a Owner, acl: &'a Acl) -> Policies<'a> {
    let ownership = authz::ObjectOwnership::ObjectWriter;
    let bucket = BucketFacts { acl: Some(acl), ownership, ..BucketFacts::of(owner) };
    Policies { bucket: Some(bucket), ..Policies::default() }
}
