//! A trustee's part: its share of every sum, once.

use super::folder::{Author, ExchangeFolder, refusal, when};
use super::{Done, FederateError, Keyring, Say, chance};
use crate::federate::Federation;

/// Writes this trustee's share of every sum that is right and that it has not opened over other records.
///
/// # Errors
/// If a file cannot be read or written, or the key is none of this federation's.
pub fn open(
    federation: &Federation,
    keyring: &Keyring,
    folder: &ExchangeFolder,
    tell: Say<'_>,
) -> Result<Done, FederateError> {
    let mut done = Done::default();
    let trustee = keyring.trustee()?;
    trustee.number(federation).map_err(|rejection| keyring.rejected(rejection))?;
    let mut opened = keyring.opened()?;
    for (window, files) in folder.windows(federation)? {
        if !files.has_sum || files.trustees.contains(trustee.name()) {
            continue;
        }
        let (contributions, refused) = folder.contributions(federation, window, &files, tell)?;
        done.refused += refused;
        let sum = match folder.sum(federation, window, &contributions)? {
            Ok(sum) => sum,
            Err(refusal) => {
                done.refused += 1;
                tell(refusal);
                continue;
            }
        };
        let before = opened.clone();
        let permission = match opened.admit(&sum) {
            Ok(permission) => permission,
            Err(rejection) => {
                done.refused += 1;
                tell(refusal(&folder.path(window, Author::Sum), rejection));
                continue;
            }
        };
        let share = trustee.share(federation, permission, &mut chance());
        let share = share.map_err(|rejection| keyring.rejected(rejection))?;
        // The list is on the disk before the share leaves: a crash between the two opens nothing twice.
        if opened != before {
            keyring.keep(&opened)?;
        }
        folder.write(window, Author::Trustee(trustee.name()), &share)?;
        done.done += 1;
        let (got, all) = (sum.sites(federation).len(), federation.sites().len());
        if got < all {
            tell(format!("window {}: {got} of {all} sites", when(window)));
        }
    }
    tell(format!("{} shares written", done.done));
    Ok(done)
}
