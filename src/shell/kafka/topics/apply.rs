//! Makes the topics that are missing.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{NewPartitions, NewTopic, TopicReplication};

use super::{
    TIMEOUT, TopicError, admin, cluster, during, options, problems, time_problems, wait, wanted,
};
use crate::config::Config;
use crate::shell::kafka::{Clients, words};

/// Creates what is missing and adds partitions where there are too few; returns what it did, a
/// line each. Changes nothing else: settings of an existing topic are its owner's.
///
/// # Errors
/// If an input topic does not exist, or the cluster refuses.
pub fn apply(clients: &Clients, config: &Config) -> Result<Vec<String>, TopicError> {
    let cluster = cluster(clients)?;
    let admin = admin(clients)?;
    let mut done = vec![];
    for topic in wanted(config) {
        let partitions = match &topic.like_input {
            Some(input) => {
                *cluster.topics.get(input).ok_or_else(|| TopicError::NoInput(input.clone()))?
            }
            None => topic.partitions,
        };
        let refused = |reason: String| TopicError::Refused { topic: topic.name.clone(), reason };
        match cluster.topics.get(&topic.name) {
            Some(&has) if has >= partitions => {
                done.push(format!("{}: is there, {has} partitions", topic.name));
                continue;
            }
            Some(&has) => {
                let more = [NewPartitions::new(&topic.name, partitions as usize)];
                let answers = wait(admin.create_partitions(&more, &options()))
                    .map_err(during("add partitions"))?;
                for answer in answers {
                    answer.map_err(|(_, code)| refused(words::of_code(code)))?;
                }
                done.push(format!("{}: from {has} to {partitions} partitions", topic.name));
            }
            None => {
                // −1: as many replicas as the cluster's default.
                let mut new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(-1));
                for (key, value) in &topic.settings {
                    new = new.set(key, value);
                }
                let answers = wait(admin.create_topics([&new], &options()))
                    .map_err(during("create topic"))?;
                for answer in answers {
                    answer.map_err(|(_, code)| refused(words::of_code(code)))?;
                }
                done.push(format!("{}: created, {partitions} partitions", topic.name));
            }
        }
    }
    wait_until_known(clients, config)?;
    // They are said, not changed.
    if let Ok(problems) = time_problems(clients, config, &cluster) {
        done.extend(problems);
    }
    Ok(done)
}

/// A topic is created before every broker knows of it: whoever starts next should find it.
fn wait_until_known(clients: &Clients, config: &Config) -> Result<(), TopicError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let missing = problems(config, &cluster(clients)?);
        match missing.into_iter().next() {
            None => return Ok(()),
            Some(reason) if Instant::now() >= deadline => {
                let topic = "after creating".to_owned();
                return Err(TopicError::Refused { topic, reason });
            }
            Some(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}
