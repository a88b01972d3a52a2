//! Rows on the other side of a boundary, and what brings them nearer to where they came from.

use rand_chacha::ChaCha8Rng;

use super::{Oracle, Terrain};
use crate::fit::attack::harmless::normal;
use crate::fit::seed::{permutation, unit};
use crate::model::ModelError;

/// Halvings of a line: a sixteen-thousandth of it is left.
const HALVINGS: usize = 14;

/// Steps along the boundary.
const ROAMED: usize = 80;

/// Groups of features that are given back one after the other, at most.
const GROUPS: usize = 64;

/// Attacked rows, each with the row that it shall come near to.
pub(super) struct Front<'a> {
    terrain: &'a Terrain<'a>,
    x: &'a [f32],
    own: &'a [u32],
    /// The nearest row of another label so far, `[n · d]`; `x` itself where there is none.
    z: Vec<f32>,
}

impl<'a> Front<'a> {
    /// From the rows `z`, which should have other labels than `own`.
    pub(super) fn new(
        terrain: &'a Terrain<'a>,
        (x, own): (&'a [f32], &'a [u32]),
        z: Vec<f32>,
    ) -> Self {
        Self { terrain, x, own, z }
    }

    pub(super) fn into_rows(self) -> Vec<f32> {
        self.z
    }

    /// Asks about `rows`; those with another label than the own become the nearest. Which they are.
    fn ask(&mut self, oracle: &mut Oracle<'_>, rows: &[f32]) -> Result<Vec<bool>, ModelError> {
        let d = self.terrain.space.width();
        let got = oracle.labels(rows)?;
        let moved: Vec<bool> = got.iter().zip(self.own).map(|(got, own)| got != own).collect();
        for i in (0..moved.len()).filter(|&i| moved[i]) {
            self.z[i * d..][..d].copy_from_slice(&rows[i * d..][..d]);
        }
        Ok(moved)
    }

    /// Settled rows, every number of them by what `number(place, x, z)` makes of it.
    fn made(&self, mut number: impl FnMut(usize, f32, f32) -> f32) -> Vec<f32> {
        let (d, space) = (self.terrain.space.width(), self.terrain.space);
        let each = self.x.iter().zip(&self.z).enumerate();
        each.map(|(at, (&x, &z))| match self.terrain.is_number(at % d) {
            true => space.nearest(at % d, number(at, x, z)),
            false => z,
        })
        .collect()
    }

    /// The least `t` of each row, between 0 and `high`, for which `row(t)` has another label.
    fn halve(
        &mut self,
        oracle: &mut Oracle<'_>,
        mut high: Vec<f32>,
        number: impl Fn(usize, f32) -> f32,
    ) -> Result<(), ModelError> {
        let d = self.terrain.space.width();
        let mut low = vec![0.0_f32; high.len()];
        for _ in 0..HALVINGS {
            let middle = |i: usize| (low[i] + high[i]) / 2.0;
            let rows = self.made(|at, _, _| number(at, middle(at / d)));
            let moved = self.ask(oracle, &rows)?;
            for (i, moved) in moved.into_iter().enumerate() {
                let middle = (low[i] + high[i]) / 2.0;
                *(if moved { &mut high[i] } else { &mut low[i] }) = middle;
            }
        }
        Ok(())
    }

    /// Towards the row, as far as the label stays another: numbers only.
    pub(super) fn approach(&mut self, oracle: &mut Oracle<'_>) -> Result<(), ModelError> {
        let (from, x) = (self.z.clone(), self.x);
        self.halve(oracle, vec![1.0; self.own.len()], |at, t| x[at] + t * (from[at] - x[at]))
    }

    /// Gives each row its own category back, one category after the other, where the label allows it.
    pub(super) fn give_back_categories(
        &mut self,
        oracle: &mut Oracle<'_>,
    ) -> Result<(), ModelError> {
        let terrain = self.terrain;
        for columns in &terrain.features {
            if !terrain.is_number(columns.start) {
                self.return_columns(oracle, std::slice::from_ref(columns))?;
            }
        }
        Ok(())
    }

    /// Gives each row its own features back, where the label allows it: in a random order, and if there are many, some at a time.
    pub(super) fn give_back(
        &mut self,
        oracle: &mut Oracle<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), ModelError> {
        let features = &self.terrain.features;
        let order = permutation(features.len(), rng);
        for group in order.chunks(features.len().div_ceil(GROUPS)) {
            let columns: Vec<_> = group.iter().map(|&i| self.terrain.features[i].clone()).collect();
            self.return_columns(oracle, &columns)?;
        }
        Ok(())
    }

    fn return_columns(
        &mut self,
        oracle: &mut Oracle<'_>,
        columns: &[std::ops::Range<usize>],
    ) -> Result<(), ModelError> {
        let d = self.terrain.space.width();
        let mut rows = self.z.clone();
        for (row, x) in rows.chunks_mut(d).zip(self.x.chunks(d)) {
            for columns in columns {
                row[columns.clone()].copy_from_slice(&x[columns.clone()]);
            }
        }
        if rows != self.z {
            self.ask(oracle, &rows)?;
        }
        Ok(())
    }

    /// How far each row is from its own, in units.
    fn far(&self) -> Vec<f32> {
        let d = self.terrain.space.width();
        let square = |at: usize| match self.terrain.space.unit[at % d] {
            0.0 => 0.0,
            unit => ((self.z[at] - self.x[at]) / unit).powi(2),
        };
        let rows = (0..self.own.len()).map(|i| (i * d..(i + 1) * d).map(square).sum::<f32>());
        rows.map(f32::sqrt).collect()
    }

    /// To the boundary, along it by random steps that end nearer to the row, and to it once more.
    ///
    /// # Source
    /// W. Brendel, J. Rauber, M. Bethge, "Decision-based adversarial attacks", arXiv:1712.04248.
    pub(super) fn roam(
        &mut self,
        oracle: &mut Oracle<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), ModelError> {
        let (d, space) = (self.terrain.space.width(), self.terrain.space);
        self.approach(oracle)?;
        let mut stride = vec![0.3_f32; self.own.len()];
        for _ in 0..ROAMED {
            let far = self.far();
            let around = (d as f32).sqrt();
            let rows = self.made(|at, x, z| {
                let (i, unit) = (at / d, space.unit[at % d]);
                let aside = stride[i] * far[i] / around * unit * normal(rng);
                // The step aside makes it longer by √(1 + stride²).
                x + (z + aside - x) * (1.0 - 0.2 * stride[i]) / (1.0 + stride[i].powi(2)).sqrt()
            });
            for (stride, moved) in stride.iter_mut().zip(self.ask(oracle, &rows)?) {
                *stride = (*stride * if moved { 1.2 } else { 0.9 }).clamp(0.01, 0.8);
            }
        }
        self.approach(oracle)
    }

    /// Away from the row again, by up to half of the way, where the label stays another.
    pub(super) fn push(
        &mut self,
        oracle: &mut Oracle<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), ModelError> {
        let d = self.terrain.space.width();
        let times: Vec<f32> = self.own.iter().map(|_| 1.0 + 0.5 * unit(rng)).collect();
        let rows = self.made(|at, x, z| x + times[at / d] * (z - x));
        self.ask(oracle, &rows)?;
        Ok(())
    }

    /// The least part of all units at once: which way each number goes is that of the row of another
    /// label, then turned for half, quarters, … of the numbers where that lets the part be smaller.
    ///
    /// # Source
    /// J. Chen, Q. Gu, "RayS: a ray searching method for hard-label adversarial attack",
    /// arXiv:2006.12792.
    pub(super) fn signs(
        &mut self,
        oracle: &mut Oracle<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), ModelError> {
        let (d, space) = (self.terrain.space.width(), self.terrain.space);
        let (x, far) = (self.x, self.far());
        let mut sign: Vec<f32> = self
            .x
            .iter()
            .zip(&self.z)
            .map(|(x, z)| match z.total_cmp(x) {
                std::cmp::Ordering::Less => -1.0,
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => {
                    if unit(rng) < 0.5 {
                        -1.0
                    } else {
                        1.0
                    }
                }
            })
            .collect();
        // On the way there, as far as the longest change of a number; what is not over then stays out.
        let step = |sign: &[f32], at: usize, t: f32| x[at] + t * space.unit[at % d] * sign[at];
        let own = self.own.len();
        let (mut least, mut found) = (vec![f32::INFINITY; own], self.x.to_vec());
        for turned in 0..GROUPS {
            if turned > 0 {
                for i in 0..own {
                    block(turned, d).for_each(|j| sign[i * d + j] *= -1.0);
                }
            }
            let t: Vec<f32> = (0..own)
                .map(|i| if least[i].is_finite() { 0.97 * least[i] } else { far[i].max(0.05) })
                .collect();
            let rows = self.made(|at, _, _| step(&sign, at, t[at / d]));
            let moved = self.ask(oracle, &rows)?;
            for i in 0..own {
                if moved[i] {
                    least[i] = t[i];
                    found[i * d..][..d].copy_from_slice(&rows[i * d..][..d]);
                } else if turned > 0 {
                    block(turned, d).for_each(|j| sign[i * d + j] *= -1.0);
                }
            }
        }
        self.z = found;
        let high = least.iter().map(|t| if t.is_finite() { *t } else { 0.0 }).collect();
        self.halve(oracle, high, |at, t| step(&sign, at, t))
    }
}

/// Of `d` columns those that turn number `turned`, from 1, is about: halves, then quarters, then eighths, …
fn block(turned: usize, d: usize) -> std::ops::Range<usize> {
    let level = (turned + 1).ilog2();
    let width = (d >> level).max(1);
    let from = ((turned + 1) - (1 << level)) * width;
    from.min(d)..(from + width).min(d)
}
