//! `tripline run`

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing::{error, warn};

use super::Exit;
use super::config::ConfigFile;
use crate::audit_log::{DeedKind, DeedOutcome};
use crate::config::Config;
use crate::shell::audit::{AuditLog, Auditor};
use crate::shell::kafka::{Clients, Reach, reach};
use crate::shell::memory_limit::Memory;
use crate::shell::otlp::{SpanSender, SpanThread};
use crate::shell::reload::{Reloader, Running};
use crate::shell::roster::Roster;
use crate::shell::routes::Routes;
use crate::shell::run::{Overview, Prepared, prepare, run};
use crate::shell::start::{self, Topics};
use crate::shell::trial::Trial;
use crate::shell::{admin, cgroup, features, memory_limit, telemetry};

/// How long a receiver that does not answer may keep us from ending. The routes were told when the
/// workers were; of the 40 s that Kubernetes grants, workers may take 25.
const ROUTES_END: Duration = Duration::from_secs(2);
/// How long a collector that does not answer may keep us from ending.
const SPANS_END: Duration = Duration::from_secs(2);

/// Guard the streams of a configuration until told to stop (SIGTERM, Ctrl-C)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    log: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Args {
    pub fn run(self) -> Exit {
        self.guard().unwrap_or_else(|exit| exit)
    }

    /// Until told to stop; an error is a start that came to nothing, and was logged.
    fn guard(self) -> Result<Exit, Exit> {
        let config = self.config.read().ok_or(Exit::Config)?;
        telemetry::start(match self.log {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        });
        // From here on a signal drains; before it, there is nothing to drain.
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, stop.clone())
                .map_err(|error| failed(&error, "cannot listen for signals"))?;
        }
        let streams =
            prepare(&config, &Trial::by_this_program()).map_err(|error| refused(&error))?;
        let routes = Routes::new(&config).map_err(|error| refused(&error))?;
        let audit_log = AuditLog::new(&config).map_err(|error| refused(&error))?;
        let spans = span_sender(&config)?;
        fits(&config, &streams)?;
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        let overview = Overview::new(&streams).telling(spans.as_ref().map(SpanSender::queue));
        let reach = Arc::<Reach>::default();
        let roster = Roster::new(&streams, &overview, &config.kafka).telling(routes.counters());
        let roster = roster.reaching(reach.clone());
        let (threads, reloads) = (roster.by_stream(), roster.reloads.clone());
        signal_hook::flag::register(SIGHUP, reloads.flag())
            .map_err(|error| failed(&error, "cannot listen for SIGHUP"))?;
        let running = what_runs(&streams, &roster, &overview);
        // Who asks how we are is answered before the brokers are.
        start::begin(&overview);
        if let Some(admin) = &config.admin {
            admin::serve(admin, roster).map_err(|error| refused(&error))?;
        }
        reach::watch(&reach, &clients, &config, threads, &stop).map_err(|error| {
            error!("{error}");
            Exit::Failed
        })?;
        match start::wait_for_topics(&clients, &config, &overview, &stop) {
            Topics::There => {}
            Topics::Missing => return Err(Exit::Config),
            Topics::Stopped => return Ok(Exit::Ok),
        }
        streams.iter().try_for_each(|stream| compare_features(&clients, stream))?;
        let routes = routes.start(&clients, &stop).map_err(|error| {
            error!("{error}");
            Exit::Failed
        })?;
        let spans = spans.map(begin_spans).transpose()?;
        let auditor = Auditor::start(audit_log)
            .map_err(|error| failed(&error, "cannot write the audit log"))?;
        let auditor = Arc::new(auditor);
        auditor.begin(&config, &streams);
        let instance = config.instance.clone();
        let reloader = Reloader {
            read: Box::new({
                let file = ConfigFile { config: self.config.config.clone() };
                move || file.try_read()
            }),
            file: self.config.config.clone(),
            trial: Trial::by_this_program(),
            streams: running,
            config,
            reloads,
            auditor: auditor.clone(),
        };
        let told = stop.clone();
        std::thread::Builder::new()
            .name("reload".into())
            .spawn(move || reloader.run(&told))
            .map_err(|error| failed(&error, "cannot look for new configurations"))?;
        let (exit, outcome) = match run(&clients, streams, &overview, &stop) {
            Ok(()) => (Exit::Ok, DeedOutcome::Done),
            Err(_) => (Exit::Failed, DeedOutcome::Failed),
        };
        auditor.note_key_use();
        auditor.note(DeedKind::Stop, &instance, outcome, []);
        routes.end(ROUTES_END);
        spans.into_iter().for_each(|spans| spans.end(SPANS_END));
        auditor.end();
        Ok(exit)
    }
}

/// Refuses what may take more memory than there is.
fn fits(config: &Config, streams: &[Prepared]) -> Result<(), Exit> {
    let memory: Memory = streams.iter().map(|stream| stream.memory(&config.kafka)).sum();
    let memory = memory + Memory::beside_streams(config);
    memory_limit::fits(&memory, cgroup::limit()).map_err(|too_much| refused(&too_much))
}

fn begin_spans(sender: SpanSender) -> Result<SpanThread, Exit> {
    sender.start().map_err(|error| failed(&error, "cannot send spans"))
}

/// What tells a collector of batches, if there is one.
fn span_sender(config: &Config) -> Result<Option<SpanSender>, Exit> {
    let sender = config.otlp.as_ref().map(|otlp| SpanSender::new(otlp, &config.instance));
    sender.transpose().map_err(|error| refused(&error))
}

/// Logs why the configuration cannot be used.
fn refused(error: &dyn Display) -> Exit {
    error!("{error}");
    Exit::Config
}

/// Logs what cannot be done.
fn failed(error: &dyn Display, what: &str) -> Exit {
    error!(%error, "{what}");
    Exit::Failed
}

/// What a reload finds running, by stream.
fn what_runs(streams: &[Prepared], roster: &Roster, overview: &Overview) -> Vec<Running> {
    let each = streams.iter().zip(&roster.streams).zip(&overview.inboxes);
    let each = each.map(|((prepared, stream), inboxes)| Running {
        inboxes: inboxes.clone(),
        present: stream.present.clone(),
        schema: prepared.guard.schema().clone(),
    });
    each.collect()
}

/// Refuses a bundle with fewer features than the one before, as far as that is known.
fn compare_features(clients: &Clients, prepared: &Prepared) -> Result<(), Exit> {
    let (stream, schema) = (&prepared.stream, prepared.guard.schema());
    match features::problem(clients, stream, schema) {
        Ok(None) => Ok(()),
        Ok(Some(problem)) => Err(refused(&problem)),
        Err(error) => {
            let stream = &stream.name;
            warn!(%stream, %error, "cannot tell whether the bundle before had more features");
            Ok(())
        }
    }
}
