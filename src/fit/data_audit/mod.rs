//! An audit of labelled training rows: which of them may be poisoned, mislabelled, or there twice.
//!
//! Rows with a trigger share something that their look-alikes lack. Everything here rests on that: rows are compared
//! with their nearest neighbours in a latent space, and what is left over is searched for one shared
//! direction ([`shared`]). The direction is the picture of the trigger.
//!
//! It cannot see a trigger that differs from row to row (one that bends or moves with the row), poison of most of a
//! label, or labels that are wrong by policy. It is a search, not a proof: look at the rows.

mod duplicates;
mod error;
mod latent;
mod nearest;
mod page;
mod report;
pub mod shared;

use std::path::PathBuf;

use ndarray::{Array1, Array2, Axis};

pub use self::error::AuditError;
pub use self::page::page;
pub use self::report::Report;

use self::duplicates::Duplicates;
use self::latent::Latent;
use self::nearest::Nearest;
use self::shared::{Group, Kind};
use super::data::dataset::Dataset;
use super::data::units::{self, ImageShape};
use super::progress::Watch;
use super::seed::{Use, stream};
use crate::record::Schema;

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Arrays: `.npy`, `.npz` or IDX, labels beside them or in `labels`.
    pub data: PathBuf,
    pub labels: Option<PathBuf>,
    /// Rows that must not be among those of `data`.
    pub test: Option<PathBuf>,
    pub image: Option<ImageShape>,
    /// What an integer pixel is divided by.
    pub scale: f32,
    pub seed: u64,
}

/// Rows with their labels, in model units; numbers that are no pixels in their standard deviations.
pub struct Rows {
    pub x: Array2<f32>,
    pub y: Vec<i64>,
    pub schema: Schema,
}

/// Axes of the latent space, and of how many columns there is one at most: with more, a trigger has an axis of its own.
const AXES: usize = 48;
const COLUMNS_PER_AXIS: usize = 12;
/// Nearest that a row is compared with.
const NEIGHBOURS: usize = 20;
/// Of its neighbours, the share with another label from which on a row's own is doubted.
const DOUBTED: f32 = 0.8;

/// Looks at the rows of `options.data`.
///
/// Costs n² · 48 multiplications for the neighbours, and the memory of the rows twice.
///
/// # Errors
/// If a file cannot be read, has no labels, or too few rows.
pub fn audit(options: &Options, watch: &mut dyn Watch) -> Result<Report, AuditError> {
    watch.stage(&format!("reading {}", options.data.display()));
    let rows = load(options)?;
    let test = options.test.as_deref().map(|file| {
        let mut set = Dataset::load(file, None)?;
        units::to_model_units(&mut set, options.image, options.scale)?;
        Ok::<_, AuditError>(set.x)
    });
    let test = test.transpose()?;
    watch.stage("looking for rows that are there twice");
    let duplicates = Duplicates::find(&rows, test.as_ref())?;
    let scaled = scaled(&rows);
    watch.stage("looking for what rows have in common");
    let axes = AXES.min(scaled.ncols() / COLUMNS_PER_AXIS).max(2);
    let latent = Latent::of(scaled.view(), axes, &mut stream(options.seed, Use::Audit));
    let codes = latent.codes(scaled.view());
    let deviation = latent.deviation(scaled.view(), &codes);
    watch.stage("comparing every row with its neighbours");
    let near = Nearest::of(codes.view(), NEIGHBOURS);
    let doubt = doubt(&near, &rows.y);
    let mut labels: Vec<i64> = rows.y.clone();
    labels.sort_unstable();
    labels.dedup();
    let mut groups: Vec<Group> = vec![];
    for (i, &label) in labels.iter().enumerate() {
        watch.stage(&format!("label {label}, {} of {}", i + 1, labels.len()));
        let search = shared::Search {
            x: scaled.view(),
            y: &rows.y,
            codes: codes.view(),
            near: &near,
            deviation: deviation.view(),
        };
        groups.extend(search.wrong_label(label, &doubt));
        groups.extend(search.own_label(label));
    }
    groups.retain(|group| group.is_finding(rows.y.len()));
    drop_the_same(&mut groups);
    let mut doubted: Vec<(usize, f32)> =
        doubt.iter().copied().enumerate().filter(|(_, doubt)| *doubt >= DOUBTED).collect();
    doubted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(Report { file: options.data.clone(), rows, labels, groups, doubted, duplicates })
}

fn load(options: &Options) -> Result<Rows, AuditError> {
    let mut set = Dataset::load(&options.data, options.labels.as_deref())?;
    let schema = units::to_model_units(&mut set, options.image, options.scale)?;
    let Dataset { x, y, .. } = set;
    let y = y.ok_or_else(|| AuditError::NoLabels(options.data.clone()))?;
    if x.nrows() <= NEIGHBOURS {
        return Err(AuditError::TooFew { rows: x.nrows(), least: NEIGHBOURS + 1 });
    }
    Ok(Rows { x, y, schema })
}

/// Pixels as they are; numbers in standard deviations, because nobody knows their units.
fn scaled(rows: &Rows) -> Array2<f32> {
    let mut x = rows.x.clone();
    for (feature, columns) in rows.schema.columns() {
        if matches!(feature, crate::record::Feature::Image { .. }) {
            continue;
        }
        for column in columns {
            let mut column = x.index_axis_mut(Axis(1), column);
            let deviation = column.std(0.0);
            if deviation > 0.0 {
                column.mapv_inplace(|value| value / deviation);
            }
        }
    }
    x
}

/// Of each row's neighbours, the share with another label.
fn doubt(near: &Nearest, y: &[i64]) -> Array1<f32> {
    let share = |i: usize| {
        let others = near.of_row(i).filter(|&j| y[j] != y[i]).count();
        others as f32 / near.k() as f32
    };
    (0..y.len()).map(share).collect()
}

/// Poison with a wrong label may be found among all rows of that label too: one finding is enough.
fn drop_the_same(groups: &mut Vec<Group>) {
    let wrong: Vec<Group> =
        groups.iter().filter(|group| group.kind == Kind::WrongLabel).cloned().collect();
    groups.retain(|group| {
        let overlaps = |other: &Group| {
            let both = group.rows.iter().filter(|row| other.rows.contains(row)).count();
            other.label == group.label && 2 * both > group.rows.len()
        };
        group.kind == Kind::WrongLabel || !wrong.iter().any(overlaps)
    });
    groups.sort_by(|a, b| b.cohesion.total_cmp(&a.cohesion));
}

#[cfg(test)]
mod tests;
