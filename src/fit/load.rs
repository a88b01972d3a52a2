//! First step of `fit`: reads what there is to learn from, and refuses what can be refused.

use super::data::options::Options;
use super::data::reference::Reference;
use super::error::FitError;
use super::guard::columns::Table;
use super::guard::dependence;
use super::guard::detectors::{self, Wanted};
use super::import::import;
use super::progress::Watch;
use super::train::protected::Protected;
use crate::bundle::Digest;
use crate::detect::Setting;
use crate::model::Runtime;
use crate::record::{Columns, Schema};
use crate::shell::bundle as bundle_dir;

/// Everything that a bundle is made from.
pub struct Sources {
    /// Clean rows; from the training part the most isolated are gone if some may be attacks.
    pub reference: Reference,
    pub protected: Option<Protected>,
    /// How rows in time order depend on each other.
    pub dependence: Option<dependence::Measured>,
    /// The training part before any row was left out; no row if none may be an attack.
    pub all: Table,
}

/// Reads the rows and the protected model, and leaves out of the training part what may be attacks.
///
/// # Errors
/// If the directory is taken, or there is no bundle to be made of the files.
pub fn load(
    options: &Options,
    runtime: &Runtime,
    watch: &mut dyn Watch,
) -> Result<Sources, FitError> {
    bundle_dir::check_free(&options.out)?;
    if let Some(key) = &options.sign_key {
        bundle_dir::check_signer(&options.out, key)?;
    }
    let mut reference = Reference::load(options, Some(options.budget), watch)?;
    let protected = protected(options, runtime, &reference)?;
    let (x, schema) = (&reference.x, &reference.schema);
    let dependence = options.every.map(|every| dependence::measure(x, schema, every));
    let all = match options.contaminated {
        Some(_) => Table::of(x, &reference.split.train),
        None => Table::of(x, &[]),
    };
    if let Some(share) = options.contaminated {
        watch.stage("leaving out the most isolated rows");
        let wanted = wanted(options, schema, protected.as_ref());
        let kept = detectors::trimmed(&all, share, wanted).filter(|_| share.get() <= 0.5);
        let kept = kept.ok_or(FitError::Contaminated { share })?;
        let train = &mut reference.split.train;
        *train = kept.into_iter().map(|i| train[i]).collect();
    }
    Ok(Sources { reference, protected, dependence, all })
}

/// The protected model, tried on validation rows.
fn protected(
    options: &Options,
    runtime: &Runtime,
    reference: &Reference,
) -> Result<Option<Protected>, FitError> {
    let Some(path) = &options.protected_model else { return Ok(None) };
    let source = |source| FitError::ProtectedFile { path: path.clone(), source };
    let onnx = std::fs::read(path).map_err(source)?;
    let Reference { x, schema, split, .. } = reference;
    let sample: Vec<f32> = split.validation.iter().flat_map(|&i| x.row(i).to_vec()).collect();
    let (hints, digest) = (&options.model_hints, Digest::of(&onnx));
    let imported = import(runtime, onnx, path.parent(), schema, &sample, hints)?;
    let protected = Protected::read(runtime, imported.onnx, &sample, x.ncols())?;
    Ok(Some(Protected { digest, found: imported.found, ..protected }))
}

/// Which detectors are wanted as long as no network is there.
pub fn wanted<'a>(
    options: &Options,
    schema: &'a Schema,
    protected: Option<&Protected>,
) -> Wanted<'a> {
    Wanted {
        setting: Setting { schema, labels: 1, last_inputs: 0 },
        protected: protected.is_some(),
        networks: Columns::X,
        contaminated: options.contaminated.is_some(),
        seed: options.seed,
    }
}
