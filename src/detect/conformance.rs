//! One battery of tests for every detector in `detect::ALL`. A new entry is tested by most of them with no further work.

mod made;

use ndarray::{Array1, Array2, Axis, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use self::made::{CATEGORY, LABELS, Made, schema};
use super::{ALL, Detector, Kind, Setting};
use crate::bundle::Tensors;
use crate::record::{Feature, Schema};

/// Nothing but the image.
fn colour() -> Schema {
    let image = Feature::Image { name: "i".into(), channels: 2, height: 4, width: 5, scale: 255.0 };
    Schema { features: vec![image] }
}

fn scores(detector: &dyn Detector, made: &Made) -> Array1<f32> {
    // Prefilled with rubbish: a score that is not written shows.
    let mut scores = Array1::from_elem(made.x.nrows(), f32::NAN);
    detector.score(&made.rows(), scores.view_mut());
    scores
}

fn learned(kind: &Kind, schema: &Schema) -> Box<dyn Detector> {
    let setting = Setting { schema, labels: LABELS, last_inputs: 3 };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (kind.learn)(&Made::new(300, 0.1, 1.0, 7).rows(), setting, &mut rng)
}

fn bits(scores: &Array1<f32>) -> Vec<u32> {
    scores.iter().map(|s| s.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn scores_are_finite_repeatable_and_blind_to_order_and_cuts(
        n in 0_usize..40,
        cut in 0.0_f64..1.0,
        size in prop::sample::select(vec![0.0_f32, 1e-6, 0.1, 10.0, 1e6, 1e30]),
        reach in prop::sample::select(vec![0.0_f32, 1.0, 1e3, 1e30, 3e38]),
        seed: u64,
    ) {
        let schema = schema();
        let made = Made::new(n, size, reach, seed).unseen();
        for kind in ALL {
            let detector = learned(kind, &schema);
            let whole = scores(&*detector, &made);
            prop_assert!(whole.iter().all(|s| s.is_finite() && *s >= 0.0), "{}", kind.name);
            prop_assert_eq!(bits(&whole), bits(&scores(&*detector, &made)), "{}", kind.name);

            let backwards: Vec<usize> = (0..n).rev().collect();
            let mut turned = scores(&*detector, &made.select(&backwards));
            turned.invert_axis(Axis(0));
            prop_assert_eq!(bits(&whole), bits(&turned), "{}: row order", kind.name);

            let cut = (cut * n as f64) as usize;
            let (first, second): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| *i < cut);
            let head = scores(&*detector, &made.select(&first));
            let tail = scores(&*detector, &made.select(&second));
            prop_assert_eq!(bits(&whole)[..cut].to_vec(), bits(&head), "{}: cut", kind.name);
            prop_assert_eq!(bits(&whole)[cut..].to_vec(), bits(&tail), "{}: cut", kind.name);
        }
    }

    #[test]
    fn reasons_name_features_of_the_schema_and_share_at_most_the_whole(seed: u64) {
        let schema = schema();
        let made = Made::new(8, 1.0, 10.0, seed).unseen();
        for kind in ALL {
            let detector = learned(kind, &schema);
            for i in 0..8 {
                let reasons = detector.explain(&made.rows(), i);
                let parts = detector.parts(&made.rows(), i);
                prop_assert_eq!(parts.len(), schema.width(), "{}", kind.name);
                prop_assert!(parts.iter().all(|p| *p >= 0.0 && p.is_finite()), "{}", kind.name);
                let mut typical = vec![0.5; schema.width()];
                detector.typical(&made.rows(), i, &mut typical);
                prop_assert!(typical.iter().all(|t| t.is_finite()), "{}", kind.name);
                let total: f32 = reasons.iter().map(|reason| reason.share).sum();
                let mut score = [0.0];
                let row = made.select(&[i]);
                detector.score(&row.rows(), ndarray::aview_mut1(&mut score));
                let silent = reasons.iter().len() == 0 && score[0] > 0.0;
                prop_assert!(!silent, "{} scores {} and gives no reason", kind.name, score[0]);
                prop_assert!((0.0..=1.0 + 1e-4).contains(&total), "{}: {total}", kind.name);
                let inside = |r: crate::record::Reason| (r.feature.0 as usize) < schema.width();
                prop_assert!(reasons.iter().all(inside), "{}", kind.name);
            }
        }
    }
}

#[test]
fn a_detector_saved_and_loaded_gives_the_same_bits() {
    let schema = schema();
    let setting = Setting { schema: &schema, labels: LABELS, last_inputs: 3 };
    let made = Made::new(50, 0.5, 2.0, 3).unseen();
    for kind in ALL {
        let detector = learned(kind, &schema);
        let mut tensors = Tensors::default();
        detector.save(&mut tensors);
        let loaded = (kind.load)(&tensors, setting).expect(kind.name);
        assert_eq!(
            bits(&scores(&*detector, &made)),
            bits(&scores(&*loaded, &made)),
            "{}",
            kind.name
        );
        assert_eq!(detector.needs(), loaded.needs());
    }
}

#[test]
fn a_larger_change_scores_higher_than_the_rows_it_learned_from() {
    let schema = schema();
    let (clean, mut far) = (Made::new(200, 0.1, 1.0, 11), Made::new(200, 3.0, 10.0, 11));
    far.x.slice_mut(s![.., CATEGORY]).fill(0.0);
    // The score of one is about the restorer's answer alone, whatever the row answers; that of the other
    // counts labels.
    let apart = ["restored-margin", "unsteady-answer"];
    let others = ALL.iter().filter(|kind| !apart.contains(&kind.name));
    for kind in others {
        let detector = learned(kind, &schema);
        let (clean, far) = (scores(&*detector, &clean), scores(&*detector, &far));
        let higher = clean.iter().zip(&far).filter(|(c, f)| f > c).count();
        assert!(higher > 190, "{}: only {higher} of 200", kind.name);
    }
}

#[test]
fn a_tensor_that_is_missing_or_misshapen_is_refused() {
    let schema = schema();
    let setting = Setting { schema: &schema, labels: LABELS, last_inputs: 3 };
    for kind in ALL {
        let mut saved = Tensors::default();
        learned(kind, &schema).save(&mut saved);
        let names: Vec<String> = saved.names().map(String::from).collect();
        if !names.is_empty() {
            assert!((kind.load)(&Tensors::default(), setting).is_err(), "{}", kind.name);
        }
        for name in names {
            let mut bad = saved.clone();
            bad.put(&*name, &[1, 2, 1], vec![0.0, 0.0]);
            assert!((kind.load)(&bad, setting).is_err(), "{name}");
        }
    }
}

#[test]
fn numbers_that_no_fit_leaves_are_refused() {
    let schema = schema();
    let (d, tabular) = (schema.width(), 7);
    let check = |name: &str, tensor: &str, shape: &[usize], value: f32| {
        let kind = super::kind(name).expect(name);
        let mut tensors = Tensors::default();
        learned(kind, &schema).save(&mut tensors);
        tensors.put(format!("{name}.{tensor}"), shape, vec![value; shape.iter().product()]);
        let loaded =
            (kind.load)(&tensors, Setting { schema: &schema, labels: LABELS, last_inputs: 3 });
        assert!(loaded.is_err(), "{name}.{tensor} = {value} was accepted");
    };
    let neighbours =
        ["nearest-prototypes", "scaled-neighbours", "trimmed-neighbours", "sampled-neighbours"];
    for name in neighbours {
        [0.0, -1.0, 1.5, 1025.0, 1e30].iter().for_each(|value| check(name, "count", &[1], *value));
    }
    for value in [0.0, -1.0, 1.1e6] {
        check("scaled-neighbours", "weight", &[300], value);
    }
    check("mahalanobis", "whiten", &[tabular, tabular], 1.1e8);
    check("mahalanobis", "whiten", &[tabular, tabular], -f32::MAX);
    check("range", "scale", &[d], 0.0);
    check("range", "scale", &[d], -1.0);
    check("rarity", "rareness", &[d], -0.1);
    check("rarity", "unseen", &[1], 101.0);
    check("range", "unseen", &[1], 101.0);
    check("local-residual", "scale", &[LABELS, d], 0.0);
    let mut tensors = Tensors::default();
    let kind = &super::pseudo_likelihood::KIND;
    learned(kind, &schema).save(&mut tensors);
    tensors.put("texture.scale", &[LABELS, d], vec![-1.0; LABELS * d]);
    assert!(
        (kind.load)(&tensors, Setting { schema: &schema, labels: LABELS, last_inputs: 3 }).is_err()
    );
}

#[test]
fn a_detector_of_tables_stays_away_from_images_and_one_of_colour_from_grey_ones() {
    let image = Feature::Image { name: "i".into(), channels: 1, height: 2, width: 2, scale: 1.0 };
    let images = Schema { features: vec![image] };
    let names: Vec<_> = ALL.iter().filter(|k| (k.suits)(&images)).map(|k| k.name).collect();
    let of_any = ["reconstruction", "local-residual", "prediction-match", "restored-match"];
    let of_images = ["pseudo-likelihood"];
    let of_colour = ALL.iter().filter(|kind| (kind.suits)(&colour())).count() - names.len();
    assert_eq!(of_colour, 6);
    assert_eq!(names, [&of_any[..], &of_images].concat());
    let mixed = |kind: &&Kind| (kind.suits)(&schema());
    assert_eq!(ALL.iter().filter(mixed).count(), ALL.len() - of_images.len() - of_colour);
}

#[test]
fn a_pixel_changes_no_score_of_a_table() {
    let schema = schema();
    let tables = [
        "nearest-prototypes",
        "scaled-neighbours",
        "mahalanobis",
        "isolation-forest",
        "trimmed-neighbours",
        "sampled-neighbours",
        "range",
        "rarity",
    ];
    let clean = Made::new(20, 0.1, 2.0, 5);
    let mut other = clean.select(&(0..20).collect::<Vec<_>>());
    other.x.slice_mut(s![.., 1..41]).fill(0.9);
    for kind in ALL.iter().filter(|kind| tables.contains(&kind.name)) {
        let detector = learned(kind, &schema);
        let (clean, other) = (scores(&*detector, &clean), scores(&*detector, &other));
        assert_eq!(bits(&clean), bits(&other), "{}", kind.name);
    }
}

#[test]
fn a_score_with_a_gradient_is_the_score() {
    let schema = colour();
    let setting = Setting { schema: &schema, labels: LABELS, last_inputs: 3 };
    let image = |made: Made| Made {
        x: made.x.slice_move(s![.., 1..41]),
        twin: made.twin.slice_move(s![.., 1..41]),
        restored: made.restored.slice_move(s![.., 1..41]),
        surprisal: made.surprisal.slice_move(s![.., 1..41]),
        ..made
    };
    let (clean, other) = (image(Made::new(300, 0.1, 1.0, 7)), image(Made::new(20, 0.5, 1.0, 8)));
    let soft = |column: &Array2<f32>| {
        let values: Vec<f32> = column.iter().copied().collect();
        candle_core::Tensor::from_vec(values, column.dim(), &candle_core::Device::Cpu).unwrap()
    };
    let columns = super::Soft {
        x: soft(&other.x),
        twin: soft(&other.twin),
        restored: soft(&other.restored),
        surprisal: soft(&other.surprisal),
        layers: soft(&other.layers),
        pixel_odds: soft(&other.pixel_odds),
        layer_odds: soft(&other.layer_odds),
        answer: soft(&other.answer),
        twin_answer: soft(&other.twin_answer),
        restored_answer: soft(&other.restored_answer),
    };
    let mut compared = 0;
    for kind in ALL.iter().filter(|kind| (kind.suits)(&schema)) {
        let detector = (kind.learn)(&clean.rows(), setting, &mut ChaCha8Rng::seed_from_u64(1));
        let Some(got) = detector.soft(&columns).unwrap() else { continue };
        let (got, expected) = (got.to_vec1::<f32>().unwrap(), scores(&*detector, &other));
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-3 * expected.max(1.0), "{}: {got}", kind.name);
        }
        compared += 1;
    }
    assert_eq!(compared, 11, "a detector of images lost its gradient");
}

#[test]
fn names_of_detectors_are_distinct() {
    for (i, kind) in ALL.iter().enumerate() {
        assert!(ALL[..i].iter().all(|other| other.name != kind.name), "{}", kind.name);
    }
}

#[test]
fn a_patch_of_nine_pixels_stands_out_locally() {
    let schema = schema();
    let detector = learned(&super::local_residual::KIND, &schema);
    let mut made = Made::new(2, 0.1, 1.0, 5);
    let clean = scores(&*detector, &made);
    // Rows 1..4 and columns 2..5 of the first channel; the image starts at feature 1.
    for y in 1..4 {
        made.x.slice_mut(s![0, 1 + y * 5 + 2..1 + y * 5 + 5]).mapv_inplace(|v| v + 2.0);
    }
    let patched = scores(&*detector, &made);
    assert!(patched[0] > 5.0 * clean[0], "{patched} against {clean}");
    assert_eq!(patched[1], clean[1]);
    let reasons = detector.explain(&made.rows(), 0);
    let found: Vec<u32> = reasons.iter().map(|reason| reason.feature.0).collect();
    let patch = |f: &u32| (1..4).any(|y| (1 + y * 5 + 2..1 + y * 5 + 5).contains(f));
    assert!(found.iter().all(patch), "{found:?}");
    let window = reasons.window().expect("an image");
    assert_eq!((window.corner.0, window.height, window.width), (1 + 5 + 2, 3, 3));
    let parts = detector.parts(&made.rows(), 0);
    let inside: f32 = (1..4).map(|y| parts[1 + y * 5 + 2..][..3].iter().sum::<f32>()).sum();
    assert!((window.share - inside / parts.iter().sum::<f32>()).abs() < 1e-6, "{window:?}");
}
