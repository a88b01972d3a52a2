//! Columns that are no measurements: they tell records apart, or only say when a record was made.
//!
//! No later row can lie inside what earlier rows had there. A guard that learned them would flag, or
//! refuse, all honest traffic of tomorrow. Where the case is plain the column is left out of what is
//! scored; elsewhere it is said. It cannot see a table that was sorted by one of its measurements: that
//! looks like a counter, and `--bounds` keeps the column.

use super::column::Seen;
use super::hints::Hints;
use super::table::option;

/// What is said about a column.
#[derive(Debug, Default)]
pub struct Notice {
    /// Carried along like an `--id`, and not scored.
    pub is_left_out: bool,
    /// Hard bounds would make dead letters of honest records.
    pub is_unbounded: bool,
    pub note: Option<String>,
}

/// Fewer rows say nothing about how a column goes on.
const ROWS_MIN: u64 = 50;

/// Parts of a name that say that a column tells records apart.
const IDS: [&str; 11] =
    ["id", "ids", "uuid", "guid", "key", "no", "nr", "num", "number", "index", "rowid"];

/// Parts of a name that say that a column says when.
const WHEN: [&str; 12] = [
    "ts",
    "time",
    "timestamp",
    "date",
    "datetime",
    "epoch",
    "at",
    "when",
    "created",
    "updated",
    "ms",
    "day",
];

/// Names of columns that say what a row is.
const LABELS: [&str; 14] = [
    "label",
    "labels",
    "target",
    "class",
    "y",
    "outcome",
    "verdict",
    "fraud",
    "is_fraud",
    "isfraud",
    "attack",
    "is_attack",
    "ground_truth",
    "prediction",
];

/// Seconds since 1970 at the beginning of 2000 and of 2100.
const EPOCH: (f64, f64) = (946_684_800.0, 4_102_444_800.0);

/// What is to be said of the column `name` unless it was spoken of.
pub fn of(name: &str, seen: &Seen, hints: &Hints) -> Notice {
    let bounded = hints.bounds.iter().any(|(bounded, ..)| bounded == name);
    let spoken = hints.ids.iter().chain(&hints.categories).any(|spoken| spoken == name);
    if bounded || spoken || seen.values < ROWS_MIN {
        return Notice::default();
    }
    if let Some(why) = plain(name, seen, hints) {
        let keep = match seen.first_word {
            Some(_) => format!("{} makes it a category", option("--category", name)),
            None => {
                format!("{} keeps it as a number", option("--bounds", &format!("{name}=MIN..MAX")))
            }
        };
        let note = format!("{name} {why}: it is carried along and not scored; {keep}");
        return Notice { is_left_out: true, note: Some(note), ..Notice::default() };
    }
    let [ignore, id, label] = ["--ignore", "--id", "--label"].map(|way| option(way, name));
    let parts = parts(name);
    let is_number = seen.first_word.is_none();
    if is_number && seen.rises && seen.max > seen.min && distinct_enough(seen) {
        let note = format!(
            "{name} never falls from row to row: if it is a time or a counter, say {ignore} or \
             {id}; it has no hard bounds, so that tomorrow's records are not dead letters"
        );
        return Notice { is_unbounded: true, note: Some(note), ..Notice::default() };
    }
    if is_number
        && (is_epoch(seen)
            || parts.iter().any(|part| WHEN.contains(&part.as_str())) && seen.max > 1e6)
    {
        let note = format!(
            "{name} looks like a time: say {ignore} or {id} if it is; it has no hard bounds"
        );
        return Notice { is_unbounded: true, note: Some(note), ..Notice::default() };
    }
    let is_label = LABELS.contains(&name.to_lowercase().as_str());
    if is_label && hints.label.is_none() && seen.words.len() <= 20 {
        let note = format!(
            "{name} looks like what a row turned out to be: {ignore} if records do not have it; \
             {label} --normal VALUE only if it marks attacks on the model"
        );
        return Notice { note: Some(note), ..Notice::default() };
    }
    Notice::default()
}

/// Why the column is no measurement, where that is plain.
fn plain(name: &str, seen: &Seen, hints: &Hints) -> Option<&'static str> {
    if seen.first_word.is_some() {
        return match () {
            () if seen.numbers == 0 && seen.times == seen.values => {
                Some("says when a record was made")
            }
            () if seen.is_distinct()
                && seen.words.len() > hints.values_max.min(ROWS_MIN as usize) =>
            {
                Some("has another value in every row")
            }
            () => None,
        };
    }
    let parts = parts(name);
    let called = |words: &[&str]| parts.iter().any(|part| words.contains(&part.as_str()));
    match () {
        () if seen.whole && seen.grows => Some("grows from row to row"),
        () if is_epoch(seen) && (seen.rises || called(&WHEN)) => {
            Some("says when a record was made")
        }
        () if seen.whole && seen.is_distinct() && called(&IDS) => {
            Some("has another number in every row")
        }
        () => None,
    }
}

/// Whether enough different values rise for it to be no accident of the order of rows.
fn distinct_enough(seen: &Seen) -> bool {
    seen.words.len() >= 20
}

/// Whether all numbers are moments of this century, in seconds or in parts of them.
fn is_epoch(seen: &Seen) -> bool {
    [1.0, 1e3, 1e6, 1e9].iter().any(|unit| seen.min >= EPOCH.0 * unit && seen.max < EPOCH.1 * unit)
}

/// The words of a name, in small letters: `createdAt` and `created_at` are two.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut small_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() && small_before {
            parts.push(String::new());
        }
        if c.is_alphanumeric() {
            parts.last_mut().expect("at least one").extend(c.to_lowercase());
        }
        small_before = c.is_lowercase() || c.is_ascii_digit();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::data::table::Scalar;

    fn told(name: &str, cell: impl Fn(u64) -> String) -> Notice {
        let mut seen = Seen::new();
        for row in 0..300 {
            seen.see(row + 1, Scalar::Text(&cell(row)), 256);
        }
        of(name, &seen, &Hints::default())
    }

    #[test]
    fn what_tells_records_apart_or_says_when_is_left_out() {
        let scattered = |row: u64| row * 7919 % 10_007;
        for (name, told) in [
            ("order_no", told("order_no", |row| (1000 + row).to_string())),
            ("rowId", told("rowId", |row| scattered(row).to_string())),
            ("ts_ms", told("ts_ms", |row| (1_764_300_000_000 + 20 * row).to_string())),
            ("createdAt", told("createdAt", |row| (1_764_300_000 + scattered(row)).to_string())),
            ("uuid", told("uuid", |row| format!("{:x}-a", scattered(row)))),
            ("text", told("text", |row| format!("the customer wrote {row}"))),
            ("day", told("day", |row| format!("2026-11-{:02}", 1 + row % 28))),
            ("when", told("when", |row| format!("2026-11-01T10:{:02}:00Z", row % 60))),
            ("clock", told("clock", |row| format!("{:02}:{:02}", row % 24, row % 60))),
            ("german", told("german", |row| format!("{:02}.11.2026", 1 + row % 28))),
        ] {
            assert!(told.is_left_out, "{name}: {told:?}");
            assert!(told.note.unwrap().starts_with(name));
        }
    }

    #[test]
    fn measurements_codes_and_names_are_left_in() {
        let scattered = |row: u64| row * 7919 % 10_007;
        for (name, told) in [
            ("amount", told("amount", |row| format!("{}.{:02}", scattered(row), row % 100))),
            ("items", told("items", |row| (row % 9).to_string())),
            ("model_year", told("model_year", |row| (1990 + scattered(row) % 30).to_string())),
            ("version", told("version", |row| format!("1.{}.3", row % 9))),
            ("address", told("address", |row| format!("10.0.{}.1", row % 9))),
            ("country", told("country", |row| ["DE", "FR"][row as usize % 2].to_owned())),
        ] {
            assert!(!told.is_left_out && told.note.is_none(), "{name}: {told:?}");
        }
    }

    #[test]
    fn what_may_be_a_time_has_no_hard_bounds_and_a_label_is_named() {
        let rising = told("load", |row| format!("{}.5", row / 2));
        assert!(rising.is_unbounded && !rising.is_left_out, "{rising:?}");
        let label = told("Class", |row| (row % 2).to_string());
        assert!(label.note.unwrap().contains("--ignore Class"));
    }
}
