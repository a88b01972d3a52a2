//! Whoever adds: it needs no key, and nobody trusts it.

use super::folder::{Author, ExchangeFolder, refusal, when};
use super::{Done, FederateError, Say};
use crate::federate::{Federation, SummedWindow};

/// Adds what sites sent, window by window. A window is added once: when all sites have sent for it or, if `incomplete`,
/// at least as many as the federation demands.
///
/// # Errors
/// If a file cannot be read or written.
pub fn sum(
    federation: &Federation,
    folder: &ExchangeFolder,
    incomplete: bool,
    tell: Say<'_>,
) -> Result<Done, FederateError> {
    let mut done = Done::default();
    let all = federation.sites().len();
    for (window, files) in folder.windows(federation)? {
        if files.has_sum {
            continue;
        }
        let (contributions, refused) = folder.contributions(federation, window, &files, tell)?;
        done.refused += refused;
        let got = contributions.len();
        let wanted = if incomplete { federation.min_sites() } else { all };
        if got < wanted {
            done.waiting += 1;
            let asked = if incomplete { ", as many as `min_sites` asks for" } else { "" };
            tell(format!("window {} waits: {got} of {wanted} sites{asked}", when(window)));
            continue;
        }
        let sum = match SummedWindow::of(federation, &contributions) {
            Ok(sum) => sum,
            Err(rejection) => {
                done.refused += 1;
                tell(refusal(&folder.path(window, Author::Sum), rejection));
                continue;
            }
        };
        match folder.write(window, Author::Sum, sum.to_bytes()) {
            // Somebody else added it meanwhile.
            Err(FederateError::Exists { .. }) => continue,
            written => written?,
        }
        done.done += 1;
        if got < all {
            tell(format!("window {}: {got} of {all} sites", when(window)));
        }
    }
    tell(format!("{} windows added", done.done));
    Ok(done)
}
