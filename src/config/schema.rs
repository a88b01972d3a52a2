//! The configuration as a JSON Schema (draft 2020-12), for editors and for other people's checks.
//!
//! It knows what a single key takes. What lies between keys (two streams with one name, a topic
//! that is read and written), and what an environment variable brings, only `tripline check` sees.

use serde_json::{Map, Value, json};

use super::problem::SECRETS;
use super::reader::Kind;
use super::reference::{Entry, Shown, entries, generic};

/// The schema, as indented JSON.
pub fn schema() -> String {
    let entries = entries();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tripline.toml",
        "description": "Configuration of Tripline, as far as one key at a time can be checked; \
            `tripline check` knows the rest. Written by `tripline config schema`.",
        "$defs": {
            "elsewhere": {
                "title": "kept elsewhere",
                "description": "{ env = \"NAME\" }: an environment variable. { file = \"path\" }: a file, \
                    relative to the folder of the configuration.",
                "type": "object",
                "properties": { "env": { "type": "string" }, "file": { "type": "string", "pattern": "." } },
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1,
            },
            "setting": {
                "description": "A name with dots may also be written without quotes, as tables in tables.",
                "anyOf": [
                    { "type": ["string", "number", "boolean"] },
                    { "$ref": "#/$defs/elsewhere" },
                    {
                        "type": "object",
                        "patternProperties": secrets(),
                        "additionalProperties": { "$ref": "#/$defs/setting" },
                    },
                ],
            },
        },
    });
    merge(&mut schema, object(&entries, ""));
    let mut text = serde_json::to_string_pretty(&schema).expect("a value is JSON");
    text.push('\n');
    text
}

fn merge(into: &mut Value, from: Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    into.extend(from);
}

/// The table at `path`, which is all of the file if empty.
fn object(entries: &[Entry], path: &str) -> Value {
    let mut properties = Map::new();
    let mut required = vec![];
    for entry in entries {
        let (parent, key) = entry.path.rsplit_once('.').unwrap_or(("", &entry.path));
        if parent != path {
            continue;
        }
        properties.insert(key.to_owned(), property(entries, entry));
        // A table is needed if a key of it is.
        let within = format!("{}.", entry.path);
        let section = entry.kind == Kind::Section;
        if entry.required
            || section && entries.iter().any(|e| e.required && e.path.starts_with(&within))
        {
            required.push(key.to_owned());
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(entries: &[Entry], entry: &Entry) -> Value {
    let mut schema = match &entry.kind {
        Kind::Text(pattern) => text(json!({ "type": "string" }), *pattern),
        Kind::Choice(names) => text(json!({ "type": "string", "enum": names }), None),
        Kind::Integer(range) => {
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Texts(pattern) => json!({
            "type": "array",
            "minItems": 1,
            "items": text(json!({ "type": "string" }), *pattern),
        }),
        Kind::Lists => json!({
            "type": "array",
            "minItems": 1,
            "items": { "type": "array", "minItems": 1, "items": { "type": "string" } },
        }),
        Kind::Numbers => json!({ "type": "array", "items": { "type": "number" } }),
        Kind::Share => json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
            { "type": "string", "pattern": "^\\s*[0-9.eE+-]+\\s*%?\\s*$" },
            { "$ref": "#/$defs/elsewhere" },
        ]}),
        Kind::Section => object(entries, &entry.path),
        Kind::Sections => {
            json!({ "type": "array", "minItems": 1, "items": object(entries, &entry.path) })
        }
        Kind::Settings => settings(),
    };
    if !entry.doc.is_empty() {
        merge(&mut schema, json!({ "description": entry.doc }));
    }
    let read = |literal: &str| {
        toml::de::ValueDeserializer::parse(literal)
            .ok()
            .and_then(|value| serde::Deserialize::deserialize(value).ok())
    };
    match &entry.shown {
        Some(Shown::Default(literal)) if generic(&entry.path, literal) == *literal => {
            let default: Option<Value> = read(literal);
            merge(&mut schema, json!({ "default": default }));
        }
        Some(Shown::Example(literal)) => {
            let example: Option<Value> = read(literal);
            merge(&mut schema, json!({ "examples": [example] }));
        }
        _ => {}
    }
    schema
}

/// A string, or where it is kept.
fn text(mut string: Value, pattern: Option<&str>) -> Value {
    if let Some(pattern) = pattern {
        merge(&mut string, json!({ "pattern": pattern }));
    }
    json!({ "anyOf": [string, { "$ref": "#/$defs/elsewhere" }] })
}

/// librdkafka's settings, without those that are ours.
fn settings() -> Value {
    let mut properties = Map::new();
    for (names, why) in super::kafka::OURS {
        for name in names {
            properties.insert((*name).to_owned(), json!({ "description": why, "not": {} }));
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "patternProperties": secrets(),
        "additionalProperties": { "$ref": "#/$defs/setting" },
    })
}

/// Names of secrets, in any case; a table may lie between.
fn secrets() -> Value {
    let any_case = |c: char| match c {
        'a'..='z' => format!("[{}{c}]", c.to_ascii_uppercase()),
        '.' => "\\.".to_owned(),
        c => c.to_string(),
    };
    let word = |word: &&str| word.chars().map(any_case).collect::<String>();
    let words: Vec<String> = SECRETS.iter().map(word).collect();
    let kept = json!({ "anyOf": [
        { "$ref": "#/$defs/elsewhere" },
        { "type": "object", "additionalProperties": { "$ref": "#/$defs/elsewhere" } },
    ]});
    json!({ words.join("|"): kept })
}
