//! `cairn admin disk ...`, `cairn admin node ...` and `cairn admin moves`: changes of the cluster, and how far they are.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::changes::{Change, ChangeOptions, ChangePlan, MovesStatus, RebalanceWish, moves_line, plan_lines};
use crate::cli::{places, print_done};
use crate::client::{AdminClient, AdminClientError};
use crate::progress::MovesBar;

/// A disk, or a node with all its disks, that something moves off.
#[derive(Debug, Clone, Args)]
pub struct MovedOff {
    /// Its id or, of a disk, its directory, as `status` shows them
    pub id: String,
    /// Tell what would move from where to where, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Verbs of `cairn admin disk`.
#[derive(Debug, Clone, Subcommand)]
pub enum DiskCommand {
    /// Move what lies on a disk elsewhere; it is read until then, and given nothing new
    Drain(MovedOff),
    /// Take a disk that was drained, or is out and works, into service again
    Undrain {
        /// The disk's id or its directory, as `status` shows them
        id: String,
    },
    /// Give up a disk that is lost: what lay there is made again elsewhere
    Out(MovedOff),
    /// Take a disk out of the cluster that nothing lies on any more
    Remove {
        /// The disk's id or its directory, as `status` shows them
        id: String,
    },
}

/// Verbs of `cairn admin rebalance`.
#[derive(Debug, Clone, Subcommand)]
pub enum RebalanceCommand {
    /// Move slots, a few at a time, until disks hold what is in proportion to their size
    Start {
        /// Tell what would move from where to where, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Begin no more moves until it goes on; those under way are finished
    Pause,
    /// Go on after a pause
    Resume,
    /// Begin no more moves; those under way are finished, and what has moved stays
    Stop,
    /// How far it is
    Status {
        /// Show it again every second until nothing moves
        #[arg(long)]
        watch: bool,
    },
}

/// Carries out a verb of `cairn admin rebalance`.
///
/// # Errors
/// [`AdminClientError`].
pub(crate) async fn run_rebalance(
    client: &AdminClient,
    command: RebalanceCommand,
    json: bool,
) -> Result<(), AdminClientError> {
    let (wish, options) = match command {
        RebalanceCommand::Start { dry_run } => (RebalanceWish::Start, ChangeOptions { dry_run }),
        RebalanceCommand::Pause => (RebalanceWish::Pause, ChangeOptions::default()),
        RebalanceCommand::Resume => (RebalanceWish::Resume, ChangeOptions::default()),
        RebalanceCommand::Stop => (RebalanceWish::Stop, ChangeOptions::default()),
        RebalanceCommand::Status { watch } => return run_moves(client, watch, json).await,
    };
    let plan = client.rebalance(wish, options).await?;
    match wish {
        RebalanceWish::Start | RebalanceWish::Resume => print_plan(client, &plan, json).await,
        RebalanceWish::Pause => print_done(json, "no more moves begin until `cairn admin rebalance resume`"),
        RebalanceWish::Stop => print_done(json, "no more moves begin"),
    }
    Ok(())
}

/// Where a change is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    Disk,
    Node,
}

/// Carries out a verb of `cairn admin disk`.
///
/// # Errors
/// [`AdminClientError`].
pub(crate) async fn run_disk(client: &AdminClient, command: DiskCommand, json: bool) -> Result<(), AdminClientError> {
    match command {
        DiskCommand::Drain(MovedOff { id, dry_run }) => {
            run_change(client, Changed::Disk, &id, Change::Drain, dry_run, json).await
        }
        DiskCommand::Out(MovedOff { id, dry_run }) => {
            run_change(client, Changed::Disk, &id, Change::Out, dry_run, json).await
        }
        DiskCommand::Undrain { id } => run_change(client, Changed::Disk, &id, Change::Undrain, false, json).await,
        DiskCommand::Remove { id } => run_change(client, Changed::Disk, &id, Change::Remove, false, json).await,
    }
}

/// Makes a change and tells what moves by it.
///
/// # Errors
/// [`AdminClientError`].
pub(crate) async fn run_change(
    client: &AdminClient,
    changed: Changed,
    id: &str,
    change: Change,
    dry_run: bool,
    json: bool,
) -> Result<(), AdminClientError> {
    let options = ChangeOptions { dry_run };
    let plan = match changed {
        Changed::Disk => client.change_disk(id, change, options).await?,
        Changed::Node => client.change_node(id, change, options).await?,
    };
    match change {
        Change::Undrain => print_done(json, "in service again; slots that were under way go on to their new owners"),
        Change::Remove => print_done(json, "it is out of the cluster"),
        Change::Drain | Change::Out => print_plan(client, &plan, json).await,
    }
    Ok(())
}

async fn print_plan(client: &AdminClient, plan: &ChangePlan, json: bool) {
    if json {
        println!("{}", serde_json::to_string(plan).expect("plain data is JSON"));
        return;
    }
    // Ids say little to people; where the status is not to be had they have to do.
    let places = client.status().await.map(|status| places(&status)).unwrap_or_default();
    print!("{}", plan_lines(plan, |disk| places.get(disk).cloned().unwrap_or_else(|| disk.to_owned())));
    if !plan.dry_run && plan.slots > 0 {
        println!("watch it with `cairn admin moves --watch`");
    }
}

/// Shows what moves: once, or each second until nothing moves any more.
///
/// # Errors
/// [`AdminClientError`].
pub(crate) async fn run_moves(client: &AdminClient, watch: bool, json: bool) -> Result<(), AdminClientError> {
    if !watch {
        print_moves(&client.moves().await?, json);
        return Ok(());
    }
    let bar = (!json && std::io::stderr().is_terminal()).then(MovesBar::new);
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        let moves = client.moves().await?;
        match &bar {
            Some(bar) => bar.show(&moves),
            None if !print_moves(&moves, json) => return Ok(()),
            None => {}
        }
        if moves.slots == 0 && moves.homeless_slots == 0 && moves.rebalancing != "on" {
            if let Some(bar) = bar {
                bar.clear();
                print_moves(&moves, json);
            }
            return Ok(());
        }
    }
}

/// `false` when whoever read it has seen enough.
fn print_moves(moves: &MovesStatus, json: bool) -> bool {
    let text = if json { serde_json::to_string(moves).expect("plain data is JSON") } else { moves_line(moves) };
    writeln!(std::io::stdout(), "{text}").is_ok()
}
