//! V2 bodies, and events around any dialect.

use rand::Rng;
use rand::seq::SliceRandom;

use super::Draw;
use crate::record::{CELLS, Record};

impl Draw {
    /// A tensor's members; its bytes, if it is binary.
    fn tensor(&mut self, name: &str, rows: usize, cells: usize, binary: bool) -> (String, Vec<u8>) {
        let n = rows * cells;
        let shape = match (self.odd(), cells) {
            (true, _) => self
                .one(&[
                    "[9]",
                    "[9, 1]",
                    "[3, 3]",
                    "[1, 3, 3]",
                    "[-1, 9]",
                    "[1, 9.0]",
                    "[]",
                    "[0]",
                    "[2, 9]",
                    "[1]",
                ])
                .to_owned(),
            (false, 1) if self.below(2) == 0 => format!("[{rows}]"),
            (false, _) => format!("[{rows}, {cells}]"),
        };
        let datatype = if self.odd() {
            self.one(&[
                "INT8", "UINT8", "INT16", "FP16", "BF16", "BOOL", "BYTES", "UINT64", "fp32", "X",
            ])
        } else {
            self.one(&["FP32", "FP32", "FP64", "INT32", "INT64"])
        };
        let integers = datatype.contains("INT") && !self.odd();
        let mut bytes = vec![];
        let mut members = vec![("shape", shape), ("datatype", format!("\"{datatype}\""))];
        members.push((
            "name",
            format!("\"{}\"", if self.odd() { self.name(name) } else { name.to_owned() }),
        ));
        if binary {
            for _ in 0..n {
                let x: i64 = self.rng.random_range(-20..100);
                match datatype {
                    "INT8" | "UINT8" | "BOOL" => bytes.push(x as u8),
                    "INT16" => bytes.extend((x as i16).to_le_bytes()),
                    "FP16" => bytes.extend(half::f16::from_f64(x as f64).to_le_bytes()),
                    "BF16" => bytes.extend(half::bf16::from_f64(x as f64).to_le_bytes()),
                    "INT32" => bytes.extend((x as i32).to_le_bytes()),
                    "FP32" => bytes.extend((x as f32).to_le_bytes()),
                    "FP64" => bytes.extend((x as f64 / 3.0).to_le_bytes()),
                    _ => bytes.extend(x.to_le_bytes()),
                }
            }
            let size = if self.odd() { bytes.len() + self.below(9) } else { bytes.len() };
            members.push(("parameters", format!("{{\"binary_data_size\": {size}}}")));
        }
        if !binary || self.odd() {
            let numbers: Vec<String> = match integers {
                true => (0..n).map(|_| self.rng.random_range(-20..100).to_string()).collect(),
                false => self.numbers(n),
            };
            let flat = self.below(3) > 0 && !self.odd();
            let data = match flat {
                true => numbers.join(", "),
                false => {
                    let rows =
                        numbers.chunks(cells.max(1)).map(|row| format!("[{}]", row.join(", ")));
                    rows.collect::<Vec<_>>().join(", ")
                }
            };
            members.push(("data", format!("[{data}]")));
        }
        if self.odd() {
            let twice = members[self.below(members.len())].clone();
            members.push(twice);
        }
        if self.odd() && !binary {
            let text = self.one(&["\"pd\"", "\"np\"", "null"]);
            members.push(("parameters", format!("{{\"content_type\": {text}}}")));
        }
        members.shuffle(&mut self.rng);
        let text =
            members.into_iter().map(|(name, value)| format!("\"{}\": {value}", self.name(name)));
        (format!("{{{}}}", text.collect::<Vec<_>>().join(", ")), bytes)
    }

    fn body(&mut self, binary: bool) -> (String, Vec<u8>) {
        let rows = 1 + self.below(3);
        let (mut tensors, mut tail) = (vec![], vec![]);
        if self.below(3) > 0 {
            let name = self.one(&["input-0", "input", "x0"]);
            tensors.push(self.tensor(name, rows, CELLS, binary));
        } else {
            for i in 0..CELLS {
                tensors.push(self.tensor(&format!("x{i}"), rows, 1, binary));
            }
            if self.odd() {
                tensors.shuffle(&mut self.rng);
            }
        }
        if self.odd() {
            let at = self.below(tensors.len() + 1);
            let name = self.one(&["input-1", "x3", "X0", "input-0"]);
            let more = self.tensor(name, rows, CELLS, binary);
            tensors.insert(at, more);
        }
        tensors.iter().for_each(|(_, bytes)| tail.extend_from_slice(bytes));
        let tensors: Vec<String> = tensors.into_iter().map(|(text, _)| text).collect();
        let mut members = vec![format!("\"{}\": [{}]", self.name("inputs"), tensors.join(", "))];
        if self.odd() {
            members.push(format!("\"{}\": [{}]", self.name("inputs"), tensors.join(", ")));
        }
        if self.odd() {
            members.push("\"parameters\": {\"content_type\": \"pd\"}".to_owned());
        }
        if self.below(3) == 0 {
            members.push("\"id\": \"7\", \"outputs\": [{\"name\": \"y\"}]".to_owned());
        }
        (format!("{{{}}}", members.join(", ")), tail)
    }

    pub(super) fn v2(&mut self) -> Record {
        let binary = self.below(3) == 0;
        let (text, mut tail) = self.body(binary);
        let text = self.around(text);
        if self.odd() {
            let more = self.below(40);
            tail.extend(vec![b' '; more]);
        }
        let length = text.len();
        let record = Record::from([text.into_bytes(), tail].concat());
        match binary || self.odd() {
            true => {
                let length = if self.odd() { length + self.below(3) } else { length };
                let form = if self.odd() { self.one(&["+", "0", " "]) } else { "" };
                record.with("Inference-Header-Content-Length", &format!("{form}{length}"))
            }
            false => record,
        }
    }

    pub(super) fn event(&mut self) -> String {
        use base64::Engine as _;
        let data = match self.below(3) {
            0 => self.json(),
            1 => self.v1(),
            _ => self.body(false).0,
        };
        let mut members: Vec<String> = [
            ("specversion", "\"1.0\""),
            ("id", "\"1\""),
            ("source", "\"/s\""),
            ("type", "\"t\""),
            ("time", "\"2026-11-28T00:00:00Z\""),
        ]
        .iter()
        .map(|(name, text)| format!("\"{name}\": {text}"))
        .collect();
        let text = match self.below(4) {
            0 => format!("\"{}\"", base64::engine::general_purpose::STANDARD.encode(&data)),
            _ => data.clone(),
        };
        let name =
            if text.starts_with('"') && text.len() != data.len() { "data_base64" } else { "data" };
        members.push(format!("\"{}\": {text}", self.name(name)));
        if self.odd() {
            members.push(format!("\"{}\": {}", self.name("data"), self.json()));
        }
        if self.odd() {
            let text =
                self.one(&["application/json", "application/x-u8", "text/plain", "a/b+json"]);
            members.push(format!("\"datacontenttype\": \"{text}\""));
        }
        if self.below(4) == 0 {
            members.shuffle(&mut self.rng);
        }
        let text = format!("{{{}}}", members.join(", "));
        self.around(text)
    }
}
