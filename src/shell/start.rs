//! What `tripline run` waits for before its threads begin: an answer of the brokers, and topics.
//!
//! Brokers that do not answer are waited for. Topics that are not there are the configuration's fault, and end
//! the process; but brokers that have started a moment ago may not know all of their topics yet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::clock;
use super::kafka::{Clients, topics};
use super::run::Overview;
use crate::config::Config;

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topics {
    There,
    /// Nothing can start with the topics there are; why was said.
    Missing,
    /// Somebody told us to stop meanwhile.
    Stopped,
}

const AGAIN: Duration = Duration::from_secs(1);
/// Brokers that came back must know their topics after this.
const SETTLED: Duration = Duration::from_secs(20);
/// So must any that answer: one that has started a moment ago, beside others that were there, is not known to be new.
const KNOWN: Duration = Duration::from_secs(8);

/// Says of all threads that they wait.
pub fn begin(overview: &Overview) {
    for thread in &overview.threads {
        thread.beat(clock::now());
        thread.wait_to_join("the brokers have not answered yet");
    }
}

/// Waits until the brokers say which topics there are.
pub fn wait_for_topics(
    clients: &Clients,
    config: &Config,
    overview: &Overview,
    stop: &AtomicBool,
) -> Topics {
    let (began, mut were_away) = (Instant::now(), false);
    let mut back: Option<Instant> = None;
    while !stop.load(Ordering::Relaxed) {
        overview.threads.iter().for_each(|thread| thread.beat(clock::now()));
        match topics::cluster(clients) {
            Err(error) => {
                (were_away, back) = (true, None);
                warn!(%error, "no broker answers; the streams begin when one does");
                let why = format!("no broker answers: {error}");
                overview.threads.iter().for_each(|thread| thread.wait_to_join(&why));
            }
            Ok(cluster) => {
                let hindered = !topics::hindrances(config, &cluster).is_empty();
                let patience = if were_away { SETTLED } else { KNOWN };
                let patient = back.get_or_insert_with(Instant::now).elapsed() < patience;
                if !(hindered && patient) {
                    for problem in topics::problems(config, &cluster) {
                        error!(
                            "{problem}; `tripline topics --apply` creates what is missing, `tripline check \
                             --connect` says what is forbidden"
                        );
                    }
                    if were_away {
                        info!(seconds = began.elapsed().as_secs(), "the brokers answer");
                    }
                    return if hindered { Topics::Missing } else { Topics::There };
                }
            }
        }
        sleep(AGAIN);
    }
    Topics::Stopped
}
