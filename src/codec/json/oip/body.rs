//! The JSON of a V2 request: its tensors, and nothing that a reader would take for another reading.
//!
//! Members that a server reads must be spelled exactly and stand there once; parameters that make it
//! read something else are faults ([`crate::codec::parameters`]). Any other member is passed over.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::codec::parameters::{self, Of};
use crate::codec::shape::Shape;
use crate::open::object::{Doubt, Members, byte_of, members};
use crate::record::Fault;

/// One tensor of a request.
#[derive(Default)]
pub(super) struct Input<'v> {
    pub name: Cow<'v, str>,
    pub shape: Shape,
    pub datatype: Cow<'v, str>,
    pub data: Option<&'v RawValue>,
    pub binary_data_size: Option<&'v RawValue>,
}

/// The JSON of a request.
pub(super) struct Body<'v> {
    pub inputs: Vec<Input<'v>>,
    /// A server makes a table of it: one tensor is one column.
    pub table: bool,
    /// Where it ends, and tensors in binary form begin.
    pub end: usize,
}

/// The JSON that `value` begins with.
pub(super) fn body<'v>(value: &'v [u8], length: Option<&[u8]>) -> Result<Body<'v>, Fault> {
    let length = match length {
        None => None,
        Some(length) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length).ok().filter(|_| digits);
            let length = length.and_then(|length| length.parse().ok());
            let length = length.filter(|&length| length <= value.len());
            Some(length.ok_or(Fault::Unreadable { at: value.len() })?)
        }
    };
    let json = &value[..length.unwrap_or(value.len())];
    let doubt = Doubt::default();
    let mut document = serde_json::Deserializer::from_slice(json);
    let read = Request(&doubt).deserialize(&mut document);
    let (inputs, table) =
        doubt.resolve(read, |error| Fault::Unreadable { at: byte_of(error, json) })?;
    let end = match length {
        Some(length) => {
            document.end().map_err(|error| Fault::Unreadable { at: byte_of(&error, json) })?;
            length
        }
        None => document.into_iter::<IgnoredAny>().byte_offset(),
    };
    Ok(Body { inputs, table, end })
}

/// Gives the tensors, and whether a server makes a table of them.
struct Request<'a>(&'a Doubt);

impl<'de> DeserializeSeed<'de> for Request<'_> {
    type Value = (Vec<Input<'de>>, bool);

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Request<'_> {
    type Value = (Vec<Input<'de>>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        let (mut inputs, mut table) = (None, false);
        members(object, &["inputs", "parameters"], self.0, |which, object| {
            match which {
                0 => inputs = Some(object.next_value_seed(Inputs(self.0))?),
                _ => table = object.next_value_seed(Parameters(self.0, Of::Request))?.table,
            }
            Ok(())
        })?;
        Ok((inputs.ok_or_else(|| A::Error::missing_field("inputs"))?, table))
    }
}

struct Inputs<'a>(&'a Doubt);

impl<'de> DeserializeSeed<'de> for Inputs<'_> {
    type Value = Vec<Input<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Inputs<'_> {
    type Value = Vec<Input<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tensors of a request")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut inputs = vec![];
        while let Some(input) = array.next_element_seed(Tensor(self.0))? {
            inputs.push(input);
        }
        Ok(inputs)
    }
}

struct Tensor<'a>(&'a Doubt);

impl<'de> DeserializeSeed<'de> for Tensor<'_> {
    type Value = Input<'de>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Input<'de>, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tensor<'_> {
    type Value = Input<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Input<'de>, A::Error> {
        const NAMES: [&str; 5] = ["name", "shape", "datatype", "data", "parameters"];
        let mut input = Input::default();
        let mut there = [false; 3];
        members(object, &NAMES, self.0, |which, object| {
            match which {
                0 => input.name = object.next_value::<Text<'de>>()?.0,
                1 => input.shape = object.next_value()?,
                2 => input.datatype = object.next_value::<Text<'de>>()?.0,
                3 => input.data = object.next_value()?,
                _ => {
                    let said = object.next_value_seed(Parameters(self.0, Of::Tensor))?;
                    input.binary_data_size = said.size;
                }
            }
            if let Some(there) = there.get_mut(which) {
                *there = true;
            }
            Ok(())
        })?;
        match there.iter().zip(NAMES).find(|(there, _)| !**there) {
            None => Ok(input),
            Some((_, name)) => Err(A::Error::missing_field(name)),
        }
    }
}

#[derive(Deserialize)]
struct Text<'v>(#[serde(borrow)] Cow<'v, str>);

/// Reads the parameters of a request or of a tensor.
struct Parameters<'a>(&'a Doubt, Of);

/// What parameters say.
#[derive(Default)]
struct Said<'v> {
    /// `binary_data_size`
    size: Option<&'v RawValue>,
    table: bool,
}

impl<'de> DeserializeSeed<'de> for Parameters<'_> {
    type Value = Said<'de>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Parameters<'_> {
    type Value = Said<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parameters")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Said::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut said = Said::default();
        let mut known = Members::new(&["binary_data_size"]);
        while let Some(name) = object.next_key::<Text<'de>>()? {
            let which = known.meet(&name.0, self.0)?;
            let value = object.next_value::<&RawValue>()?;
            match which {
                Some(_) => said.size = Some(value),
                None => {
                    let text = serde_json::from_str::<Cow<'_, str>>(value.get()).ok();
                    let checked = parameters::check(self.1, &name.0, text.as_deref());
                    said.table |= self.0.refuse(checked)?;
                }
            }
        }
        Ok(said)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(shape: D) -> Result<Self, D::Error> {
        shape.deserialize_seq(Dimensions)
    }
}

/// The length of a dimension: a number, or its digits as a text, as Protobuf's JSON writes an `int64`.
struct Length(i64);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(length: D) -> Result<Self, D::Error> {
        length.deserialize_any(OneLength)
    }
}

struct OneLength;

impl Visitor<'_> for OneLength {
    type Value = Length;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the length of a dimension")
    }

    fn visit_u64<E: Error>(self, length: u64) -> Result<Length, E> {
        i64::try_from(length).map(Length).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, length: i64) -> Result<Length, E> {
        Ok(Length(length))
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<Length, E> {
        match digits.bytes().all(|digit| digit.is_ascii_digit()) {
            true => digits.parse().map(Length).map_err(E::custom),
            false => Err(E::custom("a length that is no number")),
        }
    }
}

/// Takes the lengths of a tensor's dimensions.
struct Dimensions;

impl<'de> Visitor<'de> for Dimensions {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lengths of a tensor's dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lengths: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::default();
        while let Some(Length(length)) = lengths.next_element()? {
            shape.push(length).ok_or_else(|| A::Error::custom("a tensor that nothing can hold"))?;
        }
        Ok(shape)
    }
}
