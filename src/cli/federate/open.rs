//! `tripline federate open`

use std::path::PathBuf;

use super::{Done, Exchange, Halt, say};
use crate::shell::federate::{Keyring, open};

/// Contribute a trustee's share to every sum
///
/// A window is opened once. A second sum of it is refused, because the difference of two sums is one site's counts.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    exchange: Exchange,
    /// The trustee's secret key; its list of opened windows lies beside it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        let (federation, folder) = self.exchange.read()?;
        Ok(open(&federation, &Keyring::open(&self.key)?, &folder, &mut say)?)
    }
}
