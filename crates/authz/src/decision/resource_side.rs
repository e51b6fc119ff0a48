//! What the resource gives to who asks: by the bucket's policy, by ACLs, or by a role's trust policy.

use super::authority::Authority;
use super::scan::statement;
use super::{Attached, BucketFacts, By, Missing, Policies, Source};
use crate::acl::{Acl, AclOn, Permission};
use crate::evaluation::Asked;
use crate::policy::{Effect, Reach};
use crate::principal::Principal;
use crate::resource::Resource;

/// What the resource gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResourceSide<'a> {
    /// What allows, and how directly; the most direct of all.
    pub(crate) grant: Option<(By<'a>, Reach)>,
    /// Why nothing does, where nothing does.
    pub(crate) missing: Missing,
}

impl<'a> ResourceSide<'a> {
    /// Looks at all that can give something.
    pub(crate) fn of(
        asked: &Asked<'a>,
        policies: &Policies<'a>,
        authority: &Authority,
        resource: &Resource<'a>,
    ) -> Self {
        let nothing = |missing| Self { grant: None, missing };
        if authority.needs_trust {
            // Nobody takes a role on without saying who they are.
            let trust = policies.trust.filter(|_| asked.principal != Principal::Anonymous);
            let trust = trust.map(|policy| Attached { source: Source::Trust, policy });
            let found = trust.and_then(|trust| statement(&trust, asked, Effect::Allow));
            let grant = found.map(|(found, reach)| (By::Statement(found), reach));
            return Self { grant, missing: Missing::Trust };
        }
        let Some(bucket) =
            policies.bucket.filter(|_| matches!(resource, Resource::Bucket(_) | Resource::Object { .. }))
        else {
            let signed = asked.principal.owner().is_some();
            return nothing(if signed { Missing::OtherAccount } else { Missing::NotSigned });
        };
        let mut side = nothing(match asked.principal {
            _ if authority.is_object_owner => Missing::ObjectOwner,
            Principal::Anonymous => Missing::NotSigned,
            _ => Missing::Resource,
        });
        if !authority.is_object_owner {
            side.add_policy(asked, &bucket);
            side.add_initiator(asked, policies);
        }
        side.add_acls(asked, policies, &bucket, resource);
        side
    }

    /// What allows.
    ///
    /// # Errors
    /// Why nothing does.
    pub(crate) fn allow(&self) -> Result<By<'a>, Missing> {
        self.grant.map(|(by, _)| by).ok_or(self.missing)
    }

    fn add(&mut self, by: By<'a>, reach: Reach) {
        if self.grant.is_none_or(|(_, least)| least < reach) {
            self.grant = Some((by, reach));
        }
    }

    fn add_policy(&mut self, asked: &Asked<'a>, bucket: &BucketFacts<'a>) {
        let Some(policy) = bucket.policy else { return };
        let Some((found, reach)) = statement(&Attached { source: Source::Bucket, policy }, asked, Effect::Allow) else {
            return;
        };
        let is_within =
            asked.principal.account() == Some(bucket.owner.account) || matches!(asked.principal, Principal::Service(_));
        if bucket.block.restrict_public_buckets && policy.is_public() && !is_within {
            self.missing = Missing::RestrictPublicBuckets;
        } else {
            self.add(By::Statement(found), reach);
        }
    }

    fn add_initiator(&mut self, asked: &Asked<'a>, policies: &Policies<'a>) {
        let initiator = policies.upload_initiator.map(|owner| owner.account);
        if asked.action.is_of_upload() && initiator.is_some() && initiator == asked.principal.account() {
            self.add(By::Initiator, Reach::Account);
        }
    }

    fn add_acls(
        &mut self,
        asked: &Asked<'a>,
        policies: &Policies<'a>,
        bucket: &BucketFacts<'a>,
        resource: &Resource<'a>,
    ) {
        let Some((on, Some(acl))) = deciding_acl(asked, policies, bucket, resource) else { return };
        let granted = |ignore_public| acl.grant_for(&asked.principal, asked.action, on, ignore_public);
        if !bucket.ownership.has_acls() {
            if granted(false).is_some() && self.grant.is_none() {
                self.missing = Missing::AclsDisabled;
            }
            return;
        }
        let ignores = bucket.block.ignore_public_acls;
        match granted(ignores) {
            Some(grant) => {
                let reach = if grant.grantee.is_public() { Reach::Direct } else { Reach::Account };
                self.add(if on == AclOn::Bucket { By::BucketAcl(grant) } else { By::ObjectAcl(grant) }, reach);
            }
            None if ignores && granted(false).is_some() => self.missing = Missing::IgnorePublicAcls,
            None => {}
        }
    }
}

/// Which ACL has the say over the action, and that ACL if it was ever set.
fn deciding_acl<'a>(
    asked: &Asked<'a>,
    policies: &Policies<'a>,
    bucket: &BucketFacts<'a>,
    resource: &Resource<'a>,
) -> Option<(AclOn, Option<&'a Acl>)> {
    let on = AclOn::deciding(asked.action, resource)?;
    let acl = match on {
        AclOn::Bucket => bucket.acl,
        AclOn::Object => policies.object.and_then(|object| object.acl),
    };
    Some((on, acl))
}

/// Whether the root of the account that has it needs nothing more than that: always, but where the bucket says that its
/// ACLs are for owners too, and the ACL grants the owner nothing.
pub(crate) fn ownership_suffices<'a>(asked: &Asked<'a>, policies: &Policies<'a>, resource: &Resource<'a>) -> bool {
    let Some(bucket) = policies.bucket.filter(|bucket| bucket.owner_needs_grant && bucket.ownership.has_acls()) else {
        return true;
    };
    let Some((on, Some(acl))) = deciding_acl(asked, policies, &bucket, resource) else { return true };
    // Its ACL an owner may always read and write.
    let is_of_acl = [Permission::ReadAcp, Permission::WriteAcp].iter().any(|right| right.allows(asked.action, on));
    is_of_acl || acl.grant_for(&asked.principal, asked.action, on, bucket.block.ignore_public_acls).is_some()
}
