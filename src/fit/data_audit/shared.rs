//! What a group of rows shares that their look-alikes lack.
//!
//! For rows of one label, each row's look-alikes are subtracted; what is left, the residual, is taken in deviations per
//! column and brought to length 1. A trigger is one direction that many residuals share. The search begins at the row
//! whose residual has the closest partners, and goes on with their mean (*direction*), five times. *Cohesion* is the mean
//! cosine between the members' residuals and the direction: how much of a row its group explains.
//!
//! Twice per label: among rows whose neighbours have other labels (poison with a wrong label; look-alikes are of the other
//! labels), and among all of them (poison on the label's own rows; look-alikes are of the label).
//!
//! It cannot see triggers that differ from row to row, nor poison of most of a label.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::nearest::Nearest;

/// Rows of one label that share a direction.
#[derive(Clone, Debug)]
pub struct Group {
    pub label: i64,
    pub kind: Kind,
    /// Which rows, those with the largest share of the direction first.
    pub rows: Vec<usize>,
    /// Mean cosine between the members' residuals and the direction.
    pub cohesion: f32,
    /// What they have more or less of than their look-alikes, in units of the rows, `[d]`.
    pub direction: Array1<f32>,
}

/// Among which rows a group was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rows that look like rows of other labels.
    WrongLabel,
    /// All rows of the label.
    OwnLabel,
}

/// All that a search looks at.
pub struct Search<'a> {
    /// `[n, d]`.
    pub x: ArrayView2<'a, f32>,
    pub y: &'a [i64],
    /// Of the latent space, `[n, k]`.
    pub codes: ArrayView2<'a, f32>,
    pub near: &'a Nearest,
    /// Per column, `[d]`.
    pub deviation: ArrayView1<'a, f32>,
}

/// Look-alikes of other labels that a row is compared with.
const OTHERS: usize = 5;
/// Look-alikes of its own label.
const OWN: usize = 8;
/// Rows that a search wants.
const SUSPECTS_MIN: usize = 15;
/// Rows among which partners are searched: all pairs of more would cost minutes.
const PAIRED_MAX: usize = 6000;
/// Rows of a group that counts.
const GROUP_MIN: usize = 10;
const ROUNDS: usize = 5;
/// A member's share of the direction is at least this.
const SHARE_MIN: f32 = 0.15;
/// From which cohesion on a group counts, among rows that look like other labels.
pub const COHESION_WRONG: f32 = 0.60;
/// From which cohesion × √rows on such a group counts, in a set of 12,000 rows: groups that chance makes grow with the set.
pub const WEIGHT_WRONG: f32 = 4.2;
const WEIGHED_AT: f32 = 12_000.0;
/// From which cohesion on a group counts, among all rows of a label.
pub const COHESION_OWN: f32 = 0.45;

impl Group {
    /// Whether groups without a trigger are so close together only by chance: limits were chosen on rows without one.
    ///
    /// `n`: rows of the whole set.
    pub fn is_finding(&self, n: usize) -> bool {
        let rows = self.rows.len();
        let weight = WEIGHT_WRONG * (n as f32 / WEIGHED_AT).sqrt().max(1.0);
        match self.kind {
            Kind::WrongLabel => {
                rows >= GROUP_MIN && self.cohesion >= COHESION_WRONG
                    || self.cohesion * (rows as f32).sqrt() >= weight
            }
            Kind::OwnLabel => rows >= GROUP_MIN && self.cohesion >= COHESION_OWN,
        }
    }
}

impl Search<'_> {
    /// Poison whose label was changed: `doubt` is, of each row's neighbours, the share with another label.
    pub fn wrong_label(&self, label: i64, doubt: &Array1<f32>) -> Option<Group> {
        let is_suspect = |i: &usize| self.y[*i] == label && doubt[*i] >= 0.5;
        let suspects: Vec<usize> = (0..self.y.len()).filter(is_suspect).collect();
        let alike = |i: usize| -> Vec<usize> {
            self.near.of_row(i).filter(|&j| self.y[j] != label).take(OTHERS).collect()
        };
        self.group(label, Kind::WrongLabel, &suspects, |at| alike(suspects[at]))
    }

    /// Poison that kept its label.
    pub fn own_label(&self, label: i64) -> Option<Group> {
        let all: Vec<usize> = (0..self.y.len()).filter(|&i| self.y[i] == label).collect();
        let codes = self.codes.select(Axis(0), &all);
        let near = Nearest::of(codes.view(), OWN);
        self.group(label, Kind::OwnLabel, &all, |at| near.of_row(at).map(|j| all[j]).collect())
    }

    fn group(
        &self,
        label: i64,
        kind: Kind,
        suspects: &[usize],
        alike: impl Fn(usize) -> Vec<usize>,
    ) -> Option<Group> {
        if suspects.len() < SUSPECTS_MIN {
            return None;
        }
        let mut residuals = Array2::zeros((suspects.len(), self.x.ncols()));
        for (at, mut residual) in residuals.rows_mut().into_iter().enumerate() {
            let alike = alike(at);
            let share = 1.0 / alike.len().max(1) as f32;
            residual += &self.x.row(suspects[at]);
            alike.iter().for_each(|&j| residual.scaled_add(-share, &self.x.row(j)));
            residual /= &self.deviation;
            let length = residual.dot(&residual).sqrt();
            residual.mapv_inplace(|x| if length > 0.0 { x / length } else { 0.0 });
        }
        let (direction, shares, limit) = direction(&residuals)?;
        let mut members: Vec<usize> = (0..suspects.len()).filter(|&i| shares[i] > limit).collect();
        members.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]).then(a.cmp(&b)));
        let sum: f32 = members.iter().map(|&i| shares[i]).sum();
        let cohesion = if members.is_empty() { 0.0 } else { sum / members.len() as f32 };
        let rows = members.iter().map(|&i| suspects[i]).collect();
        let direction = direction * self.deviation;
        Some(Group { label, kind, rows, cohesion, direction })
    }
}

/// The direction that most of some rows share, each row's share of it, and the share from which on a row is a member.
fn direction(residuals: &Array2<f32>) -> Option<(Array1<f32>, Array1<f32>, f32)> {
    let n = residuals.nrows();
    let k = (n / 40).max(10);
    let core = core(residuals.view(), k);
    let mut direction = mean(residuals, &core)?;
    let round = |direction: &Array1<f32>| {
        let length = direction.dot(direction).sqrt();
        let shares = residuals.dot(direction) / length.max(f32::MIN_POSITIVE);
        let limit = (0.5 * quantile(&shares, 1.0 - k as f32 / n as f32)).max(SHARE_MIN);
        (shares, limit)
    };
    for _ in 0..ROUNDS {
        let (shares, limit) = round(&direction);
        let members: Vec<usize> = (0..n).filter(|&i| shares[i] > limit).collect();
        if members.len() >= 5 {
            direction = mean(residuals, &members)?;
        }
    }
    let (shares, limit) = round(&direction);
    Some((direction, shares, limit))
}

/// The `k` best partners of the row that has the closest.
fn core(residuals: ArrayView2<'_, f32>, k: usize) -> Vec<usize> {
    // Rows come in no order that means anything: every so-manieth is as good as drawn ones.
    let step = residuals.nrows().div_ceil(PAIRED_MAX);
    let paired: Vec<usize> = (0..residuals.nrows()).step_by(step).collect();
    let rows = residuals.select(Axis(0), &paired);
    let k = (k / step).max(10).min(paired.len() - 1);
    let mut best: (f32, Vec<usize>) = (f32::NEG_INFINITY, vec![]);
    for (block, own) in rows.axis_chunks_iter(Axis(0), 256).enumerate() {
        let cosines = own.dot(&rows.t());
        for (i, cosines) in cosines.rows().into_iter().enumerate() {
            let own = 256 * block + i;
            let mut others: Vec<(f32, usize)> =
                cosines.iter().copied().zip(0..).filter(|&(_, j)| j != own).collect();
            let (above, at, _) = others.select_nth_unstable_by(k - 1, |a, b| b.0.total_cmp(&a.0));
            let closeness = above.iter().map(|(cosine, _)| cosine).sum::<f32>() + at.0;
            if closeness > best.0 {
                let partners = above.iter().map(|&(_, j)| j).chain([at.1]);
                best = (closeness, partners.map(|j| paired[j]).collect());
            }
        }
    }
    best.1
}

fn mean(rows: &Array2<f32>, which: &[usize]) -> Option<Array1<f32>> {
    rows.select(Axis(0), which).mean_axis(Axis(0))
}

/// With linear interpolation between two values.
fn quantile(values: &Array1<f32>, q: f32) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f32;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (at - below as f32) * (sorted[above] - sorted[below])
}
