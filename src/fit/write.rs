//! Last step of `fit`: the bundle, on the disk and tried from there.

use super::calibrate::Calibrated;
use super::check;
use super::data::options::Options;
use super::data::reference::Reference;
use super::error::FitError;
use super::learn::Knowledge;
use super::load::Sources;
use super::progress::Watch;
use super::report::Report;
use crate::bundle::{
    AUTOENCODER, Bundle, CleanShare, Digest, Manifest, PROTECTED_MODEL, Provenance, RowsUsed,
    VERSION,
};
use crate::model::Runtime;
use crate::shell::bundle as bundle_dir;

/// Writes the bundle to `options.out`, reads it back and holds it to its own test rows.
///
/// # Errors
/// If it cannot be written, or does not do on the record path what was measured here.
pub fn write(
    options: &Options,
    runtime: &Runtime,
    sources: Sources,
    knowledge: Knowledge,
    calibrated: Calibrated,
    watch: &mut dyn Watch,
) -> Result<Report, FitError> {
    let manifest = manifest(options, runtime, &sources, &knowledge, &calibrated);
    let Sources { reference, protected, dependence, .. } = sources;
    let Reference { x, split, attacks, .. } = reference;
    let Knowledge { mut networks, trained, no_gradient, .. } = knowledge;
    let found = protected.as_ref().map(|protected| protected.found.clone());
    if let Some(protected) = protected {
        // Unless it is there already, with a second output.
        networks.entry(PROTECTED_MODEL).or_insert(protected.onnx);
    }
    let has_autoencoder = networks.contains_key(AUTOENCODER);
    let Calibrated { tensors, measured, accuracy, clustering, .. } = calibrated;
    let bundle = Bundle { manifest: manifest.clone(), digest: Digest([0; 32]), networks, tensors };
    watch.stage("checking the bundle on the record path");
    bundle_dir::write(&options.out, &bundle.into_files())?;
    let digest = check::check(runtime, &options.out, &x, &split.test)?;
    if let Some(key) = &options.sign_key {
        bundle_dir::sign(&options.out, key)?;
    }
    let attacks = attacks.map(|attacks| (attacks.labels.len(), attacks.refused));
    let folder = options.out.clone();
    Ok(Report {
        folder,
        digest,
        manifest,
        trained,
        has_autoencoder,
        clustering,
        found,
        accuracy,
        measured,
        attacks,
        no_gradient,
        query_attacks: options.query_attacks,
        dependence,
    })
}

fn manifest(
    options: &Options,
    runtime: &Runtime,
    sources: &Sources,
    knowledge: &Knowledge,
    calibrated: &Calibrated,
) -> Manifest {
    let Sources { reference, protected, dependence, .. } = sources;
    let Calibrated { decider, members, .. } = calibrated;
    let (flagged, rows) = decider.clean_flagged();
    Manifest {
        version: VERSION,
        name: options.name.clone(),
        budget: options.budget,
        labels: knowledge.labels,
        answer: protected.as_ref().map(|protected| protected.kind),
        triggers: decider.triggers(),
        steps: None,
        detectors: members.clone(),
        clean: CleanShare { rows, flagged },
        correction: calibrated.correction.clone(),
        dependence: dependence.as_ref().map(|measured| measured.dependence),
        provenance: provenance(options, runtime, sources, knowledge),
        files: Default::default(),
        schema: reference.schema.clone(),
    }
}

fn provenance(
    options: &Options,
    runtime: &Runtime,
    sources: &Sources,
    knowledge: &Knowledge,
) -> Provenance {
    let Sources { reference: Reference { split, digest, .. }, protected, .. } = sources;
    let trained = &knowledge.trained;
    let count = |part: &Vec<usize>| part.len() as u64;
    Provenance {
        data_sha256: Digest(*digest),
        protected_model_sha256: protected.as_ref().map(|protected| protected.digest),
        seed: options.seed,
        tripline: env!("CARGO_PKG_VERSION").into(),
        onnxruntime: runtime.build(),
        rows: RowsUsed {
            train: count(&split.train),
            validation: count(&split.validation),
            ranks: count(&split.ranks),
            merged: count(&split.merged),
            test: count(&split.test),
        },
        epochs: trained.epochs as u32,
        train_loss: trained.loss,
        validation_loss: trained.loss_validation,
    }
}
