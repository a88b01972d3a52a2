//! `tripline-trace`: everything needed to follow a record back, and why it was flagged, packed into
//! one header.
//!
//! Little-endian, version 4:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 4 |
//! | 1 | flags: 1 flagged, 2 corrected, 4 fault, 8 observed only, 16 unscored |
//! | 4, 8 | source partition `i32`, source offset `i64` |
//! | 8, 8 | first bytes of the bundle's SHA-256, and the revision that judged: `tripline_bundle_info` shows both in hexadecimal |
//! | 4, 4 | p `f32` (NaN without a row), merged score `f32` |
//! | 4, 4 | rows in the record `u32`, the most suspicious of them `u32`, from 0 |
//! | 1, 4 k | k, then k detector scores `f32` in the manifest's order |
//! | 1, s | s, then s shares of the merged score `u8` in 255ths, in the same order; k or, of what is not flagged, 0 |
//! | 1, 8 r or 16 r | r, then r reasons: feature `u32`, share `f32`, its number in the record `f32`, the typical one `f32`: that of the correction, or what the detector compares with |
//! | 1, 10 w | w, 0 or 1, then the window that the reasons lie in: feature in its upper left corner `u32`, height `u8`, width `u8`, share `f32` |
//!
//! The reasons are those of the detector that decides (of a sum, its largest part). A flagged record's header is at most
//! 149 bytes with five detectors, 164 with eight; another's 70 and 82. Numbers of a record are in the
//! header: who may read it may read them.

use crate::record::{FeatureId, Offset, Partition, Position, Reasons, Window};

/// Name of the header.
pub const TRACE: &str = "tripline-trace";

/// What is written today.
const VERSION: u8 = 4;

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
    pub revision: [u8; 8],
    pub p: f32,
    pub merged: f32,
    /// How many rows the record has; what follows is about the most suspicious one.
    pub rows: u32,
    pub row: u32,
    /// `[k]`, k ≤ 255.
    pub scores: &'a [f32],
    /// Each detector's share of the merged score, in [0, 1]: `[k]`, or none.
    pub shares: &'a [f32],
    pub reasons: Reasons,
}

impl Trace<'_> {
    /// Appends the header's bytes to `out`.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let flags = [self.flagged, self.corrected, self.fault, self.observed, self.unscored];
        let flags = flags.iter().rev().fold(0_u8, |bits, &flag| bits << 1 | u8::from(flag));
        out.extend([VERSION, flags]);
        out.extend(self.source.partition.0.to_le_bytes());
        out.extend(self.source.offset.0.to_le_bytes());
        out.extend(self.bundle);
        out.extend(self.revision);
        out.extend(self.p.to_le_bytes());
        out.extend(self.merged.to_le_bytes());
        out.extend(self.rows.to_le_bytes());
        out.extend(self.row.to_le_bytes());
        let count = |of: &[f32]| u8::try_from(of.len()).expect("at most 255 detectors");
        out.push(count(self.scores));
        out.extend(self.scores.iter().flat_map(|s| s.to_le_bytes()));
        out.push(count(self.shares));
        out.extend(self.shares.iter().map(|share| (share * 255.0).round() as u8));
        out.push(self.reasons.iter().len() as u8);
        for reason in self.reasons.iter() {
            out.extend(reason.feature.0.to_le_bytes());
            for number in [reason.share, reason.seen, reason.typical] {
                out.extend(number.to_le_bytes());
            }
        }
        let window = self.reasons.window();
        out.push(window.iter().len() as u8);
        if let Some(Window { corner, height, width, share }) = window {
            out.extend(corner.0.to_le_bytes());
            out.extend([height, width]);
            out.extend(share.to_le_bytes());
        }
    }
}

/// What a header says about its record.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadTrace {
    pub flagged: bool,
    pub source: Position,
    pub bundle: [u8; 8],
    pub revision: [u8; 8],
    /// NaN if the record has no row.
    pub p: f32,
    pub merged: f32,
    /// How many rows the record has, and the one that scores and reasons are about.
    pub rows: u32,
    pub row: u32,
    pub scores: Vec<f32>,
    /// Each detector's share of the merged score; empty unless flagged.
    pub shares: Vec<f32>,
    /// Which features carried the score, the largest share first.
    pub reasons: Vec<ReadReason>,
    /// Where all of them lie, if it is one place of an image.
    pub window: Option<Window>,
}

/// A feature that carried the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadReason {
    pub feature: FeatureId,
    pub share: f32,
    /// Its number in the record, and the typical one.
    pub seen: f32,
    pub typical: f32,
}

impl ReadTrace {
    /// The trace in `header`, unless it was cut off or is of a version that is not read.
    pub fn unpack(header: &[u8]) -> Option<Self> {
        let mut rest = header;
        let rest = &mut rest;
        let [VERSION, flags] = take(rest)? else { return None };
        let source = Position {
            partition: Partition(i32::from_le_bytes(take(rest)?)),
            offset: Offset(i64::from_le_bytes(take(rest)?)),
        };
        let (bundle, revision) = (take(rest)?, take(rest)?);
        let (p, merged) = (number(rest)?, number(rest)?);
        let (rows, row) = (whole(rest)?, whole(rest)?);
        let [k] = take(rest)?;
        let scores = (0..k).map(|_| number(rest)).collect::<Option<_>>()?;
        let [s] = take(rest)?;
        let share = |[byte]: [u8; 1]| f32::from(byte) / 255.0;
        let shares = (0..s).map(|_| take(rest).map(share)).collect::<Option<_>>()?;
        let [r] = take(rest)?;
        let reasons = (0..r).map(|_| {
            let (feature, share) = (FeatureId(whole(rest)?), number(rest)?);
            let (seen, typical) = (number(rest)?, number(rest)?);
            Some(ReadReason { feature, share, seen, typical })
        });
        let reasons = reasons.collect::<Option<_>>()?;
        let [w] = take(rest)?;
        let window = match w {
            0 => None,
            _ => {
                let corner = FeatureId(whole(rest)?);
                let [height, width] = take(rest)?;
                Some(Window { corner, height, width, share: number(rest)? })
            }
        };
        let flagged = flags & 1 != 0;
        Some(Self {
            flagged,
            source,
            bundle,
            revision,
            p,
            merged,
            rows,
            row,
            scores,
            shares,
            reasons,
            window,
        })
    }
}

fn number(rest: &mut &[u8]) -> Option<f32> {
    Some(f32::from_le_bytes(take(rest)?))
}

fn whole(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest)?))
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

    const WINDOW: Window = Window { corner: FeatureId(1), height: 3, width: 2, share: 0.5 };

    fn trace() -> Trace<'static> {
        Trace {
            flagged: true,
            corrected: false,
            fault: false,
            observed: true,
            unscored: false,
            source: Position { partition: Partition(3), offset: Offset(258) },
            bundle: *b"digest!!",
            revision: *b"revision",
            p: 1.0,
            merged: 2.0,
            rows: 3,
            row: 1,
            scores: &[0.5],
            shares: &[1.0],
            reasons: Reasons::of_parts([0.0, 4.0].into_iter())
                .within(WINDOW)
                .against(&[0.0, 1.0], &[0.0, 0.5]),
        }
    }

    fn packed() -> Vec<u8> {
        let mut bytes = vec![];
        trace().pack(&mut bytes);
        bytes
    }

    #[test]
    fn the_layout_is_the_one_in_the_table() {
        let mut expected = vec![4, 0b1001, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
        expected.extend(b"digest!!");
        expected.extend(b"revision");
        expected.extend([0, 0, 128, 63, 0, 0, 0, 64]);
        expected.extend([3, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend([1, 0, 0, 0, 63]);
        expected.extend([1, 255]);
        expected.extend([1, 1, 0, 0, 0, 0, 0, 128, 63, 0, 0, 128, 63, 0, 0, 0, 63]);
        expected.extend([1, 1, 0, 0, 0, 3, 2, 0, 0, 0, 63]);
        assert_eq!(packed(), expected);
    }

    #[test]
    fn a_trace_reads_back_as_it_was_packed() {
        let expected = ReadTrace {
            flagged: true,
            source: trace().source,
            bundle: *b"digest!!",
            revision: *b"revision",
            p: 1.0,
            merged: 2.0,
            rows: 3,
            row: 1,
            scores: vec![0.5],
            shares: vec![1.0],
            reasons: vec![ReadReason {
                feature: FeatureId(1),
                share: 1.0,
                seen: 1.0,
                typical: 0.5,
            }],
            window: Some(WINDOW),
        };
        assert_eq!(ReadTrace::unpack(&packed()), Some(expected));
    }

    #[test]
    fn the_header_is_as_long_as_the_table_says() {
        let length = |k: usize, flagged: bool| {
            let parts = if flagged { [1.0; 9].iter() } else { [].iter() };
            let row = [0.0; 9];
            let reasons = Reasons::of_parts(parts.copied()).against(&row, &row);
            let reasons = if flagged { reasons.within(WINDOW) } else { reasons };
            let scores = vec![0.5; k];
            let shares = if flagged { &scores[..] } else { &[] };
            let mut bytes = vec![];
            Trace { scores: &scores, shares, reasons, ..trace() }.pack(&mut bytes);
            bytes.len()
        };
        assert_eq!([length(5, true), length(8, true)], [149, 164]);
        assert_eq!([length(5, false), length(8, false)], [70, 82]);
    }

    #[test]
    fn a_trace_that_was_cut_off_or_is_of_another_version_is_none() {
        let bytes = packed();
        for end in 0..bytes.len() {
            assert_eq!(ReadTrace::unpack(&bytes[..end]), None, "cut at {end}");
        }
        for version in [0, 3, 5] {
            let mut other = bytes.clone();
            other[0] = version;
            assert_eq!(ReadTrace::unpack(&other), None, "{version}");
        }
    }
}
