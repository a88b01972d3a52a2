//! What was decided about a record, and why.

use super::FeatureId;

/// What a stage wants done with a record that has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Deliver its own bytes.
    Pass,
    /// Deliver the sanitized version in its own format.
    Correct,
    /// Hold it back.
    Quarantine,
}

/// A decision about one record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    pub action: Action,
    /// Conformal p-value: at most this share of clean records looks as suspicious.
    pub p: f32,
    /// Merged score; larger is more suspicious.
    pub score: f32,
    /// What carried the score; empty unless the record was flagged.
    pub reasons: Reasons,
}

/// How many features a verdict names.
pub const REASONS_MAX: usize = 4;

/// The features that carried a score, the largest share first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reasons {
    len: usize,
    parts: [(u32, f32); REASONS_MAX],
}

impl Reasons {
    /// No reasons.
    pub const NONE: Self = Self { len: 0, parts: [(0, 0.0); REASONS_MAX] };

    /// The largest of `parts` (one non-negative part per feature), as shares of their sum.
    pub fn of_parts(parts: impl Iterator<Item = f32>) -> Self {
        let mut top = Self::default();
        let mut total = 0.0_f64;
        for (feature, part) in parts.enumerate() {
            total += f64::from(part);
            top.offer(feature as u32, part);
        }
        if total > 0.0 {
            for (_, part) in &mut top.parts[..top.len] {
                *part = (f64::from(*part) / total) as f32;
            }
        }
        top
    }

    fn offer(&mut self, feature: u32, part: f32) {
        let at = self.parts[..self.len].iter().position(|&(_, p)| part > p).unwrap_or(self.len);
        if part <= 0.0 || at == REASONS_MAX {
            return;
        }
        self.len = (self.len + 1).min(REASONS_MAX);
        self.parts[at..self.len].rotate_right(1);
        self.parts[at] = (feature, part);
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FeatureId, f32)> + '_ {
        self.parts[..self.len].iter().map(|&(feature, share)| (FeatureId(feature), share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_largest_parts_in_order_as_shares() {
        let reasons = Reasons::of_parts([1.0, 0.0, 4.0, 2.0, 2.0, 1.0].into_iter());
        let seen: Vec<_> = reasons.iter().collect();
        let expected = [(2, 0.4), (3, 0.2), (4, 0.2), (0, 0.1)];
        assert_eq!(seen, expected.map(|(f, s)| (FeatureId(f), s)));
    }
}
