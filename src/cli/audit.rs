//! `tripline audit`

use std::path::PathBuf;

use super::Exit;
use super::config::ConfigFile;
use crate::audit_log::{AuditVerifier, Checkpoint, Stored, verify};
use crate::shell::audit::{AuditLog, AuditLogError, StoredEntry};

/// Check the audit log: whether what people and processes did stands there as it was written
///
/// (Training data is checked by `tripline audit-data`.)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say whether an entry was changed, moved, added or taken out; exit 2 if so
    Verify(VerifyEntries),
    /// Print the entries, one CloudEvent per line
    Show(ShowEntries),
}

#[derive(Debug, clap::Args)]
struct VerifyEntries {
    #[command(flatten)]
    config: ConfigFile,
    /// The public key of the checkpoints, in PEM; else `public_key` of `[audit]`
    #[arg(long, value_name = "PEM")]
    public_key: Option<PathBuf>,
    /// A checkpoint that you kept: the log must still hold what it says
    #[arg(long, value_name = "NOTE")]
    kept: Option<PathBuf>,
    /// Write the newest checkpoint here, to be kept where nobody who writes the log can change it
    #[arg(long, value_name = "NOTE")]
    keep: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ShowEntries {
    #[command(flatten)]
    config: ConfigFile,
}

/// The tables of the configuration that these commands use.
const TABLES: [&str; 2] = ["kafka", "audit"];

impl Args {
    pub fn run(self) -> Exit {
        let done = match self.command {
            Command::Verify(verify) => verify.run(),
            Command::Show(show) => show.run(),
        };
        done.unwrap_or_else(|AuditProblem(exit, said)| {
            eprintln!("error: {said}");
            exit
        })
    }
}

struct AuditProblem(Exit, String);

impl From<AuditLogError> for AuditProblem {
    fn from(error: AuditLogError) -> Self {
        Self(Exit::Failed, error.to_string())
    }
}

/// The log of a configuration, and its public key.
fn log(config: &ConfigFile) -> Result<Option<(AuditLog, Option<PathBuf>)>, AuditProblem> {
    let Some(config) = config.read_for(&TABLES) else { return Ok(None) };
    let key = config.audit.as_ref().and_then(|audit| audit.public_key.clone());
    let log = AuditLog::new(&config)?;
    let none =
        || AuditProblem(Exit::Config, "there is no audit log: [audit] has no `topic`".to_owned());
    Ok(Some((log.ok_or_else(none)?, key)))
}

impl ShowEntries {
    fn run(self) -> Result<Exit, AuditProblem> {
        let Some((log, _)) = log(&self.config)? else { return Ok(Exit::Config) };
        log.read(|record| println!("{}", String::from_utf8_lossy(&record.value).trim_end()))?;
        Ok(Exit::Ok)
    }
}

impl VerifyEntries {
    fn run(self) -> Result<Exit, AuditProblem> {
        let Some((log, key)) = log(&self.config)? else { return Ok(Exit::Config) };
        let read = |path: &PathBuf| {
            let failed = |error| AuditProblem(Exit::Config, format!("{}: {error}", path.display()));
            std::fs::read(path).map_err(failed)
        };
        let key = self.public_key.or(key);
        let pem = key.as_ref().map(read).transpose()?;
        let verifier = pem.map(|pem| AuditVerifier::from_pem(&pem)).transpose();
        let verifier = verifier.map_err(|error| AuditProblem(Exit::Config, error.to_string()))?;
        let kept: Option<Checkpoint> = match (&self.kept, &verifier) {
            (None, _) => None,
            (Some(_), None) => {
                let said = "a checkpoint that was kept is checked with a key: --public-key";
                return Err(AuditProblem(Exit::Config, said.to_owned()));
            }
            (Some(path), Some(verifier)) => {
                let kept = verifier.read(&read(path)?, log.origin());
                let said =
                    |error| AuditProblem(Exit::Config, format!("{}: {error}", path.display()));
                Some(kept.map_err(said)?)
            }
        };
        let mut records: Vec<StoredEntry> = vec![];
        log.read(|record| records.push(record))?;
        let stored = records.iter().map(|StoredEntry { offset, key, value }| Stored {
            offset: *offset,
            key,
            value,
        });
        let report = verify(stored, log.origin(), verifier.as_ref(), kept.as_ref());
        for found in &report.findings {
            match found.offset {
                Some(offset) => println!("offset {offset}: {}", found.what),
                None => println!("at the end: {}", found.what),
            }
        }
        let shown = report.findings.len() as u64;
        if report.found > shown {
            println!("and {} more", report.found - shown);
        }
        println!(
            "{} entries, {} checkpoints that hold, {} entries above the last one; {} findings",
            report.chain.entries, report.checkpoints, report.above, report.found
        );
        if verifier.is_none() {
            println!("no signature was checked: --public-key, or `public_key` of [audit]");
        }
        if let Some(path) = &self.keep {
            self::keep(path, &records)?;
        }
        Ok(if report.found == 0 { Exit::Ok } else { Exit::Found })
    }
}

/// Writes the newest checkpoint to a file.
fn keep(path: &PathBuf, records: &[StoredEntry]) -> Result<(), AuditProblem> {
    let notes = records.iter().rev();
    let newest = notes.clone().find(|record| record.key == crate::audit_log::CHECKPOINT_KEY);
    let none = "there is no checkpoint yet: one stands behind every 1,000 entries";
    let newest = newest.ok_or_else(|| AuditProblem(Exit::Failed, none.to_owned()))?;
    let failed = |error| AuditProblem(Exit::Failed, format!("{}: {error}", path.display()));
    std::fs::write(path, &newest.value).map_err(failed)
}
