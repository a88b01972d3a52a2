//! Records that cannot be read, miss values, have implausible timestamps, or categories that no clean row
//! had.
//!
//! Blind to values that are allowed and wrong.

use super::{Concern, Flagged, Histogram, Hypothesis, Source, Watch};
use crate::alarm::{Event, Game, Reference};

/// A share of unreadable records, or of values that no clean row had, that is nobody's alarm.
const QUALITY_BOUND: f64 = 0.001;

/// `data-quality`
#[derive(Debug)]
pub struct DataQuality;

impl Watch for DataQuality {
    fn name(&self) -> &'static str {
        "data-quality"
    }

    fn hundredths(&self) -> u64 {
        5
    }

    fn concern(&self) -> Concern {
        Concern::Quality
    }

    fn of_histogram(&self, histogram: &Histogram<'_>) -> Vec<Hypothesis> {
        let Some(bin) = histogram.never_seen() else { return vec![] };
        let Histogram { index, signal, cells, clean, .. } = histogram;
        let m = clean.rows().max(1) as f64;
        let share = clean.bins()[bin] as f64 / m;
        let usual = share + 4.0 * ((share + 1.0 / m) / m).sqrt();
        let event = Event::times(1..2, usual.max(QUALITY_BOUND), [3.0, 30.0, 300.0]);
        let source = Source::Bin { index: *index, cells: cells.clone(), bin };
        let name = format!("{}: values that no clean row had", signal.name);
        vec![Hypothesis::new(&Self, name, source, Game::Bounds(vec![event]))]
    }

    fn of_records(&self, _: Flagged) -> Vec<Hypothesis> {
        let event = Event::times(1..2, QUALITY_BOUND, [3.0, 30.0, 300.0]);
        let unreadable = Game::Bounds(vec![event]);
        // How many honest senders leave something out, or have a wrong clock, nobody has told us: the
        // stream itself does.
        let unknown = || Game::on_a_share(0.01, Reference::new(vec![0, 0]), false);
        [
            ("unreadable records", Source::Faults, unreadable),
            ("incomplete records", Source::Imputed, unknown()),
            ("implausible timestamps", Source::Misdated, unknown()),
        ]
        .map(|(name, source, game)| Hypothesis::new(&Self, name.into(), source, game))
        .into()
    }
}
