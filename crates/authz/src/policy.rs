//! Policies in AWS's JSON language (IAM User Guide, "IAM JSON policy reference"): read, checked and compiled.
//!
//! The text is kept as it came, since that is what is given back; what is compiled from it is for deciding alone.
//! Nothing here looks at who there is: that a principal exists is the caller's to check ([`Policy::principals`]).

mod actions;
mod error;
mod json;
mod kind;
mod principals;
mod public;
mod raw;
mod resources;
mod statement;

pub use error::PolicyError;
pub use kind::PolicyKind;
pub use principals::PrincipalPattern;
pub(crate) use principals::Reach;
pub(crate) use statement::{Mismatch, Statement};

use types::BucketName;

use crate::action::Action;
use crate::context::KeyName;
use raw::RawPolicy;

/// What a statement does with those that it applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Allows them, unless something denies.
    Allow,
    /// Denies them, whatever allows.
    Deny,
}

/// The version of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// `2008-10-17`, and what names none: without variables.
    V2008,
    /// `2012-10-17`.
    V2012,
}

/// A policy that was found to be in order.
#[derive(Debug, Clone)]
pub struct Policy {
    text: Box<str>,
    kind: PolicyKind,
    version: Version,
    id: Option<Box<str>>,
    statements: Box<[Statement]>,
    is_public: bool,
}

impl Policy {
    /// Reads the policy of a bucket.
    ///
    /// # Errors
    /// [`PolicyError`]: S3's `MalformedPolicy`.
    pub fn bucket(text: &[u8], bucket: &BucketName) -> Result<Self, PolicyError> {
        Self::parse(text, PolicyKind::Bucket, Some(bucket))
    }

    /// Reads the policy of an identity, a session or a boundary, or a role's trust policy: any kind but a bucket's.
    ///
    /// # Errors
    /// [`PolicyError`]: IAM's `MalformedPolicyDocument`, or `LimitExceeded` where [`PolicyError::is_quota`].
    pub fn identity(text: &[u8], kind: PolicyKind) -> Result<Self, PolicyError> {
        Self::parse(text, kind, None)
    }

    fn parse(text: &[u8], kind: PolicyKind, bucket: Option<&BucketName>) -> Result<Self, PolicyError> {
        kind.check_size(text)?;
        let not_text = if kind.is_bucket() { PolicyError::FirstByte } else { kind.syntax() };
        let text = std::str::from_utf8(text).map_err(|_| not_text)?;
        let raw = RawPolicy::parse(text, kind)?;
        let version = raw.version;
        let statements: Result<Box<[Statement]>, PolicyError> =
            raw.statements.into_iter().map(|statement| Statement::compile(statement, version, kind, bucket)).collect();
        let statements = statements?;
        refuse_same_sids(&statements, kind)?;
        let is_public = kind.is_bucket() && statements.iter().any(public::is_public);
        Ok(Self { text: text.into(), kind, version, id: raw.id.map(Into::into), statements, is_public })
    }

    /// The text, as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it is attached to.
    pub const fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// The version of its language.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Its `Id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether it is public: a bucket policy that allows something to more than fixed principals or networks (S3 User
    /// Guide, "The meaning of public"; GetBucketPolicyStatus).
    pub const fn is_public(&self) -> bool {
        self.is_public
    }

    /// All that it names as principals, for a caller that knows who there is. AWS refuses those that there are not
    /// ([`PolicyError::Principal`]).
    pub fn principals(&self) -> impl Iterator<Item = &PrincipalPattern> {
        self.statements.iter().flat_map(|statement| statement.principals.patterns())
    }

    /// Whether a decision about `action` may depend on what the request has of `key`.
    pub fn may_ask(&self, key: KeyName, action: Action) -> bool {
        self.statements.iter().any(|statement| statement.actions.contains(action) && statement.asks.contains(key))
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

fn refuse_same_sids(statements: &[Statement], kind: PolicyKind) -> Result<(), PolicyError> {
    let mut sids: Vec<&str> = statements.iter().filter_map(|statement| statement.sid.as_deref()).collect();
    sids.sort_unstable();
    if sids.windows(2).all(|pair| pair[0] != pair[1] || pair[0].is_empty()) {
        return Ok(());
    }
    Err(if kind == PolicyKind::Trust { PolicyError::TrustSidTwice } else { PolicyError::SidTwice })
}
