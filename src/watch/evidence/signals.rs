//! What is counted of every scored row: frozen histograms, learned by `fit`.
//!
//! A wide row is not counted number by number: of an image the means of a grid, of a table at most
//! [`INPUTS_MAX`] columns. What changes elsewhere shows in the detectors' scores, or not at all.

use std::ops::Range;

use crate::alarm::Reference;
use crate::bundle::{Member, TensorError, Tensors};
use crate::record::{Feature, FeatureId, Schema};

/// One histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// What a person calls it: `amount`, `image rows 4-7, columns 8-11`, `score of reconstruction`.
    pub name: String,
    pub of: Of,
    pub bins: Bins,
}

/// What of a row is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A number of the row.
    Number(usize),
    /// Which of a category's columns is set; the last bin if none is.
    Category(Range<usize>),
    /// The mean of a part of an image.
    Pool(Patch),
    /// Something about all pixels of an image, which lie there in the row.
    Whole(Range<usize>, Stat),
    /// A detector's score, by its place in the manifest.
    Score(usize),
    /// The merged score.
    Merged,
    /// The protected model's largest probability.
    Confidence,
    /// The label that it gives.
    Label,
    /// That label, and where on a 9 × 9 grid the residual is strangest.
    Place,
}

/// What is looked at of an image as a whole: light, contrast and noise hardly move the means of a
/// grid, and move these at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Stat {
    Mean,
    /// Standard deviation.
    Contrast,
    #[strum(serialize = "brightest pixel")]
    Brightest,
    #[strum(serialize = "darkest pixel")]
    Darkest,
    /// Share of the pixels that are 0.
    #[strum(serialize = "share of black pixels")]
    Black,
    /// Share of the pixels that are 1.
    #[strum(serialize = "share of white pixels")]
    White,
}

impl Stat {
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    fn name(self) -> &'static str {
        self.into()
    }
}

/// A rectangle of one channel: where it starts in a row, its size, and the width of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    pub start: usize,
    pub height: usize,
    pub width: usize,
    pub stride: usize,
}

/// Where one bin ends and the next begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Bins {
    /// A value above so many edges falls into that bin.
    Edges(Vec<f32>),
    /// Bins that are numbered already.
    Numbered(usize),
}

/// All histograms of a stream, one after the other in one row of cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    pub(super) signals: Vec<Signal>,
    /// The first cell of each, and the end of the last.
    pub(super) starts: Vec<usize>,
    /// Clean rows that nothing was fitted on, per cell.
    pub(super) clean: Vec<u64>,
    /// Of places: the largest share of clean rows that may be in each cell.
    pub(super) places: Vec<f32>,
}

/// Inputs that are watched one by one.
pub const INPUTS_MAX: usize = 96;
/// Labels that are watched one by one, and with places.
const LABELS_MAX: usize = 64;
/// Edges of a number: 48 bins of equal mass, the outermost cut into 8 more, each half an octave
/// smaller.
pub(super) const EDGES: usize = 63;
/// Side of the grid of places.
pub const PLACES: usize = 9;

impl Bins {
    pub fn count(&self) -> usize {
        match self {
            Self::Edges(edges) => edges.len() + 1,
            Self::Numbered(n) => *n,
        }
    }
}

impl Signals {
    /// No signals: all that is watched are the records' fates.
    pub fn none() -> Self {
        Self { signals: vec![], starts: vec![0], clean: vec![], places: vec![] }
    }

    /// What can be counted of such rows; edges are still to be learned. `labels` is 1 without a
    /// protected model.
    pub fn of(schema: &Schema, members: &[Member], labels: usize) -> Self {
        let mut list = inputs(schema);
        let unlearned = || Bins::Edges(vec![0.0; EDGES]);
        let ordered = |name: String, of| Signal { name, of, bins: unlearned() };
        for (i, member) in members.iter().enumerate() {
            list.push(ordered(format!("score of {}", member.kind), Of::Score(i)));
        }
        list.push(ordered("merged score".into(), Of::Merged));
        if labels > 1 {
            list.push(ordered("confidence".into(), Of::Confidence));
            let numbered =
                |name: &str, of, n| Signal { name: name.into(), of, bins: Bins::Numbered(n) };
            list.push(numbered("label", Of::Label, labels.min(LABELS_MAX)));
            let image = schema.features.iter().any(|f| matches!(f, Feature::Image { .. }));
            let local = members.iter().any(|member| member.kind == "local-residual");
            if labels <= LABELS_MAX && image && local {
                list.push(numbered("place", Of::Place, labels * PLACES * PLACES));
            }
        }
        let mut starts = vec![0];
        list.iter()
            .for_each(|signal| starts.push(starts.last().expect("one") + signal.bins.count()));
        let cells = *starts.last().expect("one");
        Self { signals: list, starts, clean: vec![0; cells], places: vec![] }
    }

    pub fn list(&self) -> &[Signal] {
        &self.signals
    }

    /// How many cells all histograms have.
    pub fn cells(&self) -> usize {
        *self.starts.last().expect("one")
    }

    /// Cells of the `i`th signal.
    pub fn range(&self, i: usize) -> Range<usize> {
        self.starts[i]..self.starts[i + 1]
    }

    /// Clean rows by bin of the `i`th signal.
    pub fn clean(&self, i: usize) -> Reference {
        Reference::new(self.clean[self.range(i)].to_vec())
    }

    /// The largest shares of clean rows by place.
    pub fn places(&self) -> &[f32] {
        &self.places
    }

    /// Cell of the `i`th signal for a value, `NaN` in the lowest.
    pub fn cell(&self, i: usize, value: f32) -> usize {
        let bin = match &self.signals[i].bins {
            Bins::Edges(edges) => edges.partition_point(|&edge| value > edge),
            Bins::Numbered(n) => (value as usize).min(n - 1),
        };
        self.starts[i] + bin
    }

    /// # Errors
    /// If the bundle's tensors are not those of `self`, which [`Signals::of`] made.
    pub fn load(mut self, tensors: &Tensors) -> Result<Self, TensorError> {
        let with_edges = |signal: &&mut Signal| matches!(signal.bins, Bins::Edges(_));
        let n = self.signals.iter_mut().filter(with_edges).count();
        let edges = tensors.matrix(EDGES_NAME, n, EDGES)?;
        let rows = edges.rows();
        for (signal, row) in self.signals.iter_mut().filter(with_edges).zip(rows) {
            signal.bins = Bins::Edges(row.to_vec());
        }
        let counts = (0.0, 16_777_216.0);
        let clean = tensors.within(CLEAN_NAME, self.cells(), counts, "counts of rows")?;
        self.clean = clean.iter().map(|&count| count as u64).collect();
        if let Some(place) = self.place() {
            let (n, shares) = (self.range(place).len(), (0.0, 1.0));
            self.places = tensors.within(PLACES_NAME, n, shares, "shares of rows")?.to_vec();
        }
        Ok(self)
    }

    /// Whether a bundle has what [`Signals::load`] reads.
    pub fn are_in(tensors: &Tensors) -> bool {
        tensors.names().any(|name| name == CLEAN_NAME)
    }

    pub(super) fn place(&self) -> Option<usize> {
        self.signals.iter().position(|signal| signal.of == Of::Place)
    }
}

pub(super) const EDGES_NAME: &str = "signals.edges";
pub(super) const CLEAN_NAME: &str = "signals.clean";
pub(super) const PLACES_NAME: &str = "signals.places";

/// What is counted of the row itself.
fn inputs(schema: &Schema) -> Vec<Signal> {
    let mut list = vec![];
    for (feature, columns) in schema.columns() {
        match *feature {
            Feature::Id { .. } => {}
            Feature::Number { ref name, .. } => list.push(Signal {
                name: name.clone(),
                of: Of::Number(columns.start),
                bins: Bins::Edges(vec![0.0; EDGES]),
            }),
            Feature::Category { ref name, ref values, .. } => list.push(Signal {
                name: name.clone(),
                bins: Bins::Numbered(values.len().min(EDGES - 1) + 1),
                of: Of::Category(columns),
            }),
            Feature::Image { ref name, channels, height, width, .. } => {
                let (channels, height, width) =
                    (channels as usize, height as usize, width as usize);
                let side = (1..=7).rev().find(|side| channels * side * side <= 49).unwrap_or(1);
                let (rows, across) = (side.min(height), side.min(width));
                let patches = (0..channels * rows * across).map(|i| {
                    let (c, y, x) = (i / (rows * across), i / across % rows, i % across);
                    let (top, bottom) = (y * height / rows, (y + 1) * height / rows);
                    let (left, right) = (x * width / across, (x + 1) * width / across);
                    let start = columns.start + (c * height + top) * width + left;
                    let patch =
                        Patch { start, height: bottom - top, width: right - left, stride: width };
                    let channel =
                        if channels > 1 { format!("channel {c}, ") } else { String::new() };
                    let (last, end) = (bottom - 1, right - 1);
                    Signal {
                        name: format!("{name} {channel}rows {top}-{last}, columns {left}-{end}"),
                        of: Of::Pool(patch),
                        bins: Bins::Edges(vec![0.0; EDGES]),
                    }
                });
                list.extend(patches);
                list.extend(Stat::ALL.iter().map(|&stat| Signal {
                    name: format!("{name}: {}", stat.name()),
                    of: Of::Whole(columns.clone(), stat),
                    bins: Bins::Edges(vec![0.0; EDGES]),
                }));
            }
        }
    }
    let n = list.len();
    let keep = |i: usize| n <= INPUTS_MAX || (i + 1) * INPUTS_MAX / n > i * INPUTS_MAX / n;
    let kept = list.into_iter().enumerate().filter(|(i, _)| keep(*i));
    kept.map(|(_, signal)| signal).collect()
}

impl Signal {
    /// Whether it is of what the sender sent, not of what the guard made of it.
    pub fn is_input(&self) -> bool {
        matches!(self.of, Of::Number(_) | Of::Category(_) | Of::Pool(_) | Of::Whole(..))
    }

    /// Name of a bin that is numbered.
    pub fn bin_name(&self, bin: usize, schema: &Schema) -> String {
        match &self.of {
            Of::Category(columns) if bin + 1 < self.bins.count() => {
                schema.name_of(FeatureId((columns.start + bin) as u32))
            }
            Of::Category(_) => format!("{} that no clean row had", self.name),
            Of::Place => {
                let (label, place) = (bin / (PLACES * PLACES), bin % (PLACES * PLACES));
                format!("label {label}, row {} and column {} of 9", place / PLACES, place % PLACES)
            }
            _ => format!("{} {bin}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_watched_by_a_grid_that_covers_every_pixel_once() {
        for (channels, height, width) in [(1, 28, 28), (3, 32, 32), (1, 5, 9), (1, 1, 1)] {
            let image = Feature::Image { name: "i".into(), channels, height, width, scale: 255.0 };
            let signals = inputs(&Schema { features: vec![image] });
            let signals: Vec<_> =
                signals.into_iter().filter(|signal| matches!(signal.of, Of::Pool(_))).collect();
            assert!(signals.len() <= 49, "{}", signals.len());
            let mut seen = vec![0; (channels * height * width) as usize];
            for signal in signals {
                let Of::Pool(Patch { start, height, width, stride }) = signal.of else { panic!() };
                for y in 0..height {
                    (0..width).for_each(|x| seen[start + y * stride + x] += 1);
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "{channels} {height} {width}");
        }
    }

    #[test]
    fn a_wide_table_is_watched_by_as_many_columns_as_there_is_room_for() {
        let features = (0..1000).map(|i| Feature::number(format!("f{i}"), 0.0, 1.0)).collect();
        assert_eq!(inputs(&Schema { features }).len(), INPUTS_MAX);
    }
}
