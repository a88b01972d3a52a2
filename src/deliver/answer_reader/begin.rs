//! Where a partition of the answers topic is read on.

use crate::deliver::{Beginning, FollowerError, FollowerState};
use crate::record::Offset;
use crate::score::Discontinuity;

/// The next offset, and what is gone unread. The state and the group's offset were committed together, so the one that is
/// further is the last: a coordinator may have forgotten offsets, the state topic its records. Of a topic that is another
/// one, all that it has is read.
///
/// # Errors
/// If another build wrote the state.
pub fn begin(beginning: &Beginning) -> Result<(Offset, Option<Discontinuity>), FollowerError> {
    let log = &beginning.log;
    let state = beginning.kept.first().and_then(Option::as_deref);
    let state = state.map(FollowerState::read).transpose()?;
    let covered = state.as_ref().map(|state| state.span().0);
    let Some(next) = covered.max(beginning.committed) else { return Ok((log.extent.start, None)) };
    let gone = log.since(state.as_ref().and_then(FollowerState::log), next);
    Ok((gone.map_or(next, |gone| gone.next), gone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Extent, Partition};
    use crate::score::Survey;
    use crate::watch::LossCause;

    fn log(topic: &str, start: i64, end: i64) -> Extent {
        let (start, end) = (Offset(start), Offset(end));
        Extent { topic: Some(topic.into()), start, end, leader_epoch: Some(1) }
    }

    /// Where it goes on, and how many are gone for what.
    fn begun(
        committed: Option<i64>,
        state: Option<(i64, Extent)>,
        now: Extent,
    ) -> (i64, Option<(LossCause, u64)>) {
        let state = state.map(|(next, log)| FollowerState::plain(Offset(next), &log).to_bytes());
        let beginning = Beginning {
            partition: Partition(3),
            committed: committed.map(Offset),
            log: Survey { extent: now, parted: None },
            kept: vec![state],
        };
        let (next, gone) = begin(&beginning).expect("this build wrote it");
        (next.0, gone.map(|gone| (gone.cause, gone.unread)))
    }

    #[test]
    fn the_state_counts_where_a_coordinator_forgot_offsets() {
        let state = || Some((900, log("a", 0, 900)));
        assert_eq!(begun(Some(20), state(), log("a", 0, 1000)), (900, None));
        assert_eq!(begun(None, state(), log("a", 0, 1000)), (900, None));
    }

    #[test]
    fn the_offset_counts_where_there_is_no_state_or_an_older_one() {
        assert_eq!(begun(Some(20), None, log("a", 0, 1000)), (20, None));
        assert_eq!(begun(Some(950), Some((900, log("a", 0, 900))), log("a", 0, 1000)), (950, None));
        assert_eq!(begun(None, None, log("a", 7, 1000)), (7, None));
    }

    #[test]
    fn answers_that_were_deleted_unread_are_counted_and_a_topic_made_anew_is_read_from_its_start() {
        let state = || Some((900, log("a", 0, 950)));
        let deleted = Some((LossCause::Retention, 60));
        assert_eq!(begun(Some(900), state(), log("a", 960, 1000)), (960, deleted));
        assert_eq!(begun(Some(20), None, log("a", 80, 1000)), (80, deleted));
        let anew = Some((LossCause::Anew, 50));
        assert_eq!(begun(None, state(), log("b", 0, 5000)), (0, anew));
    }
}
