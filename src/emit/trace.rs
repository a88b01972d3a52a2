//! `tripline-trace`: everything needed to follow a record back, packed into one header.
//!
//! Little-endian, version 2:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 2 |
//! | 1 | flags: 1 flagged, 2 corrected, 4 fault, 8 observed only, 16 unscored |
//! | 4, 8 | source partition `i32`, source offset `i64` |
//! | 8 | first bytes of the bundle's SHA-256 |
//! | 4, 4 | p `f32` (NaN without a row), merged score `f32` |
//! | 4, 4 | rows in the record `u32`, the most suspicious of them `u32`, from 0 |
//! | 1, 4 k | k, then k detector scores `f32` in the manifest's order |
//! | 1, 8 r | r, then r reasons: feature `u32`, share `f32` |

use crate::record::{FeatureId, Offset, Partition, Position, Reasons};

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
    /// How many rows the record has; what follows is about the most suspicious one.
    pub rows: u32,
    pub row: u32,
    /// `[k]`, k ≤ 255.
    pub scores: &'a [f32],
    pub reasons: Reasons,
}

impl Trace<'_> {
    /// Appends the header's bytes to `out`.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let flags = [self.flagged, self.corrected, self.fault, self.observed, self.unscored];
        let flags = flags.iter().rev().fold(0_u8, |bits, &flag| bits << 1 | u8::from(flag));
        out.extend([2, flags]);
        out.extend(self.source.partition.0.to_le_bytes());
        out.extend(self.source.offset.0.to_le_bytes());
        out.extend(self.bundle);
        out.extend(self.p.to_le_bytes());
        out.extend(self.merged.to_le_bytes());
        out.extend(self.rows.to_le_bytes());
        out.extend(self.row.to_le_bytes());
        out.push(u8::try_from(self.scores.len()).expect("at most 255 detectors"));
        out.extend(self.scores.iter().flat_map(|s| s.to_le_bytes()));
        out.push(self.reasons.iter().len() as u8);
        for (feature, share) in self.reasons.iter() {
            out.extend(feature.0.to_le_bytes());
            out.extend(share.to_le_bytes());
        }
    }
}

/// What a header says about its record.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadTrace {
    pub flagged: bool,
    pub source: Position,
    /// NaN if the record has no row.
    pub p: f32,
    pub merged: f32,
    /// How many rows the record has, and the one that scores and reasons are about.
    pub rows: u32,
    pub row: u32,
    pub scores: Vec<f32>,
    /// Which features carried the score, each with its share, the largest first.
    pub reasons: Vec<(FeatureId, f32)>,
}

impl ReadTrace {
    /// The trace in `header`, unless it was cut off or is of another version.
    pub fn unpack(header: &[u8]) -> Option<Self> {
        let mut rest = header;
        let [2, flags] = take(&mut rest)? else { return None };
        let source = Position {
            partition: Partition(i32::from_le_bytes(take(&mut rest)?)),
            offset: Offset(i64::from_le_bytes(take(&mut rest)?)),
        };
        let _bundle: [u8; 8] = take(&mut rest)?;
        let p = f32::from_le_bytes(take(&mut rest)?);
        let merged = f32::from_le_bytes(take(&mut rest)?);
        let rows = u32::from_le_bytes(take(&mut rest)?);
        let row = u32::from_le_bytes(take(&mut rest)?);
        let [k] = take(&mut rest)?;
        let scores = (0..k).map(|_| Some(f32::from_le_bytes(take(&mut rest)?)));
        let scores = scores.collect::<Option<_>>()?;
        let [r] = take(&mut rest)?;
        let reasons = (0..r).map(|_| {
            let feature = FeatureId(u32::from_le_bytes(take(&mut rest)?));
            Some((feature, f32::from_le_bytes(take(&mut rest)?)))
        });
        let reasons = reasons.collect::<Option<_>>()?;
        Some(Self { flagged: flags & 1 != 0, source, p, merged, rows, row, scores, reasons })
    }
}

/// The first `N` bytes of `rest`, which then begins after them.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace<'static> {
        Trace {
            flagged: true,
            corrected: false,
            fault: false,
            observed: true,
            unscored: false,
            source: Position { partition: Partition(3), offset: Offset(258) },
            bundle: *b"digest!!",
            p: 1.0,
            merged: 2.0,
            rows: 3,
            row: 1,
            scores: &[0.5],
            reasons: Reasons::of_parts([0.0, 4.0].into_iter()),
        }
    }

    fn packed() -> Vec<u8> {
        let mut bytes = vec![];
        trace().pack(&mut bytes);
        bytes
    }

    #[test]
    fn the_layout_is_the_one_in_the_table() {
        let mut expected = vec![2, 0b1001, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
        expected.extend(b"digest!!");
        expected.extend([0, 0, 128, 63, 0, 0, 0, 64]);
        expected.extend([3, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend([1, 0, 0, 0, 63]);
        expected.extend([1, 1, 0, 0, 0, 0, 0, 128, 63]);
        assert_eq!(packed(), expected);
    }

    #[test]
    fn a_trace_reads_back_as_it_was_packed() {
        let expected = ReadTrace {
            flagged: true,
            source: trace().source,
            p: 1.0,
            merged: 2.0,
            rows: 3,
            row: 1,
            scores: vec![0.5],
            reasons: vec![(FeatureId(1), 1.0)],
        };
        assert_eq!(ReadTrace::unpack(&packed()), Some(expected));
    }

    #[test]
    fn a_trace_that_was_cut_off_or_is_of_another_version_is_none() {
        let bytes = packed();
        for end in 0..bytes.len() {
            assert_eq!(ReadTrace::unpack(&bytes[..end]), None, "cut at {end}");
        }
        let mut newer = bytes;
        newer[0] = 3;
        assert_eq!(ReadTrace::unpack(&newer), None);
    }
}
