//! The kinds of policies, and what differs between them.

use super::PolicyError;

/// What a policy is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// A bucket.
    Bucket,
    /// Itself a thing: a managed policy.
    Managed,
    /// A user, inline.
    UserInline,
    /// A group, inline.
    GroupInline,
    /// A role, inline.
    RoleInline,
    /// A role, to say who may take it on.
    Trust,
    /// A session, passed when a role is taken on.
    Session,
}

/// The longest bucket policy in bytes (S3 User Guide, "Bucket policies").
const BUCKET_BYTES_MAX: usize = 20 * 1024;

/// The longest document of IAM's API in bytes, white space and all (IAM API Reference, `policyDocumentType`).
const IAM_BYTES_MAX: usize = 131_072;

impl PolicyKind {
    /// The most characters by IAM's quotas, white space not counted (IAM User Guide, "IAM and STS quotas"). For inline
    /// policies it is the sum of all that one identity has; each alone is held to it here. `None`: counted in bytes.
    pub const fn characters_max(self) -> Option<usize> {
        match self {
            Self::Bucket => None,
            Self::Managed => Some(6_144),
            Self::UserInline | Self::Trust | Self::Session => Some(2_048),
            Self::GroupInline => Some(5_120),
            Self::RoleInline => Some(10_240),
        }
    }

    /// Whether it is S3 that reads it, in whose words it is refused.
    pub(crate) const fn is_bucket(self) -> bool {
        matches!(self, Self::Bucket)
    }

    /// Whether its statements name principals.
    pub(crate) const fn names_principals(self) -> bool {
        matches!(self, Self::Bucket | Self::Trust)
    }

    /// Refuses what is too long, before it is read.
    pub(crate) fn check_size(self, text: &[u8]) -> Result<(), PolicyError> {
        let Some(characters_max) = self.characters_max() else {
            return if text.len() > BUCKET_BYTES_MAX { Err(PolicyError::TooLarge) } else { Ok(()) };
        };
        // Of UTF-8 every character begins with a byte that is not a continuation.
        let begins = |byte: &&u8| (**byte & 0xc0) != 0x80 && !byte.is_ascii_whitespace();
        if text.len() > IAM_BYTES_MAX || text.iter().filter(begins).count() > characters_max {
            let quota = match self {
                Self::Trust => "ACLSizePerRole",
                Self::Bucket | Self::Managed => "PolicySize",
                Self::Session => "PackedPolicySize",
                Self::UserInline | Self::GroupInline | Self::RoleInline => "InlinePolicySize",
            };
            return Err(PolicyError::Quota { quota, characters_max });
        }
        Ok(())
    }

    /// What is said of an element of the wrong type.
    pub(crate) const fn syntax(self) -> PolicyError {
        if self.is_bucket() { PolicyError::InvalidSyntax } else { PolicyError::Syntax }
    }

    /// What is said of something that only S3 and trust policies name.
    pub(crate) fn or_syntax(self, error: PolicyError) -> PolicyError {
        if self.names_principals() { error } else { PolicyError::Syntax }
    }
}
