//! `tripline reasons`

use std::collections::VecDeque;
use std::str::FromStr;

use super::Exit;
use super::config::ConfigFile;
use crate::config::{Config, Stream};
use crate::deliver::Scorer as _;
use crate::emit::{REASON, ReadTrace, TRACE, VERDICT};
use crate::model::Runtime;
use crate::monitor::utc;
use crate::record::{Offset, OwnedRecord, Partition, Position, Record};
use crate::shell::kafka::Clients;
use crate::shell::run::Prepared;
use crate::shell::sample::{Limits, records_at, sample};
use crate::shell::trial::Trial;

/// Say in words why records were flagged or could not be read
///
/// Records of the input are scored again, by the bundle that the configuration names now, and told with their values. Of
/// an output the headers are read, as they were written. Nothing is produced, nothing committed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The stream, by its name [default: the first one]
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Records of the input, as alerts name them
    #[arg(value_name = "PARTITION/OFFSET", required_unless_present = "of")]
    records: Vec<RecordPlace>,
    /// Instead, the newest records of an output that were flagged or could not be read
    #[arg(long, value_enum, conflicts_with = "records")]
    of: Option<OutputChoice>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, requires = "of")]
    newest: usize,
}

/// An output of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OutputChoice {
    Sanitized,
    Quarantine,
    DeadLetter,
}

/// Where a record stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecordPlace(Position);

impl FromStr for RecordPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (partition, offset) = text.split_once('/')?;
            let partition = Partition(partition.parse().ok().filter(|&p: &i32| p >= 0)?);
            let offset = Offset(offset.parse().ok().filter(|&o: &i64| o >= 0)?);
            Some(Position { partition, offset })
        };
        read().map(Self).ok_or("write a partition and an offset: 3/9182344")
    }
}

/// Records of an output that are looked through for each one that is wanted: most of the sanitized ones pass.
const LOOKED_AT_EACH: usize = 500;
const LOOKED_AT_MAX: usize = 100_000;

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read_for(&["kafka", "registry"]) else {
            return Exit::Config;
        };
        let named = |stream: &&Stream| self.stream.as_ref().is_none_or(|name| *name == stream.name);
        let Some(stream) = config.streams.iter().find(named) else {
            let names: Vec<_> = config.streams.iter().map(|stream| stream.name.as_str()).collect();
            eprintln!("error: no stream has this name; there are: {}", names.join(", "));
            return Exit::Config;
        };
        let told = match self.of {
            Some(of) => self.of_output(&config, stream, of),
            None => self.of_input(&config, stream),
        };
        match told {
            Ok(lines) => {
                lines.iter().for_each(|line| println!("{line}"));
                Exit::Ok
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }

    /// Scores records of the input again.
    fn of_input(&self, config: &Config, stream: &Stream) -> Result<Vec<String>, String> {
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        let places: Vec<Position> = self.records.iter().map(|place| place.0).collect();
        let found = records_at(&clients, &stream.input, &places).map_err(|e| e.to_string())?;
        let runtime = Runtime::load(config.onnxruntime.as_deref()).map_err(|e| e.to_string())?;
        // Whoever may read the topic may read its values here.
        let telling = Stream { reason_values: true, ..stream.clone() };
        let trial = Trial::by_this_program();
        let prepared = Prepared::new(&runtime, &trial, &telling, config.registry.as_ref());
        let (mut scorer, _) = prepared.map_err(|error| error.to_string())?.into_scorer();
        let mut lines = vec![];
        for (at, record) in found {
            let place = format!("{} {}/{}", stream.input, at.partition, at.offset);
            let Some(record) = record else {
                lines.push(format!("{place}: it is not there: deleted, or never committed"));
                continue;
            };
            let records = [record.at(at)];
            scorer.fetch(&records);
            scorer.score(&records).map_err(|failure| failure.error.to_string())?;
            let outcome = &scorer.outcomes()[0];
            let p = outcome.judged.ok().filter(|_| !outcome.unscored).map(|verdict| verdict.p);
            let dated = format!("{place}, {}", utc(record.stamp.at));
            let reason = &scorer.reasons()[outcome.reason.clone()];
            lines.extend(told(&dated, outcome.text, p, reason));
        }
        Ok(lines)
    }

    /// Reads the headers of an output.
    fn of_output(
        &self,
        config: &Config,
        stream: &Stream,
        of: OutputChoice,
    ) -> Result<Vec<String>, String> {
        let topics = &stream.topics;
        let topic = match of {
            OutputChoice::Sanitized => &topics.sanitized,
            OutputChoice::Quarantine => &topics.quarantine,
            OutputChoice::DeadLetter => &topics.dead_letter,
        };
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        let looked_at = self.newest.saturating_mul(LOOKED_AT_EACH).min(LOOKED_AT_MAX);
        let limits = Limits { committed: true, ..Limits::of_a_look(looked_at) };
        let mut kept: VecDeque<Vec<String>> = VecDeque::new();
        let seen = sample(&clients, topic, limits, |record: Record<'_>| {
            if let Some(lines) = of_headers(topic, &stream.input, record.at, &record.to_owned()) {
                kept.push_back(lines);
                if kept.len() > self.newest {
                    kept.pop_front();
                }
            }
            true
        });
        let seen = seen.map_err(|error| error.to_string())?;
        if kept.is_empty() {
            let n = seen.records;
            return Ok(vec![format!(
                "{topic}: of the newest {n} records none was flagged or unreadable"
            )]);
        }
        Ok(kept.into_iter().flatten().collect())
    }
}

/// What the headers of a record at `at` of `topic` say; nothing of one that passed.
fn of_headers(topic: &str, input: &str, at: Position, record: &OwnedRecord) -> Option<Vec<String>> {
    let last = |name: &str| {
        let found = record.headers.iter().rfind(|(known, _)| known == name.as_bytes());
        found.and_then(|(_, value)| value.as_deref())
    };
    let verdict = String::from_utf8_lossy(last(VERDICT)?);
    if !["correct", "quarantine", "dead-letter"].iter().any(|said| verdict.contains(said)) {
        return None;
    }
    let trace = last(TRACE).and_then(ReadTrace::unpack);
    let source = trace.as_ref().map_or_else(String::new, |trace| {
        format!(", from {input} {}/{}", trace.source.partition, trace.source.offset)
    });
    let place = format!("{topic} {}/{}{source}", at.partition, at.offset);
    let reason = last(REASON).or_else(|| last("__connect.errors.exception.message"));
    Some(told(&place, &verdict, trace.map(|trace| trace.p), reason.unwrap_or_default()))
}

/// A record, its verdict and, on a line of its own, the reason.
fn told(place: &str, verdict: &str, p: Option<f32>, reason: &[u8]) -> Vec<String> {
    let p = p.filter(|p| p.is_finite()).map_or_else(String::new, |p| format!(" (p {p:.5})"));
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let plain = |text: &str| text.chars().map(visible).collect::<String>();
    let mut lines = vec![format!("{place}: {}{p}", plain(verdict))];
    if !reason.is_empty() {
        lines.push(format!("  {}", plain(&String::from_utf8_lossy(reason))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Stamp, Timestamp};

    #[test]
    fn a_place_is_a_partition_and_an_offset() {
        let place = RecordPlace(Position { partition: Partition(3), offset: Offset(77) });
        assert_eq!("3/77".parse(), Ok(place));
        for bad in ["3", "3/", "/7", "-1/7", "3/-7", "a/b", "3/7/1"] {
            assert!(bad.parse::<RecordPlace>().is_err(), "{bad}");
        }
    }

    fn check(headers: &[(&str, &[u8])], expected: Option<&[&str]>) {
        let headers =
            headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), Some(value.to_vec())));
        let stamp = Stamp::of_sender(Timestamp(0));
        let record = OwnedRecord { stamp, key: None, headers: headers.collect(), value: None };
        let at = Position { partition: Partition(0), offset: Offset(9) };
        let lines = of_headers("s.quarantine", "s.requests", at, &record);
        let lines =
            lines.as_ref().map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(lines.as_deref(), expected);
    }

    #[test]
    fn the_headers_of_an_output_say_why_and_those_that_passed_are_left_out() {
        let quarantined = ["s.quarantine 0/9: quarantine", "  Make: never seen (60%)"];
        let reason: (&str, &[u8]) = (REASON, b"Make: never\nseen (60%)");
        check(&[(VERDICT, b"pass"), (VERDICT, b"quarantine"), reason], Some(&quarantined));
        let dead = ["s.quarantine 0/9: dead-letter:missing", "  missing: \"Age\""];
        let message: (&str, &[u8]) = ("__connect.errors.exception.message", b"missing: \"Age\"");
        check(&[message, (VERDICT, b"dead-letter:missing")], Some(&dead));
        check(&[(VERDICT, b"would-correct")], Some(&["s.quarantine 0/9: would-correct"]));
        check(&[(VERDICT, b"pass"), reason], None);
        check(&[], None);
    }
}
