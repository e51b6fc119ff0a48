//! Which account has the say.

use types::AccountId;

use super::{Missing, Policies};
use crate::action::{Action, ActionVendor, ResourceKind};
use crate::arn::Arn;
use crate::evaluation::Request;
use crate::resource::Resource;

/// The account that has what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) account: AccountId,
    /// Whether it is the owner of an object in another account's bucket, who can't allow by the bucket's policy.
    pub(crate) is_object_owner: bool,
    /// Whether a trust policy must allow it in any case.
    pub(crate) needs_trust: bool,
}

impl Authority {
    /// Finds it.
    ///
    /// # Errors
    /// [`Missing::NotSigned`] where it would be that of who asks, and they have none; [`Missing::NoResource`] where the
    /// resource is not one that the action is done to.
    pub(crate) fn of(request: &Request<'_>, policies: &Policies<'_>) -> Result<Self, Missing> {
        let plain = |account| Self { account, is_object_owner: false, needs_trust: false };
        let own = || request.principal.account().map(plain).ok_or(Missing::NotSigned);
        match (request.action.vendor(), request.resource) {
            (ActionVendor::Iam | ActionVendor::Sts, Resource::Identity(arn)) => {
                let named = Arn::parse(arn).ok().and_then(|arn| arn.account).ok_or(Missing::NoResource)?;
                Ok(Self { needs_trust: request.action.assumes_role(), ..plain(named) })
            }
            (ActionVendor::Iam | ActionVendor::Sts, Resource::Service) if !request.action.assumes_role() => own(),
            (ActionVendor::S3, Resource::Bucket(_)) if request.action == Action::CreateBucket => own(),
            (ActionVendor::S3, resource) => match (request.action.resource_kind(), resource) {
                (ResourceKind::Service, Resource::Service) => own(),
                (ResourceKind::Bucket, Resource::Bucket(_)) | (ResourceKind::Object, Resource::Object { .. }) => {
                    Self::of_bucket(request, policies)
                }
                _ => Err(Missing::NoResource),
            },
            _ => Err(Missing::NoResource),
        }
    }

    fn of_bucket(request: &Request<'_>, policies: &Policies<'_>) -> Result<Self, Missing> {
        let bucket = policies.bucket.ok_or(Missing::NoResource)?;
        let bucket_account = bucket.owner.account;
        let object_account = match policies.object {
            Some(object) if bucket.ownership.has_acls() && request.action.is_of_object_owner() => object.owner.account,
            _ => bucket_account,
        };
        let is_object_owner = object_account != bucket_account;
        Ok(Self { account: object_account, is_object_owner, needs_trust: false })
    }
}
