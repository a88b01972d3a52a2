//! What leaves by one output: `[[stream.output]]`.
//!
//! A record is scored as it came. Then its value loses fields (dropped or changed), or is sealed for the owner of a key, or a
//! pointer takes its place. If that cannot be done to a record, a pointer leaves or the whole value is sealed;
//! [`Output::value`] says which. It never leaves in clear.
//!
//! A **path** here is a JSON pointer to a field of a value. A **pointer** is a record that only names another.
//!
//! Blind spot: readers still learn from lengths, from times, and from the fields that are kept.

mod features;
mod plan;
mod rewrite;

use std::fmt;
use std::sync::Arc;

use super::field::{DROP, FIELD_STEPS, FieldSettings, Pseudonym, Unfit, pseudonym};
use crate::open::{KeyMaterial, KeyUse, Sealer, SecretKey};

pub use features::FeatureStep;
use plan::{BadPlan, Plan, Wish};

/// What the configuration says of one output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputSpec {
    /// Paths of the fields that stay. All others go.
    pub keep: Vec<String>,
    /// Paths of the fields that go.
    pub drop: Vec<String>,
    pub steps: Vec<StepSpec>,
    /// Name and public key of the reader that the value is sealed for.
    pub encrypt_to: Option<(String, KeyMaterial)>,
    /// Whether a pointer leaves instead of the value.
    pub pointer: bool,
    pub trace: TraceDetail,
    pub record_key: KeyRule,
    pub headers: HeaderRule,
}

/// `[[stream.output.step]]`
#[derive(Clone, Debug, PartialEq)]
pub struct StepSpec {
    /// `do`: a name of [`FIELD_STEPS`], or [`DROP`].
    pub kind: String,
    pub settings: FieldSettings,
}

/// How much the trace header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceDetail {
    /// Numbers of the record too.
    #[default]
    Full,
    /// Features by name, and how much each weighed: no number, no category.
    Shares,
    /// Where the record came from, and which bundle and revision scored it.
    Source,
}

/// What becomes of a record's key.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum KeyRule {
    #[default]
    Same,
    Drop,
    Pseudonym {
        id: String,
        key: SecretKey,
    },
}

/// Which of a sender's headers go with a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderRule {
    /// Names in lower case; only these.
    pub keep: Option<Vec<String>>,
    /// Names in lower case; `*` is all.
    pub drop: Vec<String>,
}

/// One output, ready for records.
#[derive(Debug)]
pub struct Output {
    plan: Option<Plan>,
    sealer: Option<Sealer>,
    pointer: bool,
    key: KeyStep,
    pub trace: TraceDetail,
}

#[derive(Debug)]
enum KeyStep {
    Same,
    Drop,
    Pseudonym(Pseudonym),
}

/// The pseudonym of a field is made with the field's path. The pseudonym of a record's key is made with this text in its place.
pub const RECORD_KEY: &str = "record-key";

/// The form in which a value leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueForm {
    /// As it came, or with fields changed. Its format is the one in its headers.
    #[default]
    Record,
    /// As a JWE: [`ValueForm::JOSE`].
    Sealed,
    /// A pointer in its place: topic, partition and offset.
    Pointer,
}

/// What becomes of a record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFate {
    Same,
    Gone,
    /// It became a pseudonym.
    Named,
}

/// The tables of a stream's outputs, as the configuration has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputSpecs {
    pub sanitized: Option<OutputSpec>,
    pub quarantine: Option<OutputSpec>,
    pub dead_letter: Option<OutputSpec>,
}

/// The tables of a stream's outputs, ready for records.
#[derive(Debug, Default)]
pub struct OutputTables {
    pub sanitized: Option<Output>,
    pub quarantine: Option<Output>,
    pub dead_letter: Option<Output>,
}

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadOutput {
    #[error(transparent)]
    Pointers(#[from] BadPlan),
    #[error("{field}: {why}")]
    Step { field: String, why: String },
    #[error("{0}")]
    Key(String),
}

impl ValueForm {
    /// Media type of a sealed value.
    pub const JOSE: &'static str = "application/jose";
}

impl OutputSpec {
    /// Whether fields change. Then values must be JSON.
    pub fn has_fields(&self) -> bool {
        !(self.keep.is_empty() && self.drop.is_empty() && self.steps.is_empty())
    }

    /// Whether values leave in another form than they came in.
    pub fn changes_values(&self) -> bool {
        self.has_fields() || self.encrypt_to.is_some() || self.pointer
    }

    /// Makes the output.
    ///
    /// # Errors
    /// What is wrong with its table.
    pub fn build(&self) -> Result<Output, BadOutput> {
        let sealer = self.encrypt_to.as_ref().map(|(name, key)| {
            let why = || BadOutput::Key(format!("the key {name:?} is no public key that seals"));
            Sealer::new(name, key).ok_or_else(why)
        });
        let key = match &self.record_key {
            KeyRule::Same => KeyStep::Same,
            KeyRule::Drop => KeyStep::Drop,
            KeyRule::Pseudonym { id, key } => {
                KeyStep::Pseudonym(pseudonym(id, key, RECORD_KEY).map_err(BadOutput::Key)?)
            }
        };
        let mut wishes = vec![];
        wishes.extend(self.keep.iter().map(|path| (path.clone(), Wish::Keep)));
        wishes.extend(self.drop.iter().map(|path| (path.clone(), Wish::Drop)));
        for StepSpec { kind, settings } in &self.steps {
            let wrong = |why| BadOutput::Step { field: settings.field.clone(), why };
            let wish = if kind == DROP {
                Wish::Drop
            } else {
                let found = FIELD_STEPS.iter().find(|known| known.name == kind);
                let found = found.ok_or_else(|| wrong(format!("{kind:?} is no step")))?;
                Wish::Step((found.make)(settings).map_err(wrong)?)
            };
            wishes.push((settings.field.clone(), wish));
        }
        let plan = if wishes.is_empty() { None } else { Some(Plan::new(wishes)?) };
        let (pointer, trace) = (self.pointer, self.trace);
        Ok(Output { plan, sealer: sealer.transpose()?, pointer, key, trace })
    }
}

impl OutputSpecs {
    /// Each table, with the name that `of` has for it.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &OutputSpec)> {
        let all = [
            ("sanitized", &self.sanitized),
            ("quarantine", &self.quarantine),
            ("dead_letter", &self.dead_letter),
        ];
        all.into_iter().filter_map(|(name, spec)| Some((name, spec.as_ref()?)))
    }

    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// # Errors
    /// What is wrong with the first table that cannot be used.
    pub fn build(&self) -> Result<OutputTables, BadOutput> {
        let build = |spec: &Option<OutputSpec>| spec.as_ref().map(OutputSpec::build).transpose();
        Ok(OutputTables {
            sanitized: build(&self.sanitized)?,
            quarantine: build(&self.quarantine)?,
            dead_letter: build(&self.dead_letter)?,
        })
    }
}

impl Output {
    /// Whether values may leave in another form than they came in.
    pub fn changes_values(&self) -> bool {
        self.plan.is_some() || self.sealer.is_some() || self.pointer
    }

    /// How many values its key sealed, if it seals.
    pub fn uses(&self) -> Option<&Arc<KeyUse>> {
        self.sealer.as_ref().map(Sealer::uses)
    }

    /// Appends to `out` the bytes that leave instead of `value`, and returns their form. For a pointer nothing is appended.
    /// `content_type` is the one that the sender gave. `scratch` is overwritten.
    ///
    /// # Errors
    /// If a step cannot be applied, and there is no key to seal the whole value with. Then only a pointer may leave, and
    /// `out` is as it was.
    pub fn value(
        &self,
        value: &[u8],
        content_type: Option<&[u8]>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<ValueForm, Unfit> {
        if self.pointer {
            return Ok(ValueForm::Pointer);
        }
        let start = out.len();
        let Some(sealer) = &self.sealer else {
            match &self.plan {
                Some(plan) => plan.rewrite(value, out)?,
                None => out.extend_from_slice(value),
            }
            return Ok(ValueForm::Record);
        };
        scratch.plain.clear();
        // Whoever has the key may read all of the value. So if a step cannot be applied, the whole value is sealed.
        let plan = self.plan.as_ref();
        let poorer = plan.is_some_and(|plan| plan.rewrite(value, &mut scratch.plain).is_ok());
        let plain = if poorer { &scratch.plain } else { value };
        let sealed = sealer.seal(plain, content_type, &mut scratch.sealed, out);
        sealed.map_err(|_| {
            out.truncate(start);
            Unfit::Seal
        })?;
        Ok(ValueForm::Sealed)
    }

    /// Appends the key that leaves instead of `key`, if it is another one.
    pub fn key(&self, key: &[u8], out: &mut Vec<u8>) -> KeyFate {
        match &self.key {
            KeyStep::Same => KeyFate::Same,
            KeyStep::Drop => KeyFate::Gone,
            KeyStep::Pseudonym(pseudonym) => {
                pseudonym.write(key, out);
                KeyFate::Named
            }
        }
    }
}

/// Buffers that are reused from value to value.
#[derive(Default)]
pub struct Scratch {
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl HeaderRule {
    /// Whether a sender's header of this name goes with the record. The case of letters does not matter.
    pub fn takes(&self, name: &[u8]) -> bool {
        let is = |known: &String| name.eq_ignore_ascii_case(known.as_bytes());
        let kept = self.keep.as_ref().is_none_or(|keep| keep.iter().any(is));
        kept && !self.drop.iter().any(|known| known == "*" || is(known))
    }
}

/// Shows only sizes: the bytes were a record's.
impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({}, {})", self.plain.len(), self.sealed.len())
    }
}

#[cfg(test)]
mod tests;
