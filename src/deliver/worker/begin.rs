//! Where a partition begins: by its state, by what the group committed, and by what its log is now.

use crate::config::Stream;
use crate::deliver::{Beginning, CrashLoopGuard, Start};
use crate::record::{Offset, Partition};
use crate::score::{Discontinuity, Lane, LaneError};

/// The lane with which a partition goes on. The first kept value of `beginning` is the lane's state; `offsets_lag` is as in
/// [`Timing`](super::Timing).
///
/// | committed offset | state | what happens |
/// | --- | --- | --- |
/// | none | none | a new lane, where a worker first took the partition over, or else at the start of the log |
/// | an offset | none | an error |
/// | equal to the state's, or lower | present | the lane goes on where its state ends |
/// | higher than the state's | present | an error |
/// | none | present | an error, unless the state ends where the log begins |
///
/// With `offsets_lag` the state counts whatever the committed offset is, and an offset without a state begins a new lane there.
///
/// | the log since then | what happens |
/// | --- | --- |
/// | deleted records that were not read | the lane goes on behind them. The gap is returned, with the offset up to which the partition was read |
/// | it may be another log | an error, unless the stream has `accept_gap` |
///
/// # Errors
/// See the tables.
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

/// Why a partition cannot go on, and the command that makes it go on.
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
