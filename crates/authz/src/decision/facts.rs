//! What bears on a decision, as a caller brings it.

use std::fmt;

use types::Owner;

use crate::acl::Acl;
use crate::action::Action;
use crate::context::KeyName;
use crate::ownership::ObjectOwnership;
use crate::policy::Policy;
use crate::public_access::PublicAccessBlock;

/// All that bears on a decision. What is left out counts as not being there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    /// The policies of who asks: a user's own and their groups', or those of the role that a session has taken on.
    pub identity: &'a [Attached<'a>],
    /// The permissions boundary of the user or role.
    pub boundary: Option<Attached<'a>>,
    /// The policies that were passed when the session began, of which one must allow; `None` if none were passed.
    pub session: Option<&'a [Attached<'a>]>,
    /// The bucket that it is about.
    pub bucket: Option<BucketFacts<'a>>,
    /// The object that it is about, if there is one.
    pub object: Option<ObjectFacts<'a>>,
    /// Who began the upload in parts that it is about.
    pub upload_initiator: Option<&'a Owner>,
    /// The trust policy of the role that is to be taken on.
    pub trust: Option<&'a Policy>,
}

/// A bucket, as far as decisions go.
#[derive(Debug, Clone, Copy)]
pub struct BucketFacts<'a> {
    /// The account that has it.
    pub owner: &'a Owner,
    /// Its policy.
    pub policy: Option<&'a Policy>,
    /// Its ACL; `None`: its owner has full control.
    pub acl: Option<&'a Acl>,
    /// Whose its objects are, and whether ACLs count.
    pub ownership: ObjectOwnership,
    /// Its public access block and its account's, put together.
    pub block: PublicAccessBlock,
    /// Whether the root of an account that has a bucket or an object needs a grant of its ACL (or policy) to read and
    /// write, as with S3 before IAM; the ACL itself it may always read and write.
    pub owner_needs_grant: bool,
}

impl<'a> BucketFacts<'a> {
    /// A bucket of which nothing is set.
    pub fn of(owner: &'a Owner) -> Self {
        Self {
            owner,
            policy: None,
            acl: None,
            ownership: ObjectOwnership::default(),
            block: PublicAccessBlock::default(),
            owner_needs_grant: false,
        }
    }
}

/// An object, as far as decisions go.
#[derive(Debug, Clone, Copy)]
pub struct ObjectFacts<'a> {
    /// The account that has it.
    pub owner: &'a Owner,
    /// Its ACL; `None`: its owner has full control.
    pub acl: Option<&'a Acl>,
}

/// A policy, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Attached<'a> {
    /// Where it comes from.
    pub source: Source<'a>,
    /// The policy.
    pub policy: &'a Policy,
}

/// Where a policy comes from, for explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source<'a> {
    /// Inline of the user, by its name.
    UserInline(&'a str),
    /// Managed, attached to the user, by its ARN.
    UserManaged(&'a str),
    /// Inline of one of the user's groups.
    GroupInline {
        /// The group's name.
        group: &'a str,
        /// The policy's name.
        name: &'a str,
    },
    /// Managed, attached to one of the user's groups.
    GroupManaged {
        /// The group's name.
        group: &'a str,
        /// The policy's ARN.
        arn: &'a str,
    },
    /// Inline of the role, by its name.
    RoleInline(&'a str),
    /// Managed, attached to the role, by its ARN.
    RoleManaged(&'a str),
    /// The permissions boundary, by its ARN.
    Boundary(&'a str),
    /// Passed when the session began: its ARN, or empty where it was passed as text.
    Session(&'a str),
    /// The bucket's.
    Bucket,
    /// The role's trust policy.
    Trust,
}

impl Source<'_> {
    /// What AWS calls it in a message.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Boundary(_) => "a permissions boundary",
            Self::Session(_) => "a session policy",
            Self::Bucket | Self::Trust => "a resource-based policy",
            _ => "an identity-based policy",
        }
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserInline(name) => write!(f, "the user's policy {name}"),
            Self::UserManaged(arn) | Self::RoleManaged(arn) => write!(f, "the managed policy {arn}"),
            Self::GroupInline { group, name } => write!(f, "the policy {name} of the group {group}"),
            Self::GroupManaged { group, arn } => write!(f, "the managed policy {arn} of the group {group}"),
            Self::RoleInline(name) => write!(f, "the role's policy {name}"),
            Self::Boundary(arn) => write!(f, "the permissions boundary {arn}"),
            Self::Session("") => f.write_str("the session policy"),
            Self::Session(arn) => write!(f, "the session policy {arn}"),
            Self::Bucket => f.write_str("the bucket policy"),
            Self::Trust => f.write_str("the trust policy of the role"),
        }
    }
}

impl<'a> Policies<'a> {
    /// Every policy, in the order in which an explanation shows them.
    pub(crate) fn all(&self) -> impl Iterator<Item = Attached<'a>> {
        let bucket = self.bucket.and_then(|bucket| bucket.policy);
        self.identity
            .iter()
            .copied()
            .chain(self.boundary)
            .chain(self.session.unwrap_or_default().iter().copied())
            .chain(bucket.map(|policy| Attached { source: Source::Bucket, policy }))
            .chain(self.trust.map(|policy| Attached { source: Source::Trust, policy }))
    }

    /// Whether a decision about `action` may depend on what the request has of `key`. So a caller knows before it
    /// decides whether it must fetch, say, the tags of an object ([`KeyName::ExistingObjectTag`]).
    pub fn may_ask(&self, key: KeyName, action: Action) -> bool {
        self.all().any(|attached| attached.policy.may_ask(key, action))
    }
}
