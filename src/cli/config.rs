//! `tripline config`, and the configuration file, read from disk with its secrets.

use std::path::{Path, PathBuf};

use super::Exit;
use crate::config::{Config, Secret, reference, schema};
use crate::shell::kafka::Clients;

/// Print what a configuration can say
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum What {
    /// Every key with its limits, default and meaning, in Markdown
    Reference,
    /// A JSON Schema (draft 2020-12): with it an editor completes keys and underlines mistakes
    Schema,
}

impl Args {
    pub fn run(self) -> Exit {
        match self.what {
            What::Reference => print!("{}", reference()),
            What::Schema => print!("{}", schema()),
        }
        Exit::Ok
    }
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "config/tripline.toml")]
    pub config: PathBuf,
}

impl ConfigFile {
    /// Reads and checks the file; every problem is printed to standard error.
    pub fn read(&self) -> Option<Config> {
        self.try_read().inspect_err(|problems| eprintln!("{problems}")).ok()
    }

    /// Reads and checks the file for a command that uses only the tables `wanted`: secrets of other tables need not be there.
    pub fn read_for(&self, wanted: &[&str]) -> Option<Config> {
        let read = self.try_read_for(Some(wanted));
        read.inspect_err(|problems| eprintln!("{problems}")).ok()
    }

    /// Reads and checks the file.
    ///
    /// # Errors
    /// Every problem, a line each.
    pub fn try_read(&self) -> Result<Config, String> {
        self.try_read_for(None)
    }

    fn try_read_for(&self, wanted: Option<&[&str]>) -> Result<Config, String> {
        let place = self.config.display();
        let text = std::fs::read_to_string(&self.config);
        let text = text.map_err(|error| format!("error: {place}: {error}"))?;
        let config = Config::read_for(wanted, &self.config, &text, std::env::vars(), &secret);
        let config = config.map_err(|problems| problems.to_string())?;
        let refused = refused(&config).into_iter().map(|why| format!("{place}: {why}"));
        let refused: Vec<String> = refused.collect();
        if refused.is_empty() { Ok(config) } else { Err(refused.join("\n")) }
    }
}

/// What librdkafka does not take.
pub fn refused(config: &Config) -> Vec<String> {
    Clients::new(config.kafka.clone(), &config.instance).refused()
}

/// Fetches a secret from the environment or a file; a trailing newline is not part of it.
pub fn secret(secret: Secret<'_>) -> Result<String, String> {
    match secret {
        Secret::Env(name) => {
            std::env::var(name).map_err(|_| format!("the variable {name} is not set"))
        }
        Secret::File(path) => read_secret(path),
    }
}

fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}
