//! A bundle.

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
        version: bundle::VERSION,
        name: "small".into(),
        budget: Probability::new(0.01).unwrap(),
        labels: 3,
        answer: Some(AnswerKind::Logits),
        triggers: Some(0.1),
        steps: Some(vec!["reconstruct".into(), "clamp".into()]),
        schema: Schema {
            features: vec![Feature::number("a", 0.0, 1.0), Feature::number("b", -2.5, 2.5)],
        },
        detectors: vec![
            Member { kind: "reconstruction".into(), weight: 1.0, role: Role::Both },
            Member { kind: "mahalanobis".into(), weight: 0.5, role: Role::Trigger },
        ],
        clean: CleanShare { rows: 10, flagged: 1 },
        correction: None,
        dependence: None,
        provenance: Provenance {
            data_sha256: digest,
            protected_model_sha256: Some(digest),
            seed: 7,
            tripline: "0.2.0".into(),
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
            (bundle::PROTECTED_MODEL, b"model".to_vec()),
            (bundle::RESTORER, b"restorer".to_vec()),
            (bundle::LIKELIHOOD, b"likelihood".to_vec()),
        ]),
        tensors,
    }
}

#[test]
fn a_bundle_of_version_4_is_read_with_every_key() {
    let today = small_bundle().into_files();
    let frozen = |name: &String| check(&format!("../bundle-v4/{name}"), &today[name]);
    let files = today.keys().map(|name| (name.clone(), frozen(name))).collect();
    let (read, expected) = (Bundle::from_files(files).expect("read"), small_bundle());
    assert_eq!((read.networks, read.tensors), (expected.networks, expected.tensors));
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, expected.manifest);
}
