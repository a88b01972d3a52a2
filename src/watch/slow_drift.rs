//! A feature differs from the reference by more than the tolerance.
//!
//! The reference never learns, so that what drifts slowly is seen too. Blind to anything within the
//! tolerance, and to categories.

use super::{Bins, Concern, Histogram, Hypothesis, Of, Watch};
use crate::alarm::{Event, Game, Reference};

/// How far a feature's distribution may be from the reference, at every point.
pub const TOLERANCE: f64 = 0.1;

/// `slow-drift`
#[derive(Debug)]
pub struct SlowDrift;

impl Watch for SlowDrift {
    fn name(&self) -> &'static str {
        "slow-drift"
    }

    fn hundredths(&self) -> u64 {
        10
    }

    fn concern(&self) -> Concern {
        Concern::Drift
    }

    fn of_histogram(&self, histogram: &Histogram<'_>) -> Vec<Hypothesis> {
        match (&histogram.signal.of, &histogram.signal.bins) {
            (Of::Merged | Of::Place, _) | (_, Bins::Numbered(_)) => vec![],
            (_, Bins::Edges(_)) => {
                let (name, source) = (histogram.signal.name.clone(), histogram.whole());
                let game = Game::Bounds(events(&histogram.clean));
                vec![Hypothesis::new(&Self, name, source, game)]
            }
        }
    }
}

/// "At one of nine points the distribution is further from the reference than the tolerance": 54
/// bets. Valid unless the reference itself is a one percent accident (Massart 1990).
fn events(clean: &Reference) -> Vec<Event> {
    // ln(2 / .01)
    const LN_200: f64 = 5.298_317_366_548_036;
    let rows = clean.rows().max(1) as f64;
    let accident = (LN_200 / (2.0 * rows)).sqrt();
    let bins = clean.bins().len();
    let below: Vec<u64> = clean
        .bins()
        .iter()
        .scan(0, |sum, &count| {
            *sum += count;
            Some(*sum)
        })
        .collect();
    let mut events = vec![];
    for point in [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 15.0] {
        let wanted = point / 16.0 * rows;
        let end = below[..bins - 1].partition_point(|&count| (count as f64) < wanted).min(bins - 2);
        let share = below[end] as f64 / rows;
        for (bins, share) in [(0..end + 1, share), (end + 1..bins, 1.0 - share)] {
            let bound = share + TOLERANCE + accident;
            let further = [0.03, 0.1, 0.25].map(|by| bound + by);
            events.push(Event::new(bins, bound, further.into_iter()));
        }
    }
    events
}
