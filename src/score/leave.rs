//! What of a record leaves by its output: the last stage, after the verdict and the corrected version.
//!
//! Nothing that was decided changes here, with one exception: a record that the sanitized output cannot take as its
//! table says is dead-lettered, because that output never holds a pointer.

use super::correct::Corrections;
use super::departure::{Departure, NewKey};
use super::outcome::Outcome;
use super::{Destination, Guard};
use crate::codec::ContentHeaders;
use crate::record::{Fault, Record};
use crate::sanitize::{KeyFate, Output, OutputTables, Scratch, Unfit, ValueForm};

/// The table of an output, if it has one.
pub fn output(outputs: &OutputTables, destination: Destination) -> Option<&Output> {
    match destination {
        Destination::Sanitized => outputs.sanitized.as_ref(),
        Destination::Quarantine => outputs.quarantine.as_ref(),
        Destination::DeadLetter => outputs.dead_letter.as_ref(),
    }
}

/// Buffers of this stage, reused from record to record.
#[derive(Debug, Default)]
pub struct Leaver {
    value: Vec<u8>,
    scratch: Scratch,
}

impl Leaver {
    /// Does to `record` what the table of its output says, if it has one: `outcome` then has other bytes to deliver, or
    /// says that a pointer leaves. They are added to `made`.
    ///
    /// # Errors
    /// If a step cannot be applied to a record of the sanitized output.
    pub fn leave(
        &mut self,
        guard: &Guard,
        record: &Record<'_>,
        outcome: &mut Outcome,
        made: &mut Corrections,
    ) -> Result<(), Unfit> {
        outcome.departure = Departure::default();
        let failed = outcome.judged == Err(Fault::StepFailed);
        let Some(output) = output(&guard.outputs, outcome.destination) else {
            if failed {
                outcome.departure.content = ValueForm::Pointer;
            }
            return Ok(());
        };
        if output.changes_values() {
            let content = self.value(output, record, outcome, made);
            outcome.departure.content = match content {
                Ok(content) => content,
                Err(unfit) if outcome.destination == Destination::Sanitized => return Err(unfit),
                Err(_) => ValueForm::Pointer,
            };
        }
        if failed && outcome.departure.content == ValueForm::Record {
            outcome.departure.content = ValueForm::Pointer;
        }
        if outcome.departure.content == ValueForm::Pointer {
            outcome.corrected = None;
        }
        if let Some(key) = record.key {
            self.value.clear();
            outcome.departure.key = match output.key(key, &mut self.value) {
                KeyFate::Same => NewKey::Own,
                KeyFate::Gone => NewKey::Gone,
                KeyFate::Named => NewKey::At(made.append(&self.value)),
            };
        }
        Ok(())
    }

    fn value(
        &mut self,
        output: &Output,
        record: &Record<'_>,
        outcome: &mut Outcome,
        made: &mut Corrections,
    ) -> Result<ValueForm, Unfit> {
        // A tombstone has nothing that could be read.
        let Some(own) = record.value else { return Ok(ValueForm::Record) };
        let value = match &outcome.corrected {
            Some(range) => &made.bytes()[range.clone()],
            None => own,
        };
        let content_type = ContentHeaders::of(record.headers).content_type.get();
        self.value.clear();
        let content_type = content_type.ok().flatten();
        let content = output.value(value, content_type, &mut self.scratch, &mut self.value)?;
        if content != ValueForm::Pointer {
            outcome.corrected = Some(made.append(&self.value));
        }
        Ok(content)
    }
}
