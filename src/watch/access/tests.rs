use super::*;
use crate::record::Timestamp;
use crate::watch::{Cells, Counts, Panel, Share, Tally, Terms, Times, Transition};

const TIMES: Times =
    Times { window_ms: 10_000, false_page_ms: 7 * 24 * 3_600_000, keep_firing_for_ms: 3_600_000 };

struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
}

/// Fifty clients come, and two hundred rows, of which `unnamed` have no id; `fresh` of the clients are new.
fn window(random: &mut SplitMix, fresh: f64, unnamed: f64, origin: Option<usize>) -> Tally {
    let mut cells = Cells::default();
    for _ in 0..50 {
        cells.push(ARRIVALS.start + usize::from(random.next() < fresh));
        let usual = random.below(ORIGINS.len());
        cells.push(ORIGINS.start + origin.filter(|_| random.next() < 0.2).unwrap_or(usual));
    }
    for _ in 0..200 {
        cells.push(NAMED.start + usize::from(random.next() < unnamed));
    }
    cells.push(largest_cell(10 + random.below(20) as u64, 200));
    cells.push(distinct_cell(40 + random.below(20) as u64));
    Tally { counts: Counts { rows: 200, ..Counts::default() }, cells, ..Tally::default() }
}

/// Which watches fire, and in which window after the first `before`.
fn fired(
    seed: u64,
    before: i64,
    after: i64,
    mut changed: impl FnMut(&mut SplitMix) -> Tally,
) -> Vec<(i64, &'static str)> {
    let terms = Terms::new("e", "s", access_hypotheses(true, false), TIMES);
    let (mut panel, mut random, mut fired) = (Panel::new(&terms), SplitMix(seed), vec![]);
    for n in 0..before + after {
        let tally = match n < before {
            true => window(&mut random, 0.01, 0.01, None),
            false => changed(&mut random),
        };
        for said in panel.close(Timestamp(n * 10_000), &tally, Share::WHOLE, &terms) {
            if let Transition::Fired { watch, .. } = said {
                fired.push((n - before, terms.hypotheses[watch].watch.name()));
            }
        }
    }
    fired
}

#[test]
fn new_clients_rows_without_id_and_a_crowd_from_one_origin_are_found_by_their_own_watch() {
    let check = |name: &str, windows: i64, changed: &dyn Fn(&mut SplitMix) -> Tally| {
        let found = fired(1, 400, 60, changed);
        println!("{name}: {found:?}");
        let first = found.first().unwrap_or_else(|| panic!("{name} is not found"));
        assert!(first.1 == name && (0..windows).contains(&first.0), "{found:?}");
    };
    check("new-clients", 30, &|random| window(random, 0.05, 0.01, None));
    check("unnamed-rows", 10, &|random| window(random, 0.01, 0.05, None));
    check("origin-shares", 10, &|random| window(random, 0.01, 0.01, Some(17)));
}

/// Ten weeks of the budget as 6,048 windows each would be slow; what counts is that it keeps below it.
#[test]
fn nothing_fires_while_nothing_changes() {
    for seed in 1..4 {
        assert_eq!(fired(seed, 1500, 0, |_| unreachable!()), []);
    }
}

#[test]
fn shares_are_a_hundredth_together_and_cells_lie_side_by_side() {
    let all = [NAMED, ARRIVALS, ORIGINS, LARGEST, DISTINCT];
    assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
    for (origins, moves) in [(true, false), (false, false), (true, true)] {
        let stakes: u64 = access_hypotheses(origins, moves).iter().map(|h| h.stake).sum();
        let most = STAKE_ONE * ACCESS_HUNDREDTHS / 100;
        assert!(stakes <= most && stakes > most * 9 / 10, "{stakes} of {most}");
    }
    assert_eq!(
        [1, 2, 3, 4, 5, 7, 8].map(|n| distinct_cell(n) - DISTINCT.start),
        [0, 4, 4, 8, 9, 11, 12]
    );
    assert_eq!(distinct_cell(u64::MAX), DISTINCT.end - 1);
    assert_eq!([largest_cell(0, 0), largest_cell(9, 9)], [LARGEST.start, LARGEST.end - 1]);
    assert!(
        ALL_ACCESS_WATCHES
            .iter()
            .all(|w| access_watch(w.name()).is_some() && !w.words().is_empty())
    );
}
