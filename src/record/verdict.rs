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
    parts: [Reason; REASONS_MAX],
    window: Option<Rectangle>,
}

/// A feature, and what there is to say about its number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reason {
    pub feature: FeatureId,
    /// Share of the row's score or, if the reasons lie in a window, of the window's score.
    pub share: f32,
    /// The record's own number, in the model's units.
    pub seen: f32,
    /// What stands there in the row that a correction makes of it, or that the detector compares with.
    pub typical: f32,
}

/// A rectangle of an image, and its share of the row's score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// The feature in its upper left corner.
    pub corner: FeatureId,
    pub height: u8,
    pub width: u8,
    pub share: f32,
}

const NONE: Reason = Reason { feature: FeatureId(0), share: 0.0, seen: 0.0, typical: 0.0 };

impl Reasons {
    /// No reasons.
    pub const NONE: Self = Self { len: 0, parts: [NONE; REASONS_MAX], window: None };

    /// The largest of `parts` (one non-negative part per feature), as shares of their sum.
    pub fn of_parts(parts: impl Iterator<Item = f32>) -> Self {
        let mut top = Self::default();
        let mut total = 0.0_f64;
        for (feature, part) in parts.enumerate() {
            total += f64::from(part);
            top.offer(feature as u32, part);
        }
        if total > 0.0 {
            for reason in &mut top.parts[..top.len] {
                reason.share = (f64::from(reason.share) / total) as f32;
            }
        }
        top
    }

    /// These reasons, all of which lie within `window` of an image.
    pub fn within(self, window: Rectangle) -> Self {
        Self { window: Some(window), ..self }
    }

    /// These reasons with each feature's number in the row and in the typical row. Shapes: `[d]`.
    pub fn against(mut self, seen: &[f32], typical: &[f32]) -> Self {
        for reason in &mut self.parts[..self.len] {
            let at = reason.feature.0 as usize;
            (reason.seen, reason.typical) = (seen[at], typical[at]);
        }
        self
    }

    fn offer(&mut self, feature: u32, part: f32) {
        let at = self.parts[..self.len].iter().position(|r| part > r.share).unwrap_or(self.len);
        if part <= 0.0 || at == REASONS_MAX {
            return;
        }
        self.len = (self.len + 1).min(REASONS_MAX);
        self.parts[at..self.len].rotate_right(1);
        self.parts[at] = Reason { feature: FeatureId(feature), share: part, ..NONE };
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Reason> + '_ {
        self.parts[..self.len].iter().copied()
    }

    /// Where all of them lie, if it is one place of an image.
    pub fn window(&self) -> Option<Rectangle> {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_largest_parts_in_order_as_shares() {
        let reasons = Reasons::of_parts([1.0, 0.0, 4.0, 2.0, 2.0, 1.0].into_iter());
        let seen: Vec<_> = reasons.iter().map(|r| (r.feature.0, r.share)).collect();
        assert_eq!(seen, [(2, 0.4), (3, 0.2), (4, 0.2), (0, 0.1)]);
    }

    #[test]
    fn a_reason_tells_the_number_that_was_seen_from_the_typical_one() {
        let reasons = Reasons::of_parts([0.0, 3.0].into_iter()).against(&[7.0, 9.0], &[8.0, 2.0]);
        let expected = Reason { feature: FeatureId(1), share: 1.0, seen: 9.0, typical: 2.0 };
        assert_eq!(reasons.iter().collect::<Vec<_>>(), [expected]);
    }
}
