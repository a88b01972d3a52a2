use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::door::{CONNECTION_LASTS, CONNECTIONS_MAX, PAGES_MAX, PEER_CONNECTIONS_MAX};
use super::*;
use crate::config::Hidden;
use crate::record::{Partition, Timestamp};
use crate::shell::roster::tests::roster;

const TOKEN: &str = "c4n4ry-of-sixteen";

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn listening_with(roster: Roster, token: Option<&str>) -> Admin {
    let token = token.map(|token| Hidden::new(token.to_owned()));
    let admin = Admin { listen: free(), probe_listen: Some(free()), token };
    serve(&admin, roster).unwrap();
    admin
}

fn listening(roster: Roster) -> SocketAddr {
    listening_with(roster, None).listen
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

fn ask_with(to: SocketAddr, path: &str, header: &str) -> String {
    send(to, format!("GET {path} HTTP/1.1\r\nhost: a\r\n{header}\r\n").as_bytes())
}

fn ask(to: SocketAddr, path: &str) -> String {
    ask_with(to, path, "")
}

/// Connections that send half a request and wait.
fn half_open(to: SocketAddr, how_many: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.write_all(b"GET /li").unwrap();
        stream
    };
    (0..how_many).map(connect).collect()
}

#[test]
fn ready_names_what_is_held_and_stays_ready_for_the_rest() {
    let roster = roster();
    let threads: Vec<_> =
        roster.streams[0].workers.iter().chain([&roster.streams[0].monitor]).cloned().collect();
    let at = listening(roster);
    assert!(ask(at, "/ready").starts_with("HTTP/1.1 503"));
    assert!(ask(at, "/live").contains("not alive\nstream fashion: worker-0 has not begun\n"));
    for thread in &threads {
        thread.beat(clock::now());
        thread.join();
    }
    threads[0].rebalanced(2, false);
    threads[0].held(1);
    threads[0].hold(Partition(3), "its state is gone");
    threads[0].waits(Partition(3), Some(Timestamp(clock::now().0 - 75_400)));
    threads[0].waits(Partition(4), Some(Timestamp(clock::now().0 - 10_000)));
    threads[0].stalls(Partition(3), true);
    let said = ask(at, "/ready");
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let body = "ready\nheld still: stream fashion: partition 3: its state is gone\nstalled: stream \
                fashion: partition 3: no progress for 75 s although records wait\nidle: stream fashion: \
                worker-1 has no partition: its group has given it none\n";
    assert!(said.ends_with(body), "{said}");
    assert!(ask(at, "/live").ends_with("\r\n\r\nalive\n"));
    let page = ask(at, "/metrics");
    assert!(page.contains("content-type: text/plain; version=0.0.4"), "{page}");
    assert!(page.contains("tripline_partitions_held{stream=\"fashion\"} 1\n"), "{page}");
}

#[test]
fn probes_are_answered_however_many_half_requests_wait() {
    let at = listening(roster());
    for how_many in [80, PEER_CONNECTIONS_MAX, 3 * CONNECTIONS_MAX] {
        let waiting = half_open(at, how_many);
        for _ in 0..3 {
            assert!(ask(at, "/live").starts_with("HTTP/1.1 503"), "behind {how_many}");
        }
        drop(waiting);
    }
}

#[test]
fn requests_whose_body_never_comes_hold_no_place() {
    let at = listening(roster());
    let request = b"POST /live HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nx";
    let waiting: Vec<TcpStream> = (0..2 * CONNECTIONS_MAX)
        .map(|_| {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(request).unwrap();
            stream
        })
        .collect();
    assert!(ask(at, "/live").starts_with("HTTP/1.1 503"));
    drop(waiting);
}

#[test]
fn a_half_request_is_cut_off_after_its_head_deadline() {
    let at = listening(roster());
    let started = Instant::now();
    let mut waiting = half_open(at, 1).remove(0);
    waiting.set_read_timeout(Some(4 * CONNECTION_LASTS)).unwrap();
    let _ = waiting.read_to_end(&mut vec![]);
    assert!(started.elapsed() < CONNECTION_LASTS, "it was only cut off as any connection is");
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let at = listening(roster());
    let long = [b"GET /live HTTP/1.1\r\nx: ".as_slice(), &vec![b'a'; 1 << 20]].concat();
    let said = send(at, &long);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
}

#[test]
fn pages_need_the_token_and_probes_say_one_word_without_it() {
    let admin = listening_with(roster(), Some(TOKEN));
    let right = format!("authorization: Bearer {TOKEN}\r\n");
    for path in ["/metrics", "/", "/anything"] {
        let said = ask(admin.listen, path);
        assert!(said.starts_with("HTTP/1.1 401"), "{path}: {said}");
        assert!(said.contains("www-authenticate: Bearer"), "{said}");
    }
    let wrong = "authorization: Bearer c4n4ry-of-sixteem\r\n";
    assert!(ask_with(admin.listen, "/metrics", wrong).starts_with("HTTP/1.1 401"));
    assert!(ask_with(admin.listen, "/metrics", &right).starts_with("HTTP/1.1 200"));
    assert!(ask_with(admin.listen, "/", &right).starts_with("HTTP/1.1 404"));
    for at in [admin.listen, admin.probe_listen.unwrap()] {
        for path in ["/live", "/ready"] {
            let said = ask(at, path);
            assert!(said.starts_with("HTTP/1.1 503") && !said.contains("fashion"), "{said}");
            assert!(ask_with(at, path, &right).contains("stream fashion: worker-0"));
        }
    }
}

#[test]
fn where_only_probes_are_served_there_is_nothing_else() {
    let admin = listening_with(roster(), None);
    let probes = admin.probe_listen.unwrap();
    assert!(ask(probes, "/live").starts_with("HTTP/1.1 503"));
    assert!(ask(probes, "/metrics").starts_with("HTTP/1.1 404"));
    // They have a thread of their own: what happens at the other door is not theirs.
    let waiting = half_open(admin.listen, CONNECTIONS_MAX);
    assert!(ask(probes, "/ready").starts_with("HTTP/1.1 503"));
    drop(waiting);
}

#[test]
fn readers_that_do_not_read_keep_out_other_readers_and_no_probe() {
    let at = listening(roster());
    let request = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";
    let slow: Vec<TcpStream> = (0..4 * PAGES_MAX)
        .map(|_| {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(request).unwrap();
            stream
        })
        .collect();
    assert!(ask(at, "/live").starts_with("HTTP/1.1 503"));
    drop(slow);
}

#[test]
fn only_the_three_pages_are_there_and_only_to_be_read() {
    let at = listening(roster());
    for (request, status) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "404"),
        ("GET /metrics/../live HTTP/1.1\r\nhost: a\r\n\r\n", "404"),
        ("HEAD /live HTTP/1.1\r\nhost: a\r\n\r\n", "503"),
        ("POST /live HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "405"),
        ("\0\0\0\0\r\n\r\n", "400"),
    ] {
        let said = send(at, request.as_bytes());
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {said}");
    }
}
