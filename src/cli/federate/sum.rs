//! `tripline federate sum`

use super::{Done, Exchange, Halt, say};
use crate::shell::federate::sum;

/// Add what the sites sent, window by window
///
/// Needs no key, and is trusted with nothing: trustees and the monitor compute every sum again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    exchange: Exchange,
    /// Do not wait for all sites: add a window once `min_sites` have sent. A site that comes later is left out
    #[arg(long)]
    incomplete: bool,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        let (federation, folder) = self.exchange.read()?;
        Ok(sum(&federation, &folder, self.incomplete, &mut say)?)
    }
}
