//! `cairn admin`: verbs that speak to a running cluster.

use admin::cli::AdminTarget;
use admin::{AdminClientError, AdminCommand, run_admin_command};
use clap::Args;

/// Look after a running cluster
#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(flatten)]
    target: AdminTarget,
    #[command(subcommand)]
    command: AdminCommand,
}

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminCommandError {
    /// The admin API's client.
    #[error(transparent)]
    Client(#[from] AdminClientError),
    /// The operating system refuses threads.
    #[error("the operating system refuses what the command needs")]
    System(#[from] std::io::Error),
}

/// Carries out a verb.
///
/// # Errors
/// [`AdminCommandError`].
pub fn run(args: AdminArgs) -> Result<(), AdminCommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(run_admin_command(args.target, args.command))?)
}
