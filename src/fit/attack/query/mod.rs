//! Attacks that only ask: for a model without a gradient, such as trees, behind rows of a table.
//!
//! Each begins at a row that the model gives another label, or at the row itself, and asks for the label
//! (one of them for the answers) of a bounded number of rows. Whatever is asked is a row that a record can
//! say: inside the schema's bounds, whole numbers where the column has whole numbers only, one value per
//! category. The kinds differ in where they stop: barely over the boundary, in few columns, a little in
//! every column, or some way beyond.
//!
//! It finds small changes, not the smallest, and none at all where no row of another label is near
//! enough to be reached by a line.

mod ask;
mod front;
mod search;
mod start;

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

pub use ask::Oracle;
pub use start::Starts;

use self::front::Front;
use super::space::Space;
use crate::fit::seed::{Use, block_stream};
use crate::model::ModelError;
use crate::record::Schema;

/// One kind of attack that only asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// On the line to the nearest row of another label, barely over the boundary.
    Line,
    /// From there along the boundary, nearer to the row.
    Boundary,
    /// Along the boundary, then further away from the row again.
    Beyond,
    /// As many columns as can be have the row's own value.
    Sparse,
    /// Every number by the same part of its unit.
    Signs,
    /// From the row itself, column by column, wherever the answer for its label falls.
    Search,
}

/// All kinds, in the order of a report.
pub const QUERIES: [Query; 6] =
    [Query::Line, Query::Boundary, Query::Beyond, Query::Sparse, Query::Signs, Query::Search];

/// Where a query attack happens: the units of columns, and which columns belong together.
#[derive(Clone, Debug)]
pub struct Terrain<'a> {
    pub space: &'a Space,
    /// The columns of each feature; those of a category change together.
    features: Vec<Range<usize>>,
}

impl<'a> Terrain<'a> {
    pub fn new(schema: &Schema, space: &'a Space) -> Self {
        let features = schema.columns().map(|(_, columns)| columns);
        Self { space, features: features.filter(|columns| !columns.is_empty()).collect() }
    }

    /// Whether column `j` is a number: its changes have a size.
    fn is_number(&self, j: usize) -> bool {
        self.space.unit[j] > 0.0
    }
}

impl Query {
    /// What a report calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Line => "queries, line",
            Self::Boundary => "queries, boundary",
            Self::Beyond => "queries, beyond",
            Self::Sparse => "queries, sparse",
            Self::Signs => "queries, signs",
            Self::Search => "queries, search",
        }
    }

    /// Attacked copies of the rows `x` [n · d] whose labels are `own`, as far as they have another label,
    /// and the label that each had: fewer rows than went in. At most 250 questions a row.
    ///
    /// # Errors
    /// If the model fails.
    pub fn successes(
        self,
        oracle: &mut Oracle<'_>,
        terrain: &Terrain<'_>,
        starts: &Starts,
        (x, own): (&[f32], &[u32]),
        seed: u64,
    ) -> Result<(Vec<f32>, Vec<u32>), ModelError> {
        let rng = &mut block_stream(seed, Use::Queries, self as usize);
        let d = terrain.space.width();
        let z = self.attacked(oracle, terrain, starts, (x, own), rng)?;
        let got = oracle.labels(&z)?;
        let (mut rows, mut labels) = (vec![], vec![]);
        let moved = z.chunks(d).zip(got).zip(own).filter(|((_, got), own)| got != *own);
        moved.for_each(|((row, _), &label)| {
            rows.extend_from_slice(row);
            labels.push(label);
        });
        Ok((rows, labels))
    }

    fn attacked(
        self,
        oracle: &mut Oracle<'_>,
        terrain: &Terrain<'_>,
        starts: &Starts,
        (x, own): (&[f32], &[u32]),
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, ModelError> {
        if self == Self::Search {
            return search::search(oracle, terrain, (x, own), rng);
        }
        let mut front = Front::new(terrain, (x, own), starts.nearest(terrain, x, own));
        front.give_back_categories(oracle)?;
        match self {
            Self::Line | Self::Search => front.approach(oracle)?,
            Self::Boundary => front.roam(oracle, rng)?,
            Self::Beyond => {
                front.roam(oracle, rng)?;
                front.push(oracle, rng)?;
            }
            Self::Sparse => {
                front.give_back(oracle, rng)?;
                front.approach(oracle)?;
            }
            Self::Signs => front.signs(oracle, rng)?,
        }
        Ok(front.into_rows())
    }
}

#[cfg(test)]
mod tests;
