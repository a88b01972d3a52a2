//! `tripline run`

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing::{error, warn};

use super::Exit;
use super::config::ConfigFile;
use crate::audit::{DeedKind, DeedOutcome};
use crate::shell::audit::{AuditLog, Auditor};
use crate::shell::kafka::{Clients, Reach, reach};
use crate::shell::memory::Memory;
use crate::shell::reload::{Reloader, Running};
use crate::shell::roster::Roster;
use crate::shell::routes::Routes;
use crate::shell::run::{Overview, prepare, run};
use crate::shell::start::{self, Topics};
use crate::shell::trial::Trial;
use crate::shell::{admin, cgroup, features, memory, telemetry};

/// How long a receiver that does not answer may keep us from ending. The routes were told when the
/// workers were; of the 30 s that Kubernetes grants, workers may take 25.
const ROUTES_END: Duration = Duration::from_secs(2);

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
        let Some(config) = self.config.read() else { return Exit::Config };
        telemetry::start(match self.log {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        });
        // From here on a signal drains; before it, there is nothing to drain.
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            if let Err(error) = signal_hook::flag::register(signal, stop.clone()) {
                error!(%error, "cannot listen for signals");
                return Exit::Failed;
            }
        }
        let streams = match prepare(&config, &Trial::by_this_program()) {
            Ok(streams) => streams,
            Err(error) => {
                error!("{error}");
                return Exit::Config;
            }
        };
        let routes = match Routes::new(&config) {
            Ok(routes) => routes,
            Err(error) => {
                error!("{error}");
                return Exit::Config;
            }
        };
        let audit_log = match AuditLog::new(&config) {
            Ok(log) => log,
            Err(error) => {
                error!("{error}");
                return Exit::Config;
            }
        };
        let memory: Memory = streams.iter().map(|stream| stream.memory(&config.kafka)).sum();
        let memory = memory + Memory::of_routes(config.routes.len());
        if let Err(too_much) = memory::fits(&memory, cgroup::limit()) {
            error!("{too_much}");
            return Exit::Config;
        }
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        let (overview, reach) = (Overview::new(&streams), Arc::<Reach>::default());
        let roster = Roster::new(&streams, &overview, &config.kafka).telling(routes.counters());
        let roster = roster.reaching(reach.clone());
        let threads = roster.by_stream();
        let reloads = roster.reloads.clone();
        if let Err(error) = signal_hook::flag::register(SIGHUP, reloads.flag()) {
            error!(%error, "cannot listen for SIGHUP");
            return Exit::Failed;
        }
        let running = streams.iter().zip(&roster.streams).zip(&overview.inboxes);
        let running = running.map(|((prepared, stream), inboxes)| Running {
            inboxes: inboxes.clone(),
            present: stream.present.clone(),
            schema: prepared.guard.schema().clone(),
        });
        let running: Vec<Running> = running.collect();
        // Who asks how we are is answered before the brokers are.
        start::begin(&overview);
        if let Some(admin) = &config.admin
            && let Err(error) = admin::serve(admin, roster)
        {
            error!("{error}");
            return Exit::Config;
        }
        if let Err(error) = reach::watch(&reach, &clients, &config, threads, &stop) {
            error!("{error}");
            return Exit::Failed;
        }
        match start::wait_for_topics(&clients, &config, &overview, &stop) {
            Topics::There => {}
            Topics::Missing => return Exit::Config,
            Topics::Stopped => return Exit::Ok,
        }
        for stream in &streams {
            let (told, schema) = (&stream.stream, stream.guard.schema());
            match features::problem(&clients, told, schema) {
                Ok(None) => {}
                Ok(Some(problem)) => {
                    error!("{problem}");
                    return Exit::Config;
                }
                Err(error) => warn!(
                    stream = told.name, %error,
                    "cannot tell whether the bundle before had more features"
                ),
            }
        }
        let routes = match routes.start(&clients, &stop) {
            Ok(routes) => routes,
            Err(error) => {
                error!("{error}");
                return Exit::Failed;
            }
        };
        let auditor = match Auditor::start(audit_log) {
            Ok(auditor) => Arc::new(auditor),
            Err(error) => {
                error!(%error, "cannot write the audit log");
                return Exit::Failed;
            }
        };
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
        let looking = {
            let stop = stop.clone();
            std::thread::Builder::new().name("reload".into()).spawn(move || reloader.run(&stop))
        };
        if let Err(error) = looking {
            error!(%error, "cannot look for new configurations");
            return Exit::Failed;
        }
        let ended = run(&clients, streams, &overview, &stop);
        let (exit, outcome) = match ended {
            Ok(()) => (Exit::Ok, DeedOutcome::Done),
            Err(_) => (Exit::Failed, DeedOutcome::Failed),
        };
        auditor.note_key_use();
        auditor.note(DeedKind::Stop, &instance, outcome, []);
        routes.end(ROUTES_END);
        auditor.end();
        exit
    }
}
