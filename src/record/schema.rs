//! What a row of a stream looks like: learned by `fit`, frozen in the bundle.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Index of one number in a row, `0..schema.width()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureId(pub u32);

impl fmt::Display for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One named part of a row. A number is one column wide, an image `channels · height · width`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Feature {
    /// A number within closed bounds, in its own unit.
    Number { name: String, min: f32, max: f32 },
    /// An image in the model's own units, [0, 1], row-major `[channels, height, width]`.
    Image {
        name: String,
        channels: u32,
        height: u32,
        width: u32,
        /// What an integer pixel is divided by on its way to [0, 1]: 255 for 8-bit images.
        scale: f32,
    },
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
    #[error("the schema has no feature")]
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
}

impl Feature {
    pub fn name(&self) -> &str {
        match self {
            Self::Number { name, .. } | Self::Image { name, .. } => name,
        }
    }

    /// How many numbers of a row it takes.
    pub fn width(&self) -> u64 {
        match *self {
            Self::Number { .. } => 1,
            Self::Image { channels, height, width, .. } => {
                u64::from(channels).saturating_mul(height.into()).saturating_mul(width.into())
            }
        }
    }

    /// Closed bounds of its numbers.
    pub fn bounds(&self) -> (f32, f32) {
        match *self {
            Self::Number { min, max, .. } => (min, max),
            Self::Image { .. } => (0.0, 1.0),
        }
    }
}

impl Schema {
    /// Widest row we accept: 1 Mi numbers, 4 MiB of `f32`. Hostile manifests stop here.
    pub const WIDTH_MAX: u64 = 1 << 20;

    /// How many numbers a row has.
    pub fn width(&self) -> usize {
        self.features.iter().map(Feature::width).sum::<u64>() as usize
    }

    /// Closed bounds of every number of a row, `[width]`.
    pub fn bounds(&self) -> Vec<(f32, f32)> {
        let spread = |f: &Feature| std::iter::repeat_n(f.bounds(), f.width() as usize);
        self.features.iter().flat_map(spread).collect()
    }

    /// What an integer of each column is divided by to reach model units, `[width]`; 1 for numbers.
    pub fn scales(&self) -> Vec<f32> {
        let spread = |f: &Feature| {
            let scale = match *f {
                Feature::Image { scale, .. } => scale,
                Feature::Number { .. } => 1.0,
            };
            std::iter::repeat_n(scale, f.width() as usize)
        };
        self.features.iter().flat_map(spread).collect()
    }

    /// Name of one number of a row: `amount`, or `image[0,12,7]` (channel, row, column).
    pub fn name_of(&self, id: FeatureId) -> String {
        let mut left = u64::from(id.0);
        for feature in &self.features {
            if left >= feature.width() {
                left -= feature.width();
                continue;
            }
            return match *feature {
                Feature::Number { ref name, .. } => name.clone(),
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
        if self.features.is_empty() {
            return Err(BadSchema::Empty);
        }
        let mut width = 0_u64;
        for (i, feature) in self.features.iter().enumerate() {
            let name = || feature.name().to_owned();
            if self.features[..i].iter().any(|f| f.name() == feature.name()) {
                return Err(BadSchema::Twice { name: name() });
            }
            match *feature {
                Feature::Number { min, max, .. } => {
                    if !(min.is_finite() && max.is_finite() && min <= max) {
                        return Err(BadSchema::Bounds { name: name(), min, max });
                    }
                }
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
        let number = Feature::Number { name: "amount".into(), min: 0.0, max: 1.0 };
        let schema = Schema { features: vec![number, image(2, 3, 4)] };
        assert_eq!(schema.width(), 25);
        assert_eq!(schema.name_of(FeatureId(0)), "amount");
        assert_eq!(schema.name_of(FeatureId(1)), "image[0,0,0]");
        assert_eq!(schema.name_of(FeatureId(24)), "image[1,2,3]");
    }

    #[test]
    fn a_hostile_width_is_refused_without_overflow() {
        let schema = Schema { features: vec![image(u32::MAX, u32::MAX, u32::MAX), image(1, 1, 1)] };
        assert!(matches!(schema.check(), Err(BadSchema::Twice { .. })));
        let schema = Schema { features: vec![image(u32::MAX, u32::MAX, u32::MAX)] };
        assert!(matches!(schema.check(), Err(BadSchema::TooWide { .. })));
    }
}
