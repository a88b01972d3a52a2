//! One battery for every detector of the roster: a new entry is tested with no further work.

use ndarray::{Array1, Array2, Axis, s};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Detector, Kind, ROSTER, Setting};
use crate::bundle::Tensors;
use crate::math::log_softmax_rows;
use crate::record::{Feature, Rows, Schema};

const LABELS: usize = 3;

fn schema() -> Schema {
    let image = Feature::Image { name: "i".into(), channels: 2, height: 4, width: 5, scale: 255.0 };
    let number = |name: &str| Feature::number(name, -10.0, 10.0);
    Schema { features: vec![number("a"), image, number("b"), number("c"), number("e")] }
}

/// Made-up columns of `n` rows; `size` scales the distance between a row and its twin.
struct Made {
    x: Array2<f32>,
    twin: Array2<f32>,
    answer: Array2<f32>,
    twin_answer: Array2<f32>,
}

impl Made {
    fn new(n: usize, size: f32, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let d = schema().width();
        let mut made = |width: usize, size: f32| {
            Array2::from_shape_fn((n, width), |_| size * rng.random_range(-1.0_f32..1.0))
        };
        let x = made(d, 1.0);
        let twin = &x + &made(d, size);
        let mut answer = made(LABELS, 5.0);
        let mut twin_answer = &answer + &made(LABELS, size);
        log_softmax_rows(answer.view_mut());
        log_softmax_rows(twin_answer.view_mut());
        Self { x, twin, answer, twin_answer }
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            x: self.x.view(),
            twin: self.twin.view(),
            answer: self.answer.view(),
            twin_answer: self.twin_answer.view(),
        }
    }

    fn select(&self, order: &[usize]) -> Self {
        let pick = |column: &Array2<f32>| column.select(Axis(0), order);
        Self {
            x: pick(&self.x),
            twin: pick(&self.twin),
            answer: pick(&self.answer),
            twin_answer: pick(&self.twin_answer),
        }
    }
}

fn scores(detector: &dyn Detector, made: &Made) -> Array1<f32> {
    // Prefilled with rubbish: a score that is not written shows.
    let mut scores = Array1::from_elem(made.x.nrows(), f32::NAN);
    detector.score(&made.rows(), scores.view_mut());
    scores
}

fn learned(kind: &Kind, schema: &Schema) -> Box<dyn Detector> {
    (kind.learn)(&Made::new(300, 0.1, 7).rows(), Setting { schema, labels: LABELS })
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
        size in prop::sample::select(vec![0.0_f32, 1e-6, 0.1, 10.0, 1e6]),
        seed: u64,
    ) {
        let schema = schema();
        let made = Made::new(n, size, seed);
        for kind in ROSTER {
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
        let made = Made::new(8, 1.0, seed);
        for kind in ROSTER {
            let detector = learned(kind, &schema);
            for i in 0..8 {
                let reasons = detector.explain(&made.rows(), i);
                let total: f32 = reasons.iter().map(|(_, share)| share).sum();
                prop_assert!(reasons.iter().len() > 0, "{} gives no reason", kind.name);
                prop_assert!((0.0..=1.0 + 1e-4).contains(&total), "{}: {total}", kind.name);
                let inside = |(f, _): (crate::record::FeatureId, f32)| (f.0 as usize) < schema.width();
                prop_assert!(reasons.iter().all(inside), "{}", kind.name);
            }
        }
    }
}

#[test]
fn a_detector_saved_and_loaded_gives_the_same_bits() {
    let schema = schema();
    let setting = Setting { schema: &schema, labels: LABELS };
    let made = Made::new(50, 0.5, 3);
    for kind in ROSTER {
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
    let (clean, far) = (Made::new(200, 0.1, 11), Made::new(200, 3.0, 11));
    for kind in ROSTER {
        let detector = learned(kind, &schema);
        let (clean, far) = (scores(&*detector, &clean), scores(&*detector, &far));
        let higher = clean.iter().zip(&far).filter(|(c, f)| f > c).count();
        assert!(higher > 190, "{}: only {higher} of 200", kind.name);
    }
}

#[test]
fn names_in_the_roster_are_distinct() {
    for (i, kind) in ROSTER.iter().enumerate() {
        assert!(ROSTER[..i].iter().all(|other| other.name != kind.name), "{}", kind.name);
    }
}

#[test]
fn a_patch_of_nine_pixels_stands_out_locally() {
    let schema = schema();
    let detector = learned(&super::local_residual::KIND, &schema);
    let mut made = Made::new(2, 0.1, 5);
    let clean = scores(&*detector, &made);
    // Rows 1..4 and columns 2..5 of the first channel; the image starts at feature 1.
    for y in 1..4 {
        made.x.slice_mut(s![0, 1 + y * 5 + 2..1 + y * 5 + 5]).mapv_inplace(|v| v + 2.0);
    }
    let patched = scores(&*detector, &made);
    assert!(patched[0] > 5.0 * clean[0], "{patched} against {clean}");
    assert_eq!(patched[1], clean[1]);
    let found: Vec<u32> = detector.explain(&made.rows(), 0).iter().map(|(f, _)| f.0).collect();
    let patch = |f: &u32| (1..4).any(|y| (1 + y * 5 + 2..1 + y * 5 + 5).contains(f));
    assert!(found.iter().all(patch), "{found:?}");
}
