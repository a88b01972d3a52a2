//! `[otlp]`: spans of committed batches, to a collector of OpenTelemetry by OTLP over HTTP.
//!
//! Workers put spans into a bounded queue and wait for nobody. One thread takes them out and POSTs them; nothing else does. A
//! collector that is away, slow or wrong costs spans, which are counted and told once a minute, and no record. It cannot see
//! what a collector does with spans that it took.
//!
//! The exporter is OpenTelemetry's own, on our HTTP client (`CollectorClient`). It reads variables of the environment
//! (`OTEL_EXPORTER_OTLP_…`); what they say about address, headers and time does not reach a request.

mod collector;
mod span;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::trace::SpanExporter as _;
use tracing::{info, warn};

use self::collector::CollectorClient;
use self::span::{resource, scope, span_data};
use super::http::CaFileError;
use crate::config::Otlp;
use crate::deliver::{BatchSpan, LINKS_MAX, OPEN_BATCHES_MAX, SpanCounts, SpanQueue, TraceParent};

/// Spans that wait, with all their links 3.5 MiB: 10 s of a process that commits 100 batches a second.
const QUEUE_MAX: usize = 1024;
/// Spans of one request: with all their links about 2 MiB of Protobuf.
const SPANS_MAX: usize = 256;
/// How long the first span of a request waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How late the end is noticed.
const POLL: Duration = Duration::from_millis(100);
/// Between two lines that say that spans are dropped.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// With these, and 0.1 s before the first that doubles up to 1.6 s, the time of `timeout_ms` is the limit.
const TRIES: usize = 20;

/// Bytes that all of it takes at most: the queue, and a request as links, as messages and as bytes.
pub const SPANS_BYTES_MAX: usize =
    QUEUE_MAX * (LINKS_BYTES_MAX + 512) + SPANS_MAX * (LINKS_MAX * 400 + 4096);
/// Bytes of the batches of one worker's open transaction.
pub const OPEN_BYTES_MAX: usize = OPEN_BATCHES_MAX * (LINKS_BYTES_MAX + 64);
const LINKS_BYTES_MAX: usize = LINKS_MAX * size_of::<TraceParent>();

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error("otlp: {0}")]
    CaFile(#[from] CaFileError),
    #[error("otlp: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// What sends spans, before it begins.
#[derive(Debug)]
pub struct SpanSender {
    queue: SpanQueue,
    received: Receiver<BatchSpan>,
    exporter: SpanExporter,
    collector: Arc<CollectorClient>,
    scope: InstrumentationScope,
    /// Until when the last spans may take; not given before the end.
    ending: Arc<OnceLock<Instant>>,
    warned: LastWarning,
}

/// What was last said of spans that are dropped.
#[derive(Debug, Default)]
struct LastWarning {
    at: Option<Instant>,
    dropped: u64,
    fails: bool,
}

/// What sends spans, at work.
#[derive(Debug)]
pub struct SpanThread {
    thread: JoinHandle<()>,
    ending: Arc<OnceLock<Instant>>,
}

impl SpanSender {
    /// Nothing is asked of anybody yet. `instance` names the process.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(otlp: &Otlp, instance: &str) -> Result<Self, OtlpError> {
        let ending = Arc::<OnceLock<Instant>>::default();
        let collector = Arc::new(CollectorClient::new(&otlp.at, ending.clone())?);
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(collector.clone())
            // Not the address, which may be a secret: `CollectorClient` knows it.
            .with_endpoint("http://collector/v1/traces")
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(otlp.at.timeout)
            .with_retry_policy(RetryPolicy::recommended().with_max_retries(TRIES))
            .build()?;
        exporter.set_resource(&resource(instance));
        let (queue, received) = SpanQueue::new(QUEUE_MAX);
        let (scope, warned) = (scope(), LastWarning::default());
        Ok(Self { queue, received, exporter, collector, scope, ending, warned })
    }

    /// Where workers put spans.
    pub fn queue(&self) -> SpanQueue {
        self.queue.clone()
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// If there are no more threads.
    pub fn start(self) -> std::io::Result<SpanThread> {
        let ending = self.ending.clone();
        let thread = thread::Builder::new().name("otlp".into()).spawn(move || self.run())?;
        Ok(SpanThread { thread, ending })
    }

    fn run(mut self) {
        loop {
            let is_last = self.ending.get().is_some();
            let spans = self.gather();
            match spans.is_empty() {
                true if is_last => return,
                true => {}
                false => self.export(spans),
            }
            self.tell();
        }
    }

    /// Waits until there are some, but not for long.
    fn gather(&self) -> Vec<BatchSpan> {
        let mut spans = vec![];
        let mut until = None;
        while spans.len() < SPANS_MAX {
            let is_last = self.ending.get().is_some();
            if !is_last && until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            match self.received.recv_timeout(if is_last { Duration::ZERO } else { POLL }) {
                Ok(span) => {
                    until.get_or_insert_with(|| Instant::now() + GATHER);
                    spans.push(span);
                }
                Err(RecvTimeoutError::Timeout) if !is_last && until.is_some() => {}
                Err(_) => break,
            }
        }
        spans
    }

    fn export(&mut self, spans: Vec<BatchSpan>) {
        let sent = spans.len() as u64;
        let spans = spans.into_iter().map(|span| span_data(span, &self.scope)).collect();
        self.collector.begin();
        let exported = futures_executor::block_on(self.exporter.export(spans));
        let dropped = match exported {
            Ok(()) => self.collector.rejected().min(sent),
            Err(_) => sent,
        };
        let SpanCounts { exported, dropped: lost } = &**self.queue.counts();
        exported.fetch_add(sent - dropped, Ordering::Relaxed);
        lost.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Says once a minute that spans are dropped, and when the collector takes them again.
    fn tell(&mut self) {
        let (now, dropped) = (Instant::now(), self.queue.counts().dropped.load(Ordering::Relaxed));
        let reason = self.collector.trouble();
        if self.warned.fails && reason.is_none() {
            info!("the collector takes spans again");
            self.warned.fails = false;
        }
        let is_due = self.warned.at.is_none_or(|at| now.duration_since(at) >= TELL_AGAIN);
        if dropped > self.warned.dropped && is_due {
            self.warned.fails |= reason.is_some();
            let reason = reason.unwrap_or_else(|| "there are more than the collector takes".into());
            let more = dropped - self.warned.dropped;
            warn!(reason, dropped = more, "spans of batches are dropped; records go on");
            (self.warned.at, self.warned.dropped) = (Some(now), dropped);
        }
    }
}

impl SpanThread {
    /// Sends what is queued. Waits for that until `patience` is over.
    pub fn end(self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let _ = self.ending.set(deadline);
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        if !self.thread.is_finished() {
            warn!("the last spans of batches are dropped: the collector did not take them in time");
        }
    }
}

#[cfg(test)]
mod tests;
