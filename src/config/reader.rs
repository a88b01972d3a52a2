//! Takes keys out of a table one by one and notes whatever is wrong, instead of stopping at it.
//!
//! A wrong value becomes the default, so that reading goes on; the noted problem sees to it that
//! nobody runs with that. What nobody took in the end is an unknown key.

mod section;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

pub(super) use self::section::Section;
use super::problem::{Excerpt, Place, Problem, is_secret};
use super::value::{Node, Origin, Table, Value};

/// Where a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Secret<'a> {
    /// `{ env = "NAME" }`
    Env(&'a str),
    /// `{ file = "path" }`, the folder of the configuration already before it. Line ends at its
    /// end are not part of the secret.
    File(&'a Path),
}

/// Fetches a secret, or says why it cannot.
pub type Resolve<'a> = &'a dyn Fn(Secret<'_>) -> Result<String, String>;

/// What all sections share.
pub(super) struct Reader<'a> {
    pub source: &'a str,
    pub folder: &'a Path,
    pub resolve: Resolve<'a>,
    pub problems: RefCell<Vec<Problem>>,
    /// Every key that was asked for, in this order: what the reference page and the schema list.
    pub asked: RefCell<Vec<Asked>>,
    /// Paths that cannot be left out.
    pub demanded: RefCell<Vec<String>>,
    /// The tables whose secrets are wanted, by their first name; all unless given.
    pub wanted: Option<&'a [&'a str]>,
    /// The others that refer to a secret which cannot be fetched.
    pub unfetched: RefCell<BTreeSet<String>>,
}

/// `route` of `route[0].url`.
pub(super) fn table_of(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// A key that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub path: String,
    pub kind: Kind,
}

/// What a key takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A string, and what can be said of it beforehand as a regular expression (ECMA-262).
    Text(Option<&'static str>),
    Choice(Vec<String>),
    Integer(RangeInclusive<u64>),
    /// `true` or `false`.
    Flag,
    /// An array of strings, each as the expression says.
    Texts(Option<&'static str>),
    /// An array of arrays of strings.
    Lists,
    /// An array of numbers.
    Numbers,
    /// A number between 0 and 1, or a string such as `"1%"`.
    Share,
    Section,
    /// An array of tables, at least one.
    Sections,
    /// A table without keys of its own.
    Settings,
}

/// How a string is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'a> {
    /// What to write, for a message.
    pub help: &'a str,
    /// As in [`Kind::Text`]: it may let pass what the reader then refuses, never the reverse.
    pub pattern: Option<&'static str>,
}

impl<'a> From<&'a str> for Form<'a> {
    fn from(help: &'a str) -> Self {
        Self { help, pattern: None }
    }
}

/// A string, and whether it may be repeated in a message.
pub(super) struct Text {
    pub value: String,
    pub secret: bool,
    pub origin: Origin,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a str, folder: &'a Path, resolve: Resolve<'a>) -> Self {
        Self {
            source,
            folder,
            resolve,
            problems: RefCell::default(),
            asked: RefCell::default(),
            demanded: RefCell::default(),
            wanted: None,
            unfetched: RefCell::default(),
        }
    }

    pub fn note(
        &self,
        path: impl Into<String>,
        origin: Option<&Origin>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let path = path.into();
        let place = match origin {
            Some(Origin::File(span)) => {
                let secret = is_secret(&path)
                    || path.starts_with("kafka.properties")
                    || path.ends_with(".headers")
                    || path.contains(".headers[");
                let excerpt = if secret { Excerpt::Secret } else { Excerpt::Open };
                Place::of_span(self.source, span, excerpt)
            }
            Some(Origin::Variable(name)) => Place::Variable(name.clone()),
            None => Place::Nowhere,
        };
        let (message, help) = (message.into(), help.into());
        self.problems.borrow_mut().push(Problem { path, place, message, help });
    }

    /// Notes what the parser could not read.
    pub fn note_not_toml(&self, span: Option<Range<usize>>, message: &str) {
        let place = span
            .map_or(Place::Nowhere, |span| Place::of_span(self.source, &span, Excerpt::NotToml));
        let help = "this is not TOML; the rest is checked once it is".to_owned();
        let (path, message) = (String::new(), message.to_owned());
        self.problems.borrow_mut().push(Problem { path, place, message, help });
    }

    /// The string in `value`, fetched if it is kept elsewhere.
    pub fn text(&self, path: &str, mut value: Value) -> Option<Text> {
        value.read_raw(true);
        let noun = value.noun();
        let (found, secret) = match value.node {
            Node::Text(text) => (Ok(text), false),
            Node::Table(table) => match reference(&table) {
                Some(("env", name)) => ((self.resolve)(Secret::Env(name)), true),
                Some((_, file)) => ((self.resolve)(Secret::File(&self.folder.join(file))), true),
                None => {
                    let help = "write a string, { env = \"NAME\" } or { file = \"path\" }";
                    self.note(path, Some(&value.origin), "this table is not a string", help);
                    return None;
                }
            },
            _ => {
                let message = format!("a string is wanted, and this is {noun}");
                self.note(path, Some(&value.origin), message, "write one string, in quotes");
                return None;
            }
        };
        match found {
            Ok(mut text) => {
                if secret {
                    text.truncate(text.trim_end_matches(['\r', '\n']).len());
                }
                Some(Text { value: text, secret, origin: value.origin })
            }
            Err(_) if self.wanted.is_some_and(|wanted| !wanted.contains(&table_of(path))) => {
                self.unfetched.borrow_mut().insert(table_of(path).to_owned());
                None
            }
            Err(why) => {
                let help = "set the variable, or make the file readable";
                self.note(path, Some(&value.origin), format!("cannot be fetched: {why}"), help);
                None
            }
        }
    }
}

/// What `{ env = "X" }` or `{ file = "path" }` refers to.
pub(super) fn reference(table: &Table) -> Option<(&str, &str)> {
    let mut entries = table.iter();
    let (key, (_, value)) = entries.next()?;
    match &value.node {
        Node::Text(to) if entries.next().is_none() && (key == "env" || key == "file") => {
            Some((key, to))
        }
        _ => None,
    }
}
