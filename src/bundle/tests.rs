use super::*;
use crate::record::{Feature, Probability, Schema};

fn bundle() -> Bundle {
    let mut tensors = Tensors::default();
    tensors.put("a", &[2], vec![1.0, f32::MIN_POSITIVE]);
    let digest = Digest([7; 32]);
    let rows = RowsUsed { train: 1, validation: 1, ranks: 1, merged: 1, test: 1 };
    Bundle {
        manifest: Manifest {
            version: VERSION,
            name: "tiny".into(),
            budget: Probability::new(0.01).unwrap(),
            labels: 3,
            answer: Some(AnswerKind::Logits),
            triggers: None,
            steps: None,
            schema: Schema { features: vec![Feature::number("a", 0.0, 1.0)] },
            detectors: vec![Member {
                kind: "reconstruction".into(),
                weight: 1.0,
                role: Role::Attack,
            }],
            clean: CleanShare { rows: 10, flagged: 0 },
            correction: Some(Correction {
                rows: 10,
                lost: 0.01,
                loss_max: Probability::new(0.02).unwrap(),
                restored: Some(0.5),
                distrusted: vec![2],
            }),
            dependence: None,
            provenance: Provenance {
                data_sha256: digest,
                protected_model_sha256: Some(digest),
                seed: u64::from(u32::MAX),
                tripline: "0".into(),
                onnxruntime: "0".into(),
                rows,
                epochs: 1,
                train_loss: 0.5,
                validation_loss: 0.5,
            },
            files: BTreeMap::new(),
        },
        digest,
        networks: BTreeMap::from([
            (AUTOENCODER, b"autoencoder".to_vec()),
            (PROTECTED_MODEL, b"model".to_vec()),
            (LIKELIHOOD, b"likelihood".to_vec()),
        ]),
        tensors,
    }
}

fn refusal(change: impl FnOnce(&mut Files)) -> String {
    let mut files = bundle().into_files();
    change(&mut files);
    Bundle::from_files(files).expect_err("the bundle was accepted").to_string()
}

fn replace_in_manifest(files: &mut Files, from: &str, to: &str) {
    let text = String::from_utf8(files[MANIFEST].clone()).unwrap();
    assert!(text.contains(from), "{text}");
    files.insert(MANIFEST.into(), text.replacen(from, to, 1).into_bytes());
}

#[test]
fn a_bundle_survives_being_written_and_read() {
    let original = bundle();
    let read = Bundle::from_files(bundle().into_files()).unwrap();
    assert_eq!(read.tensors, original.tensors);
    assert_eq!(read.networks, original.networks);
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, original.manifest);
}

#[test]
fn one_changed_bit_in_any_file_is_refused() {
    for name in [AUTOENCODER, PROTECTED_MODEL, LIKELIHOOD, TENSORS] {
        let message = refusal(|files| *files.get_mut(name).unwrap().last_mut().unwrap() ^= 1);
        assert!(message.starts_with(&format!("{name} has digest")), "{message}");
    }
}

#[test]
fn missing_and_unlisted_files_are_refused() {
    for name in [MANIFEST, AUTOENCODER, PROTECTED_MODEL, TENSORS] {
        assert_eq!(refusal(|f| drop(f.remove(name))), format!("{name} is missing"));
    }
    let message = refusal(|f| drop(f.insert("extra.so".into(), vec![])));
    assert!(message.contains("extra.so"), "{message}");
}

#[test]
fn a_newer_format_says_so_before_anything_else() {
    let message = refusal(|f| {
        replace_in_manifest(f, "version = 4", "version = 5\nsomething_new = true");
    });
    assert_eq!(message, "the manifest is version 5; this build reads 4");
}

#[test]
fn a_manifest_that_makes_no_sense_is_refused() {
    for (from, to) in [
        ("labels = 3", "labels = 0"),
        ("weight = 1.0", "weight = -1.0"),
        ("weight = 1.0", "weight = nan"),
        ("weight = 1.0", "weight = 1.0\nrole = \"trigger\""),
        ("weight = 1.0", "weight = 1.0\nrole = \"both\""),
        ("weight = 1.0", "weight = 1.0\nrole = \"bystander\""),
        ("labels = 3", "labels = 3\ntriggers = 0.1"),
        ("labels = 3", "labels = 3\nsteps = []"),
        ("flagged = 0", "flagged = 11"),
        ("lost = 0.01", "lost = 1.5"),
        ("restored = 0.5", "restored = nan"),
        ("budget = 0.01", "budget = 1.5"),
        ("name = \"tiny\"", "name = \"tiny\"\nunknown = 1"),
    ] {
        let message = refusal(|f| replace_in_manifest(f, from, to));
        assert!(message.contains(MANIFEST), "{to}: {message}");
    }
}
