use super::*;
use crate::record::Timestamp;
use crate::watch::{Cells, Counts, Panel, Share, Tally, Terms, Times, Transition};

const R0: f64 = 4.6e-4;
/// One row a window at 100 rows a second: what whole windows add is up to one window.
const ROW_MS: i64 = 10;

fn terms(window_ms: i64) -> Terms {
    // What ranks is slow, and has nothing to say of these.
    let mut hypotheses = answer_hypotheses(Probability::new(R0).unwrap(), true);
    hypotheses.retain(|hypothesis| matches!(hypothesis.game, Game::Bounds(_)));
    let false_page_ms = 7 * 24 * 3600 * 1000;
    let window_ms = window_ms as u64;
    let times = Times { window_ms, false_page_ms, keep_firing_for_ms: 3_600_000 };
    Terms::new("e", "s", hypotheses, times)
}

struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A window of `rows` pairs; `share` of them differ.
fn window(random: &mut SplitMix, rows: u64, share: f64) -> Tally {
    let mut cells = Cells::default();
    for _ in 0..rows {
        cells.push(DIFFERS.start + usize::from(random.next() < share));
        cells.push(UNANSWERED.start);
        cells.push(ORPHANS.start);
    }
    Tally { counts: Counts { rows, ..Counts::default() }, cells, ..Tally::default() }
}

/// The rows until the first page, if it comes within `most`.
fn rows_to_page(seed: u64, share: f64, per_window: u64, most: u64) -> Option<u64> {
    let window_ms = ROW_MS * per_window as i64;
    let (terms, mut random) = (terms(window_ms), SplitMix(seed));
    let mut panel = Panel::new(&terms);
    (1..=most / per_window).find_map(|n| {
        let tally = window(&mut random, per_window, share);
        let at = Timestamp(n as i64 * window_ms);
        let said = panel.close(at, &tally, Share::WHOLE, &terms);
        let fired = said.iter().any(|said| matches!(said, Transition::Fired { .. }));
        fired.then_some(n * per_window)
    })
}

/// Median, and what nine of ten runs need at most.
fn check(name: &str, share: f64, most: u64) {
    const RUNS: u64 = 400;
    let pages = (0..RUNS).map(|seed| rows_to_page(seed, share, 1, 2000).unwrap_or(u64::MAX));
    let mut rows: Vec<u64> = pages.collect();
    rows.sort_unstable();
    let (median, late) = (rows[rows.len() / 2], rows[rows.len() * 9 / 10]);
    println!("{name}: {median} ({late})");
    assert!(late <= most, "{name}: median {median}, 90 % {late}, allowed {most}");
}

/// Shares of rows beyond the margin that were measured with real models on Fashion-MNIST, and the rows that the design
/// allows: one page a week at 100 rows a second.
#[test]
fn another_model_exchanged_labels_and_answers_of_other_requests_page_within_few_rows() {
    check("backdoored model (BadNets) instead", 0.043, 220);
    check("backdoored model (blended) instead", 0.055, 220);
    check("two classes exchanged", 0.211, 45);
    check("answers of the request before", 0.895, 10);
}

#[test]
fn in_windows_of_ten_seconds_the_first_whole_window_pages() {
    for share in [0.043, 0.055, 0.211, 0.895] {
        assert_eq!(rows_to_page(1, share, 1000, 10_000), Some(1000), "{share}");
    }
}

/// Half precision changes no label beyond the margin, eight bits .0003 of them.
#[test]
fn models_in_lower_precision_page_never_in_a_hundred_thousand_rows() {
    for share in [0.0, 0.0003, R0] {
        assert_eq!(rows_to_page(7, share, 10, 100_000), None, "{share}");
    }
}

#[test]
fn cells_lie_side_by_side_and_every_claim_but_of_waits_has_its_own() {
    let all =
        [DIFFERS, FLAGGED_DIFFERS, DISTANCE, CONFIDENCE, LATENCY, UNANSWERED, ORPHANS, LABELS];
    assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
    let claims = answer_hypotheses(Probability::new(R0).unwrap(), false);
    let cells = |of: &Hypothesis| match &of.source {
        Source::Pairs { cells } => cells.start,
        other => panic!("{other:?}"),
    };
    let mut starts: Vec<usize> = claims.iter().map(cells).collect();
    starts.sort_unstable();
    // How long answers take is counted, and nothing is claimed of it.
    let claimed = all.into_iter().filter(|cells| *cells != LATENCY);
    assert_eq!(starts, claimed.map(|cells| cells.start).collect::<Vec<_>>());
}

/// No label changes; the distance from the own probabilities does, from what another runtime makes to what half precision does.
#[test]
fn a_model_in_half_precision_shows_in_the_distance_of_its_probabilities() {
    let hypotheses = answer_hypotheses(Probability::new(R0).unwrap(), false);
    let times =
        Times { window_ms: 1000, false_page_ms: 7 * 24 * 3_600_000, keep_firing_for_ms: 3_600_000 };
    let (terms, mut random) = (Terms::new("e", "s", hypotheses, times), SplitMix(3));
    let mut panel = Panel::new(&terms);
    let mut fired = vec![];
    for n in 0..60 {
        let mut tally = window(&mut random, 100, 0.0);
        let octave = if n < 40 { 0 } else { 7 };
        for _ in 0..100 {
            tally.cells.push(DISTANCE.start + octave + (random.next() * 3.0) as usize);
        }
        for said in panel.close(Timestamp(n * 1000), &tally, Share::WHOLE, &terms) {
            let Transition::Fired { watch, .. } = said else { panic!("{said:?}") };
            fired.push((
                n,
                terms.hypotheses[watch].watch.name(),
                terms.hypotheses[watch].feature.clone(),
            ));
        }
    }
    let [(n, "actual-answers", feature)] = &fired[..] else { panic!("{fired:?}") };
    assert!((40..43).contains(n) && feature.starts_with("distance"), "{fired:?}");
}
