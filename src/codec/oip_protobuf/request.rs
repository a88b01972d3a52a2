//! Where the elements of a `ModelInferRequest` stand.
//!
//! Two passes over the fields: the first learns names and shapes, the second goes to the elements
//! of the tensors that are rows. What is kept between them is bounded by the features of the
//! schema, however many tensors a request has.

use std::ops::Range;

use prost::encoding::decode_varint;

use super::super::datatype::Datatype;
use super::super::parameters::{self, Of};
use super::super::shape::Shape;
use super::super::tensor::{Part, Parts, Tensors};
use super::super::wire::{Content, Field, Fields, Frame};
use crate::record::{Ambiguity, Fault};

/// Fields of `ModelInferRequest`.
const REQUEST_PARAMETERS: u32 = 4;
const INPUTS: u32 = 5;
const RAW_INPUT_CONTENTS: u32 = 7;
/// Fields of `InferInputTensor`.
const NAME: u32 = 1;
const DATATYPE: u32 = 2;
const SHAPE: u32 = 3;
const PARAMETERS: u32 = 4;
const CONTENTS: u32 = 5;

/// A request whose shapes are known to make sense; what its tensors hold is not.
pub(super) struct Request {
    pub parts: Parts,
    /// One per part.
    inputs: Vec<Input>,
    /// Whether the elements are in `raw_input_contents`.
    raw: bool,
}

struct Input {
    frame: Frame,
    datatype: Datatype,
}

/// What a tensor says of itself.
struct Head<'a> {
    name: &'a str,
    datatype: &'a str,
    shape: Shape,
    /// Whether it has `contents` with anything in them.
    typed: bool,
}

impl<'a> Head<'a> {
    /// As protobuf has it: of a field that comes twice the last counts, and lists go on.
    fn read(value: &'a [u8], tensor: &Frame) -> Result<Self, Fault> {
        let mut head = Self { name: "", datatype: "", shape: Shape::default(), typed: false };
        for field in Fields::new(value, tensor.body.clone()) {
            let field = field?;
            let fault = Fault::Unreadable { at: field.at };
            let text = |frame: &Frame| str::from_utf8(&value[frame.body.clone()]).ok();
            match (field.tag, &field.content) {
                (NAME, Content::Delimited(frame)) => head.name = text(frame).ok_or(fault)?,
                (DATATYPE, Content::Delimited(frame)) => {
                    head.datatype = text(frame).ok_or(fault)?
                }
                (SHAPE, &Content::Varint(length, _)) => {
                    head.shape.push(length as i64).ok_or(fault)?;
                }
                (SHAPE, Content::Delimited(frame)) => {
                    let mut packed = &value[frame.body.clone()];
                    while !packed.is_empty() {
                        let length = decode_varint(&mut packed).map_err(|_| fault)?;
                        head.shape.push(length as i64).ok_or(fault)?;
                    }
                }
                (CONTENTS, Content::Delimited(frame)) => head.typed |= !frame.body.is_empty(),
                (PARAMETERS, Content::Delimited(frame)) => {
                    parameter(Of::Tensor, value, frame)?;
                }
                (NAME | DATATYPE | SHAPE | PARAMETERS | CONTENTS, _) => return Err(fault),
                _ => {}
            }
        }
        Ok(head)
    }
}

/// One element of a tensor, where it stands.
pub(super) struct Element<'a> {
    pub datatype: Datatype,
    pub form: Form,
    pub span: Range<usize>,
    pub value: Value<'a>,
}

pub(super) enum Value<'a> {
    Number(f64),
    Bytes(&'a [u8]),
}

/// How an element is written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Varint,
    /// As many bytes as the datatype has, little-endian.
    Plain,
    /// Bytes behind their length as a varint.
    Delimited,
    /// Bytes behind their length in four bytes, little-endian.
    Prefixed,
}

/// Goes through the elements of a request and the frames around them, in the value's order.
pub(super) trait Visit {
    fn open(&mut self, _: &Frame) {}
    fn close(&mut self, _: &Frame) {}
    fn element(&mut self, row: usize, cell: usize, element: &Element<'_>) -> Result<(), Fault>;
}

impl Request {
    /// Which tensors of the request are rows, and where they are.
    pub fn read(tensors: &Tensors, value: &[u8]) -> Result<Self, Fault> {
        let mut roll = tensors.roll();
        let (mut raw, mut typed) = (0, None);
        for field in Fields::new(value, 0..value.len()) {
            let field = field?;
            match field.tag {
                INPUTS => {
                    let head = Head::read(value, &delimited(&field)?)?;
                    roll.call(head.name, head.shape, field.at)?;
                    typed = typed.or(head.typed.then_some(field.at));
                }
                RAW_INPUT_CONTENTS => {
                    delimited(&field)?;
                    raw += 1;
                }
                REQUEST_PARAMETERS => {
                    let table = parameter(Of::Request, value, &delimited(&field)?)?;
                    roll.table(table);
                }
                _ => {}
            }
        }
        let count = roll.count();
        let parts = roll.parts()?;
        // With raw contents there is one for each tensor and no other, or readers would disagree.
        if raw > 0 && (raw != count || typed.is_some()) {
            return Err(Fault::Unreadable { at: typed.unwrap_or(value.len()) });
        }
        let mut inputs = Vec::with_capacity(parts.parts.len());
        let mut wanted = parts.parts.iter().peekable();
        for (i, field) in of_tag(value, INPUTS).enumerate() {
            if let Some(part) = wanted.next_if(|part| part.tensor == i) {
                let field = field?;
                let frame = delimited(&field)?;
                let head = Head::read(value, &frame)?;
                let datatype = Datatype::of_name(head.datatype);
                let datatype = datatype.ok_or(Fault::Unreadable { at: field.at })?;
                tensors.check_scale(&part.cells, datatype)?;
                inputs.push(Input { frame, datatype });
            }
        }
        Ok(Self { parts, inputs, raw: raw > 0 })
    }

    /// Shows every element of every part to `visit`.
    ///
    /// # Errors
    /// What is wrong with a part's elements, their number included, or what `visit` says.
    pub fn walk(&self, value: &[u8], visit: &mut impl Visit) -> Result<(), Fault> {
        let each = self.parts.parts.iter().zip(&self.inputs);
        if !self.raw {
            for (part, input) in each {
                let mut cursor = Cursor::new(part, self.parts.rows, input.datatype, visit);
                cursor.visit.open(&input.frame);
                for field in Fields::new(value, input.frame.body.clone()) {
                    if let Field { tag: CONTENTS, content: Content::Delimited(frame), .. } = field?
                    {
                        cursor.contents(value, &frame)?;
                    }
                }
                cursor.finish()?;
                visit.close(&input.frame);
            }
            return Ok(());
        }
        let mut each = each.peekable();
        for (i, field) in of_tag(value, RAW_INPUT_CONTENTS).enumerate() {
            if let Some((part, input)) = each.next_if(|(part, _)| part.tensor == i) {
                let frame = delimited(&field?)?;
                let mut cursor = Cursor::new(part, self.parts.rows, input.datatype, visit);
                cursor.raw(value, &frame)?;
                cursor.finish()?;
            }
        }
        Ok(())
    }
}

/// Goes through the elements of one part.
struct Cursor<'a, V> {
    part: &'a Part,
    datatype: Datatype,
    visit: &'a mut V,
    row: usize,
    cell: usize,
    seen: usize,
    expected: usize,
}

impl<'a, V: Visit> Cursor<'a, V> {
    fn new(part: &'a Part, rows: usize, datatype: Datatype, visit: &'a mut V) -> Self {
        let expected = rows * part.cells.len();
        Self { part, datatype, visit, row: 0, cell: part.cells.start, seen: 0, expected }
    }

    fn next(&mut self, form: Form, span: Range<usize>, value: Value<'_>) -> Result<(), Fault> {
        self.seen += 1;
        if self.seen > self.expected {
            return self.finish();
        }
        let element = Element { datatype: self.datatype, form, span, value };
        self.visit.element(self.row, self.cell, &element)?;
        self.cell += 1;
        if self.cell == self.part.cells.end {
            (self.row, self.cell) = (self.row + 1, self.part.cells.start);
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.seen == self.expected {
            true => Ok(()),
            false => Err(Fault::WrongArity { got: self.seen, expected: self.expected }),
        }
    }

    /// The elements of `InferTensorContents`: those in the field of the datatype.
    fn contents(&mut self, value: &[u8], contents: &Frame) -> Result<(), Fault> {
        let Some((wanted, form)) = typed(self.datatype) else { return Ok(()) };
        self.visit.open(contents);
        for field in Fields::new(value, contents.body.clone()) {
            let field = field?;
            if field.tag != wanted {
                // Elements of another type: a server may take the first list that has any.
                let empty = matches!(&field.content, Content::Delimited(f) if f.body.is_empty());
                if FIELDS_OF_CONTENTS.contains(&field.tag) && !empty {
                    return Err(Fault::Ambiguous(Ambiguity::Twice));
                }
                continue;
            }
            match (form, field.content) {
                (Form::Varint, Content::Varint(number, span)) => self.varint(number, span)?,
                (Form::Plain, Content::Fixed(span)) if Some(span.len()) == self.datatype.size() => {
                    self.plain(value, span)?;
                }
                (Form::Delimited, Content::Delimited(frame)) => {
                    let bytes = &value[frame.body.clone()];
                    self.next(form, frame.length.start..frame.body.end, Value::Bytes(bytes))?;
                }
                (Form::Varint | Form::Plain, Content::Delimited(frame)) => {
                    self.visit.open(&frame);
                    match form {
                        Form::Varint => self.varints(value, &frame)?,
                        _ => self.plains(value, &frame)?,
                    }
                    self.visit.close(&frame);
                }
                _ => return Err(Fault::Unreadable { at: field.at }),
            }
        }
        self.visit.close(contents);
        Ok(())
    }

    fn raw(&mut self, value: &[u8], frame: &Frame) -> Result<(), Fault> {
        self.visit.open(frame);
        if self.datatype.size().is_some() {
            self.plains(value, frame)?;
        } else {
            let mut at = frame.body.start;
            while at < frame.body.end {
                let bytes = prefixed(&value[at..frame.body.end]);
                let bytes = bytes.ok_or(Fault::Unreadable { at })?;
                let start = at;
                at += 4 + bytes.len();
                self.next(Form::Prefixed, start..at, Value::Bytes(bytes))?;
            }
        }
        self.visit.close(frame);
        Ok(())
    }

    fn varints(&mut self, value: &[u8], packed: &Frame) -> Result<(), Fault> {
        let mut rest = &value[packed.body.clone()];
        while !rest.is_empty() {
            let at = packed.body.end - rest.len();
            let number = decode_varint(&mut rest).map_err(|_| Fault::Unreadable { at })?;
            self.varint(number, at..packed.body.end - rest.len())?;
        }
        Ok(())
    }

    fn plains(&mut self, value: &[u8], packed: &Frame) -> Result<(), Fault> {
        let size = self.datatype.size().expect("elements of one size");
        if !packed.body.len().is_multiple_of(size) {
            return Err(Fault::Unreadable { at: packed.body.end });
        }
        let mut starts = packed.body.clone().step_by(size);
        starts.try_for_each(|start| self.plain(value, start..start + size))
    }

    fn varint(&mut self, number: u64, span: Range<usize>) -> Result<(), Fault> {
        let number = match self.datatype {
            Datatype::Bool => f64::from(u8::from(number != 0)),
            Datatype::Int64 => number as i64 as f64,
            Datatype::Uint64 => number as f64,
            Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => f64::from(number as u32),
            _ => f64::from(number as i32),
        };
        self.next(Form::Varint, span, Value::Number(number))
    }

    fn plain(&mut self, value: &[u8], span: Range<usize>) -> Result<(), Fault> {
        let number = self.datatype.read(&value[span.clone()]);
        self.next(Form::Plain, span, Value::Number(number))
    }
}

/// The fields of `InferTensorContents`, one for each type of elements.
const FIELDS_OF_CONTENTS: std::ops::RangeInclusive<u32> = 1..=8;

/// An entry of a map of parameters: a name, and an `InferParameter` whose text is field 3. Says whether
/// it makes a table of the request.
///
/// # Errors
/// If it changes how a server reads the tensors.
fn parameter(of: Of, value: &[u8], entry: &Frame) -> Result<bool, Fault> {
    const TEXT: u32 = 3;
    let text = |frame: &Frame| str::from_utf8(&value[frame.body.clone()]).unwrap_or("\u{fffd}");
    let (mut name, mut said) = ("", None);
    for field in Fields::new(value, entry.body.clone()) {
        match field? {
            Field { tag: 1, content: Content::Delimited(frame), .. } => name = text(&frame),
            Field { tag: 2, content: Content::Delimited(frame), .. } => {
                for field in Fields::new(value, frame.body) {
                    if let Field { tag: TEXT, content: Content::Delimited(frame), .. } = field? {
                        said = Some(text(&frame));
                    }
                }
            }
            _ => {}
        }
    }
    parameters::check(of, name, said)
}

/// Which field of `InferTensorContents` holds a datatype's elements, and how; there is none for
/// 16-bit floats.
fn typed(datatype: Datatype) -> Option<(u32, Form)> {
    Some(match datatype {
        Datatype::Bool => (1, Form::Varint),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => (2, Form::Varint),
        Datatype::Int64 => (3, Form::Varint),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => (4, Form::Varint),
        Datatype::Uint64 => (5, Form::Varint),
        Datatype::Fp32 => (6, Form::Plain),
        Datatype::Fp64 => (7, Form::Plain),
        Datatype::Bytes => (8, Form::Delimited),
        Datatype::Fp16 | Datatype::Bf16 => return None,
    })
}

/// The bytes behind a length of four bytes.
fn prefixed(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.get(..u32::from_le_bytes(*length) as usize)
}

/// The fields of the request that have this tag.
fn of_tag(value: &[u8], tag: u32) -> impl Iterator<Item = Result<Field, Fault>> {
    let fields = Fields::new(value, 0..value.len());
    fields.filter(move |field| field.as_ref().map_or(true, |field| field.tag == tag))
}

fn delimited(field: &Field) -> Result<Frame, Fault> {
    match &field.content {
        Content::Delimited(frame) => Ok(frame.clone()),
        _ => Err(Fault::Unreadable { at: field.at }),
    }
}
