//! Which topic a record leaves by. The product and the simulator ask the same rule.

use crate::decide::Mode;
use crate::emit::{UNSCORED, verdict_text};
use crate::record::{Action, Fault};

/// The topic that a record leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Sanitized,
    Quarantine,
    DeadLetter,
}

/// The topic, and the value of the verdict header.
///
/// In observe mode every record leaves by the sanitized topic, but for those that
/// [`Fault::is_always_dead_lettered`] names: this topic does not take them, or an output step cannot be applied.
pub fn destination(
    mode: Mode,
    verdict: Result<Action, Fault>,
    unscored: bool,
) -> (Destination, &'static str) {
    let mode = match verdict {
        Err(fault) if fault.is_always_dead_lettered() => Mode::Enforce,
        _ => mode,
    };
    let text = match verdict {
        Ok(_) if unscored => UNSCORED,
        _ => verdict_text(mode, verdict),
    };
    let destination = match verdict {
        _ if mode == Mode::Observe => Destination::Sanitized,
        Ok(Action::Pass | Action::Correct) => Destination::Sanitized,
        Ok(Action::Quarantine) => Destination::Quarantine,
        Err(fault) if fault.is_quarantined() => Destination::Quarantine,
        Err(_) => Destination::DeadLetter,
    };
    (destination, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_topic_that_the_record_leaves_by_when_verdicts_act() {
        let verdicts = [
            (Ok(Action::Pass), Destination::Sanitized, "pass"),
            (Ok(Action::Correct), Destination::Sanitized, "correct"),
            (Ok(Action::Quarantine), Destination::Quarantine, "quarantine"),
            (Err(Fault::Unscorable), Destination::Quarantine, "quarantine:unscorable"),
            (Err(Fault::NullValue), Destination::DeadLetter, "dead-letter:null-value"),
        ];
        for (verdict, to, text) in verdicts {
            assert_eq!(destination(Mode::Enforce, verdict, false), (to, text));
            let (to, observed) = destination(Mode::Observe, verdict, false);
            assert_eq!(to, Destination::Sanitized, "{observed}");
            assert!(observed == text || observed == format!("would-{text}"), "{observed}");
        }
        let unscored = destination(Mode::Enforce, Ok(Action::Pass), true);
        assert_eq!(unscored, (Destination::Sanitized, "unscored"));
    }

    #[test]
    fn what_the_sanitized_topic_does_not_take_is_dead_lettered_in_observe_mode_too() {
        let refused = destination(Mode::Observe, Err(Fault::RefusedRecord), false);
        assert_eq!(refused, (Destination::DeadLetter, "dead-letter:refused-record"));
        let many = Fault::TooManyHeaders { headers: None, bytes: 0 };
        let many = destination(Mode::Observe, Err(many), false);
        assert_eq!(many, (Destination::DeadLetter, "dead-letter:too-many-headers"));
    }
}
