//! A pair, row by row: same label or another, how far apart, how sure, how late.

use super::waits::octave;
use crate::answers::half::{CORRECTED, Half, HalfOf, HalfRow};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::JoinWindow;
use crate::watch::answers::{CONFIDENCE, DIFFERS, DISTANCE, FLAGGED_DIFFERS, LABELS, LATENCY};

/// Both halves of a pair.
pub(super) struct Pair<'a> {
    partition: Partition,
    offset: Offset,
    flagged: bool,
    endpoint: &'a str,
    sent_at: Timestamp,
    pub answer_at: Timestamp,
    own: &'a [u8],
    said: &'a [u8],
}

impl<'a> Pair<'a> {
    pub fn new(request: &Half<'a>, answer: &Half<'a>) -> Self {
        let (HalfOf::Request { partition, offset, flagged }, HalfOf::Answer { endpoint }) =
            (request.of, answer.of)
        else {
            unreachable!("a pair has a half of each side")
        };
        let (sent_at, answer_at) = (request.at, answer.at);
        let (own, said) = (request.rows, answer.rows);
        Self { partition, offset, flagged, endpoint, sent_at, answer_at, own, said }
    }

    /// From sending on to the answer; 0 if clocks say that it came before.
    pub fn waited_ms(&self) -> u64 {
        self.answer_at.0.saturating_sub(self.sent_at.0).max(0) as u64
    }
}

/// Counts a pair; rows are compared where the own model's `margin` is larger than this.
pub(super) fn count_pair(pair: &Pair<'_>, margin: f32, window: &mut JoinWindow) {
    window.cells.push(LATENCY.start + octave(pair.waited_ms()));
    let (own, said) = (HalfRow::all(pair.own), HalfRow::all(pair.said));
    if own.len() != said.len() {
        window.counts.misshapen += 1;
        return;
    }
    let (mut rows, mut differing) = (0, 0);
    for (own, said) in own.zip(said) {
        count_answer(&said, window);
        if own.label == CORRECTED {
            continue;
        }
        rows += 1;
        let differs = own.label != said.label;
        window.counts.same += u64::from(!differs);
        window.counts.other += u64::from(differs);
        if let Some(distance) = distance(&own, &said) {
            window.cells.push(DISTANCE.start + distance_bin(distance));
        }
        if own.margin.is_some_and(|of| of > margin) {
            differing += u64::from(differs);
            window.cells.push(DIFFERS.start + usize::from(differs));
            if pair.flagged {
                window.cells.push(FLAGGED_DIFFERS.start + usize::from(differs));
            }
        }
    }
    if differing > 0 {
        let here = (pair.partition, pair.offset);
        window.first = Some(window.first.map_or(here, |known| known.min(here)));
    }
    if !pair.endpoint.is_empty() {
        let counts = window.endpoint(pair.endpoint);
        counts.rows += rows;
        counts.differing += differing;
    }
}

fn count_answer(said: &HalfRow<'_>, window: &mut JoinWindow) {
    let last = LABELS.len() - 1;
    window.cells.push(LABELS.start + usize::from(said.label).min(last));
    if let Some((_, p)) = said.top().next() {
        let bins = CONFIDENCE.len();
        let bin = (p.clamp(0.0, 1.0) * bins as f32) as usize;
        window.cells.push(CONFIDENCE.start + bin.min(bins - 1));
    }
}

/// The largest difference between two probabilities of one label, over the labels that both sides tell.
fn distance(own: &HalfRow<'_>, said: &HalfRow<'_>) -> Option<f32> {
    let of = |(label, p): (u16, f32)| {
        let same = said.top().find(|&(other, _)| other == label);
        same.map(|(_, q)| (p - q).abs())
    };
    own.top().filter_map(of).reduce(f32::max)
}

/// The octave: the last bin is from a half on, the first one holds all that is less than 2^-23.
fn distance_bin(distance: f32) -> usize {
    let bits = distance.to_bits();
    // The exponent of the float: exact, and the same on every machine.
    let exponent = (bits >> 23 & 0xff) as i32 - 127;
    (exponent + 24).clamp(0, DISTANCE.len() as i32 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_counted_by_its_octave() {
        for (distance, bin) in [(1.0, 23), (0.5, 23), (0.49, 22), (1.6e-5, 8), (1e-9, 0), (0.0, 0)]
        {
            assert_eq!(distance_bin(distance), bin, "{distance}");
        }
    }
}
