//! A caught record and why it was caught: what the picture shows.

use super::area::Area;
use super::image::{PIXELS, SIDE};
use super::plan::{Plan, Truth};
use super::slice::{LABELS, Slices};
use super::tally::{Caught, Tally};
use crate::model::{Filled, ModelError, Networks};
use crate::record::{Columns, FeatureId, Record, Rectangle};
use crate::score::{Batch, Guard, GuardFailure};

/// One flagged image.
#[derive(Clone, Debug)]
pub struct Exhibit {
    pub truth: Truth,
    /// What it shows.
    pub label: Option<&'static str>,
    /// What the protected model takes it for.
    pub answer: Option<&'static str>,
    /// In [0, 1], `[784]`.
    pub x: Vec<f32>,
    /// What a correction makes of it, `[784]`.
    pub corrected: Vec<f32>,
    /// How much each pixel speaks against it: the square root, the loudest 1, `[784]`.
    pub heat: Vec<f32>,
    pub p: f32,
    /// The loudest detector, and its share of the merged score.
    pub leading: (String, f32),
    /// Where the reasons are, if they are in one place: the detector's own window, or what is near to
    /// the first of them.
    pub area: Option<Area>,
}

/// How many of each kind are shown.
const EACH: usize = 3;

/// Pixels this near to the first reason belong to it: a window of the local residual is 3 wide.
const NEAR: usize = 2;

/// So many reasons together make a place; fewer are scattered over the image.
const TOGETHER: usize = 3;

/// Why a caught record cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ExhibitError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Guard(#[from] GuardFailure),
}

/// The first flagged suspects of each kind, in the order they were fed.
///
/// # Errors
/// If a network fails.
pub fn exhibits(
    tally: &Tally,
    plan: &Plan,
    slices: &Slices,
    guard: &Guard,
    networks: &mut Networks,
) -> Result<Vec<Exhibit>, ExhibitError> {
    let mut caught: Vec<&Caught> = tally.caught.iter().collect();
    caught.sort_by_key(|caught| caught.number);
    let first = |truth| caught.iter().filter(move |caught| caught.truth == truth).take(EACH);
    first(Truth::Trigger)
        .chain(first(Truth::Pgd))
        .map(|caught| Exhibit::new(caught, plan, slices, guard, networks))
        .collect()
}

impl Exhibit {
    /// Scores the record once more: its header has the largest reasons, a picture needs a number for every pixel.
    fn new(
        caught: &Caught,
        plan: &Plan,
        slices: &Slices,
        guard: &Guard,
        networks: &mut Networks,
    ) -> Result<Self, ExhibitError> {
        let planned = plan.records[caught.number];
        let value = Some(slices.image(planned.truth, planned.image));
        let mut batch = Batch::default();
        batch.score(guard, networks, &[Record::bare(caught.trace.source, value)])?;
        let look = batch.explain(guard, 0).expect("it was scored before");
        let (x, mut corrected, mut heat) = (look.x().to_vec(), vec![], look.heat());
        look.corrected(&mut corrected);
        let loudest = heat.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        // The square root lets the quiet parts be seen beside the loudest.
        heat.iter_mut().for_each(|part| *part = (*part / loudest).sqrt());
        let mut filled = Filled::default();
        networks.fill(Columns::ANSWER, &x, &mut filled)?;
        let rows = filled.rows(&x);
        let answer = (rows.answer.ncols() == LABELS.len()).then(|| LABELS[rows.label(0)]);
        let reasons: Vec<FeatureId> = caught.trace.reasons.iter().map(|r| r.feature).collect();
        let leading = look.leading();
        Ok(Self {
            truth: planned.truth,
            label: slices.label(planned.truth, planned.image),
            answer,
            x,
            corrected,
            heat,
            p: caught.trace.p,
            leading: (guard.decider().members()[leading].kind.clone(), look.shares()[leading]),
            area: caught.trace.window.map(covered).or_else(|| area(&reasons)),
        })
    }

    /// What it is and what the model would have made of it.
    pub fn story(&self) -> String {
        match (self.label, self.answer) {
            (Some(label), Some(answer)) => format!("{label}, read as {answer}"),
            (label, _) => label.unwrap_or(self.truth.name()).to_owned(),
        }
    }

    pub fn p_text(&self) -> String {
        format!("p = {:.4}", self.p)
    }

    /// Who spoke loudest.
    pub fn leading_text(&self) -> String {
        let (kind, share) = &self.leading;
        format!("{kind} {:.0}%", 100.0 * share)
    }
}

/// A window's pixels.
fn covered(window: Rectangle) -> Area {
    let (top, left) = (window.corner.0 as usize / SIDE, window.corner.0 as usize % SIDE);
    let (bottom, right) =
        (top + usize::from(window.height) - 1, left + usize::from(window.width) - 1);
    Area { top, left, bottom, right }
}

/// The smallest area around the first of `reasons` and those near to it, if they are most of them.
fn area(reasons: &[FeatureId]) -> Option<Area> {
    let place = |id: &FeatureId| (id.0 as usize / SIDE, id.0 as usize % SIDE);
    let inside = reasons.iter().filter(|id| (id.0 as usize) < PIXELS);
    let mut pixels: Vec<_> = inside.map(place).collect();
    let &(y, x) = pixels.first()?;
    pixels.retain(|&(row, column)| row.abs_diff(y) <= NEAR && column.abs_diff(x) <= NEAR);
    let rows = || pixels.iter().map(|&(row, _)| row);
    let columns = || pixels.iter().map(|&(_, column)| column);
    let [top, bottom] = [rows().min()?, rows().max()?];
    let [left, right] = [columns().min()?, columns().max()?];
    (pixels.len() >= TOGETHER).then_some(Area { top, left, bottom, right })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_covers_its_corner_and_as_many_pixels_as_it_says() {
        let corner = FeatureId((24 * SIDE + 23) as u32);
        let found = covered(Rectangle { corner, height: 3, width: 2, share: 0.5 });
        assert_eq!(found, Area { top: 24, left: 23, bottom: 26, right: 24 });
    }

    #[test]
    fn the_area_holds_the_first_reason_and_its_neighbours_but_no_far_one() {
        let pixel = |y: usize, x: usize| FeatureId((y * SIDE + x) as u32);
        let found = area(&[pixel(24, 25), pixel(26, 26), pixel(25, 24), pixel(3, 3)]);
        assert_eq!(found, Some(Area { top: 24, left: 24, bottom: 26, right: 26 }));
        assert_eq!(area(&[pixel(24, 25), pixel(26, 26), pixel(3, 3)]), None, "scattered");
        assert_eq!(area(&[]), None);
    }
}
