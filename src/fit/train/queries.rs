//! What weighs the detectors of a table whose model has no gradient: attacks that only ask.

use super::error::TrainError;
use super::material::{Material, Own, Weighing, matrix};
use super::protected::Protected;
use crate::fit::attack::{self, Oracle, QUERIES, Space, Starts, Terrain};
use crate::fit::progress::Watch;
use crate::fit::seed::{Use, stream};
use crate::model::Network;

/// Rows of each family at most: with six families of up to 250 questions a row 450,000 answers of the model.
/// A fit on 10,500 rows of ten columns asked 132,282 times; with 200 trees of 31 leaves all of it took 8 CPU
/// seconds.
const FAMILY_ROWS: usize = 300;

/// Rows that attacks may begin at.
const START_ROWS: usize = 5000;

/// Successes that can weigh detectors: with fewer, each would move a weight by a tenth of what it is.
const SUCCESSES_MIN: usize = 100;

impl Material<'_> {
    /// Attacks by queries on the first half of the validation part, beside the other half: `None` if too
    /// few of them succeed.
    ///
    /// # Errors
    /// If the model fails.
    pub fn queried(
        &self,
        protected: &Protected,
        space: &Space,
        watch: &mut dyn Watch,
    ) -> Result<Option<Weighing>, TrainError> {
        let (d, seed) = (space.width(), self.options.seed);
        let mut network = Network::load(self.runtime, "the protected model", &protected.onnx, d)?;
        let oracle = &mut Oracle::new(&mut network);
        let train = &self.split.train;
        let starts = self.rows(&train[..train.len().min(START_ROWS)]);
        let labels = oracle.labels(&starts)?;
        let (terrain, starts) = (Terrain::new(self.schema, space), Starts::new(starts, labels));

        let (sources, clean) = self.split.validation.split_at(self.split.validation.len() / 2);
        let answers = oracle.labels(&self.rows(sources))?;
        let right = self.right(sources, &answers);
        let (mut attacks, mut from) = (vec![], 0);
        for (i, query) in QUERIES.into_iter().enumerate() {
            let title = query.title();
            watch.stage(&format!("weighing by {title} ({} of {})", i + 1, QUERIES.len()));
            let turn = (0..FAMILY_ROWS.min(right.len())).map(|i| right[(from + i) % right.len()]);
            let (rows, own): (Vec<usize>, Vec<u32>) = turn.unzip();
            from += rows.len();
            let x = self.rows(&rows);
            let (rows, labels) = query.successes(oracle, &terrain, &starts, (&x, &own), seed)?;
            if !labels.is_empty() {
                let family = title.into();
                attacks.push(Own { family, weight: 1.0, x: matrix(rows, d), labels });
            }
        }
        let successes: usize = attacks.iter().map(|own| own.labels.len()).sum();
        watch.stage(&format!(
            "{successes} of them succeed; the model was asked {} times",
            oracle.asked()
        ));
        if successes < SUCCESSES_MIN {
            return Ok(None);
        }
        let rows = self.rows(clean);
        let mut rng = stream(seed, Use::Families);
        let harmless = matrix(attack::harmless(self.schema, space, &rows, &mut rng), d);
        Ok(Some(Weighing { clean: matrix(rows, d), harmless, attacks }))
    }

    /// The rows of `sources` that have their label as `answers`, with it: what the model has wrong already
    /// needs no attack.
    pub fn right(&self, sources: &[usize], answers: &[u32]) -> Vec<(usize, u32)> {
        let pairs = sources.iter().copied().zip(answers.iter().copied());
        let right = |&(at, label): &(usize, u32)| self.y.is_none_or(|y| y[at] == i64::from(label));
        pairs.filter(right).collect()
    }
}
