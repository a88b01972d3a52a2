//! Fingerprints of an image: rows that are near each other share some of them.
//!
//! Eight are *smooth*: hashes of twenty directions each, of the means on a 7 x 7 grid, in steps of half a clean deviation.
//! Noise over all pixels averages out. Sixteen are *local*: hashes of one place each, in eight levels. Where few pixels are
//! changed, other places stay. What two of many clean rows share says nothing: it is on the stop list, and not told.
//! Directions, places and stop list are the bundle's. A value leaves as a keyed hash of 40 bits.
//!
//! They cannot see a shift by more than a few pixels together with another brightness, nor noise louder than .3: that is
//! what detectors flag.

use std::hash::Hasher as _;

use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher13;

use crate::bundle::{TensorError, Tensors};
use crate::record::{Feature, Schema};

/// Fingerprints of a family, and of a row.
pub const SMOOTH: usize = 8;
pub const LOCAL: usize = 16;
pub const PRINTS: usize = SMOOTH + LOCAL;

/// Directions of one smooth fingerprint, and of a cell.
const DIRECTIONS: usize = 20;
const CELL_DIRECTIONS: usize = 6;
/// All of them, and one offset each.
pub(crate) const COLUMNS: usize = SMOOTH * DIRECTIONS + CELL_DIRECTIONS;
/// Side of the grid of means.
pub(crate) const GRID: usize = 7;
/// Levels of a pixel: 8, of 256.
const LEVEL: u32 = 32;
/// Bits of a fingerprint that leave.
const MASK: u64 = (1 << 40) - 1;

/// The fingerprints of one row; 0 is one that is on the stop list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPrints(pub Box<[u64; PRINTS]>);

/// How rows of a stream are printed: learned by `fit`.
#[derive(Clone, Debug)]
pub struct Prints {
    image: Place,
    /// `[means, COLUMNS]`, in steps, and where steps begin, `[COLUMNS]`.
    directions: Vec<f32>,
    offsets: Vec<f32>,
    /// Top left corners.
    places: Vec<(usize, usize)>,
    /// Of each fingerprint, ascending.
    stop: Vec<Vec<u64>>,
    pub measured: PrintMeasures,
    /// Of each fingerprint, of cells, and of whole rows.
    keys: Vec<SipHasher13>,
}

/// How clean rows match each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrintMeasures {
    /// Fingerprints of one family that make a match; 0 if clean rows match too often with any.
    pub threshold: usize,
    /// Of so many clean rows so many matched one of those before, at most `horizon` of them.
    pub rows: u64,
    pub matched: u64,
    pub horizon: u64,
}

/// The first image of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    start: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl Place {
    fn of(schema: &Schema) -> Option<Self> {
        schema.columns().find_map(|(feature, columns)| match *feature {
            Feature::Image { channels, height, width, .. } => {
                let [channels, height, width] = [channels, height, width].map(|n| n as usize);
                let fits = height >= 2 * GRID && width >= 2 * GRID;
                fits.then_some(Self { start: columns.start, channels, height, width })
            }
            _ => None,
        })
    }

    fn means(&self) -> usize {
        self.channels * GRID * GRID
    }

    /// Side of a local place: ten of 28 pixels.
    fn side(&self) -> usize {
        (self.height.min(self.width) * 10).div_ceil(28)
    }

    /// The means of its grid, `[channels · GRID · GRID]`.
    fn pool(&self, row: &[f32], into: &mut Vec<f32>) {
        let Self { start, channels, height, width } = *self;
        let edge = |i: usize, of: usize| i * of / GRID;
        into.clear();
        for c in 0..channels {
            let plane = &row[start + c * height * width..][..height * width];
            for i in 0..GRID {
                let (top, bottom) = (edge(i, height), edge(i + 1, height));
                for j in 0..GRID {
                    let (left, right) = (edge(j, width), edge(j + 1, width));
                    let sum: f32 = (top..bottom)
                        .map(|y| plane[y * width + left..y * width + right].iter().sum::<f32>())
                        .sum();
                    into.push(sum / ((bottom - top) * (right - left)) as f32);
                }
            }
        }
    }
}

const DIRECTIONS_NAME: &str = "prints.directions";
const OFFSETS_NAME: &str = "prints.offsets";
const PLACES_NAME: &str = "prints.places";
const STOP_NAME: &str = "prints.stop";
const MEASURED_NAME: &str = "prints.measured";

impl Prints {
    /// What the bundle knows of them; none if it has none.
    ///
    /// # Errors
    /// If its tensors are not those of such rows.
    pub fn load(tensors: &Tensors, schema: &Schema) -> Result<Option<Self>, TensorError> {
        let there = tensors.names().any(|name| name == DIRECTIONS_NAME);
        let Some(image) = Place::of(schema).filter(|_| there) else { return Ok(None) };
        let directions = tensors.matrix(DIRECTIONS_NAME, image.means(), COLUMNS)?;
        let offsets = tensors.vector(OFFSETS_NAME, Some(COLUMNS))?;
        let side = image.side();
        let most = (image.height.max(image.width) - side) as f32;
        let corners = tensors.within(PLACES_NAME, 2 * LOCAL, (0.0, most), "corners of places")?;
        let bound = |at: f32, of: usize| (at as usize).min(of - side);
        let corner = |xy: &[f32]| (bound(xy[0], image.height), bound(xy[1], image.width));
        let places =
            corners.as_slice().expect("side by side").chunks_exact(2).map(corner).collect();
        let mut stop = vec![vec![]; PRINTS];
        let list = tensors.vector(STOP_NAME, None)?;
        for entry in list.as_slice().expect("side by side").chunks_exact(3) {
            let slot = (entry[0].max(0.0) as usize).min(PRINTS - 1);
            stop[slot].push((entry[1].max(0.0) as u64) << 20 | entry[2].max(0.0) as u64);
        }
        stop.iter_mut().for_each(|values| values.sort_unstable());
        let measured = tensors.within(MEASURED_NAME, 4, (0.0, 16_777_216.0), "counts of rows")?;
        let [threshold, rows, matched, horizon] = [0, 1, 2, 3].map(|i| measured[i] as u64);
        let measured = PrintMeasures { threshold: threshold as usize, rows, matched, horizon };
        let (directions, offsets) = (directions.into_raw_vec_and_offset().0, offsets.to_vec());
        let fresh = Self { image, directions, offsets, places, stop, measured, keys: vec![] };
        Ok(Some(fresh.keyed(b"", "")))
    }

    /// These fingerprints with values that only the owner of `key` can make, for one baseline.
    #[must_use]
    pub fn keyed(self, key: &[u8], baseline: &str) -> Self {
        let of = |slot: usize| {
            let mut hash = Sha256::new();
            hash.update((key.len() as u64).to_le_bytes());
            hash.update(key);
            hash.update(baseline);
            hash.update((slot as u64).to_le_bytes());
            let digest: [u8; 32] = hash.finalize().into();
            SipHasher13::new_with_key(digest.first_chunk().expect("32 of them"))
        };
        Self { keys: (0..PRINTS + 2).map(of).collect(), ..self }
    }

    /// Fingerprints and cell of a row `[d]`; `scratch` is reused.
    pub fn of(&self, row: &[f32], scratch: &mut PrintScratch) -> (RowPrints, u32) {
        self.raw(row, scratch);
        let mut prints = Box::new([0; PRINTS]);
        for (slot, (print, &raw)) in prints.iter_mut().zip(&scratch.raw).enumerate() {
            if self.stop[slot].binary_search(&raw).is_err() {
                *print = (sip(&self.keys[slot], raw) & MASK).max(1);
            }
        }
        let cell = sip(&self.keys[PRINTS], scratch.raw[PRINTS]) as u32;
        (RowPrints(prints), cell)
    }

    /// Rows that are alike to the bit have the same.
    pub fn hash(&self, row: &[f32]) -> u32 {
        let mut hasher = self.keys[PRINTS + 1];
        row.iter().for_each(|x| hasher.write_u32(x.to_bits()));
        hasher.finish() as u32
    }

    /// Values without a key, and that of the cell: what the stop list is about.
    pub(crate) fn raw(&self, row: &[f32], scratch: &mut PrintScratch) {
        let PrintScratch { means, steps, raw } = scratch;
        self.image.pool(row, means);
        steps.clear();
        steps.extend_from_slice(&self.offsets);
        for (mean, directions) in means.iter().zip(self.directions.chunks_exact(COLUMNS)) {
            steps.iter_mut().zip(directions).for_each(|(step, a)| *step += mean * a);
        }
        raw.clear();
        let whole = |step: &f32| (step.floor() as i64).cast_unsigned();
        raw.extend(steps.chunks(DIRECTIONS).map(|steps| hashed(steps.iter().map(whole))));
        let cell = raw.pop().expect("the cell's comes last");
        let Place { start, channels, height, width } = self.image;
        let side = self.image.side();
        let level = |x: &f32| u64::from((x * 255.0 + 0.5) as u32 / LEVEL);
        for &(top, left) in &self.places {
            let lines = (0..channels).flat_map(|c| (top..top + side).map(move |y| (c, y)));
            let pixels =
                lines.flat_map(|(c, y)| &row[start + (c * height + y) * width + left..][..side]);
            raw.push(hashed(pixels.map(level)));
        }
        raw.push(cell);
    }
}

/// Buffers.
#[derive(Clone, Debug, Default)]
pub struct PrintScratch {
    means: Vec<f32>,
    steps: Vec<f32>,
    /// Of every fingerprint, then of the cell; 40 bits.
    pub(crate) raw: Vec<u64>,
}

/// Of equal numbers the same 40 bits.
fn hashed(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut multiplier = 0x9E37_79B9_7F4A_7C15_u64;
    let mut sum = 0_u64;
    for number in numbers {
        multiplier = multiplier.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(2);
        sum =
            sum.wrapping_add(number.wrapping_add(1).wrapping_mul(super::mix::mix(multiplier) | 1));
    }
    super::mix::mix(sum) & MASK
}

fn sip(key: &SipHasher13, value: u64) -> u64 {
    let mut hasher = *key;
    hasher.write_u64(value);
    hasher.finish()
}

#[cfg(feature = "fit")]
mod learn;

#[cfg(all(test, feature = "fit"))]
mod tests;
