//! A JSON value with some of its fields changed or gone, every other byte as it was.
//!
//! The value is checked to be JSON first; what follows splits it by brackets, commas and quotes, and recurses no
//! deeper than a path is long. Whatever does not stand where the plan looks for it could hide a field, as a
//! document in a string does: then nothing leaves. What it cannot see is a field under another name.

use serde::de::IgnoredAny;

use super::plan::{Node, Plan};
use crate::open::fold;
use crate::sanitize::field::{Leaf, Unfit};

/// The member of a structured CloudEvent that paths lead into, and the one that stands for it and hides all.
const PAYLOAD: &str = "data";
const BINARY: &str = "data_base64";

impl Plan {
    /// Appends `value` with every wish granted.
    ///
    /// # Errors
    /// If one of them cannot be; `out` is then as it was. Never panics, whatever the bytes.
    pub fn rewrite(&self, value: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let text = std::str::from_utf8(value).map_err(|_| Unfit::Format)?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| Unfit::Format)?;
        let kept = out.len();
        let mut rewrite = Rewrite { text, at: 0, copied: 0, out };
        rewrite.blanks();
        let done = rewrite.value(&self.root, !self.keeps_only, true);
        match done {
            Ok(()) => rewrite.copy_to(text.len()),
            Err(_) => out.truncate(kept),
        }
        done
    }
}

/// A walk over a valid document.
struct Rewrite<'t, 'o> {
    text: &'t str,
    /// What is looked at.
    at: usize,
    /// All before it was written or left out.
    copied: usize,
    out: &'o mut Vec<u8>,
}

impl Rewrite<'_, '_> {
    /// Passes over the value that begins here, which stands at `node`. `kept`: what no path names stays.
    fn value(&mut self, node: &Node, kept: bool, is_root: bool) -> Result<(), Unfit> {
        if let Some(step) = &node.step {
            let start = self.at;
            self.skip();
            let text = self.text;
            let token = &text[start..self.at];
            let leaf = match token.as_bytes()[0] {
                b'{' | b'[' => Leaf::Nested,
                b'n' => return Ok(()),
                b'"' => {
                    let unescaped = unescaped(token)?;
                    self.cut(start, self.at);
                    return step.apply(&Leaf::Text(&unescaped), self.out);
                }
                _ => Leaf::Bare(token),
            };
            self.cut(start, self.at);
            return step.apply(&leaf, self.out);
        }
        let kept = kept || node.keeps;
        if node.is_leaf() && kept {
            self.skip();
            return Ok(());
        }
        match self.here() {
            b'{' => self.object(node, kept, is_root),
            b'[' if node.has_elements() || !kept && !is_root => self.array(node, kept),
            // A document in a string, or rows where one object is looked for: what a path means may be in it.
            _ if is_root && !kept => Err(Unfit::Hidden),
            b'[' | b'"' if kept => Err(Unfit::Hidden),
            _ => {
                let start = self.at;
                self.skip();
                if !kept {
                    self.null(start);
                }
                Ok(())
            }
        }
    }

    fn object(&mut self, node: &Node, kept: bool, is_root: bool) -> Result<(), Unfit> {
        self.at += 1;
        // Where what stays ends, and where what goes before it begins.
        let (mut end, mut gone) = (None, None);
        loop {
            self.blanks();
            match self.here() {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let start = self.at;
                    self.skip();
                    let text = self.text;
                    let key = unescaped(&text[start..self.at])?;
                    self.blanks();
                    self.at += 1;
                    self.blanks();
                    let child = node.member(&key, !kept);
                    let leads_into = || is_root && kept && node.member(PAYLOAD, false).is_some();
                    if child.is_none() && fold::is_same(BINARY, &key) && leads_into() {
                        return Err(Unfit::Hidden);
                    }
                    let stays = child.map_or(kept, |child| !child.drops);
                    if !stays {
                        self.skip();
                        match end {
                            Some(from) => {
                                self.cut(from, self.at);
                                end = Some(self.at);
                            }
                            None => drop(gone.get_or_insert(start)),
                        }
                        continue;
                    }
                    if let (None, Some(from)) = (end, gone) {
                        self.cut(from, start);
                    }
                    match child {
                        Some(child) => self.value(child, kept, false)?,
                        None => self.skip(),
                    }
                    end = Some(self.at);
                }
            }
        }
        if let (None, Some(from)) = (end, gone) {
            self.cut(from, self.at);
        }
        self.at += 1;
        Ok(())
    }

    /// Elements keep their places: one that goes becomes null.
    fn array(&mut self, node: &Node, kept: bool) -> Result<(), Unfit> {
        self.at += 1;
        let mut index = 0;
        loop {
            self.blanks();
            match self.here() {
                b']' => break,
                b',' => self.at += 1,
                _ => {
                    let start = self.at;
                    match node.element(index) {
                        Some(child) if !child.drops => self.value(child, kept, false)?,
                        None if kept => self.skip(),
                        _ => {
                            self.skip();
                            self.null(start);
                        }
                    }
                    index += 1;
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The byte that is looked at. A valid document does not end before its last bracket.
    fn here(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(b'}')
    }

    fn blanks(&mut self) {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.text.as_bytes()[self.at..].iter().take_while(|byte| blank(byte)).count();
    }

    /// Passes over the value that begins here.
    fn skip(&mut self) {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.string();
                    if depth == 0 {
                        return;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return;
                    }
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Passes over the string that begins here.
    fn string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(&byte) = bytes.get(self.at) {
            self.at += match byte {
                b'\\' => 2,
                b'"' => {
                    self.at += 1;
                    return;
                }
                _ => 1,
            };
        }
    }

    /// Null stands for what began at `start` and ends here.
    fn null(&mut self, start: usize) {
        self.cut(start, self.at);
        self.out.extend_from_slice(b"null");
    }

    /// Leaves `text[from..to]` out.
    fn cut(&mut self, from: usize, to: usize) {
        self.copy_to(from);
        self.copied = to;
    }

    fn copy_to(&mut self, to: usize) {
        self.out.extend_from_slice(&self.text.as_bytes()[self.copied..to]);
        self.copied = to;
    }
}

/// The string that `token` writes; one with half a surrogate pair is none.
fn unescaped(token: &str) -> Result<std::borrow::Cow<'_, str>, Unfit> {
    let inner = token.get(1..token.len().saturating_sub(1)).ok_or(Unfit::Format)?;
    if !inner.contains('\\') {
        return Ok(inner.into());
    }
    serde_json::from_str::<String>(token).map(Into::into).map_err(|_| Unfit::Format)
}

#[cfg(test)]
mod tests;
