//! The protected model gives other labels, or is less or more certain.
//!
//! Ranks rows among clean rows and all earlier ones. Blind to wrong labels that come as often as the
//! right ones did.

use super::{Concern, Histogram, Hypothesis, Of, Watch};

/// `answer-drift`
#[derive(Debug)]
pub struct AnswerDrift;

impl Watch for AnswerDrift {
    fn name(&self) -> &'static str {
        "answer-drift"
    }

    fn hundredths(&self) -> u64 {
        15
    }

    fn concern(&self) -> Concern {
        Concern::Drift
    }

    fn needs_stationary_rows(&self) -> bool {
        true
    }

    fn of_histogram(&self, histogram: &Histogram<'_>) -> Vec<Hypothesis> {
        match histogram.signal.of {
            Of::Confidence | Of::Label => histogram.drift(&Self),
            _ => vec![],
        }
    }
}
