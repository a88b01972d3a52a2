//! A structured line of the log per change: for whoever collects logs, and where no route is
//! configured. Nobody is woken by it.

use tracing::{Level, event};

use super::received::Received;
use super::{Receiver, Refusal};
use crate::record::Timestamp;

/// The log.
pub struct Log {
    route: String,
}

impl Log {
    pub fn new(route: &str) -> Self {
        Self { route: route.to_owned() }
    }
}

impl Receiver for Log {
    fn tell(&self, news: &Received, _: Option<&Received>, _: Timestamp) -> Result<(), Refusal> {
        let Received { dedup_key, status, kind, severity, stream, since, until, summary, .. } =
            news;
        let (route, incident) = (&self.route, dedup_key);
        // A level must be known when the program is built.
        macro_rules! line {
            ($level:expr) => {
                event!(
                    $level,
                    route,
                    incident,
                    status,
                    kind,
                    severity,
                    stream,
                    since,
                    until,
                    "{summary}"
                )
            };
        }
        if news.is_over() {
            line!(Level::INFO)
        } else {
            line!(Level::WARN)
        }
        Ok(())
    }
}
