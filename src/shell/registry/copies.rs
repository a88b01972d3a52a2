//! Data keys for the readers of our outputs.
//!
//! A registry files data keys under a subject, and a reader asks for those of the topic that it reads. A record that goes
//! from one topic to another is therefore shut to the other topic's readers: some of Confluent's clients hand them the
//! ciphertext, without an error. So each output's subject gets the data keys of the input's, as they are wrapped. Nothing
//! is unwrapped here.

use super::dek::DekPlace;
use super::{Registry, RegistryError};
use crate::config::{Config, Stream};
use crate::open::OpenerSpec;
use crate::record::DataKeyAlgorithm;
use crate::sanitize::OutputSpec;

/// A data key that readers of an output will ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct DataKeyCopy {
    pub stream: String,
    pub kek: String,
    pub algorithm: DataKeyAlgorithm,
    pub version: u32,
    /// The output's subject.
    pub subject: String,
    pub there: CopyState,
    wrapped: String,
}

/// What the registry has of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    There,
    Lacking,
    /// Another key stands there: readers could not open our records with it.
    Different,
}

/// Versions of one key that are looked at: one a day for ten years.
const VERSIONS_MAX: u32 = 4000;

/// Subjects of the outputs of `stream` whose readers open values.
pub fn subjects(stream: &Stream) -> Vec<String> {
    let (topics, outputs) = (&stream.topics, &stream.outputs);
    let sealed = |spec: &&(&String, &Option<OutputSpec>)| {
        spec.1.as_ref().is_none_or(|spec| spec.encrypt_to.is_none() && !spec.pointer)
    };
    [
        (&topics.sanitized, &outputs.sanitized),
        (&topics.quarantine, &outputs.quarantine),
        (&topics.dead_letter, &outputs.dead_letter),
    ]
    .iter()
    .filter(sealed)
    .map(|(topic, _)| format!("{topic}-value"))
    .collect()
}

/// Every data key that readers of outputs will ask for, and whether it is there.
///
/// # Errors
/// If the registry gave no answer that could be one.
pub fn survey(config: &Config) -> Result<Vec<DataKeyCopy>, String> {
    let Some(registry) = &config.registry else { return Ok(vec![]) };
    let registry = Registry::new(registry).map_err(|error: RegistryError| error.to_string())?;
    let mut copies = vec![];
    for stream in &config.streams {
        let Some(spec) = stream.decrypt.as_ref().and_then(OpenerSpec::csfle) else { continue };
        for kek in &spec.keys {
            for algorithm in DataKeyAlgorithm::ALL {
                let own = DekPlace { kek, subject: &spec.subject, algorithm };
                copies.extend(registry.copies(stream, own)?);
            }
        }
    }
    Ok(copies)
}

/// Files `copy` under its subject.
///
/// # Errors
/// If the registry did not take it.
pub fn apply(config: &Config, copy: &DataKeyCopy) -> Result<(), String> {
    let registry = config.registry.as_ref().ok_or("there is no [registry]")?;
    let registry = Registry::new(registry).map_err(|error: RegistryError| error.to_string())?;
    let DataKeyCopy { kek, subject, algorithm, version, wrapped, .. } = copy;
    registry.file_dek(DekPlace { kek, subject, algorithm: *algorithm }, *version, wrapped)
}

impl Registry {
    fn copies(&self, stream: &Stream, own: DekPlace<'_>) -> Result<Vec<DataKeyCopy>, String> {
        let newest = self.dek(own, None)?.map_or(0, |dek| dek.version);
        let mut copies = vec![];
        for version in 1..=newest.min(VERSIONS_MAX) {
            // One may have been deleted for good.
            let Some(dek) = self.dek(own, Some(version))? else { continue };
            let Some(wrapped) = dek.wrapped.clone() else { continue };
            for subject in subjects(stream) {
                let there = self.dek(DekPlace { subject: &subject, ..own }, Some(version))?;
                let there = match there {
                    None => CopyState::Lacking,
                    Some(there) if there.wrapped.as_deref() == Some(&*wrapped) => CopyState::There,
                    Some(_) => CopyState::Different,
                };
                copies.push(DataKeyCopy {
                    stream: stream.name.clone(),
                    kek: own.kek.to_owned(),
                    algorithm: own.algorithm,
                    version,
                    subject,
                    there,
                    wrapped: wrapped.clone(),
                });
            }
        }
        Ok(copies)
    }
}
