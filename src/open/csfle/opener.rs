//! What a stream opens encrypted values with: its schemas' rules, and the data keys that it has learned.
//!
//! A value is encrypted if its schema has a rule that encrypts. Each schema is learned once, with its codec; data keys are
//! wanted as schemas are, and somebody who may do I/O brings them. What was opened is the same value with texts in place
//! of ciphertexts, so that codecs read it as any other. A value that is changed is sealed with the data keys that it came
//! with.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::UnusableRule;
use super::cipher::{CipherFault, DataKey};
use super::fields::{EncryptedFields, FieldPlace, rewrite};
use super::lock::{CsfleLock, SealedSchema, UsedKey};
use super::ring::KeyRing;
use super::rules::{Encryption, EncryptionRule, VERSION_BYTES, version_of};
use crate::open::framed::{Frame, Language, SchemaText};
use crate::open::{Arena, ContentHeaders, KeyUse};
use crate::record::{DataKeyId, Fault, Missing, SchemaId, SealFault, Unread};

/// What the configuration says of encrypted values.
#[derive(Clone, Debug, PartialEq)]
pub struct CsfleSpec {
    /// Names of the keys that wrap data keys (KEK): no other is ever asked for.
    pub keys: Vec<String>,
    /// What the registry files the stream's data keys under.
    pub subject: String,
    /// A value that no rule encrypts is a fault.
    pub required: bool,
}

/// Opens encrypted fields: the configuration, and the schemas and keys that were fetched.
#[derive(Debug)]
pub struct CsfleOpener {
    spec: CsfleSpec,
    schemas: RwLock<HashMap<SchemaId, KnownRules>>,
    ring: KeyRing,
    /// Of each key that wraps data keys.
    uses: Vec<Arc<KeyUse>>,
}

/// What is known of a schema.
#[derive(Clone, Debug)]
enum KnownRules {
    /// Its values are encrypted.
    Sealed(Arc<SealedSchema>),
    /// They are not.
    Clear,
    /// The registry does not have it.
    Absent,
    /// We cannot read by it.
    Unusable,
}

impl CsfleSpec {
    pub fn build(&self) -> CsfleOpener {
        let uses = self.keys.iter().map(|key| Arc::new(KeyUse::new(key))).collect();
        let (schemas, ring) = (RwLock::default(), KeyRing::default());
        CsfleOpener { spec: self.clone(), schemas, ring, uses }
    }
}

/// The schema of a sealed value, where its message stands in the schema's file (Protobuf), and where its payload begins.
type SealedValue = (Arc<SealedSchema>, Vec<u32>, usize);

impl CsfleOpener {
    pub fn spec(&self) -> &CsfleSpec {
        &self.spec
    }

    /// How many values the data keys that each key wraps opened and sealed.
    pub fn uses(&self) -> &[Arc<KeyUse>] {
        &self.uses
    }

    /// Data keys that are known.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Takes in what the registry said of a schema: `None` if it does not have it.
    ///
    /// # Errors
    /// If its rules encrypt in a way that we cannot undo; its records then are faults.
    pub fn learn(&self, id: SchemaId, schema: Option<&SchemaText>) -> Result<(), UnusableRule> {
        let known = schema.map_or(Ok(KnownRules::Absent), |schema| self.compile(schema));
        let kept = known.as_ref().map_or(KnownRules::Unusable, Clone::clone);
        self.write(|schemas| schemas.insert(id, kept));
        known.map(|_| ())
    }

    /// Takes in that nobody can read by a schema.
    pub fn refuse(&self, id: SchemaId) {
        self.write(|schemas| schemas.insert(id, KnownRules::Unusable));
    }

    /// Forgets that the registry did not have a schema: it will be asked again.
    pub fn forget(&self, id: SchemaId) {
        self.write(|schemas| match schemas.get(&id) {
            Some(KnownRules::Absent) => schemas.remove(&id),
            _ => None,
        });
    }

    fn write<T>(&self, change: impl FnOnce(&mut HashMap<SchemaId, KnownRules>) -> T) -> T {
        change(&mut self.schemas.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn compile(&self, schema: &SchemaText) -> Result<KnownRules, UnusableRule> {
        let Some(rules) = &schema.rules else { return Ok(KnownRules::Clear) };
        let encryption = Encryption::of(rules, &self.spec.keys)?;
        if encryption.is_none() {
            return Ok(KnownRules::Clear);
        }
        let fields = EncryptedFields::of(schema, &encryption)?;
        let language = schema.language;
        Ok(KnownRules::Sealed(Arc::new(SealedSchema { language, encryption, fields })))
    }

    /// If `value` is sealed: its schema, and the place where its payload begins. `None` if it is in clear.
    fn schema(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
    ) -> Result<Option<SealedValue>, Unread> {
        let bare = || if self.spec.required { Err(Fault::NotSealed.into()) } else { Ok(None) };
        let Ok(frame) = Frame::read(value, headers) else { return bare() };
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        match schemas.get(&frame.id) {
            None => Err(Missing::Schema(frame.id).into()),
            Some(KnownRules::Absent | KnownRules::Unusable) => Err(Fault::UnknownSchema.into()),
            Some(KnownRules::Clear) => bare(),
            Some(KnownRules::Sealed(schema)) => {
                let (message, payload) = match schema.language {
                    Language::Protobuf => frame.message()?,
                    Language::Avro | Language::JsonSchema => (vec![], frame.payload()),
                };
                Ok(Some((schema.clone(), message, payload)))
            }
        }
    }

    /// The next schema or key that must be fetched before `value` can be opened.
    pub fn missing(&self, value: &[u8], headers: &ContentHeaders<'_>) -> Option<Missing> {
        let found = match self.schema(value, headers) {
            Ok(found) => found,
            Err(Unread::Missing(missing)) => return Some(missing),
            Err(Unread::Fault(_)) => None,
        };
        let (schema, message, frame) = found?;
        let Encryption { fields: rules, payload: whole } = &schema.encryption;
        let unknown = |id: DataKeyId| (!self.ring.knows(id)).then_some(Missing::DataKey(id));
        // Without rotation the rule alone says which key it is.
        if rules.iter().chain(whole).all(|rule| !rule.rotated) {
            return rules.iter().chain(whole).find_map(|rule| unknown(rule.key(None)?));
        }
        let payload = &value[frame..];
        match (whole, &schema.fields) {
            (Some(rule), None) => rule.key_of(payload).and_then(unknown),
            (None, Some(fields)) => {
                let places = fields.places(payload, &message).ok()?;
                places.into_iter().find_map(|place| {
                    let FieldPlace::Field { rule, content, is_text, .. } = place else {
                        return None;
                    };
                    let sealed = fields.read(&payload[content]).ok()?;
                    let mut head = [0; 6];
                    let sealed = match is_text {
                        true => {
                            STANDARD.decode_slice(sealed.get(..8)?, &mut head).ok()?;
                            &head[..]
                        }
                        false => &sealed,
                    };
                    rules[usize::from(rule)].key_of(sealed).and_then(unknown)
                })
            }
            // What the fields are can be seen when the payload is open.
            _ => match self.open(value, headers, &mut Arena::default()) {
                Err(Unread::Missing(missing)) => Some(missing),
                _ => None,
            },
        }
    }

    /// Opens `value` into `arena`; `None` of one in clear. After a fault nothing of it is in the arena.
    ///
    /// # Errors
    /// What is wrong with the value, or missing to open it.
    pub fn open(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        arena: &mut Arena,
    ) -> Result<Option<(Range<usize>, CsfleLock)>, Unread> {
        let Some((schema, message, frame)) = self.schema(value, headers)? else { return Ok(None) };
        let start = arena.bytes().len();
        let mut lock = CsfleLock { schema, message, frame, keys: vec![] };
        arena.reserve(value.len());
        arena.append(&value[..frame]);
        match self.open_payload(&mut lock, &value[frame..], arena) {
            Ok(()) => Ok(Some((start..arena.bytes().len(), lock))),
            Err(unread) => {
                arena.wipe_to(start);
                Err(moved(unread, frame))
            }
        }
    }

    fn open_payload(
        &self,
        lock: &mut CsfleLock,
        payload: &[u8],
        arena: &mut Arena,
    ) -> Result<(), Unread> {
        let schema = lock.schema.clone();
        let mut opened;
        let mut text = payload;
        if let Some(rule) = &schema.encryption.payload {
            opened = Zeroizing::new(payload.to_vec());
            text = self.decrypt((None, rule), lock, &mut opened)?;
        }
        let Some(fields) = &schema.fields else {
            arena.append(text);
            return Ok(());
        };
        let places = fields.places(text, &lock.message)?;
        let mut written = vec![];
        for place in &places {
            let FieldPlace::Field { rule, content, is_text, .. } = place else { continue };
            let mut sealed = fields.read(&text[content.clone()])?;
            if *is_text {
                let decoded = STANDARD.decode(&*sealed);
                sealed = Zeroizing::new(decoded.map_err(|_| Fault::from(SealFault::Ciphertext))?);
            }
            let own = (Some(*rule), &schema.encryption.fields[usize::from(*rule)]);
            let plain = self.decrypt(own, lock, &mut sealed)?;
            if *is_text && std::str::from_utf8(plain).is_err() {
                return Err(Fault::from(SealFault::Text).into());
            }
            let mut field = Zeroizing::new(Vec::with_capacity(6 * plain.len() + 10));
            fields.write(plain, &mut field);
            written.push(field);
        }
        rewrite(text, &places, &written, |piece| arena.append(piece));
        Ok(())
    }

    /// Opens `sealed` where it lies by a rule, and keeps the key in `lock`.
    fn decrypt<'s>(
        &self,
        (at, rule): (Option<u8>, &EncryptionRule),
        lock: &mut CsfleLock,
        sealed: &'s mut [u8],
    ) -> Result<&'s [u8], Unread> {
        let (version, sealed) = match rule.rotated {
            false => (None, sealed),
            true => {
                let version = version_of(sealed).ok_or(Fault::from(SealFault::Ciphertext))?;
                (Some(version), &mut sealed[VERSION_BYTES..])
            }
        };
        let id = rule.key(version).ok_or(Fault::UnknownKey)?;
        let key = self.key(id)?;
        let earlier = lock.keys.iter_mut().find(|(of, _)| *of == at);
        let used = UsedKey { key: key.clone(), wrapped_by: id.wrapped_by, version };
        match earlier {
            Some((_, earlier)) if earlier.version < version => *earlier = used,
            Some(_) => {}
            None => lock.keys.push((at, used)),
        }
        let opened = key.open(sealed).map_err(|fault| match fault {
            CipherFault::Short => SealFault::Ciphertext,
            CipherFault::Tag => SealFault::Tag,
        });
        Ok(opened.map_err(Fault::from)?)
    }

    fn key(&self, id: DataKeyId) -> Result<Arc<DataKey>, Unread> {
        match self.ring.get(id) {
            None => Err(Missing::DataKey(id).into()),
            Some(None) => Err(Fault::UnknownKey.into()),
            Some(Some(key)) => Ok(key),
        }
    }
}

#[cfg(test)]
impl CsfleOpener {
    /// What a value of this schema would have been opened with, had it all its fields: the first version of each key.
    pub(super) fn lock_for_tests(&self, id: SchemaId) -> CsfleLock {
        let schemas = self.schemas.read().unwrap();
        let Some(KnownRules::Sealed(schema)) = schemas.get(&id) else { panic!("it is not sealed") };
        let key = |(at, rule): (usize, &EncryptionRule)| {
            let id = rule.key(None).unwrap();
            let key = self.ring.get(id).unwrap().unwrap();
            (Some(at as u8), UsedKey { key, wrapped_by: id.wrapped_by, version: None })
        };
        let keys = schema.encryption.fields.iter().enumerate().map(key).collect();
        CsfleLock { schema: schema.clone(), message: vec![], frame: 5, keys }
    }
}

/// A place in the payload as one in the value.
fn moved(unread: Unread, by: usize) -> Unread {
    match unread {
        Unread::Fault(Fault::Unreadable { at }) => Fault::Unreadable { at: at + by }.into(),
        unread => unread,
    }
}
