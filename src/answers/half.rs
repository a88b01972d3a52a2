//! One half of a pair, and how halves travel to the join topic: many in one value, some forty bytes each.
//!
//! A value is a byte that says what it is, then halves one after the other, or a time. Numbers are little-endian. No id, key or
//! value of a record is in it: of the id a keyed hash.

use crate::record::{Offset, Partition, Timestamp};

/// Rows of a record that are compared; those beyond are not.
pub const ROWS_MAX: usize = 64;
/// Labels of a row whose probabilities travel: the most probable ones.
pub const TOP_MAX: usize = 10;
/// The label of a row that left in another form than the own model saw it: it is not compared.
pub const CORRECTED: u16 = u16::MAX;
/// Bytes of an endpoint's name.
const ENDPOINT_MAX: usize = 32;

const HALVES: u8 = 1;
const TICK: u8 = 2;
/// Bits of a half's first byte.
const IS_ANSWER: u8 = 1;
const IS_FLAGGED: u8 = 2;

/// One side of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Half<'a> {
    /// Keyed hash of the id that both sides have.
    pub id: u64,
    pub at: Timestamp,
    pub of: HalfOf<'a>,
    /// As [`push_row`] wrote them, behind their number.
    pub rows: &'a [u8],
}

/// Whose half it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfOf<'a> {
    /// Of a record that was sent on.
    Request { partition: Partition, offset: Offset, flagged: bool },
    /// Of what the deployed model said; the endpoint is empty if nobody says it.
    Answer { endpoint: &'a str },
}

/// One row of a half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfRow<'a> {
    pub label: u16,
    /// Between the two largest probabilities; none if they are not known.
    pub margin: Option<f32>,
    top: &'a [u8],
}

/// A value of the join topic.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinValue<'a> {
    Halves(Halves<'a>),
    Tick(Timestamp),
}

/// Bytes that no role of ours wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of a value of the join topic is not what this build writes")]
pub struct BadJoinValue {
    pub at: usize,
}

/// Halves of one value, in order. Each was looked through before.
#[derive(Clone, Debug, PartialEq)]
pub struct Halves<'a>(Cursor<'a>);

/// Appends a half to a value, which is begun if it is empty. `rows` are those that [`push_row`] wrote.
pub fn push_half(half: &Half<'_>, out: &mut Vec<u8>) {
    if out.is_empty() {
        out.push(HALVES);
    }
    let flags = match half.of {
        HalfOf::Request { flagged, .. } => u8::from(flagged) * IS_FLAGGED,
        HalfOf::Answer { .. } => IS_ANSWER,
    };
    out.push(flags);
    out.extend(half.id.to_le_bytes());
    out.extend(half.at.0.to_le_bytes());
    match half.of {
        HalfOf::Request { partition, offset, .. } => {
            out.extend(partition.0.to_le_bytes());
            out.extend(offset.0.to_le_bytes());
        }
        HalfOf::Answer { endpoint } => {
            let end = (0..=ENDPOINT_MAX.min(endpoint.len())).rev();
            let end = end.into_iter().find(|&end| endpoint.is_char_boundary(end)).unwrap_or(0);
            out.push(end as u8);
            out.extend(&endpoint.as_bytes()[..end]);
        }
    }
    match half.rows {
        [] => out.push(0),
        rows => out.extend(rows),
    }
}

/// Appends a row to those of a half, whose first byte is their number: nothing beyond [`ROWS_MAX`]. `probabilities` are those
/// of each label, or none.
pub fn push_row(
    label: u16,
    probabilities: impl Iterator<Item = (u16, f32)>,
    start: usize,
    out: &mut Vec<u8>,
) {
    if out.len() == start {
        out.push(0);
    }
    if usize::from(out[start]) == ROWS_MAX {
        return;
    }
    out[start] += 1;
    // The largest first; the first of equals.
    let mut top = [(0_u16, 0.0_f32); TOP_MAX];
    let mut n = 0;
    for (of, p) in probabilities {
        if !p.is_finite() {
            continue;
        }
        let at = top[..n].iter().position(|&(_, other)| p > other).unwrap_or(n);
        if at == TOP_MAX {
            continue;
        }
        n = (n + 1).min(TOP_MAX);
        top[at..n].rotate_right(1);
        top[at] = (of, p);
    }
    out.extend(label.to_le_bytes());
    out.push(n as u8);
    for (of, p) in &top[..n] {
        out.extend(of.to_le_bytes());
        out.extend(p.to_le_bytes());
    }
}

/// A value that says what time it is.
pub fn tick_value(at: Timestamp) -> Vec<u8> {
    let mut value = vec![TICK];
    value.extend(at.0.to_le_bytes());
    value
}

impl<'a> JoinValue<'a> {
    /// # Errors
    /// If a role of ours cannot have written it.
    pub fn read(value: &'a [u8]) -> Result<Self, BadJoinValue> {
        let mut cursor = Cursor { value, at: 0 };
        let read = match cursor.byte()? {
            HALVES => {
                let halves = Halves(cursor.clone());
                while cursor.at < value.len() {
                    cursor.half()?;
                }
                Self::Halves(halves)
            }
            TICK => Self::Tick(Timestamp(i64::from_le_bytes(cursor.array()?))),
            _ => return Err(BadJoinValue { at: 0 }),
        };
        match (&read, cursor.at < value.len()) {
            (Self::Tick(_), true) => Err(BadJoinValue { at: cursor.at }),
            _ => Ok(read),
        }
    }
}

impl<'a> Iterator for Halves<'a> {
    type Item = Half<'a>;

    fn next(&mut self) -> Option<Half<'a>> {
        (self.0.at < self.0.value.len()).then(|| self.0.half().ok()).flatten()
    }
}

impl<'a> HalfRow<'a> {
    /// The rows that [`push_row`] wrote.
    pub fn all(rows: &'a [u8]) -> impl ExactSizeIterator<Item = Self> {
        let mut cursor = Cursor { value: rows, at: 0 };
        let n = cursor.byte().unwrap_or(0);
        (0..n).map(move |_| {
            cursor.row().unwrap_or(HalfRow { label: CORRECTED, margin: None, top: &[] })
        })
    }

    /// Probabilities by label, the largest first.
    pub fn top(&self) -> impl Iterator<Item = (u16, f32)> + use<'a> {
        self.top.chunks_exact(6).map(|pair| {
            let p = f32::from_le_bytes([pair[2], pair[3], pair[4], pair[5]]);
            (u16::from_le_bytes([pair[0], pair[1]]), p)
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Cursor<'a> {
    value: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], BadJoinValue> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.value.len());
        let end = end.ok_or(BadJoinValue { at: self.at })?;
        let bytes = &self.value[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, BadJoinValue> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadJoinValue> {
        self.bytes(N).map(|bytes| bytes.try_into().expect("as many as were asked for"))
    }

    fn half(&mut self) -> Result<Half<'a>, BadJoinValue> {
        let begins = self.at;
        let flags = self.byte()?;
        let id = u64::from_le_bytes(self.array()?);
        let at = Timestamp(i64::from_le_bytes(self.array()?));
        let of = match flags {
            IS_ANSWER => {
                let n = self.byte()?;
                let bytes = self.bytes(n.into())?;
                let endpoint = std::str::from_utf8(bytes);
                HalfOf::Answer { endpoint: endpoint.map_err(|_| BadJoinValue { at: begins })? }
            }
            0 | IS_FLAGGED => HalfOf::Request {
                partition: Partition(i32::from_le_bytes(self.array()?)),
                offset: Offset(i64::from_le_bytes(self.array()?)),
                flagged: flags == IS_FLAGGED,
            },
            _ => return Err(BadJoinValue { at: begins }),
        };
        let start = self.at;
        let n = self.byte()?;
        for _ in 0..n {
            self.row()?;
        }
        Ok(Half { id, at, of, rows: &self.value[start..self.at] })
    }

    fn row(&mut self) -> Result<HalfRow<'a>, BadJoinValue> {
        let label = u16::from_le_bytes(self.array()?);
        let n = usize::from(self.byte()?);
        let top = self.bytes(6 * n)?;
        let row = HalfRow { label, margin: None, top };
        let margin = {
            let mut two = row.top().map(|(_, p)| p);
            two.next().and_then(|first| two.next().map(|second| first - second))
        };
        Ok(HalfRow { margin, ..row })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(labels: &[(u16, &[f32])]) -> Vec<u8> {
        let mut out = vec![];
        for (label, probabilities) in labels {
            let each = probabilities.iter().enumerate().map(|(i, &p)| (i as u16, p));
            push_row(*label, each, 0, &mut out);
        }
        out
    }

    #[test]
    fn halves_are_read_as_they_were_written() {
        let (own, said) = (rows(&[(1, &[0.1, 0.7, 0.2]), (CORRECTED, &[])]), rows(&[(2, &[])]));
        let of =
            HalfOf::Request { partition: Partition(3), offset: Offset(1 << 40), flagged: true };
        let request = Half { id: 7, at: Timestamp(-1), of, rows: &own };
        let of = HalfOf::Answer { endpoint: "canary" };
        let answer = Half { id: u64::MAX, at: Timestamp(1 << 41), of, rows: &said };
        let mut value = vec![];
        [&request, &answer].into_iter().for_each(|half| push_half(half, &mut value));
        let JoinValue::Halves(halves) = JoinValue::read(&value).unwrap() else { panic!("a tick") };
        assert_eq!(halves.collect::<Vec<_>>(), [request, answer]);
        let read: Vec<HalfRow<'_>> = HalfRow::all(&own).collect();
        assert_eq!((read[0].label, read[1].label), (1, CORRECTED));
        assert!((read[0].margin.unwrap() - 0.5).abs() < 1e-6 && read[1].margin.is_none());
        assert_eq!(read[0].top().collect::<Vec<_>>(), [(1, 0.7), (2, 0.2), (0, 0.1)]);
        let tick = tick_value(Timestamp(5));
        assert_eq!(JoinValue::read(&tick), Ok(JoinValue::Tick(Timestamp(5))));
    }

    #[test]
    fn of_many_labels_the_most_probable_ten_travel_and_of_many_rows_the_first_sixty_four() {
        let many: Vec<f32> = (0..100).map(|i| i as f32 / 4950.0).collect();
        let one = rows(&[(99, &many)]);
        let row = HalfRow::all(&one).next().unwrap();
        let labels: Vec<u16> = row.top().map(|(label, _)| label).collect();
        assert_eq!(labels, (90..100).rev().collect::<Vec<_>>());
        let all = rows(&vec![(1, &[0.4, 0.6][..]); 100]);
        assert_eq!(HalfRow::all(&all).len(), ROWS_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, kind in 0_u8..4) {
            let value = [vec![kind], bytes].concat();
            if let Ok(JoinValue::Halves(halves)) = JoinValue::read(&value) {
                for half in halves {
                    HalfRow::all(half.rows).for_each(|row| drop(row.top().collect::<Vec<_>>()));
                }
            }
        }
    }
}
