//! What a bet pays for a p-value: integer tables, the same bits on every machine.
//!
//! A bet is a density over p with mean 1 while p is uniform: whoever stakes on it gains nothing on
//! average unless something changed. A table holds each density's exact mean over 578 cells, rounded
//! down after a factor 1 − 2⁻²⁰ that covers the 2⁻³² granularity of p; that no bet's mean is
//! above 1 is asserted when a table is made. The cells halve towards both ends, where evidence is.
//!
//! Powers come from a file: they are the only ones that need more than + − × ÷, and libraries of
//! mathematics differ in the last digit from machine to machine.

use std::sync::LazyLock;

/// 1.0 of a return.
pub const RETURN_ONE: u64 = 1 << 20;

/// 18 octaves of 16 cells each, and one last cell below 2⁻¹⁹.
const SIDE: usize = 18 * 16 + 1;
const CELLS: usize = 2 * SIDE;

/// Bets on the same p-values, and how a budget is shared out among them.
#[derive(Clone, Debug)]
pub struct Bets {
    /// `[CELLS][bets]`, `RETURN_ONE` is 1.0.
    returns: Vec<u32>,
    /// Thousandths of the budget, `[bets]`; together at most 1000.
    weights: Vec<u32>,
}

impl Bets {
    /// Twelve bets on ranks of a number: shifted up or down, by much in few rows or by little in
    /// many, wider, narrower. They ignore a mean rank that is off by less than .0167. Tilts and weights
    /// are a little better on small shifts than those of the design's references (`docs/evidence.md`).
    pub fn on_ranks() -> &'static Self {
        static BETS: LazyLock<Bets> = LazyLock::new(|| {
            Bets::tilted([0.4, 0.7, 1.2], [55, 55, 55, 55, 110, 110, 140, 140, 90, 90, 50, 50])
        });
        &BETS
    }

    pub(super) fn tilted(tilts: [f64; 3], weights: [u32; 12]) -> Self {
        let (low, high): (Vec<_>, Vec<_>) = powers().unzip();
        let mut columns = vec![low.clone(), mirrored(&low), high.clone(), mirrored(&high)];
        for tilt in tilts {
            columns.extend([-tilt, tilt].map(|tilt| means(|a, b| linear(tilt, a, b))));
        }
        columns.extend([0.8, -0.8].map(|spread| means(|a, b| quadratic(spread, a, b))));
        Self::new(&columns, weights.to_vec())
    }

    /// Twelve bets on the smallest p-values: that more than .0005, .002, .01 or .05 of the rows
    /// are below that, by a factor 1.5, 3 or 10.
    pub fn on_the_tail() -> &'static Self {
        static BETS: LazyLock<Bets> = LazyLock::new(|| {
            let mut columns = vec![];
            for below in [0.0005, 0.002, 0.01, 0.05] {
                columns.extend([1.5, 3.0, 10.0].map(|times| share(below, below * times)));
            }
            Bets::new(&columns, vec![83; 12])
        });
        &BETS
    }

    /// Bets that something happens to more rows than the share `clean` of them, up to 16 times as
    /// many; if `both_ways`, also that it happens to a half or a quarter.
    pub fn on_a_share(clean: f64, both_ways: bool) -> Self {
        let q = clean.clamp(1e-6, 0.95);
        let more = [1.5, 2.0, 4.0, 8.0, 16.0].map(|times| (q * times).min((1.0 + q) / 2.0));
        let less = [0.5, 0.25].map(|times| q * times);
        let mut columns: Vec<_> = more.iter().map(|&pi| share(q, pi)).collect();
        if both_ways {
            columns.extend(less.iter().map(|&pi| share(q, pi)));
        }
        let weight = 1000 / columns.len() as u32;
        Self::new(&columns, vec![weight; columns.len()])
    }

    fn new(columns: &[Vec<u32>], weights: Vec<u32>) -> Self {
        assert_eq!(columns.len(), weights.len());
        assert!(weights.iter().sum::<u32>() <= 1000, "more is staked than there is");
        for column in columns {
            let mean = (0..CELLS).map(|i| u128::from(column[i]) * u128::from(width(i)));
            assert!(mean.sum::<u128>() <= u128::from(RETURN_ONE) << 32, "it pays for nothing");
        }
        let row = |i: usize| columns.iter().map(move |column| column[i]);
        Self { returns: (0..CELLS).flat_map(row).collect(), weights }
    }

    /// Returns of a p-value, 2³² is 1; one per bet.
    pub fn returns(&self, p: u32) -> &[u32] {
        let n = self.weights.len();
        &self.returns[cell(p) * n..][..n]
    }

    /// How many bets there are.
    pub fn count(&self) -> usize {
        self.weights.len()
    }

    /// Thousandths of the budget, one per bet.
    pub fn weights(&self) -> &[u32] {
        &self.weights
    }
}

fn cell(p: u32) -> usize {
    let (q, side) = if p >> 31 == 0 { (p, 0) } else { (!p, SIDE) };
    if q < 1 << 13 {
        return side;
    }
    let top = 31 - q.leading_zeros() as usize;
    side + 1 + (top - 13) * 16 + (q >> (top - 4) & 15) as usize
}

/// Bounds of a cell of the lower half, in units of 2⁻³².
fn lower(i: usize) -> (u64, u64) {
    let start = |i: usize| match i {
        0 => 0,
        _ => {
            let octave = 1_u64 << (13 + (i - 1) / 16);
            octave + (i as u64 - 1) % 16 * (octave / 16)
        }
    };
    (start(i), start(i + 1))
}

fn bounds(i: usize) -> (u64, u64) {
    if i < SIDE {
        return lower(i);
    }
    let (a, b) = lower(i - SIDE);
    ((1 << 32) - b, (1 << 32) - a)
}

fn width(i: usize) -> u64 {
    let (a, b) = bounds(i);
    b - a
}

/// A density's mean in every cell, given its mean over `[a, b]`.
fn means(mean: impl Fn(f64, f64) -> f64) -> Vec<u32> {
    let one = RETURN_ONE as f64;
    let fixed = |i| {
        let (a, b) = bounds(i);
        let unit = 2.0_f64.powi(32);
        (mean(a as f64 / unit, b as f64 / unit) * one * (1.0 - 1.0 / one)) as u32
    };
    (0..CELLS).map(fixed).collect()
}

/// 1 + tilt · (p − ½)
fn linear(tilt: f64, a: f64, b: f64) -> f64 {
    1.0 + tilt * ((a + b) / 2.0 - 0.5)
}

/// 1 + spread · (6p² − 6p + 1)
fn quadratic(spread: f64, a: f64, b: f64) -> f64 {
    1.0 + spread * (2.0 * (a * a + a * b + b * b) - 3.0 * (a + b) + 1.0)
}

/// The likelihood ratio of "the share `pi` of all p is below `q`".
fn share(q: f64, pi: f64) -> Vec<u32> {
    let (below, above) = (pi / q, (1.0 - pi) / (1.0 - q));
    means(|a, b| match (b <= q, a >= q) {
        (true, _) => below,
        (_, true) => above,
        _ => ((q - a) * below + (b - q) * above) / (b - a),
    })
}

/// κ · p^(κ−1) for κ = .4 and .7.
fn powers() -> impl Iterator<Item = (u32, u32)> {
    let lines = include_str!("power-bets.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (low, high) = line.split_once(' ').expect("two columns");
        (low.parse().expect("a number"), high.parse().expect("a number"))
    })
}

/// The density of 1 − p instead of p.
fn mirrored(column: &[u32]) -> Vec<u32> {
    [&column[SIDE..], &column[..SIDE]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_cover_every_p_once() {
        let mut all: Vec<_> = (0..CELLS).map(bounds).collect();
        all.sort_unstable();
        assert_eq!((all[0].0, all[CELLS - 1].1), (0, 1 << 32));
        assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0));
    }

    proptest! {
        #[test]
        fn a_p_lies_in_its_cell(p: u32) {
            let (a, b) = bounds(cell(p));
            prop_assert!((a..b).contains(&u64::from(p)), "{p}: {a}..{b}");
        }

        #[test]
        fn no_bet_on_a_share_pays_for_nothing(q in 0.0_f64..1.0, both: bool) {
            // `new` asserts it.
            prop_assert!(Bets::on_a_share(q, both).count() >= 5);
        }
    }

    #[test]
    fn a_shift_pays_the_bets_that_stand_for_it() {
        let (low, high) = (Bets::on_ranks().returns(1 << 20), Bets::on_ranks().returns(!(1 << 20)));
        assert!(low[0] > 50 * RETURN_ONE as u32 && high[0] < RETURN_ONE as u32);
        assert_eq!((low[0], low[2]), (high[1], high[3]));
        let tail = Bets::on_the_tail();
        assert!(tail.returns(1000)[2] > 9 * RETURN_ONE as u32);
        assert!(tail.returns(1 << 31).iter().all(|&e| e < RETURN_ONE as u32));
    }
}
