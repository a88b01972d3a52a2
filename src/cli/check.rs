//! `tripline check`

use super::Exit;
use super::config::ConfigFile;
use crate::config::{Config, Route, To};
use crate::decide::Mode;
use crate::model::Runtime;
use crate::shell::cgroup;
use crate::shell::kafka::{Clients, access, topics};
use crate::shell::memory::{self, Memory, mib};
use crate::shell::registry::Registry;
use crate::shell::routes::Routes;
use crate::shell::run::Prepared;

/// Say everything that is wrong with a configuration: its keys, its bundles and, with --connect,
/// its cluster
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Ask the brokers too: do they answer, are the topics there, do sizes fit, is everything
    /// allowed that we must do
    #[arg(long)]
    connect: bool,
}

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read() else { return Exit::Config };
        println!("✓ {}: every key is fine", self.config.config.display());
        let mut problems = bundles(&config);
        problems.extend(routes(&config));
        if self.connect {
            problems.extend(cluster(&config));
            problems.extend(registry(&config));
        }
        for problem in &problems {
            println!("✕ {problem}");
        }
        match problems.len() {
            0 => Exit::Ok,
            n => {
                println!("{n} {}", if n == 1 { "problem" } else { "problems" });
                Exit::Config
            }
        }
    }
}

/// Loads every bundle as `run` would.
fn bundles(config: &Config) -> Vec<String> {
    let runtime = match Runtime::load(config.onnxruntime.as_deref()) {
        Ok(runtime) => runtime,
        Err(error) => return vec![error.to_string()],
    };
    println!("✓ ONNX Runtime, build {}", runtime.build());
    let (mut problems, mut prepared) = (vec![], vec![]);
    for stream in &config.streams {
        match Prepared::new(&runtime, stream, config.registry.as_ref()) {
            Ok(sound) => {
                println!(
                    "✓ stream {}: {}, bundle {} ({}), budget {}",
                    stream.name,
                    match stream.policy.mode {
                        Mode::Observe => "observes",
                        Mode::Enforce => "enforces",
                    },
                    stream.bundle.display(),
                    &sound.guard.digest().to_string()[..16],
                    sound.guard.decider().budget(),
                );
                prepared.push(sound);
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        let memory: Memory = prepared.iter().map(|stream| stream.memory(&config.kafka)).sum();
        let memory = memory + Memory::of_routes(config.routes.len());
        let limit = cgroup::limit();
        let bytes = limit.as_ref().map(|limit| limit.bytes);
        match memory::fits(&memory, limit) {
            Ok(()) => println!(
                "✓ memory: about {} for batches of single rows; at most {}: {memory}; {}",
                mib(memory.batches),
                mib(memory.most()),
                match bytes {
                    Some(bytes) => format!("this machine allows {}", mib(bytes)),
                    None => "nothing limits us here".to_owned(),
                },
            ),
            Err(too_much) => problems.push(format!("memory: {too_much}")),
        }
    }
    problems
}

/// Whom incidents would be told.
fn routes(config: &Config) -> Vec<String> {
    if let Err(error) = Routes::new(config) {
        return vec![error.to_string()];
    }
    for Route { name, to, .. } in &config.routes {
        let whom = match to {
            To::Log => "the log",
            To::Alertmanager { .. } => "an Alertmanager",
            To::Webhook { secret: Some(_), .. } => "a webhook, signed",
            To::Webhook { secret: None, .. } => "a webhook, unsigned",
        };
        println!("✓ route {name}: {whom}");
    }
    vec![]
}

/// Whether the registry of schemas, if there is one, knows us.
fn registry(config: &Config) -> Vec<String> {
    let Some(registry) = &config.registry else { return vec![] };
    match Registry::new(registry).map_err(|e| e.to_string()).and_then(|r| r.answers()) {
        Ok(()) => {
            println!("✓ {}: the registry answers", registry.url);
            vec![]
        }
        Err(problem) => vec![problem],
    }
}

/// What would fail at three in the morning.
fn cluster(config: &Config) -> Vec<String> {
    let clients = Clients::new(config.kafka.clone(), &config.instance);
    let mut cluster = match topics::cluster(&clients) {
        Ok(cluster) => cluster,
        Err(error) => return vec![format!("{}: {error}", config.kafka.brokers)],
    };
    println!("✓ {}: {} brokers answer", config.kafka.brokers, cluster.brokers);
    let mut problems = rights(config, &clients, &mut cluster);
    let shape = topics::problems(config, &cluster);
    if shape.is_empty() && cluster.hidden.is_empty() {
        println!("✓ every topic is there, with enough partitions");
    }
    problems.extend(shape);
    match topics::size_problems(&clients, config, &cluster) {
        Ok(_) if !cluster.hidden.is_empty() => {}
        Ok(sizes) if sizes.is_empty() => println!("✓ whatever the inputs take, the outputs take"),
        Ok(sizes) => problems.extend(sizes),
        Err(error) => println!("– message sizes are not checked: {error}"),
    }
    match topics::time_problems(&clients, config, &cluster) {
        Ok(_) if !cluster.hidden.is_empty() => {}
        Ok(times) if times.is_empty() => {
            println!("✓ what we hold back is dated by the broker, what goes on by its sender")
        }
        Ok(times) => problems.extend(times),
        Err(error) => println!("– who dates records is not checked: {error}"),
    }
    problems
}

fn rights(config: &Config, clients: &Clients, cluster: &mut topics::Cluster) -> Vec<String> {
    let found = match access::access(clients, config) {
        Ok(found) => found,
        Err(error) => return vec![error.to_string()],
    };
    for unknown in &found.unknown {
        println!("– not checked: {unknown}");
    }
    if found.missing.is_empty() {
        println!("✓ nothing forbids what we must do on {} topics and groups", found.asked);
    }
    cluster.hidden = found.hidden;
    found.missing.iter().map(|missing| format!("{missing}\n    {}", missing.grant)).collect()
}
