//! A line that is said again and again is written once a minute, with how often it was said.
//!
//! While brokers are away every client of ours says so several times a second. Two lines are the same if
//! they come from the same place of the program and differ in numbers, addresses and durations alone. What
//! librdkafka says counts, at any level, and our own warnings and errors; in errors all numbers count
//! but durations, so that each partition is named once. What was said and not written is said when its minute
//! is over, with whatever is written next: a process that says nothing more leaves it out.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;

/// Writes events as `inner` does, but for repeats.
pub struct Repeats<F> {
    inner: F,
    format: LogFormat,
    lines: Mutex<Lines>,
}

const MINUTE: Duration = Duration::from_secs(60);
/// Kinds of lines that are known at a time; those beyond are one kind.
const KINDS_MAX: usize = 512;
/// Bytes of a line that are kept to be said again.
const TEXT_MAX: usize = 400;

/// Kinds of lines that were written within the last minute.
#[derive(Debug, Default)]
struct Lines {
    hasher: RandomState,
    kinds: HashMap<u64, Kind>,
    /// When the first of them may be forgotten or said again.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Kind {
    written: Instant,
    /// Times it was said since then.
    times: u64,
    last: Line,
}

/// A line as it is said again.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    level: Level,
    target: &'static str,
    text: String,
}

impl<F> Repeats<F> {
    pub fn new(inner: F, format: LogFormat) -> Self {
        Self { inner, format, lines: Mutex::default() }
    }

    fn summary(&self, writer: &mut Writer<'_>, line: &Line, times: u64) -> fmt::Result {
        let Line { level, target, text } = line;
        let how_often = match times {
            1 => "once".to_owned(),
            times => format!("{} times", grouped(times)),
        };
        let said = format!("{text} (said {how_often} more in the last minute)");
        match self.format {
            LogFormat::Text => {
                SystemTime.format_time(writer)?;
                writeln!(writer, " {level:>5} {target}: {said}")
            }
            LogFormat::Json => {
                let mut at = String::new();
                SystemTime.format_time(&mut Writer::new(&mut at))?;
                let line = serde_json::json!({
                    "timestamp": at,
                    "level": level.as_str(),
                    "fields": { "message": said, "times": times },
                    "target": target,
                });
                writeln!(writer, "{line}")
            }
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Repeats<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = Instant::now();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let due = lines.take_due(now);
        let is_new = may_repeat(event.metadata()).is_none_or(|sameness| {
            let mut text = Text::default();
            event.record(&mut text);
            let line = text.into_line(event.metadata());
            lines.meet(now, event.metadata(), sameness, line)
        });
        drop(lines);
        for (line, times) in due {
            self.summary(&mut writer, &line, times)?;
        }
        if is_new { self.inner.format_event(context, writer, event) } else { Ok(()) }
    }
}

/// What may differ between two lines that are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sameness {
    /// Everything with a digit in it: addresses, offsets, names of threads and partitions.
    ButNumbers,
    ButDurations,
}

fn may_repeat(of: &Metadata<'_>) -> Option<Sameness> {
    match (of.target(), *of.level()) {
        (target, _) if target.contains("rdkafka") => Some(Sameness::ButNumbers),
        (target, Level::WARN) if target.starts_with("tripline") => Some(Sameness::ButNumbers),
        (target, Level::ERROR) if target.starts_with("tripline") => Some(Sameness::ButDurations),
        _ => None,
    }
}

impl Lines {
    /// Whether this line is to be written now.
    fn meet(&mut self, now: Instant, of: &Metadata<'_>, sameness: Sameness, line: Line) -> bool {
        let place = (of.file(), of.line(), of.target());
        let mut key = self.hasher.hash_one((place, essence(&line.text, sameness)));
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&key) {
            key = 0;
        }
        if let Some(kind) = self.kinds.get_mut(&key) {
            kind.times += 1;
            kind.last = line;
            return false;
        }
        self.kinds.insert(key, Kind { written: now, times: 0, last: line });
        self.due = Some(self.due.unwrap_or(now + MINUTE));
        true
    }

    /// Lines whose minute is over and that were said meanwhile, and how often; each begins another
    /// minute.
    fn take_due(&mut self, now: Instant) -> Vec<(Line, u64)> {
        if self.due.is_none_or(|due| now < due) {
            return vec![];
        }
        let over = |kind: &Kind| now.saturating_duration_since(kind.written) >= MINUTE;
        self.kinds.retain(|_, kind| kind.times > 0 || !over(kind));
        let mut said = vec![];
        for kind in self.kinds.values_mut().filter(|kind| over(kind)) {
            said.push((kind.last.clone(), std::mem::take(&mut kind.times)));
            kind.written = now;
        }
        self.due = self.kinds.values().map(|kind| kind.written + MINUTE).min();
        said
    }
}

/// What must be equal in two lines for them to be the same.
fn essence(text: &str, sameness: Sameness) -> String {
    let varies = |word: &&str| {
        let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        has_digit
            && match sameness {
                Sameness::ButNumbers => true,
                Sameness::ButDurations => {
                    bare.starts_with(|c: char| c.is_ascii_digit()) && bare.ends_with('s')
                }
            }
    };
    let mut words: Vec<&str> = vec![];
    for word in text.split_whitespace() {
        if word.starts_with("[thrd:") {
            continue;
        }
        // The names of a broker by what it does for us.
        let is_broker = ["GroupCoordinator", "TxnCoordinator"].iter().any(|n| word.starts_with(n));
        let word = if is_broker || varies(&word) { "#" } else { word };
        if words.last() == Some(&"#") && word == "#" {
            continue;
        }
        // "(after 3ms in state UP, 4 identical error(s) suppressed)" comes and goes.
        if word == "(after" {
            break;
        }
        words.push(word);
    }
    words.join(" ")
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The message of an event, and its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn into_line(self, of: &Metadata<'static>) -> Line {
        let mut text = self.message + &self.fields;
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        Line { level: *of.level(), target: of.target(), text }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { level: Level::WARN, target: "librdkafka", text: text.to_owned() }
    }

    /// What is written of these lines of librdkafka, said at these seconds: the line, and how often it was
    /// said besides.
    fn written(said: &[(u64, &str)]) -> Vec<(u64, String, u64)> {
        let (mut lines, began) = (Lines::default(), Instant::now());
        let mut page = vec![];
        let of = of_some_event();
        for &(second, text) in said {
            let now = began + Duration::from_secs(second);
            let due = lines.take_due(now).into_iter();
            page.extend(due.map(|(line, times)| (second, line.text, times)));
            if lines.meet(now, of, Sameness::ButNumbers, line(text)) {
                page.push((second, text.to_owned(), 0));
            }
        }
        page
    }

    fn of_some_event() -> &'static Metadata<'static> {
        use tracing::callsite::Callsite as _;
        tracing::callsite! { name: "some", kind: tracing::metadata::Kind::EVENT, fields: }
            .metadata()
    }

    #[test]
    fn a_line_is_written_once_a_minute_and_how_often_it_was_said() {
        let refused =
            |n| format!("FAIL [thrd:a]: 127.0.0.1:{n}/1: Connection refused (after {n}ms)");
        let all: Vec<(u64, String)> = (0..=150).map(|second| (second, refused(second))).collect();
        let said: Vec<(u64, &str)> = all.iter().map(|(s, text)| (*s, text.as_str())).collect();
        assert_eq!(
            written(&said),
            [(0, refused(0), 0), (60, refused(59), 59), (120, refused(119), 60)]
        );
    }

    #[test]
    fn other_causes_are_written_at_once_and_a_cause_that_came_back_too() {
        let (refused, slow) = ("FAIL: refused", "REQTMOUT: timed out 1 request");
        assert_eq!(
            written(&[(0, refused), (1, slow), (2, refused), (61, "other"), (200, refused)]),
            [
                (0, refused.into(), 0),
                (1, slow.into(), 0),
                (61, refused.into(), 1),
                (61, "other".into(), 0),
                (200, refused.into(), 0),
            ]
        );
    }

    #[test]
    fn however_many_kinds_there_are_only_so_many_are_kept() {
        let kinds: Vec<String> =
            (0..2000_u32).map(|i| char::from_u32(0x4e00 + i).unwrap().to_string()).collect();
        let said: Vec<(u64, &str)> = kinds.iter().map(|kind| (0, kind.as_str())).collect();
        assert_eq!(written(&said).len(), KINDS_MAX + 1);
    }

    #[test]
    fn an_error_of_ours_names_each_partition_and_its_duration_does_not_matter() {
        let [one, two] = [1, 2].map(|n| format!("partition {n} is held still after {n}.5s"));
        let essence = |text: &str| essence(text, Sameness::ButDurations);
        assert_ne!(essence(&one), essence(&two));
        assert_eq!(essence(&one), essence("partition 1 is held still after 730ms"));
    }

    #[test]
    fn thousands_are_grouped() {
        let all = [7, 1_204, 1_000_000].map(grouped);
        assert_eq!(all, ["7", "1,204", "1,000,000"]);
    }
}
