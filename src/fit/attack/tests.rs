use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::fit::graph::gradient::{Builder, Function};
use crate::fit::seed::{Use, stream};
use crate::record::{Feature, Schema};

const D: usize = 36;

fn schema() -> Schema {
    let image = Feature::Image { name: "i".into(), channels: 1, height: 6, width: 6, scale: 255.0 };
    Schema { features: vec![image] }
}

/// Says "1" where the left half is brighter than the right.
fn model() -> Function {
    let mut rng = stream(1, Use::Weights);
    let mut b = Builder::new("halves", D, &mut rng);
    let left = |j: usize| if j % 6 < 3 { 3.0 } else { -3.0 };
    let w: Vec<f32> = (0..2 * D).map(|i| if i < D { -left(i) } else { left(i - D) }).collect();
    let (w, bias) = (b.trainable(&[2, D], &w), b.trainable(&[2], &[0.0, 0.0]));
    let x = b.input();
    let z = b.node("Gemm", &[&x, &w, &bias], vec![crate::fit::graph::gradient::int("transB", 1)]);
    b.finish(&z, 2).unwrap()
}

/// `n` rows with a black frame, a little brighter on the left.
fn images(n: usize) -> Vec<f32> {
    let mut rng = stream(2, Use::Sample);
    let pixel = |i: usize, rng: &mut rand_chacha::ChaCha8Rng| {
        let (y, x) = (i % D / 6, i % 6);
        let inside = (1..5).contains(&y) && (1..5).contains(&x);
        let value = 0.3 + 0.3 * crate::fit::seed::unit(rng) + if x < 3 { 0.1 } else { 0.0 };
        if inside { (value * 255.0).round() / 255.0 } else { 0.0 }
    };
    (0..n * D).map(|i| pixel(i, &mut rng)).collect()
}

fn space(x: &[f32]) -> Space {
    let x = Array2::from_shape_vec((x.len() / D, D), x.to_vec()).unwrap();
    Space::of(&schema(), x.view(), &(0..x.nrows()).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_attack_stays_within_its_strength_its_bounds_and_its_support(
        strength in 0.01_f32..0.5,
        steps in 1_usize..6,
        euclid: bool,
        on_support: bool,
        random_start: bool,
        seed: u64,
    ) {
        let (x, model) = (images(8), model());
        let space = space(&x);
        let labels = labels(&model, &x, D).unwrap();
        let norm = if euclid { Norm::Euclid } else { Norm::Max };
        let climb = Climb { norm, steps, random_start, on_support };
        let mut rng = stream(seed, Use::Pool);
        let z = climb.run(&model, &space, &x, &[strength; 8], Goal::Away(&labels), &mut rng).unwrap();
        for (z, x) in z.chunks(D).zip(x.chunks(D)) {
            let half = 0.5 / 255.0 + 1e-6;
            let far: f32 = z.iter().zip(x).map(|(z, x)| (z - x).powi(2)).sum::<f32>().sqrt();
            for (&z, &x) in z.iter().zip(x) {
                prop_assert!((0.0..=1.0).contains(&z) && ((z * 255.0).round() / 255.0 - z).abs() < 1e-6);
                prop_assert!(!on_support || x > 0.0 || z == 0.0, "{x} became {z}");
                prop_assert!(euclid || (z - x).abs() <= strength + half, "{x} became {z}");
            }
            prop_assert!(!euclid || far <= strength * (D as f32).sqrt() / 2.0 + half * 6.0, "{far}");
        }
    }

    #[test]
    fn what_is_harmless_is_a_row_that_a_record_can_say(seed: u64) {
        let x = images(8);
        let space = space(&x);
        let copies = harmless(&schema(), &space, &x, &mut stream(seed, Use::Harmless));
        prop_assert_eq!(copies.len(), x.len());
        let allowed = |v: &f32| (0.0..=1.0).contains(v) && ((v * 255.0).round() / 255.0 - v).abs() < 1e-6;
        prop_assert!(copies.iter().all(allowed));
    }
}

#[test]
fn attacks_move_the_answer_and_the_least_of_them_is_carlini_and_wagners() {
    let (x, model) = (images(16), model());
    let space = space(&x);
    let before = labels(&model, &x, D).unwrap();
    let moved = |z: &[f32]| {
        let after = labels(&model, z, D).unwrap();
        before.iter().zip(after).filter(|(a, b)| *a != b).count()
    };
    let far = |z: &[f32]| z.iter().zip(&x).map(|(z, x)| (z - x).powi(2)).sum::<f32>();
    let fgsm = Climb { norm: Norm::Max, steps: 1, random_start: false, on_support: false };
    let mut rng = stream(3, Use::Pool);
    let fgsm = fgsm.run(&model, &space, &x, &[0.2; 16], Goal::Away(&before), &mut rng).unwrap();
    let least = carlini(&Carlini::default(), &model, &space, &x, &before).unwrap();
    // Those it finds lie at the boundary; rounding to what a record can say takes some back.
    let (all, most) = (moved(&fgsm), moved(&least));
    assert!(all == 16 && most >= 12, "{all} and {most} of 16");
    assert!(far(&least) < 0.5 * far(&fgsm), "{} and {}", far(&least), far(&fgsm));
}

#[test]
fn a_pool_does_not_depend_on_who_computes_it_and_every_kind_is_in_it() {
    let (x, model) = (images(400), model());
    let space = space(&x);
    let own = labels(&model, &x, D).unwrap();
    let make = || pool(&model, &space, &x, &own, 2, 5, &mut |_| {}).unwrap();
    let all = make();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(make);
    assert!(all.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits()));
    // Ten blocks of 32: five kinds off the support, five on it.
    let dirty = |block: usize| {
        let rows = block * 32 * D..(block + 1) * 32 * D;
        all[rows.clone()].iter().zip(&x[rows]).any(|(z, x)| *x == 0.0 && *z > 0.0)
    };
    assert!((0..5).all(dirty) && (5..10).all(|block| !dirty(block)));
}

#[test]
fn only_attacks_that_succeed_weigh_and_their_labels_are_those_before() {
    let (x, model) = (images(40), model());
    let space = space(&x);
    let own = labels(&model, &x, D).unwrap();
    let victim = Victim { model: &model, space: &space, image: (1, 6, 6), labels: 2 };
    for family in families().into_iter().chain(colour_families(D)) {
        let (rows, before) = family.successes(victim, &x, &own, 7).unwrap();
        assert_eq!(rows.len(), before.len() * D, "{}", family.title());
        let after = labels(&model, &rows, D).unwrap();
        assert!(after.iter().zip(&before).all(|(a, b)| a != b), "{}", family.title());
    }
}
