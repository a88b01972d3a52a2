//! `tripline federate monitor`

use std::path::PathBuf;

use super::{Done, Exchange, Halt, StreamOf, say};
use crate::monitor::Alert;
use crate::shell::federate::{Listener, monitor};

/// Open what all trustees shared, and watch the sum as one stream
///
/// Alerts go to standard output, one line each.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    exchange: Exchange,
    /// A stream with the bundle, the budget and the windows of the federation
    #[command(flatten)]
    stream: StreamOf,
    /// What the monitor remembers; made if it is not there
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Pass over windows that lack a share; else the monitor waits at the first one
    #[arg(long)]
    skip: bool,
    /// Print alerts as JSON, as they would stand in the alerts topic
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        let (federation, folder) = self.exchange.read()?;
        let listener = Listener::new(&federation, &self.stream.read()?)?;
        let mut alerted = |alert: &Alert| match self.json {
            true => println!("{}", String::from_utf8_lossy(&alert.to_bytes())),
            false => println!("{} {}", alert.status.name(), alert.summary),
        };
        let files = (&folder, self.state.as_path());
        Ok(monitor(&federation, listener, files, self.skip, &mut say, &mut alerted)?)
    }
}
