//! Whose doing it is when a network gives no number: the record's, or the network's.
//!
//! A record that fails alone, tried twice, is the record's doing if the same networks score another
//! row right after it: the last one they scored, one of the records behind it, or a row made of the
//! schema's bounds. It cannot tell a network that fails on most honest rows from senders who all send
//! what it cannot score: both are held back record by record, and the share of faults says so.

use super::Guard;
use super::columns::Scored;
use super::read::read;
use crate::model::Networks;
use crate::record::{Feature, Record, Schema};

/// Records behind the one that failed that are tried in search of one that is scored: more would
/// make a batch of such records cost its square.
const LATER_MAX: usize = 8;

/// Where between their bounds the numbers of a made-up row lie.
const BETWEEN: [f32; 3] = [0.5, 0.25, 0.75];

/// A row that the networks scored: what they can do.
#[derive(Debug, Default)]
pub struct Witness {
    /// `[d]`, or none yet.
    row: Vec<f32>,
    scored: Scored,
}

impl Witness {
    /// Remembers the first of `rows`, which were scored.
    pub fn remember(&mut self, guard: &Guard, rows: &[f32]) {
        if let Some(row) = rows.get(..guard.schema.width()) {
            self.row.clear();
            self.row.extend_from_slice(row);
        }
    }

    /// Whether the networks score any row: one that they scored before, one that comes `later`, or
    /// one of the schema's making.
    pub fn is_sound(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        later: &[Record<'_>],
    ) -> bool {
        let mut scores = |x: &[f32]| self.scored.run(guard, networks, x).is_ok();
        if !self.row.is_empty() && scores(&self.row) {
            return true;
        }
        let mut rows = vec![];
        for record in later.iter().take(LATER_MAX) {
            rows.clear();
            if read(guard, record, &mut rows).is_ok() && scores(&rows) {
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
            assert_eq!(crate::validate::Bounds::new(&schema).check_row(&mut row), Ok(()));
        }
        let mut row = made_up(&schema, 0.25);
        // To the last bit it hangs on how the compiler multiplies and adds.
        assert!((row[1] / f32::MIN - 0.5).abs() < 1e-6, "{}", row[1]);
        row[1] = 0.0;
        assert_eq!(row, [-1.0, 0.0, 1.0, 0.0, 0.25, 0.25]);
    }
}
