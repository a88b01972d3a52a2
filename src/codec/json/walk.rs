//! One pass over a document: down the wanted places, past everything else.
//!
//! serde_json's recursion limit bounds the depth of whatever we enter; what we skip or keep as
//! text is skipped without recursion.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::plan::{Node, Order, Plan};
use crate::codec::inputs::Sequence;
use crate::open::object::Doubt;
use crate::record::{Ambiguity, Fault};

/// What a walk brings home.
#[derive(Debug)]
pub(super) struct Found<'de> {
    /// The text that each pointer led to, `[pointers]`.
    pub raw: Vec<Option<&'de str>>,
    /// Which nodes the document has led to: a second time is a duplicated key.
    seen: Vec<bool>,
    pub doubt: Doubt,
}

impl Found<'_> {
    pub fn new(plan: &Plan) -> Self {
        Self {
            raw: vec![None; plan.pointers],
            seen: vec![false; plan.nodes.len()],
            doubt: Doubt::default(),
        }
    }

    /// As new.
    pub fn clear(&mut self) {
        self.raw.fill(None);
        self.seen.fill(false);
    }
}

/// A step of the walk: stands at `node` of the plan.
pub(super) struct Walk<'a, 'de> {
    plan: &'a Plan,
    node: usize,
    found: &'a mut Found<'de>,
}

impl<'a, 'de> Walk<'a, 'de> {
    /// Stands at the beginning.
    pub fn over(plan: &'a Plan, found: &'a mut Found<'de>) -> Self {
        Self { plan, node: 0, found }
    }

    fn at(&mut self, node: usize) -> Walk<'_, 'de> {
        Walk { plan: self.plan, node, found: self.found }
    }

    fn node(&self) -> &'a Node {
        &self.plan.nodes[self.node]
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if std::mem::replace(&mut self.found.seen[self.node], true) {
            return Err(D::Error::custom("a key appears twice"));
        }
        match self.node().pointer {
            Some(pointer) if self.found.raw[pointer].is_some() => {
                Err(D::Error::custom("a feature stands there under two names"))
            }
            Some(pointer) => {
                self.found.raw[pointer] = Some(<&RawValue>::deserialize(value)?.get());
                Ok(())
            }
            None => value.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or an array that leads on")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let order = self.plan.order.as_ref().filter(|_| self.node == 0);
        let mut order = order.map(|order| (order, order.inputs.sequence()));
        loop {
            let key = Key { node: self.node(), order: order.as_mut(), doubt: &self.found.doubt };
            let Some(child) = object.next_key_seed(key)? else { break };
            match child {
                Some(child) => object.next_value_seed(self.at(child))?,
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        if let Some((order, _)) = order
            && order.imputed.iter().any(|&pointer| self.found.raw[pointer].is_none())
        {
            self.found.doubt.refuse(Err(Fault::Ambiguous(Ambiguity::Absent)))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        if self.node().indices.is_empty() {
            return Err(A::Error::custom("an array where an object is wanted"));
        }
        let mut wanted = self.node().indices.iter().peekable();
        for i in 0.. {
            let more = match wanted.next_if(|&&(at, _)| at == i) {
                Some(&(_, child)) => array.next_element_seed(self.at(child))?.is_some(),
                None => array.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// `null` on the way: what lies below is missing, unless it is the document itself.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.node {
            0 => Err(E::custom("null where an object is wanted")),
            _ => Ok(()),
        }
    }
}

/// Which node below, if any, a key leads to.
struct Key<'a, 's> {
    node: &'a Node,
    order: Option<&'a mut (&'s Order, Sequence<'s>)>,
    doubt: &'a Doubt,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Option<usize>, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        let child = self.node.get(key);
        if child.is_none() && self.node.is_nearly(key) {
            self.doubt.refuse::<(), E>(Err(Fault::Ambiguous(Ambiguity::Case)))?;
        }
        if let Some((order, sequence)) = self.order {
            self.doubt.refuse(match order.places.get(key) {
                Some(&at) => sequence.feature(at),
                None => sequence.stranger(key),
            })?;
        }
        Ok(child)
    }
}
