//! What a row of a stream looks like: learned by `fit`, frozen in the bundle.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Index of one number in a row, `0..schema.width()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureId(pub u32);

impl fmt::Display for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One named part of a record, and how many columns of a row it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Feature {
    /// A number within closed bounds, in its own unit: one column.
    Number {
        name: String,
        min: f32,
        max: f32,
        /// What stands in for a missing number; without it, a record that lacks one is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impute: Option<f32>,
    },
    /// One of a few values: a column per value, 1 in that of its own, 0 elsewhere. A value that is
    /// not among them is 0 everywhere, which no learned value is: a fact of its own.
    Category {
        name: String,
        values: Vec<String>,
        /// Which of the values stands in for a missing one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impute: Option<String>,
    },
    /// An image in the model's own units, [0, 1], row-major `[channels, height, width]`.
    Image {
        name: String,
        channels: u32,
        height: u32,
        width: u32,
        /// What an integer pixel is divided by on its way to [0, 1]: 255 for 8-bit images.
        scale: f32,
    },
    /// Says which record it is, not what it is like: takes its place in the record, no column, and
    /// is never scored nor changed.
    Id { name: String },
}

/// The features of a row, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    pub features: Vec<Feature>,
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadSchema {
    #[error("the schema has no feature that can be scored")]
    Empty,
    #[error("a row would be {width} numbers wide; at most {max} are allowed", max = Schema::WIDTH_MAX)]
    TooWide { width: u64 },
    #[error("feature {name:?} appears twice")]
    Twice { name: String },
    #[error("feature {name:?}: the bounds {min}..={max} are not an interval of finite numbers")]
    Bounds { name: String, min: f32, max: f32 },
    #[error("feature {name:?}: the scale {scale} is not a positive number")]
    Scale { name: String, scale: f32 },
    #[error("feature {name:?} has no pixels")]
    NoPixels { name: String },
    #[error("feature {name:?} has {values} values; a category has 1 to {max}", max = Schema::VALUES_MAX)]
    Values { name: String, values: usize },
    #[error("feature {name:?} has the value {value:?} twice")]
    ValueTwice { name: String, value: String },
    #[error("feature {name:?} cannot impute {impute}: it is not among its values or bounds")]
    Impute { name: String, impute: String },
}

impl Feature {
    /// A number that every record must have.
    pub fn number(name: impl Into<String>, min: f32, max: f32) -> Self {
        Self::Number { name: name.into(), min, max, impute: None }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Number { name, .. }
            | Self::Category { name, .. }
            | Self::Image { name, .. }
            | Self::Id { name } => name,
        }
    }

    /// How many numbers of a row it takes.
    pub fn width(&self) -> u64 {
        match *self {
            Self::Number { .. } => 1,
            Self::Category { ref values, .. } => values.len() as u64,
            Self::Id { .. } => 0,
            Self::Image { channels, height, width, .. } => {
                u64::from(channels).saturating_mul(height.into()).saturating_mul(width.into())
            }
        }
    }

    /// Closed bounds of its numbers.
    pub fn bounds(&self) -> (f32, f32) {
        match *self {
            Self::Number { min, max, .. } => (min, max),
            Self::Image { .. } | Self::Category { .. } | Self::Id { .. } => (0.0, 1.0),
        }
    }
}

impl Schema {
    /// Widest row we accept: 1 Mi numbers, 4 MiB of `f32`. Hostile manifests stop here.
    pub const WIDTH_MAX: u64 = 1 << 20;

    /// Most values of one category. What has more is text or an id.
    pub const VALUES_MAX: usize = 4096;

    /// How many numbers a row has.
    pub fn width(&self) -> usize {
        self.features.iter().map(Feature::width).sum::<u64>() as usize
    }

    /// Whether no feature is an image.
    pub fn is_table(&self) -> bool {
        !self.features.iter().any(|feature| matches!(feature, Feature::Image { .. }))
    }

    /// Closed bounds of every number of a row, `[width]`.
    pub fn bounds(&self) -> Vec<(f32, f32)> {
        let spread = |f: &Feature| std::iter::repeat_n(f.bounds(), f.width() as usize);
        self.features.iter().flat_map(spread).collect()
    }

    /// What is said of every image whose integers are divided on their way into a row: a server that
    /// does not divide sees another image than we score.
    pub fn scaling(&self) -> impl Iterator<Item = String> + '_ {
        self.features.iter().filter_map(|feature| match feature {
            Feature::Image { name, scale, .. } if *scale != 1.0 => Some(format!(
                "integers of {name} are divided by {scale}, floats are taken as they are; a server \
                 that divides otherwise sees another image than we score"
            )),
            _ => None,
        })
    }

    /// The features, each with the columns of a row that are its own.
    pub fn columns(&self) -> impl Iterator<Item = (&Feature, Range<usize>)> {
        self.features.iter().scan(0, |start, feature| {
            let columns = *start..*start + feature.width() as usize;
            *start = columns.end;
            Some((feature, columns))
        })
    }

    /// The feature that a column is of.
    pub fn feature_of(&self, id: FeatureId) -> Option<&Feature> {
        let column = id.0 as usize;
        self.columns().find(|(_, columns)| columns.contains(&column)).map(|(feature, _)| feature)
    }

    /// Name of one column: `amount`, `country=DE`, or `image[0,12,7]` (channel, row, column).
    pub fn name_of(&self, id: FeatureId) -> String {
        let mut left = u64::from(id.0);
        for feature in &self.features {
            if left >= feature.width() {
                left -= feature.width();
                continue;
            }
            return match *feature {
                Feature::Number { ref name, .. } | Feature::Id { ref name } => name.clone(),
                Feature::Category { ref name, ref values, .. } => {
                    format!("{name}={}", values[left as usize])
                }
                Feature::Image { ref name, height, width, .. } => {
                    let (h, w) = (u64::from(height), u64::from(width));
                    format!("{name}[{},{},{}]", left / (h * w), left / w % h, left % w)
                }
            };
        }
        format!("feature {id}")
    }

    /// # Errors
    /// The first thing that makes this schema unusable.
    pub fn check(&self) -> Result<(), BadSchema> {
        let mut width = 0_u64;
        for (i, feature) in self.features.iter().enumerate() {
            let name = || feature.name().to_owned();
            if self.features[..i].iter().any(|f| f.name() == feature.name()) {
                return Err(BadSchema::Twice { name: name() });
            }
            match *feature {
                Feature::Number { min, max, impute, .. } => {
                    if !(min.is_finite() && max.is_finite() && min <= max) {
                        return Err(BadSchema::Bounds { name: name(), min, max });
                    }
                    if let Some(impute) = impute.filter(|x| !(min..=max).contains(x)) {
                        return Err(BadSchema::Impute { name: name(), impute: impute.to_string() });
                    }
                }
                Feature::Category { ref values, ref impute, .. } => {
                    if !(1..=Self::VALUES_MAX).contains(&values.len()) {
                        return Err(BadSchema::Values { name: name(), values: values.len() });
                    }
                    let mut sorted: Vec<&String> = values.iter().collect();
                    sorted.sort_unstable();
                    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                        let value = pair[0].clone();
                        return Err(BadSchema::ValueTwice { name: name(), value });
                    }
                    if let Some(impute) = impute.as_ref().filter(|value| !values.contains(value)) {
                        return Err(BadSchema::Impute { name: name(), impute: impute.clone() });
                    }
                }
                Feature::Id { .. } => {}
                Feature::Image { scale, .. } => {
                    if !(scale.is_finite() && scale > 0.0) {
                        return Err(BadSchema::Scale { name: name(), scale });
                    }
                    if feature.width() == 0 {
                        return Err(BadSchema::NoPixels { name: name() });
                    }
                }
            }
            width = width.saturating_add(feature.width());
        }
        if width == 0 {
            return Err(BadSchema::Empty);
        }
        if width > Self::WIDTH_MAX {
            return Err(BadSchema::TooWide { width });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(channels: u32, height: u32, width: u32) -> Feature {
        Feature::Image { name: "image".into(), channels, height, width, scale: 255.0 }
    }

    #[test]
    fn an_image_names_its_pixels_by_channel_row_and_column() {
        let number = Feature::number("amount", 0.0, 1.0);
        let schema = Schema { features: vec![number, image(2, 3, 4)] };
        assert_eq!(schema.width(), 25);
        assert_eq!(schema.name_of(FeatureId(0)), "amount");
        assert_eq!(schema.name_of(FeatureId(1)), "image[0,0,0]");
        assert_eq!(schema.name_of(FeatureId(24)), "image[1,2,3]");
    }

    #[test]
    fn a_category_takes_a_column_per_value_and_an_id_none() {
        let values = ["DE", "FR"].map(String::from).to_vec();
        let country = Feature::Category { name: "country".into(), values, impute: None };
        let id = Feature::Id { name: "order".into() };
        let schema = Schema { features: vec![id.clone(), country, Feature::number("x", 0.0, 1.0)] };
        assert_eq!(schema.check(), Ok(()));
        assert_eq!(schema.columns().map(|(_, c)| c).collect::<Vec<_>>(), [0..0, 0..2, 2..3]);
        assert_eq!(schema.name_of(FeatureId(1)), "country=FR");
        assert_eq!(schema.name_of(FeatureId(2)), "x");
        assert_eq!(Schema { features: vec![id] }.check(), Err(BadSchema::Empty));
    }

    #[test]
    fn what_is_imputed_must_be_a_value_that_could_have_been_there() {
        let number = Feature::Number { name: "x".into(), min: 0.0, max: 1.0, impute: Some(2.0) };
        let values = vec!["a".into()];
        let category = Feature::Category { name: "c".into(), values, impute: Some("b".into()) };
        for feature in [number, category] {
            let checked = Schema { features: vec![feature] }.check();
            assert!(matches!(checked, Err(BadSchema::Impute { .. })), "{checked:?}");
        }
    }

    #[test]
    fn a_hostile_width_is_refused_without_overflow() {
        let schema = Schema { features: vec![image(u32::MAX, u32::MAX, u32::MAX), image(1, 1, 1)] };
        assert!(matches!(schema.check(), Err(BadSchema::Twice { .. })));
        let schema = Schema { features: vec![image(u32::MAX, u32::MAX, u32::MAX)] };
        assert!(matches!(schema.check(), Err(BadSchema::TooWide { .. })));
    }
}
