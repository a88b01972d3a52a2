//! `tripline replay`

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Exit;
use super::config::ConfigFile;
use crate::config::Config;
use crate::model::Runtime;
use crate::monitor::Alert;
use crate::record::Position;
use crate::shell::kafka::Clients;
use crate::shell::replay::{Recorded, Replayed, Replaying, read_line};
use crate::shell::run::Prepared;
use crate::shell::sample::{Limits, sample};
use crate::shell::trial::Trial;

/// Send recorded traffic through a configuration, or two, and say what would differ
///
/// Nothing is produced, nothing committed. Says how many records would be flagged, which incidents
/// there would be, and how many pages a week to expect; with --against, which records and incidents the
/// other configuration would treat otherwise.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The stream, by its name [default: the first one]
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// A topic of the cluster, or a file of `kcat -J` lines (`payload_base64` for bytes that are no
    /// text) [default: the stream's input]
    #[arg(long, value_name = "TOPIC|FILE")]
    from: Option<String>,
    /// Another configuration with a stream of that name
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Of a topic, the newest so many records
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    records: usize,
    /// Records and incidents that are listed
    #[arg(long, value_name = "N", default_value_t = 10)]
    show: usize,
}

/// Records that are scored together.
const BATCH: usize = 256;

/// Most that is read of a topic, and for how long.
const BYTES_MAX: usize = 4 << 30;
const TIME_MAX: Duration = Duration::from_secs(3600);

impl Args {
    pub fn run(self) -> Exit {
        const USED: &[&str] = &["kafka", "registry"];
        let Some(config) = self.config.read_for(USED) else { return Exit::Config };
        let other = match &self.against {
            None => None,
            Some(path) => match (ConfigFile { config: path.clone() }).read_for(USED) {
                Some(config) => Some(config),
                None => return Exit::Config,
            },
        };
        match self.replay(&config, other.as_ref()) {
            Ok(report) => {
                print!("{report}");
                Exit::Ok
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }

    fn replay(&self, config: &Config, other: Option<&Config>) -> Result<String, String> {
        let first = || config.streams.first().map(|stream| stream.name.clone());
        let name = self.stream.clone().or_else(first).ok_or("there is no stream")?;
        let mut ways = vec![begin(config, &name)?];
        ways.extend(other.map(|other| begin(other, &name)).transpose()?);
        let mut batch: Vec<Recorded> = Vec::with_capacity(BATCH);
        let mut turn = |batch: &mut Vec<Recorded>| -> Result<(), String> {
            for way in &mut ways {
                way.take(batch).map_err(|error| error.to_string())?;
            }
            batch.clear();
            Ok(())
        };
        let mut take = |record: Recorded| {
            batch.push(record);
            if batch.len() == BATCH { turn(&mut batch) } else { Ok(()) }
        };
        let input = config.streams.iter().find(|stream| stream.name == name);
        let input = input.map(|stream| stream.input.clone()).unwrap_or_default();
        let from = self.from.clone().unwrap_or(input);
        if from.contains(['/', '\\']) && !Path::new(&from).is_file() {
            return Err(format!(
                "there is no file {from}, and no topic can be called so; write a topic of the cluster, or a file \
                 of `kcat -J` lines"
            ));
        }
        match Path::new(&from).is_file() {
            true => read_file(Path::new(&from), &mut take)?,
            false => self.read_topic(config, &from, &mut take)?,
        }
        turn(&mut batch)?;
        let mut done = ways.into_iter().map(Replaying::finish);
        let (this, that) = (done.next().expect("one at least"), done.next());
        Ok(self.report(&name, &this, that.as_ref()))
    }

    fn read_topic(
        &self,
        config: &Config,
        topic: &str,
        take: &mut impl FnMut(Recorded) -> Result<(), String>,
    ) -> Result<(), String> {
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        let limits =
            Limits { records: self.records, bytes: BYTES_MAX, time: TIME_MAX, committed: true };
        let mut failed = None;
        let seen = sample(&clients, topic, limits, |seen| {
            failed = take((seen.at, seen.to_owned())).err();
            failed.is_none()
        });
        match (failed, seen) {
            (Some(error), _) => Err(error),
            (None, seen) => seen
                .map(drop)
                .map_err(|error| format!("{topic} is no file here, and as a topic: {error}")),
        }
    }

    fn report(&self, name: &str, this: &Replayed, that: Option<&Replayed>) -> String {
        let mut text = format!("stream {name}: {} records", this.verdicts.len());
        let hours = this.span.as_secs_f64() / 3600.0;
        let _ = writeln!(text, " over {hours:.1} hours");
        let mut way = |label: &str, way: &Replayed| {
            let counts = way.counts;
            // In observe mode nothing is.
            let would = if way.observes { "would be " } else { "" };
            let _ = writeln!(
                text,
                "{label}: {} of {} flagged, {} {would}corrected, {} {would}held back, {} unreadable",
                counts.flagged, counts.rows, counts.corrected, counts.quarantined, counts.faults
            );
            let per_week = way.per_week().map_or("-".into(), |pages| format!("{pages:.1}"));
            let _ = writeln!(
                text,
                "  {} pages, {per_week} a week; at most {:.2} a week would be false",
                way.pages().count(),
                way.allowed_per_week
            );
            for alert in way.alerts.iter().take(self.show) {
                let _ = writeln!(text, "  {}", line(alert));
            }
            more(&mut text, way.alerts.len(), self.show);
        };
        let Some(that) = that else {
            way("as configured", this);
            return text;
        };
        way("this", this);
        way("against", that);
        let differs = |at: &&Position| this.verdicts[*at] != that.verdicts[*at];
        let differ: Vec<&Position> = this.verdicts.keys().filter(differs).collect();
        let _ = writeln!(text, "{} records differ", differ.len());
        for at in differ.iter().take(self.show) {
            let (a, b) = (this.verdicts[*at], that.verdicts[*at]);
            let _ = writeln!(
                text,
                "  partition {} offset {}: {a}, against {b}",
                at.partition, at.offset
            );
        }
        more(&mut text, differ.len(), self.show);
        let key = |alert: &Alert| (alert.kind.clone(), alert.since.clone());
        let only = |a: &Replayed, b: &Replayed| -> Vec<String> {
            let there: Vec<_> = b.pages().map(key).collect();
            a.pages().filter(|alert| !there.contains(&key(alert))).map(line).collect()
        };
        for (label, lines) in [("this", only(this, that)), ("against", only(that, this))] {
            let _ = writeln!(text, "{} incidents only with {label}", lines.len());
            for line in lines.iter().take(self.show) {
                let _ = writeln!(text, "  {line}");
            }
            more(&mut text, lines.len(), self.show);
        }
        text
    }
}

fn begin(config: &Config, name: &str) -> Result<Replaying, String> {
    let runtime = Runtime::load(config.onnxruntime.as_deref()).map_err(|e| e.to_string())?;
    let stream = config.streams.iter().find(|stream| stream.name == name);
    let stream = stream.ok_or_else(|| {
        let names: Vec<_> = config.streams.iter().map(|stream| stream.name.as_str()).collect();
        format!("there is no stream {name:?}; there are {}", names.join(", "))
    })?;
    let trial = Trial::by_this_program();
    let prepared = Prepared::new(&runtime, &trial, stream, config.registry.as_ref());
    let (scorer, frame) = prepared.map_err(|error| error.to_string())?.into_scorer();
    Ok(Replaying::new(scorer, frame))
}

fn read_file(
    path: &Path,
    take: &mut impl FnMut(Recorded) -> Result<(), String>,
) -> Result<(), String> {
    let place = |line: usize, error: &str| format!("{}, line {line}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(|error| place(0, &error.to_string()))?;
    for (i, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| place(i + 1, &error.to_string()))?;
        if !line.trim().is_empty() {
            take(read_line(&line).map_err(|error| place(i + 1, &error))?)?;
        }
    }
    Ok(())
}

fn line(alert: &Alert) -> String {
    format!("{} {}: {}", alert.status.name(), alert.since, alert.summary)
}

fn more(text: &mut String, all: usize, shown: usize) {
    if all > shown {
        let _ = writeln!(text, "  and {} more: --show", all - shown);
    }
}
