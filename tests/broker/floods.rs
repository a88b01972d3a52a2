//! Records that are meant to take all memory, through a real Kafka: the guard stays within what it declares,
//! every record leaves, and the records of another partition do not wait for them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const INPUT: &str = "shuttle.requests";
const GROUP: &str = "tripline.shuttle";
/// The partition of the hostile sender, and that of an honest one.
const HOSTILE: i32 = 0;
const HONEST: i32 = 1;

const ROW: &str = "[45, 0, 86, 0, 44, -17, 41, 42, 2]";
const BOMBS: usize = 300;
const HEADERS: usize = 99_000;
const LARGE: usize = 300;
const INVENTED: u32 = 100_000;
/// Between two honest records.
const HONEST_EVERY: Duration = Duration::from_millis(20);
/// Honest records that may wait at any time: what half a minute brings, on a machine with other work.
const BEHIND_MAX: i64 = 1500;
/// Hostile records that may be worked on while none of the honest ones that wait is: what the client's queue
/// holds, and one more fetch of a megabyte.
const BEFORE_MAX: i64 = 30_000;
/// Questions to the registry: 20 at once and one a second for each partition (`src/shell/registry.rs`).
const QUESTIONS_MAX: usize = 200;

/// A registry that has no schema and says so in its own words.
struct Registry {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let asked = Arc::<AtomicUsize>::default();
        let count = asked.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(reader) = stream.try_clone() else { continue };
                let head = BufReader::new(reader).lines().map_while(Result::ok);
                let asks = head.take_while(|line| !line.is_empty()).count() > 0;
                count.fetch_add(usize::from(asks), Ordering::Relaxed);
                let body = r#"{"error_code":40403,"message":"Schema not found"}"#;
                let _ = write!(
                    &stream,
                    "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, asked }
    }
}

/// An honest sender, and how his records fare.
struct Honest {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<usize>,
    watch: JoinHandle<(i64, i64)>,
}

impl Honest {
    fn start(broker: &Broker) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let producer = producer(broker);
        let told = stop.clone();
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while !told.load(Ordering::Relaxed) {
                send(&producer, HONEST, Some(ROW.as_bytes()), None);
                sent += 1;
                thread::sleep(HONEST_EVERY);
            }
            producer.flush(Duration::from_secs(60)).expect("all are sent");
            sent
        });
        let consumer = looker(broker);
        let told = stop.clone();
        let watch = thread::spawn(move || {
            let (mut most, mut most_before) = (0, 0);
            let (mut next, mut hostile) = (0, 0);
            while !told.load(Ordering::Relaxed) {
                let (committed, end) = stands(&consumer, HONEST);
                let (beside, _) = stands(&consumer, HOSTILE);
                if committed > next || committed == end {
                    (next, hostile) = (committed, beside);
                }
                most = most.max(end - committed);
                most_before = most_before.max(beside - hostile);
                thread::sleep(Duration::from_millis(100));
            }
            (most, most_before)
        });
        Self { stop, sender, watch }
    }

    /// How many were sent, how many waited at most, and for how many hostile ones they did.
    fn stop(self) -> (usize, i64, i64) {
        self.stop.store(true, Ordering::Relaxed);
        let (most, before) = self.watch.join().expect("it looks");
        (self.sender.join().expect("it sends"), most, before)
    }
}

fn producer(broker: &Broker) -> BaseProducer {
    let mut client = broker.client();
    client.set("message.max.bytes", "4000000").set("linger.ms", "5");
    client.create().expect("a producer")
}

fn send(
    producer: &BaseProducer,
    partition: i32,
    value: Option<&[u8]>,
    headers: Option<&OwnedHeaders>,
) {
    loop {
        let mut record = BaseRecord::<(), [u8]>::to(INPUT).partition(partition);
        record.payload = value;
        record.headers = headers.cloned();
        if producer.send(record).is_ok() {
            break;
        }
        producer.poll(Duration::from_millis(10));
    }
    producer.poll(Duration::ZERO);
}

/// A consumer that asks where a group stands, and joins nothing.
fn looker(broker: &Broker) -> BaseConsumer {
    let mut client = broker.client();
    client.set("group.id", GROUP).set("isolation.level", "read_uncommitted");
    client.create().expect("a consumer")
}

/// Records of a partition that the guard has not committed.
fn behind(consumer: &BaseConsumer, partition: i32) -> i64 {
    let (committed, end) = stands(consumer, partition);
    end - committed
}

/// Up to where the guard has committed a partition, and where it ends.
fn stands(consumer: &BaseConsumer, partition: i32) -> (i64, i64) {
    let timeout = Duration::from_secs(20);
    let end = Instant::now() + timeout;
    let committed = loop {
        let mut list = TopicPartitionList::new();
        list.add_partition(INPUT, partition);
        match consumer.committed_offsets(list, timeout) {
            Ok(committed) => break committed,
            // A broker that has just started is still loading its groups.
            Err(error) => assert!(Instant::now() < end, "committed offsets: {error}"),
        }
        thread::sleep(Duration::from_millis(100));
    };
    let committed = match committed.elements()[0].offset() {
        Offset::Offset(offset) => offset,
        _ => 0,
    };
    (committed, consumer.fetch_watermarks(INPUT, partition, timeout).expect("watermarks").1)
}

/// The highest resident memory that a process ever had.
fn peak(process: &Process) -> u64 {
    let path = format!("/proc/{}/status", process.child.id());
    let status = std::fs::read_to_string(path).expect("the guard runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

fn metric(admin: u16, name: &str) -> f64 {
    let page = ureq::get(format!("http://127.0.0.1:{admin}/metrics")).call().expect("an answer");
    let page = page.into_body().read_to_string().expect("text");
    let value = page.lines().find(|line| line.starts_with(name)).expect(name);
    value.rsplit(' ').next().expect("a value").parse().expect("a number")
}

/// The verdict of each input record, by partition and offset, in all outputs.
fn verdicts(broker: &Broker) -> BTreeMap<(i32, i64), String> {
    let mut client = broker.client();
    client.set("group.id", "floods").set("isolation.level", "read_committed");
    client.set("enable.partition.eof", "true");
    let mut found = BTreeMap::new();
    for topic in ["sanitized", "quarantine", "dead-letter"] {
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        for partition in [HOSTILE, HONEST] {
            let topic = format!("shuttle.{topic}");
            list.add_partition_offset(&topic, partition, Offset::Beginning).expect("a beginning");
        }
        consumer.assign(&list).expect("assigned");
        let (mut left, end) = (2, Instant::now() + Duration::from_secs(60));
        while left > 0 {
            assert!(Instant::now() < end, "{topic}: not to the end");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    let (place, verdict) = ours(message.headers().expect("headers"));
                    let before = found.insert(place, verdict);
                    assert_eq!(before, None, "{place:?} left twice");
                }
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                _ => {}
            }
        }
    }
    found
}

/// What our headers say: where the record comes from and what became of it.
fn ours(headers: &impl Headers) -> ((i32, i64), String) {
    let of = |name: &str| headers.iter().filter(|header| header.key == name).last();
    let trace = of("tripline-trace").and_then(|header| header.value).expect("a trace");
    let partition = i32::from_le_bytes(trace[2..6].try_into().expect("4 bytes"));
    let offset = i64::from_le_bytes(trace[6..14].try_into().expect("8 bytes"));
    let verdict = of("tripline-verdict").and_then(|header| header.value).expect("a verdict");
    ((partition, offset), String::from_utf8_lossy(verdict).into_owned())
}

fn configure(broker: &Broker, registry: &Registry, admin: u16) -> String {
    let text = format!(
        r#"
instance = "floods"

[kafka]
brokers = "{brokers}"

[admin]
listen = "127.0.0.1:{admin}"

[registry]
url = "{registry}"

[[stream]]
name = "shuttle"
input = "{INPUT}"
bundle = "{bundle}"
codec = "auto"
mode = "enforce"
"#,
        brokers = broker.address(),
        registry = registry.url,
        bundle = root().join("models/shuttle").display(),
    );
    text_path(&file(broker, "tripline.toml", &text))
}

fn text_path(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn header_bombs_large_records_and_invented_schemas_take_no_more_memory_than_declared() {
    let _turn = turn();
    let broker = Broker::start_large();
    broker.create_topic(INPUT, 2, &[("max.message.bytes", "4000000")]);
    let (registry, admin) = (Registry::start(), free_port());
    let config = configure(&broker, &registry, admin);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let applied = Process::tripline(&["topics", "-c", &config, "--apply"], &log).child.wait();
    assert!(applied.expect("it ends").success());
    let mut guard = Process::tripline(&["run", "-c", &config], &log);
    let looker = looker(&broker);
    let honest = Honest::start(&broker);
    wait_until("the honest records flow", Duration::from_secs(60), || {
        behind(&looker, HONEST) < 50 && guard_is_up(admin)
    });
    let declared = metric(admin, "tripline_memory_declared_bytes");

    let hostile = producer(&broker);
    let afterwards = |what: &str| {
        let began = Instant::now();
        hostile.flush(Duration::from_secs(60)).expect("all are sent");
        wait_until(what, Duration::from_secs(120), || behind(&looker, HOSTILE) == 0);
        let peak = peak(&guard) >> 20;
        println!("{what}: {:?} after the last was sent, at most {peak} MiB", began.elapsed());
    };
    let bomb = (0..HEADERS)
        .fold(OwnedHeaders::new(), |all, _| all.insert(Header { key: "a", value: None::<&[u8]> }));
    (0..BOMBS).for_each(|_| send(&hostile, HOSTILE, Some(ROW.as_bytes()), Some(&bomb)));
    afterwards("records with 99,000 headers");
    // Too large by a byte for the stream, and a row that is as large as it may be.
    let over = vec![b' '; (1 << 20) + 1];
    let mut most = ROW.as_bytes().to_vec();
    most.resize(1 << 20, b' ');
    for i in 0..LARGE {
        send(&hostile, HOSTILE, Some(if i % 2 == 0 { &over } else { &most }), None);
    }
    afterwards("records of 1 MiB");
    for id in 0..INVENTED {
        let frame = [&[0], &(id + 1_000_000).to_be_bytes()[..], &[7; 300]].concat();
        send(&hostile, HOSTILE, Some(&frame), None);
    }
    afterwards("invented schemas");

    let (sent, most_behind, before) = honest.stop();
    wait_until("the honest records leave", Duration::from_secs(60), || {
        behind(&looker, HONEST) == 0
    });
    let peak = peak(&guard);
    assert!(guard.terminate(Duration::from_secs(30)).success());
    println!("{} MiB at most, {} declared", peak >> 20, declared as u64 >> 20);
    println!("{most_behind} of {sent} honest records waited at most, for {before} hostile ones");
    assert!((peak as f64) < declared, "{peak} bytes resident, {declared} declared");
    assert!(most_behind <= BEHIND_MAX, "{most_behind} of {sent} honest records waited");
    assert!(before <= BEFORE_MAX, "the honest records waited for {before} hostile ones");
    let verdicts = verdicts(&broker);
    let mut tally = BTreeMap::new();
    for ((partition, _), verdict) in &verdicts {
        *tally.entry((*partition, verdict.as_str())).or_insert(0) += 1;
    }
    let asked = registry.asked.load(Ordering::Relaxed);
    println!("{tally:?}, {asked} questions to the registry");
    assert!((1..=QUESTIONS_MAX).contains(&asked), "the registry was asked {asked} times");
    let expected = BTreeMap::from([
        ((HOSTILE, "dead-letter:too-many-headers"), BOMBS),
        ((HOSTILE, "dead-letter:too-large"), LARGE / 2),
        ((HOSTILE, "pass"), LARGE / 2),
        ((HOSTILE, "dead-letter:unknown-schema"), INVENTED as usize),
        ((HONEST, "pass"), sent),
    ]);
    assert_eq!(tally, expected);
}

fn guard_is_up(admin: u16) -> bool {
    ureq::get(format!("http://127.0.0.1:{admin}/ready")).call().is_ok()
}
