//! `cairn`: an S3-compatible object store over commodity disks. This binary parses the command line and settings and
//! leaves the rest to `node` (the server) and `admin` (the verbs).

#![allow(unreachable_pub, reason = "a binary exports nothing; pub tells the items that other modules use")]

mod admin_command;
mod allocator;
mod health;
mod idle;
mod quantity;
mod server;
mod settings;
mod variables;

use std::process::ExitCode;

use crate::server::Roles;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// An S3-compatible object store over commodity disks
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Server(Box<server::ServerArgs>),
    /// Keep disks and index of a cluster, without S3
    Node(Box<server::ServerArgs>),
    Gateway(Box<server::GatewayArgs>),
    Admin(admin_command::AdminArgs),
    Health(health::HealthArgs),
}

fn main() -> ExitCode {
    let frugal = allocator::Frugal::begin();
    let outcome: Result<(), Box<dyn std::error::Error>> = match parsed().command {
        Command::Server(args) => server::run(*args, Roles::NodeAndGateway, frugal).map_err(Into::into),
        Command::Node(args) => server::run(*args, Roles::Node, frugal).map_err(Into::into),
        Command::Gateway(args) => server::run_gateway(*args, frugal).map_err(Into::into),
        Command::Admin(args) => admin_command::run(args).map_err(Into::into),
        Command::Health(args) => health::run(args).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn: {}", telemetry::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// What was asked for; help and mistakes end the process here.
fn parsed() -> Cli {
    let command = Cli::command();
    let command = ["server", "node", "gateway"]
        .into_iter()
        .fold(command, |command, role| command.mut_subcommand(role, settings::lay_out_help));
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}
