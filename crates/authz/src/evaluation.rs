//! One question, prepared for comparing it with many statements: names spelt once, keys answered by whoever knows them.

use std::cell::Cell;

use types::AccountId;

use crate::action::Action;
use crate::arn::Arn;
use crate::context::{Key, KeyName, RequestContext, Value, Values};
use crate::principal::{IdentityText, Principal};
use crate::resource::{Resource, ResourceText};

/// Whether a principal may do an action to a resource.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// What they ask to do.
    pub action: Action,
    /// What they ask to do it to.
    pub resource: Resource<'a>,
    /// What else there is to know.
    pub context: &'a dyn RequestContext,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("principal", &self.principal)
            .field("action", &self.action)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// A [`Request`] with its names spelt.
pub(crate) struct Asked<'a> {
    pub(crate) principal: Principal<'a>,
    pub(crate) action: Action,
    pub(crate) resource: ResourceText<'a>,
    /// Empty where the principal has none.
    pub(crate) principal_arn: IdentityText,
    /// The role's, where the principal is a session.
    pub(crate) role_arn: Option<IdentityText>,
    pub(crate) resource_account: Option<AccountId>,
    /// How many bytes of patterns and texts may still be compared.
    pub(crate) steps_left: Cell<u64>,
    context: &'a dyn RequestContext,
}

/// How many bytes one decision compares at most with patterns that have wildcards or variables: some 10 ms. What is
/// written to be of use needs a thousandth of that. Beyond it no Allow applies any more, and every Deny that could.
const STEPS_MAX: u64 = 8 << 20;

impl<'a> Asked<'a> {
    /// Spells the names; `bucket_account` is the account of the bucket that it is about.
    pub(crate) fn new(request: &Request<'a>, bucket_account: Option<AccountId>) -> Self {
        let resource_account = match request.resource {
            Resource::Identity(arn) => Arn::parse(arn).ok().and_then(|arn| arn.account),
            Resource::Service => request.principal.account(),
            Resource::Bucket(_) | Resource::Object { .. } => bucket_account,
        };
        Self {
            principal: request.principal,
            action: request.action,
            resource: request.resource.text(request.action.vendor()),
            principal_arn: request.principal.arn(),
            role_arn: request.principal.role_arn(),
            resource_account,
            steps_left: Cell::new(STEPS_MAX),
            context: request.context,
        }
    }

    /// What the request has of `key`: of what is known here by itself, else by the caller.
    pub(crate) fn values(&self, key: Key<'_>) -> Values<'_> {
        let account = |account: Option<AccountId>| Values::optional(account.map(|account| account.to_string()));
        match key.name {
            KeyName::PrincipalArn => match (&self.role_arn, self.principal_arn.as_bytes()) {
                (Some(role), _) => Values::One(role.as_bytes().into()),
                (None, []) => Values::Absent,
                (None, arn) => Values::One(arn.into()),
            },
            KeyName::PrincipalAccount => account(self.principal.account()),
            KeyName::ResourceAccount | KeyName::S3ResourceAccount => account(self.resource_account),
            KeyName::PrincipalType => self.principal.kind().into(),
            KeyName::PrincipalIsAwsService => Value::Bool(matches!(self.principal, Principal::Service(_))).into(),
            KeyName::PrincipalServiceName => match self.principal {
                Principal::Service(service) => service.into(),
                _ => Values::Absent,
            },
            KeyName::FederatedProvider => match self.principal {
                Principal::WebIdentity(provider) => provider.into(),
                _ => self.context.values(key),
            },
            KeyName::UserId => Values::One(self.principal.user_id().into()),
            KeyName::UserName => match self.principal {
                Principal::User(user) => user.name.into(),
                _ => Values::Absent,
            },
            _ => self.context.values(key),
        }
    }
}
