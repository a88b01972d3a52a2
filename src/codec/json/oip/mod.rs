//! The Open Inference Protocol (V2) over REST: `{"inputs": [{"name", "shape", "datatype", "data"}]}`,
//! and its binary extension: JSON, then the bytes of every tensor that has a `binary_data_size` in
//! its parameters, little-endian, row-major, in order.
//!
//! The JSON ends where the `Inference-Header-Content-Length` header says, or, without it, where the
//! document ends. A corrected word may change the length of its tensor, and `binary_data_size` with
//! it. If there is a header, which we pass on as it is, the JSON keeps its length all the same: a
//! shorter one gets blanks at its end, a longer one gives up blanks between its parts. If it has
//! not enough of them, the original stays as it is, and the second judgement holds the record back.
//!
//! What it cannot read: tensors in shared memory, and compressed bodies.

mod binary;
mod body;

use std::ops::Range;
use std::sync::Arc;

use self::binary::Binary;
use self::body::{Body, Input, body};
use super::edit::edit;
use super::run::{Form, Reader, Run};
use crate::codec::datatype::Datatype;
use crate::codec::edits::Edits;
use crate::codec::shape::Shape;
use crate::codec::tensor::{Part, Parts, Tensors};
use crate::codec::{Codec, ContentHeaders, Inputs, Layout};
use crate::open::object::offset;
use crate::record::{Fault, Unread};

/// `oip-json`
#[derive(Debug)]
pub struct OipJson {
    tensors: Tensors,
}

/// A request, taken apart.
struct Request<'v> {
    json: &'v str,
    inputs: Vec<Input<'v>>,
    parts: Parts,
    /// Where the elements of each input are in the value, if they are binary.
    binary: Vec<Option<Range<usize>>>,
}

impl OipJson {
    pub fn new(layout: Arc<Layout>, inputs: &Inputs) -> Self {
        Self { tensors: Tensors::new(layout, inputs.clone()) }
    }

    fn layout(&self) -> &Layout {
        &self.tensors.layout
    }

    /// The dimensions of a tensor's numbers: of encoded images, those that they unpack to.
    fn shape(&self, input: &Input<'_>) -> Shape {
        let layout = self.layout();
        let image = layout.places().first().and_then(|place| place.image);
        let is_text = input.datatype == Datatype::Bytes.name() && input.data.is_some();
        match (image, input.shape.lengths()) {
            (Some(image), [n] | [n, 1]) if is_text && layout.is_one_image() => {
                let mut shape = Shape::default();
                let lengths = [*n].into_iter().chain(image);
                let fits = lengths.into_iter().try_for_each(|l| shape.push(i64::try_from(l).ok()?));
                fits.map_or(input.shape, |()| shape)
            }
            _ => input.shape,
        }
    }

    fn request<'v>(
        &self,
        value: &'v [u8],
        headers: &ContentHeaders<'_>,
    ) -> Result<Request<'v>, Fault> {
        let Body { inputs, table, end: length } = body(value, headers.json_length.get()?)?;
        let json = std::str::from_utf8(&value[..length])
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        let unreadable = Fault::Unreadable { at: length };
        let (mut roll, mut end) = (self.tensors.roll(), length);
        let mut binary = Vec::with_capacity(inputs.len());
        roll.table(table);
        for input in &inputs {
            roll.call(&input.name, self.shape(input), length)?;
            let size = input.binary_data_size.map(|size| size.get().parse::<usize>());
            let size = size.transpose().map_err(|_| unreadable)?;
            binary.push(size.map(|size| end..end.saturating_add(size)));
            end = end.saturating_add(size.unwrap_or(0));
        }
        let none = binary.iter().all(Option::is_none);
        if end != value.len() && !(none && value[end..].trim_ascii().is_empty()) {
            return Err(unreadable);
        }
        Ok(Request { json, inputs, parts: roll.parts()?, binary })
    }
}

impl<'v> Request<'v> {
    /// The elements of a part.
    fn elements(&self, tensors: &Tensors, part: &Part) -> Result<Elements<'v>, Fault> {
        let (input, binary) = (&self.inputs[part.tensor], self.binary[part.tensor].clone());
        let unreadable = Fault::Unreadable { at: self.json.len() };
        let datatype = Datatype::of_name(&input.datatype).ok_or(unreadable)?;
        tensors.check_scale(&part.cells, datatype)?;
        let (rows, cells) = (0..self.parts.rows, part.cells.clone());
        match (input.data, binary) {
            (Some(data), None) => {
                let (raw, datatype, form) = (data.get(), Some(datatype), Form::Any);
                Ok(Elements::Text(Run { raw, rows, cells, datatype, form }))
            }
            (None, Some(bytes)) => Ok(Elements::Binary(Binary { bytes, rows, cells, datatype })),
            _ => Err(unreadable),
        }
    }
}

/// Where the elements of a tensor are, and which cells they fill.
enum Elements<'v> {
    Text(Run<'v>),
    Binary(Binary),
}

impl Codec for OipJson {
    fn decode(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let request = self.request(value, headers)?;
        let start = rows.len();
        let mut reader = Reader::new(self.layout(), request.json, rows);
        let read = reader.begin(request.parts.rows).and_then(|()| {
            for part in &request.parts.parts {
                match request.elements(&self.tensors, part)? {
                    Elements::Text(run) => reader.read(&run)?,
                    Elements::Binary(binary) => {
                        binary.read(self.layout(), value, reader.rows())?;
                    }
                }
            }
            reader.finish(request.parts.rows)
        });
        if read.is_err() {
            rows.truncate(start);
        }
        Ok(read?)
    }

    fn encode(
        &self,
        original: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &[f32],
        out: &mut Vec<u8>,
    ) {
        let mut before = vec![];
        self.decode(original, headers, &mut before).expect("the original does not hold rows");
        assert_eq!(rows.len(), before.len(), "other rows than the original's");
        let (layout, request) = (self.layout(), self.request(original, headers));
        let request = request.expect("it was read");
        let (mut json, mut tensors) = (Edits::default(), Edits::default());
        for part in &request.parts.parts {
            match request.elements(&self.tensors, part).expect("it was read") {
                Elements::Text(run) => edit(layout, request.json, &run, &before, rows, &mut json),
                Elements::Binary(binary) => {
                    let grown = binary.edit(layout, original, &before, rows, &mut tensors);
                    let size = request.inputs[part.tensor].binary_data_size;
                    let size = size.expect("it is binary").get();
                    if grown != 0 {
                        let at = offset(size, request.json);
                        let new = binary.bytes.len().strict_add_signed(grown).to_string();
                        json.put(at..at + size.len(), new.as_bytes());
                    }
                }
            }
        }
        let (start, length) = (out.len(), request.json.len());
        json.apply(request.json.as_bytes(), out);
        if headers.json_length.is_there() && !fit(out, start, length) {
            out.truncate(start);
            out.extend_from_slice(original);
            return;
        }
        tensors.apply_from(length, original, out);
    }
}

/// Makes the JSON behind `out[..start]` as long as it was; says whether that was possible.
fn fit(out: &mut Vec<u8>, start: usize, length: usize) -> bool {
    let mut excess = (out.len() - start).saturating_sub(length);
    let (mut to, mut string, mut escaped) = (start, false, false);
    if excess > 0 {
        for from in start..out.len() {
            let byte = out[from];
            if excess > 0 && !string && byte.is_ascii_whitespace() {
                excess -= 1;
                continue;
            }
            string ^= byte == b'"' && !escaped;
            escaped = string && byte == b'\\' && !escaped;
            out[to] = byte;
            to += 1;
        }
        out.truncate(to);
    }
    if excess == 0 {
        out.resize(start + length, b' ');
    }
    excess == 0
}

#[cfg(test)]
mod tests;
