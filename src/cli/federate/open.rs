//! `tripline federate open`

use std::path::PathBuf;

use super::{ConfigFile, Done, Exchange, Exit, Halt, say};
use crate::audit_log::{DeedKind, DeedOutcome};
use crate::shell::audit::write_down;
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
    /// A configuration with `[audit]`: that sums are opened is written down before
    #[arg(long, value_name = "CONFIG")]
    audit: Option<PathBuf>,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        let (federation, folder) = self.exchange.read()?;
        let keyring = Keyring::open(&self.key)?;
        if let Some(config) = self.audit {
            let file = ConfigFile { config };
            let config = file.read_for(&["kafka", "audit"]).ok_or(Halt::Told(Exit::Config))?;
            let trustee = self.key.display().to_string();
            let (what, begun) = (DeedKind::FederateOpen, DeedOutcome::Begun);
            write_down(&config, what, &trustee, begun, []).map_err(|error| {
                eprintln!("error: {error}");
                Halt::Told(Exit::Failed)
            })?;
        }
        Ok(open(&federation, &keyring, &folder, &mut say)?)
    }
}
