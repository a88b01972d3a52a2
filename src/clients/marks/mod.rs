//! What is odd about one row, with a known share of clean rows: the trait and the list. One file per mark.
//!
//! A mark counts for whoever sent the row, for its cell and for the stream; nothing is done with the row itself. Who is told
//! which of his rows were noticed learns how to send others.

mod fault;
mod flagged;
mod low_margin;
mod matched;
mod new_origin;
mod odd_hour;
mod travel;

use std::fmt;

use fault::FaultMark;
use flagged::FlaggedMark;
use low_margin::LowMarginMark;
pub use matched::MATCHED;
use matched::MatchedMark;
use new_origin::NewOriginMark;
use odd_hour::OddHourMark;
use travel::TravelMark;

use super::known::Habit;
use crate::watch::Keying;

/// Something about a row that few clean rows have.
pub trait Mark: fmt::Debug + Sync {
    /// What an alert calls it.
    fn name(&self) -> &'static str;

    /// What such rows do, after "of its rows": `are near-duplicates of other rows`.
    fn words(&self) -> &'static str;

    fn concern(&self) -> MarkConcern;

    /// Techniques of MITRE ATLAS that it is a sign of.
    fn atlas(&self) -> &'static [&'static str];

    /// At most this share of clean rows has it; none where the bundle cannot say.
    fn clean_share(&self, clean: &CleanMarks) -> Option<f64>;

    /// Whether it is bet on for such keys.
    fn is_for(&self, keying: Keying) -> bool;

    /// Whether a row has it; what needs other rows too is found later.
    fn is_on(&self, row: &RowFacts) -> bool;

    /// What of a client's history it is about: the stream itself says how often clean rows have it.
    fn habit(&self) -> Option<Habit> {
        None
    }

    /// Whether records without rows count.
    fn counts_faults(&self) -> bool {
        false
    }
}

/// What a key with many marked rows is a sign of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkConcern {
    /// Somebody asks in order to attack.
    Attack,
    /// Somebody uses the stream as he should not.
    Access,
}

/// What is known of clean rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CleanMarks {
    /// The share that is flagged, at most.
    pub flagged: f64,
    /// Rows with a confidence up to this are few: at most that share.
    pub confidence: Option<(f32, f64)>,
    /// The share that is near another row, at most.
    pub matched: Option<f64>,
}

/// What a worker knows of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowFacts {
    /// It is a record without rows.
    pub fault: bool,
    /// Its record was flagged, and it is the most suspicious row of it.
    pub flagged: bool,
    /// The model's largest probability, and up to which few clean rows have one.
    pub confidence: Option<(f32, f32)>,
}

/// Every mark there is. Their bits in a visit come in this order.
pub const MARKS: &[&dyn Mark] = &[
    &MatchedMark,
    &FlaggedMark,
    &LowMarginMark,
    &FaultMark,
    &NewOriginMark,
    &OddHourMark,
    &TravelMark,
];

/// Marks that a worker gives, who sees one row at a time: their places in the list.
pub fn marks_of_workers() -> impl Iterator<Item = usize> {
    (0..MARKS.len()).filter(|&at| at != MATCHED && MARKS[at].habit().is_none())
}

/// The mark of this name.
pub fn mark(name: &str) -> Option<&'static dyn Mark> {
    MARKS.iter().find(|mark| mark.name() == name).copied()
}

/// The bits of a row.
pub fn marks_of(row: &RowFacts) -> u8 {
    let bit = |(i, mark): (usize, &&dyn Mark)| if mark.is_on(row) { 1 << i } else { 0 };
    MARKS.iter().enumerate().map(bit).fold(0, |all, bit| all | bit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mark_has_a_bit_and_a_name_of_its_own_and_words() {
        assert!(MARKS.len() <= 8, "marks are told in one byte");
        let names: BTreeSet<_> = MARKS.iter().map(|mark| mark.name()).collect();
        assert_eq!(names.len(), MARKS.len());
        for mark in MARKS {
            assert!(
                !mark.words().is_empty() && mark.atlas().iter().all(|id| id.starts_with("AML.T"))
            );
            assert_eq!(super::mark(mark.name()).map(Mark::name), Some(mark.name()));
        }
        assert_eq!(MARKS[MATCHED].name(), "matched");
    }

    #[test]
    fn a_row_has_the_bits_of_what_is_odd_about_it() {
        assert_eq!(marks_of(&RowFacts::default()), 0);
        assert_eq!(marks_of(&RowFacts { flagged: true, ..RowFacts::default() }), 2);
        let low = RowFacts { confidence: Some((0.4, 0.4)), ..RowFacts::default() };
        assert_eq!(marks_of(&low), 4);
        let high = RowFacts { confidence: Some((0.41, 0.4)), ..RowFacts::default() };
        assert_eq!(marks_of(&high), 0);
        assert_eq!(marks_of(&RowFacts { fault: true, ..RowFacts::default() }), 8);
    }

    #[test]
    fn what_the_bundle_cannot_say_is_off() {
        let shares = |clean| MARKS.iter().map(|mark| mark.clean_share(clean)).collect::<Vec<_>>();
        let known =
            CleanMarks { flagged: 0.01, confidence: Some((0.4, 0.02)), matched: Some(0.001) };
        let of_habits = [None; 3];
        let first = [Some(0.001), Some(0.01), Some(0.02), Some(0.001)];
        assert_eq!(shares(&known), [&first[..], &of_habits].concat());
        let unknown = CleanMarks { flagged: 0.01, ..CleanMarks::default() };
        let first = [None, Some(0.01), None, Some(0.001)];
        assert_eq!(shares(&unknown), [&first[..], &of_habits].concat());
    }
}
