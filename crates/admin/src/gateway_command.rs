//! `cairn admin gateway ...`: credentials of gateways.

use clap::Subcommand;
use types::Timestamp;

use crate::client::{AdminClient, AdminClientError};
use crate::gateways::{AddGateway, GatewayName, KnownGateway, NewGateway};

/// Verbs of `cairn admin gateway`.
#[derive(Debug, Clone, Subcommand)]
pub enum GatewayCommand {
    /// Make a credential for a gateway and print it, this once
    ///
    /// The gateway is given it as CAIRN_GATEWAY_CREDENTIAL, or in a file as CAIRN_GATEWAY_CREDENTIAL_FILE. With it, it
    /// reaches shards and index, and administers nothing.
    Add {
        /// What to call it: letters, digits, '.', '_' and '-'
        #[arg(long, value_name = "NAME")]
        name: Option<GatewayName>,
        /// Let in the credential that CAIRN_GATEWAY_CREDENTIAL (or the file that CAIRN_GATEWAY_CREDENTIAL_FILE names)
        /// holds, instead of making one
        ///
        /// For machines that are set up from one place: `gw1:`, 32 random hexadecimal digits, `:`, 64 more. The same
        /// again changes nothing.
        #[arg(long)]
        given: bool,
    },
    /// All gateways that have a credential
    List,
    /// Revoke a gateway's credential: nodes cut it off within seconds
    Remove {
        /// Its id, as `list` shows it
        id: String,
    },
}

/// Carries out a verb.
///
/// # Errors
/// [`AdminClientError`].
pub(crate) async fn run(client: &AdminClient, command: GatewayCommand, json: bool) -> Result<(), AdminClientError> {
    match command {
        GatewayCommand::Add { name, given: false } => {
            let new = client.add_gateway(AddGateway { name, credential: None }).await?;
            println!("{}", if json { json_of(&new) } else { added(&new) });
        }
        GatewayCommand::Add { name, given: true } => {
            let credential = given_credential().ok_or(AdminClientError::NoCredential)?;
            let new = client.add_gateway(AddGateway { name, credential: Some(credential) }).await?;
            crate::cli::print_done(json, &format!("gateway {} ({}) is let in", new.id, new.name));
        }
        GatewayCommand::List => {
            let gateways = client.gateways().await?;
            if json {
                println!("{}", json_of(&gateways));
            } else {
                gateways.iter().for_each(|gateway| println!("{}", line_of(gateway)));
            }
        }
        GatewayCommand::Remove { id } => {
            client.remove_gateway(&id).await?;
            crate::cli::print_done(json, "the credential is revoked; nodes cut the gateway off within seconds");
        }
    }
    Ok(())
}

/// What the environment gives.
fn given_credential() -> Option<String> {
    const NAME: &str = "CAIRN_GATEWAY_CREDENTIAL";
    let from_file = || {
        let path = std::env::var_os(format!("{NAME}_FILE"))?;
        String::from_utf8(crate::client::read_file(std::path::Path::new(&path))?).ok()
    };
    std::env::var(NAME).ok().or_else(from_file)
}

fn json_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data is JSON")
}

fn added(new: &NewGateway) -> String {
    // The second line can be put into a file of settings as it is.
    format!(
        "gateway {} ({}); its credential is shown this once:\nCAIRN_GATEWAY_CREDENTIAL={}",
        new.id, new.name, new.credential
    )
}

fn line_of(gateway: &KnownGateway) -> String {
    let added = s3_wire::time::http_date(Timestamp::from_seconds(gateway.added_seconds));
    format!("{}  {}  added {}", gateway.id, gateway.name, added.to_str().unwrap_or_default())
}
