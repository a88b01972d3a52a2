//! The whole of `fit` on small made-up tables and images.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::data::hints::Hints;
use super::data::table::Reading;
use super::graph::export::onnx;
use super::graph::layers::{Activation, Layer};
use super::graph::trees::stumps;
use super::guard::measured::Caught;
use super::report::Accuracy;
use super::seed::{Use, stream, unit};
use super::train::trainer::Stopped;
use super::*;
use crate::bundle::{COPIES, LAYER_ODDS, LIKELIHOOD, PIXEL_ODDS, PROTECTED_MODEL, RESTORER, Role};
use crate::shell::bundle::{self as bundle_dir, BundleDirError};

struct Silent;

impl Watch for Silent {
    fn stage(&mut self, _: &str) {}
    fn reading(&mut self, _: u64, _: f32) {}
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Rows near a plane of two dimensions, as a `.npy` of 8-bit pixels.
fn pixels(folder: &Path, n: usize, d: usize) -> PathBuf {
    let mut rng = stream(1, Use::Split);
    let mut x = Array2::<u8>::zeros((n, d));
    for mut row in x.rows_mut() {
        let (a, b) = (unit(&mut rng), unit(&mut rng));
        for (j, value) in row.iter_mut().enumerate() {
            let t = j as f32 / d as f32;
            *value = (255.0 * (0.1 + 0.7 * (t * a + (1.0 - t) * b) + 0.1 * unit(&mut rng))) as u8;
        }
    }
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, {d}), }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(&x);
    let path = folder.join("x.npy");
    std::fs::write(&path, file).unwrap();
    path
}

fn options(folder: &Path, n: usize) -> Options {
    Options {
        data: pixels(folder, n, 16),
        labels: None,
        name: "tiny".into(),
        out: folder.join("bundle"),
        image: Some("1x4x4".parse().unwrap()),
        scale: 255.0,
        protected_model: None,
        model_hints: Default::default(),
        budget: "5%".parse().unwrap(),
        contaminated: None,
        seed: 1,
        epochs_max: Some(2),
        reading: Reading::default(),
        hints: Hints::default(),
        sample: None,
        memory_max: None,
        autoencoder: None,
        group: None,
        correction_loss_max: "2%".parse().unwrap(),
        query_attacks: false,
        every: None,
        sign_key: None,
    }
}

fn run(options: &Options) -> Result<Report, FitError> {
    fit(options, &Runtime::load(None).unwrap(), &mut Silent)
}

#[test]
fn a_bundle_is_written_once_and_the_same_options_give_the_same_bundle() {
    let place = tempfile::tempdir().unwrap();
    let first = options(place.path(), 2000);
    let second = Options { out: place.path().join("again"), ..first.clone() };
    let other = Options { out: place.path().join("other"), seed: 2, ..first.clone() };
    let digest = run(&first).unwrap().digest;
    assert_eq!(run(&second).unwrap().digest, digest);
    assert_ne!(run(&other).unwrap().digest, digest);
    assert!(matches!(run(&first), Err(FitError::Folder(BundleDirError::Exists { .. }))));
}

#[test]
fn with_a_protected_model_its_answers_are_protected_too() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("protected.onnx");
    let w = Array2::from_shape_fn((2, 16), |(k, j)| if (k == 0) == (j < 8) { 4.0 } else { -4.0 });
    let layer = Layer { w, b: vec![0.0, 0.0], activation: Activation::Linear };
    std::fs::write(&path, onnx(None, &[layer]).unwrap()).unwrap();
    let plain = options(place.path(), 2000);
    let protected = Options { protected_model: Some(path), ..plain };
    let report = run(&protected).unwrap();
    // Attacks, restorers and weights included, on one thread as on all.
    let again = Options { out: place.path().join("again"), ..protected.clone() };
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| run(&again)).unwrap().digest, report.digest);
    let bundle = bundle_dir::read(&protected.out).unwrap();
    let manifest = bundle.manifest;
    assert_eq!((manifest.labels, manifest.version), (2, 4));
    assert!([RESTORER, LIKELIHOOD].iter().all(|file| bundle.networks.contains_key(file)));
    let of = |role| manifest.detectors.iter().find(|member| member.role == role).unwrap();
    assert_eq!(of(Role::Trigger).kind, "local-residual");
    assert_eq!((of(Role::Both).kind.as_str(), manifest.triggers), ("prediction-match", Some(0.1)));
    assert!(manifest.detectors.iter().any(|member| member.role == Role::Attack));
    assert_eq!(manifest.provenance.rows.train, 1400);
    assert_eq!(manifest.clean, report.manifest.clean);
    assert!(report.flagged_as_expected(), "{report}");
}

#[test]
fn an_autoencoder_that_was_brought_is_kept_byte_for_byte() {
    let place = tempfile::tempdir().unwrap();
    let first = options(place.path(), 2000);
    run(&first).unwrap();
    let path = first.out.join("autoencoder.onnx");
    let out = place.path().join("again");
    let second = Options { autoencoder: Some(path.clone()), out, epochs_max: None, ..first };
    let report = run(&second).unwrap();
    assert_eq!(report.trained.stopped, Stopped::Brought);
    assert!(report.trained.loss_validation > 0.0, "{report}");
    let kept = std::fs::read(second.out.join("autoencoder.onnx")).unwrap();
    assert_eq!(kept, std::fs::read(path).unwrap());
}

#[test]
fn a_budget_that_the_rows_cannot_support_is_refused_before_training() {
    let place = tempfile::tempdir().unwrap();
    let options = Options { budget: "1%".parse().unwrap(), ..options(place.path(), 2000) };
    struct Never;
    impl Watch for Never {
        fn stage(&mut self, _: &str) {}
        fn reading(&mut self, _: u64, _: f32) {}
        fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
            panic!("training began")
        }
    }
    let refusal = fit(&options, &Runtime::load(None).unwrap(), &mut Never).unwrap_err();
    let message = refusal.to_string();
    assert!(message.starts_with("a budget of 1% needs at least 9997 rows"), "{message}");
    assert!(!options.out.exists());
}

#[test]
fn the_share_of_clean_rows_flagged_keeps_its_interval() {
    // Ten fits, each with an interval of 99 %: two misses have a probability of .4 %.
    let place = tempfile::tempdir().unwrap();
    let one = |seed| {
        let out = place.path().join(format!("bundle{seed}"));
        let options = Options { seed, out, epochs_max: Some(1), ..options(place.path(), 3000) };
        run(&options).unwrap().flagged_as_expected()
    };
    assert!((0..10).filter(|&seed| !one(seed)).count() < 2);
}

#[test]
fn a_report_says_what_an_operator_compares_bundles_by() {
    let place = tempfile::tempdir().unwrap();
    let mut report = run(&options(place.path(), 2000)).unwrap();
    report.folder = "models/tiny".into();
    report.digest = "0".repeat(64);
    let trained = &mut report.trained;
    (trained.epoch, trained.loss, trained.loss_validation) = (2, 0.0123, 0.0124);
    report.manifest.clean.flagged = 6;
    report.accuracy = Some(Accuracy { rows: 100, right: 90, right_corrected: 85 });
    let caught = |auroc, share| Some(Caught { auroc, share });
    for (line, cost) in report.measured.detectors.iter_mut().zip([0.123, 12.3, 1.0]) {
        (line.cost_us, line.caught, line.weight) = (Some(cost), caught(0.9, 0.5), 0.75);
    }
    report.measured.merged = caught(0.9876, 1.0);
    insta::assert_snapshot!(report.to_string());
}

/// Uniform rows of five numbers, as a `.npy` of floats.
fn uniform(folder: &Path, n: usize) -> PathBuf {
    let mut rng = stream(3, Use::Split);
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, 5), }}\n");
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    (0..5 * n).for_each(|_| file.extend(unit(&mut rng).to_le_bytes()));
    let path = folder.join("uniform.npy");
    std::fs::write(&path, file).unwrap();
    path
}

/// A fit around trees: each of `votes` is a column and a threshold.
fn around_trees(folder: &Path, votes: &[(usize, f32)]) -> Options {
    let path = folder.join("trees.onnx");
    std::fs::write(&path, stumps(5, votes)).unwrap();
    Options {
        data: uniform(folder, 2000),
        image: None,
        protected_model: Some(path),
        query_attacks: true,
        epochs_max: Some(1),
        ..options(folder, 20)
    }
}

#[test]
fn trees_are_attacked_by_queries_and_the_attacks_weigh_the_detectors_of_a_table() {
    let place = tempfile::tempdir().unwrap();
    let votes: Vec<_> = (0..25).map(|i| (i % 5, 0.3 + 0.016 * i as f32)).collect();
    let trees = around_trees(place.path(), &votes);
    let report = run(&trees).unwrap();
    let again = Options { out: place.path().join("again"), ..trees.clone() };
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| run(&again)).unwrap().digest, report.digest);
    let families: Vec<&str> = report.measured.own.iter().map(|own| own.family.as_str()).collect();
    let queries = ["line", "boundary", "beyond", "sparse", "signs", "search"];
    let queries: Vec<String> = queries.iter().map(|name| format!("queries, {name}")).collect();
    assert_eq!(families[..6], queries);
    let text = report.to_string();
    assert!(text.contains("own attacks  by queries alone: the protected model cannot"), "{text}");
    let bundle = bundle_dir::read(&trees.out).unwrap();
    assert!(bundle.networks.contains_key(COPIES), "{text}");
    let unsteady = bundle.manifest.detectors.iter().find(|m| m.kind == "unsteady-answer");
    assert!(unsteady.is_some_and(|member| member.weight > 0.0), "{text}");
    let boundary = report.measured.own.iter().find(|own| own.family == "queries, boundary");
    assert!(boundary.unwrap().caught.share > 0.5, "{text}");
    assert!(report.flagged_as_expected(), "{text}");
}

#[test]
fn a_model_that_no_query_moves_leaves_the_weights_to_clean_rows() {
    let place = tempfile::tempdir().unwrap();
    // No row reaches the threshold.
    let trees = around_trees(place.path(), &[(0, 7.0)]);
    let report = run(&trees).unwrap();
    let text = report.to_string();
    assert!(
        report.measured.own.is_empty() && text.contains("own attacks  NONE: too few queries"),
        "{text}"
    );
    assert!(!bundle_dir::read(&trees.out).unwrap().networks.contains_key(COPIES));
}

#[test]
fn trees_are_asked_only_if_somebody_wants_it() {
    let place = tempfile::tempdir().unwrap();
    let trees =
        Options { query_attacks: false, ..around_trees(place.path(), &[(0, 0.5), (1, 0.4)]) };
    let text = run(&trees).unwrap().to_string();
    assert!(text.contains("own attacks  NONE (--query-attacks asks it)"), "{text}");
    assert!(!bundle_dir::read(&trees.out).unwrap().networks.contains_key(COPIES));
}

/// Rows on a line in two dimensions, of which every fiftieth lies far off it and far apart from
/// the others, as a `.npy` of floats.
fn contaminated(folder: &Path, n: usize) -> PathBuf {
    let mut rng = stream(2, Use::Split);
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, 2), }}\n");
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    for i in 0..n {
        let t = unit(&mut rng);
        let far = if i % 50 == 0 { 20.0 + 100.0 * unit(&mut rng) } else { 0.0 };
        file.extend((t + far).to_le_bytes());
        file.extend((t - far + 0.1 * unit(&mut rng)).to_le_bytes());
    }
    let path = folder.join("contaminated.npy");
    std::fs::write(&path, file).unwrap();
    path
}

#[test]
fn the_most_isolated_share_of_a_table_is_not_learned_from() {
    let place = tempfile::tempdir().unwrap();
    let data = contaminated(place.path(), 2000);
    let clean = Options { data, image: None, epochs_max: Some(1), ..options(place.path(), 20) };
    let contaminated = Some("2%".parse().unwrap());
    let out = place.path().join("trimmed");
    let trimmed = Options { contaminated, out, ..clean.clone() };
    let again = Options { out: place.path().join("again"), ..trimmed.clone() };
    let [clean, trimmed, again] = [clean, trimmed, again].map(|o| (run(&o).unwrap(), o.out));
    assert_eq!(trimmed.0.digest, again.0.digest);
    let kinds = |report: &Report| {
        report.measured.detectors.iter().map(|line| line.kind.clone()).collect::<Vec<_>>()
    };
    assert!(!kinds(&clean.0).contains(&"isolation-forest".into()));
    assert!(kinds(&trimmed.0).contains(&"isolation-forest".into()));
    assert_eq!(trimmed.0.manifest.provenance.rows.train, 1400 - 28);
    // What was learned as ordinary: the deviation of the first number, with and without the far.
    let scale = |out: &Path, detector: &str| {
        let tensors = bundle_dir::read(out).unwrap().tensors;
        tensors.vector(&format!("{detector}.scale"), Some(2)).unwrap()[0]
    };
    let with = 1.0 / scale(&clean.1, "nearest-prototypes");
    let without = 1.0 / scale(&trimmed.1, "trimmed-neighbours");
    assert!(with > 5.0 && without < 1.0, "deviation {with} with, {without} without");
}

#[test]
fn images_and_shares_above_half_cannot_be_trimmed() {
    let place = tempfile::tempdir().unwrap();
    let image = options(place.path(), 2000);
    let table = Options { data: contaminated(place.path(), 2000), image: None, ..image.clone() };
    for (options, share) in [(image, "1%"), (table, "51%")] {
        let options = Options { contaminated: Some(share.parse().unwrap()), ..options };
        let refusal = run(&options).unwrap_err();
        assert!(matches!(refusal, FitError::Contaminated { .. }), "{refusal}");
        assert!(!options.out.exists());
    }
}

#[test]
fn colour_images_get_a_restorer_and_learned_detectors_and_the_model_shows_its_layers() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("protected.onnx");
    let hidden = Array2::from_shape_fn((6, 32), |(k, j)| if j % 6 == k { 1.0 } else { -0.1 });
    let first = Layer { w: hidden, b: vec![0.0; 6], activation: Activation::Relu };
    let w = Array2::from_shape_fn((3, 6), |(k, j)| if j % 3 == k { 6.0 } else { -3.0 });
    let last = Layer { w, b: vec![0.0; 3], activation: Activation::Linear };
    let model = onnx(None, &[first, last]).unwrap();
    std::fs::write(&path, &model).unwrap();
    let colour = Options {
        image: Some("2x4x4".parse().unwrap()),
        protected_model: Some(path),
        budget: "10%".parse().unwrap(),
        epochs_max: Some(1),
        ..options(place.path(), 10)
    };
    let colour = Options { data: pixels(place.path(), 1200, 32), ..colour };
    let report = run(&colour).unwrap();
    // On one thread as on all.
    let again = Options { out: place.path().join("again"), ..colour.clone() };
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| run(&again)).unwrap().digest, report.digest);
    let bundle = bundle_dir::read(&colour.out).unwrap();
    let files: Vec<&str> = bundle.networks.keys().copied().collect();
    assert_eq!(files, [LAYER_ODDS, PIXEL_ODDS, PROTECTED_MODEL, RESTORER]);
    assert!(bundle.networks[PROTECTED_MODEL].starts_with(&model));
    assert!(bundle.networks[PROTECTED_MODEL].len() > model.len());
    let of = |role| {
        let all = bundle.manifest.detectors.iter().filter(move |member| member.role == role);
        all.map(|member| member.kind.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(Role::Trigger), ["layer-mahalanobis", "restored-residual"]);
    let correction = bundle.manifest.correction.unwrap();
    assert_eq!(correction.rows, 120 + 120 + 60);
    assert!(report.to_string().contains("correction   of 300 clean rows"), "{report}");
}
