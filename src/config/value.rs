//! The file as a tree in which every value knows where it came from, with the overrides laid in.
//!
//! Overrides come as text from environment variables. Such a text stays raw until somebody asks
//! for it, because only then is it known whether `42` is a number or a name.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a key or a value was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// These bytes of the file.
    File(Range<usize>),
    /// This environment variable.
    Variable(String),
}

#[derive(Clone, Debug)]
pub(super) struct Value {
    pub origin: Origin,
    pub node: Node,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Value>),
    Table(Table),
    /// Whatever else TOML has that no key of ours wants, as an article and a noun.
    Other(&'static str),
    /// An environment variable's value, not yet read as anything.
    Raw(String),
}

/// Keys, each with where it was written.
pub(super) type Table = BTreeMap<String, (Origin, Value)>;

/// What all overrides begin with.
const PREFIX: &str = "TRIPLINE__";

impl Value {
    /// What it is, for a sentence.
    pub fn noun(&self) -> &'static str {
        match self.node {
            Node::Text(_) | Node::Raw(_) => "a string",
            Node::Integer(_) => "an integer",
            Node::Float(_) => "a number with a fraction",
            Node::Bool(_) => "a boolean",
            Node::List(_) => "an array",
            Node::Table(_) => "a table",
            Node::Other(noun) => noun,
        }
    }

    /// Reads a raw value as TOML, or as a plain string if it is none or if a string is wanted.
    pub fn read_raw(&mut self, text_wanted: bool) {
        let Node::Raw(raw) = &self.node else { return };
        let read =
            DeValue::parse(raw).map(|value| node(value.into_inner(), &|_| self.origin.clone()));
        self.node = match read {
            Ok(Node::Integer(_) | Node::Float(_) | Node::Bool(_) | Node::Other(_)) | Err(_)
                if text_wanted =>
            {
                Node::Text(raw.clone())
            }
            Ok(node) => node,
            Err(_) => Node::Text(raw.clone()),
        };
    }
}

/// The tree of a parsed file.
pub(super) fn tree(table: DeTable<'_>) -> Table {
    keys(table, &|span| Origin::File(span))
}

fn keys(table: DeTable<'_>, origin: &dyn Fn(Range<usize>) -> Origin) -> Table {
    let entry = |(key, value): (Spanned<_>, Spanned<_>)| {
        let from = origin(key.span());
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (key.into_owned(), (from, spanned(value, origin)))
    };
    table.into_iter().map(entry).collect()
}

fn spanned(value: Spanned<DeValue<'_>>, origin: &dyn Fn(Range<usize>) -> Origin) -> Value {
    Value { origin: origin(value.span()), node: node(value.into_inner(), origin) }
}

fn node(value: DeValue<'_>, origin: &dyn Fn(Range<usize>) -> Origin) -> Node {
    match value {
        DeValue::String(text) => Node::Text(text.into_owned()),
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix())
            .map_or(Node::Other("an integer beyond 64 bits"), Node::Integer),
        DeValue::Float(f) => {
            f.as_str().parse().map_or(Node::Other("a number beyond 64 bits"), Node::Float)
        }
        DeValue::Boolean(b) => Node::Bool(b),
        DeValue::Datetime(_) => Node::Other("a date"),
        DeValue::Array(items) => {
            Node::List(items.into_iter().map(|item| spanned(item, origin)).collect())
        }
        DeValue::Table(table) => Node::Table(keys(table, origin)),
    }
}

/// An override that leads nowhere.
pub(super) struct Stray {
    pub variable: String,
    pub message: String,
}

/// Lays the variables that begin with `TRIPLINE__` into `root`, and says which could not be.
pub(super) fn override_with(
    root: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Vec<Stray> {
    let ours = |(name, raw): (String, String)| {
        let path = name.strip_prefix(PREFIX)?;
        let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        Some((path, name, raw))
    };
    let mut ours: Vec<_> = variables.into_iter().filter_map(ours).collect();
    // Stream 2 is laid in before stream 10: a new stream must be the next one.
    ours.sort_by_cached_key(|(path, _, _)| {
        path.iter().map(|part| (part.len(), part.clone())).collect::<Vec<_>>()
    });
    let lay = |(path, variable, raw): (Vec<String>, String, String)| {
        let origin = Origin::Variable(variable.clone());
        let laid = lay(root, &path, &origin, raw);
        laid.err().map(|message| Stray { variable, message })
    };
    ours.into_iter().filter_map(lay).collect()
}

fn lay(table: &mut Table, path: &[String], origin: &Origin, raw: String) -> Result<(), String> {
    let (key, rest) = path.split_first().expect("a split has at least one part");
    if key.is_empty() {
        return Err("a part of the name between `__` is empty".into());
    }
    let fresh = |node| Value { origin: origin.clone(), node };
    let Some((next, below)) = rest.split_first() else {
        table.insert(key.clone(), (origin.clone(), fresh(Node::Raw(raw))));
        return Ok(());
    };
    let index = next.parse::<usize>().ok();
    let empty = if index.is_some() { Node::List(vec![]) } else { Node::Table(Table::new()) };
    let entry = table.entry(key.clone()).or_insert_with(|| (origin.clone(), fresh(empty)));
    match (&mut entry.1.node, index) {
        (Node::Table(inner), _) if key == "properties" => {
            // librdkafka's names have dots, which few shells allow in a variable.
            lay(inner, &[rest.join("_").replace('_', ".")], origin, raw)
        }
        (Node::Table(inner), _) => lay(inner, rest, origin, raw),
        (Node::List(items), Some(i)) => {
            if i > items.len() {
                return Err(format!(
                    "`{key}` has {} entries, and {i} is not the next",
                    items.len()
                ));
            }
            if i == items.len() {
                items.push(fresh(Node::Table(Table::new())));
            }
            match &mut items[i].node {
                Node::Table(_) if below.is_empty() => {
                    Err(format!("`{key}[{i}]` is a table: name a key of it"))
                }
                Node::Table(inner) => lay(inner, below, origin, raw),
                _ => Err(format!("`{key}[{i}]` is not a table")),
            }
        }
        (Node::List(_), None) => Err(format!("`{key}` is an array: {PREFIX}…__0__… is its first")),
        _ => Err(format!("`{key}` is not a table")),
    }
}
