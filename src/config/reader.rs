//! Takes keys out of a table one by one and notes whatever is wrong, instead of stopping at it.
//!
//! A wrong value becomes the default, so that reading goes on; the noted problem sees to it that
//! nobody runs with that. What nobody took in the end is an unknown key.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::near::{nearest, or};
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

/// A table being read.
pub(super) struct Section<'a> {
    pub reader: &'a Reader<'a>,
    pub path: String,
    /// Its header, if it is there.
    pub origin: Option<Origin>,
    table: Table,
    asked: Vec<&'static str>,
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

impl<'a> Section<'a> {
    pub fn new(reader: &'a Reader<'a>, path: String, origin: Option<Origin>, table: Table) -> Self {
        Self { reader, path, origin, table, asked: vec![] }
    }

    pub fn path_of(&self, key: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{key}", self.path)
    }

    /// Where the value of a key stands.
    pub fn origin_of(&self, key: &str) -> Option<Origin> {
        self.table.get(key).map(|(_, value)| value.origin.clone())
    }

    /// Where a key itself stands: what a problem with a secret may show.
    pub fn key_origin_of(&self, key: &str) -> Option<Origin> {
        self.table.get(key).map(|(origin, _)| origin.clone())
    }

    /// Takes a key out, and says for the reference what it is; nobody else may want it.
    pub fn take(&mut self, key: &'static str, kind: Kind) -> Option<Value> {
        self.asked.push(key);
        self.reader.asked.borrow_mut().push(Asked { path: self.path_of(key), kind });
        self.table.remove(key).map(|(_, value)| value)
    }

    /// Notes a key that cannot be left out, if it was.
    pub fn demand(&self, key: &str, example: &str) {
        self.reader.demanded.borrow_mut().push(self.path_of(key));
        if !self.table.contains_key(key) {
            let help = format!("write `{key} = {example}`");
            self.reader.note(self.path_of(key), self.origin.as_ref(), "is missing", help);
        }
    }

    pub fn text(&mut self, key: &'static str, kind: Kind) -> Option<Text> {
        let path = self.path_of(key);
        let value = self.take(key, kind)?;
        self.reader.text(&path, value)
    }

    /// A string that `read` makes something of.
    pub fn read<'f, T, E: Display>(
        &mut self,
        key: &'static str,
        form: impl Into<Form<'f>>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let form = form.into();
        let text = self.text(key, Kind::Text(form.pattern))?;
        self.understood(key, &text, form.help, read)
    }

    /// What `read` makes of a string that stands at `key`. Whatever is kept elsewhere may be a
    /// secret: no message repeats it.
    pub fn understood<T, E: Display>(
        &self,
        key: &str,
        text: &Text,
        help: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let note = |message: String| {
            self.reader.note(self.path_of(key), Some(&text.origin), message, help);
        };
        match read(&text.value) {
            Ok(value) => return Some(value),
            Err(_) if text.secret => note("what it refers to cannot be used here".into()),
            Err(why) => note(why.to_string()),
        }
        None
    }

    /// A file's path, relative to the configuration's folder.
    pub fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let folder = self.reader.folder;
        let form = Form { help: "write the path of a file or folder", pattern: Some(".") };
        self.read(key, form, |path| match path {
            "" => Err("the path is empty"),
            path if path.contains('\0') => Err("no path has a NUL in it"),
            path => Ok(folder.join(path)),
        })
    }

    /// An array of strings, each as `pattern` says; together they are secret if one is.
    pub fn texts(
        &mut self,
        key: &'static str,
        pattern: Option<&'static str>,
    ) -> Option<(Vec<String>, Text)> {
        let path = self.path_of(key);
        let mut value = self.take(key, Kind::Texts(pattern))?;
        value.read_raw(false);
        let noun = value.noun();
        let Node::List(items) = value.node else {
            let message = format!("an array of strings is wanted, and this is {noun}");
            self.reader.note(path, Some(&value.origin), message, "write [\"…\", \"…\"]");
            return None;
        };
        let text = |(i, item)| self.reader.text(&format!("{path}[{i}]"), item);
        let texts: Vec<_> = items.into_iter().enumerate().map(text).collect();
        let texts: Vec<Text> = texts.into_iter().collect::<Option<_>>()?;
        let secret = texts.iter().any(|text| text.secret);
        let whole = Text { value: String::new(), secret, origin: value.origin };
        Some((texts.into_iter().map(|text| text.value).collect(), whole))
    }

    /// An array of numbers.
    pub fn numbers(&mut self, key: &'static str) -> Option<Vec<f64>> {
        let mut value = self.take(key, Kind::Numbers)?;
        value.read_raw(false);
        let noun = value.noun();
        let number = |item: &Value| match item.node {
            Node::Integer(number) => Some(number as f64),
            Node::Float(number) => Some(number),
            _ => None,
        };
        let numbers = match &value.node {
            Node::List(items) => items.iter().map(number).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        if numbers.is_none() {
            let message = format!("an array of numbers is wanted, and this is {noun}");
            self.reader.note(self.path_of(key), Some(&value.origin), message, "write [1, 2.5]");
        }
        numbers
    }

    /// One of a few names.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let help = format!("write {}", or(&names));
        let find = |written: &str| {
            let found = choices.iter().find(|(name, _)| *name == written);
            let near = nearest(written, names.iter().copied());
            let near = near.map_or(String::new(), |name| format!("; did you mean {name:?}?"));
            found.map(|choice| choice.1).ok_or_else(|| format!("{written:?} is no choice{near}"))
        };
        let kind = Kind::Choice(names.iter().map(|&name| name.to_owned()).collect());
        let text = self.text(key, kind);
        text.and_then(|text| self.understood(key, &text, &help, find)).unwrap_or(default)
    }

    /// A whole number.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(mut value) = self.take(key, Kind::Integer(range.clone())) else {
            return default;
        };
        value.read_raw(false);
        let message = match value.node {
            Node::Integer(i) => match u64::try_from(i) {
                Ok(i) if range.contains(&i) => return i,
                _ => format!("{i} is outside {}..={}", range.start(), range.end()),
            },
            _ => format!("a whole number is wanted, and this is {}", value.noun()),
        };
        let help = format!("write a whole number from {} to {}", range.start(), range.end());
        self.reader.note(self.path_of(key), Some(&value.origin), message, help);
        default
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(mut value) = self.take(key, Kind::Flag) else { return default };
        value.read_raw(false);
        if let Node::Bool(flag) = value.node {
            return flag;
        }
        let message = format!("true or false is wanted, and this is {}", value.noun());
        let help = "write true or false, without quotes";
        self.reader.note(self.path_of(key), Some(&value.origin), message, help);
        default
    }

    /// A whole number of milliseconds.
    pub fn millis(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Duration {
        Duration::from_millis(self.integer(key, range, default))
    }

    /// A table within this one; empty if it is not there.
    pub fn section(&mut self, key: &'static str) -> Section<'a> {
        let path = self.path_of(key);
        let (origin, table) = match self.take(key, Kind::Section) {
            Some(value) => (Some(value.origin.clone()), self.table_of(&path, value)),
            None => (self.origin.clone(), Table::new()),
        };
        Section::new(self.reader, path, origin, table)
    }

    /// An array of tables within this one, at least one.
    pub fn require_sections(&mut self, key: &'static str, help: &str) -> Vec<Section<'a>> {
        self.reader.demanded.borrow_mut().push(self.path_of(key));
        if !self.table.contains_key(key) {
            self.reader.note(self.path_of(key), None, "is missing", help);
        }
        self.sections(key, help)
    }

    /// An array of tables within this one; if it is there, at least one.
    pub fn sections(&mut self, key: &'static str, help: &str) -> Vec<Section<'a>> {
        let path = self.path_of(key);
        let items = match self.take(key, Kind::Sections) {
            None => return vec![],
            Some(Value { node: Node::List(items), .. }) if !items.is_empty() => items,
            Some(Value { node: Node::Table(_), origin }) => {
                let help = format!("write [[{key}]], in double brackets");
                self.reader.note(path, Some(&origin), "there can be several of this", help);
                return vec![];
            }
            Some(other) => {
                self.reader.note(path, Some(&other.origin), "is missing", help);
                return vec![];
            }
        };
        let section = |(i, item): (usize, Value)| {
            let path = format!("{path}[{i}]");
            let origin = item.origin.clone();
            let table = self.table_of(&path, item);
            Section::new(self.reader, path, Some(origin), table)
        };
        items.into_iter().enumerate().map(section).collect()
    }

    fn table_of(&self, path: &str, mut value: Value) -> Table {
        value.read_raw(false);
        let noun = value.noun();
        let Node::Table(table) = value.node else {
            let message = format!("a table is wanted, and this is {noun}");
            self.reader.note(path, Some(&value.origin), message, format!("write [{path}]"));
            return Table::new();
        };
        table
    }

    /// Everything that was not taken, for the one section that has no keys of its own.
    pub fn rest(&mut self) -> Table {
        let asked = Asked { path: self.path.clone(), kind: Kind::Settings };
        self.reader.asked.borrow_mut().push(asked);
        std::mem::take(&mut self.table)
    }

    /// Notes what nobody took.
    pub fn end(self) {
        for (key, (origin, _)) in &self.table {
            let help = match nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", self.asked.join(", ")),
            };
            self.reader.note(self.path_of(key), Some(origin), "unknown key", help);
        }
    }
}
