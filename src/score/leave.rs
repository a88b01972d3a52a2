//! What of a record leaves by its output: the last stage, after the verdict and the corrected version.
//!
//! Nothing that was decided changes here, with one exception: a record that the sanitized output cannot take as its
//! table says is dead-lettered, because that output never holds a pointer.

use super::correct::Corrections;
use super::departure::{Departure, NewKey};
use super::outcome::Outcome;
use super::unseal::Cover;
use super::{Destination, Guard};
use crate::codec::ContentHeaders;
use crate::open::{Lock, NotSealable, wipe};
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
    sealed: Vec<u8>,
    ciphertext: Vec<u8>,
    scratch: Scratch,
}

impl Leaver {
    /// Does to `record` what the table of its output says, if it has one: `outcome` then has other bytes to deliver, or
    /// says that a pointer leaves. They are added to `made`.
    ///
    /// # Errors
    /// If a step cannot be applied to a record of the sanitized output, or it cannot be sealed.
    pub fn leave(
        &mut self,
        guard: &Guard,
        (record, cover): (&Record<'_>, Cover<'_>),
        outcome: &mut Outcome,
        made: &mut Corrections,
    ) -> Result<(), Unfit> {
        outcome.departure = Departure::default();
        let failed = outcome.judged == Err(Fault::StepFailed);
        let table = output(&guard.outputs, outcome.destination);
        let content = match table.filter(|output| output.changes_values()) {
            Some(output) => self.value(output, (record, cover), (guard, outcome), made),
            None => self.seal_again(guard, (record, cover), outcome, made),
        };
        outcome.departure.content = match content {
            Ok(content) => content,
            Err(unfit) if outcome.destination == Destination::Sanitized => return Err(unfit),
            Err(_) => ValueForm::Pointer,
        };
        let Some(output) = table else {
            if failed {
                outcome.departure.content = ValueForm::Pointer;
            }
            return Ok(());
        };
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

    /// What the table of its output makes of a record.
    fn value(
        &mut self,
        output: &Output,
        (record, cover): (&Record<'_>, Cover<'_>),
        (guard, outcome): (&Guard, &mut Outcome),
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
        match (content, cover) {
            (ValueForm::Pointer, _) => {}
            (ValueForm::Record, Cover::Sealed(original, key)) => {
                let original = (original, key);
                let mut plain = std::mem::take(&mut self.value);
                let sealed = self.seal(guard, (record, original), &plain, outcome.destination);
                wipe(&mut plain);
                self.value = plain;
                sealed?;
                outcome.corrected = Some(made.append(&self.sealed));
            }
            _ => outcome.corrected = Some(made.append(&self.value)),
        }
        Ok(content)
    }

    /// A record that came sealed leaves as it came. What became another record in between is sealed again; and all that
    /// goes to the model, if that has a key of its own.
    fn seal_again(
        &mut self,
        guard: &Guard,
        (record, cover): (&Record<'_>, Cover<'_>),
        outcome: &mut Outcome,
        made: &mut Corrections,
    ) -> Result<ValueForm, Unfit> {
        let Cover::Sealed(original, key) = cover else { return Ok(ValueForm::Record) };
        let anew = outcome.destination == Destination::Sanitized && guard.seals_anew();
        let plain = match &outcome.corrected {
            Some(range) => &made.bytes()[range.clone()],
            None if anew => record.value.expect("it was opened"),
            None => return Ok(ValueForm::Record),
        };
        self.seal(guard, (record, (original, key)), plain, outcome.destination)?;
        outcome.corrected = Some(made.append(&self.sealed));
        Ok(ValueForm::Record)
    }

    /// Seals `plain` into `self.sealed`: for the model, or as the sender sealed it in `original`.
    fn seal(
        &mut self,
        guard: &Guard,
        (record, original): (&Record<'_>, (&[u8], &Lock)),
        plain: &[u8],
        to: Destination,
    ) -> Result<(), Unfit> {
        let opener = guard.opener.as_ref().expect("it opened the record");
        let (scratch, out) = (&mut self.ciphertext, &mut self.sealed);
        out.clear();
        let sealer = opener.sealer().filter(|_| to == Destination::Sanitized);
        let sealed = match sealer {
            Some(sealer) => {
                let content_type = ContentHeaders::of(record.headers).content_type.get();
                let content_type = content_type.ok().flatten();
                sealer.seal(plain, content_type, scratch, out).map_err(|_| NotSealable)
            }
            None => {
                let sealed = original.1.seal(original.0, plain, scratch, out);
                sealed.inspect(|()| opener.count_sealed(original.1))
            }
        };
        sealed.map_err(|_| Unfit::Seal)
    }
}
