//! `csg ca`: the certificate that clients have to trust.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Subcommand;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use super::{
    ConfigArgs,
    rest::{Rest, Trust},
    terminal::print,
};
use crate::{
    app::{self, StartError},
    ca::Authority,
    clock::{Clock, Timestamp},
    config::{Console, ConsoleTls},
    store,
};

/// Show or export the certificate that clients have to trust
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the certificate to standard output, as PEM
    Export {
        #[command(flatten)]
        config: ConfigArgs,
        /// As DER
        #[arg(long)]
        der: bool,
    },
    /// Say whom the certificate names, until when it is valid, what it may speak for
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What the REST API says of the certificate, too.
#[derive(Debug, Deserialize, Serialize)]
struct Certificate {
    subject: String,
    serial: String,
    fingerprint_sha256: String,
    not_before: Timestamp,
    not_after: Timestamp,
    permitted_domains: Vec<String>,
    permitted_addresses: Vec<String>,
    pem: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Export { config, der: true } => {
            let pem = Certificate::find(config)?.pem;
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).context("the CA certificate is not PEM")?;
            let mut to = io::stdout().lock();
            to.write_all(&der)?;
            to.flush()?;
        }
        Command::Export { config, der: false } => print(Certificate::find(config)?.pem)?,
        Command::Show { config, json: true } => {
            print(format_args!("{}\n", serde_json::to_string(&Certificate::find(config)?)?))?;
        }
        Command::Show { config, json: false } => print(Certificate::find(config)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Certificate {
    /// From the data directory; while an appliance has that open, from its console, which tells everybody.
    fn find(config: &ConfigArgs) -> anyhow::Result<Self> {
        let config = config.load()?;
        match app::authority(&config, &Clock::system()) {
            Ok(authority) => Ok(Self::of(&authority)),
            Err(StartError::Store(store::Error::AlreadyOpen { .. }) | StartError::DataDir { .. }) => {
                let console = here(&config.console);
                Ok(serde_json::from_value(console.get("/ca")?)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn of(authority: &Authority) -> Self {
        let permitted = authority.permitted();
        Self {
            subject: authority.subject().to_owned(),
            serial: authority.serial().to_owned(),
            fingerprint_sha256: authority.fingerprint(),
            not_before: authority.not_before(),
            not_after: authority.not_after(),
            permitted_domains: permitted.domains().to_vec(),
            permitted_addresses: permitted.addresses().iter().map(ToString::to_string).collect(),
            pem: authority.pem(),
        }
    }
}

/// The console of this machine. To know whom to trust is what it is asked for, so nobody vouches for it; what is heard
/// comes from this machine all the same, as over plain HTTP.
fn here(console: &Console) -> Rest {
    let address = console.listen;
    let is_plain = match console.tls {
        ConsoleTls::Auto => address.ip().to_canonical().is_loopback(),
        ConsoleTls::Files { .. } => false,
        ConsoleTls::Off => true,
    };
    Rest::new(&format!("{}://{address}", if is_plain { "http" } else { "https" }), &Trust::Anybody, None)
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            self.permitted_domains.iter().chain(&self.permitted_addresses).map(String::as_str).collect();
        writeln!(f, "subject      {}", self.subject)?;
        writeln!(f, "serial       {}", self.serial)?;
        writeln!(f, "SHA-256      {}", self.fingerprint_sha256)?;
        writeln!(f, "valid        {} to {}", self.not_before, self.not_after)?;
        writeln!(f, "speaks for   {}", names.join("\n             "))
    }
}
