//! `cairn admin account|user|group|key|policy ...`: who may sign requests, and what they may do.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use types::SecretKey;

use crate::client::{AdminClient, AdminClientError};
use crate::identities::{GivenKey, IdentityWish, Listed, ListedIdentity, ListedOf, MadeIdentity};

/// A key that is given.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// The access key, instead of one that is made up
    #[arg(long, value_name = "KEY")]
    access_key: Option<String>,
    /// Its secret, instead of one that is made up; better in CAIRN_NEW_SECRET_KEY, which no list of processes shows
    #[arg(long, env = "CAIRN_NEW_SECRET_KEY", hide_env_values = true, value_name = "SECRET")]
    secret_key: Option<String>,
}

impl From<KeyArgs> for GivenKey {
    fn from(given: KeyArgs) -> Self {
        let secret_key = given.secret_key.map(|secret| SecretKey(secret.into()));
        Self { access_key: given.access_key, secret_key }
    }
}

/// Of which account.
#[derive(Debug, Clone, Args)]
pub struct AccountArg {
    /// The account's twelve digits; the operator's, unless given
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

/// Verbs of `cairn admin account`.
#[derive(Debug, Clone, Subcommand)]
pub enum AccountCommand {
    /// Make an account, and print a key of its root, this once
    Add {
        /// What S3 shows as the owner's name
        display_name: String,
        /// Twelve digits
        #[arg(long, value_name = "ACCOUNT")]
        id: Option<String>,
        /// What S3 shows as the owner's id
        #[arg(long, value_name = "ID")]
        canonical_id: Option<String>,
        /// Its email, by which ACLs may name it
        #[arg(long)]
        email: Option<String>,
        /// Its root's key
        #[command(flatten)]
        key: KeyArgs,
    },
    /// All accounts but the operator's
    List,
    /// Remove an account that has no buckets, users and policies any more
    Remove {
        /// Its twelve digits
        account: String,
    },
}

/// Verbs of `cairn admin user`.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Make a user, and print a key, this once
    Add {
        /// The name
        name: String,
        /// `/`, or `/division/team/`
        #[arg(long)]
        path: Option<String>,
        /// A managed policy to attach, by name or ARN; may be repeated
        #[arg(long, value_name = "POLICY")]
        policy: Vec<String>,
        /// The account
        #[command(flatten)]
        account: AccountArg,
        /// The key
        #[command(flatten)]
        key: KeyArgs,
    },
    /// All users of an account
    List(AccountArg),
    /// Remove a user with all keys
    Remove {
        /// The name
        name: String,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
}

/// Verbs of `cairn admin group`.
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// Make a group
    Add {
        /// The name
        name: String,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
    /// All groups of an account
    List(AccountArg),
    /// Remove a group; its users stay
    Remove {
        /// The name
        name: String,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
    /// Put a user into a group
    Join {
        /// The group
        group: String,
        /// The user
        user: String,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
    /// Take a user out of a group
    Leave {
        /// The group
        group: String,
        /// The user
        user: String,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
}

/// Verbs of `cairn admin key`.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Make another key of a user or an account's root, and print it, this once
    Add {
        /// The user; the account's root, unless given
        #[arg(long)]
        user: Option<String>,
        /// The account
        #[command(flatten)]
        account: AccountArg,
        /// The key
        #[command(flatten)]
        key: KeyArgs,
    },
    /// All keys of a user or an account's root
    List {
        /// The user; the account's root, unless given
        #[arg(long)]
        user: Option<String>,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
    /// Have a key count no more, until it is enabled
    Disable {
        /// The access key
        key: String,
    },
    /// Have a key count again
    Enable {
        /// The access key
        key: String,
    },
    /// Remove a key
    Remove {
        /// The access key
        key: String,
    },
}

/// To whom a policy is attached.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct HolderArg {
    /// The user
    #[arg(long)]
    user: Option<String>,
    /// The group
    #[arg(long)]
    group: Option<String>,
}

/// Verbs of `cairn admin policy`.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Make a managed policy
    Add {
        /// The name
        name: String,
        /// A file with its JSON
        document: PathBuf,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
    /// All managed policies of an account, and those that every account has
    List(AccountArg),
    /// Remove a managed policy that is attached to nothing
    Remove {
        /// The name
        name: String,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
    /// Attach a managed policy: readonly, readwrite, writeonly, consoleAdmin, AdministratorAccess, or one of the account's
    Attach {
        /// The policy, by name or ARN
        policy: String,
        /// To whom
        #[command(flatten)]
        holder: HolderArg,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
    /// Detach a managed policy
    Detach {
        /// The policy, by name or ARN
        policy: String,
        /// From whom
        #[command(flatten)]
        holder: HolderArg,
        /// The account
        #[command(flatten)]
        account: AccountArg,
    },
}

/// What a verb comes to.
pub(crate) enum Wish {
    Change(IdentityWish),
    List(Listed, ListedOf),
}

fn list(what: Listed, account: AccountArg) -> Wish {
    Wish::List(what, ListedOf { account: account.account, user: None })
}

impl From<AccountCommand> for Wish {
    fn from(command: AccountCommand) -> Self {
        Self::Change(match command {
            AccountCommand::Add { display_name, id, canonical_id, email, key } => {
                IdentityWish::AddAccount { id, canonical_id, display_name, email, key: key.into() }
            }
            AccountCommand::List => return Self::List(Listed::Accounts, ListedOf::default()),
            AccountCommand::Remove { account } => IdentityWish::RemoveAccount { account },
        })
    }
}

impl From<UserCommand> for Wish {
    fn from(command: UserCommand) -> Self {
        Self::Change(match command {
            UserCommand::Add { name, path, policy, account: AccountArg { account }, key } => {
                IdentityWish::AddUser { account, name, path, policies: policy, key: key.into() }
            }
            UserCommand::List(account) => return list(Listed::Users, account),
            UserCommand::Remove { name, account: AccountArg { account } } => IdentityWish::RemoveUser { account, name },
        })
    }
}

impl From<GroupCommand> for Wish {
    fn from(command: GroupCommand) -> Self {
        Self::Change(match command {
            GroupCommand::Add { name, account: AccountArg { account } } => IdentityWish::AddGroup { account, name },
            GroupCommand::List(account) => return list(Listed::Groups, account),
            GroupCommand::Remove { name, account: AccountArg { account } } => {
                IdentityWish::RemoveGroup { account, name }
            }
            GroupCommand::Join { group, user, account: AccountArg { account } } => {
                IdentityWish::SetMember { account, group, user, member: true }
            }
            GroupCommand::Leave { group, user, account: AccountArg { account } } => {
                IdentityWish::SetMember { account, group, user, member: false }
            }
        })
    }
}

impl From<KeyCommand> for Wish {
    fn from(command: KeyCommand) -> Self {
        Self::Change(match command {
            KeyCommand::Add { user, account: AccountArg { account }, key } => {
                IdentityWish::AddKey { account, user, key: key.into() }
            }
            KeyCommand::List { user, account: AccountArg { account } } => {
                return Self::List(Listed::Keys, ListedOf { account, user });
            }
            KeyCommand::Disable { key } => IdentityWish::SetKey { access_key: key, active: false },
            KeyCommand::Enable { key } => IdentityWish::SetKey { access_key: key, active: true },
            KeyCommand::Remove { key } => IdentityWish::RemoveKey { access_key: key },
        })
    }
}

impl PolicyCommand {
    /// # Errors
    /// [`AdminClientError::Policy`]: the file cannot be read.
    pub(crate) fn wish(self) -> Result<Wish, AdminClientError> {
        let set = |account: AccountArg, holder: HolderArg, policy, attached| IdentityWish::SetPolicy {
            account: account.account,
            user: holder.user,
            group: holder.group,
            policy,
            attached,
        };
        Ok(Wish::Change(match self {
            Self::Add { name, document, account: AccountArg { account } } => {
                let text = crate::client::read_file(&document).and_then(|text| String::from_utf8(text).ok());
                let document = text.ok_or(AdminClientError::Policy { path: document })?;
                IdentityWish::AddPolicy { account, name, document }
            }
            Self::List(account) => return Ok(list(Listed::Policies, account)),
            Self::Remove { name, account: AccountArg { account } } => IdentityWish::RemovePolicy { account, name },
            Self::Attach { policy, holder, account } => set(account, holder, policy, true),
            Self::Detach { policy, holder, account } => set(account, holder, policy, false),
        }))
    }
}

/// Carries out a verb.
///
/// # Errors
/// [`AdminClientError`].
pub(crate) async fn run(client: &AdminClient, wish: Wish, json: bool) -> Result<(), AdminClientError> {
    match wish {
        Wish::Change(wish) => {
            let made = client.change_identities(&wish).await?;
            if json {
                println!("{}", serde_json::to_string(&made).expect("plain data is JSON"));
            } else {
                print!("{}", made_lines(&made));
            }
        }
        Wish::List(what, of) => {
            let listed = client.identities(what, &of).await?;
            crate::cli::print_list(&listed, json, |listed| listed.iter().map(line_of).collect());
        }
    }
    Ok(())
}

fn made_lines(made: &MadeIdentity) -> String {
    let MadeIdentity { account, canonical_id, arn, access_key, secret_key } = made;
    let mut lines = String::new();
    let named = [("account", account), ("canonical id", canonical_id), ("arn", arn)];
    for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        lines += &format!("{name:12}  {value}\n");
    }
    if let (Some(access_key), Some(secret_key)) = (access_key, secret_key) {
        // These lines can be put into a file of settings as they are.
        lines += "the secret is shown this once:\n";
        lines += &format!("AWS_ACCESS_KEY_ID={access_key}\nAWS_SECRET_ACCESS_KEY={}\n", secret_key.0);
    }
    if lines.is_empty() { "done; all gateways go by it within a second\n".to_owned() } else { lines }
}

fn line_of(listed: &ListedIdentity) -> String {
    let ListedIdentity { name, id, display_name, email, policies, groups, access_keys, active, .. } = listed;
    let mut line = name.clone();
    for text in [id, display_name, email.as_ref().unwrap_or(&String::new())] {
        if !text.is_empty() {
            line += &format!("  {text}");
        }
    }
    if let Some(active) = active {
        line += if *active { "  active" } else { "  inactive" };
    }
    for (what, all) in [("policies", policies), ("groups", groups), ("keys", access_keys)] {
        if !all.is_empty() {
            line += &format!("  {what}: {}", all.join(", "));
        }
    }
    line + "\n"
}
