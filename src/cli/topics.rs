//! `tripline topics`

use super::Exit;
use super::config::ConfigFile;
use crate::shell::kafka::{Clients, topics};

/// Print or create the topics that a configuration needs
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
            return Exit::Ok;
        }
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        match topics::apply(&clients, &config) {
            Ok(done) => {
                done.iter().for_each(|line| println!("{line}"));
                Exit::Ok
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }
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
