//! A window's tally as a vector of counters, and back.

use super::Rejection;
use crate::watch::{Cells, Counts, Others, Tally};

/// Counts of records that a window has.
pub const COUNTS: usize = 7;
/// Counters of any window.
pub const COUNTERS_MAX: usize = COUNTS + Cells::MAX;

/// `tally` as numbers: the counts of records, then `cells` cells.
///
/// # Errors
/// If something in it would be lost.
pub fn counters(tally: &Tally, cells: usize) -> Result<Vec<u32>, Rejection> {
    let not_added = |what| Err(Rejection::NotAdded { what });
    let Counts { rows, flagged, corrected, quarantined, faults, imputed, misdated, .. } =
        tally.counts;
    let Counts { lost, outputs_lost, other_logs, .. } = tally.counts;
    if (lost, outputs_lost, other_logs) != (0, 0, 0) {
        return not_added("losses belong to incidents");
    }
    if !tally.others.is_empty() {
        return not_added("records that another bundle scored");
    }
    let counts = [rows, flagged, corrected, quarantined, faults, imputed, misdated];
    let mut counters = Vec::with_capacity(COUNTS + cells);
    for count in counts {
        counters.push(u32::try_from(count).map_err(|_| Rejection::CountTooLarge)?);
    }
    let counted = tally.cells.slice(0, cells);
    if counted.iter().filter(|&&count| count > 0).count() != tally.cells.occupied() {
        return not_added("cells that the federation does not have");
    }
    counters.extend(counted);
    Ok(counters)
}

/// The tally that `counters` are of.
///
/// # Panics
/// If there are fewer than counts of records.
pub fn tally(counters: &[u32]) -> Tally {
    let (counts, cells) = counters.split_first_chunk::<COUNTS>().expect("a federation's vector");
    let [rows, flagged, corrected, quarantined, faults, imputed, misdated] = counts.map(u64::from);
    let counts = Counts {
        rows,
        flagged,
        corrected,
        quarantined,
        faults,
        imputed,
        misdated,
        ..Counts::default()
    };
    Tally {
        counts,
        cells: Cells::of(cells.to_vec()),
        others: Others::default(),
        ..Tally::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_the_same_after_it_was_counters() {
        let mut cells = Cells::default();
        [3, 3, 17].into_iter().for_each(|cell| cells.push(cell));
        let counts = Counts {
            rows: 3,
            flagged: 2,
            corrected: 1,
            quarantined: 1,
            faults: 9,
            imputed: 8,
            misdated: 7,
            ..Counts::default()
        };
        let known = Tally { counts, cells, others: Others::default(), ..Tally::default() };
        assert_eq!(tally(&counters(&known, 40).unwrap()), known);
        assert_eq!(tally(&counters(&Tally::default(), 0).unwrap()), Tally::default());
        assert!(matches!(counters(&known, 17), Err(Rejection::NotAdded { .. })));
    }

    #[test]
    fn counts_that_a_federation_does_not_add_are_refused_and_not_left_out() {
        let with = |counts| counters(&Tally { counts, ..Tally::default() }, 0);
        let lost = Counts { lost: 1, ..Counts::default() };
        assert!(matches!(with(lost), Err(Rejection::NotAdded { .. })));
        let many = Counts { rows: 1 << 32, ..Counts::default() };
        assert_eq!(with(many), Err(Rejection::CountTooLarge));
        let others = Others { rows: 1, ..Others::default() };
        let told = counters(&Tally { others, ..Tally::default() }, 0);
        assert!(matches!(told, Err(Rejection::NotAdded { .. })));
    }
}
