//! The objects of a JSON text one by one, whether each has a line of its own, spans several, or is an element of
//! one array.
//!
//! Memory holds one object. It cannot read a text that is no JSON; that is told with the number of the row.

use std::io::{self, BufRead};

use serde::de::IgnoredAny;
use serde_json::error::Category;

/// The texts of objects.
pub struct Texts<R> {
    reader: R,
    /// Whether the file began with `[`.
    array: bool,
    begun: bool,
    /// Whether each object has a line of its own, as the first one tells.
    lines: Option<bool>,
}

impl<R: BufRead> Texts<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, array: false, begun: false, lines: None }
    }

    /// Puts the next object into `text`, or what stands in its place; false at the end.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next(&mut self, text: &mut Vec<u8>) -> io::Result<bool> {
        if !self.begun {
            self.begun = true;
            self.skip(b"")?;
            self.array = self.reader.fill_buf()?.first() == Some(&b'[');
            self.reader.consume(usize::from(self.array));
        }
        text.clear();
        self.skip(if self.array { b"," } else { b"" })?;
        if self.array && self.reader.fill_buf()?.first() == Some(&b']') {
            self.reader.consume(1);
            self.skip(b"")?;
        }
        if !self.array {
            self.reader.read_until(b'\n', text)?;
            let is_whole = || {
                let object = serde_json::from_slice::<IgnoredAny>(text);
                !object.is_err_and(|error| error.classify() == Category::Eof)
            };
            if text.is_empty() || *self.lines.get_or_insert_with(is_whole) {
                return Ok(!text.is_empty());
            }
        }
        self.balance(text)?;
        Ok(!text.is_empty())
    }

    /// Appends to `text` until its brackets are closed.
    fn balance(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let mut open = Brackets::default();
        text.iter().for_each(|&byte| open.see(byte));
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let mut used = 0;
            for &byte in bytes {
                // Of an array's element that is no object, its end.
                if open.depth == 0 && !open.quoted && matches!(byte, b',' | b']' | b'\n') {
                    break;
                }
                used += 1;
                open.see(byte);
                if open.depth == 0 && byte == b'}' {
                    break;
                }
            }
            text.extend_from_slice(&bytes[..used]);
            let is_whole = used < bytes.len() || open.depth == 0 && text.last() == Some(&b'}');
            self.reader.consume(used);
            if is_whole {
                return Ok(());
            }
        }
    }

    fn skip(&mut self, also: &[u8]) -> io::Result<()> {
        loop {
            let bytes = self.reader.fill_buf()?;
            let blank = |byte: &u8| byte.is_ascii_whitespace() || also.contains(byte);
            let n = bytes.iter().take_while(|byte| blank(byte)).count();
            let more = n == bytes.len() && n > 0;
            self.reader.consume(n);
            if !more {
                return Ok(());
            }
        }
    }
}

/// How deep a text stands in brackets.
#[derive(Default)]
struct Brackets {
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Brackets {
    fn see(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            b'{' | b'[' if !self.quoted => self.depth += 1,
            b'}' | b']' if !self.quoted => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str, buffer: usize) -> Vec<String> {
        let mut texts = Texts::new(BufReader::with_capacity(buffer, text.as_bytes()));
        let (mut all, mut one) = (vec![], vec![]);
        while texts.next(&mut one).unwrap() {
            all.push(String::from_utf8(one.clone()).unwrap());
        }
        all
    }

    proptest! {
        #[test]
        fn the_objects_are_the_same_however_they_are_laid_out(
            words in prop::collection::vec("[a-z{}\\[\\]\", \\\\\n]{0,6}", 1..6),
            buffer in 1..40_usize,
        ) {
            let objects: Vec<Value> =
                words.iter().map(|word| json!({"a": word, "b": {"c": [word, 1.5]}})).collect();
            let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
            let pretty: Vec<String> =
                objects.iter().map(|one| serde_json::to_string_pretty(one).unwrap()).collect();
            for text in [
                lines.join("\n"),
                lines.join("\r\n\r\n") + "\n",
                pretty.join("\n"),
                format!(" [{}]\n", lines.join(",")),
                serde_json::to_string_pretty(&objects).unwrap(),
            ] {
                let again: Vec<Value> =
                    read(&text, buffer).iter().map(|one| serde_json::from_str(one).unwrap()).collect();
                prop_assert_eq!(&again, &objects, "{}", text);
            }
        }

        #[test]
        fn every_text_ends(text in "[a{}\\[\\]\",: \n]{0,30}", buffer in 1..9_usize) {
            prop_assert!(read(&text, buffer).len() <= text.len() + 1);
        }
    }
}
