//! `Principal` and `NotPrincipal` (IAM User Guide, "AWS JSON policy elements: Principal").

use types::AccountId;

use super::json::Json;
use super::raw::{Element, texts};
use super::{Effect, PolicyError, PolicyKind};
use crate::arn::{Arn, Namespace, account_digits, parse_account};
use crate::evaluation::Asked;
use crate::principal::Principal;

/// Whom a statement is about.
#[derive(Debug, Clone)]
pub(crate) enum Principals {
    /// Whoever has the policy.
    Holder,
    /// Those.
    Only(Box<[PrincipalPattern]>),
    /// All but those.
    Except(Box<[PrincipalPattern]>),
}

/// Somebody whom a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalPattern {
    /// `*`: everybody, signed or not.
    Everyone,
    /// An account.
    Account(AccountId),
    /// A user, role or session; without an account it is that which has the resource.
    Identity {
        /// The account.
        account: Option<AccountId>,
        /// `user/path/name`, `role/path/name` or `assumed-role/name/session`.
        name: Box<str>,
    },
    /// An account, by its canonical id.
    CanonicalUser(Box<str>),
    /// Those whom an identity provider vouches for.
    Federated(Box<str>),
    /// A service.
    Service(Box<str>),
}

/// How directly an Allow names whom it allows (IAM User Guide, "Resource-based policies and implicit denies in other
/// policy types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// By their account, which must allow them itself.
    Account,
    /// By the role that they have taken on: boundary and session policies still bound them.
    Role,
    /// As who they are.
    Direct,
}

impl Principals {
    /// Reads the element of a statement.
    ///
    /// # Errors
    /// [`PolicyError`] in the words for `kind`.
    pub(crate) fn parse(element: Option<Element<Json>>, effect: Effect, kind: PolicyKind) -> Result<Self, PolicyError> {
        let Some(Element { negated, value }) = element else {
            let missing = kind.names_principals();
            return if missing { Err(PolicyError::MissingField("Principal")) } else { Ok(Self::Holder) };
        };
        if !kind.names_principals() {
            return Err(PolicyError::PrincipalInIdentity);
        }
        if negated && effect == Effect::Allow {
            return Err(PolicyError::AllowNotPrincipal);
        }
        if negated && kind == PolicyKind::Trust {
            return Err(PolicyError::TrustNotPrincipal);
        }
        let patterns = match value {
            Json::Text(_) if kind == PolicyKind::Trust => return Err(PolicyError::PrincipalForm),
            Json::Text(text) if text == "*" => Box::new([PrincipalPattern::Everyone]),
            Json::Object(members) => read_members(members)?,
            _ => return Err(PolicyError::Principal),
        };
        if patterns.is_empty() {
            return Err(PolicyError::MissingField("Principal cannot be empty!"));
        }
        Ok(if negated { Self::Except(patterns) } else { Self::Only(patterns) })
    }

    /// Those that are named.
    pub(crate) fn patterns(&self) -> &[PrincipalPattern] {
        match self {
            Self::Holder => &[],
            Self::Only(patterns) | Self::Except(patterns) => patterns,
        }
    }

    /// Whether the statement is about who asks, and how directly it names them.
    pub(crate) fn reach(&self, asked: &Asked<'_>) -> Option<Reach> {
        match self {
            Self::Holder => Some(Reach::Direct),
            Self::Only(patterns) => patterns.iter().filter_map(|pattern| pattern.reach(asked)).max(),
            Self::Except(patterns) => (!excepts(patterns, asked)).then_some(Reach::Direct),
        }
    }
}

fn read_members(members: Vec<(String, Json)>) -> Result<Box<[PrincipalPattern]>, PolicyError> {
    let mut patterns = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (kind, value) in members {
        if seen.contains(&kind) {
            return Err(PolicyError::AlreadyHas(kind));
        }
        for text in texts(value).ok_or(PolicyError::Principal)? {
            patterns.push(PrincipalPattern::parse(&kind, &text).ok_or(PolicyError::Principal)?);
        }
        seen.push(kind);
    }
    Ok(patterns.into())
}

impl PrincipalPattern {
    fn parse(kind: &str, text: &str) -> Option<Self> {
        match kind {
            "AWS" => Self::parse_aws(text),
            "CanonicalUser" if is_name(text) => Some(Self::CanonicalUser(text.into())),
            "Federated" if is_name(text) => Some(Self::Federated(text.into())),
            "Service" if is_name(text) => Some(Self::Service(text.into())),
            _ => None,
        }
    }

    fn parse_aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everyone);
        }
        if let Some(account) = parse_account(text) {
            return Some(Self::Account(account));
        }
        let arn = Arn::parse(text).ok()?;
        let named =
            |kind: &str| arn.resource.strip_prefix(kind).is_some_and(|name| is_name(name) && !name.ends_with('/'));
        let identity = Some(Self::Identity { account: arn.account, name: arn.resource.into() });
        match (arn.namespace, arn.account) {
            _ if !arn.region.is_empty() => None,
            (Namespace::Iam, Some(account)) if arn.resource == "root" => Some(Self::Account(account)),
            (Namespace::Iam, _) if named("user/") || named("role/") => identity,
            (Namespace::Sts, Some(_)) if named("assumed-role/") || named("federated-user/") => identity,
            _ => None,
        }
    }

    /// Whether it is who asks, and how directly.
    fn reach(&self, asked: &Asked<'_>) -> Option<Reach> {
        match self {
            // Who comes by an identity provider must be named by it.
            Self::Everyone => (!matches!(asked.principal, Principal::WebIdentity(_))).then_some(Reach::Direct),
            Self::Account(_) | Self::CanonicalUser(_) => self.names_account_of(asked).then_some(Reach::Account),
            Self::Identity { account, name } => identity_reach(*account, name, asked),
            Self::Federated(provider) => {
                matches!(asked.principal, Principal::WebIdentity(found) if *found == **provider)
                    .then_some(Reach::Direct)
            }
            Self::Service(service) => {
                matches!(asked.principal, Principal::Service(found) if *found == **service).then_some(Reach::Direct)
            }
        }
    }

    fn names_account_of(&self, asked: &Asked<'_>) -> bool {
        match self {
            Self::Account(account) => asked.principal.account() == Some(*account),
            Self::CanonicalUser(id) => asked.principal.canonical_id().is_some_and(|found| found.0 == *id),
            _ => false,
        }
    }

    /// Whether it names more than one fixed somebody.
    pub(crate) const fn is_public(&self) -> bool {
        // Anybody can have an account at an identity provider.
        matches!(self, Self::Everyone | Self::Federated(_))
    }
}

fn identity_reach(account: Option<AccountId>, name: &str, asked: &Asked<'_>) -> Option<Reach> {
    let account = account.or(asked.resource_account)?;
    let digits = account_digits(account);
    let is = |arn: &[u8]| {
        let namespace: &[u8] = if name.starts_with("user/") || name.starts_with("role/") { b"iam" } else { b"sts" };
        arn.strip_prefix(b"arn:aws:".as_slice())
            .and_then(|rest| rest.strip_prefix(namespace))
            .and_then(|rest| rest.strip_prefix(b"::".as_slice()))
            .and_then(|rest| rest.strip_prefix(digits.as_slice()))
            .and_then(|rest| rest.strip_prefix(b":".as_slice()))
            == Some(name.as_bytes())
    };
    if is(asked.principal_arn.as_bytes()) {
        return Some(Reach::Direct);
    }
    asked.role_arn.as_ref().is_some_and(|role| is(role.as_bytes())).then_some(Reach::Role)
}

/// Whether `NotPrincipal` leaves who asks out. AWS looks at the account, then at who in it: a user is left out only if
/// both are listed, a session if its account, its role and itself are.
fn excepts(patterns: &[PrincipalPattern], asked: &Asked<'_>) -> bool {
    let listed = |reach| patterns.iter().any(|pattern| pattern.reach(asked) == Some(reach));
    if patterns.contains(&PrincipalPattern::Everyone) {
        return true;
    }
    match asked.principal {
        Principal::Anonymous => false,
        Principal::Account(_) => listed(Reach::Account),
        Principal::User(_) => listed(Reach::Account) && listed(Reach::Direct),
        Principal::Session(_) => listed(Reach::Account) && listed(Reach::Role) && listed(Reach::Direct),
        Principal::WebIdentity(_) | Principal::Service(_) => listed(Reach::Direct),
    }
}

/// A name of somebody fixed: not empty, without wildcards.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '?']) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
