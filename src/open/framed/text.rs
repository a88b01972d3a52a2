//! A schema as a registry keeps it, with the rules that its readers and writers apply.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A schema as the registry keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaText {
    pub language: Language,
    pub text: String,
    /// Schemas that it refers to, directly or not, by the names it has for them; before each, what
    /// it refers to itself.
    pub references: Vec<(String, String)>,
    /// What is done with its values, if the registry says something.
    pub rules: Option<Box<SchemaRules>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Avro,
    Protobuf,
    JsonSchema,
}

/// Rules of a schema, and the tags that it gives to fields from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaRules {
    /// `ruleSet.domainRules`: of fields.
    pub domain: Vec<SchemaRule>,
    /// `ruleSet.encodingRules`: of the bytes behind the frame.
    pub encoding: Vec<SchemaRule>,
    /// `metadata.tags`: patterns of full names of fields, and what they are tagged with.
    pub tags: BTreeMap<String, Vec<String>>,
}

/// One rule of a schema.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SchemaRule {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub mode: String,
    #[serde(default, rename = "type")]
    pub action: String,
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    #[serde(default)]
    pub params: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub disabled: Option<bool>,
}
