//! Words: a type name stands in one module, and code and prose use the words that ARCHITECTURE.md gives.
//!
//! It reads files line by line. A type counts if its declaration begins a line: types inside functions, `impl`s and
//! `mod` blocks are not looked at. It cannot see what a macro writes, nor whether a word is used in its right meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Type names that may stand in several modules, and why.
const GENERIC: &[(&str, &[&str])] = &[
    ("each command has its own, always named with the command", &["Args", "Command", "LogFormat"]),
    ("which member of its own family, always named with the family", &["Kind"]),
    (
        "what one function is given or gives back, always named with its module",
        &["Config", "Options", "Plan", "Report", "State"],
    ),
    (
        "private to one reader of a text, a tree or a message",
        &[
            "Cursor", "Entry", "Field", "Fields", "Fill", "Input", "Inputs", "Key", "Line", "Node",
            "Part", "Parts", "Raw", "Request", "Slot", "Text", "Value", "View", "Walk", "Write",
        ],
    ),
    (
        "ONNX's own names: `model` reads them, `fit` writes them",
        &["Attribute", "Function", "Graph", "Model", "Tensor"],
    ),
    (
        "Kafka's own names: `shell` has the real ones, `sim` the simulated ones",
        &["Cluster", "Fetched", "Group", "Session", "Topic"],
    ),
];

/// Type names that stand in several modules and wait for names of their own. The list only becomes shorter.
const LEFT: &[&str] = &[
    "Accuracy",
    "Alert",
    "Answers",
    "Asked",
    "Bytes",
    "Caught",
    "Cells",
    "Clean",
    "Columns",
    "Counted",
    "Doubt",
    "Event",
    "Excess",
    "Files",
    "Filled",
    "Fired",
    "Form",
    "Found",
    "Frame",
    "Header",
    "Heard",
    "Known",
    "Limits",
    "Looks",
    "Loss",
    "Measure",
    "Measured",
    "Members",
    "Memory",
    "Message",
    "News",
    "Of",
    "Open",
    "Order",
    "Outcome",
    "Output",
    "Patch",
    "Place",
    "Plane",
    "Progress",
    "Pupil",
    "Read",
    "Reader",
    "Reference",
    "Refusal",
    "Registry",
    "Role",
    "Row",
    "Rows",
    "Run",
    "Running",
    "Said",
    "Seat",
    "Seen",
    "Shape",
    "Sizes",
    "Source",
    "Stream",
    "Survey",
    "Suspect",
    "Table",
    "Takes",
    "Tally",
    "Tensors",
    "TooMuch",
    "Topics",
    "Trial",
    "Turn",
    "Wanted",
    "Watch",
    "Watched",
    "What",
];

/// A word that has a better one, and the files, or beginnings of their paths, in which it means something else.
///
/// A word with a capital is a part of a name in just these letters; one without is found in any letters. A word with
/// other signs in it is a piece of text.
struct Banned {
    word: &'static str,
    instead: &'static str,
    allowed: &'static [&'static str],
}

const fn banned(word: &'static str, instead: &'static str) -> Banned {
    Banned { word, instead, allowed: &[] }
}

/// Where an epoch is a leader's or a producer's of Kafka, or one of training.
const EPOCHS: &[&str] = &[
    "docs/decisions/2026-11-25-attacks-made-by-fit-train-and-weigh-and-never-measure.md",
    "docs/delivery.md",
    "docs/operations.md",
    "src/bundle/",
    "src/cli/fit.rs",
    "src/fit/",
    "src/record/extent.rs",
    "src/score/lane/continuity.rs",
    "src/shell/kafka/",
    "src/sim/check",
    "src/sim/cluster",
    "src/sim/ground.rs",
    "src/sim/session",
];

const BANNED: &[Banned] = &[
    // Names that have a better one.
    banned("judge", "monitor"),
    banned("judges", "monitors, or decides"),
    banned("judging", "monitoring, or deciding"),
    Banned { word: "epoch", instead: "baseline", allowed: EPOCHS },
    Banned { word: "epochs", instead: "baselines", allowed: EPOCHS },
    banned("silence", "no_data, or no records"),
    // The flag of builds before 0.2.0 is still taken.
    Banned { word: "guarded", instead: "protected", allowed: &["src/cli/fit.rs"] },
    banned("\"hold\"", "\"keep_firing_for\""),
    banned("`hold`", "`keep_firing_for`"),
    banned("hold = \"", "keep_firing_for"),
    banned("hold = \\\"", "keep_firing_for"),
    banned("Bag", "Reference"),
    banned("Odds", "ScaledFloat"),
    banned("Road", "Scorer, or RecordPath"),
    // Words that say nothing.
    banned("actually", "nothing"),
    banned("basically", "nothing"),
    banned("blazing", "a number"),
    banned("easily", "how"),
    banned("effortless", "how"),
    banned("effortlessly", "how"),
    banned("just", "only, or nothing"),
    banned("leverage", "use"),
    banned("obviously", "nothing"),
    banned("of course", "nothing"),
    banned("really", "nothing"),
    banned("robust", "what it withstands"),
    banned("seamless", "how"),
    banned("seamlessly", "how"),
    banned("simply", "nothing"),
    banned("trivially", "why"),
    banned("very", "how much"),
];

/// Pieces of text that are other people's words: nobody looks at them.
const EXCEPTIONS: &[&str] = &[
    // Kafka's.
    "leader epoch",
    "leader_epoch",
    "log.epoch",
    "producer epoch",
    // The standard library's.
    "UNIX_EPOCH",
    // clippy's.
    "trivially_copy_pass_by_ref",
    // proptest's.
    "Just(",
    // Statisticians': an estimate that a few outliers do not move.
    "Tabular::robust",
    "fn robust(",
    "robust deviations",
    "robust_unit",
];

/// What is read: files, and folders with the files below them.
const PAGES: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "config",
    "docs",
    "examples",
    "k8s",
    "src",
];

/// Every file of `path` that is text of ours, by its path in the repository.
fn files(path: &Path, name: &str, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
        for entry in entries.collect::<BTreeSet<_>>() {
            let entry = entry.to_str().expect("a name in UTF-8");
            files(&path.join(entry), &format!("{name}/{entry}"), found);
        }
    } else if [".rs", ".md", ".toml", ".json", ".yml", ".yaml"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
        found.push((name.to_owned(), text));
    }
}

fn read(names: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    for name in names {
        files(&root.join(name), name, &mut found);
    }
    assert!(found.len() >= names.len(), "files are missing: {names:?}");
    found
}

/// The words of a line: `JudgeState` and `judge_state` have two each.
fn parts(line: &str) -> Vec<&str> {
    let mut parts = vec![];
    for word in line.split(|c: char| !c.is_alphanumeric()) {
        let mut start = 0;
        let mut before = ' ';
        for (at, c) in word.char_indices() {
            if c.is_uppercase() && before.is_lowercase() {
                parts.push(&word[start..at]);
                start = at;
            }
            before = c;
        }
        parts.push(&word[start..]);
    }
    parts
}

/// `text` has `banned`, in the letters that count.
fn has(line: &str, banned: &str) -> bool {
    if !banned.chars().all(char::is_alphanumeric) {
        return line.contains(banned);
    }
    let exactly = banned.starts_with(char::is_uppercase);
    parts(line).iter().any(|part| match exactly {
        true => *part == banned,
        false => part.to_lowercase() == banned,
    })
}

/// Every banned word in a file, with its line and what to write.
fn wrong(name: &str, text: &str) -> Vec<String> {
    let mut found = vec![];
    for (i, line) in text.lines().enumerate() {
        let ours =
            EXCEPTIONS.iter().fold(line.to_owned(), |line, theirs| line.replace(theirs, " "));
        for Banned { word, instead, allowed } in BANNED {
            if has(&ours, word) && !allowed.iter().any(|begins| name.starts_with(begins)) {
                found.push(format!("{name}:{}: {word}: write {instead}", i + 1));
            }
        }
    }
    found
}

/// The type that a line declares, if it begins with its declaration.
fn declared(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let line = line.strip_prefix("unsafe ").unwrap_or(line);
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// Where each type of the product is declared: files of tests do not count.
fn types() -> BTreeMap<String, BTreeSet<String>> {
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, text) in read(&["src"]) {
        if name.ends_with("/tests.rs") || name.contains("/tests/") {
            continue;
        }
        for found in text.lines().filter_map(declared) {
            types.entry(found.to_owned()).or_default().insert(name.clone());
        }
    }
    types.retain(|_, modules| modules.len() > 1);
    types
}

fn listed() -> impl Iterator<Item = &'static str> {
    GENERIC.iter().flat_map(|(_, names)| *names).chain(LEFT).copied()
}

#[test]
fn a_type_name_stands_in_one_module_unless_it_is_listed() {
    let listed: BTreeSet<_> = listed().collect();
    let twice = types();
    let wrong: Vec<_> = twice.iter().filter(|(name, _)| !listed.contains(name.as_str())).collect();
    assert!(wrong.is_empty(), "give each a name of its own: {wrong:#?}");
}

#[test]
fn a_listed_type_name_still_stands_in_several_modules() {
    let twice = types();
    let gone: Vec<_> = listed().filter(|name| !twice.contains_key(*name)).collect();
    assert!(gone.is_empty(), "take these off the lists in tests/core/words.rs: {gone:?}");
}

#[test]
fn no_type_name_is_listed_twice() {
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = listed().filter(|name| !seen.insert(*name)).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn no_page_and_no_source_has_a_banned_word() {
    let wrong: Vec<_> = read(PAGES).iter().flat_map(|(name, text)| wrong(name, text)).collect();
    assert!(wrong.is_empty(), "{} words:\n{}", wrong.len(), wrong.join("\n"));
}

/// `line` as the second one of `name` has these banned words.
fn check(name: &str, line: &str, expected: &[&str]) {
    let found = wrong(name, &format!("\n{line}\n"));
    let words: Vec<_> = found
        .iter()
        .map(|what| what.strip_prefix(&format!("{name}:2: ")).expect("file and line"))
        .map(|what| what.split(": write ").next().expect("a word"))
        .collect();
    assert_eq!(words, expected, "{line}");
}

#[test]
fn a_seeded_word_is_found_in_names_comments_and_prose() {
    check("src/a.rs", "struct JudgeState { judge: Judge }", &["judge"]);
    check("src/a.rs", "let judge_key = EPOCH; // The Judging.", &["judge", "judging", "epoch"]);
    check("README.md", "It simply works, and very fast.", &["simply", "very"]);
    check("docs/a.md", "Set `hold`, or `silence`.", &["silence", "`hold`"]);
    check("config/a.toml", "hold = \"1h\"", &["hold = \""]);
    check("src/a.rs", "fn of(bag: &Bag) -> Odds", &["Bag", "Odds"]);
    check("src/a.rs", "impl<R: Road> OldRoad for R", &["Road"]);
}

#[test]
fn what_only_looks_like_a_banned_word_is_none() {
    check("src/a.rs", "let judged = adjudge(every, adjust);", &[]);
    check("src/a.rs", "Just(1), Instant::UNIX_EPOCH, self.leader_epoch(), road, odds", &[]);
    check("src/a.rs", "let threshold = bag.hold();", &[]);
    check("src/fit/train.rs", "for epoch in 0..epochs {", &[]);
    check("docs/a.md", "What is held back; Alertmanager silences it.", &[]);
}

#[test]
fn a_type_is_found_whatever_its_visibility_and_none_inside_a_block() {
    assert_eq!(declared("pub struct Lane {"), Some("Lane"));
    assert_eq!(declared("pub(in crate::score) enum Cut<'a> {"), Some("Cut"));
    assert_eq!(declared("pub unsafe trait Raw: Send {"), Some("Raw"));
    assert_eq!(declared("type Bits = u64;"), Some("Bits"));
    assert_eq!(declared("    struct Inner;"), None);
    assert_eq!(declared("// struct Old;"), None);
    assert_eq!(declared("pub fn structure() {}"), None);
}
