//! The folder that the parties of a federation exchange records by.
//!
//! ```text
//! 0001795000000000.bank-a.tally        what a site counted in the window that starts then, encrypted
//! 0001795000000000.sum                 the sum of all sites
//! 0001795000000000.auditor.share       what a trustee contributes to opening it
//! ```
//!
//! A name only says where to look: what a record says of itself counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{FederateError, Say, files};
use crate::federate::{BYTES_MAX, Contribution, Federation, Rejection, SummedWindow, TrusteeShare};
use crate::record::Timestamp;
use crate::watch::WindowStart;

/// Everybody of the federation may read these.
const MODE: u32 = 0o644;
/// Names that are looked at: more than a folder of a year's windows of 10 s has.
const NAMES_MAX: usize = 10_000_000;

/// Who sent a record.
#[derive(Clone, Copy, Debug)]
pub enum Author<'a> {
    Site(&'a str),
    Sum,
    Trustee(&'a str),
}

/// The names of a window's files.
#[derive(Clone, Debug, Default)]
pub struct WindowFiles {
    pub sites: BTreeSet<String>,
    pub has_sum: bool,
    pub trustees: BTreeSet<String>,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct ExchangeFolder {
    dir: PathBuf,
}

impl ExchangeFolder {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub fn path(&self, window: WindowStart, from: Author<'_>) -> PathBuf {
        let window = window.0;
        self.dir.join(match from {
            Author::Site(name) => format!("{window:016}.{name}.tally"),
            Author::Sum => format!("{window:016}.sum"),
            Author::Trustee(name) => format!("{window:016}.{name}.share"),
        })
    }

    /// Writes a record that is not there yet.
    pub fn write(
        &self,
        window: WindowStart,
        from: Author<'_>,
        record: &[u8],
    ) -> Result<(), FederateError> {
        files::write_new(&self.path(window, from), record, MODE)
    }

    /// What lies there, by window. Other files are not looked at.
    pub fn windows(
        &self,
        federation: &Federation,
    ) -> Result<BTreeMap<WindowStart, WindowFiles>, FederateError> {
        let failed = files::failed(&self.dir);
        let mut windows: BTreeMap<WindowStart, WindowFiles> = BTreeMap::new();
        let entries = fs::read_dir(&self.dir).map_err(&failed)?;
        for entry in entries.take(NAMES_MAX) {
            let name = entry.map_err(&failed)?.file_name();
            let parts: Vec<&str> = name.to_str().unwrap_or_default().split('.').collect();
            let window = |digits: &str| {
                let start = digits.parse().ok().filter(|_| digits.len() == 16)?;
                federation.window(start).ok()
            };
            match *parts.as_slice() {
                [digits, site, "tally"] if let Some(window) = window(digits) => {
                    windows.entry(window).or_default().sites.insert(site.to_owned());
                }
                [digits, "sum"] if let Some(window) = window(digits) => {
                    windows.entry(window).or_default().has_sum = true;
                }
                [digits, trustee, "share"] if let Some(window) = window(digits) => {
                    windows.entry(window).or_default().trustees.insert(trustee.to_owned());
                }
                _ => {}
            }
        }
        Ok(windows)
    }

    /// What sites sent for a window, and how many records do not count. Each of those is told.
    pub fn contributions(
        &self,
        federation: &Federation,
        window: WindowStart,
        files: &WindowFiles,
        tell: Say<'_>,
    ) -> Result<(Vec<Contribution>, usize), FederateError> {
        let (mut sound, mut refused) = (vec![], 0);
        for site in &files.sites {
            let path = self.path(window, Author::Site(site));
            let read = Contribution::read(federation, &files::read(&path, BYTES_MAX)?);
            let read = read.and_then(|contribution| {
                let fits = contribution.window == window && contribution.site(federation) == site;
                if fits { Ok(contribution) } else { Err(Rejection::Misnamed) }
            });
            match read {
                Ok(contribution) => sound.push(contribution),
                Err(rejection) => {
                    refused += 1;
                    tell(refusal(&path, rejection));
                }
            }
        }
        Ok((sound, refused))
    }

    /// The sum of a window, computed again.
    pub fn sum(
        &self,
        federation: &Federation,
        window: WindowStart,
        contributions: &[Contribution],
    ) -> Result<Result<SummedWindow, String>, FederateError> {
        let path = self.path(window, Author::Sum);
        let record = files::read(&path, BYTES_MAX)?;
        let read = SummedWindow::read(federation, &record, contributions);
        let read = read.and_then(|sum| match sum.window == window {
            true => Ok(sum),
            false => Err(Rejection::Misnamed),
        });
        Ok(read.map_err(|rejection| refusal(&path, rejection)))
    }

    /// The shares of a sum, and how many do not count. Each of those is told.
    pub fn shares(
        &self,
        federation: &Federation,
        sum: &SummedWindow,
        files: &WindowFiles,
        tell: Say<'_>,
    ) -> Result<(Vec<TrusteeShare>, usize), FederateError> {
        let (mut sound, mut refused) = (vec![], 0);
        for trustee in &files.trustees {
            let path = self.path(sum.window, Author::Trustee(trustee));
            let record = files::read(&path, BYTES_MAX)?;
            let read = TrusteeShare::read(federation, sum, &record);
            let read = read.and_then(|share| match share.trustee(federation) == trustee {
                true => Ok(share),
                false => Err(Rejection::Misnamed),
            });
            match read {
                Ok(share) => sound.push(share),
                Err(rejection) => {
                    refused += 1;
                    tell(refusal(&path, rejection));
                }
            }
        }
        Ok((sound, refused))
    }
}

/// One line about a record that does not count.
pub fn refusal(path: &Path, rejection: Rejection) -> String {
    format!("refused: {}", FederateError::Rejected { path: path.to_owned(), rejection })
}

/// A window, for a person.
pub fn when(window: WindowStart) -> String {
    let Timestamp(ms) = window;
    let instant = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{instant}")
}
