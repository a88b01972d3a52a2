//! Avro: a datum as the writer's schema says, read where it stands.
//!
//! A record is a row, an array of records is a row each. Pointers walk records and maps by key and
//! arrays by index. A union is whatever its branch is, `null` is missing; a logical type is the
//! number below it (a date is days, a timestamp its milli- or microseconds), but a decimal is its
//! value; an enum is the word. Writing back replaces the bytes of what changed and no other, so a
//! datum keeps even what its writer wrote oddly.
//!
//! We parse the schema with `apache-avro`, but walk the bytes ourselves: that crate decodes into a
//! tree, whose size is what the datum claims, and would write back another datum than it read.
//! Where readers are lax we refuse: bytes behind the datum, a block whose size is not its items',
//! a boolean that is neither 0 nor 1. A record that two readers read differently is an attack.
//!
//! It cannot see what the schema's words mean: an enum's symbols are compared by their spelling.

mod compile;
mod write;

use std::ops::Range;

use self::compile::{Kind, Node};
use super::cells::{Harvest, Nth, Write};
use super::wanted::Wanted;
use super::{Text, Unusable};
use crate::codec::Scalar;
use crate::open::framed::{Bytes, put_zigzag};
use crate::record::Fault;

/// One schema, and which of its values are cells.
#[derive(Debug)]
pub struct Plan {
    nodes: Vec<Node>,
    root: usize,
    /// The root is an array, and its items are the rows.
    many: bool,
}

impl Plan {
    /// # Errors
    /// If `schema` is not Avro's, or nested deeper than we follow.
    pub fn new(schema: &Text, wanted: &Wanted) -> Result<Self, Unusable> {
        compile::compile(schema, wanted)
    }

    /// Walks the datum that `payload` of `value` is.
    ///
    /// # Errors
    /// If it is not one datum of the schema, or `harvest` refuses what it holds.
    pub fn walk(
        &self,
        value: &[u8],
        payload: Range<usize>,
        harvest: &mut dyn Harvest,
    ) -> Result<(), Fault> {
        let fuel = FUEL + FUEL_PER_BYTE * payload.len() as u64;
        let bytes = Bytes::new(value, payload);
        let mut walk = Walk { plan: self, bytes, fuel, harvest };
        if !self.many {
            walk.harvest.row()?;
        }
        walk.node(self.root, 0)?;
        match walk.bytes.left() {
            0 => Ok(()),
            _ => Err(walk.bytes.fault()),
        }
    }
}

/// How many values a datum may hold: more than its bytes, because nulls and empty records take
/// none, but not the 2⁶³ nulls that eleven bytes can claim. Records nest values without bytes of
/// their own; 64 to a byte is more than any schema that is not made for it.
const FUEL_PER_BYTE: u64 = 64;
const FUEL: u64 = 1 << 16;

/// How deep a datum may nest.
const DEPTH_MAX: u32 = 64;

struct Walk<'v, 'h> {
    plan: &'v Plan,
    bytes: Bytes<'v>,
    fuel: u64,
    harvest: &'h mut dyn Harvest,
}

impl<'v> Walk<'v, '_> {
    fn node(&mut self, at: usize, depth: u32) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(self.bytes.fault());
        }
        self.burn()?;
        let plan = self.plan;
        let node = &plan.nodes[at];
        let from = self.bytes.at;
        let value = match &node.kind {
            Kind::Array { wanted, others } => {
                return self.blocks(|walk, i| {
                    if plan.many && depth == 0 {
                        walk.harvest.row()?;
                    }
                    let special = wanted.binary_search_by_key(&i, |&(index, _)| index);
                    walk.node(special.map_or(*others, |at| wanted[at].1), depth + 1)
                });
            }
            Kind::Union(branches) => {
                let branch = usize::try_from(self.bytes.zigzag()?);
                let branch = branch.ok().and_then(|branch| branches.get(branch));
                return self.node(*branch.ok_or(Fault::Unreadable { at: from })?, depth + 1);
            }
            Kind::Record(fields) => {
                fields.iter().try_for_each(|&field| self.node(field, depth + 1))?;
                OPAQUE
            }
            Kind::Map { wanted, others } => {
                self.blocks(|walk, _| {
                    let size = walk.bytes.zigzag()?;
                    let key = walk.bytes.text(size)?;
                    let special = wanted.binary_search_by(|(k, _)| k.as_str().cmp(key));
                    walk.node(special.map_or(*others, |at| wanted[at].1), depth + 1)
                })?;
                OPAQUE
            }
            kind => self.scalar(kind)?,
        };
        match node.cell {
            // A feature that is null has none of its cells; a null among others is one of them.
            Some((_, Nth::Only)) if value == Scalar::Null => Ok(()),
            Some((pointer, nth)) => {
                let write: Write<'_> = &|cell, out| write::write(&node.kind, cell, out);
                self.harvest.leaf(pointer, nth, from..self.bytes.at, value, write)
            }
            None => Ok(()),
        }
    }

    fn burn(&mut self) -> Result<(), Fault> {
        self.fuel = self.fuel.checked_sub(1).ok_or(self.bytes.fault())?;
        Ok(())
    }

    /// The items of an array or a map: blocks of so many, until one of none. A block may say its
    /// size in bytes, by a negative count.
    fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut items = 0..;
        loop {
            let unreadable = self.bytes.fault();
            let count = self.bytes.zigzag()?;
            if count == 0 {
                return Ok(());
            }
            self.burn()?;
            let mut size = None;
            if count < 0 {
                let at = self.bytes.at;
                let bytes = self.bytes.zigzag()?;
                size = Some((at..self.bytes.at, bytes));
            }
            let mark = self.harvest.open();
            for _ in 0..count.unsigned_abs() {
                item(self, items.next().expect("fuel ends before numbers do"))?;
            }
            if let Some((place, bytes)) = size {
                if (self.bytes.at - place.end) as i64 != bytes {
                    return Err(unreadable);
                }
                self.harvest.close(mark, place, &|grown, out| put_zigzag(bytes + grown, out));
            }
        }
    }

    fn scalar(&mut self, kind: &'v Kind) -> Result<Scalar<'v>, Fault> {
        let unreadable = self.bytes.fault();
        Ok(match kind {
            Kind::Null => Scalar::Null,
            Kind::Boolean => match self.bytes.byte()? {
                0 => Scalar::Bool(false),
                1 => Scalar::Bool(true),
                _ => return Err(unreadable),
            },
            Kind::Int => match i32::try_from(self.bytes.zigzag()?) {
                Ok(n) => Scalar::Number(n.into()),
                Err(_) => return Err(unreadable),
            },
            Kind::Long => Scalar::Number(self.bytes.zigzag()? as f64),
            Kind::Float => Scalar::Number(f32::from_le_bytes(self.bytes.array()?).into()),
            Kind::Double => Scalar::Number(f64::from_le_bytes(self.bytes.array()?)),
            Kind::String => {
                let size = self.bytes.zigzag()?;
                Scalar::Text(self.bytes.text(size)?)
            }
            Kind::Bytes => text(self.sized()?),
            Kind::Fixed(size) => text(self.bytes.take(*size)?),
            Kind::Enum(symbols) => {
                let symbol = usize::try_from(self.bytes.zigzag()?).map_err(|_| unreadable)?;
                Scalar::Text(symbols.get(symbol).ok_or(unreadable)?)
            }
            Kind::Decimal { scale, fixed } => {
                let bytes = match fixed {
                    Some(size) => self.bytes.take(*size)?,
                    None => self.sized()?,
                };
                Scalar::Number(unscaled(bytes) / 10_f64.powi(*scale))
            }
            Kind::Record(_) | Kind::Array { .. } | Kind::Map { .. } | Kind::Union(_) => {
                unreachable!("`node` walks them")
            }
        })
    }

    fn sized(&mut self) -> Result<&'v [u8], Fault> {
        let size = self.bytes.zigzag()?;
        self.bytes.sized(size)
    }
}

/// Stands for what is neither a number nor a word: refused where a number is wanted, a value never
/// seen where a word is, and nothing to an id.
const OPAQUE: Scalar<'static> = Scalar::Text("\u{fffd}");

fn text(bytes: &[u8]) -> Scalar<'_> {
    std::str::from_utf8(bytes).map_or(OPAQUE, Scalar::Text)
}

/// The integer in `bytes`: two's complement, big-endian.
fn unscaled(bytes: &[u8]) -> f64 {
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    // -1 - !n = n, and !n is what there is no sign to care about in.
    let digit = |byte: u8| f64::from(if negative { !byte } else { byte });
    let number = bytes.iter().fold(0.0, |number, &byte| number * 256.0 + digit(byte));
    if negative { -1.0 - number } else { number }
}

#[cfg(test)]
mod tests;
