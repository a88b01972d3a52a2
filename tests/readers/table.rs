//! The table: trick by trick, what the readers read and what we do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::ours;
use super::reader::{Readers, Reading, words};
use super::record::{Record, shown};
use super::tricks::Trick;

/// How the programs call the readers, what the table calls them, and the dialects that they speak.
const READERS: [(&str, &str, &[&str]); 7] = [
    ("json", "Python `json`", JSON),
    ("orjson", "orjson", JSON),
    ("go", "Go", JSON),
    ("kserve", "KServe", &["kserve-v1", "oip-json", "oip-protobuf", "cloudevents", "auto"]),
    ("triton", "Triton client", JSON_AND_PROTOBUF),
    ("jackson", "Jackson", JSON),
    ("protobuf-java", "protobuf-java", &["oip-protobuf"]),
];
const JSON: &[&str] = &["json", "kserve-v1", "oip-json", "cloudevents", "auto"];
const JSON_AND_PROTOBUF: &[&str] =
    &["json", "kserve-v1", "oip-json", "oip-protobuf", "cloudevents", "auto"];

/// Tricks that every reader is shown at least.
const TRICKS_MIN: usize = 60;

struct Line {
    trick: Trick,
    /// Of each record: by reader, every word that its views come to.
    read: [BTreeMap<String, Vec<&'static str>>; 2],
    /// Whether a reader takes other rows than we score.
    unlike: [bool; 2],
    verdicts: [String; 2],
}

pub struct Table(Vec<Line>);

impl Table {
    /// Shows every trick to the readers and to us.
    pub fn of(tricks: Vec<Trick>, readers: &mut Readers) -> Self {
        let mut groups: BTreeMap<(&str, &str), Vec<&Record>> = BTreeMap::new();
        for trick in &tricks {
            let group = groups.entry((trick.codec, trick.settings)).or_default();
            group.extend(&trick.records);
        }
        let mut seen = BTreeMap::new();
        for (&(codec, settings), records) in &groups {
            let own: Vec<Record> = records.iter().map(|&record| record.clone()).collect();
            let decoder = ours::Decoder::new(codec, settings);
            let read = readers.read(codec, &own).into_iter().zip(&own).map(|(readings, record)| {
                let ours = decoder.rows(record);
                let readings: Vec<Reading> =
                    readings.into_iter().filter(|one| one.counts_under(settings)).collect();
                let words = words(&readings, ours.as_ref());
                let words = words.into_iter().map(|(name, all)| (name.to_owned(), all)).collect();
                let rows = readings.iter().filter_map(|reading| reading.rows.as_ref());
                let unlike = rows.filter(|rows| rows.fit()).any(|rows| ours.as_ref() != Some(rows));
                (words, unlike)
            });
            let verdicts = ours::verdicts(codec, settings, records);
            let both: Vec<_> = read.zip(verdicts).collect();
            seen.insert((codec, settings), both.into_iter());
        }
        let lines = tricks.into_iter().map(|trick| {
            let group = seen.get_mut(&(trick.codec, trick.settings)).expect("a group");
            let ((first, odd), a) = group.next().expect("a record");
            let ((second, even), b) = group.next().expect("a record");
            Line { trick, read: [first, second], unlike: [odd, even], verdicts: [a, b] }
        });
        Self(lines.collect())
    }

    /// # Panics
    /// If we pass what a reader reads as the attack, or what it reads as another row than we do.
    pub fn check(&self) {
        let mut wrong = String::new();
        for line in &self.0 {
            for i in 0..2 {
                let passed = line.verdicts[i].starts_with("pass");
                let reads = |word| line.read[i].values().any(|all| all.contains(&word));
                let other = line.unlike[i] && line.trick.why.is_none();
                if passed && (reads("attack") || other) {
                    let record = &line.trick.records[i];
                    let _ = writeln!(
                        wrong,
                        "{} | {} | {} | {:?} | {:?} | {:.400}",
                        line.trick.codec,
                        line.trick.name,
                        line.verdicts[i],
                        line.read[i],
                        record.headers,
                        shown(&record.value)
                    );
                }
            }
        }
        assert!(wrong.is_empty(), "we pass what a reader reads otherwise:\n{wrong}");
        self.check_controls();
    }

    /// A reader that is blind, or a guard that holds back everything, would prove nothing.
    fn check_controls(&self) {
        for line in self.controls() {
            let passed = line.verdicts.each_ref().map(|text| text.starts_with("pass"));
            assert_eq!(passed, [true, false], "{}: {:?}", line.trick.name, line.verdicts);
        }
        for (reader, codecs) in READERS.map(|(reader, _, codecs)| (reader, codecs)) {
            for codec in codecs {
                let reads = |line: &Line| {
                    let is = |i: usize, word| {
                        line.read[i].get(reader).is_some_and(|all| all.contains(&word))
                    };
                    is(0, "clean") && is(1, "attack")
                };
                let mut controls = self.controls().filter(|line| line.trick.codec == *codec);
                assert!(controls.any(reads), "{reader} reads nothing of {codec}");
            }
            let shown = self.0.iter().filter(|line| codecs.contains(&line.trick.codec)).count();
            assert!(shown >= TRICKS_MIN, "{reader} is shown {shown} tricks");
        }
    }

    fn controls(&self) -> impl Iterator<Item = &Line> {
        self.0.iter().filter(|line| line.trick.name.starts_with("control"))
    }
}

/// What stands above the table.
const PREFACE: &str = "\
# Tricks, readers and what we do

Written by `cargo test --test readers`, which fails when it changes; `UPDATE=1 cargo test --test readers` writes it anew.
Readers are real programs: `tests/readers/read.py`, `read.go`, `Read.java`. Each is used in several ways (a struct, a map, a
stream; the first tensor, tensors by name, in order), and a cell has every answer that one of them gives.

Every trick is sent twice: `a / b` stands for the clean row in the first place of the trick and the attack in the second, then
the other way round; where there is one place only, for a clean row, then an attack.

| word | the reader |
|---|---|
| `clean`, `attack` | takes the clean row; takes the attack among its rows |
| `same` | takes another row, the one that we score |
| `other` | takes another row than we score |
| `misfit` | takes numbers that are no row of the model: nine of one column, one of the first of nine tensors |
| `refuses` | takes nothing |
| (empty) | does not speak the dialect |

No line has `attack` or `other` where we say `pass`, unless `why` gives a reason.
";

impl Table {
    /// # Panics
    /// If `table.md` is not this table. With `UPDATE=1` it becomes it.
    pub fn check_snapshot(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/table.md");
        let text = self.text();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).expect("table.md can be written");
        }
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let other = |(now, then): &(&str, &str)| now != then;
        let lines = text.lines().zip(before.lines().chain(std::iter::repeat("")));
        let changed: Vec<_> = lines.filter(other).take(20).collect();
        assert!(text == before, "tests/readers/table.md says otherwise (now, then): {changed:#?}");
    }

    fn text(&self) -> String {
        let mut text = PREFACE.to_owned();
        let mut codec = "";
        for line in &self.0 {
            if line.trick.codec != codec {
                codec = line.trick.codec;
                let names: Vec<_> = READERS.iter().map(|(_, name, _)| *name).collect();
                let rule = "---|".repeat(READERS.len() + 3);
                let _ = write!(
                    text,
                    "\n## `{codec}`\n\n| trick | {} | we | why |\n|{rule}\n",
                    names.join(" | ")
                );
            }
            let on = line.trick.settings.replace('\n', ", ");
            let on = if on.is_empty() { on } else { format!(" (`{on}`)") };
            let _ = write!(text, "| {}{on} ", line.trick.name.replace('|', "\\|"));
            for (reader, _, _) in READERS {
                let read = [0, 1].map(|i| line.read[i].get(reader).map(|all| all.join("+")));
                let _ = write!(text, "| {} ", pair(read.map(Option::unwrap_or_default)));
            }
            let why = line.trick.why.unwrap_or_default();
            let _ = writeln!(text, "| {} | {why} |", pair(line.verdicts.clone()));
        }
        text
    }
}

fn pair([a, b]: [String; 2]) -> String {
    if a == b { a } else { format!("{a} / {b}") }
}
