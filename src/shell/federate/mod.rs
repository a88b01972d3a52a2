//! A federation's files: keys, and the folder that its parties exchange records by.
//!
//! The folder may lie on a disk that all parties reach, or each has one and copies what is new. Nobody is trusted with it: every
//! record is checked each time it is read. A file is written once and never changed.

mod files;
mod folder;
mod keys;
mod listen;
mod monitor;
mod open;
mod site;
mod sum;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use rand::rngs::OsRng;
use rand::{CryptoRng, TryRngCore as _};

use super::bundle::BundleDirError;
use super::run::RunError;
use crate::federate::{Federation, Rejection};

pub use folder::ExchangeFolder;
pub use keys::{Keyring, generate_site, generate_trustee, public_lines};
pub use listen::{Listener, head};
pub use monitor::monitor;
pub use open::open;
pub use site::{Sealing, seal};
pub use sum::sum;
pub use verify::verify;

/// Why a command on a federation ends early.
#[derive(Debug, thiserror::Error)]
pub enum FederateError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} already exists and is not overwritten", path = path.display())]
    Exists { path: PathBuf },
    #[error("{path} is larger than {max} bytes", path = path.display())]
    TooLarge { path: PathBuf, max: usize },
    #[error(
        "{path} can be read by others than its owner (mode {mode:o}): a key that others may have read is replaced, else chmod 600",
        path = path.display()
    )]
    Readable { path: PathBuf, mode: u32 },
    #[error(
        "{path} is not there: a trustee opens nothing without its list of opened windows, because it cannot know what it opened",
        path = path.display()
    )]
    NoList { path: PathBuf },
    #[error("{path} is in use by another process", path = path.display())]
    Busy { path: PathBuf },
    #[error("{path}: {rejection} [{name}]", path = path.display(), name = rejection.name())]
    Rejected { path: PathBuf, rejection: Rejection },
    #[error("{path} is the key of a {got}; a {expected} is wanted", path = path.display())]
    Role { path: PathBuf, got: &'static str, expected: &'static str },
    #[error(transparent)]
    File(#[from] BundleDirError),
    #[error(transparent)]
    Stream(#[from] RunError),
    #[error("{0}")]
    Mismatch(String),
}

impl FederateError {
    /// Whether somebody has to change a file before it can work.
    pub fn is_configuration(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Busy { .. })
    }
}

/// What a command tells while it works: a line each.
pub type Say<'a> = &'a mut dyn FnMut(String);

/// What a command came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Records that were written, or windows that were taken.
    pub done: usize,
    /// Records that do not count. Each was told.
    pub refused: usize,
    /// Windows that wait for somebody.
    pub waiting: usize,
}

/// The operating system's random numbers, for each number anew: none is left in a buffer of ours.
pub fn chance() -> impl CryptoRng {
    OsRng.unwrap_err()
}

/// Reads the file of a federation.
///
/// # Errors
/// If it cannot be read, or is wrong.
pub fn read_federation(path: &Path) -> Result<Federation, FederateError> {
    /// A thousand sites take 200 kB.
    const BYTES: usize = 1 << 20;
    let bytes = files::read(path, BYTES)?;
    let wrong = |rejection| FederateError::Rejected { path: path.to_owned(), rejection };
    let text = String::from_utf8(bytes)
        .map_err(|_| wrong(Rejection::Federation("it is not UTF-8".to_owned())))?;
    Federation::read(&text).map_err(wrong)
}
