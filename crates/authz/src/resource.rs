//! What an action is done to.

use std::fmt;

use types::{BucketName, ObjectKey};

use crate::action::ActionVendor;
use crate::inline_text::InlineText;

/// What an action is done to. `Display` is its name in policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The service: its list of buckets, its administration, an account.
    Service,
    /// A bucket.
    Bucket(&'a BucketName),
    /// An object, or a key that has none yet.
    Object {
        /// Its bucket.
        bucket: &'a BucketName,
        /// Its key.
        key: &'a ObjectKey,
    },
    /// An identity, by its ARN: a user, group, role, policy or provider.
    Identity(&'a str),
}

/// How the names of buckets and objects begin.
pub(crate) const S3_PREFIX: &str = "arn:aws:s3:::";

/// The longest name of an object: the prefix, a bucket's name, a slash, a key.
const OBJECT_BYTES_MAX: usize = S3_PREFIX.len() + 63 + 1 + ObjectKey::BYTES_MAX;

/// A resource's name as patterns are matched against: its very bytes, which `Display` can't always show.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is there to be on the stack, once a decision")]
pub(crate) enum ResourceText<'a> {
    Given(&'a str),
    Spelt(InlineText<OBJECT_BYTES_MAX>),
}

impl ResourceText<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(text) => text.as_bytes(),
            Self::Spelt(text) => text.as_bytes(),
        }
    }
}

impl<'a> Resource<'a> {
    /// Its name for an action of `vendor`. What is done to no resource but in S3 is allowed by `*` alone.
    pub(crate) fn text(&self, vendor: ActionVendor) -> ResourceText<'a> {
        let prefix = S3_PREFIX.as_bytes();
        match self {
            Self::Service if vendor == ActionVendor::S3 => ResourceText::Given("arn:aws:s3:::*"),
            Self::Service => ResourceText::Given("*"),
            Self::Identity(arn) => ResourceText::Given(arn),
            Self::Bucket(bucket) => ResourceText::Spelt(InlineText::of(&[prefix, bucket.as_str().as_bytes()])),
            Self::Object { bucket, key } => {
                ResourceText::Spelt(InlineText::of(&[prefix, bucket.as_str().as_bytes(), b"/", key.as_bytes()]))
            }
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => write!(f, "{S3_PREFIX}*"),
            Self::Bucket(bucket) => write!(f, "{S3_PREFIX}{bucket}"),
            Self::Object { bucket, key } => write!(f, "{S3_PREFIX}{bucket}/{key}"),
            Self::Identity(arn) => f.write_str(arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_have_their_names_of_policies() {
        let bucket = BucketName::new("bucket").expect("a name");
        let key = ObjectKey::new("a/b").expect("a key");
        for (resource, name) in [
            (Resource::Service, "arn:aws:s3:::*"),
            (Resource::Bucket(&bucket), "arn:aws:s3:::bucket"),
            (Resource::Object { bucket: &bucket, key: &key }, "arn:aws:s3:::bucket/a/b"),
            (Resource::Identity("arn:aws:iam::000000000007:user/bob"), "arn:aws:iam::000000000007:user/bob"),
        ] {
            assert_eq!(resource.to_string(), name);
            assert_eq!(resource.text(ActionVendor::S3).as_bytes(), name.as_bytes());
        }
    }

    #[test]
    fn what_is_done_to_no_resource_is_not_of_s3_elsewhere() {
        for vendor in [ActionVendor::Iam, ActionVendor::Sts, ActionVendor::Admin] {
            assert_eq!(Resource::Service.text(vendor).as_bytes(), b"*");
        }
    }

    #[test]
    fn keys_that_are_no_text_keep_their_bytes() {
        let bucket = BucketName::new("bucket").expect("a name");
        let key = ObjectKey::new(vec![0xff; ObjectKey::BYTES_MAX]).expect("a key");
        let text = Resource::Object { bucket: &bucket, key: &key }.text(ActionVendor::S3);
        assert!(text.as_bytes().ends_with(&[0xff; ObjectKey::BYTES_MAX]));
    }
}
