//! How much rows that come in time order depend on their neighbours, and whether they stay as they are.
//!
//! The alarm's promise holds for rows in any order as likely. Of rows that depend on their neighbours
//! one in a slot of twice their correlation time keeps it (simulated: AR(1) up to .9); of rows whose
//! law moves by itself, as with the seasons, none does.
//!
//! Source: A. D. Sokal, "Monte Carlo Methods in Statistical Mechanics", 1989, §3: the sum is stopped at
//! a lag of five correlation times.

use std::fmt;
use std::time::Duration;

use ndarray::Array2;

use crate::bundle::Dependence;
use crate::record::{Rows, Schema};
use crate::score::{Counted, signal_values};
use crate::watch::{Signals, TOLERANCE};

/// What was measured, and on which feature it is worst.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub dependence: Dependence,
    pub slowest: String,
    /// The feature whose law moves most between tenths of the rows, and how far (KS distance).
    pub moves_most: (String, f64),
}

/// Correlation times beyond which no slot helps.
const TAU_MAX: f64 = 100.0;
/// Parts of the rows that are compared with the others.
const BLOCKS: usize = 10;

/// Measures `x` `[n, d]`, rows in time order, one `every` so long.
pub fn measure(x: &Array2<f32>, schema: &Schema, every: Duration) -> Measured {
    let signals = Signals::of(schema, &[], 1);
    let rows = Rows::only(x.view());
    let (mut scratch, mut values) = (vec![], vec![]);
    let mut columns = vec![Vec::with_capacity(x.nrows()); signals.list().len()];
    for row in 0..x.nrows() {
        let counted = Counted { rows, row, scores: &[], merged: 0.0 };
        signal_values(&signals, counted, std::iter::empty(), &mut scratch, &mut values);
        columns.iter_mut().zip(&values).for_each(|(column, &value)| column.push(f64::from(value)));
    }
    let inputs = signals.list().iter().zip(&columns).filter(|(signal, _)| signal.is_input());
    let (mut tau, mut slowest) = (1.0_f64, String::new());
    let mut moves_most = (String::new(), 0.0_f64);
    for (signal, column) in inputs {
        let own = correlation_time(column);
        if own > tau || slowest.is_empty() {
            (tau, slowest) = (own.max(tau), signal.name.clone());
        }
        let moved = (0..BLOCKS).map(|block| distance(column, block)).fold(0.0, f64::max);
        if moved > moves_most.1 {
            moves_most = (signal.name.clone(), moved);
        }
    }
    // Chance moves a tenth of the rows too: by the 1 % bound of Massart for dependent rows as few as
    // are independent of each other.
    let few = x.nrows() as f64 / BLOCKS as f64 / tau;
    let chance = (5.3 / (2.0 * few.max(1.0))).sqrt();
    let stationary = tau <= TAU_MAX && moves_most.1 <= TOLERANCE + chance;
    let slot = if (1.5..=TAU_MAX).contains(&tau) { (2.0 * tau).ceil() } else { 1.0 };
    let slot_ms = (slot * every.as_millis() as f64) as u64;
    let dependence =
        Dependence { rows: tau, slot_ms: if slot > 1.0 { slot_ms } else { 0 }, stationary };
    Measured { dependence, slowest, moves_most }
}

/// 1 + 2 Σ ρ(k), at least 1, in rows.
fn correlation_time(x: &[f64]) -> f64 {
    let n = x.len();
    let mean = x.iter().sum::<f64>() / n.max(1) as f64;
    let at = |lag: usize| -> f64 {
        let pairs = x.iter().zip(&x[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64
    };
    let variance = at(0);
    if variance <= 0.0 {
        return 1.0;
    }
    let mut tau = 1.0;
    for lag in 1..n / 2 {
        tau += 2.0 * at(lag) / variance;
        if lag as f64 >= 5.0 * tau {
            break;
        }
    }
    tau.max(1.0)
}

/// Kolmogorov-Smirnov distance of a tenth of the rows from the others.
fn distance(x: &[f64], block: usize) -> f64 {
    let (from, to) = (block * x.len() / BLOCKS, (block + 1) * x.len() / BLOCKS);
    let mut all: Vec<(f64, bool)> =
        x.iter().enumerate().map(|(i, &x)| (x, (from..to).contains(&i))).collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (inside, outside) = ((to - from).max(1) as f64, (x.len() - (to - from)).max(1) as f64);
    let (mut gap, mut most) = (0.0_f64, 0.0_f64);
    for (i, &(value, within)) in all.iter().enumerate() {
        gap += if within { 1.0 / inside } else { -1.0 / outside };
        // Equal values stand together.
        if all.get(i + 1).is_none_or(|next| next.0 > value) {
            most = most.max(gap.abs());
        }
    }
    most
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dependence { rows, slot_ms, stationary } = self.dependence;
        match slot_ms {
            0 if rows < 1.5 => write!(f, "rows do not depend on those before them")?,
            0 => write!(f, "{} depends on the {rows:.0} rows before: no slot helps", self.slowest)?,
            _ => write!(
                f,
                "{} depends on the {rows:.1} rows before: one row in {} s is ranked, so set window_ms to \
                 {slot_ms} or more",
                self.slowest,
                slot_ms as f64 / 1000.0
            )?,
        }
        if !stationary {
            let (feature, moved) = &self.moves_most;
            write!(
                f,
                "\n  NOT STATIONARY: {feature} of a tenth of the rows is {moved:.2} from that of the others (KS). \
                 Drift of inputs and answers\n  pages by the slow watch only; watch the residual of the season to \
                 have more"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::record::Feature;

    /// x' = φ x + noise; with a season of `season` rows if that is not 0.
    fn series(phi: f64, season: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut x = 0.0;
        let each = (0..20_000).map(|i| {
            let noise: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            x = phi * x + (1.0 - phi * phi).sqrt() * noise;
            let angle = if season == 0 { 0.0 } else { i as f64 / season as f64 };
            (x + 2.0 * (std::f64::consts::TAU * angle).sin()) as f32
        });
        Array2::from_shape_vec((20_000, 1), each.collect()).unwrap()
    }

    fn measured(x: &Array2<f32>) -> Measured {
        let schema = Schema { features: vec![Feature::number("a", -100.0, 100.0)] };
        measure(x, &schema, Duration::from_secs(60))
    }

    #[test]
    fn independent_rows_need_no_slot_and_dependent_ones_twice_their_correlation_time() {
        let none = measured(&series(0.0, 0, 1)).dependence;
        assert!(none.slot_ms == 0 && none.stationary, "{none:?}");
        for (phi, tau) in [(0.6, 4.0), (0.9, 19.0)] {
            let some = measured(&series(phi, 0, 2)).dependence;
            assert!((some.rows / tau - 1.0).abs() < 0.3, "{phi}: {some:?}");
            assert!(some.stationary && some.slot_ms >= 60_000 * (1.5 * tau) as u64, "{some:?}");
        }
    }

    #[test]
    fn a_season_longer_than_a_tenth_of_the_rows_is_not_stationary() {
        let told = measured(&series(0.3, 20_000, 3));
        assert!(!told.dependence.stationary, "{told:?}");
        assert_eq!(told.moves_most.0, "a");
    }
}
