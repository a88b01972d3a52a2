//! A guard on a stream of its own: fed with numbered records, asked what became of them.

mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

pub use self::row::Row;
use crate::cluster::Cluster;
use crate::guard::Guard;
use crate::harness::{free_port, root, wait_until};

/// A stream, its topics and its guard.
pub struct Stream<'a> {
    pub cluster: &'a mut Cluster,
    pub name: String,
    dir: tempfile::TempDir,
    pub guard: Guard,
    admin: u16,
    /// Records have numbers below.
    sent: u64,
    /// Nobody knows of these whether they are in the log.
    doubtful: BTreeSet<u64>,
}

pub const PARTITIONS: i32 = 2;

impl<'a> Stream<'a> {
    /// Makes topics and configuration; `more` are lines of the stream's own. Topics that are `fragile` are on two nodes,
    /// and any of those may lead, even one that has not all.
    pub fn new(cluster: &'a mut Cluster, name: &str, more: &str, fragile: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let admin = free_port();
        let text = format!(
            r#"
instance = "{name}-0"

[kafka]
brokers = "{brokers}"
group = "{name}"
session_timeout_ms = 6000
transaction_timeout_ms = 6000

[kafka.properties]
"topic.metadata.refresh.interval.ms" = "2000"
"reconnect.backoff.max.ms" = "1000"

[admin]
listen = "127.0.0.1:{admin}"

[[stream]]
name = "{name}"
input = "{name}.requests"
bundle = "{bundle}"
codec = "json"
mode = "enforce"
{more}

[stream.alerts]
topic = "{name}.alerts"
window_ms = 1000
"#,
            brokers = cluster.direct(),
            bundle = root().join("models/shuttle").display(),
        );
        let config = dir.path().join("tripline.toml");
        std::fs::write(&config, text).expect("a file");
        let guard = Guard::new(config, dir.path().join("guard.log"));
        let stream = Self {
            cluster,
            name: name.to_owned(),
            dir,
            guard,
            admin,
            sent: 0,
            doubtful: BTreeSet::new(),
        };
        for topic in ["requests", "sanitized", "state"] {
            stream.create(topic, if fragile.contains(&topic) { &[1, 2] } else { &[] });
        }
        stream.tripline(&["topics", "--apply"]);
        stream
    }

    /// A topic of this stream on these nodes, or on all.
    pub fn create(&self, topic: &str, replicas: &[i32]) {
        let name = format!("{}.{topic}", self.name);
        let all: Vec<i32> = (1..=self.cluster.nodes.len() as i32).collect();
        let places =
            vec![if replicas.is_empty() { &all[..] } else { replicas }; PARTITIONS as usize];
        let mut topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Variable(&places));
        topic = topic.set("min.insync.replicas", "1");
        if !replicas.is_empty() {
            topic = topic.set("unclean.leader.election.enable", "true");
        }
        if name.ends_with("state") {
            topic = topic.set("cleanup.policy", "compact");
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let asked = wait(self.cluster.admin().create_topics([&topic], &options()));
            match asked.map(|answers| answers.into_iter().all(|answer| answer.is_ok())) {
                Ok(true) => return,
                _ => assert!(Instant::now() < deadline, "{name} is not made"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub fn delete(&self, topic: &str) {
        let name = format!("{}.{topic}", self.name);
        let asked = wait(self.cluster.admin().delete_topics(&[&name], &options()));
        asked.expect("an answer").into_iter().for_each(|answer| drop(answer.expect("deleted")));
    }

    /// Deletes what lies below `offset` in every partition of the input.
    pub fn delete_below(&self, offset: i64) {
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let input = format!("{}.requests", self.name);
            list.add_partition_offset(&input, partition, Offset::Offset(offset))
                .expect("an offset");
        }
        wait(self.cluster.admin().delete_records(&list, &options())).expect("deleted");
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("tripline.toml")
    }

    /// Runs a command; a guard that was killed is a member of its group for as long as its session.
    pub fn tripline(&self, arguments: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
            let done = command.args(arguments).arg("-c").arg(self.config()).output();
            let done = done.expect("tripline runs");
            let said = [done.stdout, done.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            if done.status.success() {
                return said;
            }
            let waits = said.contains("has members") && Instant::now() < deadline;
            assert!(waits, "{arguments:?}: {said}");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// The commands that the guard's log gives for this.
    pub fn commands(&self, what: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let given = log.lines().filter_map(|line| {
            let from = line.find(&format!("tripline {what}"))?;
            let words = line[from..].split('\u{1b}').next()?;
            Some(words.split_whitespace().take(9).collect::<Vec<_>>().join(" "))
        });
        given.filter(|command| command.contains("--from")).collect()
    }

    /// Starts the guard and waits until it reads.
    pub fn start(&mut self) {
        self.guard.start();
        wait_until("the guard is ready", Duration::from_secs(60), || {
            self.get("/ready").is_some_and(|said| said.contains("200 OK"))
        });
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("guard.log")
    }

    pub fn get(&self, path: &str) -> Option<String> {
        use std::io::Write as _;
        let mut socket = TcpStream::connect(("127.0.0.1", self.admin)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).ok()?;
        let mut said = String::new();
        socket.read_to_string(&mut said).ok()?;
        Some(said)
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").unwrap_or_default();
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let of = lines.filter(|line| line.split(['{', ' ']).next() == Some(name));
        of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// How long after `since` somebody is told by one of these: a metric that is not 0, or words of `/ready`.
    pub fn said(&self, since: Instant, metrics: &[&str], words: &[&str]) -> Option<Duration> {
        while since.elapsed() < Duration::from_secs(60) {
            let ready = self.get("/ready").unwrap_or_default();
            if words.iter().any(|word| ready.contains(word))
                || metrics.iter().any(|name| self.metric(name) > 0.0)
            {
                return Some(since.elapsed());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        None
    }

    /// How long after `since` one of these words stands in `/ready`.
    pub fn said_within(
        &self,
        since: Instant,
        patience: Duration,
        words: &[&str],
    ) -> Option<Duration> {
        while since.elapsed() < patience {
            let ready = self.get("/ready").unwrap_or_default();
            if words.iter().any(|word| ready.contains(word)) {
                return Some(since.elapsed());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        None
    }

    /// One property of the client more, from the next start on.
    pub fn set(&self, key: &str, value: &str) {
        let text = std::fs::read_to_string(self.config()).expect("a file");
        let with = format!("[kafka.properties]\n\"{key}\" = \"{value}\"\n");
        std::fs::write(self.config(), text.replace("[kafka.properties]\n", &with)).expect("a file");
    }

    /// Sends `n` more records, a partition after the other, and waits until all are acknowledged.
    pub fn feed(&mut self, n: u64) {
        let mut client = self.cluster.client();
        client.set("acks", "all").set("message.timeout.ms", "60000");
        let producer: BaseProducer = client.create().expect("a producer");
        let rows = rows();
        let input = format!("{}.requests", self.name);
        for number in self.sent..self.sent + n {
            let text = number.to_string();
            let header = Header { key: "n", value: Some(text.as_bytes()) };
            let record = BaseRecord::<[u8], [u8]>::to(&input)
                .partition((number % PARTITIONS as u64) as i32)
                .payload(rows[number as usize % rows.len()].as_bytes())
                .headers(OwnedHeaders::new().insert(header));
            producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
            producer.poll(Duration::ZERO);
        }
        producer.flush(Duration::from_secs(60)).expect("acknowledged");
        self.sent += n;
    }

    /// How many records were acknowledged.
    pub fn sent(&self) -> u64 {
        self.sent - self.doubtful.len() as u64
    }

    /// Sends up to `n` more, as long as each is acknowledged within a second.
    pub fn try_feed(&mut self, n: u64) {
        let mut client = self.cluster.client();
        client.set("acks", "all").set("message.timeout.ms", "1000").set("retries", "0");
        let producer: BaseProducer<Acknowledged> =
            BaseProducer::from_config_and_context(&client, Acknowledged::default())
                .expect("a producer");
        let input = format!("{}.requests", self.name);
        for _ in 0..n {
            let text = self.sent.to_string();
            let row = &rows()[0];
            let header = Header { key: "n", value: Some(text.as_bytes()) };
            let record = BaseRecord::<[u8], [u8]>::to(&input)
                .partition(0)
                .payload(row.as_bytes())
                .headers(OwnedHeaders::new().insert(header));
            let before = producer.context().0.load(Ordering::Relaxed);
            if producer.send(record).is_err() {
                return;
            }
            let _ = producer.flush(Duration::from_millis(1500));
            self.sent += 1;
            if producer.context().0.load(Ordering::Relaxed) == before {
                // It may be there all the same.
                self.doubtful.insert(self.sent - 1);
                return;
            }
        }
    }

    /// How often each number left.
    pub fn left(&self) -> BTreeMap<u64, u64> {
        let mut left = BTreeMap::new();
        for topic in ["sanitized", "quarantine", "dead-letter"] {
            for number in self.numbers(&format!("{}.{topic}", self.name)) {
                *left.entry(number).or_default() += 1;
            }
        }
        left
    }

    /// Waits until `n` records have left, and says how long that took.
    pub fn wait_left(&self, n: u64, patience: Duration) -> Option<Duration> {
        let began = Instant::now();
        while began.elapsed() < patience {
            if self.left().len() as u64 >= n {
                return Some(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        None
    }

    /// Records that were acknowledged and never left, and those that left twice.
    pub fn account(&self) -> (u64, u64) {
        let left = self.left();
        let known = (0..self.sent).filter(|number| !self.doubtful.contains(number));
        let lost = known.filter(|number| !left.contains_key(number)).count();
        (lost as u64, left.values().filter(|&&times| times > 1).count() as u64)
    }

    fn numbers(&self, topic: &str) -> Vec<u64> {
        let mut client = self.cluster.client();
        client.set("group.id", "outages").set("isolation.level", "read_committed");
        client.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning).expect("a beginning");
        }
        consumer.assign(&list).expect("assigned");
        let (mut found, mut left) = (vec![], PARTITIONS);
        let deadline = Instant::now() + Duration::from_secs(20);
        while left > 0 && Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    let headers = message.headers().into_iter().flat_map(|all| all.iter());
                    let number: Option<u64> = headers
                        .filter(|header| header.key == "n")
                        .find_map(|header| std::str::from_utf8(header.value?).ok()?.parse().ok());
                    found.extend(number);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                _ => {}
            }
        }
        found
    }
}

/// Clean rows of the shipped slice, as JSON arrays.
fn rows() -> Vec<String> {
    let path = root().join("models/shuttle/slice/held-out.csv");
    let text = std::fs::read_to_string(path).expect("the slice");
    let clean = text.lines().skip(1).filter(|line| line.ends_with(",normal"));
    clean.map(|line| format!("[{}]", line.rsplit_once(',').expect("a label").0)).collect()
}

fn options() -> AdminOptions {
    let timeout = Some(Duration::from_secs(20));
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Counts what is acknowledged.
#[derive(Default)]
struct Acknowledged(AtomicU64);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.0.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
    }
}
