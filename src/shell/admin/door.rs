//! Who may connect, how many at a time, for how long and with how many bytes.
//!
//! A connection may be cut at any moment, so a newcomer is never turned away for those who only
//! wait: when a peer has too many connections its oldest one goes, and when everybody together has,
//! the oldest of the peer with the most. Whoever opens connections and sends half a request therefore
//! pushes out itself. A probe sends its request at once and is answered within a millisecond. Only the
//! few connections that a page is being sent on keep their place.
//!
//! Reconnecting as fast as a network allows costs us one thread's time; that is for the network policy.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::Site;

/// Connections open at a time. Prometheus and the kubelet need three; each may cost
/// [`REQUEST_BYTES_MAX`] of buffer, so all of them 2 MiB.
pub const CONNECTIONS_MAX: usize = 256;
/// Of them one peer's: an address, or a network of IPv6 (/64), which is what one host has.
pub const PEER_CONNECTIONS_MAX: usize = 128;
/// Of them those that a page is sent on: it is made in memory, of a size that configuration bounds.
pub const PAGES_MAX: usize = 8;
/// How long a request's head may take, from the connection on.
pub const HEAD_LASTS: Duration = Duration::from_secs(2);
/// How long a connection lasts, whatever it is doing: a probe takes a millisecond.
pub const CONNECTION_LASTS: Duration = Duration::from_secs(5);
/// Bytes that a connection may send in all its life; a scrape's request has about 300. No request of
/// ours has a body.
pub const REQUEST_BYTES_MAX: usize = 8 << 10;
/// After a failure to accept, such as too many open files.
const AGAIN: Duration = Duration::from_millis(20);

/// An address that is listened to, and who came in.
pub struct Door {
    listener: TcpListener,
    guests: Arc<Guests>,
}

/// Everybody who is in.
#[derive(Default)]
struct Guests(Mutex<Places>);

#[derive(Default)]
struct Places {
    next: u64,
    /// By number: the lowest is the oldest.
    taken: BTreeMap<u64, Place>,
}

struct Place {
    peer: IpAddr,
    /// A page is being sent.
    page: bool,
    connection: AbortHandle,
}

impl Door {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, guests: Arc::default() }
    }

    /// Lets in and answers, until the process ends.
    pub async fn serve(self, site: Arc<Site>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => self.guests.admit(peer(from.ip()), stream, &site),
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    self.guests.lock().push_out(|_| true);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

impl Guests {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(self: &Arc<Self>, peer: IpAddr, stream: TcpStream, site: &Arc<Site>) {
        let mut places = self.lock();
        if !places.make_room(peer) {
            return;
        }
        let number = places.next;
        places.next += 1;
        let seat = Seat { guests: self.clone(), number };
        let connection = tokio::spawn(converse(stream, site.clone(), seat)).abort_handle();
        places.taken.insert(number, Place { peer, page: false, connection });
    }
}

impl Places {
    /// Whether `peer` may come in, once others have left for it.
    fn make_room(&mut self, peer: IpAddr) -> bool {
        if self.of(peer) >= PEER_CONNECTIONS_MAX {
            return self.push_out(|place| place.peer == peer);
        }
        if self.taken.len() < CONNECTIONS_MAX {
            return true;
        }
        let most = self.taken.values().map(|place| place.peer).max_by_key(|&peer| self.of(peer));
        self.push_out(|place| Some(place.peer) == most) || self.push_out(|_| true)
    }

    fn of(&self, peer: IpAddr) -> usize {
        self.taken.values().filter(|place| place.peer == peer).count()
    }

    /// Ends the oldest connection of those, unless a page is being sent on it.
    fn push_out(&mut self, whose: impl Fn(&Place) -> bool) -> bool {
        let found = self.taken.iter().find(|(_, place)| !place.page && whose(place));
        let Some((&number, place)) = found else { return false };
        place.connection.abort();
        self.taken.remove(&number);
        true
    }
}

/// One connection's place; given back when it ends.
pub struct Seat {
    guests: Arc<Guests>,
    number: u64,
}

impl Seat {
    /// Keeps the place until a page is sent; says whether there was one for that.
    pub fn reserve_page(&self) -> bool {
        let mut places = self.guests.lock();
        let pages = places.taken.values().filter(|place| place.page).count();
        match places.taken.get_mut(&self.number) {
            Some(place) if pages < PAGES_MAX => {
                place.page = true;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.guests.lock().taken.remove(&self.number);
    }
}

/// One request, one answer.
async fn converse(stream: TcpStream, site: Arc<Site>, seat: Seat) {
    let asked = Arc::new(AtomicBool::new(false));
    let guest = Guest {
        stream,
        head: Box::pin(tokio::time::sleep(HEAD_LASTS)),
        over: Box::pin(tokio::time::sleep(CONNECTION_LASTS)),
        asked: asked.clone(),
        bytes: REQUEST_BYTES_MAX,
    };
    let answer = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        let answer = site.answer(&request, &seat);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(REQUEST_BYTES_MAX);
    // Whatever ends it, the other side knows it best.
    let _ = http.serve_connection(TokioIo::new(guest), answer).await;
}

/// Whom an address belongs to.
fn peer(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let network = u128::from(ip) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        ip => ip,
    }
}

/// A connection that ends when its time or its bytes are over.
struct Guest {
    stream: TcpStream,
    head: Pin<Box<Sleep>>,
    over: Pin<Box<Sleep>>,
    /// Whether its request has arrived.
    asked: Arc<AtomicBool>,
    bytes: usize,
}

impl Guest {
    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let late =
            !self.asked.load(Ordering::Relaxed) && self.head.as_mut().poll(context).is_ready();
        match late || self.over.as_mut().poll(context).is_ready() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match self.bytes.checked_sub(buffer.filled().len() - before) {
            Some(left) => self.bytes = left,
            None => return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into())),
        }
        read
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(peers: &[&str]) -> Places {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut places = Places::default();
        for peer in peers {
            let connection = runtime.spawn(std::future::pending::<()>()).abort_handle();
            let place = Place { peer: peer.parse().unwrap(), page: false, connection };
            places.taken.insert(places.next, place);
            places.next += 1;
        }
        places
    }

    #[test]
    fn a_newcomer_takes_the_oldest_place_of_whoever_has_the_most() {
        let many = ["10.0.0.1"; PEER_CONNECTIONS_MAX];
        let some = ["10.0.0.2"; CONNECTIONS_MAX - PEER_CONNECTIONS_MAX - 1];
        let mut full = places(&[&["10.0.0.3"][..], &many, &some].concat());
        // One more of the greediest: its own oldest goes, not the oldest of all.
        assert!(full.make_room("10.0.0.1".parse().unwrap()));
        assert!(full.taken.contains_key(&0) && !full.taken.contains_key(&1));
        assert_eq!(full.of("10.0.0.1".parse().unwrap()), PEER_CONNECTIONS_MAX - 1);
        // One place is free now: a stranger takes it and nobody leaves.
        assert!(full.make_room("10.0.0.4".parse().unwrap()));
        assert_eq!(full.taken.len(), CONNECTIONS_MAX - 1);
        let mut full = places(&[&["10.0.0.3"][..], &many, &some].concat());
        assert!(full.make_room("10.0.0.4".parse().unwrap()));
        assert!(full.taken.contains_key(&0) && !full.taken.contains_key(&1));
    }

    #[test]
    fn only_those_that_a_page_is_sent_to_keep_their_place_and_they_are_few() {
        let mut full = places(&["10.0.0.1"; PEER_CONNECTIONS_MAX]);
        full.taken.values_mut().for_each(|place| place.page = true);
        assert!(!full.make_room("10.0.0.1".parse().unwrap()), "nobody can be pushed out");
        let guests = Arc::new(Guests(Mutex::new(places(&["10.0.0.1"; PAGES_MAX + 1]))));
        let seat = |number| std::mem::ManuallyDrop::new(Seat { guests: guests.clone(), number });
        let reserved = (0..=PAGES_MAX as u64).filter(|&number| seat(number).reserve_page());
        assert_eq!(reserved.count(), PAGES_MAX);
    }

    #[test]
    fn a_host_is_one_peer_whatever_address_of_its_network_it_takes() {
        let is = |ip: &str| peer(ip.parse().unwrap()).to_string();
        assert_eq!(is("2001:db8:0:1::7"), is("2001:db8:0:1:ffff::9"));
        assert_ne!(is("2001:db8:0:1::7"), is("2001:db8:0:2::7"));
        assert_eq!(is("::ffff:10.0.0.1"), "10.0.0.1");
        assert_ne!(is("10.0.0.1"), is("10.0.0.2"));
    }
}
