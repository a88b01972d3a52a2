//! `tripline federate keygen`

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Done, Halt};
use crate::shell::federate::{generate_site, generate_trustee, public_lines};

/// Make the secret key of a site or a trustee in a new file, and print the public lines for the federation's file
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose key it is
    #[arg(value_name = "ROLE", required_unless_present = "show", conflicts_with = "show")]
    role: Option<Party>,
    /// Its name in the federation: a-z, 0-9 and -
    #[arg(value_name = "NAME", required_unless_present = "show")]
    name: Option<String>,
    /// Where the secret key goes; never overwritten. A trustee's list of opened windows is made beside it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Make no key: print the public lines of the one that is there
    #[arg(long)]
    show: bool,
}

/// Who has a key.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Party {
    /// Encrypts and signs its own counts
    Site,
    /// Opens sums, together with all other trustees
    Trustee,
}

impl Args {
    pub fn run(self) -> Result<Done, Halt> {
        let Self { role, name, key, show: _ } = self;
        let lines = match (role, name) {
            (Some(Party::Site), Some(name)) => generate_site(&name, &key)?,
            (Some(Party::Trustee), Some(name)) => generate_trustee(&name, &key)?,
            _ => public_lines(&key)?,
        };
        print!("{lines}");
        Ok(Done::default())
    }
}
