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
//!
//! An output whose `trace` is `"shares"` or `"none"` has version 5, in which no number and no category of a record
//! stands: not even scores, because a score of one feature says its number.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 5 |
//! | 1, 4, 8, 8, 8 | flags, partition, offset, bundle, revision: as in version 4 |
//! | 4, 4, 4 | p `f32` (NaN without a row, and with `"none"`); rows in the record `u32`, the most suspicious of them `u32` |
//! | 1, s | s, then s shares of the merged score `u8` in 255ths |
//! | 1, … | r, then r reasons: length `u8` and name of the feature in UTF-8, at most 64 bytes of it, share `f32`; the columns of a category are one |
//! | 1, 10 w | w, 0 or 1, then the window that the reasons lie in: as in version 4 |

use crate::record::{
    Feature, FeatureId, Offset, Partition, Position, REASONS_MAX, Reasons, Rectangle, Schema,
};
use crate::sanitize::TraceDetail;

/// Name of the header.
pub const TRACE: &str = "tripline-trace";

/// Layout of a trace with numbers of the record: the default.
const VERSION: u8 = 4;
/// Layout of a trace without numbers and categories of the record.
const VERSION_OF_SHARES: u8 = 5;
/// Bytes of a feature's name.
const NAME_MAX: usize = 64;

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
    /// Appends the header's bytes to `out`, as much as `detail` says. `schema` has the names of features.
    pub fn pack_as(&self, detail: TraceDetail, schema: &Schema, out: &mut Vec<u8>) {
        match detail {
            TraceDetail::Full => self.pack(out),
            TraceDetail::Shares => self.pack_shares(schema, out),
            TraceDetail::Source => {
                let (p, shares, reasons) = (f32::NAN, &[][..], Reasons::NONE);
                Self { p, shares, reasons, ..*self }.pack_shares(schema, out);
            }
        }
    }

    fn pack_source(&self, version: u8, out: &mut Vec<u8>) {
        let flags = [self.flagged, self.corrected, self.fault, self.observed, self.unscored];
        let flags = flags.iter().rev().fold(0_u8, |bits, &flag| bits << 1 | u8::from(flag));
        out.extend([version, flags]);
        out.extend(self.source.partition.0.to_le_bytes());
        out.extend(self.source.offset.0.to_le_bytes());
        out.extend(self.bundle);
        out.extend(self.revision);
        out.extend(self.p.to_le_bytes());
    }

    fn pack_detectors(&self, out: &mut Vec<u8>) {
        let count = u8::try_from(self.shares.len()).expect("at most 255 detectors");
        out.push(count);
        out.extend(self.shares.iter().map(|share| (share * 255.0).round() as u8));
    }

    fn pack_window(&self, out: &mut Vec<u8>) {
        let window = self.reasons.window();
        out.push(window.iter().len() as u8);
        if let Some(Rectangle { corner, height, width, share }) = window {
            out.extend(corner.0.to_le_bytes());
            out.extend([height, width]);
            out.extend(share.to_le_bytes());
        }
    }

    /// Version 5.
    fn pack_shares(&self, schema: &Schema, out: &mut Vec<u8>) {
        self.pack_source(VERSION_OF_SHARES, out);
        out.extend(self.rows.to_le_bytes());
        out.extend(self.row.to_le_bytes());
        self.pack_detectors(out);
        let named = |feature| schema.feature_of(feature).map_or("", Feature::name);
        let mut reasons = [("", 0.0_f32); REASONS_MAX];
        let mut len = 0;
        for reason in self.reasons.iter() {
            let name = named(reason.feature);
            // A column of a category says its value: all of them are the category.
            match reasons[..len].iter_mut().find(|(known, _)| *known == name) {
                Some((_, share)) => *share += reason.share,
                None => {
                    reasons[len] = (name, reason.share);
                    len += 1;
                }
            }
        }
        reasons[..len].sort_by(|a, b| b.1.total_cmp(&a.1));
        out.push(len as u8);
        for (name, share) in &reasons[..len] {
            let name = &name[..name.floor_char_boundary(NAME_MAX)];
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
            out.extend(share.to_le_bytes());
        }
        self.pack_window(out);
    }

    /// Appends the header's bytes to `out`: version 4.
    pub fn pack(&self, out: &mut Vec<u8>) {
        self.pack_source(VERSION, out);
        out.extend(self.merged.to_le_bytes());
        out.extend(self.rows.to_le_bytes());
        out.extend(self.row.to_le_bytes());
        out.push(u8::try_from(self.scores.len()).expect("at most 255 detectors"));
        out.extend(self.scores.iter().flat_map(|s| s.to_le_bytes()));
        self.pack_detectors(out);
        out.push(self.reasons.iter().len() as u8);
        for reason in self.reasons.iter() {
            out.extend(reason.feature.0.to_le_bytes());
            for number in [reason.share, reason.seen, reason.typical] {
                out.extend(number.to_le_bytes());
            }
        }
        self.pack_window(out);
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
    /// NaN in a header without scores.
    pub merged: f32,
    /// How many rows the record has, and the one that scores and reasons are about.
    pub rows: u32,
    pub row: u32,
    pub scores: Vec<f32>,
    /// Each detector's share of the merged score; empty unless flagged.
    pub shares: Vec<f32>,
    /// Which features carried the score, the largest share first.
    pub reasons: Vec<ReadReason>,
    /// Features by name, if the header has no numbers of the record.
    pub named: Vec<(String, f32)>,
    /// Where all of them lie, if it is one place of an image.
    pub window: Option<Rectangle>,
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
        let [version, flags] = take(rest)?;
        let of_shares = version == VERSION_OF_SHARES;
        if !of_shares && version != VERSION {
            return None;
        }
        let source = Position {
            partition: Partition(i32::from_le_bytes(take(rest)?)),
            offset: Offset(i64::from_le_bytes(take(rest)?)),
        };
        let (bundle, revision) = (take(rest)?, take(rest)?);
        let p = number(rest)?;
        let merged = if of_shares { f32::NAN } else { number(rest)? };
        let (rows, row) = (whole(rest)?, whole(rest)?);
        let [k] = if of_shares { [0] } else { take(rest)? };
        let scores = (0..k).map(|_| number(rest)).collect::<Option<_>>()?;
        let [s] = take(rest)?;
        let share = |[byte]: [u8; 1]| f32::from(byte) / 255.0;
        let shares = (0..s).map(|_| take(rest).map(share)).collect::<Option<_>>()?;
        let [r] = take(rest)?;
        let named = (0..if of_shares { r } else { 0 }).map(|_| {
            let [length] = take(rest)?;
            let (name, after) = rest.split_at_checked(length.into())?;
            *rest = after;
            Some((std::str::from_utf8(name).ok()?.to_owned(), number(rest)?))
        });
        let named = named.collect::<Option<_>>()?;
        let reasons = (0..if of_shares { 0 } else { r }).map(|_| {
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
                Some(Rectangle { corner, height, width, share: number(rest)? })
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
            named,
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
mod tests;
