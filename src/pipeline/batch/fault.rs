//! Whose doing it is when a network gives no number: the record's, or the network's.
//!
//! A record that fails alone, tried twice, is the record's doing if the same networks score another
//! row right after it: the last one they scored, one of the records behind it, or a row made of the
//! schema's bounds. It cannot tell a network that fails on most honest rows from senders who all send
//! what it cannot score: both are held back record by record, and the share of faults says so.

use super::{Batch, GuardFailure, read};
use crate::decide::OnGuardFailure;
use crate::model::{ModelError, Networks};
use crate::pipeline::Guard;
use crate::record::{Fault, Feature, Record, Schema};

/// Records behind the one that failed that are tried in search of one that is scored: more would
/// make a batch of such records cost its square.
const LATER_MAX: usize = 8;

/// Where between their bounds the numbers of a made-up row lie.
const BETWEEN: [f32; 3] = [0.5, 0.25, 0.75];

impl Batch {
    /// The first of `records`, whose rows are in `rows`, could not be scored alone. `sound` is what the
    /// networks were found to be in this turn.
    ///
    /// # Errors
    /// If the networks score nothing, and nothing may pass unscored.
    pub(super) fn fail(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        records: &[Record<'_>],
        error: ModelError,
        sound: &mut Option<bool>,
    ) -> Result<(), GuardFailure> {
        let first = self.outcomes.len() - 1;
        // Once more: what a machine does once in a while is nobody's doing.
        if *sound != Some(false) && self.scored.run(guard, networks, &self.rows).is_ok() {
            self.testify(guard);
            self.judge(guard, first);
            return Ok(());
        }
        let sound = match *sound {
            Some(sound) => sound,
            None => *sound.insert(self.is_sound(guard, networks, &records[1..])),
        };
        let outcome = &mut self.outcomes[first];
        match guard.policy.on_guard_failure {
            _ if sound => {
                outcome.judged = Err(Fault::Unscorable);
                self.spans[first].rows = 0..0;
            }
            OnGuardFailure::Open => outcome.unscored = true,
            OnGuardFailure::Closed => {
                return Err(GuardFailure::of_all(records[0].at, error));
            }
        }
        Ok(())
    }

    /// Remembers a row that was scored.
    pub(super) fn testify(&mut self, guard: &Guard) {
        if let Some(row) = self.rows.get(..guard.schema.width()) {
            self.witness.clear();
            self.witness.extend_from_slice(row);
        }
    }

    /// Whether the networks score any row: one that they scored before, one that comes `later`, or
    /// one of the schema's making.
    fn is_sound(&mut self, guard: &Guard, networks: &mut Networks, later: &[Record<'_>]) -> bool {
        let mut scores = |x: &[f32]| self.corrections_scored.run(guard, networks, x).is_ok();
        if !self.witness.is_empty() && scores(&self.witness) {
            return true;
        }
        let mut rows = vec![];
        for record in later.iter().take(LATER_MAX) {
            rows.clear();
            let is_read = guard.wants(record).is_none() && read(guard, record, &mut rows).is_ok();
            if is_read && !rows.is_empty() && scores(&rows) {
                return true;
            }
        }
        BETWEEN.into_iter().any(|share| scores(&made_up(&guard.schema, share)))
    }
}

/// A row inside the schema's bounds: every number `share` of the way from its least to its most, every
/// category its first value.
fn made_up(schema: &Schema, share: f32) -> Vec<f32> {
    let mut row = Vec::with_capacity(schema.width());
    for (feature, columns) in schema.columns() {
        match feature {
            Feature::Category { .. } => {
                row.extend(columns.clone().map(|i| if i == columns.start { 1.0 } else { 0.0 }))
            }
            _ => {
                let (min, max) = feature.bounds();
                // Not max − min, which may not be finite.
                row.extend(columns.map(|_| min * (1.0 - share) + max * share));
            }
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_row_is_one_the_schema_allows() {
        let category = |name: &str| Feature::Category {
            name: name.into(),
            values: vec!["a".into(), "b".into()],
            impute: None,
        };
        let (channels, height, width, scale) = (1, 1, 2, 255.0);
        let features = vec![
            Feature::number("n", -4.0, 8.0),
            Feature::number("wide", f32::MIN, f32::MAX),
            category("c"),
            Feature::Id { name: "id".into() },
            Feature::Image { name: "i".into(), channels, height, width, scale },
        ];
        let schema = Schema { features };
        for share in BETWEEN {
            let mut row = made_up(&schema, share);
            assert_eq!(row.len(), schema.width());
            assert_eq!(crate::validate::Bounds::new(&schema).settle(&mut row), Ok(()));
        }
        let mut row = made_up(&schema, 0.25);
        // To the last bit it hangs on how the compiler multiplies and adds.
        assert!((row[1] / f32::MIN - 0.5).abs() < 1e-6, "{}", row[1]);
        row[1] = 0.0;
        assert_eq!(row, [-1.0, 0.0, 1.0, 0.0, 0.25, 0.25]);
    }
}
