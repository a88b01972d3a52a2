//! Which pairs of values training rows had: what explains a row of ordinary values that do not belong together.
//!
//! It scores nothing. Distances notice such a row, and name one of its features, or all of them a little; a person
//! wants to read which two values never come together. Numbers count by their octile, categories by their value.
//! Blind to combinations of three, to features beyond the first few dozen, and to pairs of which either value is so
//! rare that their absence says nothing.

use std::ops::Range;

use crate::bundle::{TensorError, Tensors};
use crate::record::{Feature, Schema};

/// Joint counts of every two features.
#[derive(Debug)]
pub struct Pairs {
    features: Vec<Counted>,
    /// Of features i < j the block `[bins of i, bins of j]`, by i, then j.
    counts: Vec<f32>,
    /// How often each bin of each feature was seen.
    own: Vec<Vec<f32>>,
    rows: f32,
}

/// A feature that is counted.
#[derive(Debug)]
struct Counted {
    /// Which of the schema's.
    feature: u32,
    columns: Range<usize>,
    bins: usize,
    /// A number lies in the bin of the first edge that is not below it; a category has none.
    edges: Option<[f32; EDGES]>,
}

/// Edges between the octiles of a number.
const EDGES: usize = 7;

/// Values of a category that have a bin of their own; the others share one.
const VALUES_MAX: usize = 31;

/// Counts in all: half a megabyte. Features beyond are not counted.
const COUNTS_MAX: usize = 128 << 10;

/// A pair is rare if it was seen this much less often than two features that do not depend on each other
/// would show it, and in at most one of a thousand rows.
const RARER: f32 = 20.0;
const SHARE_MAX: f32 = 1e-3;

const EDGES_NAME: &str = "pairs.edges";
const COUNTS_NAME: &str = "pairs.counts";
const ROWS_NAME: &str = "pairs.rows";

/// The features of `schema` that are counted, the edges of numbers still 0.
fn counted(schema: &Schema) -> Vec<Counted> {
    let mut features: Vec<Counted> = vec![];
    let (mut bins_before, mut counts) = (0, 0);
    for (i, (feature, columns)) in (0..).zip(schema.columns()) {
        let (bins, edges) = match feature {
            Feature::Number { .. } => (EDGES + 1, Some([0.0; EDGES])),
            Feature::Category { values, .. } => (values.len().min(VALUES_MAX) + 1, None),
            Feature::Image { .. } | Feature::Id { .. } => continue,
        };
        counts += bins_before * bins;
        if counts > COUNTS_MAX {
            break;
        }
        bins_before += bins;
        features.push(Counted { feature: i, columns, bins, edges });
    }
    features
}

impl Counted {
    /// The bin of its value in `x`; none of a value that no training row had.
    fn bin(&self, x: &[f32]) -> Option<usize> {
        match &self.edges {
            Some(edges) => Some(edges.partition_point(|&edge| edge < x[self.columns.start])),
            None => {
                x[self.columns.clone()].iter().position(|&x| x > 0.5).map(|i| i.min(VALUES_MAX))
            }
        }
    }
}

impl Pairs {
    /// `None` of a bundle that has none.
    ///
    /// # Errors
    /// If what it has is not of this schema.
    pub fn load(tensors: &Tensors, schema: &Schema) -> Result<Option<Self>, TensorError> {
        if !tensors.names().any(|name| name == COUNTS_NAME) {
            return Ok(None);
        }
        let mut features = counted(schema);
        let numbers = features.iter().filter(|counted| counted.edges.is_some()).count();
        if numbers > 0 {
            let learned = tensors.matrix(EDGES_NAME, numbers, EDGES)?;
            let own = features.iter_mut().filter_map(|counted| counted.edges.as_mut());
            for (edges, learned) in own.zip(learned.rows()) {
                edges.iter_mut().zip(learned).for_each(|(edge, learned)| *edge = *learned);
                // A hostile bundle must not make a search meaningless.
                edges.sort_unstable_by(f32::total_cmp);
            }
        }
        let n = blocks(&features).last().map_or(0, |(_, _, block)| block.end);
        let (counts, most) = ("counts, from 0 to 2^24", (0.0, (1 << 24) as f32));
        let loaded = tensors.within(COUNTS_NAME, n, most, counts)?;
        let rows = tensors.within(ROWS_NAME, 1, most, counts)?[0];
        Ok(Some(Self::of(features, loaded.to_vec(), rows)))
    }

    fn of(features: Vec<Counted>, counts: Vec<f32>, rows: f32) -> Self {
        let mut own: Vec<Vec<f32>> = features.iter().map(|f| vec![0.0; f.bins]).collect();
        for (i, j, block) in blocks(&features) {
            // Each feature once: the first with the second, every other with the first.
            for (at, &count) in counts[block].iter().enumerate() {
                let (a, b) = (at / features[j].bins, at % features[j].bins);
                if (i, j) == (0, 1) {
                    own[0][a] += count;
                }
                if i == 0 {
                    own[j][b] += count;
                }
            }
        }
        Self { features, counts, own, rows }
    }

    /// The two features whose values in `x` `[d]` are together much rarer than each alone explains, and whether no
    /// training row had both; the schema's first feature first. O(features²).
    pub fn rarest(&self, x: &[f32]) -> Option<(u32, u32, bool)> {
        let bins: Vec<Option<usize>> = self.features.iter().map(|f| f.bin(x)).collect();
        let mut rarest = (RARER, None);
        let mut start = 0;
        for (i, a) in self.features.iter().enumerate() {
            for (j, b) in self.features.iter().enumerate().skip(i + 1) {
                let block = start;
                start += a.bins * b.bins;
                let (Some(p), Some(q)) = (bins[i], bins[j]) else { continue };
                let seen = self.counts[block + p * b.bins + q];
                let expected = self.own[i][p] * self.own[j][q] / self.rows.max(1.0);
                let rarer = expected / (seen + 1.0);
                if rarer > rarest.0 && seen <= SHARE_MAX * self.rows {
                    rarest = (rarer, Some((a.feature, b.feature, seen == 0.0)));
                }
            }
        }
        rarest.1
    }
}

/// Every two features i < j, and where their counts are.
fn blocks(features: &[Counted]) -> impl Iterator<Item = (usize, usize, Range<usize>)> + '_ {
    let n = features.len();
    let pairs = (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)));
    pairs.scan(0, |start, (i, j)| {
        let block = *start..*start + features[i].bins * features[j].bins;
        *start = block.end;
        Some((i, j, block))
    })
}

#[cfg(feature = "fit")]
mod learn {
    use ndarray::ArrayView2;

    use super::*;

    impl Pairs {
        /// Counts the clean rows `x` `[n, d]`; `None` if fewer than two features are counted.
        pub fn learn(x: ArrayView2<'_, f32>, schema: &Schema) -> Option<Self> {
            let mut features = counted(schema);
            if features.len() < 2 || x.nrows() == 0 {
                return None;
            }
            for counted in &mut features {
                let Some(edges) = &mut counted.edges else { continue };
                let mut values = x.column(counted.columns.start).to_vec();
                values.sort_unstable_by(f32::total_cmp);
                for (i, edge) in edges.iter_mut().enumerate() {
                    *edge = values[(i + 1) * (values.len() - 1) / (EDGES + 1)];
                }
            }
            let n = blocks(&features).last().map_or(0, |(_, _, block)| block.end);
            let mut counts = vec![0.0; n];
            for row in x.rows() {
                let row = row.to_vec();
                let bins: Vec<Option<usize>> = features.iter().map(|f| f.bin(&row)).collect();
                for (i, j, block) in blocks(&features) {
                    if let (Some(p), Some(q)) = (bins[i], bins[j]) {
                        counts[block.start + p * features[j].bins + q] += 1.0;
                    }
                }
            }
            Some(Self::of(features, counts, x.nrows() as f32))
        }

        pub fn save(&self, tensors: &mut Tensors) {
            let edges: Vec<f32> = self.features.iter().filter_map(|f| f.edges).flatten().collect();
            if !edges.is_empty() {
                tensors.put(EDGES_NAME, &[edges.len() / EDGES, EDGES], edges);
            }
            tensors.put(COUNTS_NAME, &[self.counts.len()], self.counts.clone());
            tensors.put(ROWS_NAME, &[1], vec![self.rows]);
        }
    }
}

#[cfg(all(test, feature = "fit"))]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn schema() -> Schema {
        let category = |name: &str| Feature::Category {
            name: name.into(),
            values: ["a", "b"].map(String::from).to_vec(),
            impute: None,
        };
        let id = Feature::Id { name: "id".into() };
        let number = Feature::number("n", -1e3, 1e3);
        Schema { features: vec![id, category("c"), number, category("e")] }
    }

    /// 1000 rows in which c and e are the same value, and n is above 0 only with b.
    fn learned() -> Pairs {
        let x = Array2::from_shape_fn((1000, 5), |(i, column)| {
            let b = i % 2 == 1;
            match column {
                0 | 3 => f32::from(u8::from(!b)),
                1 | 4 => f32::from(u8::from(b)),
                _ => (if b { 1.0 } else { -1.0 }) * (1 + i / 2 % 50) as f32,
            }
        });
        Pairs::learn(x.view(), &schema()).unwrap()
    }

    fn check(x: [f32; 5], expected: Option<(u32, u32, bool)>) {
        let mut tensors = Tensors::default();
        learned().save(&mut tensors);
        let loaded = Pairs::load(&tensors, &schema()).unwrap().unwrap();
        for pairs in [learned(), loaded] {
            assert_eq!(pairs.rarest(&x), expected, "{x:?}");
        }
    }

    #[test]
    fn the_two_values_that_no_row_had_together_are_named() {
        check([1.0, 0.0, -20.0, 1.0, 0.0], None);
        check([0.0, 1.0, 20.0, 0.0, 1.0], None);
        check([1.0, 0.0, -20.0, 0.0, 1.0], Some((1, 3, true)));
        // Its octile holds a quarter of the rows that have the other value.
        check([1.0, 0.0, 20.0, 1.0, 0.0], Some((1, 2, true)));
    }

    #[test]
    fn a_value_that_was_never_seen_is_in_no_pair() {
        check([0.0, 0.0, 20.0, 0.0, 1.0], None);
    }

    #[test]
    fn a_bundle_without_counts_has_no_pairs_and_one_with_others_is_refused() {
        assert!(Pairs::load(&Tensors::default(), &schema()).unwrap().is_none());
        let mut tensors = Tensors::default();
        learned().save(&mut tensors);
        tensors.put(COUNTS_NAME, &[3], vec![1.0; 3]);
        assert!(matches!(Pairs::load(&tensors, &schema()), Err(TensorError::Shape { .. })));
    }

    #[test]
    fn a_wide_table_is_counted_as_far_as_there_is_room() {
        let features = (0..900).map(|i| Feature::number(format!("x{i}"), 0.0, 1.0)).collect();
        let features = counted(&Schema { features });
        let counts = blocks(&features).last().unwrap().2.end;
        assert!((COUNTS_MAX / 2..=COUNTS_MAX).contains(&counts), "{counts}");
    }
}
