//! What can be said about one row beyond its verdict. It may take its time: it is asked about flagged
//! rows, and by people.
//!
//! An explanation sees the row as the guard saw it. It does not know what the protected model would answer to the
//! corrected row: nobody asked the model.

use super::Guard;
use super::columns::Scored;
use crate::codec::ContentHeaders;
use crate::emit::Account;
use crate::record::{Feature, Oddity, Reasons, Record, Rows, Schema};

/// One scored row.
pub struct Explanation<'a> {
    guard: &'a Guard,
    scored: &'a Scored,
    rows: Rows<'a>,
    row: usize,
}

impl<'a> Explanation<'a> {
    pub(super) fn new(guard: &'a Guard, scored: &'a Scored, x: &'a [f32], row: usize) -> Self {
        Self { guard, scored, rows: scored.rows(x), row }
    }

    /// Which of the rows that were scored together it is, from 0.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The row as it was scored, `[d]`.
    pub fn x(&self) -> &'a [f32] {
        let d = self.rows.x.ncols();
        &self.rows.x.to_slice().expect("rows side by side")[self.row * d..][..d]
    }

    /// Appends what would be delivered instead of it, flagged or not, `[d]`.
    pub fn corrected(&self, out: &mut Vec<f32>) {
        let x = self.rows.x.to_slice().expect("rows side by side");
        self.scored.sanitized(self.guard, x, self.row, out);
    }

    /// Every detector's score, `[k]`.
    pub fn scores(&self) -> &'a [f32] {
        self.scored.scores(self.row)
    }

    /// Every detector's share of the merged score, `[k]`.
    pub fn shares(&self) -> Vec<f32> {
        let mut shares = vec![];
        self.guard.decider.shares(self.scores(), &mut shares);
        shares
    }

    /// Index of the detector that adds most.
    pub fn leading(&self) -> usize {
        self.guard.decider.leading(self.scores())
    }

    /// Why the leading detector scores it as it does, against what is typical: the corrected row, or
    /// what the detector compares with instead. That is left in `typical`.
    ///
    /// Of a table, a category's columns count as one: its reason names the column of the value that the
    /// row has, or the first one if it has none of those that were learned.
    pub fn reasons(&self, typical: &mut Vec<f32>) -> Reasons {
        typical.clear();
        self.corrected(typical);
        let leading = &self.guard.detectors[self.leading()];
        leading.typical(&self.rows, self.row, typical);
        let reasons = match self.guard.is_tabular {
            false => leading.explain(&self.rows, self.row),
            true => {
                let mut parts = leading.parts(&self.rows, self.row);
                by_feature(&self.guard.schema, self.x(), typical, &mut parts);
                Reasons::of_parts(parts.into_iter())
            }
        };
        reasons.against(self.x(), typical)
    }

    /// What is told of the row: appends the text to `out`, and gives what is most odd. `reasons` and `typical` are those
    /// of [`Explanation::reasons`], `record` is the row's, and `row` says which of its rows it is.
    pub fn tell(
        &self,
        (reasons, typical): (Reasons, &[f32]),
        (record, row): (&Record<'_>, usize),
        out: &mut Vec<u8>,
    ) -> Option<Oddity> {
        let guard = self.guard;
        let schema = &guard.schema;
        let pair = guard.pairs.as_ref().and_then(|pairs| pairs.rarest(self.x()));
        let account = Account { schema, reasons, x: self.x(), typical, pair };
        let word = |feature: u32| {
            let (_, columns) = schema.columns().nth(feature as usize)?;
            let spelling = guard.spelling.as_ref()?;
            spelling.word(record.value?, &ContentHeaders::of(record.headers), row, columns)
        };
        account.write(guard.tells_values().then_some(&word), out);
        account.clauses().first().map(|clause| clause.oddity)
    }

    /// How much each feature speaks against the row, to the leading detector, `[d]`.
    pub fn heat(&self) -> Vec<f32> {
        self.guard.detectors[self.leading()].parts(&self.rows, self.row)
    }
}

/// Sums the parts of each category in one of its columns, and leaves out what is as it is typically: a person
/// would look for the difference. If nothing differs, what was found stays. Shapes: `[d]` each.
fn by_feature(schema: &Schema, x: &[f32], typical: &[f32], parts: &mut [f32]) {
    for (feature, columns) in schema.columns() {
        if let Feature::Category { .. } = feature {
            let sum: f32 = parts[columns.clone()].iter().sum();
            parts[columns.clone()].fill(0.0);
            parts[value_of(&x[columns.clone()]).map_or(columns.start, |i| columns.start + i)] = sum;
        }
    }
    let mut differing = parts.to_vec();
    for (feature, columns) in schema.columns() {
        let is_same = match feature {
            Feature::Number { .. } => looks_same(x[columns.start], typical[columns.start]),
            Feature::Category { .. } => {
                let own = value_of(&x[columns.clone()]);
                own.is_some() && own == most(&typical[columns.clone()])
            }
            Feature::Image { .. } | Feature::Id { .. } => false,
        };
        if is_same {
            differing[columns].fill(0.0);
        }
    }
    if differing.iter().any(|&part| part > 0.0) {
        parts.copy_from_slice(&differing);
    }
}

/// Which value of a category it is; none of one that no training row had.
pub(super) fn value_of(own: &[f32]) -> Option<usize> {
    own.iter().position(|&x| x > 0.5)
}

/// The value that a typical row has most of: it may be a mean, of several values. The first of equals.
pub(super) fn most(own: &[f32]) -> Option<usize> {
    let most = (0..own.len()).rev().max_by(|&a, &b| own[a].total_cmp(&own[b]));
    most.filter(|&i| own[i] > 0.0)
}

/// Whether both are written with the same four digits.
fn looks_same(a: f32, b: f32) -> bool {
    a == b || (a - b).abs() < 5e-4 * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let values = ["Audi", "BMW", "Fiat"].map(String::from).to_vec();
        let make = Feature::Category { name: "Make".into(), values, impute: None };
        Schema { features: vec![make, Feature::number("Age", 0.0, 120.0)] }
    }

    fn check(x: [f32; 4], typical: [f32; 4], mut parts: [f32; 4], expected: [f32; 4]) {
        by_feature(&schema(), &x, &typical, &mut parts);
        assert_eq!(parts, expected, "{x:?}");
    }

    #[test]
    fn the_columns_of_a_category_are_one_part_in_the_column_of_its_value() {
        let parts = [1.0, 2.0, 4.0, 3.0];
        check([0.0, 0.0, 1.0, 9.0], [0.9, 0.1, 0.0, 5.0], parts, [0.0, 0.0, 7.0, 3.0]);
        // One that was never seen has none: its first.
        check([0.0, 0.0, 0.0, 9.0], [0.9, 0.1, 0.0, 5.0], parts, [7.0, 0.0, 0.0, 3.0]);
    }

    #[test]
    fn what_is_as_it_is_typically_is_no_reason_unless_there_is_no_other() {
        let parts = [1.0, 2.0, 4.0, 3.0];
        check([1.0, 0.0, 0.0, 9.0], [0.7, 0.3, 0.0, 5.0], parts, [0.0, 0.0, 0.0, 3.0]);
        check([0.0, 1.0, 0.0, 5.0], [0.7, 0.3, 0.0, 5.0001], parts, [0.0, 7.0, 0.0, 0.0]);
        check([1.0, 0.0, 0.0, 5.0], [0.7, 0.3, 0.0, 5.0], parts, [7.0, 0.0, 0.0, 3.0]);
    }
}
