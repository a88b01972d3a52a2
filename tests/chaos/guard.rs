//! `tripline run` as a child of this program, with something between its threads and Kafka.
//!
//! The same library, the same configuration; only the sessions are wrapped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use tripline::config::{Config, Secret};
use tripline::shell::kafka::{Clients, Session};
use tripline::shell::run::{Overview, Role, Wrap, prepare, run_with};
use tripline::shell::telemetry;
use tripline::shell::trial::Trial;
use tripline::sim::{Mutant, Mutation};

use crate::failpoints::{Aim, Failpoints, Window};
use crate::fleet::Armed;

/// What a guard is wrapped in.
#[derive(Debug, Default)]
pub struct Wrapping {
    pub armed: Option<Armed>,
    pub mutation: Option<Mutation>,
    pub witness: PathBuf,
}

/// How this program calls itself to be a guard.
pub const GUARD: &str = "guard";

impl Wrapping {
    /// The arguments that [`Wrapping::read`] reads.
    pub fn arguments(&self) -> Vec<String> {
        let mutation = self.mutation.map_or("none", Mutation::name).to_owned();
        let mut arguments = vec![self.witness.display().to_string(), mutation];
        if let Some(Armed { window, after, seed }) = self.armed {
            arguments.extend([window.name().to_owned(), after.to_string(), seed.to_string()]);
        }
        arguments
    }

    fn read(arguments: &[String]) -> Option<Self> {
        let [witness, mutation, armed @ ..] = arguments else { return None };
        let armed = match armed {
            [window, after, seed] => Some(Armed {
                window: Window::ALL.into_iter().find(|known| known.name() == window)?,
                after: after.parse().ok()?,
                seed: seed.parse().ok()?,
            }),
            _ => None,
        };
        Some(Self { armed, mutation: mutation.parse().ok(), witness: witness.into() })
    }
}

impl Wrap for Wrapping {
    type Session = Failpoints<Mutant<Session>>;

    fn wrap(&self, role: Role, session: Session) -> Self::Session {
        let aim = self.armed.map(|Armed { window, after, seed }| Aim {
            window,
            // They commit some five times less often.
            commit: match role {
                Role::Monitor | Role::Clients | Role::Join => after.div_ceil(4),
                Role::Worker(_) | Role::Answers => after,
            },
            delay: Duration::from_micros(seed % 5000),
            role: role.to_string(),
            witness: self.witness.clone(),
        });
        Failpoints::new(Mutant::new(session, self.mutation, None, "chaos.alerts"), aim)
    }
}

/// Runs the guard of a configuration until it is told to stop, or killed.
pub fn guard(arguments: &[String]) -> ExitCode {
    let Some((config, wrapping)) = arguments.split_first() else { return ExitCode::from(2) };
    let Some(wrapping) = Wrapping::read(wrapping) else { return ExitCode::from(2) };
    match run(Path::new(config), &wrapping) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "stopped");
            ExitCode::FAILURE
        }
    }
}

fn run(file: &Path, wrapping: &Wrapping) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let text = std::fs::read_to_string(file).map_err(|error| told(&error))?;
    let no_secrets = |_: Secret<'_>| Err("there are none here".to_owned());
    let config = Config::read(file, &text, [], &no_secrets).map_err(|error| told(&error))?;
    telemetry::start(telemetry::LogFormat::Json);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| told(&error))?;
    }
    let streams = prepare(&config, &Trial::none()).map_err(|error| told(&error))?;
    let clients = Clients::new(config.kafka.clone(), &config.instance);
    let overview = Overview::new(&streams);
    run_with(wrapping, &clients, streams, &overview, &stop).map_err(|error| told(&error))
}
