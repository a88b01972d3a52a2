//! `tripline state`

use super::Exit;
use super::config::ConfigFile;
use crate::audit_log::{DeedKind, DeedOutcome};
use crate::config::{Config, Stream};
use crate::monitor::Incident;
use crate::record::{Offset, Partition};
use crate::shell::audit::write_down;
use crate::shell::kafka::Clients;
use crate::shell::run::guard;
use crate::shell::state::{
    At, FollowerMemory, MonitorMemory, Plan, Remembered, Sight, StateError, Watched, What,
};
use crate::watch::Counts;

/// Show or reset what the streams of a configuration remember
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print what each partition, the monitor and who follows clients and answers remember, and whether it fits what was committed;
    /// changes nothing
    Show(Show),
    /// Forget what partitions, the monitor or a follower remember, so that they go on where the group stands. Only
    /// when nobody works on the stream; records stay where they are
    Reset(Reset),
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// JSON, one object per stream and line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Reset {
    #[command(flatten)]
    config: ConfigFile,
    /// The stream
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Only this partition of its input
    #[arg(long, value_name = "NUMBER", conflicts_with = "monitor")]
    partition: Option<i32>,
    /// Where that partition goes on: what comes from there on leaves again
    #[arg(long, value_name = "OFFSET", requires = "partition")]
    from: Option<i64>,
    /// Its monitor, instead of its partitions
    #[arg(long)]
    monitor: bool,
    /// Its client monitor, instead of its partitions; which clients were seen is kept
    #[arg(long, conflicts_with_all = ["partition", "monitor", "answers"])]
    clients: bool,
    /// Who joins its requests and answers, instead of its partitions
    #[arg(long, conflicts_with_all = ["partition", "monitor"])]
    answers: bool,
    /// Do it; without this only say what would be done
    #[arg(long)]
    yes: bool,
}

impl Args {
    pub fn run(self) -> Exit {
        match self.command {
            Command::Show(show) => show.run(),
            Command::Reset(reset) => reset.run(),
        }
    }
}

impl Show {
    fn run(self) -> Exit {
        let Some(config) = self.config.read_for(&["kafka"]) else { return Exit::Config };
        let streams: Vec<&Stream> = match &self.stream {
            None => config.streams.iter().collect(),
            Some(name) => match named(&config, name) {
                Some(stream) => vec![stream],
                None => return Exit::Config,
            },
        };
        let mut exit = Exit::Ok;
        for stream in streams {
            match with(&config, stream, |watched| watched.look()) {
                Ok(sight) if self.json => {
                    println!("{}", serde_json::to_string(&sight).expect("plain data"));
                }
                Ok(sight) => print!("{}", table(&sight)),
                Err(failed) => exit = failed,
            }
        }
        exit
    }
}

impl Reset {
    fn run(self) -> Exit {
        let Some(config) = self.config.read_for(&["kafka", "audit"]) else { return Exit::Config };
        let Some(stream) = named(&config, &self.stream) else { return Exit::Config };
        let what = match (self.monitor, self.clients, self.answers) {
            (true, ..) => What::Monitor,
            (_, true, _) => What::Clients,
            (.., true) => What::Answers,
            _ => What::Partitions(self.partition.map(Partition)),
        };
        let done = with(&config, stream, |watched| {
            let plan: Plan = watched.plan(what, self.from.map(Offset))?;
            plan.lines.iter().for_each(|line| println!("{line}"));
            if self.yes {
                let note = |outcome| {
                    let details = plan.lines.iter().enumerate();
                    let details = details.map(|(at, line)| (format!("line {at}"), line.clone()));
                    write_down(&config, DeedKind::StateReset, &self.stream, outcome, details)
                };
                note(DeedOutcome::Begun)?;
                let done = watched.reset(&plan);
                let outcome = if done.is_ok() { DeedOutcome::Done } else { DeedOutcome::Failed };
                if let Err(error) = note(outcome) {
                    eprintln!("warning: what came of the reset is not in the audit log: {error}");
                }
                done?;
            }
            Ok(())
        });
        match done {
            Ok(()) => {
                println!("{}", if self.yes { "done" } else { "nothing is done yet: add --yes" });
                Exit::Ok
            }
            Err(exit) => exit,
        }
    }
}

fn named<'a>(config: &'a Config, name: &str) -> Option<&'a Stream> {
    let found = config.streams.iter().find(|stream| stream.name == name);
    if found.is_none() {
        let names: Vec<&str> = config.streams.iter().map(|stream| &*stream.name).collect();
        eprintln!("error: no stream is named {name:?}; there are: {}", names.join(", "));
    }
    found
}

/// Errors are printed.
fn with<T>(
    config: &Config,
    stream: &Stream,
    work: impl FnOnce(Watched<'_>) -> Result<T, StateError>,
) -> Result<T, Exit> {
    let (_, guard) = guard(stream).map_err(|error| {
        eprintln!("error: {error}");
        Exit::Config
    })?;
    let clients = Clients::new(config.kafka.clone(), &config.instance);
    work(Watched { clients: &clients, stream, guard: &guard }).map_err(|error| {
        eprintln!("error: stream {}: {error}", stream.name);
        Exit::Failed
    })
}

fn table(sight: &Sight) -> String {
    let members = match sight.members.len() {
        0 => "nobody works".to_owned(),
        _ => sight.members.join(", "),
    };
    let mut lines = vec![
        format!("stream {}, group {}: {members}", sight.stream, sight.group),
        format!("{:>9} {:>10} {:>10} {:>10}  state", "partition", "committed", "covered", "end"),
    ];
    for seen in &sight.partitions {
        let kept = seen.kept.map(|At {}| "fits".to_owned());
        lines.push(row(seen.partition.to_string(), seen, &sight.baseline, kept));
    }
    let kept = sight.monitor.kept.as_ref().map(judged);
    let mut line = row("monitor".into(), &sight.monitor, &sight.baseline, kept);
    if sight.monitor.baseline.as_ref().is_some_and(|baseline| *baseline != sight.baseline) {
        line += "; signals are watched anew at the next start, what is counted goes on";
    }
    lines.push(line);
    for (who, seen) in [("clients", &sight.clients), ("answers", &sight.answers)] {
        lines.extend(seen.iter().map(|seen| row(who.into(), seen, "", seen.kept.map(followed))));
    }
    lines.join("\n") + "\n"
}

fn row<T>(who: String, seen: &Remembered<T>, baseline: &str, kept: Option<String>) -> String {
    let offset = |offset: Option<Offset>| offset.map_or("–".into(), |offset| offset.to_string());
    let mut said = match (&seen.problem, kept) {
        (Some(problem), _) => format!("✕ {problem}"),
        (None, None) => "✓ nothing yet".to_owned(),
        (None, Some(kept)) => format!("✓ {kept}"),
    };
    if seen.problem.is_none() && seen.committed.is_some() && seen.committed < seen.covered {
        said += "; the group tells an older offset: goes on at covered";
    }
    if let Some(other) = seen.baseline.as_ref().filter(|other| *other != baseline) {
        said += &format!("; told under baseline {other}, not {baseline}");
    }
    if let Some(crash_loop) = &seen.crash_loop {
        said += &format!("; {crash_loop}");
    }
    let (committed, covered) = (offset(seen.committed), offset(seen.covered));
    format!("{who:>9} {committed:>10} {covered:>10} {:>10}  {said}", seen.end.to_string())
}

fn followed(memory: FollowerMemory) -> String {
    let FollowerMemory { reads_again_from, bytes } = memory;
    format!("{bytes} bytes, reads again from {reads_again_from}")
}

fn judged(judged: &MonitorMemory) -> String {
    let mut said = format!("{} windows", judged.windows);
    for Incident { cause, dedup_key, counts, .. } in &judged.firing {
        let (cause, Counts { rows, flagged, .. }) = (cause.name(), counts);
        said += &format!(", {cause} incident {dedup_key} fires, {flagged} of {rows} rows flagged");
    }
    if judged.firing.is_empty() {
        said += ", nothing fires";
    }
    said
}
