//! Finds a client that reaches no broker although a new one does.
//!
//! librdkafka forgets every broker that the newest metadata does not name. A broker that its cluster fenced, because it
//! stood still for some seconds, names none when it goes on. Then the client has nobody left to ask, not even
//! `bootstrap.servers`, for as long as it lives (seen with 2.12.1). Only a new client helps.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::client::{Client, ClientContext, DefaultClientContext};

use super::Clients;
use crate::deliver::SessionError;

/// Watches one client by what it gives. Asks nothing while records come.
#[derive(Debug)]
pub struct CutOff {
    heard: Cell<bool>,
    /// When the client last gave something, or was last asked.
    since: Cell<Instant>,
}

/// A client that gave nothing for so long is asked whether it reaches a broker.
const QUIET: Duration = Duration::from_secs(10);
/// How long that answer may take.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a new client may take to reach a broker.
const NEW_CLIENT: Duration = Duration::from_secs(2);
/// How long the client is asked once more: longer than it waits between two connections.
const LAST_ANSWER: Duration = Duration::from_secs(5);

impl CutOff {
    pub fn new() -> Self {
        Self { heard: Cell::new(false), since: Cell::new(Instant::now()) }
    }

    /// The client gave something.
    pub fn heard(&self) {
        self.heard.set(true);
    }

    /// The client gave nothing. After 10 s of that it is asked about `topic`, and after no answer so is a new client.
    /// Takes 8 s at most, and milliseconds if brokers answer.
    ///
    /// # Errors
    /// [`SessionError::Consumer`] if only the new client gets an answer.
    pub fn check<C: ClientContext>(
        &self,
        client: &Client<C>,
        clients: &Clients,
        topic: &str,
    ) -> Result<(), SessionError> {
        if self.heard.replace(false) {
            self.since.set(Instant::now());
        }
        if self.since.get().elapsed() < QUIET {
            return Ok(());
        }
        let reaches = |client: &Client<C>, patience| {
            client
                .fetch_metadata(Some(topic), patience)
                .is_ok_and(|said| !said.brokers().is_empty())
        };
        let is_cut_off = !reaches(client, ANSWER)
            && new_reaches(clients, topic)
            && !reaches(client, LAST_ANSWER);
        self.since.set(Instant::now());
        if is_cut_off {
            let reason = "it reaches no broker, and a new client does".to_owned();
            return Err(SessionError::Consumer { reason });
        }
        Ok(())
    }
}

/// Whether a new client gets an answer that names a broker.
fn new_reaches(clients: &Clients, topic: &str) -> bool {
    let new = clients.common("reach").create::<AdminClient<DefaultClientContext>>();
    let answer = new.map(|new| new.inner().fetch_metadata(Some(topic), NEW_CLIENT));
    answer.is_ok_and(|answer| answer.is_ok_and(|said| !said.brokers().is_empty()))
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::config::Config;

    fn clients(brokers: &str) -> Clients {
        let text = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"{brokers}\"\n[[stream]]\nname = \"s\"\ninput = \"in\"\n\
             bundle = \"b\"\ncodec = \"f32-le\"\n"
        );
        let config = Config::read("f".as_ref(), &text, [], &|_| Ok(String::new()));
        Clients::new(config.expect("a configuration").kafka, "a")
    }

    /// Quiet for long enough to be asked.
    fn quiet() -> CutOff {
        CutOff { heard: Cell::new(false), since: Cell::new(Instant::now() - QUIET) }
    }

    /// A client of these brokers, and what asking it says if new clients reach `others`.
    fn asked(cut_off: &CutOff, brokers: &str, others: &str) -> Result<(), SessionError> {
        let client = clients(brokers).common("t").create::<AdminClient<DefaultClientContext>>();
        cut_off.check(client.expect("a client").inner(), &clients(others), "in")
    }

    #[test]
    fn only_a_client_that_reaches_nobody_while_a_new_one_does_is_replaced() {
        let cluster = MockCluster::new(1).expect("a cluster");
        let (here, nowhere) = (cluster.bootstrap_servers(), "127.0.0.1:1".to_owned());
        assert_eq!(asked(&quiet(), &here, &here), Ok(()));
        assert_eq!(asked(&quiet(), &nowhere, &nowhere), Ok(()), "the brokers are away");
        let cut_off = asked(&quiet(), &nowhere, &here);
        assert!(matches!(cut_off, Err(SessionError::Consumer { .. })), "{cut_off:?}");
    }

    #[test]
    fn nobody_is_asked_while_records_come() {
        let cluster = MockCluster::new(1).expect("a cluster");
        let heard = quiet();
        heard.heard();
        assert_eq!(asked(&heard, "127.0.0.1:1", &cluster.bootstrap_servers()), Ok(()));
    }
}
