//! `tripline check`

use super::Exit;
use super::config::ConfigFile;
use crate::config::Config;
use crate::model::Runtime;
use crate::shell::kafka::{Clients, topics};
use crate::shell::run::Prepared;

/// Say everything that is wrong with a configuration: its keys, its bundles and, with --connect,
/// its cluster
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Ask the brokers too: do they answer, are the topics there, do sizes fit
    #[arg(long)]
    connect: bool,
}

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read() else { return Exit::Config };
        println!("✓ {}: every key is fine", self.config.config.display());
        let mut problems = bundles(&config);
        if self.connect {
            problems.extend(cluster(&config));
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
    let mut problems = vec![];
    for stream in &config.streams {
        match Prepared::new(&runtime, stream, config.registry.as_ref()) {
            Ok(prepared) => println!(
                "✓ stream {}: bundle {} ({}), budget {}",
                stream.name,
                stream.bundle.display(),
                &prepared.guard.digest().to_string()[..16],
                prepared.guard.decider().budget(),
            ),
            Err(error) => problems.push(error.to_string()),
        }
    }
    problems
}

fn cluster(config: &Config) -> Vec<String> {
    let clients = Clients::new(config.kafka.clone(), &config.instance);
    let cluster = match topics::cluster(&clients) {
        Ok(cluster) => cluster,
        Err(error) => return vec![format!("{}: {error}", config.kafka.brokers)],
    };
    println!("✓ {}: {} brokers answer", config.kafka.brokers, cluster.brokers);
    let mut problems = topics::problems(config, &cluster);
    match topics::size_problems(&clients, config, &cluster) {
        Ok(sizes) => problems.extend(sizes),
        Err(error) => problems.push(error.to_string()),
    }
    if problems.is_empty() {
        println!("✓ every topic is there, with enough partitions and room");
    }
    problems
}
