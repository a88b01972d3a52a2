//! Logs: one line per fact, to standard error.
//!
//! What dependencies log is not ours to vouch for: an HTTP client writes the address that it asks,
//! and of many a receiver the address is the secret. So only the targets of `SPEAKERS` are heard,
//! whatever `RUST_LOG` says, and nothing that is written through the `log` crate is. Our own lines
//! hold no secret because configuration keeps each in a `Hidden`. librdkafka masks the settings that
//! it knows as secret in what it dumps; it cannot mask one that somebody wrote elsewhere. What is said
//! again and again is written once a minute (`repeats.rs`).

mod repeats;

use std::io::IsTerminal as _;

use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{self, JsonFields};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use self::repeats::Repeats;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Whose lines are written at all, and down to which level. Of the bindings (`rdkafka`, `ort`) what
/// goes wrong is enough; librdkafka itself speaks under a target of its own.
const SPEAKERS: [(&str, Level); 4] = [
    ("tripline", Level::TRACE),
    ("librdkafka", Level::TRACE),
    ("rdkafka", Level::WARN),
    ("ort", Level::WARN),
];

/// Starts logging; `RUST_LOG` sets the level, `info` without it. Call once.
///
/// # Panics
/// If something logs already.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,rdkafka=warn,ort=warn"));
    // Colours are for a terminal: in a file they are noise.
    let colours = std::io::stderr().is_terminal();
    let lines = subscriber(format, filter, std::io::stderr, colours);
    tracing::subscriber::set_global_default(lines).expect("logging starts once");
}

/// Lines of [`SPEAKERS`] that `filter` lets pass. Whoever reads standard error may go away: a guard
/// goes on, and does not say to nobody that nobody reads.
fn subscriber<W>(
    log: LogFormat,
    filter: EnvFilter,
    to: W,
    colours: bool,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(to).log_internal_errors(false);
    // NO_COLOR is asked by the layer itself.
    let lines = if colours { lines } else { lines.with_ansi(false) };
    let lines = match log {
        LogFormat::Text => lines.event_format(Repeats::new(format::format(), log)).boxed(),
        LogFormat::Json => lines
            .fmt_fields(JsonFields::new())
            .event_format(Repeats::new(format::format().json(), log))
            .boxed(),
    };
    let speakers = SPEAKERS.into_iter().collect::<Targets>();
    Registry::default().with(lines.with_filter(speakers)).with(filter)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of a line from each of a few targets.
    fn written(format: LogFormat, filter: &str) -> String {
        let page = Page::default();
        let to = page.clone();
        let lines = subscriber(format, EnvFilter::new(filter), move || to.clone(), false);
        tracing::subscriber::with_default(lines, || {
            tracing::info!(target: "tripline::shell", "ours");
            tracing::trace!(target: "tripline::shell", "ours in detail");
            tracing::info!(target: "librdkafka", "the client's");
            tracing::debug!(target: "rdkafka::client", "c4n4ry of the binding");
            tracing::warn!(target: "ort::logging", "the runtime's trouble");
            tracing::error!(target: "ureq_proto::client", "c4n4ry in a request line");
            tracing::error!(target: "rustls::client", "c4n4ry in a name");
            tracing::trace!(target: "hyper::proto", "c4n4ry in a header");
        });
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_level_lets_a_dependency_write_an_address() {
        for format in [LogFormat::Text, LogFormat::Json] {
            for filter in ["trace", "debug", "info", "ureq_proto=trace,rustls=trace,rdkafka=trace"]
            {
                let page = written(format, filter);
                assert!(!page.contains("c4n4ry"), "{filter}: {page}");
            }
        }
    }

    #[test]
    fn our_own_lines_are_written_as_the_filter_says() {
        let page = written(LogFormat::Text, "info");
        for line in ["ours\n", "the client's", "the runtime's trouble"] {
            assert!(page.contains(line), "{line}: {page}");
        }
        assert!(!page.contains("in detail"), "{page}");
        assert!(written(LogFormat::Json, "trace").contains("ours in detail"));
        assert!(!written(LogFormat::Text, "warn,librdkafka=error").contains("client's"));
    }
}
