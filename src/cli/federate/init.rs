//! `tripline federate init`

use super::{Done, Halt, StreamOf};
use crate::shell::federate::head;

/// Print the first lines of a federation's file: what its numbers mean
///
/// Sites and trustees follow in the same file: the lines that `tripline federate keygen` prints.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the federation; its alerts bear it
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    stream: StreamOf,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        print!("{}", head(&self.name, &self.stream.read()?)?);
        Ok(Done::default())
    }
}
