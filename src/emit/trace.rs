//! `tripline-trace`: everything needed to follow a record back, packed into one header.
//!
//! Little-endian, version 1:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 1 |
//! | 1 | flags: 1 flagged, 2 corrected, 4 fault, 8 observed only, 16 unscored |
//! | 4, 8 | source partition `i32`, source offset `i64` |
//! | 8 | first bytes of the bundle's SHA-256 |
//! | 4, 4 | p `f32` (NaN without a row), merged score `f32` |
//! | 1, 4 k | k, then k detector scores `f32` in the manifest's order |
//! | 1, 8 r | r, then r reasons: feature `u32`, share `f32` |

use crate::record::{Position, Reasons};

/// Name of the header.
pub const TRACE: &str = "tripline-trace";

/// What goes into the header.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    pub flagged: bool,
    pub corrected: bool,
    pub fault: bool,
    pub observed: bool,
    pub unscored: bool,
    pub source: Position,
    pub bundle: [u8; 8],
    pub p: f32,
    pub merged: f32,
    /// `[k]`, k ≤ 255.
    pub scores: &'a [f32],
    pub reasons: Reasons,
}

impl Trace<'_> {
    /// Appends the header's bytes to `out`.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let flags = [self.flagged, self.corrected, self.fault, self.observed, self.unscored];
        let flags = flags.iter().rev().fold(0_u8, |bits, &flag| bits << 1 | u8::from(flag));
        out.extend([1, flags]);
        out.extend(self.source.partition.0.to_le_bytes());
        out.extend(self.source.offset.0.to_le_bytes());
        out.extend(self.bundle);
        out.extend(self.p.to_le_bytes());
        out.extend(self.merged.to_le_bytes());
        out.push(u8::try_from(self.scores.len()).expect("at most 255 detectors"));
        out.extend(self.scores.iter().flat_map(|s| s.to_le_bytes()));
        out.push(self.reasons.iter().len() as u8);
        for (feature, share) in self.reasons.iter() {
            out.extend(feature.0.to_le_bytes());
            out.extend(share.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Offset, Partition};

    #[test]
    fn the_layout_is_the_one_in_the_table() {
        let trace = Trace {
            flagged: true,
            corrected: false,
            fault: false,
            observed: true,
            unscored: false,
            source: Position { partition: Partition(3), offset: Offset(258) },
            bundle: *b"digest!!",
            p: 1.0,
            merged: 2.0,
            scores: &[0.5],
            reasons: Reasons::of_parts([0.0, 4.0].into_iter()),
        };
        let mut bytes = vec![];
        trace.pack(&mut bytes);
        let mut expected = vec![1, 0b1001, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
        expected.extend(b"digest!!");
        expected.extend([0, 0, 128, 63, 0, 0, 0, 64]);
        expected.extend([1, 0, 0, 0, 63]);
        expected.extend([1, 1, 0, 0, 0, 0, 0, 128, 63]);
        assert_eq!(bytes, expected);
    }
}
