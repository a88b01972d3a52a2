//! One table of the file: keys are taken out of it one by one, and what nobody took is a mistake.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::{Asked, Form, Kind, Reader, Text};
use crate::config::near::{nearest, or};
use crate::config::value::{Node, Origin, Table, Value};

/// A table being read.
pub(in crate::config) struct Section<'a> {
    pub reader: &'a Reader<'a>,
    pub path: String,
    /// Its header, if it is there.
    pub origin: Option<Origin>,
    table: Table,
    asked: Vec<&'static str>,
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

    /// An array of arrays of strings, none of them kept elsewhere.
    pub fn lists(&mut self, key: &'static str) -> Option<Vec<Vec<String>>> {
        let mut value = self.take(key, Kind::Lists)?;
        value.read_raw(false);
        let noun = value.noun();
        let text = |item: &Value| match &item.node {
            Node::Text(text) => Some(text.clone()),
            _ => None,
        };
        let list = |item: &Value| match &item.node {
            Node::List(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        let lists = match &value.node {
            Node::List(items) => items.iter().map(list).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        if lists.is_none() {
            let message = format!("an array of arrays of strings is wanted, and this is {noun}");
            let help = "write [[\"…\", \"…\"], [\"…\"]]";
            self.reader.note(self.path_of(key), Some(&value.origin), message, help);
        }
        lists
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
