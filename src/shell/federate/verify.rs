//! Everything in a folder, checked by somebody who has no key.

use super::folder::{ExchangeFolder, when};
use super::{Done, FederateError, Say};
use crate::federate::Federation;

/// Checks every record of every window, and tells a line for each window.
///
/// # Errors
/// If a file cannot be read.
pub fn verify(
    federation: &Federation,
    folder: &ExchangeFolder,
    tell: Say<'_>,
) -> Result<Done, FederateError> {
    let mut done = Done::default();
    let (sites, trustees) = (federation.sites().len(), federation.trustees().len());
    for (window, files) in folder.windows(federation)? {
        let (contributions, refused) = folder.contributions(federation, window, &files, tell)?;
        done.refused += refused;
        let start = when(window);
        if !files.has_sum {
            done.waiting += 1;
            tell(format!("window {start}: {} of {sites} sites, no sum", contributions.len()));
            continue;
        }
        let sum = match folder.sum(federation, window, &contributions)? {
            Ok(sum) => sum,
            Err(refusal) => {
                done.refused += 1;
                tell(refusal);
                continue;
            }
        };
        let (shares, refused) = folder.shares(federation, &sum, &files, tell)?;
        done.refused += refused;
        let complete = sum.check_shares(federation, &shares).is_ok();
        if complete {
            done.done += 1;
        } else {
            done.waiting += 1;
        }
        let (got, shares) = (sum.sites(federation).len(), shares.len());
        tell(format!(
            "window {start}: sum of {got} of {sites} sites is right, {shares} of {trustees} shares are right"
        ));
    }
    tell(format!(
        "{} windows whole, {} wait, {} records refused",
        done.done, done.waiting, done.refused
    ));
    Ok(done)
}
