//! `ModelInferRequest`s.

use rand::Rng;
use rand::seq::SliceRandom;

use super::Draw;
use crate::record::{CELLS, field, key, number, varint, varints};

/// Datatype, field of its typed elements, and bytes of one.
const TYPES: [(&str, u32, usize); 13] = [
    ("FP32", 6, 4),
    ("FP64", 7, 8),
    ("INT32", 2, 4),
    ("INT64", 3, 8),
    ("FP32", 6, 4),
    ("INT8", 2, 1),
    ("INT16", 2, 2),
    ("UINT8", 4, 1),
    ("UINT32", 4, 4),
    ("UINT64", 5, 8),
    ("BOOL", 1, 1),
    ("FP16", 6, 2),
    ("BF16", 6, 2),
];

impl Draw {
    fn element(&mut self, datatype: &str) -> i64 {
        match datatype {
            _ if self.odd() => {
                let odd = [300, -1, 1 << 32, i64::MAX, i64::MIN, 128, 255, 65_536, 1 << 53 | 1];
                odd[self.below(odd.len())]
            }
            "BOOL" => self.rng.random_range(0..2),
            "UINT8" | "UINT32" | "UINT64" => self.rng.random_range(0..100),
            _ => self.rng.random_range(-20..100),
        }
    }

    /// Elements in the bytes of `raw_input_contents`, and of fixed-size fields.
    fn plain(&mut self, datatype: &str, x: i64, out: &mut Vec<u8>) {
        match datatype {
            "FP32" => {
                let part = if self.below(3) == 0 { self.rng.random::<f32>() } else { 0.0 };
                out.extend((x as f32 + part).to_le_bytes());
            }
            "FP64" => out.extend((x as f64 + self.rng.random::<f64>()).to_le_bytes()),
            "INT32" | "UINT32" => out.extend((x as i32).to_le_bytes()),
            "INT16" => out.extend((x as i16).to_le_bytes()),
            "INT8" | "UINT8" | "BOOL" => out.push(x as u8),
            "FP16" => out.extend(half::f16::from_f64(x as f64).to_le_bytes()),
            "BF16" => out.extend(half::bf16::from_f64(x as f64).to_le_bytes()),
            _ => out.extend(x.to_le_bytes()),
        }
    }

    fn typed(&mut self, datatype: &str, tag: u32, n: usize) -> Vec<u8> {
        let elements: Vec<i64> = (0..n).map(|_| self.element(datatype)).collect();
        let fixed = matches!(datatype, "FP32" | "FP64" | "FP16" | "BF16");
        let datatype = if matches!(datatype, "FP16" | "BF16") { "FP32" } else { datatype };
        let cut = match self.below(4) {
            0 => self.below(n + 1),
            _ => n,
        };
        // A repeated field may come packed, one by one, or both.
        let mut packed = vec![];
        for &x in &elements[..cut] {
            match fixed {
                true => self.plain(datatype, x, &mut packed),
                false => varint(x as u64, &mut packed),
            }
        }
        let mut out = if cut > 0 { field(tag, &packed) } else { vec![] };
        for &x in &elements[cut..] {
            if fixed {
                out.extend(key(tag, if datatype == "FP64" { 1 } else { 5 }));
                self.plain(datatype, x, &mut out);
            } else {
                out.extend(number(tag, x as u64));
            }
        }
        if self.odd() {
            let other = 1 + self.below(9) as u32;
            out.extend(field(other, &varints(&[1, 2, 3, 4])));
        }
        if self.odd() {
            out.extend(number(1 + self.below(9) as u32, 1));
        }
        out
    }

    fn parameter(&mut self) -> Vec<u8> {
        let name =
            self.one(&["content_type", "binary_data_size", "shared_memory_region", "priority"]);
        let text = self.one(&["pd", "np", "36"]);
        field(4, &[field(1, name.as_bytes()), field(2, &field(3, text.as_bytes()))].concat())
    }

    fn unknown(&mut self) -> Vec<u8> {
        let tag = [9, 15, 16, 99, 2047, 536_870_911][self.below(6)];
        match self.below(5) {
            0 => number(tag, 7),
            1 => field(tag, b"abc"),
            2 => [key(tag, 5), vec![1, 2, 3, 4]].concat(),
            3 => [key(tag, 1), vec![1; 8]].concat(),
            _ => [key(tag, 3), field(1, b"x"), number(5, 5), key(tag, 4)].concat(),
        }
    }

    /// A tensor, and what it has in `raw_input_contents`.
    fn message(&mut self, name: &str, rows: usize, cells: usize, raw: bool) -> (Vec<u8>, Vec<u8>) {
        let n = rows * cells;
        let known = if self.odd() { TYPES.len() } else { 5 };
        let (datatype, tag, _) = TYPES[self.below(known)];
        let said =
            if self.odd() { self.one(&["fp32", "FP8", "", "BYTES", "FP64"]) } else { datatype };
        let odd: [&[i64]; 8] = [&[9], &[9, 1], &[3, 3], &[1, 3, 3], &[-1, 9], &[], &[0], &[2, 9]];
        let (rows, cells) = (rows as i64, cells as i64);
        let shape = match self.below(3) {
            _ if self.odd() => odd[self.below(8)].to_vec(),
            0 if cells == 1 => vec![rows],
            _ => vec![rows, cells],
        };
        let shape: Vec<u8> = match self.below(3) {
            0 => shape.iter().flat_map(|&length| number(3, length as u64)).collect(),
            _ => field(3, &varints(&shape)),
        };
        let mut fields = vec![field(1, name.as_bytes()), field(2, said.as_bytes()), shape];
        let mut bytes = vec![];
        if raw {
            for _ in 0..n {
                let x = self.element(datatype);
                self.plain(datatype, x, &mut bytes);
            }
        }
        if !raw || self.odd() {
            let typed = self.typed(datatype, tag, n);
            fields.push(field(5, &typed));
            if self.odd() {
                let more = self.typed(datatype, tag, 3);
                fields.push(field(5, &more));
            }
        }
        if self.odd() {
            let twice = fields[self.below(fields.len())].clone();
            fields.push(twice);
        }
        if self.odd() {
            fields.push(self.parameter());
        }
        if self.odd() {
            fields.push(self.unknown());
        }
        if self.odd() {
            let tag = 1 + self.below(6) as u32;
            fields.push(number(tag, 9));
        }
        if self.below(4) == 0 {
            fields.shuffle(&mut self.rng);
        }
        (fields.concat(), bytes)
    }

    pub(super) fn protobuf(&mut self) -> Vec<u8> {
        let rows = 1 + self.below(3);
        let raw = self.below(2) == 0;
        let mut tensors = vec![];
        if self.below(3) > 0 {
            tensors.push(self.message("input-0", rows, CELLS, raw));
        } else {
            for i in 0..CELLS {
                tensors.push(self.message(&format!("x{i}"), rows, 1, raw));
            }
            if self.odd() {
                tensors.shuffle(&mut self.rng);
            }
        }
        if self.odd() {
            let at = self.below(tensors.len() + 1);
            let name = self.one(&["input-1", "x3", "X0", "input-0"]);
            let more = self.message(name, rows, CELLS, raw);
            tensors.insert(at, more);
        }
        let mut fields = vec![field(1, b"m")];
        for (tensor, bytes) in tensors {
            fields.push(field(5, &tensor));
            if raw && !self.odd() {
                fields.push(field(7, &bytes));
            }
        }
        if self.odd() {
            fields.push(field(7, &[0; 36]));
        }
        if self.odd() {
            fields.push(self.parameter());
        }
        if self.odd() {
            fields.push(self.unknown());
        }
        if self.odd() {
            let at = self.below(fields.len() + 1);
            fields.insert(at, number(1 + self.below(8) as u32, 9));
        }
        fields.concat()
    }
}
