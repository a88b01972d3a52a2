//! `tripline topics`

use super::Exit;
use super::config::ConfigFile;
use crate::config::Stream;
use crate::shell::kafka::{Clients, topics};
use crate::shell::registry::copies::{self, CopyState, DataKeyCopy};

/// Print or create the topics that a configuration needs, and the data keys that their readers do
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the commands that would create them
    #[arg(long, group = "what")]
    print: bool,
    /// Create what is missing, add partitions where there are too few
    #[arg(long, group = "what")]
    apply: bool,
}

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read_for(&["kafka"]) else { return Exit::Config };
        if self.print {
            for topic in topics::wanted(&config) {
                println!("{}", command(&topic, &config.kafka.brokers));
            }
            if config.streams.iter().any(opens_data_keys) {
                println!("# data keys for the readers of outputs: tripline topics --apply");
            }
            return Exit::Ok;
        }
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        match topics::apply(&clients, &config) {
            Ok(done) => {
                done.iter().for_each(|line| println!("{line}"));
                match config.streams.iter().any(opens_data_keys) {
                    true => self.copy_data_keys(),
                    false => Exit::Ok,
                }
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }

    /// Files the data keys of each input under the subjects of its outputs.
    fn copy_data_keys(&self) -> Exit {
        // Now the registry's secrets are needed too.
        let Some(config) = self.config.read_for(&["kafka", "registry"]) else {
            return Exit::Config;
        };
        let copies = match copies::survey(&config) {
            Ok(copies) => copies,
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::Failed;
            }
        };
        let mut exit = Exit::Ok;
        for copy in copies {
            let DataKeyCopy { kek, subject, version, algorithm, .. } = &copy;
            let algorithm = algorithm.name();
            match copy.there {
                CopyState::There => {}
                CopyState::Lacking => match copies::apply(&config, &copy) {
                    Ok(()) => println!(
                        "{subject}: data key {algorithm} version {version} of {kek} copied"
                    ),
                    Err(error) => {
                        eprintln!("error: {error}");
                        exit = Exit::Failed;
                    }
                },
                CopyState::Different => {
                    eprintln!("error: {}", different(&copy));
                    exit = Exit::Failed;
                }
            }
        }
        exit
    }
}

/// What to do where another data key stands in the place of a copy.
pub(super) fn different(copy: &DataKeyCopy) -> String {
    let DataKeyCopy { stream, kek, subject, version, algorithm, .. } = copy;
    format!(
        "stream {stream}: {subject} has another data key {algorithm} version {version} of {kek} than the input: its readers \
         cannot open our records. Delete it for good (DELETE /dek-registry/v1/keks/{kek}/deks/{subject}/versions/{version}\
         ?algorithm={algorithm}, then again with &permanent=true), if nothing is sealed with it, and run `tripline topics --apply`",
        algorithm = algorithm.name()
    )
}

fn opens_data_keys(stream: &Stream) -> bool {
    stream.decrypt.as_ref().is_some_and(|spec| spec.csfle().is_some())
}

/// The command of Kafka's own tools that creates `topic`.
fn command(topic: &topics::Topic, brokers: &str) -> String {
    let partitions = match &topic.like_input {
        Some(input) => format!("\"$PARTITIONS_OF_{}\"", shell_name(input)),
        None => topic.partitions.to_string(),
    };
    let mut command = format!(
        "# {}\nkafka-topics.sh --bootstrap-server {brokers} --create --if-not-exists --topic {} \
         --partitions {partitions}",
        topic.role, topic.name,
    );
    for (key, value) in &topic.settings {
        command.push_str(&format!(" --config {key}={value}"));
    }
    command
}

fn shell_name(topic: &str) -> String {
    topic
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}
