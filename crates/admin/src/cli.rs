//! `cairn admin ...`: the verbs that speak to a running cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::change_command::{self, Changed, DiskCommand, MovedOff, RebalanceCommand};
use crate::changes::{Change, moves_line};
use crate::client::{AdminClient, AdminClientError, ClientSettings};
use crate::gateway_command::GatewayCommand;
use crate::identity_command::{self, AccountCommand, GroupCommand, KeyCommand, PolicyCommand, UserCommand};
use crate::nodes::{SplitPoint, node_lines, range_lines};
use crate::progress::StatusBars;
use crate::rebuild::RebuildOptions;
use crate::service::{RestripeWish, WantedProfile};
use crate::status::{DeletedStatus, DiskStatus, FeatureLevelStatus, Status};
use crate::trace::{TraceFilter, TraceLine};

/// How long the admin API may take to say how it is.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);

/// How a verb reaches the admin API.
#[derive(Debug, Clone, Args)]
pub struct AdminTarget {
    /// The admin API's address
    #[arg(long, global = true, env = "CAIRN_ADMIN_URL", default_value = "http://127.0.0.1:9001", value_name = "URL")]
    pub admin_url: String,
    /// A data directory of the server, whose root key is used when the environment has none
    #[arg(long, global = true, default_value = "./cairn-data", value_name = "DIR")]
    pub data: PathBuf,
    /// A file (PEM) with the authority that vouches for the admin API's certificate, or with that certificate itself
    #[arg(long, global = true, env = "CAIRN_ADMIN_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// Verbs of `cairn admin`.
#[derive(Debug, Clone, Subcommand)]
pub enum AdminCommand {
    /// Disks, profile, usage, repair and scrub
    Status {
        /// Show it again every second, with progress bars, until interrupted
        #[arg(long)]
        watch: bool,
    },
    /// Show S3 requests as they end, until interrupted
    ///
    /// Those of the process behind --admin-url: a server, or a gateway.
    Trace {
        /// Which ones
        #[command(flatten)]
        filter: TraceFilter,
    },
    /// Nodes of the cluster
    Node {
        /// What to do
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// Disks: drain one, give one up that is lost, take one out
    Disk {
        /// What to do
        #[command(subcommand)]
        command: DiskCommand,
    },
    /// Move slots so that disks hold what is in proportion to their size
    Rebalance {
        /// What to do
        #[command(subcommand)]
        command: RebalanceCommand,
    },
    /// Slots of disks that move to others, and how far that is
    Moves {
        /// Show it again every second until nothing moves
        #[arg(long)]
        watch: bool,
    },
    /// Ranges of the index
    Range {
        /// What to do
        #[command(subcommand)]
        command: RangeCommand,
    },
    /// Set how many data and parity shards new objects get that name no storage class
    ///
    /// What is stored stays as it is, unless `restripe` is asked for.
    Profile {
        /// K+M, as in 4+2
        profile: WantedProfile,
    },
    /// Write what is stored anew in the profile of its storage class, in the background
    ///
    /// The asked node does it. What has that profile already is passed over, so that a pass that was stopped, or whose node
    /// was, costs little to begin again.
    Restripe {
        /// End it; what was written anew stays so
        #[arg(long)]
        stop: bool,
    },
    /// Read and verify every shard now
    Scrub,
    /// Propose the command that the next feature level has
    #[cfg(feature = "next-level")]
    Probe,
    /// Take a disk that is down into service again
    Readmit {
        /// The disk's id or its directory, as `status` shows them
        disk: String,
    },
    /// Gateways: each has a credential of its own
    Gateway {
        /// What to do
        #[command(subcommand)]
        command: GatewayCommand,
    },
    /// Accounts: each has buckets of its own
    Account {
        /// What to do
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Users of an account: who signs requests, and may what their policies say
    User {
        /// What to do
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Groups of users
    Group {
        /// What to do
        #[command(subcommand)]
        command: GroupCommand,
    },
    /// Access keys
    Key {
        /// What to do
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Managed policies
    Policy {
        /// What to do
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// The index: what is where, and which version of it
    Index {
        /// What to do with it
        #[command(subcommand)]
        command: IndexCommand,
    },
}

/// Verbs of `cairn admin node`.
#[derive(Debug, Clone, Subcommand)]
pub enum NodeCommand {
    /// All nodes, how they are, and what they lead
    List,
    /// Move what lies on a node's disks, and its votes, elsewhere; it is read until then, and given nothing new
    Drain(MovedOff),
    /// Take a node's disks that were drained, or are out and work, into service again
    Undrain {
        /// The node's id, as `node list` shows it
        id: String,
    },
    /// Give up a node that is lost: what lay there is made again elsewhere
    Out(MovedOff),
    /// Take a node out of the cluster that nothing lies on any more and that votes on nothing
    Remove {
        /// The node's id, as `node list` shows it
        id: String,
    },
}

/// Verbs of `cairn admin range`.
#[derive(Debug, Clone, Subcommand)]
pub enum RangeCommand {
    /// All ranges, and which nodes have them
    List,
    /// Split a range in two, each with its own leader; no row moves by it
    Split {
        /// The range's number, as `range list` shows it; the asked node must have it
        range: u64,
        /// The first key of the new range: BUCKET/KEY; its middle, unless given
        #[arg(long, value_name = "BUCKET/KEY", value_parser = split_point)]
        at: Option<SplitPoint>,
    },
}

fn split_point(text: &str) -> Result<SplitPoint, String> {
    match text.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok(SplitPoint { bucket: bucket.to_owned(), key: key.to_owned() })
        }
        _ => Err("a bucket's name, a slash and a key are needed".to_owned()),
    }
}

/// Verbs of `cairn admin index`.
#[derive(Debug, Clone, Subcommand)]
pub enum IndexCommand {
    /// Make an index that is lost again: from its archive, and from what shards' headers say beyond it
    ///
    /// Refused where an index stands. What headers alone tell of is added where nothing stands under its key, and is
    /// reported as unproven: it was written, but it is not known to have been committed, or not to have been deleted.
    Rebuild {
        /// Tell what it would do, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Go on although disks are missing, and lose what only they have
        #[arg(long)]
        accept_loss: bool,
    },
}

/// Asks whether reads and writes work, as `/readyz` says; within some seconds, for whoever looks again and again.
///
/// Says what does not work all the same, if anything.
///
/// # Errors
/// [`AdminClientError`]; [`AdminClientError::NotReady`] with the reason.
pub async fn run_health(admin_url: String, ca: Option<PathBuf>) -> Result<Option<String>, AdminClientError> {
    let url = admin_url.clone();
    let client = AdminClient::without_key(ClientSettings { url: admin_url, data: PathBuf::new(), ca })?;
    let silent = |_| AdminClientError::Unreachable { url, reason: "it does not answer".to_owned() };
    tokio::time::timeout(HEALTH_PATIENCE, client.ready()).await.map_err(silent)?
}

/// Carries out a verb and prints what it answered.
///
/// # Errors
/// [`AdminClientError`], to be printed.
pub async fn run_admin_command(target: AdminTarget, command: AdminCommand) -> Result<(), AdminClientError> {
    let json = target.json;
    let client = AdminClient::new(ClientSettings { url: target.admin_url, data: target.data, ca: target.ca })?;
    match command {
        AdminCommand::Status { watch: false } => {
            print_status(&client.status().await?, json);
        }
        AdminCommand::Status { watch: true } => watch(&client, json).await?,
        AdminCommand::Trace { filter } => trace(&client, &filter, json).await?,
        AdminCommand::Node { command: NodeCommand::List } => {
            let nodes = client.nodes().await?;
            print_list(&nodes, json, node_lines);
        }
        AdminCommand::Node { command } => {
            let (id, change, dry_run) = match command {
                NodeCommand::List => unreachable!("it was matched above"),
                NodeCommand::Drain(MovedOff { id, dry_run }) => (id, Change::Drain, dry_run),
                NodeCommand::Undrain { id } => (id, Change::Undrain, false),
                NodeCommand::Out(MovedOff { id, dry_run }) => (id, Change::Out, dry_run),
                NodeCommand::Remove { id } => (id, Change::Remove, false),
            };
            change_command::run_change(&client, Changed::Node, &id, change, dry_run, json).await?;
        }
        AdminCommand::Disk { command } => change_command::run_disk(&client, command, json).await?,
        AdminCommand::Rebalance { command } => change_command::run_rebalance(&client, command, json).await?,
        AdminCommand::Moves { watch } => change_command::run_moves(&client, watch, json).await?,
        AdminCommand::Range { command: RangeCommand::List } => {
            let ranges = client.ranges().await?;
            print_list(&ranges, json, range_lines);
        }
        AdminCommand::Range { command: RangeCommand::Split { range, at } } => {
            client.split_range(range, at).await?;
            print_done(json, "the range was split; see `cairn admin range list`");
        }
        AdminCommand::Profile { profile } => {
            client.set_profile(profile).await?;
            print_done(
                json,
                "new objects get this profile within a second or two; for what is stored see `cairn admin restripe`",
            );
        }
        AdminCommand::Restripe { stop: true } => {
            client.restripe(RestripeWish::Stop).await?;
            print_done(json, "what is stored is not written anew any more");
        }
        AdminCommand::Restripe { stop: false } => {
            client.restripe(RestripeWish::Start).await?;
            print_done(json, "what is stored is written anew; watch it with `cairn admin status --watch` of this node");
        }
        AdminCommand::Scrub => {
            client.start_scrub().await?;
            print_done(json, "scrub has begun; watch it with `cairn admin status --watch`");
        }
        #[cfg(feature = "next-level")]
        AdminCommand::Probe => {
            client.probe().await?;
            print_done(json, "the cluster knows the next feature level's command");
        }
        AdminCommand::Readmit { disk } => {
            client.readmit_disk(&disk).await?;
            print_done(json, "the disk is in service again");
        }
        AdminCommand::Gateway { command } => crate::gateway_command::run(&client, command, json).await?,
        AdminCommand::Account { command } => identity_command::run(&client, command.into(), json).await?,
        AdminCommand::User { command } => identity_command::run(&client, command.into(), json).await?,
        AdminCommand::Group { command } => identity_command::run(&client, command.into(), json).await?,
        AdminCommand::Key { command } => identity_command::run(&client, command.into(), json).await?,
        AdminCommand::Policy { command } => identity_command::run(&client, command.wish()?, json).await?,
        AdminCommand::Index { command: IndexCommand::Rebuild { dry_run, accept_loss } } => {
            crate::rebuild_command::run(&client, RebuildOptions { dry_run, accept_loss }, json).await?;
        }
    }
    Ok(())
}

pub(crate) fn print_list<T: serde::Serialize>(list: &[T], json: bool, lines: impl Fn(&[T]) -> String) {
    match json {
        true => println!("{}", serde_json::to_string(list).expect("plain data is JSON")),
        false => print!("{}", lines(list)),
    }
}

/// Shows the status every second until the process is interrupted.
async fn watch(client: &AdminClient, json: bool) -> Result<(), AdminClientError> {
    // Bars are drawn where they can be drawn over.
    let in_place = std::io::stderr().is_terminal();
    let mut bars = StatusBars::new();
    let mut shown = None;
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        let status = client.status().await?;
        if json || !in_place {
            if !print_status(&status, json) {
                return Ok(());
            }
            continue;
        }
        let summary = disk_lines(&status);
        if shown.as_ref() != Some(&summary) {
            bars.line(&summary);
            shown = Some(summary);
        }
        bars.show(&status);
    }
}

/// Shows requests until the process is interrupted, its reader has seen enough, or the server ends.
async fn trace(client: &AdminClient, filter: &TraceFilter, json: bool) -> Result<(), AdminClientError> {
    let show = |line: TraceLine| {
        let text = match &line {
            TraceLine::Quiet => return true,
            TraceLine::Request(request) if !filter.shows(request) => return true,
            line if json => serde_json::to_string(line).expect("plain data is JSON"),
            TraceLine::Request(request) => request.line(),
            TraceLine::Missed(missed) => format!("({missed} more ended than could be shown)"),
        };
        writeln!(std::io::stdout(), "{text}").is_ok()
    };
    client.trace(show).await
}

pub(crate) fn print_done(json: bool, text: &str) {
    if json {
        println!("{{\"done\":true}}");
    } else {
        println!("{text}");
    }
}

/// Prints a status; `false` when whoever read them has seen enough.
fn print_status(status: &Status, json: bool) -> bool {
    let text = if json {
        serde_json::to_string(status).expect("a status is plain data") + "\n"
    } else {
        let mut text = String::new();
        write_status(&mut text, status).expect("a string takes all text");
        text
    };
    std::io::stdout().write_all(text.as_bytes()).is_ok()
}

fn write_status(text: &mut String, status: &Status) -> std::fmt::Result {
    writeln!(text, "cluster   {}  (cairn {}, up {} s)", status.cluster, status.version, status.uptime_seconds)?;
    if !status.endpoint.is_empty() {
        writeln!(text, "endpoint  {}", status.endpoint)?;
    }
    writeln!(text, "state     {}", state_line(status))?;
    if status.nodes.len() > 1 {
        write!(text, "nodes\n{}", node_lines(&status.nodes))?;
        if let Some(reason) = &status.nodes_unknown {
            writeln!(text, "          how other nodes are is not known: {reason}")?;
        }
    }
    writeln!(text, "level     {}", level_line(&status.feature_level))?;
    writeln!(text, "profile   {}", status.protection)?;
    if let Some(proposed) = &status.proposed_profile {
        let of = if status.nodes.len() > 1 { "nodes" } else { "disks" };
        writeln!(text, "          the {of} at hand hold {proposed}: cairn admin profile {proposed}")?;
    }
    let usage = &status.usage;
    writeln!(
        text,
        "usage     {} buckets, {} objects, {} versions, {}; {} uploads under way, {}",
        usage.buckets,
        usage.objects,
        usage.versions,
        human_bytes(usage.bytes),
        usage.uploads,
        human_bytes(usage.upload_bytes)
    )?;
    if usage.deleted.bytes > 0 {
        writeln!(text, "deleted   {}", deleted_line(&usage.deleted))?;
    }
    writeln!(text, "disks\n{}", disk_lines(status))?;
    let index = &status.index;
    if status.nodes.len() > 1 {
        write!(text, "ranges\n{}", range_lines(&status.ranges))?;
    }
    writeln!(
        text,
        "index     {}, {} commands applied, database {}, log {}",
        if index.leader { "leading" } else { "not leading" },
        index.applied,
        human_bytes(index.database_bytes),
        human_bytes(index.log_bytes)
    )?;
    if let Some(lag) = index.archive_lag_seconds {
        writeln!(text, "archive   {lag:.1} s behind")?;
    }
    write_duties(text, status)
}

/// Whether reads and writes work, and what is to be done where that is not so, or not for long.
fn state_line(status: &Status) -> String {
    let down = status.disks.iter().filter(|disk| disk.state == "down");
    let down: Vec<String> = down.map(|disk| place(status, disk)).collect();
    match (&status.not_ready, &status.unreadable) {
        (Some(reason), _) => format!("NOT READY: {reason}"),
        (None, Some(unreadable)) => format!("UNREADABLE: {unreadable}"),
        (None, None) if status.condition == "degraded" && !down.is_empty() => {
            format!("DEGRADED: what is stored can be read; bring back or replace {}", down.join(", "))
        }
        (None, None) if status.condition == "degraded" && status.repair.rebuilding.is_empty() => {
            "DEGRADED: what is stored can be read; disks that were replaced are not counted on yet, see below"
                .to_owned()
        }
        (None, None) if status.condition == "degraded" => {
            "DEGRADED: what is stored can be read; what is missing is being made again, see below".to_owned()
        }
        (None, None) => "ready".to_owned(),
    }
}

fn level_line(status: &FeatureLevelStatus) -> String {
    let FeatureLevelStatus { level, known, held_back_by } = status;
    match held_back_by.len() {
        0 => level.to_string(),
        _ => format!("{level}, held back from {known} by {}", held_back_by.join(", ")),
    }
}

fn write_duties(text: &mut String, status: &Status) -> std::fmt::Result {
    let repair = &status.repair;
    let places = places(status);
    let named = |disk: &String| places.get(disk).unwrap_or(disk).clone();
    writeln!(
        text,
        "degraded  {} parts are stored narrower than their profile, {}",
        repair.degraded_parts,
        match repair.missing_shards {
            Some(shards) => format!("{shards} shards are missing with their disks"),
            None => "what disks had that were down since the start is missing, and not counted".to_owned(),
        }
    )?;
    writeln!(
        text,
        "repair    {}{} shards rebuilt ({}); found bad by reads or scrub: {} waiting, {} lost; {} parts re-striped",
        if status.nodes.len() > 1 { "by the asked node: " } else { "" },
        repair.repaired_shards,
        human_bytes(repair.repaired_bytes),
        repair.waiting_shards,
        repair.lost_shards,
        repair.restriped_parts
    )?;
    let lifecycle = &repair.lifecycle;
    writeln!(
        text,
        "lifecycle {} objects, {} other versions and {} markers expired, {} uploads ended, {} versions moved",
        lifecycle.expired_objects,
        lifecycle.expired_noncurrent,
        lifecycle.expired_markers,
        lifecycle.aborted_uploads,
        lifecycle.moved_versions
    )?;
    for (disk, share) in &repair.rebuilding {
        writeln!(text, "          rebuilding {}: has {:.1} % of its shards", named(disk), share * 100.0)?;
    }
    for disk in &repair.settling {
        writeln!(text, "          settling {}: {}", named(disk), settling_line(repair.settling_seconds_max))?;
    }
    let restripe = &status.restripe;
    if restripe.running || restripe.versions_looked_at > 0 {
        writeln!(text, "restripe  {}", restripe.line())?;
    }
    writeln!(text, "moves     {}", moves_line(&status.moves))?;
    let scrub = &status.scrub;
    let state = if scrub.running { format!("{:.1} %", scrub.progress * 100.0) } else { "idle".to_owned() };
    writeln!(
        text,
        "scrub     {state}, {} shards verified ({}), {} damaged",
        scrub.verified_shards,
        human_bytes(scrub.verified_bytes),
        scrub.damaged_shards
    )
}

/// What a disk that is rebuilt waits for, and how long at most.
fn settling_line(seconds_max: Option<u64>) -> String {
    let until = match seconds_max {
        Some(0) => return "has all its shards; is looked through once more now, which takes seconds".to_owned(),
        Some(seconds) => format!("at most {}", human_span(seconds)),
        None => "at most `ticket_idle`".to_owned(),
    };
    format!(
        "has all its shards; is looked through once more when all uploads are over that began before it was replaced: seconds \
         after the last has ended, {until} where its gateway has died"
    )
}

fn deleted_line(deleted: &DeletedStatus) -> String {
    let least = if deleted.is_more { "at least " } else { "" };
    let (bytes, grace) = (human_bytes(deleted.bytes), human_span(deleted.grace_seconds));
    format!("{least}{bytes} are still on the disks, and are freed {grace} after they were deleted (garbage_grace)")
}

/// A span in its largest unit, rounded up to whole ones.
fn human_span(seconds: u64) -> String {
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

/// Where a disk is: its directory and, where there are several nodes, its node's address.
fn place(status: &Status, disk: &DiskStatus) -> String {
    match status.nodes.iter().find(|node| node.id == disk.node) {
        Some(node) if status.nodes.len() > 1 => format!("{} on {}", disk.path, node.address),
        _ => disk.path.clone(),
    }
}

/// Each disk's id with its place behind it, by id.
pub(crate) fn places(status: &Status) -> BTreeMap<String, String> {
    status.disks.iter().map(|disk| (disk.id.clone(), format!("{} ({})", disk.id, place(status, disk)))).collect()
}

fn disk_lines(status: &Status) -> String {
    let line = |disk: &DiskStatus| {
        let reason = disk.reason.as_ref().map(|reason| format!("  ({reason})")).unwrap_or_default();
        let node = status.nodes.iter().find(|node| node.id == disk.node);
        let cure = match (disk.state.as_str(), node) {
            ("down", Some(node)) if node.state != "up" => {
                format!("  start its node; if the node is lost for good: cairn admin node out {}", node.id)
            }
            ("down", _) => {
                let named = if status.nodes.len() > 1 { &disk.id } else { &disk.path };
                let last = match &status.unreadable {
                    Some(_) => "put NO empty directory in its place before all can be read again",
                    None => {
                        "only where what it had is lost: put an empty directory in its place, which is filled from the others"
                    }
                };
                format!(
                    "  bring it back; once it is there, and does not come up by itself: cairn admin readmit {named}; {last}"
                )
            }
            _ => String::new(),
        };
        let place = place(status, disk);
        let roles =
            if disk.index_roles.is_empty() { String::new() } else { format!("  [{}]", disk.index_roles.join(" ")) };
        format!(
            "  {}  {:5} {:>10} free of {}, {} in {} shards, {} read errors  {}{roles}{reason}{cure}",
            disk.id,
            disk.state,
            human_bytes(disk.free_bytes),
            human_bytes(disk.total_bytes),
            human_bytes(disk.shard_bytes),
            disk.shards,
            disk.read_errors,
            place,
        )
    };
    status.disks.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Bytes in the largest binary unit that leaves at least 1.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::NodeStatus;

    /// Two nodes, one of which has its disk down.
    fn status(node_state: &str) -> Status {
        let node = |id: &str, state: &str| NodeStatus {
            id: id.to_owned(),
            address: format!("{id}:9002"),
            state: state.to_owned(),
            ..NodeStatus::default()
        };
        let disk = |id: &str, node: &str, state: &str| DiskStatus {
            id: id.to_owned(),
            node: node.to_owned(),
            path: "/data".to_owned(),
            state: state.to_owned(),
            ..DiskStatus::default()
        };
        Status {
            nodes: vec![node("a", "up"), node("b", node_state)],
            disks: vec![disk("d1", "a", "up"), disk("d2", "b", "down")],
            ..Status::default()
        }
    }

    #[test]
    fn a_disk_that_is_down_is_told_with_what_helps() {
        let told = |node_state| disk_lines(&status(node_state));
        assert!(told("down").contains("start its node; if the node is lost for good: cairn admin node out b"));
        assert!(!told("down").contains("readmit"), "what is to be done there needs its node");
        let told = told("up");
        let (safe, last) = (told.find("cairn admin readmit d2"), told.find("an empty directory"));
        assert!(safe.is_some() && safe < last, "what is safe comes first: {told}");
        let short = Status { unreadable: Some("some".to_owned()), ..status("up") };
        assert!(disk_lines(&short).contains("NO empty directory in its place"), "what it had may be all there is");
    }

    #[test]
    fn what_is_waited_for_is_told_with_its_longest() {
        let told = settling_line(Some(1700));
        assert!(told.contains("uploads are over that began before") && told.contains("at most 29 min"), "{told}");
        assert!(settling_line(Some(0)).contains("takes seconds"));
        let deleted = DeletedStatus { bytes: 3 << 30, is_more: true, grace_seconds: 3600 };
        let told = deleted_line(&deleted);
        assert!(told.starts_with("at least 3.0 GiB") && told.contains("freed 60 min after"), "{told}");
    }

    #[test]
    fn the_state_says_what_does_not_work_and_what_to_do() {
        let said = |condition: &str, unreadable: Option<&str>| {
            let (condition, unreadable) = (condition.to_owned(), unreadable.map(str::to_owned));
            state_line(&Status { condition, unreadable, ..status("up") })
        };
        assert_eq!(said("ready", None), "ready");
        assert!(said("degraded", None).ends_with("bring back or replace /data on b:9002"));
        assert_eq!(said("unreadable", Some("bring back /f2")), "UNREADABLE: bring back /f2");
        let lost = Status { not_ready: Some("no index".to_owned()), ..status("up") };
        assert_eq!(state_line(&lost), "NOT READY: no index");
    }

    #[test]
    fn disks_of_several_nodes_are_told_with_their_node() {
        assert_eq!(places(&status("up"))["d2"], "d2 (/data on b:9002)");
        let lone = Status { nodes: Vec::new(), ..status("up") };
        assert_eq!(places(&lone)["d2"], "d2 (/data)");
    }
}
