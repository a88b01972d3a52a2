//! `tripline check`

use std::path::Path;

use super::Exit;
use super::config::ConfigFile;
use super::places;
use super::topics as topics_command;
use crate::config::{Config, Route, Stream};
use crate::decide::{Mode, OnFlagged};
use crate::model::Runtime;
use crate::open::OpenerSpec;
use crate::record::{Feature, Schema};
use crate::shell::kafka::compare::{self, Found};
use crate::shell::kafka::{Clients, access, topics};
use crate::shell::memory_limit::{self, Memory, mib};
use crate::shell::otlp::SpanSender;
use crate::shell::preview;
use crate::shell::registry::Registry;
use crate::shell::registry::copies::{self, CopyState, DataKeyCopy};
use crate::shell::routes::Routes;
use crate::shell::run::Prepared;
use crate::shell::sample::Limits;
use crate::shell::trial::Trial;
use crate::shell::{bundle, cgroup, clients, features};

/// Say everything that is wrong with a configuration: its keys, its bundles and, with --connect,
/// its cluster
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Ask the brokers too: do they answer, are the topics there, do sizes fit, is everything
    /// allowed that we must do; and would the newest records be read and pass
    #[arg(long)]
    connect: bool,
}

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read() else {
            for problem in named_bundles(&self.config.config) {
                println!("✕ {problem}");
            }
            return Exit::Config;
        };
        println!("✓ {}: every key is fine", self.config.config.display());
        admin(&config);
        config.streams.iter().for_each(|stream| places::print(&config, stream));
        config.streams.iter().for_each(unsealing);
        let (mut problems, prepared) = bundles(&config);
        problems.extend(routes(&config));
        problems.extend(collector(&config));
        if self.connect {
            problems.extend(cluster(&config, &prepared));
            problems.extend(records(&config, prepared));
            problems.extend(registry(&config));
            problems.extend(data_key_copies(&config));
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

/// What is wrong with the bundles that a file names whose keys are not all right: so one look finds both.
fn named_bundles(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    let folder = file.parent().unwrap_or(Path::new(""));
    let streams = table.get("stream").and_then(toml::Value::as_array);
    let bundles = streams.into_iter().flatten().filter_map(|stream| stream.get("bundle")?.as_str());
    let problem = |named: &str| bundle::read(&folder.join(named)).err().map(|e| e.to_string());
    bundles.filter_map(problem).collect()
}

/// Who may look at us. An address that is open to all is said and is no problem: it can only be read,
/// and what is read are names and counts. A guard that does not start for it would cost more.
fn admin(config: &Config) {
    let Some(admin) = &config.admin else { return };
    let listen = admin.listen;
    match (admin.is_open(), &admin.token) {
        (true, _) => println!(
            "– admin: whoever reaches {listen} may read the metrics: write `token = {{ env = \
             \"ADMIN_TOKEN\" }}` in [admin], or listen on 127.0.0.1"
        ),
        (false, Some(_)) => println!("✓ admin: {listen}, metrics for those who bring the token"),
        (false, None) => println!("✓ admin: {listen}, for this machine alone"),
    }
}

/// What is costly of opening a stream's values.
fn unsealing(stream: &Stream) {
    let jwe = stream.decrypt.as_ref().and_then(OpenerSpec::jwe);
    let mut algorithms = jwe.into_iter().flat_map(|jwe| &jwe.algorithms);
    if algorithms.any(|(alg, _)| *alg == "RSA-OAEP-256") {
        println!(
            "– stream {}: to open one record that is sealed with RSA-OAEP-256 takes a core 0.4 to 0.8 ms, so that it opens at \
             most some 2,000 in a second: X25519 takes a fifth of that, dir and A256KW less than a tenth",
            stream.name
        );
    }
}

/// Loads every bundle as `run` would.
fn bundles(config: &Config) -> (Vec<String>, Vec<Prepared>) {
    let runtime = match Runtime::load(config.onnxruntime.as_deref()) {
        Ok(runtime) => runtime,
        Err(error) => return (vec![error.to_string()], vec![]),
    };
    println!("✓ ONNX Runtime, build {}", runtime.build());
    let (mut problems, mut corrections, mut prepared) = (vec![], vec![], vec![]);
    let trial = Trial::by_this_program();
    for stream in &config.streams {
        for path in bundle::writable_by_all(&stream.bundle) {
            println!(
                "– stream {}: everybody on this machine may write to {}: chmod o-w",
                stream.name,
                path.display()
            );
        }
        match Prepared::new(&runtime, &trial, stream, config.registry.as_ref()) {
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
                for said in sound.guard.schema().scaling() {
                    println!("– stream {}: {said}", stream.name);
                }
                for said in clients::said(stream, &sound.guard) {
                    println!("– stream {}: {said}", stream.name);
                }
                let on_flagged = stream.policy.on_flagged;
                corrections.extend(correction(&stream.name, on_flagged, sound.guard.schema()));
                prepared.push(sound);
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        let memory: Memory = prepared.iter().map(|stream| stream.memory(&config.kafka)).sum();
        let memory = memory + Memory::beside_streams(config);
        let limit = cgroup::limit();
        let bytes = limit.as_ref().map(|limit| limit.bytes);
        match memory_limit::fits(&memory, limit) {
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
    // What they say changes nothing of what was measured above.
    problems.extend(corrections);
    (problems, prepared)
}

/// A table's rows are corrected feature by feature as the autoencoder would have them, every one a little:
/// ids and unflagged values change too. That is no correction that anybody can use.
fn correction(stream: &str, on_flagged: OnFlagged, schema: &Schema) -> Option<String> {
    let is_image = |feature: &Feature| matches!(feature, Feature::Image { .. });
    let is_table = !schema.features.iter().any(is_image);
    (is_table && on_flagged == OnFlagged::Correct).then(|| {
        format!(
            "stream {stream}: on_flagged = \"correct\" changes most values of a table's row, not the few that \
             are wrong: set on_flagged = \"quarantine\""
        )
    })
}

/// Whom incidents would be told.
fn routes(config: &Config) -> Vec<String> {
    if let Err(error) = Routes::new(config) {
        return vec![error.to_string()];
    }
    for Route { name, to, .. } in &config.routes {
        println!("✓ route {name}: {}", to.whom());
    }
    vec![]
}

/// Whom batches would be told. The address may be a secret.
fn collector(config: &Config) -> Option<String> {
    let sender = SpanSender::new(config.otlp.as_ref()?, &config.instance);
    match sender {
        Ok(_) => println!("✓ otlp: a span of each batch to a collector"),
        Err(error) => return Some(error.to_string()),
    }
    None
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

/// Whether the readers of outputs will find the data keys that they ask for.
fn data_key_copies(config: &Config) -> Vec<String> {
    if config.streams.iter().all(|stream| stream.wrapping_keys.is_empty()) {
        return vec![];
    }
    let copies = match copies::survey(config) {
        Ok(copies) => copies,
        Err(problem) => return vec![problem],
    };
    let problem = |copy: &DataKeyCopy| match copy.there {
        CopyState::There => None,
        CopyState::Lacking => Some(format!(
            "stream {}: {} lacks the data key {} version {} of {}: readers of that output would get ciphertext, some without \
             an error: run `tripline topics --apply`",
            copy.stream,
            copy.subject,
            copy.algorithm.name(),
            copy.version,
            copy.kek
        )),
        CopyState::Different => Some(topics_command::different(copy)),
    };
    let problems: Vec<String> = copies.iter().filter_map(problem).collect();
    if problems.is_empty() && !copies.is_empty() {
        println!(
            "✓ readers of the outputs have the {} data keys that they will ask for",
            copies.len()
        );
    }
    problems
}

/// What would fail at three in the morning.
fn cluster(config: &Config, prepared: &[Prepared]) -> Vec<String> {
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
    match compare::outputs(&clients, config, &cluster) {
        Ok(_) if !cluster.hidden.is_empty() => {}
        Ok(Found { problems: refused, notes }) => {
            if refused.is_empty() {
                println!("✓ whatever the inputs take, the outputs take");
            }
            notes.iter().for_each(|note| println!("– {note}"));
            problems.extend(refused);
        }
        Err(error) => println!("– what the outputs take is not checked: {error}"),
    }
    match topics::time_problems(&clients, config, &cluster) {
        Ok(_) if !cluster.hidden.is_empty() => {}
        Ok(times) if times.is_empty() => {
            println!("✓ what we hold back is dated by the broker, what goes on by its sender")
        }
        Ok(times) => problems.extend(times),
        Err(error) => println!("– who dates records is not checked: {error}"),
    }
    let is_there = |prepared: &&Prepared| {
        let Stream { topics, .. } = &*prepared.stream;
        [&topics.state, &topics.evidence]
            .into_iter()
            .all(|topic| cluster.topics.contains_key(topic))
    };
    for Prepared { stream, guard, .. } in prepared.iter().filter(is_there) {
        match features::problem(&clients, stream, guard.schema()) {
            Ok(problem) => problems.extend(problem),
            Err(error) => println!(
                "– stream {}: whether the bundle before had more features is not checked: {error}",
                stream.name
            ),
        }
    }
    problems
}

/// What would become of the newest records of each input.
fn records(config: &Config, prepared: Vec<Prepared>) -> Vec<String> {
    let clients = Clients::new(config.kafka.clone(), &config.instance);
    let mut problems = vec![];
    for mut prepared in prepared {
        let stream = prepared.stream.clone();
        match prepared.fetch_keys() {
            None => {}
            Some(Ok(())) => println!("✓ stream {}: its keys are unwrapped", stream.name),
            Some(Err(away)) => {
                problems.push(format!("stream {}: {away}", stream.name));
                continue;
            }
        }
        match prepared.check_data_keys() {
            None => {}
            Some(Ok(0)) => println!(
                "– stream {}: the registry has no data key of its subject yet: nobody has sealed a record",
                stream.name
            ),
            Some(Ok(n)) => {
                let keys = if n == 1 { "data key" } else { "data keys" };
                println!("✓ stream {}: {n} {keys}; the newest is unwrapped", stream.name)
            }
            Some(Err(away)) => {
                problems.push(format!("stream {}: {away}", stream.name));
                continue;
            }
        }
        if prepared.guard.confluent().is_some() {
            println!(
                "– stream {}: its records are not looked at: they need the registry",
                stream.name
            );
            continue;
        }
        let budget = prepared.guard.decider().budget().get();
        match preview::newest(&clients, &stream, Limits::of_a_look(preview::RECORDS)) {
            Ok(records) => match prepared.preview(&records).sentence(&stream, budget) {
                (said, false) => println!("✓ stream {}: {said}", stream.name),
                (said, true) => problems.push(format!("stream {}: {said}", stream.name)),
            },
            Err(error) => {
                println!("– stream {}: its records are not looked at: {error}", stream.name)
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correcting_a_table_is_a_problem_and_correcting_an_image_or_holding_back_is_none() {
        let table = Schema { features: vec![Feature::number("a", 0.0, 1.0)] };
        let image =
            Feature::Image { name: "i".into(), channels: 3, height: 2, width: 2, scale: 255.0 };
        let image = Schema { features: vec![image] };
        let problem = correction("payments", OnFlagged::Correct, &table).unwrap();
        assert!(problem.starts_with("stream payments: on_flagged"), "{problem}");
        assert_eq!(correction("payments", OnFlagged::Quarantine, &table), None);
        assert_eq!(correction("signs", OnFlagged::Correct, &image), None);
    }
}
