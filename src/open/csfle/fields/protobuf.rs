//! Encrypted fields of a Protobuf message: strings and bytes of a field that has a rule's tag.
//!
//! As Confluent's clients do: tags are in the option `(confluent.field_meta)` or in the schema's metadata, by full name.
//! Items of a list and values of a map in such a field are encrypted each for itself, and so is a message in it only as far
//! as its own fields are tagged. Keys of maps, decimals, timestamps and groups never are.
//!
//! It finds fields and checks no more: who decodes the message refuses what is odd in it.

use std::collections::HashMap;
use std::ops::Range;

use prost::encoding::{DecodeContext, WireType, skip_field};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, Value};

use super::super::UnusableRule;
use super::super::rules::{Encryption, tags_of};
use super::FieldPlace;
use crate::open::framed::{Bytes, SchemaText, compile_protobuf};
use crate::record::Fault;

/// A schema, as far as one must know it to find its encrypted fields.
#[derive(Debug)]
pub struct ProtobufTags {
    nodes: Vec<ProtobufNode>,
    /// Node of each message of the file, by its place there.
    roots: HashMap<Vec<u32>, usize>,
}

/// Fields of a message that are encrypted, or may have some below them.
type ProtobufNode = HashMap<u32, ProtobufField>;

#[derive(Clone, Copy, Debug)]
enum ProtobufField {
    Sized { rule: u8, is_text: bool },
    Message(usize),
}

/// Messages of one schema; the largest public ones have some hundred.
const MESSAGES_MAX: usize = 4096;
/// How deep a message may nest: Protobuf's own readers take 100.
const DEPTH_MAX: u32 = 100;
/// Messages whose fields are never fields of a rule.
const LEAVES: [&str; 2] = ["confluent.type.Decimal", "google.protobuf.Timestamp"];

impl ProtobufTags {
    pub fn new(schema: &SchemaText, encryption: &Encryption) -> Result<Self, UnusableRule> {
        let file = compile_protobuf(schema).map_err(UnusableRule)?;
        let rules = schema.rules.as_deref();
        let tags = |name: &str| rules.map_or_else(Vec::new, |rules| tags_of(rules, name));
        let mut tagger =
            ProtobufTagger { encryption, tags: &tags, nodes: vec![], known: HashMap::new() };
        let mut roots = HashMap::new();
        let mut open: Vec<(Vec<u32>, MessageDescriptor)> =
            file.messages().enumerate().map(|(i, message)| (vec![i as u32], message)).collect();
        while let Some((place, message)) = open.pop() {
            let inner = message.child_messages().enumerate();
            open.extend(inner.map(|(i, inner)| ([&place[..], &[i as u32]].concat(), inner)));
            roots.insert(place, tagger.message(&message)?);
        }
        Ok(Self { nodes: tagger.nodes, roots })
    }

    /// The places in `payload`, a message that stands at `message` in its file.
    pub fn places(&self, payload: &[u8], message: &[u32]) -> Result<Vec<FieldPlace>, Fault> {
        let root = self.roots.get(message).ok_or(Fault::UnknownSchema)?;
        let mut search = ProtobufSearch { nodes: &self.nodes, payload, places: vec![] };
        search.message(*root, 0..payload.len(), 0)?;
        Ok(search.places)
    }
}

struct ProtobufTagger<'s> {
    encryption: &'s Encryption,
    /// What metadata tags a field with, by its full name.
    tags: &'s dyn Fn(&str) -> Vec<String>,
    nodes: Vec<ProtobufNode>,
    /// Messages by their full names: one that holds itself is one node.
    known: HashMap<String, usize>,
}

impl ProtobufTagger<'_> {
    fn message(&mut self, message: &MessageDescriptor) -> Result<usize, UnusableRule> {
        // One after the other, not one in the other: a schema may nest as deep as it likes.
        let root = self.node(message)?.0;
        let mut open = vec![(root, message.clone())];
        while let Some((at, message)) = open.pop() {
            if !self.nodes[at].is_empty() {
                continue;
            }
            for field in message.fields() {
                let rule = self.rule_of(&field)?;
                if let Some(found) = self.field(&field, rule, &mut open)? {
                    self.nodes[at].insert(field.number(), found);
                }
            }
        }
        Ok(root)
    }

    fn rule_of(&self, field: &FieldDescriptor) -> Result<Option<u8>, UnusableRule> {
        let mut tags = inline_tags(field);
        tags.extend((self.tags)(field.full_name()));
        self.encryption.rule_of(field.full_name(), &tags)
    }

    /// What is to be known of `field`; `rule` is its own, or that of the map whose value it is.
    fn field(
        &mut self,
        field: &FieldDescriptor,
        rule: Option<u8>,
        open: &mut Vec<(usize, MessageDescriptor)>,
    ) -> Result<Option<ProtobufField>, UnusableRule> {
        let sized = |is_text| rule.map(|rule| ProtobufField::Sized { rule, is_text });
        Ok(match field.kind() {
            Kind::String => sized(true),
            Kind::Bytes => sized(false),
            Kind::Message(entry) if field.is_map() => {
                let value = entry.map_entry_value_field();
                let number = value.number();
                let found = self.field(&value, rule, open)?;
                found.map(|found| {
                    self.nodes.push([(number, found)].into());
                    ProtobufField::Message(self.nodes.len() - 1)
                })
            }
            Kind::Message(message) => {
                if LEAVES.contains(&message.full_name()) || field.is_group() {
                    return Ok(None);
                }
                let (at, is_new) = self.node(&message)?;
                if is_new {
                    open.push((at, message));
                }
                Some(ProtobufField::Message(at))
            }
            _ => None,
        })
    }

    /// The node of a message, and whether it is new.
    fn node(&mut self, message: &MessageDescriptor) -> Result<(usize, bool), UnusableRule> {
        if let Some(&known) = self.known.get(message.full_name()) {
            return Ok((known, false));
        }
        if self.nodes.len() >= MESSAGES_MAX {
            return Err(UnusableRule(format!("it has more than {MESSAGES_MAX} messages")));
        }
        self.nodes.push(HashMap::new());
        self.known.insert(message.full_name().to_owned(), self.nodes.len() - 1);
        Ok((self.nodes.len() - 1, true))
    }
}

/// Tags in the field's own options.
fn inline_tags(field: &FieldDescriptor) -> Vec<String> {
    let pool = field.parent_message().parent_pool().clone();
    let Some(meta) = pool.get_extension_by_name("confluent.field_meta") else { return vec![] };
    let options = field.options();
    let meta = options.get_extension(&meta);
    let tags = meta.as_message().and_then(|meta| meta.get_field_by_name("tags"));
    let tags = tags.iter().flat_map(|tags| tags.as_list().unwrap_or_default());
    tags.filter_map(Value::as_str).map(str::to_owned).collect()
}

struct ProtobufSearch<'v, 's> {
    nodes: &'s [ProtobufNode],
    payload: &'v [u8],
    places: Vec<FieldPlace>,
}

impl ProtobufSearch<'_, '_> {
    fn message(&mut self, node: usize, part: Range<usize>, depth: u32) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Unreadable { at: part.start });
        }
        let mut bytes = Bytes::new(self.payload, part);
        while bytes.left() > 0 {
            let key = bytes.varint()?;
            let number = u32::try_from(key >> 3).map_err(|_| bytes.fault())?;
            match key & 7 {
                0 => drop(bytes.varint()?),
                1 => drop(bytes.take(8)?),
                5 => drop(bytes.take(4)?),
                2 => {
                    let from = bytes.at;
                    let size = bytes.varint()?;
                    let start = bytes.at;
                    bytes.sized(size)?;
                    self.sized(node, number, from, start..bytes.at, depth)?;
                }
                3 => self.group(number, &mut bytes)?,
                _ => return Err(bytes.fault()),
            }
        }
        Ok(())
    }

    /// Passes over a group: no encrypted field is in one.
    fn group(&self, number: u32, bytes: &mut Bytes<'_>) -> Result<(), Fault> {
        let end = bytes.at + bytes.left();
        let mut rest = &self.payload[bytes.at..end];
        let context = DecodeContext::default();
        skip_field(WireType::StartGroup, number, &mut rest, context).map_err(|_| bytes.fault())?;
        bytes.at = end - rest.len();
        Ok(())
    }

    /// `body` is a field with its length before it, from `from` on.
    fn sized(
        &mut self,
        node: usize,
        number: u32,
        from: usize,
        body: Range<usize>,
        depth: u32,
    ) -> Result<(), Fault> {
        match self.nodes[node].get(&number) {
            None => Ok(()),
            Some(&ProtobufField::Sized { rule, is_text }) => {
                let whole = from..body.end;
                self.places.push(FieldPlace::Field { rule, whole, content: body, is_text });
                Ok(())
            }
            Some(&ProtobufField::Message(inner)) => {
                let before = self.places.len();
                self.message(inner, body.clone(), depth + 1)?;
                // A length stays true as long as nothing behind it changes.
                if self.places.len() > before {
                    let length = FieldPlace::Length { whole: from..body.start, body };
                    self.places.insert(before, length);
                }
                Ok(())
            }
        }
    }
}
