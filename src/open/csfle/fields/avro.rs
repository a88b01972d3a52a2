//! Encrypted fields of an Avro datum: strings and bytes below a field that has a rule's tag.
//!
//! As Confluent's clients do: what counts is the field that is nearest around a value, so the items of an array in a
//! tagged field are encrypted each for itself, and a record in a tagged field is not, unless its own fields are tagged.
//! Keys of maps, enums, decimals and `fixed` never are.
//!
//! It finds fields and checks no more: what is behind the datum, or odd in it, is refused by who decodes it.

use std::collections::HashMap;
use std::ops::Range;

use apache_avro::Schema;
use apache_avro::schema::{
    DecimalSchema, InnerDecimalSchema, Name, NamesRef, RecordSchema, ResolvedSchema, UuidSchema,
};

use super::super::UnusableRule;
use super::super::rules::{Encryption, tags_of};
use super::FieldPlace;
use crate::open::framed::{Bytes, SchemaText};
use crate::record::Fault;

/// A schema, as far as one must know it to find its encrypted fields.
#[derive(Debug)]
pub struct AvroTags {
    nodes: Vec<AvroShape>,
    root: usize,
}

/// How a value is written.
#[derive(Clone, Debug)]
enum AvroShape {
    Empty,
    Fixed(usize),
    /// A number of up to 64 bits.
    Number,
    /// A length and so many bytes; the rule that encrypts them, and whether they are text.
    Sized {
        rule: Option<u8>,
        is_text: bool,
    },
    Record(Vec<usize>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
}

/// Schemas nest no deeper than their JSON may, 128 levels, with two levels to a record.
const SCHEMA_DEPTH_MAX: u32 = 256;
/// How deep a datum may nest.
const DEPTH_MAX: u32 = 64;
/// Values in a datum: nulls take no bytes, so that a few bytes can claim 2⁶³ of them.
const FUEL: u64 = 1 << 16;
const FUEL_PER_BYTE: u64 = 64;

impl AvroTags {
    pub fn new(schema: &SchemaText, encryption: &Encryption) -> Result<Self, UnusableRule> {
        let wrong = |error: apache_avro::Error| UnusableRule(error.to_string());
        let references: Vec<&str> =
            schema.references.iter().map(|(_, text)| text.as_str()).collect();
        let (root, others) =
            Schema::parse_str_with_list(&schema.text, references).map_err(wrong)?;
        let all: Vec<&Schema> = others.iter().chain([&root]).collect();
        let resolved = ResolvedSchema::new_with_schemata(all).map_err(wrong)?;
        let rules = schema.rules.as_deref();
        let tags = |name: &str| rules.map_or_else(Vec::new, |rules| tags_of(rules, name));
        let names = resolved.get_names();
        let mut compiler =
            AvroTagger { encryption, tags: &tags, names, nodes: vec![], known: HashMap::new() };
        let root = compiler.node(&root, None, 0)?;
        Ok(Self { nodes: compiler.nodes, root })
    }

    pub fn places(&self, payload: &[u8]) -> Result<Vec<FieldPlace>, Fault> {
        let fuel = FUEL + FUEL_PER_BYTE * payload.len() as u64;
        let bytes = Bytes::new(payload, 0..payload.len());
        let mut search = AvroSearch { nodes: &self.nodes, bytes, fuel, places: vec![] };
        search.node(self.root, 0)?;
        Ok(search.places)
    }
}

struct AvroTagger<'s> {
    encryption: &'s Encryption,
    /// What metadata tags a field with, by its full name.
    tags: &'s dyn Fn(&str) -> Vec<String>,
    names: &'s NamesRef<'s>,
    nodes: Vec<AvroShape>,
    /// Records: one that holds itself is one node.
    known: HashMap<Name, usize>,
}

impl AvroTagger<'_> {
    /// `rule` is that of the field around it.
    fn node(
        &mut self,
        schema: &Schema,
        rule: Option<u8>,
        depth: u32,
    ) -> Result<usize, UnusableRule> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(UnusableRule("it nests too deep".into()));
        }
        let depth = depth + 1;
        let shape = match schema {
            Schema::Ref { name } => {
                let names = self.names;
                let found = names.get(name).copied().filter(|s| !matches!(s, Schema::Ref { .. }));
                let found =
                    found.ok_or_else(|| UnusableRule(format!("it has no type {name:?}")))?;
                return self.node(found, rule, depth);
            }
            Schema::Record(record) => return self.record(record, depth),
            Schema::Null => AvroShape::Empty,
            Schema::Boolean => AvroShape::Fixed(1),
            Schema::Float => AvroShape::Fixed(4),
            Schema::Double => AvroShape::Fixed(8),
            Schema::Int
            | Schema::Long
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos
            | Schema::Enum(_) => AvroShape::Number,
            Schema::String | Schema::Uuid(UuidSchema::String) => {
                AvroShape::Sized { rule, is_text: true }
            }
            Schema::Bytes => AvroShape::Sized { rule, is_text: false },
            Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => {
                AvroShape::Sized { rule: None, is_text: false }
            }
            Schema::Decimal(DecimalSchema { inner, .. }) => match inner {
                InnerDecimalSchema::Bytes => AvroShape::Sized { rule: None, is_text: false },
                InnerDecimalSchema::Fixed(fixed) => AvroShape::Fixed(fixed.size),
            },
            Schema::Fixed(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed))
            | Schema::Duration(fixed) => AvroShape::Fixed(fixed.size),
            Schema::Array(array) => AvroShape::Array(self.node(&array.items, rule, depth)?),
            Schema::Map(map) => AvroShape::Map(self.node(&map.types, rule, depth)?),
            Schema::Union(union) => {
                let branch = |schema: &Schema| self.node(schema, rule, depth);
                AvroShape::Union(union.variants().iter().map(branch).collect::<Result<_, _>>()?)
            }
        };
        self.nodes.push(shape);
        Ok(self.nodes.len() - 1)
    }

    fn record(&mut self, record: &RecordSchema, depth: u32) -> Result<usize, UnusableRule> {
        if let Some(&known) = self.known.get(&record.name) {
            return Ok(known);
        }
        let at = self.nodes.len();
        self.nodes.push(AvroShape::Empty);
        self.known.insert(record.name.clone(), at);
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let name = format!("{}.{}", record.name.fullname(None), field.name);
            let inline = field.custom_attributes.get("confluent:tags");
            let inline = inline.and_then(serde_json::Value::as_array).into_iter().flatten();
            let mut tags: Vec<String> =
                inline.filter_map(|tag| tag.as_str()).map(String::from).collect();
            tags.extend((self.tags)(&name));
            let rule = self.encryption.rule_of(&name, &tags)?;
            fields.push(self.node(&field.schema, rule, depth)?);
        }
        self.nodes[at] = AvroShape::Record(fields);
        Ok(at)
    }
}

struct AvroSearch<'v, 's> {
    nodes: &'s [AvroShape],
    bytes: Bytes<'v>,
    fuel: u64,
    places: Vec<FieldPlace>,
}

impl AvroSearch<'_, '_> {
    fn node(&mut self, at: usize, depth: u32) -> Result<(), Fault> {
        self.fuel = self.fuel.checked_sub(1).ok_or(self.bytes.fault())?;
        if depth > DEPTH_MAX {
            return Err(self.bytes.fault());
        }
        let from = self.bytes.at;
        match &self.nodes[at] {
            AvroShape::Empty => Ok(()),
            AvroShape::Fixed(size) => self.bytes.take(*size).map(|_| ()),
            AvroShape::Number => self.bytes.varint().map(|_| ()),
            &AvroShape::Sized { rule, is_text } => {
                let content = self.sized()?;
                self.places.extend(rule.map(|rule| FieldPlace::Field {
                    rule,
                    whole: from..content.end,
                    content: content.clone(),
                    is_text,
                }));
                Ok(())
            }
            AvroShape::Record(fields) => {
                fields.iter().try_for_each(|&field| self.node(field, depth + 1))
            }
            &AvroShape::Array(items) => self.blocks(|search| search.node(items, depth + 1)),
            &AvroShape::Map(values) => self.blocks(|search| {
                search.sized()?;
                search.node(values, depth + 1)
            }),
            AvroShape::Union(branches) => {
                let branch = usize::try_from(self.bytes.zigzag()?);
                let branch = branch.ok().and_then(|branch| branches.get(branch));
                self.node(*branch.ok_or(Fault::Unreadable { at: from })?, depth + 1)
            }
        }
    }

    /// Where the bytes are behind a length.
    fn sized(&mut self) -> Result<Range<usize>, Fault> {
        let size = self.bytes.zigzag()?;
        let start = self.bytes.at;
        self.bytes.sized(size).map(|_| start..self.bytes.at)
    }

    fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            let from = self.bytes.at;
            let count = self.bytes.zigzag()?;
            if count == 0 {
                return Ok(());
            }
            self.fuel = self.fuel.checked_sub(1).ok_or(self.bytes.fault())?;
            let before = self.places.len();
            let mut head = None;
            if count < 0 {
                self.bytes.zigzag()?;
                head = Some(from..self.bytes.at);
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
            // A size stays true as long as nothing in its block changes.
            if let Some(whole) = head.filter(|_| self.places.len() > before) {
                let block = FieldPlace::Block { whole, count: count.unsigned_abs() };
                self.places.insert(before, block);
            }
        }
    }
}
