//! The collector, asked through our own HTTP client, with its certificates, login and headers.
//!
//! It sends what the exporter encoded, and nothing else of the exporter's request: no header that the environment names, and not
//! to its address. No message holds the address or a secret.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use ureq::http::header::RETRY_AFTER;

use crate::config::Endpoint;
use crate::shell::http::CaFileError;
use crate::shell::routes::post::{Post, Reply};

/// What OTLP over HTTP is, unless it is JSON.
const CONTENT_TYPE: &str = "application/x-protobuf";

/// Who takes spans.
pub struct CollectorClient {
    post: Post,
    /// For all tries of one request.
    timeout: Duration,
    ending: Arc<OnceLock<Instant>>,
    request: Mutex<Attempt>,
}

/// The request that is on its way, or the last one.
#[derive(Debug, Default)]
struct Attempt {
    until: Option<Instant>,
    trouble: Option<String>,
    rejected: u64,
}

impl CollectorClient {
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(at: &Endpoint, ending: Arc<OnceLock<Instant>>) -> Result<Self, CaFileError> {
        let (post, request) = (Post::new(at, "")?, Mutex::default());
        Ok(Self { post, timeout: at.timeout, ending, request })
    }

    /// Another request begins, with time of its own.
    pub fn begin(&self) {
        let until = Some(Instant::now() + self.timeout);
        *self.lock() = Attempt { until, ..Attempt::default() };
    }

    /// Why spans of the last request were not taken.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// How many of its spans the collector refused of a request that it took.
    pub fn rejected(&self) -> u64 {
        self.lock().rejected
    }

    /// How long the next try may take.
    fn left(&self) -> Duration {
        let until = [self.lock().until, self.ending.get().copied()];
        let until = until.into_iter().flatten().min();
        until.map_or(self.timeout, |until| until.saturating_duration_since(Instant::now()))
    }

    fn ask(&self, body: &[u8]) -> Result<Reply, String> {
        match self.left() {
            Duration::ZERO => Err("it did not answer in time".to_owned()),
            left => self.post.exchange((CONTENT_TYPE, &[]), body, left),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Attempt> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    /// Waits for the answer where it is called: on the thread that sends spans.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let reply = match self.ask(request.body()) {
            Ok(reply) => reply,
            Err(reason) => {
                // What went wrong first says more than that there is no time left.
                self.lock().trouble.get_or_insert(reason.clone());
                return Err(reason.into());
            }
        };
        let mut attempt = self.lock();
        (attempt.trouble, attempt.rejected) = match reply.status.is_success() {
            true => partly(&reply.body),
            false => (Some(reply.words(&self.post)), 0),
        };
        let mut response = Response::builder().status(reply.status);
        if let Some(after) = reply.after {
            response = response.header(RETRY_AFTER, after.as_secs());
        }
        Ok(response.body(reply.body.into())?)
    }
}

/// What a collector says that took a request: how many spans it refused of it.
fn partly(body: &[u8]) -> (Option<String>, u64) {
    // Whatever else it says, it took the request.
    let said = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let rejected = said.partial_success.map_or(0, |partial| partial.rejected_spans);
    let rejected = u64::try_from(rejected).unwrap_or(0);
    ((rejected > 0).then(|| "the collector refused a part of them".to_owned()), rejected)
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectorClient")
    }
}
