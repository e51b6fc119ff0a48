//! What may be allowed: the actions of the policies of S3, IAM and STS, and Cairn's own. The names alone are
//! [`table`]'s.

mod table;

pub use table::Action;

/// What kind of resource an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// None: the account, or the service.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
    /// An identity, by its ARN: a user, group, role or policy.
    Identity,
}

/// Who an action belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionVendor {
    /// `s3:`
    S3,
    /// `iam:`
    Iam,
    /// `sts:`
    Sts,
    /// `admin:`, Cairn's own.
    Admin,
}

impl Action {
    /// No name is longer, in bytes.
    pub(crate) const NAME_BYTES_MAX: usize = 64;

    /// What stands before the colon of its name.
    pub fn vendor(self) -> ActionVendor {
        match self.name().split_once(':').map(|(vendor, _)| vendor) {
            Some("s3") => ActionVendor::S3,
            Some("iam") => ActionVendor::Iam,
            Some("sts") => ActionVendor::Sts,
            _ => ActionVendor::Admin,
        }
    }

    /// Whether any signed request may do it, whatever policies say (STS API Reference, "GetCallerIdentity" and
    /// "GetSessionToken": no permissions are required).
    pub const fn needs_no_permission(self) -> bool {
        matches!(self, Self::StsGetCallerIdentity | Self::StsGetSessionToken)
    }

    /// Whether the root of a bucket's account keeps it against its own policy's Deny (S3 API Reference,
    /// "PutBucketPolicy").
    pub(crate) const fn is_of_bucket_policy(self) -> bool {
        matches!(self, Self::GetBucketPolicy | Self::PutBucketPolicy | Self::DeleteBucketPolicy)
    }

    /// Whether the owner of the object has the say, and not that of the bucket, where they are two (S3 User Guide,
    /// "How Amazon S3 authorizes a request for an object operation").
    pub(crate) const fn is_of_object_owner(self) -> bool {
        matches!(
            self,
            Self::GetObject
                | Self::GetObjectVersion
                | Self::GetObjectAcl
                | Self::GetObjectVersionAcl
                | Self::PutObjectAcl
                | Self::PutObjectVersionAcl
                | Self::GetObjectAttributes
                | Self::GetObjectVersionAttributes
                | Self::GetObjectTorrent
                | Self::GetObjectVersionTorrent
        )
    }

    /// Whether it is done to an upload in parts, whose initiator may it.
    pub(crate) const fn is_of_upload(self) -> bool {
        matches!(self, Self::AbortMultipartUpload | Self::ListMultipartUploadParts)
    }

    /// Whether it takes a role on, so that the role's trust policy decides.
    pub(crate) const fn assumes_role(self) -> bool {
        matches!(self, Self::StsAssumeRole | Self::StsAssumeRoleWithWebIdentity | Self::StsAssumeRoleWithSaml)
    }
}

/// A set of actions: what the patterns of a statement's `Action` come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActionSet([u64; Action::ALL.len().div_ceil(64)]);

impl ActionSet {
    /// None.
    pub(crate) const NONE: Self = Self([0; Action::ALL.len().div_ceil(64)]);

    /// Adds one.
    pub(crate) fn insert(&mut self, action: Action) {
        let at = action as usize;
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// Whether it is among them.
    pub(crate) const fn contains(&self, action: Action) -> bool {
        let at = action as usize;
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    /// All others.
    pub(crate) fn complement(&self) -> Self {
        let mut others = Self::NONE;
        for action in Action::ALL.iter().filter(|&&action| !self.contains(action)) {
            others.insert(*action);
        }
        others
    }

    /// Those in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Action> + '_ {
        Action::ALL.iter().copied().filter(|&action| self.contains(action))
    }
}

impl std::fmt::Debug for ActionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(Action::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_and_the_place_of_its_number() {
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.name().to_ascii_lowercase()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Action::ALL.len());
        assert!(Action::ALL.iter().enumerate().all(|(at, &action)| at == action as usize));
        assert!(names.iter().all(|name| name.len() <= Action::NAME_BYTES_MAX));
        assert_eq!(Action::GetObject.name(), "s3:GetObject");
    }

    #[test]
    fn actions_are_of_the_vendor_and_kind_of_their_name() {
        for &action in Action::ALL {
            let name = action.name();
            let (vendor, kind) = (action.vendor(), action.resource_kind());
            match vendor {
                ActionVendor::S3 => assert!(name.starts_with("s3:") && kind != ResourceKind::Identity, "{name}"),
                ActionVendor::Iam => assert!(name.starts_with("iam:"), "{name}"),
                ActionVendor::Sts => assert!(name.starts_with("sts:"), "{name}"),
                ActionVendor::Admin => assert!(name.starts_with("admin:") && kind == ResourceKind::Service, "{name}"),
            }
            if name.starts_with("s3:") && name.contains("Object") && !name.contains("Bucket") {
                assert!(kind == ResourceKind::Object, "{name}");
            }
        }
        assert_eq!(Action::ListBucket.resource_kind(), ResourceKind::Bucket);
        assert_eq!(Action::ListAllMyBuckets.resource_kind(), ResourceKind::Service);
        assert_eq!(Action::AbortMultipartUpload.resource_kind(), ResourceKind::Object);
    }

    #[test]
    fn a_set_and_its_complement_share_nothing_and_leave_nothing_out() {
        let mut set = ActionSet::NONE;
        set.insert(Action::GetObject);
        set.insert(*Action::ALL.last().expect("there are actions"));
        let others = set.complement();
        assert!(Action::ALL.iter().all(|&action| set.contains(action) != others.contains(action)));
        assert_eq!(set.iter().count(), 2);
    }
}
