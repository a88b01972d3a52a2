//! What a person says of a table's columns; the rest is inferred.

use super::table::cell::word;
use crate::codec::Scalar;
use crate::record::Schema;

/// What is said about a table's columns; the rest is inferred.
#[derive(Clone, Debug, PartialEq)]
pub struct Hints {
    /// Columns that say which record it is.
    pub ids: Vec<String>,
    /// Columns of codes: each value is a name, also if it is a number.
    pub categories: Vec<String>,
    /// Hard bounds of numbers; inferred for the others.
    pub bounds: Vec<(String, f32, f32)>,
    /// Whether what is missing in clean rows may be missing in records.
    pub impute: bool,
    /// Most values of a column that is taken for a category.
    pub values_max: usize,
    /// The features, instead of all inference.
    pub schema: Option<Schema>,
    /// Which rows are clean; all of them unless given.
    pub label: Option<Label>,
}

/// A column that says what a row is.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub name: String,
    /// What it says of clean rows; `normal`, `0` or `false` unless given.
    pub normal: Option<String>,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            ids: vec![],
            categories: vec![],
            bounds: vec![],
            impute: false,
            values_max: Self::VALUES_MAX,
            schema: None,
            label: None,
        }
    }
}

impl Hints {
    /// Above this, a column of words is more likely text or an id.
    pub const VALUES_MAX: usize = 256;

    /// Names of columns that do not exist.
    pub fn unknown(&self, names: &[String]) -> Option<String> {
        let bounds = self.bounds.iter().map(|(name, ..)| name);
        let features = self.schema.iter().flat_map(|schema| &schema.features);
        let features: Vec<String> = features.map(|feature| feature.name().to_owned()).collect();
        let label = self.label.iter().map(|label| &label.name);
        let all = self.ids.iter().chain(&self.categories).chain(bounds).chain(label);
        all.chain(&features).find(|name| !names.contains(name)).cloned()
    }
}

impl Label {
    /// Whether rows that say `said` are clean.
    pub fn is_normal(&self, said: &str) -> bool {
        match &self.normal {
            Some(normal) => {
                word(Scalar::Text(normal)).is_some_and(|normal| normal == said) || normal == said
            }
            None => ["normal", "0", "false"].contains(&said),
        }
    }

    /// Where the label stands among `names`.
    pub fn place(&self, names: &[String]) -> Option<usize> {
        names.iter().position(|name| *name == self.name)
    }
}

/// Hard bounds of a number seen between `min` and `max`: as much room again on each side. A new
/// extreme is for detectors to score; only nonsense is for bounds to refuse. They are taken from
/// all clean rows, not only those that are learned from: a calibration row outside them would be a
/// fault on the record path and had no score to calibrate with.
pub fn bounds(min: f64, max: f64) -> (f32, f32) {
    // In `f64`, because the distance between two `f32` may be no `f32`.
    let room = if max > min { max - min } else { max.abs().max(1.0) };
    let finite = |value: f64| value.clamp(f32::MIN.into(), f32::MAX.into()) as f32;
    (finite(min - room), finite(max + room))
}
