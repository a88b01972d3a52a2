//! How a monitor goes on from what its last commit left.

use tracing::warn;

use crate::deliver::{Beginning, Start};
use crate::monitor::{Alert, Monitor, MonitorError};

/// The monitor that goes on from `beginning`, whose first kept value is its state, with what there is
/// to say about an incident of another baseline; `offsets_lag` as in [`Timing`](crate::deliver::Timing). Offsets behind the state
/// as for [`begin_lane`](crate::deliver::begin_lane). In an evidence topic that is another from some offset on, it hears what
/// stands there: what it heard before stays heard.
///
/// # Errors
/// If state and committed offset do not fit each other.
pub fn begin_monitor(
    fresh: &Monitor,
    beginning: &Beginning,
    offsets_lag: bool,
) -> Result<(Monitor, Vec<Alert>), MonitorError> {
    let fresh = fresh.clone();
    let log = &beginning.log.extent;
    let start = beginning.start(offsets_lag);
    let (monitor, ended) = match start {
        Start::Fresh(next) => Ok((fresh.starting_at(next), vec![])),
        Start::Lost { committed } => Err(MonitorError::Missing { committed }),
        Start::Covering { state, committed: Some(committed) } => fresh.restore(state, committed),
        Start::Covering { state, .. } | Start::WithoutOffset { state } => fresh.covering(state),
    }?;
    let next = monitor.next();
    let gone = beginning.log.since(monitor.log(), next);
    let monitor = match gone {
        Some(gone) => {
            warn!(%next, "the evidence topic is another log than it was: {gone}; the monitor hears it from there");
            monitor.starting_at(gone.next)
        }
        None if matches!(start, Start::WithoutOffset { .. }) && next != log.start => {
            return Err(MonitorError::NoOffset { covered: next });
        }
        None => monitor,
    };
    Ok((monitor.of_log(log.clone()), ended))
}
