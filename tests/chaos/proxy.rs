//! Stands between the guards and one broker, and loses what a commit waits for.
//!
//! Reads the length-prefixed frames of Kafka's protocol: of a request the key and the correlation
//! id, of a reply the id, to know whose it is. Everything passes untouched, but while there is
//! trouble some replies to EndTxn, TxnOffsetCommit and AddOffsetsToTxn come late, never, or take the
//! connection with them, and while it is slow all come after seconds. It cannot lose a request: the broker always did what the reply would say.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is done to replies while it is on, and how often it was.
pub struct Trouble {
    on: AtomicBool,
    slow: AtomicBool,
    dice: Mutex<ChaCha8Rng>,
    pub delayed: AtomicU64,
    pub swallowed: AtomicU64,
    pub cut: AtomicU64,
}

/// What becomes of one reply.
enum Fate {
    Passes,
    Delayed(Duration),
    /// Never comes; the connection stays.
    Swallowed,
    /// The connection ends in its place.
    Cut,
}

const ADD_OFFSETS_TO_TXN: i16 = 25;
const END_TXN: i16 = 26;
const TXN_OFFSET_COMMIT: i16 = 28;
/// Larger than any frame of ours; what claims more is no Kafka.
const FRAME_MAX: usize = 128 << 20;

impl Trouble {
    pub fn new(seed: u64) -> Self {
        Self {
            on: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            dice: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            delayed: AtomicU64::new(0),
            swallowed: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        }
    }

    pub fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Every reply comes, after 2 to 6 s.
    pub fn slow(&self, on: bool) {
        self.slow.store(on, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        [&self.delayed, &self.swallowed, &self.cut].iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    fn fate(&self, key: i16) -> Fate {
        let ours = [ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT].contains(&key);
        let (on, slow) = (self.on.load(Ordering::Relaxed), self.slow.load(Ordering::Relaxed));
        if !ours || !(on || slow) {
            return Fate::Passes;
        }
        let mut dice = self.dice.lock().expect("no panic while held");
        if slow {
            self.delayed.fetch_add(1, Ordering::Relaxed);
            return Fate::Delayed(Duration::from_millis(dice.random_range(2000..6000)));
        }
        let (fate, counter) = match dice.random_range(0..100) {
            0..70 => return Fate::Passes,
            70..88 => {
                let late = Duration::from_millis(dice.random_range(20..3000));
                (Fate::Delayed(late), &self.delayed)
            }
            88..96 => (Fate::Cut, &self.cut),
            _ => (Fate::Swallowed, &self.swallowed),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        fate
    }
}

/// A listening proxy; its threads end with the program.
pub struct Proxy {
    port: u16,
}

impl Proxy {
    /// Listens on a port of its own and passes everything on to `upstream`.
    pub fn start(upstream: u16, trouble: Arc<Trouble>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A broker that is not there looks just like that: the connection ends.
                let Ok(broker) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
                let _ = join(client, broker, trouble.clone());
            }
        });
        Self { port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Requests that wait for a reply: which kind each was.
type Waiting = Arc<Mutex<HashMap<i32, i16>>>;

fn join(client: TcpStream, broker: TcpStream, trouble: Arc<Trouble>) -> io::Result<()> {
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let waiting = Waiting::default();
    let (from, to, asked) = (client.try_clone()?, broker.try_clone()?, waiting.clone());
    thread::spawn(move || {
        let _ = requests(&from, &to, &asked);
        end(&from, &to);
    });
    thread::spawn(move || {
        let _ = replies(&broker, &client, &waiting, &trouble);
        end(&client, &broker);
    });
    Ok(())
}

fn end(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

fn requests(mut from: &TcpStream, mut to: &TcpStream, waiting: &Waiting) -> io::Result<()> {
    let mut frame = vec![];
    loop {
        read_frame(&mut from, &mut frame)?;
        if let [_, _, _, _, k0, k1, _, _, c0, c1, c2, c3, ..] = frame[..] {
            let (key, id) = (i16::from_be_bytes([k0, k1]), i32::from_be_bytes([c0, c1, c2, c3]));
            if [ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT].contains(&key) {
                waiting.lock().expect("no panic while held").insert(id, key);
            }
        }
        to.write_all(&frame)?;
    }
}

fn replies(
    mut from: &TcpStream,
    mut to: &TcpStream,
    waiting: &Waiting,
    trouble: &Trouble,
) -> io::Result<()> {
    let mut frame = vec![];
    loop {
        read_frame(&mut from, &mut frame)?;
        let mut key = None;
        if let [_, _, _, _, c0, c1, c2, c3, ..] = frame[..] {
            let id = i32::from_be_bytes([c0, c1, c2, c3]);
            key = waiting.lock().expect("no panic while held").remove(&id);
        }
        match key.map_or(Fate::Passes, |key| trouble.fate(key)) {
            Fate::Passes => {}
            // Replies on a connection come in order: all behind it wait too, as in a slow network.
            Fate::Delayed(late) => thread::sleep(late),
            Fate::Swallowed => continue,
            Fate::Cut => return Ok(()),
        }
        to.write_all(&frame)?;
    }
}

/// Reads one frame, its length in front.
fn read_frame(from: &mut &TcpStream, frame: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let n = usize::try_from(i32::from_be_bytes(length)).ok().filter(|&n| n <= FRAME_MAX);
    let n = n.ok_or_else(|| io::Error::other("not a frame"))?;
    frame.clear();
    frame.extend(length);
    frame.resize(4 + n, 0);
    from.read_exact(&mut frame[4..])
}
