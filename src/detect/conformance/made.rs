//! Made-up columns that every detector can be learned from and scored on.

use ndarray::{Array2, Axis, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::bundle::COPIES_A_ROW;
use crate::math::log_softmax_rows;
use crate::record::{Feature, Rows, Schema};

pub(super) const LABELS: usize = 3;

/// Numbers of inner layers.
pub(super) const LAYERS: usize = 6;

pub(super) fn schema() -> Schema {
    let image = Feature::Image { name: "i".into(), channels: 2, height: 4, width: 5, scale: 255.0 };
    let number = |name: &str| Feature::number(name, -10.0, 10.0);
    let values = ["r", "s", "t"].map(String::from).to_vec();
    let category = Feature::Category { name: "d".into(), values, impute: None };
    let id = Feature::Id { name: "id".into() };
    let features = vec![number("a"), image, number("b"), id, number("c"), category, number("e")];
    Schema { features }
}

/// Where the category's columns are.
pub(super) const CATEGORY: std::ops::Range<usize> = 43..46;

/// Made-up columns of `n` rows; `size` scales the distance between a row and its twin, `reach` the
/// numbers themselves.
pub(super) struct Made {
    pub(super) x: Array2<f32>,
    pub(super) twin: Array2<f32>,
    pub(super) answer: Array2<f32>,
    pub(super) twin_answer: Array2<f32>,
    pub(super) restored: Array2<f32>,
    pub(super) restored_answer: Array2<f32>,
    pub(super) surprisal: Array2<f32>,
    pub(super) layers: Array2<f32>,
    pub(super) pixel_odds: Array2<f32>,
    pub(super) layer_odds: Array2<f32>,
    pub(super) copy_answers: Array2<f32>,
}

impl Made {
    pub(super) fn new(n: usize, size: f32, reach: f32, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let d = schema().width();
        let mut made = |width: usize, size: f32| {
            Array2::from_shape_fn((n, width), |_| size * rng.random_range(-1.0_f32..1.0))
        };
        let mut x = made(d, 1.0);
        let numbers = [0, 41, 42, 46];
        numbers.iter().for_each(|&at| x.column_mut(at).mapv_inplace(|v| reach * v));
        for mut category in x.slice_mut(s![.., CATEGORY]).rows_mut() {
            let value = if category[0] < -0.3 { 0 } else { 1 + usize::from(category[1] > 0.0) };
            category.fill(0.0);
            category[value] = 1.0;
        }
        let twin = &x + &made(d, size);
        let mut answer = made(LABELS, 5.0);
        let mut twin_answer = &answer + &made(LABELS, size);
        log_softmax_rows(answer.view_mut());
        log_softmax_rows(twin_answer.view_mut());
        let restored = &x + &made(d, size);
        let mut restored_answer = &answer + &made(LABELS, size);
        log_softmax_rows(restored_answer.view_mut());
        let surprisal = made(d, size).mapv(f32::abs);
        let layers = made(LAYERS, size);
        let mut odds = || made(1, 0.01) + size.min(50.0);
        let (pixel_odds, layer_odds) = (odds(), odds());
        let mut copy_answers = Array2::zeros((n, 0));
        for _ in 0..COPIES_A_ROW {
            let mut copies = &answer + &made(LABELS, size);
            log_softmax_rows(copies.view_mut());
            copy_answers.append(Axis(1), copies.view()).expect("as many rows");
        }
        Self {
            x,
            twin,
            answer,
            twin_answer,
            restored,
            restored_answer,
            surprisal,
            layers,
            pixel_odds,
            layer_odds,
            copy_answers,
        }
    }

    /// Gives every third row a category never seen.
    pub(super) fn unseen(mut self) -> Self {
        self.x.slice_mut(s![..;3, CATEGORY]).fill(0.0);
        self
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            x: self.x.view(),
            twin: self.twin.view(),
            answer: self.answer.view(),
            twin_answer: self.twin_answer.view(),
            restored: self.restored.view(),
            restored_answer: self.restored_answer.view(),
            surprisal: self.surprisal.view(),
            layers: self.layers.view(),
            pixel_odds: self.pixel_odds.view(),
            layer_odds: self.layer_odds.view(),
            copy_answers: self.copy_answers.view(),
        }
    }

    pub(super) fn select(&self, order: &[usize]) -> Self {
        let pick = |column: &Array2<f32>| column.select(Axis(0), order);
        Self {
            x: pick(&self.x),
            twin: pick(&self.twin),
            answer: pick(&self.answer),
            twin_answer: pick(&self.twin_answer),
            restored: pick(&self.restored),
            restored_answer: pick(&self.restored_answer),
            surprisal: pick(&self.surprisal),
            layers: pick(&self.layers),
            pixel_odds: pick(&self.pixel_odds),
            layer_odds: pick(&self.layer_odds),
            copy_answers: pick(&self.copy_answers),
        }
    }
}
