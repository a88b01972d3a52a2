use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::bundle::Digest;
use crate::record::{Feature, Probability, Schema};
use crate::watch::{Flagged, Signals, Times, hypotheses};

/// Three numbers and the merged score, each a sum of four uniform ones; the first is moved.
fn row(rng: &mut ChaCha8Rng, moved: f32) -> Vec<f32> {
    let mut sum = || (0..4).map(|_| rng.random_range(0..1000_u16)).sum::<u16>();
    let mut row = [sum(), sum(), sum(), sum()].map(f32::from).to_vec();
    row[0] += moved;
    row
}

fn terms() -> (Terms, Signals) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let features = ["a", "b", "c"].map(|name| Feature::number(name, -1e9, 1e9)).to_vec();
    let mut signals = Signals::of(&Schema { features }, &[], 1);
    let mut rows = |n| (0..n).map(|_| row(&mut rng, 0.0)).collect::<Vec<_>>();
    signals.learn_edges(&rows(2000));
    signals.count_clean(&rows(1000));
    let budget = Probability::new(0.01).unwrap();
    let watches = hypotheses(&signals, Flagged { budget, rows: 1000, flagged: 10 }, |_| true);
    let times = Times { window_ms: 1000, false_page_ms: 3_600_000, keep_firing_for_ms: 60_000 };
    (Terms::new("e", "s", watches, times), signals)
}

/// Fifty rows: of an attacked window the first number is larger, more are flagged and unreadable.
fn window(rng: &mut ChaCha8Rng, signals: &Signals, attacked: bool) -> Tally {
    let (moved, share) = if attacked { (900.0, 0.3) } else { (0.0, 0.01) };
    let mut tally = Tally::default();
    for _ in 0..50 {
        for (i, &x) in row(rng, moved).iter().enumerate() {
            tally.cells.push(signals.cell(i, x));
        }
        tally.counts.rows += 1;
        tally.counts.flagged += u64::from(rng.random_bool(share));
        tally.counts.faults += u64::from(attacked && rng.random_bool(0.2));
    }
    tally
}

/// Everything that a panel did in a stream with an attack in its middle: one digest. Whoever
/// changes it on purpose changes what every stream's monitor does.
#[test]
fn a_panel_does_what_it_always_did_bit_for_bit() {
    let ((terms, signals), mut rng) = (terms(), ChaCha8Rng::seed_from_u64(8));
    let (mut panel, mut said) = (Panel::new(&terms), Sha256::new());
    let (mut fired, mut resolved) = (0, 0);
    for n in 0..400 {
        let tally = window(&mut rng, &signals, (100..160).contains(&n));
        let transitions = panel.close(Timestamp(n * 1000), &tally, Share::WHOLE, &terms);
        for transition in &transitions {
            match transition {
                Transition::Fired { .. } => fired += 1,
                Transition::Resolved { .. } => resolved += 1,
            }
        }
        said.update(format!("{transitions:?}"));
        said.update(serde_json::to_vec(&panel).unwrap());
    }
    assert!(fired >= 4 && resolved >= 3, "{fired} fired, {resolved} resolved");
    let before = "953d001850032f4d60caaa926dc10be0319ccdb92689f44047a4d4cfc4b68388";
    assert_eq!(Digest(said.finalize().into()).to_string(), before);
}
