//! Records of shuttle rows in every dialect, and what rows a reading of one holds.

use std::fmt::Write as _;

/// Numbers of a row: the features `x0` … `x8` of the shipped shuttle bundle.
pub const CELLS: usize = 9;

pub type Row = [i64; CELLS];

/// A row that passes, and an attack that is held back; the controls of the table say so.
pub const CLEAN: Row = [45, 0, 86, 0, 44, -17, 41, 42, 2];
pub const ATTACK: Row = [81, 0, 84, 0, -12, 29, 4, 97, 94];

/// What is sent: headers and value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub headers: Vec<(String, String)>,
    pub value: Vec<u8>,
}

impl Record {
    pub fn with(mut self, name: &str, text: &str) -> Self {
        self.headers.push((name.to_owned(), text.to_owned()));
        self
    }
}

impl From<Vec<u8>> for Record {
    fn from(value: Vec<u8>) -> Self {
        Self { headers: vec![], value }
    }
}

impl From<String> for Record {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

/// `45, 0, 86, …`
pub fn numbers(row: &Row) -> String {
    row.map(|x| x.to_string()).join(", ")
}

/// `"x0": 45, "x1": 0, …`
pub fn members(row: &Row) -> String {
    members_as("x", row)
}

/// The same under other names: `"X0": 45, …`
pub fn members_as(letter: &str, row: &Row) -> String {
    let member = |(i, x): (usize, &i64)| format!("\"{letter}{i}\": {x}");
    row.iter().enumerate().map(member).collect::<Vec<_>>().join(", ")
}

pub fn object(row: &Row) -> String {
    format!("{{{}}}", members(row))
}

/// `{"instances": [[45, …]]}`
pub fn v1(row: &Row) -> String {
    format!("{{\"instances\": [[{}]]}}", numbers(row))
}

/// Members of a V2 tensor.
pub fn tensor(name: &str, shape: &str, datatype: &str, data: &str) -> String {
    format!(r#"{{"name": "{name}", "shape": {shape}, "datatype": "{datatype}", "data": [{data}]}}"#)
}

/// The row in a tensor of this name.
pub fn whole(name: &str, row: &Row) -> String {
    tensor(name, "[1, 9]", "FP32", &numbers(row))
}

/// One tensor per feature.
pub fn named(row: &Row) -> Vec<String> {
    let one = |(i, x): (usize, &i64)| tensor(&format!("x{i}"), "[1, 1]", "FP32", &x.to_string());
    row.iter().enumerate().map(one).collect()
}

/// `{"inputs": […]}`
pub fn v2(tensors: &[String]) -> String {
    format!("{{\"inputs\": [{}]}}", tensors.join(", "))
}

pub fn v2_of(row: &Row) -> String {
    v2(&[whole("input-0", row)])
}

/// The attributes of a CloudEvent, with all that KServe looks for.
pub fn event(rest: &str) -> String {
    format!(
        r#"{{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": "2026-11-28T00:00:00Z", {rest}}}"#
    )
}

pub fn f32s(row: &Row) -> Vec<u8> {
    row.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect()
}

/// A field with a length.
pub fn field(tag: u32, body: &[u8]) -> Vec<u8> {
    let mut out = key(tag, 2);
    varint(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    out
}

/// A varint field.
pub fn number(tag: u32, value: u64) -> Vec<u8> {
    let mut out = key(tag, 0);
    varint(value, &mut out);
    out
}

pub fn key(tag: u32, wire: u32) -> Vec<u8> {
    let mut out = vec![];
    varint(u64::from(tag << 3 | wire), &mut out);
    out
}

pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn varints(values: &[i64]) -> Vec<u8> {
    let mut out = vec![];
    values.iter().for_each(|&value| varint(value as u64, &mut out));
    out
}

/// The head of a `ModelInferRequest.InferInputTensor`.
pub fn head(name: &str, datatype: &str, shape: &[i64]) -> Vec<u8> {
    [field(1, name.as_bytes()), field(2, datatype.as_bytes()), field(3, &varints(shape))].concat()
}

/// A request of these tensors; what follows them goes behind.
pub fn request(tensors: &[Vec<u8>], rest: &[u8]) -> Vec<u8> {
    let inputs = tensors.iter().map(|tensor| field(5, tensor));
    [field(1, b"m"), inputs.collect::<Vec<_>>().concat(), rest.to_vec()].concat()
}

/// A tensor of floats in `contents`.
pub fn floats(name: &str, shape: &[i64], row: &[i64]) -> Vec<u8> {
    let body: Vec<u8> = row.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
    [head(name, "FP32", shape), field(5, &field(6, &body))].concat()
}

/// Bytes as a person can paste them.
pub fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => bytes.iter().fold(String::from("hex "), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        }),
    }
}
