//! JSON by name and by position, and V1.

use rand::Rng;
use rand::seq::SliceRandom;

use super::Draw;
use crate::record::CELLS;

/// What may stand in the place of a number.
const ODD: &[&str] = &[
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "1e39",
    "-0",
    "-0.0",
    "+1",
    "01",
    "1.",
    ".5",
    "0x1",
    "1e5",
    "1E-3",
    "1_0",
    "9007199254740993",
    "18446744073709551616",
    "123456789012345678901234",
    "\"1\"",
    "\"\"",
    "true",
    "false",
    "null",
    "[1]",
    "[]",
    "{}",
    "300",
    "-1",
    "0.5",
    "45.9",
    "16777217",
    "16777219",
    "4294967297",
    "1e-50",
    "3.4028235677973366e38",
];

impl Draw {
    pub(super) fn number(&mut self) -> String {
        if self.odd() {
            return self.one(ODD).to_owned();
        }
        match self.below(10) {
            0 => format!("{:.3}", self.rng.random_range(-100.0..100.0)),
            1 => format!("{:e}", self.rng.random_range(-100.0..100.0)),
            2 => format!("{}", self.rng.random::<f32>()),
            3 => self.midpoint(),
            _ => self.rng.random_range(-20..100).to_string(),
        }
    }

    /// A number close to halfway between two `f32`, where rounding twice shows.
    fn midpoint(&mut self) -> String {
        let x: f32 = self.rng.random_range(1.0..100.0);
        let next = f32::from_bits(x.to_bits() + 1);
        let middle = (f64::from(x) + f64::from(next)) / 2.0;
        let tail = ["", "0", "00000000000000000001", "1"];
        format!("{middle:.30}{}", self.one(&tail))
    }

    pub(super) fn numbers(&mut self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.number()).collect()
    }

    fn list(&mut self, n: usize) -> String {
        let n = if self.odd() { self.below(12) } else { n };
        let comma = self.one(&[", ", ",", " ,\n"]);
        self.numbers(n).join(comma)
    }

    fn row(&mut self) -> String {
        let text = self.list(CELLS);
        if self.odd() {
            return format!("[[{text}]]");
        }
        format!("[{text}]")
    }

    /// A member's name as it might be spelled.
    pub(super) fn name(&mut self, name: &str) -> String {
        if !self.odd() {
            return name.to_owned();
        }
        let first = name.chars().next().unwrap_or('x');
        match self.below(7) {
            0 => name.to_uppercase(),
            1 => format!("\\u{:04x}{}", u32::from(first), &name[first.len_utf8()..]),
            2 => name.replacen('s', "\u{17f}", 1),
            3 => format!("{name}\\u0000"),
            4 => format!("{}{}", first.to_uppercase(), &name[first.len_utf8()..]),
            5 => format!("{name} "),
            _ => self.one(&["x0", "instances", "inputs", "data", "name", "shape", "y"]).to_owned(),
        }
    }

    pub(super) fn object_of(&mut self, value: impl Fn(&mut Self) -> String) -> String {
        let mut order: Vec<usize> = (0..CELLS).collect();
        if self.below(4) == 0 {
            order.shuffle(&mut self.rng);
        }
        if self.odd() {
            order.pop();
        }
        if self.odd() {
            order.push(self.below(CELLS));
        }
        let mut members = vec![];
        for i in order {
            let name = self.name(&format!("x{i}"));
            members.push(format!("\"{name}\": {}", value(self)));
            if self.odd() {
                let stranger = self.name("y");
                members.push(format!("\"{stranger}\": {}", self.stranger()));
            }
        }
        format!("{{{}}}", members.join(", "))
    }

    fn object(&mut self) -> String {
        self.object_of(Self::number)
    }

    pub(super) fn stranger(&mut self) -> String {
        match self.below(5) {
            0 => self.row(),
            1 => format!("\"{}\"", self.one(&["a", "\\ud83d\\ude00", "\\n", "\\ud800", "\u{e9}"])),
            2 => "{\"a\": [null, {}]}".to_owned(),
            3 => self.object_of(Self::number),
            _ => self.number(),
        }
    }

    fn rows(&mut self) -> String {
        let n = 1 + self.below(3);
        let objects = self.below(3) == 0;
        let mut rows = vec![];
        for _ in 0..n {
            let other = self.odd();
            rows.push(if objects != other { self.object() } else { self.row() });
        }
        format!("[{}]", rows.join(", "))
    }

    pub(super) fn around(&mut self, text: String) -> String {
        match self.odd() {
            true => match self.below(6) {
                0 => format!("\u{feff}{text}"),
                1 => format!("{text}{text}"),
                2 => format!("{text}\n{{}}"),
                3 => format!("{text} "),
                4 => format!("{text},"),
                _ => format!("/**/{text}"),
            },
            false => text,
        }
    }

    pub(super) fn json(&mut self) -> String {
        let text = match self.below(4) {
            0 => self.row(),
            1 => self.rows(),
            _ => self.object(),
        };
        self.around(text)
    }

    pub(super) fn v1(&mut self) -> String {
        let mut members = vec![];
        let columns = self.below(4) == 0;
        if columns {
            let n = 1 + self.below(3);
            let object = self.object_of(|draw| {
                let text = draw.list(n);
                format!("[{text}]")
            });
            let name = self.name("inputs");
            members.push(format!("\"{name}\": {object}"));
        } else {
            let name = if self.below(6) == 0 { "inputs" } else { "instances" };
            let name = self.name(name);
            let rows = if self.odd() { self.row() } else { self.rows() };
            members.push(format!("\"{name}\": {rows}"));
        }
        if self.odd() {
            let name = self.one(&["instances", "inputs", "signature_name", "data", "Instances"]);
            let name = self.name(name);
            let rows = if self.below(2) == 0 { self.rows() } else { self.stranger() };
            members.push(format!("\"{name}\": {rows}"));
        }
        if self.odd() {
            let event = r#""specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": "2026-11-28T00:00:00Z""#;
            let rows = self.rows();
            members.push(format!("{event}, \"data\": {{\"instances\": {rows}}}"));
        }
        members.shuffle(&mut self.rng);
        let text = format!("{{{}}}", members.join(", "));
        self.around(text)
    }
}
