//! Making, showing and removing identities.

use std::sync::Arc;

use authz::{Policy, PolicyKind};
use index::command::{
    AccessKeyRow, AccountRow, BUILT_IN_POLICIES, IdentityChange, IdentityKind, IdentityName, IdentityRow, PolicyRow,
    PolicyVersionRow, SealedSecret,
};
use index::query::{AccessKeyView, IdentityAnswer, IdentityQuery, InlinePolicy};
use index::{Answer, Command, CommandBody, IndexError, IndexService, Query, QueryAnswer};
use platform::Entropy;
use types::{AccessKeyId, AccountId, CanonicalId, Owner, RequestNumber, SecretKey, Timestamp};

use crate::letters::{SECRET_KEY_LETTERS, letters, unique_id};
use crate::names::{
    check_access_key, check_account, check_canonical_id, check_name, check_path, check_secret, check_text,
};
use crate::{IamError, built_in};

/// Rows that are asked for at once.
const PAGE: usize = 1000;

/// An account to be made. What is not given is made up.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Its number.
    pub id: Option<AccountId>,
    /// Its canonical id.
    pub canonical_id: Option<CanonicalId>,
    /// What people call it.
    pub display_name: String,
    /// Its email.
    pub email: Option<String>,
}

/// A user or group to be made.
#[derive(Debug, Clone)]
pub struct NewIdentity {
    /// The account.
    pub account: AccountId,
    /// What it is.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
    /// Its path; `/` where none is given.
    pub path: Option<String>,
}

/// A key to be made: both halves are given, or made up.
#[derive(Debug, Clone, Default)]
pub struct NewAccessKey {
    /// What requests name.
    pub id: Option<AccessKeyId>,
    /// What they are signed with.
    pub secret: Option<SecretKey>,
}

/// Identities of the cluster.
#[derive(Clone)]
pub struct Identities {
    index: Arc<dyn IndexService>,
    entropy: Arc<dyn Entropy>,
}

impl Identities {
    /// Those that `index` has.
    pub fn new(index: Arc<dyn IndexService>, entropy: Arc<dyn Entropy>) -> Self {
        Self { index, entropy }
    }

    async fn change(&self, change: IdentityChange) -> Result<Answer, IamError> {
        let body = CommandBody::ChangeIdentity(Box::new(change));
        match self.index.propose(Command { request: None, answered: RequestNumber(0), body }).await? {
            Answer::Refused(refusal) => Err(refusal.into()),
            answer => Ok(answer),
        }
    }

    /// Makes a change that is answered with nothing.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn apply(&self, change: IdentityChange) -> Result<(), IamError> {
        match self.change(change).await? {
            Answer::Done | Answer::PolicyVersion(_) => Ok(()),
            other => Err(misanswered(&other)),
        }
    }

    async fn ask(&self, query: IdentityQuery) -> Result<IdentityAnswer, IamError> {
        match self.index.query(Query::Identities(Box::new(query))).await? {
            QueryAnswer::Identities(answer) => Ok(answer),
            other => Err(misanswered(&other)),
        }
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn create_account(&self, wish: NewAccount) -> Result<Owner, IamError> {
        let id = wish.id.unwrap_or_else(|| self.number());
        check_account(id)?;
        check_text("a display name", &wish.display_name)?;
        check_text("an email", wish.email.as_deref().unwrap_or_default())?;
        let canonical_id = wish.canonical_id.unwrap_or_else(|| self.canonical_id());
        check_canonical_id(&canonical_id)?;
        let owner = Owner { account: id, canonical_id, display_name: wish.display_name.into() };
        let row = AccountRow {
            owner: owner.clone(),
            email: wish.email.map(Into::into),
            created: Timestamp(0),
            access_keys: Vec::new(),
            tags: Vec::new(),
        };
        self.apply(IdentityChange::CreateAccount(Box::new(row))).await?;
        Ok(owner)
    }

    /// Twelve digits, the first of which is no 0.
    fn number(&self) -> AccountId {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        AccountId(200_000_000_000 + u64::from_be_bytes(bytes) % 800_000_000_000)
    }

    fn canonical_id(&self) -> CanonicalId {
        let halves = [self.entropy.id(), self.entropy.id()].map(u128::from_be_bytes);
        CanonicalId(format!("{:032x}{:032x}", halves[0], halves[1]).into())
    }

    /// Makes a user or group.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn create(&self, wish: NewIdentity) -> Result<IdentityRow, IamError> {
        let NewIdentity { account, kind, name, path } = wish;
        check_name(&name, if kind == IdentityKind::Group { 128 } else { 64 })?;
        let path = path.unwrap_or_else(|| "/".to_owned());
        check_path(&path)?;
        let prefix = match kind {
            IdentityKind::User => "AIDA",
            IdentityKind::Group => "AGPA",
            IdentityKind::Role => "AROA",
        };
        let row = IdentityRow {
            kind,
            name: name.into(),
            path: path.into(),
            id: unique_id(&*self.entropy, prefix).into(),
            created: Timestamp(0),
            tags: Vec::new(),
            attached: Vec::new(),
            boundary: None,
            access_keys: Vec::new(),
            groups: Vec::new(),
            role: None,
        };
        self.apply(IdentityChange::Create { account, row: Box::new(row.clone()) }).await?;
        Ok(row)
    }

    /// Makes a key of a user or, without one, of an account's root. The secret is answered this once.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn create_access_key(
        &self,
        account: AccountId,
        user: Option<String>,
        wish: NewAccessKey,
    ) -> Result<(AccessKeyId, SecretKey), IamError> {
        let made_up = || AccessKeyId(unique_id(&*self.entropy, "AKIA")[..20].into());
        let id = wish.id.unwrap_or_else(made_up);
        let secret = wish.secret.unwrap_or_else(|| SecretKey(letters(&*self.entropy, SECRET_KEY_LETTERS).into()));
        check_access_key(&id.0)?;
        check_secret(&secret.0)?;
        let row = AccessKeyRow {
            id: id.clone(),
            secret: SealedSecret { scheme: 0, key: 0, bytes: secret.0.as_bytes().to_vec() },
            account,
            user: user.map(Into::into),
            active: true,
            created: Timestamp(0),
        };
        self.apply(IdentityChange::CreateAccessKey(Box::new(row))).await?;
        Ok((id, secret))
    }

    /// Makes a managed policy.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn create_policy(&self, account: AccountId, name: String, document: String) -> Result<String, IamError> {
        check_name(&name, 128)?;
        Policy::identity(document.as_bytes(), PolicyKind::Managed).map_err(IamError::MalformedPolicy)?;
        let row = PolicyRow {
            name: name.into(),
            path: "/".into(),
            id: unique_id(&*self.entropy, "ANPA").into(),
            description: "".into(),
            created: Timestamp(0),
            updated: Timestamp(0),
            tags: Vec::new(),
            default_version: 1,
            next_version: 2,
            versions: vec![PolicyVersionRow { number: 1, document: document.into(), created: Timestamp(0) }],
            attachments: 0,
            boundaries: 0,
        };
        let arn = row.arn(account);
        self.apply(IdentityChange::CreatePolicy { account, row: Box::new(row) }).await?;
        Ok(arn)
    }

    /// Attaches a managed policy, by its ARN or by its name: one of the account, else one that is built in.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn attach(&self, identity: IdentityName, policy: &str) -> Result<(), IamError> {
        let arn = self.arn_of(identity.account, policy).await?;
        self.apply(IdentityChange::Attach { identity, arn: arn.into() }).await
    }

    /// Detaches one.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn detach(&self, identity: IdentityName, policy: &str) -> Result<(), IamError> {
        let arn = self.arn_of(identity.account, policy).await?;
        self.apply(IdentityChange::Detach { identity, arn: arn.into() }).await
    }

    /// Sets a user's permissions boundary, or removes it.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn set_boundary(&self, identity: IdentityName, policy: Option<&str>) -> Result<(), IamError> {
        let arn = match policy {
            None => None,
            Some(policy) => Some(self.arn_of(identity.account, policy).await?.into()),
        };
        self.apply(IdentityChange::SetBoundary { identity, arn }).await
    }

    /// Sets an inline policy, or removes it.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn set_inline_policy(
        &self,
        identity: IdentityName,
        name: String,
        document: Option<String>,
    ) -> Result<(), IamError> {
        check_name(&name, 128)?;
        if let Some(document) = &document {
            let kind = match identity.kind {
                IdentityKind::User => PolicyKind::UserInline,
                IdentityKind::Group => PolicyKind::GroupInline,
                IdentityKind::Role => PolicyKind::RoleInline,
            };
            Policy::identity(document.as_bytes(), kind).map_err(IamError::MalformedPolicy)?;
        }
        let (policy, document) = (name.into(), document.map(Into::into));
        self.apply(IdentityChange::SetInlinePolicy { identity, policy, document }).await
    }

    async fn arn_of(&self, account: AccountId, policy: &str) -> Result<String, IamError> {
        let no_policy = IamError::NoSuchEntity("policy");
        if policy.starts_with("arn:") {
            let is_unknown = policy.starts_with(BUILT_IN_POLICIES) && built_in::document(policy).is_none();
            return if is_unknown { Err(no_policy) } else { Ok(policy.to_owned()) };
        }
        let query = IdentityQuery::Policy { account, name: policy.to_owned() };
        if let IdentityAnswer::Policies(found) = self.ask(query).await?
            && let Some(row) = found.first()
        {
            return Ok(row.arn(account));
        }
        let arn = format!("{BUILT_IN_POLICIES}{policy}");
        built_in::document(&arn).ok_or(no_policy)?;
        Ok(arn)
    }

    /// All accounts but the first.
    ///
    /// # Errors
    /// [`IamError::Index`].
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, IamError> {
        let mut all: Vec<AccountRow> = Vec::new();
        loop {
            let after = all.last().map(|row| row.owner.account);
            match self.ask(IdentityQuery::Accounts { after, limit: PAGE }).await? {
                IdentityAnswer::Accounts(rows) if rows.is_empty() => return Ok(all),
                IdentityAnswer::Accounts(rows) => all.extend(rows),
                other => return Err(misanswered(&other)),
            }
        }
    }

    /// All users or groups of an account.
    ///
    /// # Errors
    /// [`IamError::Index`].
    pub async fn list(&self, account: AccountId, kind: IdentityKind) -> Result<Vec<IdentityRow>, IamError> {
        let mut all: Vec<IdentityRow> = Vec::new();
        loop {
            let after = all.last().map(|row| row.name.to_string()).unwrap_or_default();
            match self.ask(IdentityQuery::List { account, kind, after, limit: PAGE }).await? {
                IdentityAnswer::Identities(rows) if rows.is_empty() => return Ok(all),
                IdentityAnswer::Identities(rows) => all.extend(rows),
                other => return Err(misanswered(&other)),
            }
        }
    }

    /// One of them with its inline policies.
    ///
    /// # Errors
    /// [`IamError::NoSuchEntity`], [`IamError::Index`].
    pub async fn get(&self, identity: IdentityName) -> Result<(IdentityRow, Vec<InlinePolicy>), IamError> {
        match self.ask(IdentityQuery::Get(identity)).await? {
            IdentityAnswer::Identity(Some(found)) => Ok(*found),
            IdentityAnswer::Identity(None) => Err(IamError::NoSuchEntity("user, group or role")),
            other => Err(misanswered(&other)),
        }
    }

    /// The keys of a user or an account's root, without their secrets.
    ///
    /// # Errors
    /// [`IamError::Index`].
    pub async fn access_keys(&self, account: AccountId, user: Option<String>) -> Result<Vec<AccessKeyView>, IamError> {
        match self.ask(IdentityQuery::AccessKeys { account, user }).await? {
            IdentityAnswer::AccessKeys(keys) => Ok(keys),
            other => Err(misanswered(&other)),
        }
    }

    /// All managed policies of an account.
    ///
    /// # Errors
    /// [`IamError::Index`].
    pub async fn policies(&self, account: AccountId) -> Result<Vec<PolicyRow>, IamError> {
        let mut all: Vec<PolicyRow> = Vec::new();
        loop {
            let after = all.last().map(|row| row.name.to_string()).unwrap_or_default();
            match self.ask(IdentityQuery::Policies { account, after, limit: PAGE }).await? {
                IdentityAnswer::Policies(rows) if rows.is_empty() => return Ok(all),
                IdentityAnswer::Policies(rows) => all.extend(rows),
                other => return Err(misanswered(&other)),
            }
        }
    }
}

fn misanswered(answer: &dyn std::fmt::Debug) -> IamError {
    IndexError::Damaged { reason: format!("a question about identities was answered with {answer:?}") }.into()
}
