//! Confluent's framing: a value says which schema of a registry it was written with.
//!
//! Avro and Protobuf are walked by the writer's schema, JSON Schema's payload is plain JSON behind
//! the frame. A feature is found under its own name, or where the stream's `fields` point. The
//! frame, and every byte that is not a changed cell, is kept.
//!
//! Schemas come from outside ([`Confluent::learn`]), because the core does no I/O: the shell asks
//! [`Codec::missing`] of every record before its batch has its turn. A schema that the
//! registry does not have is the record's fault, and so is one that we cannot read: what its writer
//! wrote, no reader of ours reads, and holding the stream would help nobody. The operator is told
//! once. A registry that does not answer is nobody's fault but the world's: then the schema stays
//! missing, and the record waits or passes unscored.
//!
//! It believes the id: a record that names another schema of the same shape is read by that one,
//! as its consumer would.

mod avro;
mod cells;
mod number;
mod protobuf;
mod wanted;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use self::wanted::Wanted;
use super::{Codec, ContentHeaders, Fields, Json, Layout};
use crate::open::CsfleOpener;
use crate::open::framed::Frame;
pub use crate::open::framed::{Language, SchemaText as Text};
use crate::record::{Ambiguity, Fault, Missing, SchemaId, Unread};

/// Why a schema cannot be read by.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// `confluent`
#[derive(Debug)]
pub struct Confluent {
    layout: Arc<Layout>,
    wanted: Wanted,
    json: Json,
    schemas: RwLock<HashMap<SchemaId, Known>>,
    /// What opens encrypted fields: it learns the same schemas.
    csfle: OnceLock<Arc<CsfleOpener>>,
}

#[derive(Clone, Debug)]
enum Known {
    Avro(Arc<avro::Plan>),
    Protobuf(Arc<protobuf::Plans>),
    Json,
    /// The registry does not have it.
    Absent,
    /// We cannot read by it.
    Unusable,
}

/// Schemas that one stream can learn. Whoever writes to the topic chooses among all that the
/// registry has. How much memory a compiled one takes was not measured; its text is at most 1 MiB.
/// Further ones are like those the registry does not have.
const SCHEMAS_MAX: usize = 4096;

impl Confluent {
    pub fn new(layout: Arc<Layout>, fields: Option<&Fields>) -> Self {
        let wanted = Wanted::new(&layout, fields);
        let json = Json::new(layout.clone(), fields);
        Self { layout, wanted, json, schemas: RwLock::default(), csfle: OnceLock::new() }
    }

    /// Takes in what the registry said of a schema: `None` if it does not have it.
    ///
    /// # Errors
    /// If it cannot be read by, which its records then pay for.
    pub fn learn(&self, id: SchemaId, schema: Option<&Text>) -> Result<(), Unusable> {
        // Compiled before the lock is taken: nobody waits for that.
        let known = schema.map_or(Ok(Known::Absent), |schema| self.compile(schema));
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        let full = schemas.values().filter(|known| !matches!(known, Known::Absent)).count();
        let known = known.and_then(|known| match known {
            Known::Absent => Ok(known),
            _ if full < SCHEMAS_MAX => Ok(known),
            _ => Err(Unusable(format!("the stream has learned {SCHEMAS_MAX} others already"))),
        });
        schemas.insert(id, known.as_ref().map_or(Known::Unusable, Clone::clone));
        drop(schemas);
        // Last: whoever finds a schema there finds it here too.
        match (self.csfle.get(), known) {
            (None, known) => known.map(|_| ()),
            (Some(csfle), Err(unusable)) => {
                csfle.refuse(id);
                Err(unusable)
            }
            (Some(csfle), Ok(_)) => {
                csfle.learn(id, schema).map_err(|why| Unusable(why.to_string()))
            }
        }
    }

    /// Whatever it learns from now on, `csfle` learns too.
    pub fn teach(&self, csfle: Arc<CsfleOpener>) {
        assert!(self.csfle.set(csfle).is_ok(), "a stream has one envelope");
    }

    /// Takes in that the registry has a schema, but nothing one could read by.
    pub fn refuse(&self, id: SchemaId) {
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        schemas.insert(id, Known::Unusable);
        drop(schemas);
        self.csfle.get().inspect(|csfle| csfle.refuse(id));
    }

    /// A schema that the registry did not have is missing again.
    pub fn forget(&self, id: SchemaId) {
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(schemas.get(&id), Some(Known::Absent)) {
            schemas.remove(&id);
        }
        drop(schemas);
        self.csfle.get().inspect(|csfle| csfle.forget(id));
    }

    fn known(&self, id: SchemaId) -> Option<Known> {
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        schemas.get(&id).cloned()
    }

    fn compile(&self, schema: &Text) -> Result<Known, Unusable> {
        Ok(match schema.language {
            Language::Avro => Known::Avro(Arc::new(avro::Plan::new(schema, &self.wanted)?)),
            Language::Protobuf => {
                Known::Protobuf(Arc::new(protobuf::Plans::new(schema, &self.wanted)?))
            }
            Language::JsonSchema => Known::Json,
        })
    }

    /// # Errors
    /// If there is no frame, or no schema for it.
    fn reader(&self, value: &[u8], headers: &ContentHeaders<'_>) -> Result<Reader, Unread> {
        let frame = Frame::read(value, headers)?;
        // A reader that knows no such header takes the frame that the value begins with.
        if headers.schema_id.is_there()
            && let Ok(other) = Frame::read(value, &ContentHeaders::default())
            && other.id != frame.id
            && matches!(
                self.known(other.id),
                Some(Known::Avro(_) | Known::Protobuf(_) | Known::Json)
            )
        {
            return Err(Fault::Ambiguous(Ambiguity::Twice).into());
        }
        match self.known(frame.id).ok_or(Missing::Schema(frame.id))? {
            Known::Avro(plan) => Ok(Reader::Avro(plan, frame.payload())),
            Known::Protobuf(plans) => {
                let (path, payload) = frame.message()?;
                match plans.find(&path) {
                    Some(message) => Ok(Reader::Protobuf(plans, message, payload)),
                    None => Err(Fault::UnknownSchema.into()),
                }
            }
            Known::Json => Ok(Reader::Json(frame.payload())),
            Known::Absent | Known::Unusable => Err(Fault::UnknownSchema.into()),
        }
    }
}

/// How a value is read, and where its payload begins.
enum Reader {
    Avro(Arc<avro::Plan>, usize),
    /// The second is which of the plans.
    Protobuf(Arc<protobuf::Plans>, usize, usize),
    Json(usize),
}

impl Reader {
    /// Whether the walk may begin, for what the two binary formats share.
    fn walk(&self, value: &[u8], harvest: &mut dyn cells::Harvest) -> Result<(), Fault> {
        match self {
            Self::Avro(plan, payload) => plan.walk(value, *payload..value.len(), harvest),
            Self::Protobuf(plans, message, payload) => {
                plans.walk(*message, value, *payload..value.len(), harvest)
            }
            Self::Json(_) => unreachable!("the JSON codec reads it"),
        }
    }
}

impl Codec for Confluent {
    fn decode(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let reader = self.reader(value, headers)?;
        if let Reader::Json(payload) = reader {
            let read = self.json.decode(&value[payload..], headers, rows);
            return read.map_err(|unread| match unread {
                Unread::Fault(Fault::Unreadable { at }) => {
                    Fault::Unreadable { at: payload + at }.into()
                }
                unread => unread,
            });
        }
        let walk = |harvest: &mut dyn cells::Harvest| reader.walk(value, harvest);
        Ok(cells::decode(&self.layout, &self.wanted, rows, &walk)?)
    }

    fn missing(&self, value: &[u8], headers: &ContentHeaders<'_>) -> Option<Missing> {
        let id = Frame::read(value, headers).ok()?.id;
        self.known(id).is_none().then_some(Missing::Schema(id))
    }

    fn encode(
        &self,
        original: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &[f32],
        out: &mut Vec<u8>,
    ) {
        let reader = self.reader(original, headers).expect("the original has no schema");
        if let Reader::Json(payload) = reader {
            out.extend_from_slice(&original[..payload]);
            return self.json.encode(&original[payload..], headers, rows, out);
        }
        let walk = |harvest: &mut dyn cells::Harvest| reader.walk(original, harvest);
        cells::encode(&self.layout, &self.wanted, original, rows, out, &walk);
    }
}

#[cfg(test)]
mod tests;
