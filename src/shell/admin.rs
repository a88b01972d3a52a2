//! `/live`, `/ready` and `/metrics`, for whoever supervises the process. Reads counters, changes
//! nothing.
//!
//! Whoever reaches the port may be hostile: connections are few and short, a request is small, and
//! no answer holds more than names from the configuration, offsets and counts. It cannot tell a
//! probe from a flood: whoever can keep `CONNECTIONS_MAX` connections open keeps probes out, which
//! is what the network policy is for.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use super::clock;
use super::metrics;
use super::roster::Roster;

/// A thread that did not come around for this long hangs: restart it. Restoring after a rebalance
/// may wait for three transaction timeouts.
const PATIENCE: Duration = Duration::from_secs(120);

/// Connections open at a time. Prometheus and the kubelet need three; each may cost
/// [`REQUEST_BYTES_MAX`] of buffer, so all of them 2 MiB.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection lasts, whatever it is doing: a probe takes a millisecond.
const CONNECTION_LASTS: Duration = Duration::from_secs(5);
/// Bytes that a connection may send in all its life; a scrape's request has about 300.
const REQUEST_BYTES_MAX: usize = 32 << 10;

/// Serves until the process ends, on a thread of its own.
///
/// # Errors
/// If the address cannot be bound.
pub fn serve(listen: SocketAddr, roster: Roster) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(listen))?;
    tracing::info!(%listen, "serving /live, /ready and /metrics");
    std::thread::Builder::new().name("admin".into()).spawn(move || {
        let door = Door { listener, open: Arc::new(()) };
        let ended = runtime.block_on(async { axum::serve(door, router(roster)).await });
        if let Err(error) = ended {
            tracing::error!(%error, "health is not served any more");
        }
    })?;
    Ok(())
}

fn router(roster: Roster) -> Router {
    let roster = Arc::new(roster);
    let (live, ready) = (roster.clone(), roster.clone());
    Router::new()
        .route(
            "/live",
            get(async move || answer("alive", live.stuck(clock::now(), PATIENCE), vec![])),
        )
        .route(
            "/ready",
            get(async move || {
                let now = clock::now();
                let held = ready.held().into_iter().map(|line| format!("held still: {line}"));
                let stalled = ready.stalled(now).into_iter().map(|line| format!("stalled: {line}"));
                answer("ready", ready.unready(now, PATIENCE), held.chain(stalled).collect())
            }),
        )
        .route(
            "/metrics",
            get(async move || {
                let page = metrics::render(&roster, clock::now());
                ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], page)
            }),
        )
}

/// `what` it is unless something stands `against` it; `besides` is said and changes nothing.
fn answer(what: &str, against: Vec<String>, besides: Vec<String>) -> impl IntoResponse {
    let (status, first) = match against.is_empty() {
        true => (StatusCode::OK, what.to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("not {what}")),
    };
    let lines: Vec<String> = std::iter::once(first).chain(against).chain(besides).collect();
    (status, lines.join("\n") + "\n")
}

/// Lets in so many at a time, each for so long and with so many bytes.
struct Door {
    listener: TcpListener,
    /// One clone per open connection.
    open: Arc<()>,
}

impl axum::serve::Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        loop {
            let (stream, from) = axum::serve::Listener::accept(&mut self.listener).await;
            // One too many is turned away at once: waiting would make it everybody's wait.
            if Arc::strong_count(&self.open) <= CONNECTIONS_MAX {
                let over = Box::pin(tokio::time::sleep(CONNECTION_LASTS));
                let open = self.open.clone();
                return (Guest { stream, over, bytes: REQUEST_BYTES_MAX, _open: open }, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its time or its bytes are over.
struct Guest {
    stream: TcpStream,
    over: Pin<Box<Sleep>>,
    bytes: usize,
    _open: Arc<()>,
}

impl Guest {
    fn check_time(&mut self, context: &mut Context<'_>) -> std::io::Result<()> {
        match self.over.as_mut().poll(context) {
            Poll::Ready(()) => Err(std::io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.check_time(context)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match self.bytes.checked_sub(buffer.filled().len() - before) {
            Some(left) => self.bytes = left,
            None => return Poll::Ready(Err(std::io::ErrorKind::QuotaExceeded.into())),
        }
        read
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;
    use crate::record::{Partition, Timestamp};
    use crate::shell::roster::tests::roster;

    fn listening(roster: Roster) -> SocketAddr {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        serve(free, roster).unwrap();
        free
    }

    fn send(to: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(4 * CONNECTION_LASTS)).unwrap();
        // The other end may hang up in the middle of a hostile request.
        let _ = stream.write_all(request);
        let mut said = vec![];
        let _ = stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }

    fn ask(to: SocketAddr, path: &str) -> String {
        send(to, format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())
    }

    #[test]
    fn ready_names_what_is_held_and_stays_ready_for_the_rest() {
        let roster = roster();
        let threads: Vec<_> =
            roster.streams[0].workers.iter().chain([&roster.streams[0].judge]).cloned().collect();
        let at = listening(roster);
        assert!(ask(at, "/ready").starts_with("HTTP/1.1 503"));
        assert!(ask(at, "/live").contains("not alive\nstream fashion: worker-0 has not begun\n"));
        for thread in &threads {
            thread.beat(clock::now());
            thread.join();
        }
        threads[0].held(1);
        threads[0].hold(Partition(3), "its state is gone");
        threads[0].waits(Partition(3), Some(Timestamp(clock::now().0 - 75_400)));
        threads[0].waits(Partition(4), Some(Timestamp(clock::now().0 - 10_000)));
        threads[0].stalls(Partition(3), true);
        let said = ask(at, "/ready");
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        let body = "ready\nheld still: stream fashion: partition 3: its state is gone\nstalled: stream \
                    fashion: partition 3: no progress for 75 s although records wait\n";
        assert!(said.ends_with(body), "{said}");
        assert!(ask(at, "/live").ends_with("\r\n\r\nalive\n"));
        let page = ask(at, "/metrics");
        assert!(page.contains("content-type: text/plain; version=0.0.4"), "{page}");
        assert!(page.contains("tripline_partitions_held{stream=\"fashion\"} 1\n"), "{page}");
    }

    #[test]
    fn a_request_that_never_ends_is_cut_off_and_others_are_served_meanwhile() {
        let at = listening(roster());
        let long = [b"GET /live HTTP/1.1\r\nx: ".as_slice(), &vec![b'a'; 1 << 20]].concat();
        let said = send(at, &long);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
        let started = Instant::now();
        let mut slow: Vec<TcpStream> =
            (0..CONNECTIONS_MAX - 1).map(|_| TcpStream::connect(at).unwrap()).collect();
        slow.iter_mut().for_each(|stream| stream.write_all(b"GET /li").unwrap());
        assert!(ask(at, "/live").starts_with("HTTP/1.1 503"), "one place is left");
        let mut end = vec![];
        let last = slow.last_mut().unwrap();
        last.set_read_timeout(Some(4 * CONNECTION_LASTS)).unwrap();
        let _ = last.read_to_end(&mut end);
        assert!(started.elapsed() < 3 * CONNECTION_LASTS, "a slow client stays");
    }

    #[test]
    fn only_the_three_pages_are_there_and_only_to_be_read() {
        let at = listening(roster());
        for (request, status) in [
            ("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "404"),
            ("GET /metrics/../live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "404"),
            (
                "POST /live HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                "405",
            ),
            ("\0\0\0\0\r\n\r\n", "400"),
        ] {
            let said = send(at, request.as_bytes());
            assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {said}");
        }
    }
}
