//! `tripline-verdict`: what was done, in a word that people and filters read.

use crate::decide::Mode;
use crate::record::{Action, Fault};

/// Name of the header.
pub const VERDICT: &str = "tripline-verdict";

/// `pass`, `correct`, `quarantine`, `quarantine:unscorable`, `dead-letter:<fault>`; in observe mode
/// what would have been done: `would-correct`, …
pub fn verdict_text(mode: Mode, judged: Result<Action, Fault>) -> &'static str {
    const PREFIX: usize = "would-".len();
    let would = match judged {
        Ok(Action::Pass) => return "pass",
        Ok(Action::Correct) => "would-correct",
        Ok(Action::Quarantine) => "would-quarantine",
        Err(fault) => match fault {
            Fault::NullValue => "would-dead-letter:null-value",
            Fault::TooLarge { .. } => "would-dead-letter:too-large",
            Fault::UnknownFormat => "would-dead-letter:unknown-format",
            Fault::Unreadable { .. } => "would-dead-letter:unreadable",
            Fault::WrongArity { .. } => "would-dead-letter:wrong-arity",
            Fault::TooManyRows { .. } => "would-dead-letter:too-many-rows",
            Fault::WrongType { .. } => "would-dead-letter:wrong-type",
            Fault::NotFinite { .. } => "would-dead-letter:not-finite",
            Fault::Missing { .. } => "would-dead-letter:missing",
            Fault::OutOfBounds { .. } => "would-dead-letter:out-of-bounds",
            Fault::UnknownSchema => "would-dead-letter:unknown-schema",
            Fault::Undeliverable { .. } => "would-dead-letter:undeliverable",
            Fault::Crash => "would-dead-letter:crash",
            Fault::Ambiguous(_) => "would-dead-letter:ambiguous",
            Fault::TooManyHeaders { .. } => "would-dead-letter:too-many-headers",
            Fault::Unscorable => "would-quarantine:unscorable",
            Fault::RefusedTimestamp { .. } => "would-dead-letter:refused-timestamp",
            Fault::RefusedRecord => "would-dead-letter:refused-record",
            Fault::StepFailed => "would-dead-letter:step-failed",
            Fault::NotSealed => "would-dead-letter:not-sealed",
            Fault::UnknownKey => "would-dead-letter:unknown-key",
            Fault::Undecryptable(_) => "would-dead-letter:undecryptable",
        },
    };
    match mode {
        Mode::Observe => would,
        Mode::Enforce => &would[PREFIX..],
    }
}

/// The text of a record that passed because the guard could not score it.
pub const UNSCORED: &str = "unscored";

/// The text of a record that is no input of the model.
pub const NOT_SELECTED: &str = "not-selected";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Ambiguity, FeatureId, SealFault};

    #[test]
    fn the_text_of_a_fault_says_where_the_record_went_and_ends_in_its_name() {
        let feature = FeatureId(3);
        let faults = [
            Fault::NullValue,
            Fault::TooLarge { bytes: 2, bytes_max: 1 },
            Fault::UnknownFormat,
            Fault::Unreadable { at: 0 },
            Fault::WrongArity { got: 1, expected: 2 },
            Fault::TooManyRows { rows: 2, rows_max: 1 },
            Fault::WrongType { feature },
            Fault::NotFinite { feature },
            Fault::Missing { feature },
            Fault::OutOfBounds { feature, value: 2.0 },
            Fault::UnknownSchema,
            Fault::Undeliverable { bytes: 3 },
            Fault::Crash,
            Fault::Ambiguous(Ambiguity::Case),
            Fault::TooManyHeaders { headers: None, bytes: 0 },
            Fault::Unscorable,
            Fault::RefusedTimestamp { timestamp: 4 },
            Fault::RefusedRecord,
            Fault::StepFailed,
            Fault::NotSealed,
            Fault::UnknownKey,
            Fault::Undecryptable(SealFault::Tag),
        ];
        assert_eq!(faults.len(), Fault::NAMES.len());
        for fault in faults {
            let where_to = if fault.is_quarantined() { "quarantine" } else { "dead-letter" };
            let enforced = format!("{where_to}:{}", fault.name());
            assert_eq!(verdict_text(Mode::Enforce, Err(fault)), enforced);
            assert_eq!(verdict_text(Mode::Observe, Err(fault)), format!("would-{enforced}"));
        }
    }
}
