//! Why it is allowed or not: borrowed from what was asked, so that it costs nothing until it is shown.

use std::fmt;

use super::Source;
use crate::acl::Grant;
use crate::evaluation::Request;

/// Whether it is allowed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it is allowed. Where it is not, S3 says 403 `AccessDenied`, and of a missing object what
    /// [`super::decide_absence`] says.
    pub allowed: bool,
    /// What decided it.
    pub reason: Reason<'a>,
}

/// What decided a question. For logs, audit and `cairn admin explain`; clients of S3 are told `AccessDenied` and nothing
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason<'a> {
    /// The operator may do everything.
    Operator,
    /// The root of an account may do everything to what is the account's.
    Owner,
    /// It needs no permission.
    Free,
    /// Something allows it.
    Allowed {
        /// What, on the side of the resource if it is another account's.
        by: By<'a>,
        /// The statement of the principal's own that had to allow it too.
        and: Option<Found<'a>>,
    },
    /// A statement denies it.
    Denied(Found<'a>),
    /// Nothing denies it, and something that would have to allow it does not.
    Missing(Missing),
}

/// What allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// A statement of a policy.
    Statement(Found<'a>),
    /// A grant of the bucket's ACL.
    BucketAcl(&'a Grant),
    /// A grant of the object's ACL.
    ObjectAcl(&'a Grant),
    /// Having begun the upload.
    Initiator,
}

/// A statement that applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// Where its policy comes from.
    pub source: Source<'a>,
    /// The policy's `Id`.
    pub policy_id: Option<&'a str>,
    /// Which statement it is, from 0.
    pub index: usize,
    /// Its `Sid`.
    pub sid: Option<&'a str>,
}

/// What would have had to allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// The request is not signed, and nothing allows it to everybody.
    NotSigned,
    /// No policy of the principal's own allows it.
    Identity,
    /// The permissions boundary does not.
    Boundary,
    /// The session policies do not.
    Session,
    /// The bucket is another account's, whose policy and ACL do not.
    Resource,
    /// The object is another account's than the bucket, and its ACL does not.
    ObjectOwner,
    /// The bucket's policy would, but it is public, and public policies are restricted to the account.
    RestrictPublicBuckets,
    /// An ACL would, but public ACLs are ignored.
    IgnorePublicAcls,
    /// An ACL would, but the bucket's owner has all objects and ACLs do not count.
    AclsDisabled,
    /// The trust policy of the role does not.
    Trust,
    /// It is for those of another account alone.
    OtherAccount,
    /// Neither ACL nor policy grants it to the account's own root.
    OwnGrant,
    /// Whoever asked brought no bucket, or a resource that is none for the action.
    NoResource,
}

impl<'a> Decision<'a> {
    /// Yes.
    pub const fn allowed(reason: Reason<'a>) -> Self {
        Self { allowed: true, reason }
    }

    /// No.
    pub const fn denied(reason: Reason<'a>) -> Self {
        Self { allowed: false, reason }
    }

    /// What AWS tells a client of IAM or STS that was denied (IAM User Guide, "Troubleshoot access denied error
    /// messages").
    pub fn denied_message(&self, request: &Request<'_>) -> String {
        let action = request.action.name();
        let who = match request.principal.arn_text() {
            arn if arn.is_empty() => "anonymous".to_owned(),
            arn => arn,
        };
        let why = match self.reason {
            Reason::Denied(found) => format!("with an explicit deny in {}", found.source.kind()),
            Reason::Missing(missing) => format!("because no {} allows the {action} action", missing.kind()),
            _ => "because it was not asked".to_owned(),
        };
        format!("User: {who} is not authorized to perform: {action} on resource: {} {why}", request.resource)
    }
}

impl<'a> Reason<'a> {
    /// One thing alone allows it.
    pub(crate) const fn by(by: By<'a>) -> Self {
        Self::Allowed { by, and: None }
    }
}

impl Missing {
    const fn kind(self) -> &'static str {
        match self {
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Identity | Self::OtherAccount => "identity-based policy",
            _ => "resource-based policy",
        }
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.allowed { "allowed" } else { "denied" }, self.reason)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("the operator may do everything"),
            Self::Owner => f.write_str("the root of the account that has the resource may do it"),
            Self::Free => f.write_str("whoever signs may do it"),
            Self::Allowed { by, and: None } => write!(f, "{by} allows it"),
            Self::Allowed { by, and: Some(found) } => write!(f, "{by} and {found} allow it"),
            Self::Denied(found) => write!(f, "{found} denies it"),
            Self::Missing(missing) => write!(f, "{missing}"),
        }
    }
}

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(found) => write!(f, "{found}"),
            Self::BucketAcl(grant) => write!(f, "{} of the bucket's ACL", grant.permission.as_str()),
            Self::ObjectAcl(grant) => write!(f, "{} of the object's ACL", grant.permission.as_str()),
            Self::Initiator => f.write_str("having begun the upload"),
        }
    }
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {}", self.index + 1)?;
        if let Some(sid) = self.sid {
            write!(f, " ({sid})")?;
        }
        write!(f, " of {}", self.source)?;
        match self.policy_id {
            Some(id) => write!(f, " ({id})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSigned => "the request is not signed, and nothing allows it to everybody",
            Self::Identity => "no policy of the user, their groups or the role allows it",
            Self::Boundary => "the permissions boundary does not allow it",
            Self::Session => "no session policy allows it",
            Self::Resource => "the bucket is another account's, and neither its policy nor its ACL allows it",
            Self::ObjectOwner => "the object is another account's than its bucket, and its ACL does not allow it",
            Self::RestrictPublicBuckets => "the bucket policy is public, and RestrictPublicBuckets is on",
            Self::IgnorePublicAcls => "a public grant would allow it, and IgnorePublicAcls is on",
            Self::AclsDisabled => "a grant would allow it, and ACLs are disabled (BucketOwnerEnforced)",
            Self::Trust => "the trust policy of the role does not allow it",
            Self::OtherAccount => "it is for those of another account",
            Self::OwnGrant => "neither ACL nor policy grants it to the owner",
            Self::NoResource => "there is no such resource",
        })
    }
}
