//! All settings, each in one place: its name, default, flag, variable and line in the configuration file.
//!
//! Flags go before variables, variables before the file, the file before defaults. `config/cairn.toml` lists them all;
//! a test compares it with the defaults here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::quantity::{ByteCount, Span};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file isn't valid.
    #[error("the configuration file {path} is not valid: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
}

/// Declares each setting once: as an optional flag and variable ([`Layer`]), as an optional line of the file (the same
/// type), and as a value with a default ([`Settings`]). Groups are headings of the help, as in `config/cairn.toml`;
/// behind a setting's variable stand what its value looks like and which roles go by it ([`Of`]).
macro_rules! settings {
    ($($heading:literal {
        $($(#[doc = $doc:literal])+ $name:ident ($env:literal, $place:literal, $of:ident): $type:ty = $default:expr;)+
    })+) => {
        /// Settings that one source gives; absent ones are another source's.
        #[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Layer {
            $($(
                $(#[doc = $doc])+
                #[arg(long, env = $env, value_name = $place, help_heading = $heading)]
                pub $name: Option<$type>,
            )+)+
        }

        /// All settings.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $($($(#[doc = $doc])+ pub $name: $type,)+)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($($name: $default,)+)+ }
            }
        }

        /// Each setting's variable.
        pub const VARIABLES: &[&str] = &[$($($env,)+)+];

        impl Settings {
            /// Names of settings, as flags have them, with who goes by them and their values in text; empty where there is
            /// none.
            fn shown(&self) -> Vec<(&'static str, Of, String)> {
                vec![$($((stringify!($name), Of::$of, self.$name.to_string()),)+)+]
            }
        }

        impl Layer {
            /// These settings, and `lower`'s where these say nothing.
            #[must_use]
            pub fn over(self, lower: Self) -> Self {
                Self { $($($name: self.$name.or(lower.$name),)+)+ }
            }

            /// These settings, and the defaults where they say nothing.
            pub fn resolve(self) -> Settings {
                let defaults = Settings::default();
                Settings { $($($name: self.$name.unwrap_or(defaults.$name),)+)+ }
            }
        }
    };
}

/// Which roles go by a setting. All take all of them, so that one file or environment does for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// All.
    All,
    /// Whoever has disks: not gateways.
    Disks,
    /// Whoever serves S3: not nodes.
    S3,
}

impl Of {
    fn has(self, role: &str) -> bool {
        match self {
            Self::All => true,
            Self::Disks => role != "gateway",
            Self::S3 => role != "node",
        }
    }
}

settings! {
    "Addresses" {
        /// Where S3 is served
        listen ("CAIRN_LISTEN", "IP:PORT", S3): SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9000));
        /// Where the admin API, the health pages and /metrics are served
        admin_listen ("CAIRN_ADMIN_LISTEN", "IP:PORT", All): SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9001));
    }
    "Cluster" {
        /// Addresses of the cluster's nodes, host:port, the same list on every node; empty makes a cluster of one
        join ("CAIRN_JOIN", "HOST:PORT,...", All): CommaSeparated = CommaSeparated::default();
        /// Where other nodes and gateways are let in
        rpc_listen ("CAIRN_RPC_LISTEN", "IP:PORT", Disks): SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9002));
        /// Under which host:port others reach this node; empty is the one of --join that leads here
        rpc_address ("CAIRN_RPC_ADDRESS", "HOST:PORT", Disks): String = String::new();
        /// The rack that this node is in: data is spread over racks
        rack ("CAIRN_RACK", "NAME", Disks): String = String::new();
        /// The zone that this node is in: data is spread over zones
        zone ("CAIRN_ZONE", "NAME", Disks): String = String::new();
        /// How many nodes vote on each range of a new cluster; 0 follows the number of nodes (3, or 5 from five on)
        voters ("CAIRN_VOTERS", "NUMBER", Disks): usize = 0;
        /// After how much silence a node is down: its disks are left out until it is back
        node_down ("CAIRN_NODE_DOWN", "TIME", Disks): Span = Span(std::time::Duration::from_secs(10));
        /// After how much silence a node is given up: its vote and its data go to others
        node_out ("CAIRN_NODE_OUT", "TIME", Disks): Span = Span(std::time::Duration::from_secs(600));
    }
    "Names" {
        /// Domains under which a bucket is a host name, beside localhost, separated by commas
        domain ("CAIRN_DOMAIN", "DOMAIN,...", S3): CommaSeparated = CommaSeparated::default();
        /// The only region that signatures may name; empty takes any
        region ("CAIRN_REGION", "NAME", S3): String = String::new();
        /// Whose answers to give where AWS and public test suites differ: aws or rgw
        compat ("CAIRN_COMPAT", "WHOSE", S3): String = "aws".to_owned();
        /// Whether Signature Version 2 (HMAC-SHA1) counts, too: on or off; empty is on with compat rgw alone
        signature_v2 ("CAIRN_SIGNATURE_V2", "on|off", S3): String = String::new();
    }
    "TLS" {
        /// Certificate chain (PEM) to serve S3 and admin by TLS; read again when it changes
        tls_cert ("CAIRN_TLS_CERT", "FILE", All): OptionalPath = OptionalPath::default();
        /// Private key (PEM) of the certificate
        tls_key ("CAIRN_TLS_KEY", "FILE", All): OptionalPath = OptionalPath::default();
    }
    "Protection" {
        /// Data and parity shards of an object, K+M; empty follows the number of disks
        profile ("CAIRN_PROFILE", "K+M", All): String = String::new();
        /// Storage classes beside STANDARD, NAME=K+M, separated by commas
        storage_class ("CAIRN_STORAGE_CLASS", "NAME=K+M,...", All): CommaSeparated = CommaSeparated::default();
        /// The longest shard: a power of two from 64KiB to 4MiB
        shard_size ("CAIRN_SHARD_SIZE", "SIZE", All): ByteCount = ByteCount(1 << 20);
        /// The checksum of each 64 KiB on disk: xxh3 finds bit rot, blake3 also tampering
        integrity ("CAIRN_INTEGRITY", "KIND", All): String = "xxh3".to_owned();
    }
    "Small objects" {
        /// Objects up to this size are kept in the index
        inline_max ("CAIRN_INLINE_MAX", "SIZE", All): ByteCount = ByteCount(4 << 10);
        /// Objects up to this size are kept as whole copies, packed
        small_max ("CAIRN_SMALL_MAX", "SIZE", All): ByteCount = ByteCount(64 << 10);
    }
    "Disks" {
        /// How long a disk may take for a shard before the stripe goes elsewhere
        slot_patience ("CAIRN_SLOT_PATIENCE", "TIME", All): Span = Span(std::time::Duration::from_secs(2));
        /// Free space that is left on each disk
        disk_reserve ("CAIRN_DISK_RESERVE", "SIZE", Disks): ByteCount = ByteCount(256 << 20);
        /// How much log the index gathers before its database is checkpointed
        checkpoint_size ("CAIRN_CHECKPOINT_SIZE", "SIZE", Disks): ByteCount = ByteCount(32 << 20);
        /// How large a range of the index gets before it is split in two
        range_bytes_max ("CAIRN_RANGE_BYTES_MAX", "SIZE", Disks): ByteCount = ByteCount(1 << 30);
        /// How often what is new in the index is archived
        archive_period ("CAIRN_ARCHIVE_PERIOD", "TIME", Disks): Span = Span(std::time::Duration::from_secs(2));
        /// How much log the index's archive gathers, at least, before it begins anew with a whole state
        archive_log ("CAIRN_ARCHIVE_LOG", "SIZE", Disks): ByteCount = ByteCount(256 << 20);
        /// How long deleted bytes stay for readers under way; a sixtieth of it while a disk is full
        garbage_grace ("CAIRN_GARBAGE_GRACE", "TIME", Disks): Span = Span(std::time::Duration::from_secs(3600));
        /// After how long without a word of its writer a right to write is over
        ticket_idle ("CAIRN_TICKET_IDLE", "TIME", All): Span = Span(std::time::Duration::from_secs(1800));
        /// In what time every shard is read and verified once
        scrub_period ("CAIRN_SCRUB_PERIOD", "TIME", Disks): Span = Span(std::time::Duration::from_secs(30 * 86_400));
        /// How long a day of lifecycle rules is; for tests alone
        lifecycle_day ("CAIRN_LIFECYCLE_DAY", "TIME", Disks): Span = Span(std::time::Duration::from_secs(86_400));
    }
    "Memory and patience" {
        /// Memory for bodies under way and SQLite's caches
        memory ("CAIRN_MEMORY", "SIZE", All): ByteCount = ByteCount(256 << 20);
        /// How long a request waits for memory before it is answered 503 SlowDown
        memory_patience ("CAIRN_MEMORY_PATIENCE", "TIME", All): Span = Span(std::time::Duration::from_secs(30));
        /// How long a client may take for its request's headers
        header_timeout ("CAIRN_HEADER_TIMEOUT", "TIME", S3): Span = Span(std::time::Duration::from_secs(30));
        /// How long a client may send nothing of a body that it has begun
        body_timeout ("CAIRN_BODY_TIMEOUT", "TIME", S3): Span = Span(std::time::Duration::from_secs(60));
        /// How long requests under way may take after SIGTERM
        drain_timeout ("CAIRN_DRAIN_TIMEOUT", "TIME", All): Span = Span(std::time::Duration::from_secs(30));
    }
    "Telemetry" {
        /// A file with the bearer token that /metrics asks for; empty leaves the page open
        metrics_token_file ("CAIRN_METRICS_TOKEN_FILE", "FILE", All): OptionalPath = OptionalPath::default();
        /// What is logged: a level, or target=level pairs
        log ("CAIRN_LOG", "LEVELS", All): String = "info,openraft=error".to_owned();
        /// How log lines look: auto (text on a terminal), text or json
        log_format ("CAIRN_LOG_FORMAT", "HOW", All): String = "auto".to_owned();
    }
}

/// Lays out the help of a role, which is a command that takes [`Layer`]: each setting's default is said, and what the role
/// does not go by is left out. A flag that is absent must stay so, or it would go before the configuration file, so that
/// clap itself knows of no default; what is left out is taken all the same.
pub fn lay_out_help(command: clap::Command) -> clap::Command {
    let role = command.get_name().to_owned();
    Settings::default().shown().into_iter().fold(command, |command, (name, of, value)| {
        command.mut_arg(name, |arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let help = if value.is_empty() { help } else { format!("{help} [default: {value}]") };
            // What is set shows in the log of a start; here it would break the lines.
            arg.help(help).hide(!of.has(&role)).hide_env_values(true)
        })
    })
}

impl Layer {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`SettingsError`].
    #[allow(clippy::disallowed_methods, reason = "the configuration is read before any disk is opened")]
    pub fn from_file(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|error| SettingsError::Invalid { path: path.to_owned(), reason: error.to_string() })
    }
}

/// A list of words; in text separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct CommaSeparated(pub Vec<String>);

impl From<String> for CommaSeparated {
    fn from(text: String) -> Self {
        Self(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }
}

impl std::str::FromStr for CommaSeparated {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_owned().into())
    }
}

impl std::fmt::Display for CommaSeparated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// A path, or none where the text is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct OptionalPath(pub Option<PathBuf>);

impl From<String> for OptionalPath {
    fn from(text: String) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }
}

impl std::str::FromStr for OptionalPath {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_owned().into())
    }
}

impl std::fmt::Display for OptionalPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(path) => write!(f, "{}", path.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &'static str) -> clap::Command {
        lay_out_help(<Layer as clap::Args>::augment_args(clap::Command::new(name)))
    }

    #[test]
    fn help_shows_the_default_of_every_setting_that_has_one() {
        let command = role("server");
        let help = |name: &str| {
            let arg = command.get_arguments().find(|arg| arg.get_id() == name).expect("each setting is a flag");
            assert!(!arg.is_hide_set(), "a server goes by all settings: {name}");
            arg.get_help().expect("each flag has help").to_string()
        };
        for (name, _, value) in Settings::default().shown() {
            assert_eq!(help(name).contains("[default: "), !value.is_empty(), "{name}");
            assert!(help(name).contains(&value), "{name}");
        }
        assert!(help("memory").ends_with("[default: 256MiB]") && help("listen").ends_with("[default: 127.0.0.1:9000]"));
    }

    #[test]
    fn help_of_a_role_leaves_out_what_it_does_not_go_by_and_the_role_takes_it_all_the_same() {
        let (node, gateway) = (role("node").render_help().to_string(), role("gateway").render_help().to_string());
        assert!(node.contains("--rpc-listen <IP:PORT>") && !node.contains("--listen <"), "{node}");
        assert!(gateway.contains("--listen <IP:PORT>") && !gateway.contains("--rpc-listen"), "{gateway}");
        assert!(node.contains("\nCluster:\n") && gateway.contains("\nTelemetry:\n"), "{node}{gateway}");
        let given = role("gateway").try_get_matches_from(["gateway", "--scrub-period", "1d"]).expect("it is taken");
        assert_eq!(given.get_one::<Span>("scrub_period"), Some(&Span(std::time::Duration::from_secs(86_400))));
    }

    /// `config/cairn.toml` shows every setting with its default, so that reading it changes nothing and leaves
    /// nothing unsaid.
    #[test]
    fn the_sample_file_lists_every_setting_with_its_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/cairn.toml");
        let file = Layer::from_file(&path).expect("the sample file is valid");
        assert_eq!(file.clone().resolve(), Settings::default());
        let unsaid = format!("{file:?}").matches(": None").count();
        assert_eq!(unsaid, 0, "a setting is missing: {file:#?}");
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_defaults() {
        let flags = Layer { inline_max: Some(ByteCount(1)), ..Layer::default() };
        let file = Layer { inline_max: Some(ByteCount(2)), small_max: Some(ByteCount(3)), ..Layer::default() };
        let settings = flags.over(file).resolve();
        assert_eq!(settings.inline_max, ByteCount(1));
        assert_eq!(settings.small_max, ByteCount(3));
        assert_eq!(settings.memory, Settings::default().memory);
    }

    #[test]
    fn an_unknown_setting_is_an_error_that_names_it() {
        let error = toml::from_str::<Layer>("lissten = \"127.0.0.1:9000\"").expect_err("misspelt");
        assert!(error.to_string().contains("lissten"));
    }
}
