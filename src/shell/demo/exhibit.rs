//! A caught record and what the networks make of it: what the picture shows.

use super::picture::Area;
use super::plan::{Plan, Truth};
use super::slice::{LABELS, PIXELS, SIDE, Slices};
use super::tally::{Caught, Tally};
use crate::model::{Filled, ModelError, Networks};
use crate::record::{Columns, FeatureId};

/// One flagged image.
#[derive(Clone, Debug)]
pub struct Exhibit {
    pub truth: Truth,
    /// What it shows.
    pub label: Option<&'static str>,
    /// What the guarded model takes it for.
    pub answer: Option<&'static str>,
    /// In [0, 1], `[784]`.
    pub x: Vec<f32>,
    /// AE(x), `[784]`.
    pub twin: Vec<f32>,
    pub p: f32,
    /// Where the reason is, if it is in one place.
    pub area: Option<Area>,
}

/// How many of each kind are shown.
const EACH: usize = 3;

/// Pixels this near to the first reason belong to it: a window of the local residual is 3 wide.
const NEAR: usize = 2;

/// So many reasons together make a place; fewer are scattered over the image.
const TOGETHER: usize = 3;

/// The first flagged suspects of each kind, in the order they were fed.
///
/// # Errors
/// If a network fails.
pub fn exhibits(
    tally: &Tally,
    plan: &Plan,
    slices: &Slices,
    networks: &mut Networks,
) -> Result<Vec<Exhibit>, ModelError> {
    let mut caught: Vec<&Caught> = tally.caught.iter().collect();
    caught.sort_by_key(|caught| caught.number);
    let first = |truth| caught.iter().filter(move |caught| caught.truth == truth).take(EACH);
    first(Truth::Trigger)
        .chain(first(Truth::Pgd))
        .map(|caught| Exhibit::new(caught, plan, slices, networks))
        .collect()
}

impl Exhibit {
    fn new(
        caught: &Caught,
        plan: &Plan,
        slices: &Slices,
        networks: &mut Networks,
    ) -> Result<Self, ModelError> {
        let planned = plan.records[caught.number];
        let image = slices.image(planned.truth, planned.image);
        let x: Vec<f32> = image.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let mut filled = Filled::default();
        networks.fill(Columns::TWIN.and(Columns::ANSWER), &x, &mut filled)?;
        let rows = filled.rows(&x);
        let answer = (rows.answer.ncols() == LABELS.len()).then(|| LABELS[rows.label(0)]);
        let reasons: Vec<FeatureId> = caught.trace.reasons.iter().map(|&(id, _)| id).collect();
        Ok(Self {
            truth: planned.truth,
            label: slices.label(planned.truth, planned.image),
            answer,
            twin: filled.twin(0).to_vec(),
            p: caught.trace.p,
            area: area(&reasons),
            x,
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
    fn the_area_holds_the_first_reason_and_its_neighbours_but_no_far_one() {
        let pixel = |y: usize, x: usize| FeatureId((y * SIDE + x) as u32);
        let found = area(&[pixel(24, 25), pixel(26, 26), pixel(25, 24), pixel(3, 3)]);
        assert_eq!(found, Some(Area { top: 24, left: 24, bottom: 26, right: 26 }));
        assert_eq!(area(&[pixel(24, 25), pixel(26, 26), pixel(3, 3)]), None, "scattered");
        assert_eq!(area(&[]), None);
    }
}
