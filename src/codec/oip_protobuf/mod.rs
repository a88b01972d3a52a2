//! Open Inference Protocol (V2) requests in protobuf: `inference.ModelInferRequest`, what Seldon
//! Core 2 puts on Kafka.
//!
//! Tensors are read where they stand, typed (`contents`) or raw (`raw_input_contents`), packed or
//! not, without building the message; what changes is spliced in, and every other byte, unknown
//! fields among them, stays. [`super::tensor`] says which tensors are rows.
//!
//! What it cannot do: say a word in a tensor of numbers, or the reverse; such a change is left out,
//! and the record is judged as it then reads. It cannot see tensors in shared memory, nor that a
//! response or another message with fields of the same numbers is no request.

mod request;

use std::sync::Arc;

use prost::encoding::encode_varint;

use self::request::{Element, Form, Request, Value, Visit};
use super::datatype::Datatype;
use super::tensor::Tensors;
use super::wire::{Frame, Patch};
use super::{Cell, Codec, ContentHeaders, Inputs, Layout, Scalar};
use crate::record::{Fault, Unread};

/// `application/x-protobuf` and its like.
#[derive(Debug)]
pub struct OipProtobuf {
    tensors: Tensors,
}

impl OipProtobuf {
    pub fn new(layout: Arc<Layout>, inputs: &Inputs) -> Self {
        Self { tensors: Tensors::new(layout, inputs.clone()) }
    }

    fn layout(&self) -> &Layout {
        &self.tensors.layout
    }

    /// As `decode`, but on a fault `rows` may hold part of a row.
    fn fill(&self, value: &[u8], rows: &mut Vec<f32>) -> Result<usize, Fault> {
        let request = Request::read(&self.tensors, value)?;
        let n = request.parts.rows;
        let (layout, width) = (self.layout(), self.layout().width());
        let block = layout.begin(rows, n)?;
        request.walk(
            value,
            &mut Read(|row: usize, cell: usize, element: &Element<'_>| {
                let row = &mut block[row * width..][..width];
                match element.value {
                    Value::Number(x) => {
                        let scalar = element.datatype.scalar(x, layout.scale_of(cell))?;
                        layout.put(row, cell, scalar)
                    }
                    // What is not UTF-8 is no value that was learned, but may well be an id.
                    Value::Bytes(bytes) => {
                        layout.put(row, cell, Scalar::Text(&String::from_utf8_lossy(bytes)))
                    }
                }
            }),
        )?;
        Ok(n)
    }
}

impl Codec for OipProtobuf {
    fn decode(
        &self,
        value: &[u8],
        _: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let start = rows.len();
        let read = self.fill(value, rows);
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
        const READABLE: &str = "the original is not rows";
        let mut before = vec![];
        self.decode(original, headers, &mut before).expect(READABLE);
        assert_eq!(rows.len(), before.len(), "other rows than the original's");
        let request = Request::read(&self.tensors, original).expect(READABLE);
        let mut write = Write {
            layout: self.layout(),
            before: &before,
            rows,
            patch: Patch::new(original, out),
        };
        request.walk(original, &mut write).expect(READABLE);
        write.patch.finish();
    }
}

/// Puts elements into rows.
struct Read<F>(F);

impl<F: FnMut(usize, usize, &Element<'_>) -> Result<(), Fault>> Visit for Read<F> {
    fn element(&mut self, row: usize, cell: usize, element: &Element<'_>) -> Result<(), Fault> {
        (self.0)(row, cell, element)
    }
}

/// Puts rows into elements.
struct Write<'a> {
    layout: &'a Layout,
    before: &'a [f32],
    rows: &'a [f32],
    patch: Patch<'a>,
}

impl Visit for Write<'_> {
    fn open(&mut self, frame: &Frame) {
        self.patch.open(frame);
    }

    fn close(&mut self, frame: &Frame) {
        self.patch.close(frame);
    }

    fn element(&mut self, row: usize, cell: usize, element: &Element<'_>) -> Result<(), Fault> {
        let width = self.layout.width();
        let columns = row * width..(row + 1) * width;
        let (before, row) = (&self.before[columns.clone()], &self.rows[columns]);
        let Some(change) = self.layout.change(before, row, cell) else { return Ok(()) };
        if let Cell::Number(x) = change {
            assert!(x.is_finite(), "the row is not finite");
        }
        let datatype = element.datatype;
        match (element.form, change) {
            (Form::Delimited | Form::Prefixed, Cell::Number(_)) => {}
            (Form::Delimited, Cell::Word(word)) => {
                self.patch.replace(element.span.clone(), |out| {
                    encode_varint(word.len() as u64, out);
                    out.extend_from_slice(word.as_bytes());
                })
            }
            (Form::Prefixed, Cell::Word(word)) => self.patch.replace(element.span.clone(), |out| {
                out.extend_from_slice(&(word.len() as u32).to_le_bytes());
                out.extend_from_slice(word.as_bytes());
            }),
            (Form::Varint | Form::Plain, change) => {
                let Some(number) = datatype.number(change, self.layout.scale_of(cell)) else {
                    return Ok(());
                };
                self.patch.replace(element.span.clone(), |out| match element.form {
                    Form::Varint if datatype == Datatype::Uint64 => {
                        encode_varint(number as u64, out);
                    }
                    // A negative number takes all ten bytes, whatever its type.
                    Form::Varint => encode_varint(number as i64 as u64, out),
                    _ => datatype.write(number, out),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
