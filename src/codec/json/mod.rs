//! Rows in a JSON document, read without building the document and written back into its text.
//!
//! Without pointers, an array is rows by position (`[…]`, `[[…], …]`, or one object per row) and an
//! object is a row by name: what is not there is missing, and what is no feature is skipped. A row by
//! position is an array of its own, whose nested arrays are an image's dimensions, or it is the
//! document. With
//! pointers (RFC 6901) the document is one row; each leads to a value or to nested arrays of them.
//! They are the features', one by one, if they are as many (ids need none); otherwise they fill the
//! cells in order.
//! Whatever else the document holds is kept to the byte.
//!
//! What it cannot do: see the shape of what one pointer leads to; read base64. A number or a truth value
//! in quotes is read as what it says ([`super::word`]).

mod edit;
mod kserve_v1;
mod members;
mod nest;
mod oip;
mod plan;
mod run;
mod walk;

use std::sync::Arc;

pub use self::kserve_v1::KserveV1;
pub use self::oip::OipJson;

use self::edit::edit;
use self::members::Members;
use self::run::{Form, Reader, Run, Sink};
use super::edits::Edits;
use super::{Codec, ContentHeaders, Fields, Layout};
use crate::record::{Fault, Unread};

/// `json`: `application/json`, and every `+json` type.
#[derive(Debug)]
pub struct Json {
    layout: Arc<Layout>,
    members: Members,
    pointers: bool,
}

impl Json {
    pub fn new(layout: Arc<Layout>, fields: Option<&Fields>) -> Self {
        let members = Members::new(layout.clone(), fields, None);
        Self { layout, members, pointers: fields.is_some() }
    }
}

impl Document for Json {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn find<'t>(&self, text: &'t str, sink: &mut Sink<'_, 't>) -> Result<usize, Fault> {
        if self.pointers || text.trim_ascii_start().starts_with('{') {
            return self.members.row(text, sink);
        }
        self.members.rows(text, text, Form::Document, sink)
    }
}

/// A format whose values are JSON documents: all it does is find the rows in them.
trait Document {
    fn layout(&self) -> &Layout;

    /// Gives `sink` every piece of `text` that holds features, and says how many rows there are;
    /// 0 if only the number of scalars tells. All of `text` must be JSON.
    fn find<'t>(&self, text: &'t str, sink: &mut Sink<'_, 't>) -> Result<usize, Fault>;
}

impl<D: Document + std::fmt::Debug + Send + Sync> Codec for D {
    fn decode(
        &self,
        value: &[u8],
        _: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        // serde_json does not look into strings it skips, but a value that is not UTF-8 is not
        // JSON, and writing it back would fail where reading it had not.
        let text = std::str::from_utf8(value)
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        let start = rows.len();
        let mut reader = Reader::new(self.layout(), text, rows);
        let found = self.find(text, &mut |run| reader.read(&run));
        let read = found.and_then(|n| reader.finish(n));
        if read.is_err() {
            rows.truncate(start);
        }
        Ok(read?)
    }

    /// Replaces the values that changed, each in its place, by the shortest decimal of the `f32` or
    /// by the category's word; a value that did not keeps its spelling.
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
        let text = std::str::from_utf8(original).expect("it was read");
        let mut edits = Edits::default();
        let mut note = |run: Run<'_>| {
            edit(self.layout(), text, &run, &before, rows, &mut edits);
            Ok(())
        };
        self.find(text, &mut note).expect("it was read");
        edits.apply(original, out);
    }
}

#[cfg(test)]
mod tests;
