//! Protobuf: a message as its descriptor says, read where it stands.
//!
//! Pointers walk fields by their names in the `.proto` file and repeated fields by index. A field
//! without presence holds its default when it is not written, one with presence is missing; a
//! wrapper (`google.protobuf.DoubleValue`, …) is its value or missing; an enum is the word, or the
//! number of a word that the schema does not have. Fields may come in any order and again: the last
//! one holds, messages merge, a member of a `oneof` voids the others, lists are packed or not, all
//! as the specification says. Writing back replaces the bytes of what changed, and the lengths
//! around it; unknown fields are not touched.
//!
//! `protox` and `prost-reflect` read the schema; the bytes we walk ourselves, because decoded into
//! a message and encoded again they would be other bytes.
//!
//! It cannot look into groups and maps, nor see whether what it skips is sound.

mod compile;
mod scalar;

use std::collections::HashMap;
use std::ops::Range;

use prost::encoding::encode_varint;

use self::compile::{Clears, Field, Message, Place, Plan};
use super::cells::{Harvest, Nth, Write};
use super::wanted::Wanted;
use super::{Text, Unusable};
use crate::codec::Scalar;
use crate::open::framed::Bytes;
use crate::record::Fault;

/// Every message of a file, ready to be read.
#[derive(Debug)]
pub struct Plans {
    plans: Vec<Plan>,
    /// Which plan the message has that is found in the file by these indices, outermost first.
    places: HashMap<Vec<u32>, usize>,
}

impl Plans {
    /// # Errors
    /// If `schema` is not Protobuf's, imports what is not there, or has more messages than any
    /// honest file.
    pub fn new(schema: &Text, wanted: &Wanted) -> Result<Self, Unusable> {
        compile::compile(schema, wanted)
    }

    /// Which message a frame's indices name.
    pub fn find(&self, place: &[u32]) -> Option<usize> {
        self.places.get(place).copied()
    }

    /// Walks the message that `payload` of `value` is.
    ///
    /// # Errors
    /// If it is no message, or `harvest` refuses what it holds.
    pub fn walk(
        &self,
        message: usize,
        value: &[u8],
        payload: Range<usize>,
        harvest: &mut dyn Harvest,
    ) -> Result<(), Fault> {
        let plan = &self.plans[message];
        harvest.row()?;
        let mut walk = Walk {
            plan,
            value,
            harvest,
            entered: vec![false; plan.messages.len()],
            lists: vec![0; plan.lists],
            written: vec![0; plan.pointers],
            parts: 0,
        };
        walk.message(0, Bytes::new(value, payload))
    }
}

struct Walk<'v, 'h> {
    plan: &'v Plan,
    value: &'v [u8],
    harvest: &'h mut dyn Harvest,
    /// Which messages have been met: a second part of one adds to the first.
    entered: Vec<bool>,
    /// Items met of each list whose items are wanted by index.
    lists: Vec<usize>,
    /// In which part of its message each pointer was written last.
    written: Vec<usize>,
    parts: usize,
}

impl<'v> Walk<'v, '_> {
    fn message(&mut self, at: usize, mut bytes: Bytes<'v>) -> Result<(), Fault> {
        let message: &'v Message = &self.plan.messages[at];
        self.parts += 1;
        let part = self.parts;
        if !std::mem::replace(&mut self.entered[at], true) {
            for (pointer, field) in message.implicit() {
                self.harvest.default(pointer, field.kind.default())?;
            }
        }
        while bytes.left() > 0 {
            let unreadable = bytes.fault();
            let tag = bytes.varint()?;
            let number = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n));
            let (number, wire) = (number.ok_or(unreadable)?, tag as u8 & 7);
            match message.field(number) {
                Some(field) if wire == field.kind.wire() => self.field(field, part, &mut bytes)?,
                Some(field) if wire == LENGTH && field.list => {
                    self.sized(&mut bytes, |walk, mut bytes| {
                        while bytes.left() > 0 {
                            walk.field(field, part, &mut bytes)?;
                        }
                        Ok(())
                    })?;
                }
                // Of another wire type it is another field.
                _ => skip(&mut bytes, number, wire)?,
            }
        }
        for (pointer, field) in message.implicit() {
            if self.written[pointer] != part {
                let write: Write<'_> = &|cell, out| {
                    encode_varint(u64::from(field.number) << 3 | u64::from(field.kind.wire()), out);
                    field.kind.write(cell, out)
                };
                self.harvest.unwritten(pointer, bytes.at, write);
            }
        }
        Ok(())
    }

    /// One value of a field, its tag behind us.
    fn field(&mut self, field: &'v Field, part: usize, bytes: &mut Bytes<'v>) -> Result<(), Fault> {
        self.clear(&field.clears);
        match &field.place {
            Place::Message(inner) => self.sized(bytes, |walk, bytes| walk.message(*inner, bytes)),
            Place::Messages { list, wanted } => {
                let item = self.item(*list);
                let inner = wanted.iter().find(|(index, _)| *index == item);
                self.sized(bytes, |walk, bytes| {
                    inner.map_or(Ok(()), |&(_, inner)| walk.message(inner, bytes))
                })
            }
            Place::One(pointer) => {
                self.written[*pointer] = part;
                self.scalar(field, *pointer, Nth::Only, bytes)
            }
            Place::List(pointer) => self.scalar(field, *pointer, Nth::Next, bytes),
            Place::Items { list, wanted } => {
                let item = self.item(*list);
                match wanted.binary_search_by_key(&item, |&(index, _)| index) {
                    Ok(at) => self.scalar(field, wanted[at].1, Nth::Only, bytes),
                    Err(_) => field.kind.read(bytes).map(|_| ()),
                }
            }
            Place::Nowhere => field.kind.read(bytes).map(|_| ()),
        }
    }

    fn scalar(
        &mut self,
        field: &'v Field,
        pointer: usize,
        nth: Nth,
        bytes: &mut Bytes<'v>,
    ) -> Result<(), Fault> {
        let from = bytes.at;
        let value: Scalar<'v> = field.kind.read(bytes)?;
        let write: Write<'_> = &|cell, out| field.kind.write(cell, out);
        self.harvest.leaf(pointer, nth, from..bytes.at, value, write)
    }

    /// Bytes with their length in front.
    fn sized(
        &mut self,
        bytes: &mut Bytes<'v>,
        read: impl FnOnce(&mut Self, Bytes<'v>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let from = bytes.at;
        let size = bytes.varint()?;
        let start = bytes.at;
        bytes.sized(size)?;
        let mark = self.harvest.open();
        read(self, Bytes::new(self.value, start..bytes.at))?;
        let write =
            |grown: i64, out: &mut Vec<u8>| encode_varint(size.wrapping_add_signed(grown), out);
        self.harvest.close(mark, from..start, &write);
        Ok(())
    }

    fn item(&mut self, list: usize) -> usize {
        self.lists[list] += 1;
        self.lists[list] - 1
    }

    fn clear(&mut self, clears: &Clears) {
        clears.pointers.iter().for_each(|&pointer| self.harvest.clear(pointer));
        clears.messages.iter().for_each(|&message| self.entered[message] = false);
        clears.lists.iter().for_each(|&list| self.lists[list] = 0);
    }
}

/// Wire types: what the lowest three bits of a tag say about how long a value is.
const VARINT: u8 = 0;
const EIGHT: u8 = 1;
const LENGTH: u8 = 2;
const FOUR: u8 = 5;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;

/// Goes past a value of a field we do not want. A group's end names its beginning.
fn skip(bytes: &mut Bytes<'_>, number: u32, wire: u8) -> Result<(), Fault> {
    /// As deep as other readers follow.
    const DEPTH_MAX: usize = 100;
    let mut groups: Vec<u32> = vec![];
    let (mut number, mut wire) = (number, wire);
    loop {
        let unreadable = bytes.fault();
        match wire {
            VARINT => drop(bytes.varint()?),
            EIGHT => drop(bytes.array::<8>()?),
            FOUR => drop(bytes.array::<4>()?),
            LENGTH => {
                let size = bytes.varint()?;
                bytes.sized(size)?;
            }
            GROUP if groups.len() < DEPTH_MAX => groups.push(number),
            GROUP_END if groups.pop() == Some(number) => {}
            _ => return Err(unreadable),
        }
        if groups.is_empty() {
            return Ok(());
        }
        let tag = bytes.varint()?;
        let next = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n));
        (number, wire) = (next.ok_or(unreadable)?, tag as u8 & 7);
    }
}

#[cfg(test)]
mod tests;
