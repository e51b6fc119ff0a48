//! `Resource` and `NotResource`: patterns of ARNs.

use types::BucketName;

use super::raw::Element;
use super::{Effect, PolicyError, PolicyKind};
use crate::action::{Action, ResourceKind};
use crate::condition::Outcome;
use crate::evaluation::Asked;
use crate::pattern::{Pattern, Wildcards};
use crate::resource::S3_PREFIX;

/// What a statement is about.
#[derive(Debug, Clone)]
pub(crate) enum Resources {
    /// Whatever the policy is attached to.
    Any,
    /// Those.
    Only(Box<[Pattern]>),
    /// All but those.
    Except(Box<[Pattern]>),
}

impl Resources {
    /// Compiles the element of a statement.
    ///
    /// # Errors
    /// [`PolicyError`] in the words for `kind`.
    pub(crate) fn compile(
        element: Option<Element<Vec<String>>>,
        kind: PolicyKind,
        bucket: Option<&BucketName>,
        variables: bool,
    ) -> Result<Self, PolicyError> {
        let element = match (element, kind) {
            (None, PolicyKind::Trust) => return Ok(Self::Any),
            (Some(_), PolicyKind::Trust) => return Err(PolicyError::TrustResource),
            (element, _) => element.filter(|element| !element.value.is_empty()),
        };
        let Some(Element { negated, value }) = element else {
            return Err(if kind.is_bucket() { PolicyError::MissingElement } else { PolicyError::NoResources });
        };
        let mut patterns = Vec::with_capacity(value.len());
        for text in &value {
            let pattern = Pattern::parse(text, Wildcards::All, variables);
            match bucket {
                Some(bucket) if !is_in_bucket(text, &pattern, bucket) => return Err(PolicyError::Resource),
                Some(_) => {}
                None => check_arn(text)?,
            }
            patterns.push(pattern);
        }
        Ok(if negated { Self::Except(patterns.into()) } else { Self::Only(patterns.into()) })
    }

    /// Whether the statement is about what is asked. Where a variable has no value, a `NotResource` applies in a Deny
    /// alone, and so does what costs too much to compare.
    pub(crate) fn apply(&self, asked: &Asked<'_>, effect: Effect) -> bool {
        let text = asked.resource.as_bytes();
        let denies = effect == Effect::Deny;
        match self {
            Self::Any => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| match pattern.outcome(text, asked) {
                Outcome::Matches => true,
                Outcome::Differs | Outcome::Unresolved => false,
                Outcome::TooCostly => denies,
            }),
            Self::Except(patterns) => patterns.iter().all(|pattern| match pattern.outcome(text, asked) {
                Outcome::Matches => false,
                Outcome::Differs => true,
                Outcome::Unresolved | Outcome::TooCostly => denies,
            }),
        }
    }

    /// The patterns whose variables are asked for.
    pub(crate) fn patterns(&self) -> &[Pattern] {
        match self {
            Self::Any => &[],
            Self::Only(patterns) | Self::Except(patterns) => patterns,
        }
    }

    /// What it can be about in `bucket`.
    pub(crate) fn scope(&self, bucket: &BucketName) -> Scope {
        let Self::Only(patterns) = self else { return Scope { bucket: true, objects: true } };
        let name = bucket_arn(bucket);
        let inside = format!("{name}/");
        let mut scope = Scope { bucket: false, objects: false };
        for pattern in patterns {
            let widest = pattern.widest();
            scope.bucket |= widest.matches(name.as_bytes());
            scope.objects |= widest.matches_beyond(inside.as_bytes());
        }
        scope
    }
}

/// What of a bucket the resources of a statement can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The bucket itself.
    bucket: bool,
    /// Some object in it.
    objects: bool,
}

impl Scope {
    /// Whether there is something in it that `action` is done to.
    pub(crate) const fn fits(self, action: Action) -> bool {
        match action.resource_kind() {
            ResourceKind::Bucket => self.bucket,
            ResourceKind::Object => self.objects,
            ResourceKind::Service | ResourceKind::Identity => false,
        }
    }
}

fn bucket_arn(bucket: &BucketName) -> String {
    format!("{S3_PREFIX}{bucket}")
}

/// Whether a bucket policy may name it: the bucket, or something in it.
fn is_in_bucket(text: &str, pattern: &Pattern, bucket: &BucketName) -> bool {
    if text != "*" && !text.starts_with(S3_PREFIX) {
        return false;
    }
    let name = bucket_arn(bucket);
    let widest = pattern.widest();
    widest.matches(name.as_bytes()) || widest.matches_beyond(format!("{name}/").as_bytes())
}

/// What may stand in front of the name of something of IAM's.
const IAM_KINDS: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

/// Checks the form of an ARN in an identity's policy, by IAM's rules.
fn check_arn(text: &str) -> Result<(), PolicyError> {
    if text == "*" {
        return Ok(());
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let (&[scheme, partition, ..], is_whole) = (parts.as_slice(), parts.len() == 6) else {
        return Err(PolicyError::ResourceForm(text.to_owned()));
    };
    if scheme == "arn" && !is_whole {
        return Err(if parts.len() == 2 { PolicyError::ResourceVendor } else { PolicyError::LegacyParsing });
    }
    if scheme != "arn" || !matches!(partition, "aws" | "*") {
        let filled: Vec<&str> = parts[1..].iter().copied().chain(std::iter::repeat("*")).take(5).collect();
        let resource = format!("arn:{}", filled.join(":"));
        return Err(PolicyError::Partition { partition: partition.to_owned(), resource });
    }
    let (vendor, name) = (parts[2], parts[5]);
    if vendor.is_empty() || (vendor.contains(['*', '?']) && vendor != "*") {
        return Err(PolicyError::ResourceVendor);
    }
    // A wildcard may stand for all that it would have to begin with.
    let is_iam = name.contains('*') || name == "root" || IAM_KINDS.iter().any(|kind| name.starts_with(kind));
    if vendor == "iam" && !is_iam { Err(PolicyError::IamResource) } else { Ok(()) }
}
