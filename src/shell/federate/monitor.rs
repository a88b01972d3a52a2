//! The federation's monitor: it opens what all trustees have shared, and tells what is unusual in the sum.

use std::path::Path;

use super::folder::{Author, ExchangeFolder, refusal, when};
use super::{Done, FederateError, Listener, Say, files};
use crate::federate::{Federation, Logarithms};
use crate::monitor::Alert;

/// A monitor's state fits what a topic takes; this is more.
const STATE_BYTES_MAX: usize = 16 << 20;
/// As the counts of all sites together: of the operator alone.
const MODE: u32 = 0o600;

/// Opens every window that all trustees have shared, in order, and lets `listener` hear it. Ends at the first that lacks a
/// share; with `skip` it is passed over, and never heard. The state is kept in `state`.
///
/// # Errors
/// If a file cannot be read or written, or the state is another monitor's.
pub fn monitor(
    federation: &Federation,
    listener: Listener,
    (folder, state): (&ExchangeFolder, &Path),
    skip: bool,
    tell: Say<'_>,
    alerted: &mut dyn FnMut(&Alert),
) -> Result<Done, FederateError> {
    let mut done = Done::default();
    let mut listener = listener;
    if state.exists() {
        let (restored, ended) = listener.restored(&files::read(state, STATE_BYTES_MAX)?)?;
        ended.iter().for_each(&mut *alerted);
        listener = restored;
    }
    let logarithms = Logarithms::new();
    let windows = folder.windows(federation)?;
    let all = federation.sites().len();
    for (&window, named) in windows.range(listener.frontier()..) {
        if !named.has_sum {
            continue;
        }
        let (contributions, refused) = folder.contributions(federation, window, named, tell)?;
        done.refused += refused;
        let sum = match folder.sum(federation, window, &contributions)? {
            Ok(sum) => sum,
            Err(refusal) => {
                done.refused += 1;
                tell(refusal);
                continue;
            }
        };
        let (shares, refused) = folder.shares(federation, &sum, named, tell)?;
        done.refused += refused;
        if let Err(rejection) = sum.check_shares(federation, &shares) {
            done.waiting += 1;
            tell(format!("window {} waits: {rejection} [{}]", when(window), rejection.name()));
            if skip {
                continue;
            }
            break;
        }
        let tally = match sum.open(federation, &shares, &logarithms) {
            Ok(tally) => tally,
            Err(rejection) => {
                done.refused += 1;
                tell(refusal(&folder.path(window, Author::Sum), rejection));
                continue;
            }
        };
        let got = sum.sites(federation).len();
        if got < all {
            tell(format!("window {}: {got} of {all} sites", when(window)));
        }
        let alerts = listener.hear(federation, window, tally);
        done.done += 1;
        alerts.iter().for_each(&mut *alerted);
        // After the alerts: a crash in between tells them again, under the same keys.
        if !alerts.is_empty() {
            files::replace(state, &listener.to_bytes(), MODE)?;
        }
    }
    files::replace(state, &listener.to_bytes(), MODE)?;
    tell(format!("{} windows opened and heard", done.done));
    Ok(done)
}
