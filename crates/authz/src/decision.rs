//! The answer: AWS's evaluation logic (IAM User Guide, "Policy evaluation logic"; S3 User Guide, "How Amazon S3
//! authorizes a request"). docs/decisions/0013-authorization.md has the order, and where it differs.

mod absence;
mod authority;
mod explain;
mod facts;
mod reason;
mod resource_side;
mod scan;

pub use absence::{Absence, decide_absence};
pub use explain::{Considered, StatementOutcome, explain};
pub use facts::{Attached, BucketFacts, ObjectFacts, Policies, Source};
pub use reason::{By, Decision, Found, Missing, Reason};

use types::AccountId;

use crate::action::{Action, ActionVendor};
use crate::evaluation::{Asked, Request};
use crate::policy::Reach;
use crate::principal::Principal;
use crate::resource::Resource;
use authority::Authority;
use resource_side::{ResourceSide, ownership_suffices};
use scan::{explicit_deny, first_allow};

/// Decides whether what is asked is allowed, and by what.
///
/// `policies` is all that bears on it: what is left out counts as not being there. That is safe of whatever allows, and
/// of nothing that denies or bounds.
pub fn decide<'a>(request: &Request<'a>, policies: &Policies<'a>) -> Decision<'a> {
    let asked = Asked::new(request, policies.bucket.map(|bucket| bucket.owner.account));
    let (principal, action) = (request.principal, request.action);
    // What everybody may who is somebody.
    if action.needs_no_permission() && principal.owner().is_some() {
        return Decision::allowed(Reason::Free);
    }
    // A Deny anywhere.
    if let Some(found) = explicit_deny(&asked, policies) {
        return Decision::denied(Reason::Denied(found));
    }
    if principal.is_operator() {
        return Decision::allowed(Reason::Operator);
    }
    // Whose say it is.
    let reason = match action.vendor() {
        ActionVendor::Admin => of_administration(&asked, policies),
        _ => Authority::of(request, policies)
            .and_then(|authority| of_authority(&asked, policies, &authority, &request.resource)),
    };
    match reason {
        Ok(reason) => Decision::allowed(reason),
        Err(missing) => Decision::denied(Reason::Missing(missing)),
    }
}

/// Cairn's own actions are for those of the operator's account alone, whatever another account allows its users.
fn of_administration<'a>(asked: &Asked<'a>, policies: &Policies<'a>) -> Result<Reason<'a>, Missing> {
    match asked.principal.account() {
        Some(AccountId::ROOT) => by_identity(asked, policies).map(|found| Reason::by(By::Statement(found))),
        Some(_) => Err(Missing::OtherAccount),
        None => Err(Missing::NotSigned),
    }
}

fn of_authority<'a>(
    asked: &Asked<'a>,
    policies: &Policies<'a>,
    authority: &Authority,
    resource: &Resource<'a>,
) -> Result<Reason<'a>, Missing> {
    let is_own_account = asked.principal.account() == Some(authority.account);
    // A trust policy must allow even the root of its account.
    let is_owner = is_own_account && !authority.needs_trust && matches!(asked.principal, Principal::Account(_));
    if is_owner && ownership_suffices(asked, policies, resource) {
        return Ok(Reason::Owner);
    }
    let side = ResourceSide::of(asked, policies, authority, resource);
    match asked.principal {
        // Who belongs to no account has nothing but what the resource gives.
        Principal::Anonymous | Principal::WebIdentity(_) | Principal::Service(_) => side.allow().map(Reason::by),
        Principal::Account(_) => {
            side.allow().map(Reason::by).map_err(|missing| if is_owner { Missing::OwnGrant } else { missing })
        }
        Principal::User(_) | Principal::Session(_) if is_own_account => {
            within_account(asked, policies, authority, &side)
        }
        // Both accounts must allow it.
        Principal::User(_) | Principal::Session(_) => {
            let by = side.allow()?;
            let and = by_identity(asked, policies)?;
            Ok(Reason::Allowed { by, and: Some(and) })
        }
    }
}

/// Within one account either side allows, and what names the user or the session itself is not bounded.
fn within_account<'a>(
    asked: &Asked<'a>,
    policies: &Policies<'a>,
    authority: &Authority,
    side: &ResourceSide<'a>,
) -> Result<Reason<'a>, Missing> {
    match side.grant {
        Some((by, Reach::Direct)) => return Ok(Reason::by(by)),
        Some((by, Reach::Role)) if bounds(asked, policies).is_ok() => return Ok(Reason::by(by)),
        Some((_, Reach::Role)) if authority.needs_trust => bounds(asked, policies)?,
        Some(_) => {}
        None if authority.needs_trust => return Err(side.missing),
        None => {}
    }
    let found = by_identity(asked, policies)?;
    Ok(match side.grant {
        Some((by, _)) if authority.needs_trust => Reason::Allowed { by, and: Some(found) },
        _ => Reason::by(By::Statement(found)),
    })
}

/// What the principal's own account allows: a policy of theirs, within their boundary and session.
fn by_identity<'a>(asked: &Asked<'a>, policies: &Policies<'a>) -> Result<Found<'a>, Missing> {
    let found = first_allow(policies.identity, asked).ok_or(Missing::Identity)?;
    bounds(asked, policies)?;
    Ok(found)
}

/// Whether boundary and session policies leave it in.
fn bounds<'a>(asked: &Asked<'a>, policies: &Policies<'a>) -> Result<(), Missing> {
    if let Some(boundary) = &policies.boundary {
        first_allow(std::slice::from_ref(boundary), asked).ok_or(Missing::Boundary)?;
    }
    if let Some(session) = policies.session {
        first_allow(session, asked).ok_or(Missing::Session)?;
    }
    Ok(())
}

/// Decides without policies: the operator may do everything and nobody else anything.
pub fn authorize(principal: &Principal<'_>, action: Action, resource: &Resource<'_>) -> Decision<'static> {
    let _ = (action, resource);
    match principal {
        principal if principal.is_operator() => Decision::allowed(Reason::Operator),
        Principal::Anonymous => Decision::denied(Reason::Missing(Missing::NotSigned)),
        _ => Decision::denied(Reason::Missing(Missing::Identity)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::owner;

    #[test]
    fn without_policies_the_operator_may_do_everything_and_nobody_else_anything() {
        let (root, other) = (owner(AccountId::ROOT.0), owner(7));
        for &action in Action::ALL {
            let ask = |principal| authorize(&principal, action, &Resource::Service);
            assert_eq!(ask(Principal::Account(&root)), Decision::allowed(Reason::Operator));
            assert_eq!(ask(Principal::Anonymous), Decision::denied(Reason::Missing(Missing::NotSigned)));
            assert!(!ask(Principal::Account(&other)).allowed);
        }
    }
}
