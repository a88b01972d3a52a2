//! `tripline federate`

mod init;
mod keygen;
mod monitor;
mod open;
mod site;
mod sum;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;

use super::Exit;
use super::config::ConfigFile;
use crate::config::Stream;
use crate::federate::Federation;
use crate::shell::federate::{Done, ExchangeFolder, FederateError, read_federation};

/// Watch several organisations together: counts are added under encryption, and only the sum is opened
///
/// docs/federation.md leads from nothing to an opened window.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the first lines of a federation's file
    Init(init::Args),
    /// Make the secret key of a site or a trustee, and print its public lines
    Keygen(keygen::Args),
    /// Encrypt the windows of a stream's evidence for the federation
    Site(site::Args),
    /// Add what the sites sent; needs no key
    Sum(sum::Args),
    /// Contribute a trustee's share to every sum, once
    Open(open::Args),
    /// Open what all trustees shared, and watch it as one stream
    Monitor(monitor::Args),
    /// Check every record of a folder; needs no key
    Verify(verify::Args),
}

impl Args {
    pub fn run(self) -> Exit {
        let worked = match self.command {
            Command::Init(args) => args.run(),
            Command::Keygen(args) => args.run(),
            Command::Site(args) => args.run(),
            Command::Sum(args) => args.run(),
            Command::Open(args) => args.run(),
            Command::Monitor(args) => args.run(),
            Command::Verify(args) => args.run(),
        };
        match worked {
            Ok(Done { refused: 0, .. }) => Exit::Ok,
            Ok(_) => Exit::Failed,
            Err(Halt::Told(exit)) => exit,
            Err(Halt::By(error)) => {
                eprintln!("error: {error}");
                if error.is_configuration() { Exit::Config } else { Exit::Failed }
            }
        }
    }
}

/// Why a command ended early.
enum Halt {
    /// It said so itself.
    Told(Exit),
    By(FederateError),
}

impl From<FederateError> for Halt {
    fn from(error: FederateError) -> Self {
        Self::By(error)
    }
}

/// The federation, and where its records are.
#[derive(Debug, clap::Args)]
struct Exchange {
    /// The file of the federation
    #[arg(long, value_name = "FILE", default_value = "federation.toml")]
    federation: PathBuf,
    /// The folder that records are exchanged by
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Exchange {
    fn read(&self) -> Result<(Federation, ExchangeFolder), Halt> {
        Ok((read_federation(&self.federation)?, ExchangeFolder::new(&self.folder)))
    }
}

/// A stream of a configuration.
#[derive(Debug, clap::Args)]
struct StreamOf {
    #[command(flatten)]
    config: ConfigFile,
    /// The stream, by its name [default: the first one]
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
}

impl StreamOf {
    fn read(&self) -> Result<Stream, Halt> {
        let config = self.config.read().ok_or(Halt::Told(Exit::Config))?;
        let named = |stream: &Stream| self.stream.as_ref().is_none_or(|name| stream.name == *name);
        let names: Vec<String> = config.streams.iter().map(|stream| stream.name.clone()).collect();
        config.streams.into_iter().find(named).ok_or_else(|| {
            eprintln!("error: there is no such stream; there are {}", names.join(", "));
            Halt::Told(Exit::Config)
        })
    }
}

/// Lines of a command's progress go to standard error, so that alerts and keys can be piped.
fn say(line: String) {
    eprintln!("{line}");
}
