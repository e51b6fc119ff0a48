//! May this principal do this? A decision and its reason.
//!
//! Pure: no I/O, no clock. A caller brings who asks ([`Principal`]), for what ([`Action`], [`Resource`]), what else
//! there is to know ([`RequestContext`], asked only as far as a policy does) and the policies, ACLs and settings that
//! bear on it ([`Policies`]); [`decide`] says yes or no and why. docs/decisions/0013-authorization.md has the order.
//! This crate doesn't know who signed a request (`sigv4`), where policies are kept (`index`), or what the answer looks
//! like (`s3-wire`).

mod acl;
mod action;
mod arn;
mod condition;
mod context;
mod decision;
mod evaluation;
mod glob;
mod inline_text;
mod ownership;
mod pattern;
mod policy;
mod principal;
mod public_access;
mod resource;

pub use acl::{Acl, AclError, CannedAcl, Grant, Grantee, GranteeName, Group, Permission};
pub use action::{Action, ActionVendor, ResourceKind};
pub use arn::{Arn, ArnError, Namespace};
pub use context::{EmptyContext, Key, KeyName, RequestContext, Value, Values};
pub use decision::{
    Absence, Attached, BucketFacts, By, Considered, Decision, Found, Missing, ObjectFacts, Policies, Reason, Source,
    StatementOutcome, authorize, decide, decide_absence, explain,
};
pub use evaluation::Request;
pub use ownership::ObjectOwnership;
pub use policy::{Effect, Policy, PolicyError, PolicyKind, PrincipalPattern, Version};
pub use principal::{Principal, RoleSession, User};
pub use public_access::PublicAccessBlock;
pub use resource::Resource;
