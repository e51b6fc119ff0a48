//! `cairn server`: S3 over local directories, in one process.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use node::{
    ClusterSecret, ClusterSettings, Compat, GatewayRole, GatewayServer, NewerLevel, NoCredential, Server,
    ServerSettings, StartError, Started, Summary, WaitingServer,
};
use types::{AccessKeyId, BucketName, Integrity, NameError, Profile, ProfileError, SecretKey, StorageClass};

use crate::allocator::Frugal;
use crate::idle::give_back_code_at_rest;
use crate::settings::{Layer, Settings, SettingsError};
use crate::variables::warn_of_unknown;

/// The disk when no directory is named.
const DIRECTORY_DEFAULT: &str = "./cairn-data";

/// Serve S3 over local directories, one disk each
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Directories, one disk each; made where they are missing [default: ./cairn-data]
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// A configuration file (config/cairn.toml shows all settings)
    #[arg(long, env = "CAIRN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Create this bucket at start
    #[arg(long, env = "S3_BUCKET", value_name = "NAME")]
    bucket: Option<String>,
    /// Found a cluster of the nodes of --join that answer, without waiting for the others; needed once at most
    #[arg(long)]
    form: bool,
    #[command(flatten)]
    settings: Layer,
}

/// Serve S3 over the nodes of a cluster; needs CAIRN_GATEWAY_CREDENTIAL, which `cairn admin gateway add` prints
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// A configuration file (config/cairn.toml shows all settings)
    #[arg(long, env = "CAIRN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Create this bucket at start
    #[arg(long, env = "S3_BUCKET", value_name = "NAME")]
    bucket: Option<String>,
    #[command(flatten)]
    settings: Layer,
}

/// Which roles a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Disks, index and S3.
    NodeAndGateway,
    /// Disks and index.
    Node,
}

/// Why the server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The profile's text.
    #[error("the profile is not valid: {0}")]
    Profile(#[from] ProfileError),
    /// The bucket's or storage class's name.
    #[error("{name:?}: {source}")]
    Name {
        /// The text.
        name: String,
        /// Its rule.
        source: NameError,
    },
    /// Some other setting.
    #[error("{setting}: {reason}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it must be.
        reason: String,
    },
    /// A secret's file.
    #[error("the file {path} named by {variable} cannot be read")]
    SecretFile {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Logging.
    #[error(transparent)]
    Logging(#[from] telemetry::LoggingError),
    /// The start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The operating system refuses threads or signals.
    #[error("the operating system refuses what the server needs")]
    System(#[from] std::io::Error),
}

/// Runs the server until SIGTERM or SIGINT, then drains it. `frugal` lasts until it is started.
///
/// # Errors
/// [`ServerError`].
pub fn run(args: ServerArgs, roles: Roles, frugal: Frugal) -> Result<(), ServerError> {
    let file = args.config.as_deref().map(Layer::from_file).transpose()?.unwrap_or_default();
    let settings = args.settings.over(file).resolve();
    telemetry::init_logging(&settings.log, settings.log_format.parse()?)?;
    warn_of_unknown();
    let cluster = cluster_settings(&settings, roles, args.form)?;
    let settings = server_settings(args.directories, args.bucket, cluster, settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("cairn").build()?;
    runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let started = tokio::select! {
            started = Server::start(settings) => started?,
            // A node may wait long for its cluster.
            () = asked_to_end(&mut terminate) => return Ok(()),
        };
        let server = match started {
            Started::Serving(server) => *server,
            Started::WithoutIndex(waiting) => {
                print_waiting(&waiting);
                tokio::select! {
                    () = waiting.rebuilt() => waiting.serve().await?,
                    () = asked_to_end(&mut terminate) => {
                        waiting.shutdown().await;
                        return Ok(());
                    }
                }
            }
        };
        print_summary(server.summary());
        drop(frugal);
        tokio::spawn(give_back_code_at_rest());
        let outgrown = tokio::select! {
            () = asked_to_end(&mut terminate) => None,
            outgrown = server.outgrown() => Some(outgrown),
        };
        server.shutdown().await;
        ended(outgrown)
    })
}

/// Runs a gateway until SIGTERM or SIGINT, then drains it. `frugal` lasts until it is started.
///
/// # Errors
/// [`ServerError`].
pub fn run_gateway(args: GatewayArgs, frugal: Frugal) -> Result<(), ServerError> {
    let file = args.config.as_deref().map(Layer::from_file).transpose()?.unwrap_or_default();
    let settings = args.settings.over(file).resolve();
    telemetry::init_logging(&settings.log, settings.log_format.parse()?)?;
    warn_of_unknown();
    let named = named_nodes(&settings)?;
    if named.is_empty() {
        return Err(setting("join", "name nodes of the cluster, as in --join a:9002,b:9002,c:9002"));
    }
    let credential = secret_of(&["CAIRN_GATEWAY_CREDENTIAL"])?;
    let needed = "set it to what `cairn admin gateway add` prints on a node";
    let credential = credential.ok_or_else(|| setting("CAIRN_GATEWAY_CREDENTIAL", needed))?;
    let credential = credential.parse().map_err(|error: NoCredential| ServerError::Setting {
        setting: "CAIRN_GATEWAY_CREDENTIAL",
        reason: error.to_string(),
    })?;
    let settings = server_settings(Vec::new(), args.bucket, None, settings)?;
    let settings = ServerSettings { directories: Vec::new(), ..settings };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("cairn").build()?;
    runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let gateway = tokio::select! {
            started = GatewayServer::start(settings, GatewayRole { named, credential }) => started?,
            // It may wait long for its cluster.
            () = asked_to_end(&mut terminate) => return Ok(()),
        };
        println!("cairn {} gateway, cluster {}", env!("CARGO_PKG_VERSION"), gateway.cluster());
        println!("  S3       {}", gateway.endpoint());
        println!("  admin    {}  (health pages and metrics)", gateway.admin_endpoint());
        drop(frugal);
        tokio::spawn(give_back_code_at_rest());
        let outgrown = tokio::select! {
            () = asked_to_end(&mut terminate) => None,
            outgrown = gateway.outgrown() => Some(outgrown),
        };
        gateway.shutdown().await;
        ended(outgrown)
    })
}

/// A process that its cluster has outgrown does not end well.
fn ended(outgrown: Option<NewerLevel>) -> Result<(), ServerError> {
    outgrown.map_or(Ok(()), |outgrown| Err(StartError::from(outgrown).into()))
}

async fn asked_to_end(terminate: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted: draining"),
    }
}

fn server_settings(
    directories: Vec<PathBuf>,
    bucket: Option<String>,
    cluster: Option<ClusterSettings>,
    settings: Settings,
) -> Result<ServerSettings, ServerError> {
    let directories = if directories.is_empty() { vec![DIRECTORY_DEFAULT.into()] } else { directories };
    let bucket = bucket.filter(|name| !name.is_empty()).map(|name| bucket_name(&name)).transpose()?;
    let tls = match (settings.tls_cert.0.clone(), settings.tls_key.0.clone()) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(setting("tls_cert and tls_key", "give both or none")),
    };
    let metrics_token = match &settings.metrics_token_file.0 {
        Some(path) => Some(read_secret("CAIRN_METRICS_TOKEN_FILE", path)?),
        None => None,
    };
    let (shard_bytes, integrity) = shards(&settings)?;
    let profile = match settings.profile.as_str() {
        "" => None,
        text => Some(profile(text, &settings)?),
    };
    Ok(ServerSettings {
        directories,
        listen: settings.listen,
        admin_listen: settings.admin_listen,
        bucket,
        root: root_credential()?,
        domains: settings.domain.0.clone(),
        region: (!settings.region.is_empty()).then(|| settings.region.clone()),
        compat: match settings.compat.as_str() {
            "aws" => Compat::Aws,
            "rgw" => Compat::Rgw,
            _ => return Err(setting("compat", "aws or rgw")),
        },
        signature_v2: match settings.signature_v2.as_str() {
            "" => settings.compat == "rgw",
            "on" => true,
            "off" => false,
            _ => return Err(setting("signature-v2", "on or off")),
        },
        tls,
        profile,
        shard_bytes,
        integrity,
        storage_classes: storage_classes(&settings)?,
        inline_bytes_max: size("inline_max", settings.inline_max.0, 64 << 10)?,
        small_bytes_max: size("small_max", settings.small_max.0, 64 << 10)?,
        slot_patience: settings.slot_patience.0,
        memory_bytes: settings.memory.0,
        memory_patience: settings.memory_patience.0,
        disk_reserve_bytes: settings.disk_reserve.0,
        checkpoint_bytes: settings.checkpoint_size.0,
        range_bytes_max: settings.range_bytes_max.0.max(1 << 20),
        archive_period: archive_period(settings.archive_period.0)?,
        archive_log_bytes: settings.archive_log.0,
        garbage_grace: settings.garbage_grace.0,
        ticket_idle_max: silence("ticket_idle", settings.ticket_idle.0, Duration::from_secs(5))?,
        scrub_period: settings.scrub_period.0,
        lifecycle_day: settings.lifecycle_day.0,
        header_timeout: settings.header_timeout.0,
        body_timeout: settings.body_timeout.0,
        drain_timeout: settings.drain_timeout.0,
        metrics_token,
        cluster,
    })
}

/// What `--join` and its like say; a server without is a cluster by itself.
fn cluster_settings(
    settings: &Settings,
    roles: Roles,
    is_forced: bool,
) -> Result<Option<ClusterSettings>, ServerError> {
    let named = named_nodes(settings)?;
    if named.is_empty() {
        return match roles {
            Roles::NodeAndGateway => Ok(None),
            Roles::Node => Err(setting("join", "name the cluster's nodes, as in --join a:9002,b:9002,c:9002")),
        };
    }
    let secret = secret_of(&["CAIRN_CLUSTER_SECRET"])?;
    let needed = "set it to the same random text on every node; `openssl rand -hex 32` makes one";
    let secret = secret.ok_or_else(|| setting("CAIRN_CLUSTER_SECRET", needed))?;
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    Ok(Some(ClusterSettings {
        named,
        rpc_listen: settings.rpc_listen,
        rpc_address: settings.rpc_address.clone(),
        secret: ClusterSecret::new(&secret)
            .map_err(|error| ServerError::Setting { setting: "CAIRN_CLUSTER_SECRET", reason: error.to_string() })?,
        is_forced,
        rack: text(&settings.rack),
        zone: text(&settings.zone),
        voters: (settings.voters > 0).then_some(settings.voters),
        serves_s3: roles == Roles::NodeAndGateway,
        down_after: silence("node_down", settings.node_down.0, Duration::from_secs(1))?,
        out_after: silence("node_out", settings.node_out.0, settings.node_down.0)?,
    }))
}

/// Below it, a busy machine would pass for a dead one.
fn silence(setting: &'static str, given: Duration, min: Duration) -> Result<Duration, ServerError> {
    let reason = || format!("at least {}s", min.as_secs_f64());
    if given < min { Err(ServerError::Setting { setting, reason: reason() }) } else { Ok(given) }
}

fn named_nodes(settings: &Settings) -> Result<Vec<String>, ServerError> {
    let named = settings.join.0.clone();
    if let Some(address) = named.iter().find(|address| !is_host_and_port(address)) {
        let reason = format!("{address:?} is no host:port, as in --join a:9002,b:9002,c:9002");
        return Err(ServerError::Setting { setting: "join", reason });
    }
    Ok(named)
}

fn is_host_and_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn setting(setting: &'static str, reason: &str) -> ServerError {
    ServerError::Setting { setting, reason: reason.to_owned() }
}

fn bucket_name(name: &str) -> Result<BucketName, ServerError> {
    BucketName::new(name).map_err(|source| ServerError::Name { name: name.to_owned(), source })
}

fn size(name: &'static str, bytes: u64, max: u64) -> Result<usize, ServerError> {
    if bytes > max {
        return Err(ServerError::Setting { setting: name, reason: format!("at most {max} bytes") });
    }
    Ok(usize::try_from(bytes).expect("bounded above"))
}

/// At most 8 s: with what an append takes, the archive is then less than 10 s behind.
fn archive_period(period: Duration) -> Result<Duration, ServerError> {
    match period {
        Duration::ZERO => Err(setting("archive_period", "more than nothing")),
        period if period > Duration::from_secs(8) => Err(setting("archive_period", "at most 8s")),
        period => Ok(period),
    }
}

/// `K+M` with the shard size and checksum of the settings.
fn profile(text: &str, settings: &Settings) -> Result<Profile, ServerError> {
    let (shard_bytes, integrity) = shards(settings)?;
    Ok(text.parse::<Profile>()?.with_shards(shard_bytes, integrity)?)
}

/// The size and checksum of shards, whatever the profile.
fn shards(settings: &Settings) -> Result<(u32, Integrity), ServerError> {
    let integrity = match settings.integrity.as_str() {
        "xxh3" => Integrity::Xxh3,
        "blake3" => Integrity::Blake3,
        _ => return Err(setting("integrity", "xxh3 or blake3")),
    };
    let shard_bytes = u32::try_from(settings.shard_size.0).map_err(|_| ProfileError::ShardBytes)?;
    Profile::for_domains(1).with_shards(shard_bytes, integrity)?;
    Ok((shard_bytes, integrity))
}

fn storage_classes(settings: &Settings) -> Result<Vec<(StorageClass, Profile)>, ServerError> {
    let class = |pair: &String| {
        let (name, shape) =
            pair.split_once('=').ok_or_else(|| setting("storage_class", "write NAME=K+M, separated by commas"))?;
        if name == StorageClass::STANDARD {
            return Err(setting("storage_class", "STANDARD has the profile that `profile` sets"));
        }
        let class = StorageClass::new(name).map_err(|source| ServerError::Name { name: name.to_owned(), source })?;
        Ok((class, profile(shape, settings)?))
    };
    let classes: Vec<_> = settings.storage_class.0.iter().map(class).collect::<Result<_, _>>()?;
    let is_again =
        |(at, (class, _)): (usize, &(StorageClass, _))| classes[..at].iter().any(|(other, _)| other == class);
    if classes.iter().enumerate().any(is_again) {
        return Err(setting("storage_class", "a class has one profile"));
    }
    Ok(classes)
}

/// The root credential of the environment: both halves, each also as a file.
fn root_credential() -> Result<Option<(AccessKeyId, SecretKey)>, ServerError> {
    let access = secret_of(&["CAIRN_ROOT_ACCESS_KEY", "MINIO_ROOT_USER"])?;
    let secret = secret_of(&["CAIRN_ROOT_SECRET_KEY", "MINIO_ROOT_PASSWORD"])?;
    match (access, secret) {
        (Some(access), Some(secret)) if access.len() < 3 || secret.len() < 8 => {
            Err(setting("CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY", "at least 3 and 8 characters are needed"))
        }
        (Some(access), Some(secret)) => Ok(Some((AccessKeyId(access.into()), SecretKey(secret.into())))),
        (None, None) => Ok(None),
        _ => Err(setting("CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY", "give both or none")),
    }
}

/// The first of `names` that the environment has, itself or as `NAME_FILE`.
fn secret_of(names: &[&str]) -> Result<Option<String>, ServerError> {
    for name in names {
        if let Ok(value) = std::env::var(name) {
            return Ok(Some(value));
        }
        let variable = format!("{name}_FILE");
        if let Ok(path) = std::env::var(&variable) {
            return read_secret(&variable, Path::new(&path)).map(Some);
        }
    }
    Ok(None)
}

#[allow(clippy::disallowed_methods, reason = "a secret's file is read before any disk is opened")]
fn read_secret(variable: &str, path: &Path) -> Result<String, ServerError> {
    let text = std::fs::read_to_string(path).map_err(|source| ServerError::SecretFile {
        variable: variable.to_owned(),
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Says on stdout that the server can't serve, and what to do.
fn print_waiting(waiting: &WaitingServer) {
    println!("cairn {}: NOT SERVING: {}", env!("CARGO_PKG_VERSION"), waiting.reason());
    println!("  S3       {}  (answers 503)", waiting.endpoint());
    println!("  admin    {}", waiting.admin_endpoint());
    println!("  try      cairn admin index rebuild --dry-run --admin-url {}", waiting.admin_endpoint());
}

/// Says on stdout what runs and how to use it. The secret is shown on a terminal alone.
fn print_summary(summary: &Summary) {
    println!("cairn {}, cluster {}", env!("CARGO_PKG_VERSION"), summary.cluster);
    println!("  disks    {} ({})", summary.disks.len(), summary.protection);
    for disk in &summary.disks {
        println!("           {}  {}", disk.path.display(), disk.state);
    }
    if let Some(unreadable) = &summary.unreadable {
        println!("  UNREADABLE: {unreadable}");
    }
    for (class, protection) in &summary.classes {
        println!("  class    {} ({protection})", class.as_str());
    }
    if let Some(endpoint) = &summary.endpoint {
        println!("  S3       {endpoint}");
    }
    println!("  admin    {}", summary.admin_endpoint);
    println!("  key      {}", summary.access_key);
    let secret = match (&summary.credential_file, std::io::stdout().is_terminal()) {
        (_, true) => {
            println!("  secret   {}", summary.secret_key.0);
            summary.secret_key.0.to_string()
        }
        (Some(file), false) => {
            println!("  secret   in {}", file.display());
            format!(
                r#""$(sed -n 's/.*"secret_key": "\(.*\)".*/\1/p' '{}')""#,
                file.display().to_string().replace('\'', r"'\''")
            )
        }
        (None, false) => "...".to_owned(),
    };
    let Some(endpoint) = &summary.endpoint else { return };
    println!(
        "  try      AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION={} \\\n           \
         aws --endpoint-url {endpoint} s3 ls",
        summary.access_key, summary.region
    );
}
