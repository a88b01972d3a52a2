//! One pass over a document: down the wanted places, past everything else.
//!
//! The walk knows where the numbers are; a `Harvest` knows what to do with them: `Fill` reads
//! them into a row, `Spans` notes where they stand. serde_json's recursion limit bounds the depth
//! of whatever we enter; what we skip is skipped without recursion.

use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::plan::{Node, Plan};

/// Takes the value that a pointer leads to.
pub(super) trait Harvest<'de> {
    fn take<D: Deserializer<'de>>(&mut self, pointer: usize, value: D) -> Result<(), D::Error>;
}

/// What one pointer brought, in the order of the document.
#[derive(Debug)]
pub(super) struct Run {
    pointer: usize,
    /// `Fill`: numbers of the row; `Spans`: bytes of the document.
    pub span: Range<usize>,
}

/// Reads numbers into the row behind `rows[..start]`.
#[derive(Debug)]
pub(super) struct Fill<'r> {
    rows: &'r mut Vec<f32>,
    start: usize,
    width: usize,
    /// Numbers met. Those past `width` are counted, for the message, but not kept.
    got: usize,
    runs: Vec<Run>,
}

impl<'r> Fill<'r> {
    pub fn new(rows: &'r mut Vec<f32>, width: usize) -> Self {
        rows.reserve(width);
        Self { start: rows.len(), rows, width, got: 0, runs: Vec::new() }
    }

    /// How many numbers there were. If they are a row, it is in the order of the pointers now.
    pub fn finish(mut self) -> usize {
        if self.got == self.width && !self.runs.is_sorted_by_key(|run| run.pointer) {
            self.runs.sort_unstable_by_key(|run| run.pointer);
            for Run { span, .. } in &self.runs {
                self.rows.extend_from_within(self.start + span.start..self.start + span.end);
            }
            self.rows.drain(self.start..self.start + self.width);
        }
        self.got
    }
}

impl<'de> Harvest<'de> for Fill<'_> {
    fn take<D: Deserializer<'de>>(&mut self, pointer: usize, value: D) -> Result<(), D::Error> {
        let start = self.got;
        Numbers(self).deserialize(value)?;
        self.runs.push(Run { pointer, span: start..self.got });
        Ok(())
    }
}

/// A number, or an array of what this reads.
struct Numbers<'a, 'r>(&'a mut Fill<'r>);

impl<'de> DeserializeSeed<'de> for Numbers<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Numbers<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number or an array of numbers")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if self.0.got < self.0.width {
            self.0.rows.push(number as f32);
        }
        self.0.got += 1;
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Numbers(self.0))?.is_some() {}
        Ok(())
    }
}

/// Notes which bytes of `text` each pointer leads to, without reading them.
#[derive(Debug)]
pub(super) struct Spans<'t> {
    text: &'t str,
    pub runs: Vec<Run>,
}

impl<'t> Spans<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, runs: Vec::new() }
    }

    /// The runs in the order of the pointers.
    pub fn in_order(mut self) -> Vec<Run> {
        self.runs.sort_unstable_by_key(|run| run.pointer);
        self.runs
    }
}

impl<'de> Harvest<'de> for Spans<'de> {
    fn take<D: Deserializer<'de>>(&mut self, pointer: usize, value: D) -> Result<(), D::Error> {
        let raw = <&'de RawValue>::deserialize(value)?.get();
        let start = super::offset(raw, self.text);
        self.runs.push(Run { pointer, span: start..start + raw.len() });
        Ok(())
    }
}

/// A step of the walk: stands at `node` of the plan.
pub(super) struct Walk<'a, H> {
    plan: &'a Plan,
    node: usize,
    /// Which nodes the document has led to: a second time is a duplicated key.
    seen: &'a mut [bool],
    harvest: &'a mut H,
}

impl<'a, H> Walk<'a, H> {
    /// Walks all of `document`; every pointer leads somewhere or the walk fails.
    pub fn over<'de, D>(plan: &'a Plan, harvest: &'a mut H, document: D) -> Result<(), D::Error>
    where
        H: Harvest<'de>,
        D: Deserializer<'de>,
    {
        let mut seen = vec![false; plan.nodes.len()];
        Walk { plan, node: 0, seen: &mut seen, harvest }.deserialize(document)
    }

    fn at(&mut self, node: usize) -> Walk<'_, H> {
        Walk { plan: self.plan, node, seen: self.seen, harvest: self.harvest }
    }

    fn node(&self) -> &'a Node {
        &self.plan.nodes[self.node]
    }

    fn complete<E: Error>(&self) -> Result<(), E> {
        match self.node().children().all(|child| self.seen[child]) {
            true => Ok(()),
            false => Err(E::custom("a pointer leads nowhere")),
        }
    }
}

impl<'de, H: Harvest<'de>> DeserializeSeed<'de> for Walk<'_, H> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if std::mem::replace(&mut self.seen[self.node], true) {
            return Err(D::Error::custom("a key appears twice"));
        }
        match self.node().pointer {
            Some(pointer) => self.harvest.take(pointer, value),
            None => value.deserialize_any(self),
        }
    }
}

impl<'de, H: Harvest<'de>> Visitor<'de> for Walk<'_, H> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or an array that leads on")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(child) = object.next_key_seed(Key(self.node()))? {
            match child {
                Some(child) => object.next_value_seed(self.at(child))?,
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        self.complete()
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        let mut wanted = self.node().indices.iter().peekable();
        for i in 0.. {
            let more = match wanted.next_if(|&&(at, _)| at == i) {
                Some(&(_, child)) => array.next_element_seed(self.at(child))?.is_some(),
                None => array.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        self.complete()
    }
}

/// Which node below, if any, a key leads to.
struct Key<'a>(&'a Node);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Option<usize>, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.get(key))
    }
}
