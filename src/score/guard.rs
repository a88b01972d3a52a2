//! A stream's guard: bundle and configuration, read-only, shared by all workers.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Marker;
use super::unseal::Cover;
use crate::bundle::{
    Bundle, Correction, Dependence, Digest, NETWORKS, NetworkKind, NetworkOutputs, TensorError,
};
use crate::clients::Prints;
use crate::codec::select::Select;
use crate::codec::{self, Codecs, Confluent, ContentHeaders, Format, Spelling};
use crate::decide::{Decider, DeciderError, Policy};
use crate::detect::{Detector, Pairs, Setting, kind};
use crate::open::{BadOpener, JweOpener, Opener, OpenerSpec};
use crate::privacy::{BadSet, QuasiPlan, QuasiSpec};
use crate::record::{Columns, Feature, Missing, Probability, Record, Schema, Unread};
use crate::sanitize::{
    BadOutput, FeatureStep, OutputSpecs, OutputTables, Step, UnknownStep, steps,
};
use crate::validate::Bounds;
use crate::watch::{Flagged, Signals, Usual};

/// Bundle and configuration, ready to score.
pub struct Guard {
    pub(super) schema: Schema,
    pub(super) codecs: Codecs,
    pub(super) select: Select,
    pub(super) bounds: Bounds,
    pub(super) detectors: Vec<Box<dyn Detector>>,
    /// The name of each of them.
    kinds: Vec<&'static str>,
    pub(super) needs: Columns,
    pub(super) decider: Decider,
    pub(super) steps: Vec<Box<dyn Step>>,
    pub(super) signals: Signals,
    pub(super) outputs: OutputTables,
    /// Opens sealed values.
    pub(super) opener: Option<Opener>,
    /// Names of its keys that a key service has.
    pub(super) elsewhere: Vec<String>,
    /// Sets of features whose groups are counted.
    pub(super) quasi: Option<Arc<QuasiPlan>>,
    dependence: Option<Dependence>,
    pub(super) policy: Policy,
    /// Labels that a corrected record is not delivered with.
    pub(super) distrusted: Vec<u32>,
    correction: Option<Correction>,
    pub(super) value_bytes_max: usize,
    /// Whether a row has numbers or categories: then reasons are told by feature.
    pub(super) is_tabular: bool,
    /// Which pairs of values training rows had, if the bundle says.
    pub(super) pairs: Option<Pairs>,
    /// Reads the values of a flagged record again for its reasons; only if values may be told.
    pub(super) spelling: Option<Spelling>,
    /// Marks rows, if clients are watched.
    pub(super) marking: Option<Marker>,
    /// Whether the batch keeps the answer of the bundle's own model to each row, for the join with the deployed model's answers.
    pub(super) tells_answers: bool,
    digest: Digest,
    baseline: String,
    revision: [u8; 8],
}

/// Why a bundle cannot guard this stream.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("the bundle names detector {0:?}, which this build does not have")]
    UnknownDetector(String),
    #[error("detector {0} needs {1}; the bundle has none")]
    NoNetwork(String, &'static str),
    #[error(transparent)]
    Step(#[from] UnknownStep),
    #[error(transparent)]
    Output(#[from] BadOutput),
    #[error(transparent)]
    Feature(#[from] FeatureStep),
    #[error(transparent)]
    Opener(#[from] BadOpener),
    #[error(transparent)]
    Set(#[from] BadSet),
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error(transparent)]
    Decider(#[from] DeciderError),
}

impl Guard {
    /// `budget` overrides the bundle's own.
    ///
    /// # Errors
    /// If the bundle lacks what its detectors need, or cannot keep the budget.
    pub fn new(
        bundle: &Bundle,
        budget: Option<Probability>,
        policy: Policy,
        reading: &codec::Config,
    ) -> Result<Self, GuardError> {
        let manifest = &bundle.manifest;
        let setting = Setting { schema: &manifest.schema, labels: manifest.labels, last_inputs: 0 };
        let mut detectors = Vec::with_capacity(manifest.detectors.len());
        let mut kinds = vec![];
        for member in &manifest.detectors {
            let kind = kind(&member.kind)
                .ok_or_else(|| GuardError::UnknownDetector(member.kind.clone()))?;
            let lacks = |network: &&NetworkKind| {
                let is_needed = match network.outputs {
                    NetworkOutputs::Labels => kind.needs_protected_model,
                    NetworkOutputs::Row | NetworkOutputs::Logit | NetworkOutputs::Copies => {
                        network.fills.iter().any(|(_, into)| kind.needs.contains(*into))
                    }
                };
                is_needed && bundle.network(network.file).is_none()
            };
            if let Some(network) = NETWORKS.iter().find(lacks) {
                return Err(GuardError::NoNetwork(member.kind.clone(), network.name));
            }
            kinds.push(kind.name);
            detectors.push((kind.load)(&bundle.tensors, setting)?);
        }
        let steps = steps(manifest.steps.as_deref(), &manifest.schema)?;
        // What is watched of answers is counted of every row.
        let counting = if manifest.labels > 1 { Columns::ANSWER } else { Columns::X };
        // What corrects is needed even if no detector looks at it.
        let correcting = steps.iter().fold(counting, |needs, step| needs.and(step.needs()));
        let needs = detectors.iter().fold(correcting, |needs, d| needs.and(d.needs()));
        let decider = Decider::load(bundle, budget)?;
        let distrusted =
            manifest.correction.as_ref().map(|c| c.distrusted.clone()).unwrap_or_default();
        let signals = match Signals::are_in(&bundle.tensors) {
            true => Signals::of(&manifest.schema, &manifest.detectors, manifest.labels)
                .load(&bundle.tensors)?,
            false => Signals::none(),
        };
        let is_table = |f: &Feature| matches!(f, Feature::Number { .. } | Feature::Category { .. });
        let is_tabular = manifest.schema.features.iter().any(is_table);
        let baseline = baseline(bundle.digest, decider.budget());
        let revision = revision(&baseline, policy, reading);
        Ok(Self {
            codecs: Codecs::new(&manifest.schema, reading),
            select: reading.select.clone(),
            bounds: Bounds::new(&manifest.schema),
            steps,
            schema: manifest.schema.clone(),
            detectors,
            kinds,
            needs,
            decider,
            signals,
            outputs: OutputTables::default(),
            opener: None,
            elsewhere: vec![],
            quasi: None,
            dependence: manifest.dependence,
            policy,
            distrusted,
            correction: manifest.correction.clone(),
            value_bytes_max: reading.value_bytes_max,
            is_tabular,
            pairs: Pairs::load(&bundle.tensors, &manifest.schema)?,
            spelling: None,
            marking: None,
            tells_answers: false,
            digest: bundle.digest,
            baseline,
            revision: revision.prefix(),
        })
    }

    /// This guard, with values of flagged records in their reasons. `reading` is that of [`Guard::new`].
    #[must_use]
    pub fn telling_values(self, reading: &codec::Config) -> Self {
        let spelling = Some(Spelling::new(&self.schema, reading));
        Self { spelling, ..self }
    }

    /// This guard, keeping the answer of the bundle's own model to each row. Without a model it keeps none.
    #[must_use]
    pub fn telling_answers(self) -> Self {
        let tells_answers = self.needs.contains(Columns::ANSWER);
        Self { tells_answers, ..self }
    }

    /// Whether the batch keeps the answer of the bundle's own model to each row.
    pub fn tells_answers(&self) -> bool {
        self.tells_answers
    }

    /// Whether values of flagged and of unreadable records are told.
    pub fn tells_values(&self) -> bool {
        self.spelling.is_some()
    }

    /// This guard, which marks rows for the client monitor. `bundle` has the marks of clean rows, `key` keys the
    /// fingerprints, and a row is compared with `horizon_rows` others.
    ///
    /// # Errors
    /// If the bundle's fingerprints are not those of its rows.
    pub fn marking(
        self,
        bundle: &Bundle,
        key: &[u8],
        horizon_rows: usize,
    ) -> Result<Self, GuardError> {
        let prints = Prints::load(&bundle.tensors, &self.schema)?;
        let prints = prints.map(|prints| prints.keyed(key, &self.baseline));
        let Flagged { budget, rows, flagged } = self.clean();
        let usual = Usual::new(budget.get(), rows, flagged);
        let marking = Marker::new(&self.signals, usual, prints).within(horizon_rows);
        // The model's confidence is a mark.
        let needs = if marking.clean.confidence.is_some() { Columns::ANSWER } else { Columns::X };
        Ok(Self { needs: self.needs.and(needs), marking: Some(marking), ..self })
    }

    /// What marks rows, if clients are watched.
    pub fn marks(&self) -> Option<&Marker> {
        self.marking.as_ref()
    }

    /// This guard, whose outputs change records as `specs` say. `reading` is that of [`Guard::new`].
    ///
    /// # Errors
    /// If a table cannot be used, or would change what the model reads.
    pub fn with_outputs(
        mut self,
        specs: &OutputSpecs,
        reading: &codec::Config,
    ) -> Result<Self, GuardError> {
        if specs.is_empty() {
            return Ok(self);
        }
        specs.check_features(&self.schema, reading)?;
        self.outputs = specs.build()?;
        let named = format!("{:?} {specs:?}", self.revision);
        self.revision = Digest(Sha256::digest(named).into()).prefix();
        Ok(self)
    }

    /// This guard, whose records are sealed as `spec` says.
    ///
    /// # Errors
    /// If nothing can be sealed so.
    pub fn with_opener(mut self, spec: Option<&OpenerSpec>) -> Result<Self, GuardError> {
        let Some(spec) = spec else { return Ok(self) };
        let opener = spec.build()?;
        if let (Some(csfle), Some(confluent)) = (opener.csfle(), self.codecs.confluent()) {
            confluent.teach(csfle.clone());
        }
        self.opener = Some(opener);
        self.elsewhere = spec.jwe().map_or_else(Vec::new, |spec| spec.elsewhere.clone());
        let named = format!("{:?} {spec:?}", self.revision);
        self.revision = Digest(Sha256::digest(named).into()).prefix();
        Ok(self)
    }

    /// This guard, which counts the groups of these sets of features, if there are any.
    ///
    /// # Errors
    /// If a set names what the schema does not have.
    pub fn counting(mut self, spec: Option<&QuasiSpec>) -> Result<Self, GuardError> {
        let plan = spec.map(|spec| QuasiPlan::new(spec, &self.schema)).transpose()?;
        if let Some(plan) = plan {
            let named = format!("{:?} {}", self.revision, plan.id());
            self.revision = Digest(Sha256::digest(named).into()).prefix();
            self.quasi = Some(Arc::new(plan));
        }
        Ok(self)
    }

    /// Sets of features whose groups are counted.
    pub fn quasi(&self) -> Option<&Arc<QuasiPlan>> {
        self.quasi.as_ref()
    }

    /// Whether every record that goes to the model is sealed anew.
    pub fn seals_anew(&self) -> bool {
        self.opener.as_ref().is_some_and(|opener| opener.sealer().is_some())
    }

    /// What must be fetched before the record can be read.
    pub fn missing(&self, record: &Record<'_>) -> Option<Missing> {
        // Where nothing can be missing, nothing is looked for. With a registry a sealed value is opened here once more.
        if let Some(csfle) = self.csfle() {
            // It learns a schema after the codec does: whose schema it knows can be decoded.
            let value = record.value.filter(|value| value.len() <= self.value_bytes_max)?;
            if record.headers.excess().is_some() {
                return None;
            }
            return csfle.missing(value, &ContentHeaders::of(record.headers));
        }
        let lacks = self.opener.as_ref().and_then(Opener::jwe).is_some_and(JweOpener::lacks_any);
        if self.codecs.confluent().is_none() && !lacks {
            return None;
        }
        self.unsealed(record, |record, cover| {
            let value = record.value.filter(|value| value.len() <= self.value_bytes_max)?;
            if !self.select.takes(record.headers, Some(value)) {
                return None;
            }
            match cover {
                Cover::Shut(Unread::Missing(missing)) => return Some(missing),
                Cover::Shut(Unread::Fault(_)) => return None,
                Cover::Bare | Cover::Sealed(..) => {}
            }
            self.codecs.missing(&ContentHeaders::of(record.headers), value)
        })
    }

    /// Whether the record's value is rows of the schema, within its bounds, if it is read as `format`.
    pub fn reads_as(&self, format: Format, record: &Record<'_>) -> bool {
        let Some(codec) = self.codecs.get(format) else { return false };
        self.unsealed(record, |record, _| {
            let Some(value) = record.value else { return false };
            let mut rows = vec![];
            let read = codec.decode(value, &ContentHeaders::of(record.headers), &mut rows).is_ok();
            let mut each = rows.chunks_exact_mut(self.schema.width());
            read && each.all(|row| self.bounds.check_row(row).is_ok())
        })
    }

    /// Where schemas are kept, if there is a registry to ask.
    pub fn confluent(&self) -> Option<&Confluent> {
        self.codecs.confluent()
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub fn decider(&self) -> &Decider {
        &self.decider
    }

    /// What the detectors are called, in the order of their scores.
    pub fn detectors(&self) -> &[&'static str] {
        &self.kinds
    }

    /// What correcting does to answers, if that was measured.
    pub fn correction(&self) -> Option<&Correction> {
        self.correction.as_ref()
    }

    /// How rows depend on those before them, if that was measured.
    pub fn dependence(&self) -> Option<Dependence> {
        self.dependence
    }

    /// What is counted of every scored row.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How clean rows are flagged.
    pub fn clean(&self) -> Flagged {
        let (flagged, rows) = self.decider.clean_flagged();
        Flagged { budget: self.decider.budget(), rows, flagged }
    }

    /// Names the baseline and all else of the configuration that changes a verdict: what judged a record.
    pub fn revision(&self) -> [u8; 8] {
        self.revision
    }

    /// Names the knowledge that scores: evidence of two baselines is never merged.
    pub fn baseline(&self) -> &str {
        &self.baseline
    }
}

/// Bundle and budget: whatever else changes leaves the meaning of "flagged" as it was.
fn baseline(bundle: Digest, budget: Probability) -> String {
    let mut hash = Sha256::new();
    hash.update(bundle.0);
    hash.update(budget.get().to_le_bytes());
    // What is counted, and how it is told.
    hash.update(b"evidence 2");
    let digest = Digest(hash.finalize().into());
    digest.to_string()[..16].to_owned()
}

/// The baseline, and all else of the configuration that changes a verdict.
fn revision(baseline: &str, policy: Policy, reading: &codec::Config) -> Digest {
    Digest(Sha256::digest(format!("{baseline} {policy:?} {reading:?}")).into())
}
