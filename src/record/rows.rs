//! The columns of a batch. All stages read them.

use ndarray::ArrayView2;

/// Stands in a row for a number that the record does not have. A NaN like any other, but one that
/// no arithmetic makes: a record that *says* NaN is told from one that says nothing.
pub const MISSING: f32 = f32::from_bits(0x7fc0_5117);

/// A set of columns, as a detector declares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns(u16);

impl Columns {
    /// The rows themselves, `[n, d]`, in the model's units.
    pub const X: Self = Self(1);
    /// The autoencoder's version of them, `[n, d]`.
    pub const TWIN: Self = Self(2);
    /// The protected model's log-probabilities on `x`, `[n, k]`.
    pub const ANSWER: Self = Self(4);
    /// The protected model's log-probabilities on `twin`, `[n, k]`.
    pub const TWIN_ANSWER: Self = Self(8);
    /// The restorer's version of the rows, `[n, d]`.
    pub const RESTORED: Self = Self(16);
    /// The protected model's log-probabilities on `restored`, `[n, k]`.
    pub const RESTORED_ANSWER: Self = Self(32);
    /// −ln p of each number given its neighbours, `[n, d]`, in nats.
    pub const SURPRISAL: Self = Self(64);
    /// What inner layers of the protected model say of `x`, `[n, t]`; the last of them are the inputs of
    /// its last layer.
    pub const LAYERS: Self = Self(128);
    /// Log-odds that a network gives a row of being attacked, from its pixels alone, `[n, 1]`.
    pub const PIXEL_ODDS: Self = Self(256);
    /// Log-odds that a network gives a row of being attacked, from `layers`, `[n, 1]`.
    pub const LAYER_ODDS: Self = Self(512);
    /// Copies of the rows, each disturbed by a little. Only the networks see them: nobody else is given them.
    pub const COPIES: Self = Self(1024);
    /// The protected model's log-probabilities on the copies of `x`, `[n, c · k]`, one copy after the other.
    pub const COPY_ANSWERS: Self = Self(2048);

    /// How many columns there are.
    pub const COUNT: usize = 12;

    /// Which of all columns this one is.
    ///
    /// # Panics
    /// If it is not exactly one.
    pub const fn place(self) -> usize {
        assert!(self.0.is_power_of_two(), "not one column");
        self.0.trailing_zeros() as usize
    }

    /// Both sets together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any column is in both.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A view of the filled columns of `n` rows. A column nobody asked for is `[n, 0]`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub x: ArrayView2<'a, f32>,
    pub twin: ArrayView2<'a, f32>,
    pub answer: ArrayView2<'a, f32>,
    pub twin_answer: ArrayView2<'a, f32>,
    pub restored: ArrayView2<'a, f32>,
    pub restored_answer: ArrayView2<'a, f32>,
    pub surprisal: ArrayView2<'a, f32>,
    pub layers: ArrayView2<'a, f32>,
    pub pixel_odds: ArrayView2<'a, f32>,
    pub layer_odds: ArrayView2<'a, f32>,
    pub copy_answers: ArrayView2<'a, f32>,
}

impl<'a> Rows<'a> {
    /// Rows of which no other column was asked for.
    pub fn only(x: ArrayView2<'a, f32>) -> Self {
        let none = ArrayView2::from_shape((x.nrows(), 0), &[]).expect("no numbers");
        Self {
            x,
            twin: none,
            answer: none,
            twin_answer: none,
            restored: none,
            restored_answer: none,
            surprisal: none,
            layers: none,
            pixel_odds: none,
            layer_odds: none,
            copy_answers: none,
        }
    }
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        self.x.nrows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The label the protected model gives row `i`: the largest answer, the first of equals; 0
    /// without a protected model.
    pub fn label(&self, i: usize) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for (k, &value) in self.answer.row(i).iter().enumerate() {
            if value > best.1 {
                best = (k, value);
            }
        }
        best.0
    }
}
