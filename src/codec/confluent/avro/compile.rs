//! A schema and the wanted keys, made one plan that a datum is walked by.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{
    DecimalSchema, InnerDecimalSchema, Name, NamesRef, ResolvedSchema, UuidSchema,
};

use super::super::cells::Nth;
use super::super::wanted::Wanted;
use super::super::{Text, Unusable};
use super::Plan;

/// A place of the schema as the walk meets it.
#[derive(Debug)]
pub struct Node {
    pub kind: Kind,
    /// Of which pointer a value here is a cell; never for arrays and unions, whose items and
    /// branches are.
    pub cell: Option<(usize, Nth)>,
}

/// How a value is written, and the nodes of what is in it.
#[derive(Debug)]
pub enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Decimal {
        scale: i32,
        fixed: Option<usize>,
    },
    Record(Vec<usize>),
    /// Items by index, sorted.
    Array {
        wanted: Vec<(usize, usize)>,
        others: usize,
    },
    /// Values by key, sorted.
    Map {
        wanted: Vec<(String, usize)>,
        others: usize,
    },
    Union(Vec<usize>),
}

/// What is wanted of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Want {
    Nothing,
    /// Something below, at this node of the wanted keys.
    Below(usize),
    /// The value itself.
    Cell(usize, Nth),
}

/// Parsed schemas nest no deeper than their JSON may, 128 levels, with two levels to a record.
const DEPTH_MAX: u32 = 256;

pub fn compile(schema: &Text, wanted: &Wanted) -> Result<Plan, Unusable> {
    let wrong = |error: apache_avro::Error| Unusable(error.to_string());
    let references: Vec<&str> = schema.references.iter().map(|(_, text)| text.as_str()).collect();
    let (root, others) = Schema::parse_str_with_list(&schema.text, references).map_err(wrong)?;
    let all: Vec<&Schema> = others.iter().chain([&root]).collect();
    let resolved = ResolvedSchema::new_with_schemata(all).map_err(wrong)?;
    let names = resolved.get_names();
    let mut compiler = Compiler { wanted, names, nodes: vec![], known: HashMap::new() };
    let want = compiler.want(0);
    // The items of an array are the rows, unless the array itself is what is wanted.
    let many = match &root {
        Schema::Array(array) => {
            let items = match &*array.items {
                Schema::Ref { name } => names.get(name).copied(),
                items => Some(items),
            };
            want == Want::Below(0) && matches!(items, Some(Schema::Record(_)))
        }
        _ => false,
    };
    let root = match &root {
        Schema::Array(array) if many => {
            let at = compiler.make(Want::Nothing);
            let others = compiler.node(&array.items, want, 1)?;
            compiler.nodes[at].kind = Kind::Array { wanted: vec![], others };
            at
        }
        root => compiler.node(root, want, 0)?,
    };
    Ok(Plan { nodes: compiler.nodes, root, many })
}

struct Compiler<'s> {
    wanted: &'s Wanted,
    names: &'s NamesRef<'s>,
    nodes: Vec<Node>,
    /// Named types, by what is wanted of them: a type that holds itself is one node.
    known: HashMap<(Name, Want), usize>,
}

impl Compiler<'_> {
    fn want(&self, key: usize) -> Want {
        match self.wanted.pointer(key) {
            Some(pointer) => Want::Cell(pointer, Nth::Only),
            None => Want::Below(key),
        }
    }

    /// What is wanted under `key`.
    fn below(&self, want: Want, key: &str) -> Want {
        match want {
            Want::Below(node) => {
                self.wanted.child(node, key).map_or(Want::Nothing, |child| self.want(child))
            }
            Want::Nothing | Want::Cell(..) => Want::Nothing,
        }
    }

    fn make(&mut self, want: Want) -> usize {
        let cell = if let Want::Cell(pointer, nth) = want { Some((pointer, nth)) } else { None };
        self.nodes.push(Node { kind: Kind::Null, cell });
        self.nodes.len() - 1
    }

    fn node(&mut self, schema: &Schema, want: Want, depth: u32) -> Result<usize, Unusable> {
        if depth > DEPTH_MAX {
            return Err(Unusable("it nests too deep".into()));
        }
        let named = matches!(schema, Schema::Ref { .. } | Schema::Record(_));
        let known = schema.name().filter(|_| named).map(|name| (name.clone(), want));
        if let Some(&node) = known.as_ref().and_then(|known| self.known.get(known)) {
            return Ok(node);
        }
        if let Schema::Ref { name } = schema {
            let names = self.names;
            let found = names.get(name).copied().filter(|s| !matches!(s, Schema::Ref { .. }));
            let found = found.ok_or_else(|| Unusable(format!("it has no type {name:?}")))?;
            return self.node(found, want, depth + 1);
        }
        let at = self.make(want);
        self.known.extend(known.map(|known| (known, at)));
        let kind = self.kind(schema, want, depth + 1)?;
        if matches!(kind, Kind::Array { .. } | Kind::Union(_)) {
            self.nodes[at].cell = None;
        }
        self.nodes[at].kind = kind;
        Ok(at)
    }

    fn kind(&mut self, schema: &Schema, want: Want, depth: u32) -> Result<Kind, Unusable> {
        Ok(match schema {
            Schema::Null => Kind::Null,
            Schema::Boolean => Kind::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Kind::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Kind::Long,
            Schema::Float => Kind::Float,
            Schema::Double => Kind::Double,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Kind::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Kind::String,
            Schema::Fixed(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed))
            | Schema::Duration(fixed) => Kind::Fixed(fixed.size),
            Schema::Enum(schema) => Kind::Enum(schema.symbols.clone()),
            Schema::Decimal(DecimalSchema { scale, inner, .. }) => Kind::Decimal {
                scale: i32::try_from(*scale).map_err(|_| Unusable("a scale has no end".into()))?,
                fixed: match inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                },
            },
            Schema::Record(record) => {
                let field = |field: &apache_avro::schema::RecordField| {
                    let want = self.below(want, &field.name);
                    self.node(&field.schema, want, depth)
                };
                Kind::Record(record.fields.iter().map(field).collect::<Result<_, _>>()?)
            }
            Schema::Array(array) => {
                let (others, items) = match want {
                    Want::Cell(pointer, _) => (Want::Cell(pointer, Nth::Next), vec![]),
                    Want::Below(node) => (Want::Nothing, self.wanted.indices(node)),
                    Want::Nothing => (Want::Nothing, vec![]),
                };
                let item = |(index, key): (usize, usize)| {
                    Ok((index, self.node(&array.items, self.want(key), depth)?))
                };
                let wanted = items.into_iter().map(item).collect::<Result<_, Unusable>>()?;
                Kind::Array { wanted, others: self.node(&array.items, others, depth)? }
            }
            Schema::Map(map) => {
                let keys: Vec<(String, usize)> = match want {
                    Want::Below(node) => self.wanted.below(node),
                    Want::Nothing | Want::Cell(..) => vec![],
                };
                let value = |(key, node): (String, usize)| {
                    Ok((key, self.node(&map.types, self.want(node), depth)?))
                };
                let wanted = keys.into_iter().map(value).collect::<Result<_, Unusable>>()?;
                Kind::Map { wanted, others: self.node(&map.types, Want::Nothing, depth)? }
            }
            Schema::Union(union) => {
                let branch = |schema: &Schema| self.node(schema, want, depth);
                Kind::Union(union.variants().iter().map(branch).collect::<Result<_, _>>()?)
            }
            Schema::Ref { .. } => unreachable!("`node` follows them"),
        })
    }
}
