//! `tripline federate site`

use std::path::PathBuf;

use super::{Done, Exchange, Halt, StreamOf, say};
use crate::shell::federate::{Keyring, Sealing, seal};

/// Encrypt the windows of a stream's evidence for the federation
///
/// Every window that is complete becomes one file in the folder. A window that has a file already is left alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    exchange: Exchange,
    #[command(flatten)]
    stream: StreamOf,
    /// The site's secret key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Values of the stream's evidence topic, a line each, from its beginning: `kcat -C -e -t STREAM.evidence -X
    /// isolation.level=read_committed`
    #[arg(long, value_name = "FILE")]
    evidence: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        let (federation, folder) = self.exchange.read()?;
        let (keyring, stream) = (Keyring::open(&self.key)?, self.stream.read()?);
        let sealing = Sealing {
            federation: &federation,
            keyring: &keyring,
            stream: &stream,
            folder: &folder,
        };
        Ok(seal(&sealing, &self.evidence, &mut say)?)
    }
}
