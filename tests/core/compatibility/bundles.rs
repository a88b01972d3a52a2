//! Bundles of every version.

use std::collections::BTreeMap;

use tripline::bundle::{
    self, AnswerKind, Bundle, CleanShare, Digest, Manifest, Member, Provenance, Role, RowsUsed,
    Tensors,
};
use tripline::record::{Feature, Probability, Schema};

use super::check;

fn small_bundle() -> Bundle {
    let mut tensors = Tensors::default();
    tensors.put("a", &[2], vec![1.0, f32::MIN_POSITIVE]);
    let digest = Digest([7; 32]);
    let manifest = Manifest {
        version: 1,
        name: "small".into(),
        budget: Probability::new(0.01).unwrap(),
        labels: 3,
        answer: Some(AnswerKind::Logits),
        triggers: None,
        steps: None,
        schema: Schema {
            features: vec![Feature::number("a", 0.0, 1.0), Feature::number("b", -2.5, 2.5)],
        },
        detectors: vec![
            Member { kind: "reconstruction".into(), weight: 1.0, role: Role::Attack },
            Member { kind: "mahalanobis".into(), weight: 0.5, role: Role::Attack },
        ],
        clean: CleanShare { rows: 10, flagged: 1 },
        dependence: None,
        provenance: Provenance {
            data_sha256: digest,
            guarded_model_sha256: Some(digest),
            seed: 7,
            tripline: "0.1.0".into(),
            onnxruntime: "1.24".into(),
            rows: RowsUsed { train: 1, validation: 2, ranks: 3, merged: 4, test: 5 },
            epochs: 6,
            train_loss: 0.5,
            validation_loss: 0.25,
        },
        files: BTreeMap::new(),
    };
    Bundle {
        manifest,
        digest,
        networks: BTreeMap::from([
            (bundle::AUTOENCODER, b"autoencoder".to_vec()),
            (bundle::GUARDED_MODEL, b"model".to_vec()),
        ]),
        tensors,
    }
}

#[test]
fn a_bundle_of_version_1_is_read_with_every_key() {
    let names = [bundle::MANIFEST, bundle::AUTOENCODER, bundle::GUARDED_MODEL, bundle::TENSORS];
    let today = small_bundle().into_files();
    let files = names.map(|name| (name.to_owned(), check(&format!("bundle/{name}"), &today[name])));
    let read = Bundle::from_files(files.into_iter().collect()).expect("read");
    let expected = small_bundle();
    assert_eq!(read.tensors, expected.tensors);
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, expected.manifest);
}

#[test]
fn a_bundle_of_version_2_is_read_with_every_key() {
    let sample = || {
        let mut bundle = small_bundle();
        bundle.manifest.version = 2;
        bundle.manifest.detectors[1].role = Role::Trigger;
        bundle.networks.insert(bundle::RESTORER, b"restorer".to_vec());
        bundle.networks.insert(bundle::LIKELIHOOD, b"likelihood".to_vec());
        bundle
    };
    let today = sample().into_files();
    let frozen = |name: &String| check(&format!("../bundle-v2/{name}"), &today[name]);
    let files = today.keys().map(|name| (name.clone(), frozen(name))).collect();
    let (read, expected) = (Bundle::from_files(files).expect("read"), sample());
    assert_eq!(read.networks, expected.networks);
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, expected.manifest);
}

#[test]
fn a_bundle_of_version_3_is_read_with_every_key() {
    let sample = || {
        let mut bundle = small_bundle();
        bundle.manifest.version = 3;
        bundle.manifest.triggers = Some(0.1);
        bundle.manifest.detectors[0].role = Role::Both;
        bundle.manifest.detectors[1].role = Role::Trigger;
        bundle
    };
    let today = sample().into_files();
    let frozen = |name: &String| check(&format!("../bundle-v3/{name}"), &today[name]);
    let files = today.keys().map(|name| (name.clone(), frozen(name))).collect();
    let read = Bundle::from_files(files).expect("read");
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, sample().manifest);
}

#[test]
fn a_bundle_of_version_4_is_read_with_every_key() {
    let sample = || {
        let mut bundle = small_bundle();
        bundle.manifest.version = 4;
        bundle.manifest.steps = Some(vec!["reconstruct".into(), "clamp".into()]);
        bundle
    };
    let today = sample().into_files();
    let frozen = |name: &String| check(&format!("../bundle-v4/{name}"), &today[name]);
    let files = today.keys().map(|name| (name.clone(), frozen(name))).collect();
    let read = Bundle::from_files(files).expect("read");
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, sample().manifest);
}
