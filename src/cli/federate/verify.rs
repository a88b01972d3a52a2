//! `tripline federate verify`

use super::{Done, Exchange, Halt};
use crate::shell::federate::verify;

/// Check every record of a folder: signatures, proofs, sums, shares
///
/// Exit status: 0 nothing was refused, 1 something was.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    exchange: Exchange,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        let (federation, folder) = self.exchange.read()?;
        Ok(verify(&federation, &folder, &mut |line| println!("{line}"))?)
    }
}
