//! `/live`, `/ready`, `/metrics` and `/-/reload`, for the supervisor of the process. The first three read counters and change
//! nothing. A POST to the last one makes the process read its configuration and bundles again.
//!
//! A peer may be hostile. `door.rs` bounds what connections cost and keeps a place for probes; `token.rs` checks the
//! token. Probes are answered without a token, because a kubelet has none. Then the answer is one word. No answer holds more
//! than names from the configuration, offsets and counts. There is no TLS: on a network that others can read, put a mesh or a
//! proxy with TLS in front of it.

mod door;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;

use self::door::{Door, Seat};
use self::token::Token;
use super::clock;
use super::metrics;
use super::roster::Roster;
use crate::config::Admin;

/// Serves what `admin` says until the process ends, each address on a thread of its own.
///
/// # Errors
/// If an address cannot be bound; it is named.
pub fn serve(admin: &Admin, roster: Roster) -> Result<(), String> {
    let roster = Arc::new(roster);
    let token = admin.token.as_ref().map(Token::new).map(Arc::new);
    if admin.is_open() {
        let listen = admin.listen;
        tracing::warn!(%listen, "whoever reaches this address may read the metrics: set `token` in [admin]");
    }
    let pages = Site { roster: roster.clone(), token, pages: true };
    listen("admin", admin.listen, pages)?;
    if let Some(address) = admin.probe_listen {
        let detail = admin.token.as_ref().map(Token::new).map(Arc::new);
        listen("probes", address, Site { roster, token: detail, pages: false })?;
    }
    Ok(())
}

fn listen(name: &str, address: SocketAddr, site: Site) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot serve health on {address}: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    tracing::info!(listen = %address, "serving {}", site.paths());
    let site = Arc::new(site);
    let serving = move || runtime.block_on(Door::new(listener).serve(site));
    std::thread::Builder::new().name(name.into()).spawn(serving).map_err(failed)?;
    Ok(())
}

/// A POST to this path asks for the configuration and the bundles to be read again.
const RELOAD: &str = "/-/reload";

/// Answers the requests of one address.
struct Site {
    roster: Arc<Roster>,
    token: Option<Arc<Token>>,
    /// Whether it serves more than probes.
    pages: bool,
}

impl Site {
    fn paths(&self) -> &'static str {
        if self.pages { "/live, /ready, /metrics and /-/reload" } else { "/live and /ready" }
    }

    fn answer(&self, request: &Request<Incoming>, seat: &Seat) -> Response<String> {
        let path = request.uri().path();
        let known = matches!(path, "/live" | "/ready") || self.pages && path == "/metrics";
        let reload = self.pages && path == RELOAD;
        let (allowed, allow) = match reload {
            true => (*request.method() == Method::POST, "POST"),
            false => (matches!(*request.method(), Method::GET | Method::HEAD), "GET, HEAD"),
        };
        if (known || reload) && !allowed {
            let mut answer = words(StatusCode::METHOD_NOT_ALLOWED, "");
            answer.headers_mut().insert(ALLOW, allow.parse().expect("a header"));
            return answer;
        }
        let trusted = self.token.as_ref().is_none_or(|token| token.is_in(request.headers()));
        let (roster, now) = (&self.roster, clock::now());
        let patience = roster.patience;
        match path {
            "/live" => probe("alive", roster.stuck(now, patience), vec![], trusted),
            "/ready" => {
                let held = roster.held().into_iter().map(|line| format!("held still: {line}"));
                let stalled = roster.stalled(now).into_iter();
                let stalled = stalled.map(|line| format!("stalled: {line}"));
                let blind = roster.blind(now).into_iter();
                let blind = blind.map(|line| format!("the alarm is blind: {line}"));
                let rights = roster.missing_rights().into_iter();
                let rights = rights.map(|line| format!("a right is missing: {line}"));
                let idle = roster.without_partition().into_iter();
                let idle = idle.map(|line| format!("idle: {line}"));
                let refused = roster.refused(now).into_iter();
                let refused = refused.map(|why| format!("a new configuration is refused {why}"));
                let rights = refused.chain(rights);
                let besides = rights.chain(held).chain(stalled).chain(blind).chain(idle);
                probe("ready", roster.unready(now, patience), besides.collect(), trusted)
            }
            _ if !self.pages => words(StatusCode::NOT_FOUND, ""),
            _ if !trusted => {
                let mut answer = words(StatusCode::UNAUTHORIZED, "");
                answer.headers_mut().insert(WWW_AUTHENTICATE, "Bearer".parse().expect("a header"));
                answer
            }
            // A change needs the token, even where pages need none.
            RELOAD if self.token.is_none() => {
                words(StatusCode::FORBIDDEN, "set `token` in [admin] to reload by request\n")
            }
            RELOAD => {
                roster.reloads.ask();
                words(StatusCode::ACCEPTED, "reloading; /ready says what is refused\n")
            }
            "/metrics" if seat.reserve_page() => {
                let mut answer = words(StatusCode::OK, "");
                *answer.body_mut() = metrics::render(roster, now);
                let kind = metrics::CONTENT_TYPE.parse().expect("a header");
                answer.headers_mut().insert(CONTENT_TYPE, kind);
                answer
            }
            "/metrics" => {
                let mut answer = words(StatusCode::SERVICE_UNAVAILABLE, "too many readers\n");
                answer.headers_mut().insert(RETRY_AFTER, "1".parse().expect("a header"));
                answer
            }
            _ => words(StatusCode::NOT_FOUND, ""),
        }
    }
}

fn words(status: StatusCode, body: &str) -> Response<String> {
    let mut answer = Response::new(body.to_owned());
    *answer.status_mut() = status;
    let plain = "text/plain; charset=utf-8".parse().expect("a header");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer.headers_mut().insert(CACHE_CONTROL, "no-store".parse().expect("a header"));
    answer
}

/// `what` holds if nothing is `against` it. `besides` is printed and changes nothing. Only a peer that is `trusted` gets the
/// reasons.
fn probe(
    what: &str,
    against: Vec<String>,
    besides: Vec<String>,
    trusted: bool,
) -> Response<String> {
    let (status, first) = match against.is_empty() {
        true => (StatusCode::OK, what.to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("not {what}")),
    };
    let why = against.into_iter().chain(besides).filter(|_| trusted);
    let lines: Vec<String> = std::iter::once(first).chain(why).collect();
    words(status, &(lines.join("\n") + "\n"))
}

#[cfg(test)]
mod tests;
