//! A file of messages and the wanted keys, made one plan for each message.

use std::collections::HashMap;

use prost_reflect::{FieldDescriptor, Kind as FieldKind, MessageDescriptor, OneofDescriptor};

use super::super::wanted::Wanted;
use super::super::{Text, Unusable};
use super::Plans;
use super::scalar::Kind;
use crate::open::framed::compile_protobuf;

/// One message type with all that is wanted of it.
#[derive(Debug, Default)]
pub struct Plan {
    /// The first is the message itself; the others are below it, each at one place of one.
    pub messages: Vec<Message>,
    /// How many lists there are whose items are wanted by index.
    pub lists: usize,
    pub pointers: usize,
}

#[derive(Debug, Default)]
pub struct Message {
    /// Those that matter, sorted by number.
    fields: Vec<Field>,
}

#[derive(Debug)]
pub struct Field {
    pub number: u32,
    pub kind: Kind,
    /// Whether it may be packed.
    pub list: bool,
    pub place: Place,
    /// Holds its default when it is not written.
    implicit: bool,
    pub clears: Clears,
}

/// Where a field's values go.
#[derive(Debug)]
pub enum Place {
    /// They only void the other members of a `oneof`.
    Nowhere,
    One(usize),
    List(usize),
    /// Single items of a list, by index, sorted.
    Items {
        list: usize,
        wanted: Vec<(usize, usize)>,
    },
    Message(usize),
    /// Single messages of a list, by index.
    Messages {
        list: usize,
        wanted: Vec<(usize, usize)>,
    },
}

/// What a member of a `oneof` voids: all that the other members brought.
#[derive(Clone, Debug, Default)]
pub struct Clears {
    pub pointers: Vec<usize>,
    pub messages: Vec<usize>,
    pub lists: Vec<usize>,
}

impl Message {
    pub fn field(&self, number: u32) -> Option<&Field> {
        let at = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        Some(&self.fields[at])
    }

    /// The fields that hold a default when they are not written, and their pointers.
    pub fn implicit(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.fields.iter().filter(|field| field.implicit).filter_map(|field| match field.place {
            Place::One(pointer) => Some((pointer, field)),
            _ => None,
        })
    }
}

/// Messages of one file; the largest public ones have some hundred.
const MESSAGES_MAX: usize = 4096;

pub fn compile(schema: &Text, wanted: &Wanted) -> Result<Plans, Unusable> {
    let file = compile_protobuf(schema).map_err(Unusable)?;
    let mut plans = Plans { plans: vec![], places: HashMap::new() };
    let mut open: Vec<(Vec<u32>, MessageDescriptor)> =
        file.messages().enumerate().map(|(i, message)| (vec![i as u32], message)).collect();
    while let Some((place, message)) = open.pop() {
        if plans.plans.len() == MESSAGES_MAX {
            return Err(Unusable(format!("it has more than {MESSAGES_MAX} messages")));
        }
        let inner = message.child_messages().enumerate();
        open.extend(inner.map(|(i, inner)| ([&place[..], &[i as u32]].concat(), inner)));
        let mut plan = Plan { pointers: wanted.pointers(), ..Plan::default() };
        plan.message(&message, 0, wanted);
        plans.places.insert(place, plans.plans.len());
        plans.plans.push(plan);
    }
    Ok(plans)
}

impl Plan {
    /// Adds `message` with what is wanted below `key`, and says which it is.
    fn message(&mut self, message: &MessageDescriptor, key: usize, wanted: &Wanted) -> usize {
        let at = self.messages.len();
        self.messages.push(Message::default());
        let mut fields = vec![];
        for (name, below) in wanted.below(key) {
            if let Some(field) = message.get_field_by_name(&name) {
                let place = self.place(&field, below, wanted);
                let implicit = matches!(place, Place::One(_)) && !field.supports_presence();
                fields.push(made(&field, place, implicit));
            }
        }
        let oneofs = message.oneofs().filter(|oneof| !oneof.is_synthetic());
        for oneof in oneofs {
            self.exclude(&oneof, &mut fields);
        }
        fields.sort_unstable_by_key(|field| field.number);
        self.messages[at].fields = fields;
        at
    }

    fn place(&mut self, field: &FieldDescriptor, key: usize, wanted: &Wanted) -> Place {
        let kind = field.kind();
        let message = kind.as_message().filter(|_| !field.is_map() && !field.is_group());
        match (wanted.pointer(key), message) {
            (Some(pointer), Some(message)) if is_wrapper(message) && !field.is_list() => {
                let value = message.get_field(1).expect("every wrapper has its value");
                let fields = vec![made(&value, Place::One(pointer), true)];
                self.messages.push(Message { fields });
                Place::Message(self.messages.len() - 1)
            }
            (Some(pointer), _) if field.is_list() || field.is_map() => Place::List(pointer),
            (Some(pointer), _) => Place::One(pointer),
            (None, Some(message)) if field.is_list() => {
                let indices = wanted.indices(key).into_iter();
                let wanted =
                    indices.map(|(index, below)| (index, self.message(message, below, wanted)));
                let wanted = wanted.collect();
                Place::Messages { list: self.list(), wanted }
            }
            (None, Some(message)) => Place::Message(self.message(message, key, wanted)),
            (None, None) if field.is_list() => {
                let item = |(index, below)| Some((index, wanted.pointer(below)?));
                let wanted = wanted.indices(key).into_iter().filter_map(item).collect();
                Place::Items { list: self.list(), wanted }
            }
            // A key below a scalar, a map or a group leads nowhere.
            (None, None) => Place::Nowhere,
        }
    }

    fn list(&mut self) -> usize {
        self.lists += 1;
        self.lists - 1
    }

    /// Lets every member of `oneof` void the others, if any of them is wanted.
    fn exclude(&self, oneof: &OneofDescriptor, fields: &mut Vec<Field>) {
        let member = |number: u32| oneof.fields().any(|field| field.number() == number);
        if !fields.iter().any(|field| member(field.number)) {
            return;
        }
        for field in oneof.fields() {
            if !fields.iter().any(|known| known.number == field.number()) {
                fields.push(made(&field, Place::Nowhere, false));
            }
        }
        let brought: Vec<(u32, Clears)> = fields
            .iter()
            .filter(|field| member(field.number))
            .map(|field| (field.number, self.brought(&field.place)))
            .collect();
        for field in fields.iter_mut().filter(|field| member(field.number)) {
            for (_, clears) in brought.iter().filter(|(number, _)| *number != field.number) {
                field.clears.pointers.extend(&clears.pointers);
                field.clears.messages.extend(&clears.messages);
                field.clears.lists.extend(&clears.lists);
            }
        }
    }

    /// All that a place, and what is below it, fills.
    fn brought(&self, place: &Place) -> Clears {
        let mut all = Clears::default();
        let mut open: Vec<&Place> = vec![place];
        while let Some(place) = open.pop() {
            let mut enter = |message: usize| {
                all.messages.push(message);
                open.extend(self.messages[message].fields.iter().map(|field| &field.place));
            };
            match place {
                Place::Nowhere => {}
                Place::One(pointer) | Place::List(pointer) => all.pointers.push(*pointer),
                Place::Message(message) => enter(*message),
                Place::Messages { list, wanted } => {
                    wanted.iter().for_each(|&(_, message)| enter(message));
                    all.lists.push(*list);
                }
                Place::Items { list, wanted } => {
                    all.pointers.extend(wanted.iter().map(|&(_, pointer)| pointer));
                    all.lists.push(*list);
                }
            }
        }
        all
    }
}

fn made(field: &FieldDescriptor, place: Place, implicit: bool) -> Field {
    let kind = match field.kind() {
        FieldKind::Double => Kind::Double,
        FieldKind::Float => Kind::Float,
        FieldKind::Int32 => Kind::Int32,
        FieldKind::Int64 => Kind::Int64,
        FieldKind::Uint32 => Kind::Uint32,
        FieldKind::Uint64 => Kind::Uint64,
        FieldKind::Sint32 => Kind::Sint32,
        FieldKind::Sint64 => Kind::Sint64,
        FieldKind::Fixed32 => Kind::Fixed32,
        FieldKind::Fixed64 => Kind::Fixed64,
        FieldKind::Sfixed32 => Kind::Sfixed32,
        FieldKind::Sfixed64 => Kind::Sfixed64,
        FieldKind::Bool => Kind::Bool,
        FieldKind::String => Kind::String,
        FieldKind::Bytes => Kind::Bytes,
        FieldKind::Message(_) => Kind::Opaque,
        FieldKind::Enum(names) => {
            Kind::Enum(names.values().map(|v| (v.number(), v.name().to_owned())).collect())
        }
    };
    let list = field.is_list() && !matches!(kind, Kind::String | Kind::Bytes | Kind::Opaque);
    Field { number: field.number(), kind, list, place, implicit, clears: Clears::default() }
}

fn is_wrapper(message: &MessageDescriptor) -> bool {
    let of = message.full_name().strip_prefix("google.protobuf.");
    let of = of.and_then(|name| name.strip_suffix("Value"));
    of.is_some_and(|of| {
        ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"]
            .contains(&of)
    })
}
