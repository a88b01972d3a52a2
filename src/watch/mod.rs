//! What is watched of a stream: evidence → bets → alarm. One file per watch; this file holds the trait
//! and the list.
//!
//! Evidence is counted by window. A watch lays hypotheses about the counts: that a feature is
//! distributed as among clean rows, or that a share stays within a bound. A panel plays all hypotheses
//! of a stream under one budget of false pages.

pub mod access;
mod answer_drift;
pub mod answers;
mod data_quality;
mod evidence;
mod flagged_share;
mod heard;
mod hypothesis;
mod input_drift;
mod panel;
mod scope;
mod score_tail;
mod slow_drift;
mod terms;
mod trigger_recurrence;

use std::fmt;
use std::ops::Range;

use crate::alarm::Reference;

pub use crate::alarm::WindowStart;
pub use answer_drift::AnswerDrift;
pub use data_quality::DataQuality;
pub use evidence::{
    Baseline, Bins, Cells, ClientFinding, ClientFindings, Counts, EndpointCounts, Evidence,
    Exemplar, Exemplars, JoinCounts, JoinEvidence, JoinWindow, Keying, Loss, LossCause, Message,
    Of, Others, PLACES, Passage, Patch, Presence, Quasi, RowGroups, Signal, Signals, Stall, Stat,
    Tally, Tick, Usual, Window,
};
pub use flagged_share::{Flagged, FlaggedShare};
pub use heard::{GONE_AFTER_MS, Heard, LAG_MS, watermark};
pub use hypothesis::{Hypothesis, Source, hypotheses};
pub use input_drift::InputDrift;
pub use panel::{Beyond, Panel, Transition};
pub use scope::{Scope, Share};
pub use score_tail::ScoreTail;
pub use slow_drift::{SlowDrift, TOLERANCE};
pub use terms::{Terms, Times};
pub use trigger_recurrence::TriggerRecurrence;

/// Watches something of a stream.
pub trait Watch: fmt::Debug + Sync {
    /// What an alert calls it.
    fn name(&self) -> &'static str;

    /// Hundredths of the budget. If a stream lacks a watch, the other watches get its share.
    fn hundredths(&self) -> u64;

    /// What an operator has to think of when it fires.
    fn concern(&self) -> Concern;

    /// Whether its bound on false alarms holds only for stationary rows, not for those of a season.
    fn needs_stationary_rows(&self) -> bool {
        false
    }

    /// What it claims of one histogram of a stream.
    fn of_histogram(&self, _: &Histogram<'_>) -> Vec<Hypothesis> {
        vec![]
    }

    /// What it claims of the fates of a stream's records, whatever is in them.
    fn of_records(&self, _clean: Flagged) -> Vec<Hypothesis> {
        vec![]
    }
}

/// The watches of records; [`access`] and [`answers`] have lists of their own. A histogram's hypotheses, and those about records, come in this order.
pub const ALL: &[&dyn Watch] = &[
    &FlaggedShare,
    &DataQuality,
    &InputDrift,
    &AnswerDrift,
    &ScoreTail,
    &TriggerRecurrence,
    &SlowDrift,
];

/// What a watch that fires is a sign of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Records look attacked.
    Attack,
    /// Records are broken, incomplete or of another make.
    Quality,
    /// Inputs or answers are distributed in another way.
    Drift,
    /// What answers is not the model that the bundle knows.
    Tampering,
    /// Different clients use the stream, or the same clients use it differently.
    Access,
}

/// One histogram of a stream, as a watch sees it.
#[derive(Debug)]
pub struct Histogram<'a> {
    /// Which of the signals it is.
    pub index: usize,
    pub signal: &'a Signal,
    /// Its cells in the stream's row of cells.
    pub cells: Range<usize>,
    /// Clean rows by bin.
    pub clean: Reference,
    /// Of places: the largest share of clean rows that may be in each bin.
    pub places: &'a [f32],
}
