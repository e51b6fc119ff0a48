//! `cairn health`: whether a server, node or gateway on this machine serves. For HEALTHCHECK and probes of images that
//! have no shell.

use std::path::PathBuf;

use clap::Args;

use crate::admin_command::AdminCommandError;

/// Tell by the exit status whether requests should come here; in words, if part of what is stored cannot be read
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The admin API's address
    #[arg(long, env = "CAIRN_ADMIN_URL", default_value = "http://127.0.0.1:9001", value_name = "URL")]
    admin_url: String,
    /// A file (PEM) with the authority that vouches for the admin API's certificate, or with that certificate itself
    #[arg(long, env = "CAIRN_ADMIN_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Asks.
///
/// # Errors
/// [`AdminCommandError`]: it is not ready, or gives no answer.
pub fn run(args: HealthArgs) -> Result<(), AdminCommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(admin::run_health(args.admin_url, args.ca))? {
        None => println!("ready"),
        Some(shortfall) => println!("ready, but {shortfall}"),
    }
    Ok(())
}
