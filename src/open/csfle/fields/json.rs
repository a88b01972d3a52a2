//! Encrypted fields of a JSON document: texts below a property that has a rule's tag, in its schema (JSON Schema).
//!
//! As Confluent's clients do, what counts is the property that is nearest around a text. Branches of `allOf`, `anyOf` and
//! `oneOf` are taken together: a text is encrypted if any of them says so. It follows references within the schema;
//! one to another document makes a schema unusable.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::UnusableRule;
use super::super::rules::{Encryption, tags_of};
use super::FieldPlace;
use crate::open::framed::SchemaText;
use crate::record::{Fault, SealFault};

/// A schema, as far as one must know it to find its encrypted fields.
#[derive(Debug)]
pub struct JsonTags {
    nodes: Vec<JsonShape>,
}

/// What is known of a value. Node 0 is the document.
#[derive(Debug, Default)]
struct JsonShape {
    /// What encrypts a text here.
    rule: Option<u8>,
    properties: Vec<(String, usize)>,
    items: Option<usize>,
}

/// How deep a schema and a document may nest.
const DEPTH_MAX: u32 = 64;
/// Nodes of a schema: no person reviews one that has more.
const NODES_MAX: usize = 1 << 16;

impl JsonTags {
    pub fn new(schema: &SchemaText, encryption: &Encryption) -> Result<Self, UnusableRule> {
        let document: Value =
            serde_json::from_str(&schema.text).map_err(|error| UnusableRule(error.to_string()))?;
        let rules = schema.rules.as_deref();
        let tags = |name: &str| rules.map_or_else(Vec::new, |rules| tags_of(rules, name));
        let mut compiler = JsonTagger {
            document: &document,
            encryption,
            tags: &tags,
            nodes: vec![JsonShape::default()],
            known: HashMap::new(),
        };
        compiler.fill(0, &document, "$", 0)?;
        Ok(Self { nodes: compiler.nodes })
    }

    pub fn places(&self, payload: &[u8]) -> Result<Vec<FieldPlace>, Fault> {
        let document: &RawValue =
            serde_json::from_slice(payload).map_err(|_| Fault::Unreadable { at: 0 })?;
        let mut search =
            JsonSearch { nodes: &self.nodes, start: payload.as_ptr() as usize, places: vec![] };
        search.value(0, document.get(), 0)?;
        Ok(search.places)
    }
}

struct JsonTagger<'s> {
    document: &'s Value,
    encryption: &'s Encryption,
    tags: &'s dyn Fn(&str) -> Vec<String>,
    nodes: Vec<JsonShape>,
    /// Nodes of what is referred to, by the reference and the rule around it: a schema may hold itself.
    known: HashMap<(String, Option<u8>), usize>,
}

impl<'s> JsonTagger<'s> {
    /// Adds to node `at` what `schema` says; `path` is its full name.
    fn fill(
        &mut self,
        at: usize,
        schema: &Value,
        path: &str,
        depth: u32,
    ) -> Result<(), UnusableRule> {
        if depth > DEPTH_MAX || self.nodes.len() > NODES_MAX {
            return Err(UnusableRule("it nests too deep".into()));
        }
        let Value::Object(schema) = schema else { return Ok(()) };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.target(reference)?;
            self.fill(at, target, path, depth + 1)?;
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            for branch in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.fill(at, branch, path, depth + 1)?;
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let path = format!("{path}.{name}");
            let inline = property.get("confluent:tags").and_then(Value::as_array);
            let inline = inline.into_iter().flatten().filter_map(Value::as_str);
            let mut tags: Vec<String> = inline.map(String::from).collect();
            tags.extend((self.tags)(&path));
            let rule = self.encryption.rule_of(&path, &tags)?;
            let earlier = self.nodes[at].properties.iter().find(|(known, _)| known == name);
            let earlier = earlier.map(|&(_, node)| node);
            let node = match earlier {
                Some(node) => {
                    let before = &mut self.nodes[node].rule;
                    if before.is_some() && rule.is_some() && *before != rule {
                        return Err(UnusableRule(format!("two rules encrypt the field {path:?}")));
                    }
                    *before = before.or(rule);
                    self.fill(node, property, &path, depth + 1)?;
                    node
                }
                None => self.child(property, rule, &path, depth)?,
            };
            if earlier.is_none() {
                self.nodes[at].properties.push((name.clone(), node));
            }
        }
        if let Some(items) = schema.get("items") {
            let rule = self.nodes[at].rule;
            match self.nodes[at].items {
                Some(node) => self.fill(node, items, path, depth + 1)?,
                None => self.nodes[at].items = Some(self.child(items, rule, path, depth)?),
            }
        }
        Ok(())
    }

    /// A node of its own for `schema`; one that only refers to another has that one's.
    fn child(
        &mut self,
        schema: &Value,
        rule: Option<u8>,
        path: &str,
        depth: u32,
    ) -> Result<usize, UnusableRule> {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let reference = reference.map(|reference| (reference.to_owned(), rule));
        if let Some(&known) = reference.as_ref().and_then(|reference| self.known.get(reference)) {
            return Ok(known);
        }
        let node = self.nodes.len();
        self.nodes.push(JsonShape { rule, ..JsonShape::default() });
        self.known.extend(reference.map(|reference| (reference, node)));
        self.fill(node, schema, path, depth + 1)?;
        Ok(node)
    }

    /// What `reference` points to in the schema's own document.
    fn target(&self, reference: &str) -> Result<&'s Value, UnusableRule> {
        let document: &'s Value = self.document;
        let inside = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        inside
            .ok_or_else(|| UnusableRule(format!("it refers to {reference:?}, which is not in it")))
    }
}

struct JsonSearch<'s> {
    nodes: &'s [JsonShape],
    /// Address of the payload's first byte.
    start: usize,
    places: Vec<FieldPlace>,
}

impl JsonSearch<'_> {
    /// Looks into `text`, a JSON value within the payload.
    fn value(&mut self, node: usize, text: &str, depth: u32) -> Result<(), Fault> {
        let at = text.as_ptr() as usize - self.start;
        let unreadable = Fault::Unreadable { at };
        if depth > DEPTH_MAX {
            return Err(unreadable);
        }
        let shape = &self.nodes[node];
        match text.as_bytes().first() {
            Some(b'"') => {
                self.places.extend(shape.rule.map(|rule| FieldPlace::Field {
                    rule,
                    whole: at..at + text.len(),
                    content: at + 1..at + text.len() - 1,
                    is_text: true,
                }));
                Ok(())
            }
            Some(b'{') if !shape.properties.is_empty() => {
                let below = self.below(text).map_err(|_| unreadable)?;
                for (key, value) in &below {
                    let child = shape.properties.iter().find(|(name, _)| name == key);
                    if let Some(&(_, child)) = child {
                        self.value(child, value, depth + 1)?;
                    }
                }
                Ok(())
            }
            Some(b'[') if shape.items.is_some() => {
                let below = self.below(text).map_err(|_| unreadable)?;
                let child = shape.items.expect("the guard has seen it");
                below.iter().try_for_each(|(_, value)| self.value(child, value, depth + 1))
            }
            _ => Ok(()),
        }
    }

    /// Members of an object, or items of an array.
    fn below<'t>(&self, text: &'t str) -> serde_json::Result<Vec<(String, &'t str)>> {
        let mut reader = serde_json::Deserializer::from_str(text);
        BelowReader.deserialize(&mut reader)
    }
}

/// Reads one level of a document.
struct BelowReader;

impl<'de> DeserializeSeed<'de> for BelowReader {
    type Value = Vec<(String, &'de str)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BelowReader {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut below = vec![];
        while let Some(key) = object.next_key::<String>()? {
            below.push((key, object.next_value::<&'de RawValue>()?.get()));
        }
        Ok(below)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut below = vec![];
        while let Some(value) = array.next_element::<&'de RawValue>()? {
            below.push((String::new(), value.get()));
        }
        Ok(below)
    }
}

/// What a text between quotes says.
///
/// # Errors
/// If it is none.
pub fn unescaped(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    if !content.contains(&b'\\') {
        return Ok(Zeroizing::new(content.to_vec()));
    }
    // What is between the quotes is no longer than what it says.
    let mut quoted = Zeroizing::new(Vec::with_capacity(content.len() + 2));
    quoted.push(b'"');
    quoted.extend_from_slice(content);
    quoted.push(b'"');
    let text: String =
        serde_json::from_slice(&quoted).map_err(|_| Fault::from(SealFault::Ciphertext))?;
    Ok(Zeroizing::new(text.into_bytes()))
}

/// Appends `content`, which is UTF-8, as a text in quotes.
pub fn escape(content: &[u8], out: &mut Vec<u8>) {
    let text = std::str::from_utf8(content).expect("whoever calls has looked");
    serde_json::to_writer(out, text).expect("a text can be written");
}
