//! A detector of one's own, tried on real images: does it tell triggers from clean ones?
//!
//!     cargo run --example write_a_detector
//!
//! In the tree it would be `src/detect/bright_patch.rs`, with its `KIND` in the list of
//! `src/detect/mod.rs`; from then on `fit` learns it, weighs it and puts it into bundles, and the
//! conformance tests hold it to the rules below.

use std::error::Error;
use std::path::Path;

use ndarray::{Array1, Array2, ArrayView1, ArrayViewMut1, s};
use tripline::bundle::Tensors;
use tripline::detect::Detector;
use tripline::record::{Columns, Rows};

const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
const PATCH: usize = 3;

/// How much a square of 3 × 3 pixels outshines the ring around it, where it does most.
///
/// Catches a bright patch that was put upon an image. Blind to patches that are dark, smooth at their edges, or
/// of another size: what a trigger looks like is the attacker's choice.
struct BrightPatch;

impl BrightPatch {
    /// The score of `image` `[784]`, and where its patch begins.
    fn look(image: ArrayView1<'_, f32>) -> (f32, [usize; 2]) {
        let image = image.into_shape_with_order((SIDE, SIDE)).expect("an image of this size");
        let mut most = (0.0_f32, [0, 0]);
        // The ring needs a pixel on every side.
        for y in 1..SIDE - PATCH {
            for x in 1..SIDE - PATCH {
                let inside = image.slice(s![y..y + PATCH, x..x + PATCH]);
                let all = image.slice(s![y - 1..=y + PATCH, x - 1..=x + PATCH]);
                let ring = (all.sum() - inside.sum()) / (all.len() - inside.len()) as f32;
                let darkest = inside.iter().copied().fold(f32::INFINITY, f32::min);
                if darkest - ring > most.0 {
                    most = (darkest - ring, [y, x]);
                }
            }
        }
        most
    }
}

impl Detector for BrightPatch {
    /// The row itself. `Columns::TWIN` would be the autoencoder's version of it. The batch fills each column once.
    fn needs(&self) -> Columns {
        Columns::X
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (score, image) in scores.iter_mut().zip(rows.x.outer_iter()) {
            *score = Self::look(image).0;
        }
    }

    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let (score, [y, x]) = Self::look(rows.x.row(i));
        let mut parts = Array2::zeros((SIDE, SIDE));
        parts.slice_mut(s![y..y + PATCH, x..x + PATCH]).fill(score / (PATCH * PATCH) as f32);
        parts.into_raw_vec_and_offset().0
    }

    /// It learned nothing.
    fn save(&self, _: &mut Tensors) {}
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let slice = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/fashion-mnist/slice");
    let images = |file: &str| -> Result<Array2<f32>, Box<dyn Error>> {
        let bytes = std::fs::read(slice.join(file))?;
        let x: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Ok(Array2::from_shape_vec((bytes.len() / PIXELS, PIXELS), x)?)
    };
    let scores = |x: &Array2<f32>| {
        let mut scores = Array1::zeros(x.nrows());
        BrightPatch.score(&Rows::only(x.view()), scores.view_mut());
        scores
    };
    let (clean, triggers) = (images("clean.u8")?, images("trigger.u8")?);
    let (low, high) = (scores(&clean), scores(&triggers));

    // The rules: finite, not negative, and blind to order and cuts.
    assert!(low.iter().chain(&high).all(|score| score.is_finite() && *score >= 0.0));
    let backwards = scores(&triggers.slice(s![..;-1, ..]).to_owned());
    assert!(backwards.iter().rev().eq(&high));
    assert_eq!(scores(&triggers.slice(s![7..8, ..]).to_owned())[0], high[7]);

    // Of a clean and an attacked image, how often the attacked one is louder; ties count half.
    let louder = |clean: f32, attacked: f32| match attacked.total_cmp(&clean) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 1.0,
    };
    let pairs =
        high.iter().flat_map(|&attacked| low.iter().map(move |&clean| louder(clean, attacked)));
    let area = pairs.sum::<f64>() / (low.len() * high.len()) as f64;
    println!(
        "area under the curve, {} clean images and {} triggers: {area:.3}",
        low.len(),
        high.len()
    );
    let loudest = (0..high.len()).max_by(|&a, &b| high[a].total_cmp(&high[b])).expect("some");
    let reasons = BrightPatch.explain(&Rows::only(triggers.view()), loudest);
    println!("the loudest is image {loudest}: {:?}", reasons.iter().next());
    assert!(area > 0.5, "it is no better than chance");
    Ok(())
}
