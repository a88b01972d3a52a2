//! Where a partition begins: by its state, by what the group committed, and by what its log is now.

use crate::config::Stream;
use crate::deliver::{Beginning, CrashLoopGuard, Start};
use crate::record::{Offset, Partition};
use crate::score::{Discontinuity, Lane, LaneError};

/// The lane that goes on from `beginning`, whose first kept value is its state; `offsets_lag` as in
/// [`Timing`](super::Timing). A log that is another under offsets that are done is refused, unless the
/// stream accepts that; what is gone unread is told, with the offset up to which the partition was read. A
/// partition of which nothing was committed yet begins where somebody first took it over, if its log still goes
/// back that far; what it does not have any more is gone unread.
///
/// # Errors
/// If state and committed offset do not fit each other.
pub fn begin(
    beginning: &Beginning,
    baseline: &str,
    stream: &Stream,
    offsets_lag: bool,
) -> Result<(Lane, Option<(Offset, Discontinuity)>), LaneError> {
    let partition = beginning.partition;
    let log = &beginning.log.extent;
    let window_ms = stream.alerts.window.as_millis() as u64;
    let fresh = |next| Lane::new(baseline, partition, next, window_ms);
    let start = beginning.start(offsets_lag);
    let crash_loop = || beginning.kept.get(1).and_then(Option::as_deref);
    let mut lane = match start {
        Start::Fresh(next) if beginning.committed.is_none() => {
            let taken_over = crash_loop().and_then(CrashLoopGuard::taken_over_at);
            Ok(fresh(taken_over.map_or(next, |at| at.min(next))))
        }
        Start::Fresh(next) => Ok(fresh(next)),
        Start::Lost { committed } => Err(LaneError::Missing { partition, committed }),
        Start::Covering { state, committed: Some(committed) } => {
            Lane::restore(state, baseline, partition, committed, window_ms)
        }
        Start::Covering { state, .. } | Start::WithoutOffset { state } => {
            Lane::covering(state, baseline, partition, window_ms)
        }
    }?;
    let next = lane.next();
    let gone = beginning.log.since(lane.log(), next);
    match gone {
        Some(gone) if gone.ambiguous && !stream.accept_gap => {
            return Err(LaneError::Discontinuous { partition, next, gone });
        }
        Some(gone) => lane.go_on(gone.next, log.clone()),
        None if matches!(start, Start::WithoutOffset { .. }) && next != log.start => {
            return Err(LaneError::NoOffset { partition, covered: next });
        }
        None => lane.look(log.clone()),
    }
    Ok((lane, gone.map(|gone| (next, gone))))
}

/// Why a partition cannot go on, and the command that makes it.
pub(super) fn unfit(stream: &Stream, partition: Partition, error: &LaneError) -> String {
    let name = &stream.name;
    let accept = match error {
        LaneError::Discontinuous { .. } => {
            ", and so does accept_gap = true of the stream, here and whenever it happens again"
        }
        _ => "",
    };
    format!(
        "{error}; `tripline state show --stream {name}` says more, `tripline state reset --stream {name} \
         --partition {partition}` goes on without what it remembers{accept}"
    )
}
