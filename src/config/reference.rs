//! Every key with its words: `docs/configuration.md`, and what the schema says beside it.
//!
//! What a key takes is what the reader asks for: the example is read, and the reader takes note.
//! The words are the example's comments. So neither can be forgotten: a key that the example does
//! not show, or shows without a comment, is an error of ours that a test finds. Blind to a key that
//! is only asked for when another has a certain value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::near::or;
use super::reader::{Kind, Reader};
use super::{EXAMPLE, read_all};

/// A key, or a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// `stream.topics.state`; never an index.
    pub path: String,
    pub kind: Kind,
    pub required: bool,
    /// What the example says above it.
    pub doc: String,
    /// What the example gives it, in TOML; a table has nothing of its own.
    pub shown: Option<Shown>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    /// It is so unless it is given.
    Default(String),
    /// It has no value unless it is given, or must be given.
    Example(String),
}

/// The example with every key in it that stands in a comment.
pub(super) fn uncommented() -> String {
    let open = EXAMPLE.lines().map(|line| hidden(line).unwrap_or(line));
    open.collect::<Vec<_>>().join("\n")
}

/// The entry that stands in a comment, if the comment is one.
fn hidden(line: &str) -> Option<&str> {
    let open = line.strip_prefix("# ")?;
    let (key, _) = open.split_once(" = ")?;
    (!key.contains(' ')).then_some(open)
}

/// Every key that is read, in the order of reading, with its words.
pub(super) fn entries() -> Vec<Entry> {
    let file = uncommented();
    let fetch = |_: super::Secret<'_>| Ok("x".to_owned());
    let reader = Reader::new(&file, Path::new(""), &fetch);
    read_all(&reader, []);
    let demanded: Vec<String> =
        reader.demanded.into_inner().iter().map(|path| without_indices(path)).collect();
    let words = words();
    let mut entries: Vec<Entry> = vec![];
    for asked in reader.asked.into_inner() {
        let path = without_indices(&asked.path);
        if let Some(known) = entries.iter_mut().find(|entry| entry.path == path) {
            // A table that turns out to have no keys of its own.
            known.kind = asked.kind;
            continue;
        }
        let required = demanded.contains(&path);
        let (doc, shown) = words.get(&path).cloned().unwrap_or_default();
        let shown = match shown {
            Some(Shown::Default(literal)) if required => Some(Shown::Example(literal)),
            shown => shown,
        };
        entries.push(Entry { path, kind: asked.kind, required, doc, shown });
    }
    entries
}

/// What the example says about each path, and the value it gives.
fn words() -> BTreeMap<String, (String, Option<Shown>)> {
    let mut words = BTreeMap::new();
    let (mut table, mut doc) = (String::new(), vec![]);
    for line in EXAMPLE.lines() {
        let entry = |line: &str| {
            let (key, value) = line.split_once(" = ")?;
            let dot = if table.is_empty() { "" } else { "." };
            Some((format!("{table}{dot}{key}"), value.to_owned()))
        };
        // A key that stands in several tables has its words in the first.
        let mut remember = |path: String, doc: &[&str], shown| {
            if !doc.is_empty() || !words.contains_key(&path) {
                words.insert(path, (doc.join(" "), shown));
            }
        };
        if let Some((path, value)) = hidden(line).and_then(entry) {
            remember(path, &doc, Some(Shown::Example(value)));
            doc.clear();
        } else if let Some(comment) = line.strip_prefix('#') {
            doc.push(comment.trim());
        } else if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
            remember(table.clone(), &doc, None);
            doc.clear();
        } else if let Some((path, value)) = entry(line) {
            remember(path, &doc, Some(Shown::Default(value)));
            doc.clear();
        } else {
            doc.clear();
        }
    }
    words
}

/// `stream.name` of `stream[0].name`
fn without_indices(path: &str) -> String {
    let parts = path.split('[');
    parts.map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

/// The reference page, in Markdown.
pub fn reference() -> String {
    let mut page = "# Configuration\n\n\
        <!-- Written by `tripline config reference` from the code and config/tripline.toml. -->\n\n"
        .to_owned();
    let intro = EXAMPLE.lines().take_while(|line| line.starts_with('#') || line.is_empty());
    let intro = intro.filter(|line| !line.starts_with("#:"));
    let intro = intro.map(|line| line.trim_start_matches('#').trim());
    // The last block is about the first key.
    let blocks = intro.collect::<Vec<_>>().join("\n");
    let blocks: Vec<&str> = blocks.trim().split("\n\n").collect();
    for block in &blocks[..blocks.len().saturating_sub(1)] {
        let _ = writeln!(page, "{}\n", escaped(block));
    }
    let entries = entries();
    table(&mut page, &entries, "");
    for entry in &entries {
        match entry.kind {
            Kind::Section => {
                let _ = writeln!(page, "\n## `[{}]`\n\n{}\n", entry.path, escaped(&entry.doc));
            }
            Kind::Sections => {
                let _ = writeln!(page, "\n## `[[{}]]`\n\n{}\n", entry.path, escaped(&entry.doc));
            }
            Kind::Settings => {
                let _ = writeln!(page, "\n## `[{}]`\n\n{}\n", entry.path, escaped(&entry.doc));
                settings(&mut page);
                continue;
            }
            _ => continue,
        }
        table(&mut page, &entries, &entry.path);
    }
    page
}

/// The keys that stand directly in `table`.
fn table(page: &mut String, entries: &[Entry], table: &str) {
    page.push_str("| key | takes | unless given | what it is |\n| --- | --- | --- | --- |\n");
    for entry in entries {
        let (parent, key) = entry.path.rsplit_once('.').unwrap_or(("", &entry.path));
        if parent != table || is_table(&entry.kind) {
            continue;
        }
        let unless = match &entry.shown {
            _ if entry.required => "**required**".to_owned(),
            Some(Shown::Default(literal)) => format!("`{}`", generic(&entry.path, literal)),
            _ => "—".to_owned(),
        };
        let doc = entry.doc.trim_end_matches("Required.").trim();
        let (takes, doc) = (escaped(&takes(entry)), escaped(doc));
        let _ = writeln!(page, "| `{key}` | {takes} | {unless} | {doc} |");
    }
}

fn is_table(kind: &Kind) -> bool {
    matches!(kind, Kind::Section | Kind::Sections | Kind::Settings)
}

fn takes(entry: &Entry) -> String {
    let example = match &entry.shown {
        Some(Shown::Example(literal)) => format!(": `{literal}`"),
        _ => String::new(),
    };
    match &entry.kind {
        Kind::Text(_) => format!("string{example}"),
        Kind::Choice(names) => or(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        Kind::Integer(range) => format!("{} to {}", range.start(), range.end()),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Texts(_) => format!("array of strings{example}"),
        Kind::Lists => format!("array of arrays of strings{example}"),
        Kind::Numbers => format!("array of numbers{example}"),
        Kind::Share => "share: `0.01` or `\"1%\"`".to_owned(),
        Kind::Section | Kind::Sections | Kind::Settings => "table".to_owned(),
    }
}

/// What a default is in general, if it is made from the stream's name.
pub(super) fn generic<'l>(path: &str, literal: &'l str) -> Cow<'l, str> {
    match path.starts_with("stream.topics.") {
        true => Cow::Owned(literal.replacen("fashion", "<name>", 1)),
        false => Cow::Borrowed(literal),
    }
}

fn settings(page: &mut String) {
    page.push_str("These are refused:\n\n| setting | why |\n| --- | --- |\n");
    for (names, why) in super::kafka::OURS {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| {} | {why} |", names.join(", "));
    }
}

/// For a page: `<` would begin a tag, `|` another column.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_words_and_they_say_its_limits() {
        for Entry { path, kind, required, doc, .. } in entries() {
            assert!(!doc.is_empty(), "{path}: config/tripline.toml has no words for it");
            assert_eq!(required && !is_table(&kind), doc.ends_with("Required."), "{path}: {doc}");
            match kind {
                Kind::Integer(range) => {
                    let limits = format!("{} to {}", range.start(), range.end());
                    assert!(doc.contains(&limits), "{path}: {doc:?} does not say {limits}");
                }
                Kind::Choice(names) => {
                    for name in names {
                        assert!(doc.contains(&format!("{name:?}")), "{path}: {doc:?} lacks {name}");
                    }
                }
                _ => {}
            }
        }
    }

    /// `UPDATE=1 cargo test --lib config` writes them anew.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the developer's own switch")]
    fn the_committed_page_and_schema_are_what_the_code_says() {
        for (name, now) in [
            ("docs/configuration.md", reference()),
            ("config/tripline.schema.json", super::super::schema()),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &now).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == now, "{name} is old: UPDATE=1 cargo test --lib config");
        }
    }
}
