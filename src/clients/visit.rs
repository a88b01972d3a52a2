//! Visits: what a worker says of the rows of one partition, and how that travels.
//!
//! A message holds the visits of the offsets `from..to` of one partition and of no others, as evidence does. Visits of a
//! window are a multiset: how the offsets were cut shows nowhere. It is binary: 135 bytes a row with
//! fingerprints, about 20 without. No id, no key and no value of a record is in it.
//!
//! Of a record with more rows than [`ROWS_MAX`] the first are told.

use super::ClientName;
use super::prints::{PRINTS, RowPrints};
use crate::alarm::WindowStart;
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::Presence;

/// One row, as a worker saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowVisit {
    /// Where its record stands.
    pub offset: i64,
    /// Whose it is, if the record says.
    pub client: Option<ClientName>,
    /// From where it came, if the record says.
    pub origin: Option<u16>,
    /// A bit for each mark of the list.
    pub marks: u8,
    /// Its place among rows, coarse; if the bundle has fingerprints.
    pub cell: Option<u32>,
    /// Rows that are alike to the bit have the same.
    pub hash: u32,
    /// If the bundle has them.
    pub prints: Option<RowPrints>,
}

/// Visits of one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitWindow {
    pub window: WindowStart,
    pub visits: Vec<RowVisit>,
}

/// The visits of the input offsets `from..to` of one partition, by window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visits {
    /// Which knowledge marked these rows.
    pub baseline: String,
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
    /// As in `watch::Evidence`.
    pub begins: bool,
    pub head: WindowStart,
    pub read_out: bool,
    pub windows: Vec<VisitWindow>,
}

/// A value of the topic of visits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VisitMessage {
    Visits(Visits),
    Presence(Presence),
    Tick(Timestamp),
}

/// Visits since somebody took them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitLog {
    from: Offset,
    windows: Vec<VisitWindow>,
    rows: usize,
    full: Vec<Visits>,
    begins: bool,
    counted: bool,
}

/// Rows of a message: 600 kB with fingerprints, below what a topic takes by default.
const MESSAGE_ROWS_MAX: usize = 4096;
/// Rows of one record that are told.
pub const ROWS_MAX: usize = 2048;

impl VisitLog {
    /// Nothing visited yet; what comes is at `from` or above.
    pub fn new(from: Offset) -> Self {
        Self { from, windows: vec![], rows: 0, full: vec![], begins: true, counted: false }
    }

    /// The visits of a record, whose `marks` and what else is known of its rows is there.
    pub fn add(
        &mut self,
        window: WindowStart,
        visits: impl Iterator<Item = RowVisit>,
        offset: Offset,
        cut: impl FnOnce() -> (String, Partition, WindowStart),
    ) {
        if self.rows > MESSAGE_ROWS_MAX - ROWS_MAX {
            let full = self.cut(offset, cut());
            self.full.push(full);
        }
        self.counted = true;
        let at = match self.windows.binary_search_by_key(&window, |w| w.window) {
            Ok(at) => at,
            Err(at) => {
                self.windows.insert(at, VisitWindow { window, visits: vec![] });
                at
            }
        };
        let into = &mut self.windows[at].visits;
        let before = into.len();
        into.extend(visits.take(ROWS_MAX));
        self.rows += into.len() - before;
    }

    /// What was visited since the last call, up to `to`.
    pub fn drain(
        &mut self,
        to: Offset,
        cut: impl FnOnce() -> (String, Partition, WindowStart),
        into: &mut Vec<Visits>,
    ) {
        into.append(&mut self.full);
        if self.counted {
            into.push(self.cut(to, cut()));
        }
        self.from = to;
    }

    fn cut(
        &mut self,
        to: Offset,
        (baseline, partition, head): (String, Partition, WindowStart),
    ) -> Visits {
        (self.rows, self.counted) = (0, false);
        Visits {
            baseline,
            partition,
            from: std::mem::replace(&mut self.from, to),
            to,
            begins: std::mem::replace(&mut self.begins, false),
            head,
            read_out: false,
            windows: std::mem::take(&mut self.windows),
        }
    }
}

/// The first byte of each kind of message; a build that does not know one passes over it.
const VISITS: u8 = 1;
const PRESENCE: u8 = 2;
const TICK: u8 = 3;

const CLIENT: u8 = 1;
const ORIGIN: u8 = 2;
const CELL: u8 = 4;
const PRINTED: u8 = 8;

/// Bytes of a fingerprint.
const PRINT_BYTES: usize = 5;

impl VisitMessage {
    /// Binary.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![];
        match self {
            Self::Tick(at) => {
                out.push(TICK);
                varint(&mut out, at.0.cast_unsigned());
            }
            Self::Presence(Presence { partition, quiet }) => {
                out.extend([PRESENCE, u8::from(*quiet)]);
                varint(&mut out, i64::from(partition.0).cast_unsigned());
            }
            Self::Visits(visits) => {
                out.push(VISITS);
                visits.write(&mut out);
            }
        }
        out
    }

    /// # Errors
    /// If `bytes` are not a message of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut read = Bytes(bytes);
        let message = match read.byte()? {
            TICK => Self::Tick(Timestamp(read.varint()?.cast_signed())),
            PRESENCE => {
                let quiet = read.byte()? != 0;
                Self::Presence(Presence { partition: read.partition()?, quiet })
            }
            VISITS => Self::Visits(Visits::read(&mut read)?),
            kind => return Err(format!("a message of kind {kind}: it is of another version")),
        };
        match read.0.is_empty() {
            true => Ok(message),
            false => Err(format!("{} bytes are left over", read.0.len())),
        }
    }
}

impl Visits {
    fn write(&self, out: &mut Vec<u8>) {
        let number = |out: &mut Vec<u8>, number: i64| varint(out, number.cast_unsigned());
        varint(out, self.baseline.len() as u64);
        out.extend_from_slice(self.baseline.as_bytes());
        number(out, self.partition.0.into());
        number(out, self.from.0);
        number(out, self.to.0);
        out.push(u8::from(self.begins) | u8::from(self.read_out) << 1);
        number(out, self.head.0);
        varint(out, self.windows.len() as u64);
        for VisitWindow { window, visits } in &self.windows {
            number(out, window.0);
            varint(out, visits.len() as u64);
            let mut before = self.from.0;
            for visit in visits {
                number(out, visit.offset - before);
                before = visit.offset;
                visit.write(out);
            }
        }
    }

    fn read(read: &mut Bytes<'_>) -> Result<Self, String> {
        let name = read.varint()? as usize;
        let baseline = read.take(name)?;
        let baseline = std::str::from_utf8(baseline).map_err(|e| e.to_string())?.to_owned();
        let partition = read.partition()?;
        let (from, to) = (read.number()?, read.number()?);
        let flags = read.byte()?;
        let head = Timestamp(read.number()?);
        let mut windows = vec![];
        for _ in 0..read.varint()? {
            let window = Timestamp(read.number()?);
            let (mut visits, mut offset) = (vec![], from);
            for _ in 0..read.varint()? {
                offset = offset.saturating_add(read.number()?);
                visits.push(RowVisit::read(offset, read)?);
            }
            windows.push(VisitWindow { window, visits });
        }
        let (begins, read_out) = (flags & 1 != 0, flags & 2 != 0);
        let (from, to) = (Offset(from), Offset(to));
        Ok(Self { baseline, partition, from, to, begins, head, read_out, windows })
    }
}

impl RowVisit {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { client, origin, marks, cell, hash, prints, .. } = self;
        let there = |yes: bool, bit: u8| if yes { bit } else { 0 };
        out.push(
            there(client.is_some(), CLIENT)
                | there(origin.is_some(), ORIGIN)
                | there(cell.is_some(), CELL)
                | there(prints.is_some(), PRINTED),
        );
        out.push(*marks);
        out.extend(hash.to_le_bytes());
        out.extend(client.iter().flat_map(|client| client.0.to_le_bytes()));
        out.extend(origin.iter().flat_map(|origin| origin.to_le_bytes()));
        out.extend(cell.iter().flat_map(|cell| cell.to_le_bytes()));
        let prints = prints.iter().flat_map(|prints| prints.0.iter());
        prints.for_each(|print| out.extend_from_slice(&print.to_le_bytes()[..PRINT_BYTES]));
    }

    fn read(offset: i64, read: &mut Bytes<'_>) -> Result<Self, String> {
        let (there, marks) = (read.byte()?, read.byte()?);
        let hash = u32::from_le_bytes(read.array()?);
        let mut visit = Self { offset, marks, hash, ..Self::default() };
        if there & CLIENT != 0 {
            visit.client = Some(ClientName(u64::from_le_bytes(read.array()?)));
        }
        if there & ORIGIN != 0 {
            visit.origin = Some(u16::from_le_bytes(read.array()?));
        }
        if there & CELL != 0 {
            visit.cell = Some(u32::from_le_bytes(read.array()?));
        }
        if there & PRINTED != 0 {
            let mut prints = Box::new([0; PRINTS]);
            for print in prints.iter_mut() {
                let mut bytes = [0; 8];
                bytes[..PRINT_BYTES].copy_from_slice(read.take(PRINT_BYTES)?);
                *print = u64::from_le_bytes(bytes);
            }
            visit.prints = Some(RowPrints(prints));
        }
        Ok(visit)
    }
}

/// Appends a number, seven bits a byte, the least first.
pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes that are read from the front.
pub(super) struct Bytes<'b>(pub &'b [u8]);

impl<'b> Bytes<'b> {
    pub fn take(&mut self, n: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("as many as asked for"))
    }

    pub fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    pub fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number of more than 64 bits".into())
    }

    pub fn number(&mut self) -> Result<i64, String> {
        self.varint().map(u64::cast_signed)
    }

    fn partition(&mut self) -> Result<Partition, String> {
        let number = self.number()?;
        i32::try_from(number).map(Partition).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests;
