//! What the operator wants done, as the configuration says it.

use serde::{Deserialize, Serialize};

/// Whether verdicts act or are only written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// No verdict changes a record: all go to the sanitized topic, but for faults that are always dead-lettered. Verdicts and
    /// faults are headers. Steps of an output apply.
    /// The default: nobody lets a new guard block traffic on its first day.
    #[default]
    Observe,
    /// Flagged records are corrected or held back, unreadable ones dead-lettered.
    Enforce,
}

/// What happens to a flagged record in [`Mode::Enforce`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFlagged {
    /// Deliver a corrected version in the record's own format: the autoencoder's or the denoiser's, as
    /// [`Decider::version`](super::Decider::version) chooses. If that version would itself be flagged, the record
    /// is held back.
    Correct,
    /// Hold the original back.
    #[default]
    Quarantine,
}

/// What happens to records while the guard itself cannot score them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnGuardFailure {
    /// They pass untouched, marked `unscored`.
    Open,
    /// The partition pauses at the record that cannot be scored, until the guard can score it. Other partitions
    /// go on.
    #[default]
    Closed,
}

/// What the operator wants: mode, and what happens to flagged and to unscorable records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    pub on_flagged: OnFlagged,
    pub on_guard_failure: OnGuardFailure,
}
