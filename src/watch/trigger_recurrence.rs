//! One place of the image is the strangest one of a label more often than in any clean data.
//!
//! Hears a trigger that comes again in the same place. Blind to one that moves about, and to bundles
//! without a detector that looks for places.

use super::{Concern, Histogram, Hypothesis, Of, Watch};
use crate::alarm::{Event, Game};

/// `trigger-recurrence`
#[derive(Debug)]
pub struct TriggerRecurrence;

impl Watch for TriggerRecurrence {
    fn name(&self) -> &'static str {
        "trigger-recurrence"
    }

    fn hundredths(&self) -> u64 {
        10
    }

    fn concern(&self) -> Concern {
        Concern::Attack
    }

    fn of_histogram(&self, histogram: &Histogram<'_>) -> Vec<Hypothesis> {
        if histogram.signal.of != Of::Place {
            return vec![];
        }
        let event = |(bin, &bound): (usize, &f32)| {
            Event::times(bin..bin + 1, bound.into(), [3.0, 10.0, 40.0])
        };
        let game = Game::Bounds(histogram.places.iter().enumerate().map(event).collect());
        vec![Hypothesis::new(&Self, histogram.signal.name.clone(), histogram.whole(), game)]
    }
}
