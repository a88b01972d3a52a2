//! From numbers in a file to rows in model units, and the schema that says how.
//!
//! The record path divides an integer pixel by the schema's scale; so does this, in the same `f32`,
//! so that a row is the same row in both. It cannot know what a column means: numbers are called
//! `x0`, `x1`, … and their bounds are what was seen, with room.

use std::str::FromStr;

use super::dataset::Dataset;
use super::hints::bounds;
use crate::record::{BadSchema, Feature, Schema};

/// The shape of an image, written `1x28x28`: channels, height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    pub channels: u32,
    pub height: u32,
    pub width: u32,
}

/// Why rows do not fit what was said about them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UnitsError {
    #[error("rows have the shape {shape:?}; say --image CHANNELSxHEIGHTxWIDTH, channels first")]
    WhichImage { shape: Vec<usize> },
    #[error(
        "rows have the shape {shape:?}, channels last: bring them channels first, in NumPy by \
         x.transpose(0, 3, 1, 2), and say --image {image}"
    )]
    ChannelsLast { shape: Vec<usize>, image: ImageShape },
    #[error("rows have the shape {shape:?}, which is no image of {image}")]
    NotThisImage { shape: Vec<usize>, image: ImageShape },
    #[error(
        "row {row} has the pixel {value} in [0, 1] units: divide integers by a larger --scale, \
         bring floats between 0 and 1"
    )]
    Pixel { row: usize, value: f32 },
    #[error(transparent)]
    Schema(#[from] BadSchema),
}

/// Makes `set.x` model units, and says what they are.
///
/// Rows of two dimensions are taken as an image of one channel, rows of one as numbers. Integer
/// pixels are divided by `scale`; floats must be in [0, 1] already. Numbers stay as they are,
/// and their bounds are the smallest and largest seen, plus the distance between them on each side:
/// a new extreme is for detectors to score; only nonsense is for bounds to refuse.
///
/// # Errors
/// If the shapes disagree or a pixel is outside [0, 1].
pub fn to_model_units(
    set: &mut Dataset,
    image: Option<ImageShape>,
    scale: f32,
) -> Result<Schema, UnitsError> {
    if let Some(image) = channels_last(&set.shape) {
        return Err(UnitsError::ChannelsLast { shape: set.shape.clone(), image });
    }
    let image = match (image, &set.shape[..]) {
        (Some(image), _) => Some(image),
        (None, [_]) => None,
        (None, &[height, width]) => {
            let [height, width] = [height, width].map(|size| u32::try_from(size).unwrap_or(0));
            Some(ImageShape { channels: 1, height, width })
        }
        (None, shape) => return Err(UnitsError::WhichImage { shape: shape.to_vec() }),
    };
    let features = match image {
        Some(image) => vec![as_image(set, image, scale)?],
        None => as_numbers(set),
    };
    let schema = Schema { features };
    schema.check()?;
    Ok(schema)
}

/// The image that rows of this shape are if their channels come last, as Keras and TensorFlow keep them. Images
/// have 1, 3 or 4 channels, so that a shape of two such ends may be either, and is taken as it is said.
fn channels_last(shape: &[usize]) -> Option<ImageShape> {
    let &[height, width, channels] = shape else { return None };
    let few = |n: usize| [1, 3, 4].contains(&n);
    let sizes = [channels, height, width].map(|size| u32::try_from(size).ok());
    let [Some(channels), Some(height), Some(width)] = sizes else { return None };
    (few(channels as usize) && !few(height as usize)).then_some(ImageShape {
        channels,
        height,
        width,
    })
}

fn as_image(set: &mut Dataset, image: ImageShape, scale: f32) -> Result<Feature, UnitsError> {
    let ImageShape { channels, height, width } = image;
    let feature = Feature::Image { name: "image".into(), channels, height, width, scale };
    let [c, h, w] = [channels, height, width].map(|size| size as usize);
    // Flat rows, planes without a channel axis, or exactly the shape: but not channels last.
    let fits = match set.shape[..] {
        [d] => d as u64 == feature.width(),
        [rows, columns] => (c, rows, columns) == (1, h, w),
        _ => set.shape == [c, h, w],
    };
    if !fits {
        return Err(UnitsError::NotThisImage { shape: set.shape.clone(), image });
    }
    Schema { features: vec![feature.clone()] }.check()?;
    if set.integer {
        set.x.mapv_inplace(|value| value / scale);
    }
    for (row, pixels) in set.x.rows().into_iter().enumerate() {
        if let Some(&value) = pixels.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(UnitsError::Pixel { row, value });
        }
    }
    Ok(feature)
}

fn as_numbers(set: &Dataset) -> Vec<Feature> {
    let numbers = set.x.columns().into_iter().enumerate().map(|(j, column)| {
        let min = column.fold(f32::INFINITY, |a, &b| a.min(b));
        let max = column.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let (min, max) = bounds(min.into(), max.into());
        Feature::number(format!("x{j}"), min, max)
    });
    numbers.collect()
}

impl FromStr for ImageShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sizes: Result<Vec<u32>, _> = text.split('x').map(str::parse).collect();
        match sizes.as_deref() {
            Ok(&[channels, height, width]) => Ok(Self { channels, height, width }),
            _ => Err(format!("{text:?} is no CHANNELSxHEIGHTxWIDTH, such as 1x28x28")),
        }
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn set(x: Array2<f32>, shape: &[usize], integer: bool) -> Dataset {
        Dataset { x, y: None, marks: None, integer, shape: shape.to_vec(), digest: [0; 32] }
    }

    fn refusal(shape: &[usize], image: Option<&str>, value: f32, integer: bool) -> String {
        let x = Array2::from_elem((2, shape.iter().product()), value);
        let image = image.map(|text| text.parse().unwrap());
        to_model_units(&mut set(x, shape, integer), image, 255.0).unwrap_err().to_string()
    }

    #[test]
    fn integer_pixels_become_the_same_floats_as_on_the_record_path() {
        use crate::codec::{Codec, ContentHeaders, Layout, RawU8};
        let pixels: Vec<u8> = (0..=255).collect();
        let x = Array2::from_shape_fn((1, 256), |(_, j)| j as f32);
        let mut set = set(x, &[16, 16], true);
        let schema = to_model_units(&mut set, None, 255.0).unwrap();
        let mut row = Vec::new();
        let codec = RawU8::new(Layout::new(&schema, 256).into());
        codec.decode(&pixels, &ContentHeaders::default(), &mut row).unwrap();
        assert_eq!(set.x.row(0).to_vec(), row);
    }

    #[test]
    fn floats_are_not_divided() {
        let mut set = set(array![[0.25, 1.0]], &[2], false);
        to_model_units(&mut set, Some("1x1x2".parse().unwrap()), 255.0).unwrap();
        assert_eq!(set.x, array![[0.25, 1.0]]);
    }

    #[test]
    fn shapes_that_disagree_and_pixels_out_of_range_are_refused() {
        assert!(refusal(&[2, 2, 2], None, 0.0, true).contains("say --image CHANNELS"));
        assert!(refusal(&[3, 2, 3], Some("3x2x2"), 0.0, true).contains("no image of 3x2x2"));
        for image in [None, Some("3x8x6"), Some("8x6x3")] {
            let refusal = refusal(&[8, 6, 3], image, 0.0, true);
            assert!(
                refusal.contains("channels last") && refusal.contains("--image 3x8x6"),
                "{refusal}"
            );
        }
        assert!(refusal(&[5], Some("1x2x2"), 0.0, true).contains("no image of 1x2x2"));
        assert!(refusal(&[4], Some("1x2x2"), 300.0, true).contains("row 0 has the pixel 1.17"));
        assert!(refusal(&[4], Some("1x2x2"), 2.0, false).contains("row 0 has the pixel 2"));
        assert!("28x28".parse::<ImageShape>().is_err());
    }

    #[test]
    fn numbers_get_bounds_with_the_whole_range_as_room_on_each_side() {
        let mut set = set(array![[0.0, 7.0, f32::MIN], [2.0, 7.0, f32::MAX]], &[3], false);
        let schema = to_model_units(&mut set, None, 255.0).unwrap();
        assert_eq!(schema.bounds(), [(-2.0, 4.0), (0.0, 14.0), (f32::MIN, f32::MAX)]);
    }
}
