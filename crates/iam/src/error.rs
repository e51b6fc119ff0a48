//! Why identities are not as they were wished.

use authz::PolicyError;
use index::command::{IdentityRefusal, IdentityThing};
use index::{IndexError, Refusal};

/// Why a change was not made. The variants are IAM's errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IamError {
    /// What is named isn't there.
    #[error("{0} cannot be found")]
    NoSuchEntity(&'static str),
    /// The name, id or email is taken.
    #[error("{0} of this name or id exists already")]
    AlreadyExists(&'static str),
    /// Something hangs on it.
    #[error("it cannot be removed before its {0}")]
    DeleteConflict(&'static str),
    /// There are as many as may be.
    #[error("there may be no more of it: {0}")]
    LimitExceeded(&'static str),
    /// It is no name, or nothing that such an identity may have.
    #[error("{0}")]
    Invalid(String),
    /// The policy is not in order.
    #[error("the policy is not in order: {0}")]
    MalformedPolicy(PolicyError),
    /// The cluster is not upgraded yet.
    #[error("there are no accounts and users before all nodes run a release that knows them (feature level {0})")]
    NotYet(types::FeatureLevel),
    /// The index does not answer, or it is not known whether the change was made: look, and try again.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl From<Refusal> for IamError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Identity(IdentityRefusal::NoSuchEntity(thing)) => Self::NoSuchEntity(name_of(thing)),
            Refusal::Identity(IdentityRefusal::AlreadyExists(thing)) => Self::AlreadyExists(name_of(thing)),
            Refusal::Identity(IdentityRefusal::DeleteConflict(thing)) => Self::DeleteConflict(name_of(thing)),
            Refusal::Identity(IdentityRefusal::LimitExceeded(thing)) => Self::LimitExceeded(name_of(thing)),
            Refusal::Identity(IdentityRefusal::Invalid(thing)) => {
                Self::Invalid(format!("that is no {}", name_of(thing)))
            }
            Refusal::FeatureLevel { .. } => Self::NotYet(index::DOCUMENTS_LEVEL),
            other => {
                Self::Index(IndexError::Damaged { reason: format!("a change of identities was refused: {other:?}") })
            }
        }
    }
}

const fn name_of(thing: IdentityThing) -> &'static str {
    match thing {
        IdentityThing::Account => "account",
        IdentityThing::CanonicalId => "canonical id",
        IdentityThing::Email => "email",
        IdentityThing::Bucket => "bucket",
        IdentityThing::User => "user",
        IdentityThing::Group => "group",
        IdentityThing::Role => "role",
        IdentityThing::AccessKey => "access key",
        IdentityThing::Policy => "policy",
        IdentityThing::PolicyVersion => "policy version",
        IdentityThing::InlinePolicy => "inline policy",
        IdentityThing::Attachment => "attached policy",
        IdentityThing::Membership => "group membership",
        IdentityThing::Boundary => "permissions boundary",
    }
}
