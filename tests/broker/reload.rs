//! Configurations and bundles that change under load, on a real Kafka: sound ones are adopted between two transactions, others
//! are refused by name, and no record is lost, doubled or put out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tripline::emit::ReadTrace;

use crate::harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const INPUT: &str = "rows.requests";
const PARTITIONS: i32 = 2;
const SOON: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-of-twenty-four-characters";
/// Records a second.
const RATE: u64 = 200;

/// What is wrong with a revision, if something is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Candidate {
    Budget(u32),
    Mode(&'static str),
    NoToml,
    BadDigest,
    OtherSchema,
    OtherGroup,
}

/// A guard and its files.
struct Site {
    broker: Broker,
    admin: u16,
    log: PathBuf,
    config: PathBuf,
}

/// Copies the files of a bundle.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a bundle").flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

impl Site {
    fn new() -> Self {
        let broker = Broker::start();
        broker.create_topic(INPUT, PARTITIONS, &[]);
        let log = path_in(&broker, "tripline.log");
        let config = file(&broker, "tripline.toml", "");
        let mut site = Self { admin: free_port(), log, config, broker };
        copy(&root().join("models/shuttle"), &site.bundle("sound"));
        copy(&root().join("models/shuttle"), &site.bundle("torn"));
        let tensors = site.bundle("torn").join("reference.safetensors");
        let mut bytes = std::fs::read(&tensors).expect("tensors");
        *bytes.last_mut().expect("bytes") ^= 1;
        std::fs::write(&tensors, bytes).expect("written");
        site.write(Candidate::Budget(10));
        let mut topics = std::process::Command::new(env!("CARGO_BIN_EXE_tripline"));
        topics.args(["topics", "--apply", "-c"]).arg(&site.config).env("RELOAD_TOKEN", TOKEN);
        let topics = topics.output().expect("it runs");
        assert!(topics.status.success(), "{}", String::from_utf8_lossy(&topics.stderr));
        site
    }

    fn bundle(&self, name: &str) -> PathBuf {
        path_in(&self.broker, name)
    }

    fn write(&mut self, candidate: Candidate) {
        let (mut bundle, mut budget, mut mode, mut group) =
            (self.bundle("sound"), 10, "enforce", "tripline");
        match candidate {
            Candidate::Budget(permille) => budget = permille,
            Candidate::Mode(other) => mode = other,
            Candidate::BadDigest => bundle = self.bundle("torn"),
            // Images, where there are nine columns.
            Candidate::OtherSchema => bundle = root().join("models/fashion-mnist"),
            Candidate::OtherGroup => group = "another",
            Candidate::NoToml => {
                std::fs::write(&self.config, "[[stream]\n").expect("written");
                return;
            }
        }
        let text = format!(
            r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
group = "{group}"
session_timeout_ms = 6000
transaction_timeout_ms = 5000
[admin]
listen = "127.0.0.1:{admin}"
token = {{ env = "RELOAD_TOKEN" }}
[[stream]]
name = "rows"
input = "{INPUT}"
bundle = "{bundle}"
codec = "f32-le"
mode = "{mode}"
budget = {budget}e-3
[stream.alerts]
window_ms = 1000
"#,
            brokers = self.broker.address(),
            admin = self.admin,
            bundle = bundle.display(),
        );
        std::fs::write(&self.config, text).expect("written");
    }

    fn start(&self) -> Process {
        let config = self.config.to_str().expect("UTF-8");
        Process::tripline_with(&["run", "-c", config], &[("RELOAD_TOKEN", TOKEN)], &self.log)
    }

    fn get(&self, path: &str) -> String {
        let request = ureq::get(format!("http://127.0.0.1:{}{path}", self.admin));
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let said = request.config().http_status_as_error(false).build().call();
        said.ok().and_then(|mut said| said.body_mut().read_to_string().ok()).unwrap_or_default()
    }

    fn metric(&self, sample: &str) -> f64 {
        let page = self.get("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(sample));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(f64::NAN)
    }

    /// Records that left.
    fn out(&self) -> f64 {
        let page = self.get("/metrics");
        let lines = page.lines().filter(|line| line.starts_with("tripline_records_total{"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// The status of a request for a reload.
    fn ask(&self, token: Option<&str>) -> u16 {
        let request = ureq::post(format!("http://127.0.0.1:{}/-/reload", self.admin));
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let said = request.config().http_status_as_error(false).build().send_empty();
        said.expect("an answer").status().as_u16()
    }

    /// Every committed record of these topics, in order: where it came from and the revision that judged it.
    fn read(&self, topics: &[&str]) -> Vec<(i32, i64, [u8; 8])> {
        let mut client = self.broker.client();
        client.set("group.id", "reader").set("isolation.level", "read_committed");
        client.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..PARTITIONS {
                let added = list.add_partition_offset(topic, partition, Offset::Beginning);
                added.expect("an offset");
            }
        }
        consumer.assign(&list).expect("assigned");
        let (mut read, mut open) = (vec![], list.count());
        while open > 0 {
            match consumer.poll(Duration::from_secs(20)).expect("a record or an end") {
                Ok(message) => {
                    let headers = message.headers().expect("ours");
                    let trace = headers.iter().find(|header| header.key == "tripline-trace");
                    let trace = trace.and_then(|trace| ReadTrace::unpack(trace.value?));
                    let trace = trace.expect("a trace");
                    let source = trace.source;
                    read.push((source.partition.0, source.offset.0, trace.revision));
                }
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => panic!("{error}"),
            }
        }
        read
    }
}

fn rows() -> Vec<Vec<u8>> {
    let path = root().join("models/shuttle/slice/held-out.csv");
    let text = std::fs::read_to_string(path).expect("the slice");
    let row = |line: &str| -> Vec<u8> {
        let (numbers, _) = line.rsplit_once(',').expect("a label");
        numbers.split(',').flat_map(|n| n.parse::<f32>().expect("a number").to_le_bytes()).collect()
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn twenty_reloads_under_load_lose_nothing_and_what_is_refused_is_named() {
    let _turn = turn();
    let mut site = Site::new();
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    wait_until("the guard to be ready", SOON, || site.get("/ready").starts_with("ready"));
    assert_eq!(site.ask(None), 401, "nobody without the token");

    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let producer: BaseProducer = site.broker.client().create().expect("a producer");
    let rows = rows();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let began = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let due = (began.elapsed().as_millis() as u64 * RATE) / 1000;
                for n in sent.load(Ordering::Relaxed)..due {
                    let partition = (n % PARTITIONS as u64) as i32;
                    let record = BaseRecord::to(INPUT).partition(partition).key("k");
                    producer.send(record.payload(&rows[n as usize % rows.len()])).expect("room");
                    sent.store(n + 1, Ordering::Relaxed);
                }
                producer.poll(Duration::from_millis(5));
            }
        });
        let _end = Ends(&stop);
        let candidates = [
            Candidate::Budget(20),
            Candidate::NoToml,
            Candidate::Mode("observe"),
            Candidate::BadDigest,
            Candidate::Budget(40),
            Candidate::OtherSchema,
            Candidate::OtherGroup,
        ];
        let refusals = |candidate| match candidate {
            Candidate::NoToml => Some("tripline.toml"),
            Candidate::BadDigest => Some("reference.safetensors"),
            Candidate::OtherSchema => Some("it lacks"),
            Candidate::OtherGroup => Some("only a restart changes kafka.group"),
            Candidate::Budget(_) | Candidate::Mode(_) => None,
        };
        let (mut adopted, mut refused) = (0.0, 0.0);
        for n in 0..20 {
            let candidate = match candidates[n % candidates.len()] {
                // Never the same twice.
                Candidate::Budget(permille) => Candidate::Budget(permille + n as u32),
                other => other,
            };
            // Each revision scores something before the next one comes.
            let before = site.out();
            wait_until("records to leave", SOON, || site.out() > before + 20.0);
            site.write(candidate);
            assert_eq!(site.ask(Some(TOKEN)), 202);
            let why = refusals(candidate);
            match why {
                None => adopted += 1.0,
                Some(_) => refused += 1.0,
            }
            wait_until(&format!("{n}: {candidate:?}"), SOON, || {
                site.metric("tripline_reloads_total{outcome=\"adopted\"}") == adopted
                    && site.metric("tripline_reloads_total{outcome=\"refused\"}") == refused
                    && site.metric("tripline_reload_refused") == f64::from(why.is_some())
                    && site.metric("tripline_threads_behind_revision{stream=\"rows\"}") == 0.0
            });
            let ready = site.get("/ready");
            match why {
                None => assert!(!ready.contains("refused"), "{ready}"),
                Some(why) => {
                    assert!(ready.starts_with("ready\n"), "the revision before goes on: {ready}");
                    let said =
                        ready.lines().find(|line| line.contains("a new configuration is refused"));
                    assert!(said.is_some_and(|said| said.contains(why)), "{candidate:?}: {ready}");
                }
            }
        }
    });
    producer.flush(SOON).expect("delivered");
    let sent = sent.into_inner() as i64;
    let committed = || site.broker.committed_and_end("tripline.rows", INPUT, PARTITIONS).0;
    wait_until("all to be committed", SOON, || committed() == sent);
    assert!(guard.terminate(Duration::from_secs(20)).success());

    let topics = ["rows.sanitized", "rows.quarantine", "rows.dead-letter"];
    let mut left: BTreeMap<(i32, i64), [u8; 8]> = BTreeMap::new();
    let mut revisions = BTreeSet::new();
    for topic in topics {
        let mut newest = [-1; PARTITIONS as usize];
        for (partition, offset, revision) in site.read(&[topic]) {
            let before = left.insert((partition, offset), revision);
            assert_eq!(before, None, "partition {partition} offset {offset} left twice");
            let newest = &mut newest[partition as usize];
            assert!(*newest < offset, "{topic}: {offset} of partition {partition} after {newest}");
            *newest = offset;
            revisions.insert(revision);
        }
    }
    assert_eq!(left.len() as i64, sent);
    // The first, six budgets, and observe mode three times.
    assert_eq!(revisions.len(), 8, "{revisions:02x?}");
    for partition in 0..PARTITIONS {
        let mut order: Vec<[u8; 8]> =
            left.range((partition, 0)..(partition + 1, 0)).map(|(_, &r)| r).collect();
        order.dedup();
        let mode = |revision: &[u8; 8]| order.iter().filter(|other| *other == revision).count();
        let again: Vec<_> = order.iter().filter(|revision| mode(revision) > 1).collect();
        // Observe mode is the same revision each of the three times.
        assert!(again.len() == 3 || again.is_empty(), "partition {partition}: {order:02x?}");
    }
}

#[test]
fn a_signal_and_a_link_that_is_swapped_are_enough() {
    let _turn = turn();
    let mut site = Site::new();
    let _tail = ShowOnPanic(site.log.clone());
    // As Kubernetes mounts a ConfigMap: the file is a link through `..data`, which is swapped for a new folder.
    let mount = path_in(&site.broker, "mount");
    let real = site.config.clone();
    let put = |name: &str| {
        let folder = mount.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::copy(&real, folder.join("tripline.toml")).expect("a copy");
        let (link, new) = (mount.join("..data"), mount.join("..data_tmp"));
        std::os::unix::fs::symlink(name, &new).expect("a link");
        std::fs::rename(&new, &link).expect("swapped");
    };
    put("..first");
    std::os::unix::fs::symlink("..data/tripline.toml", mount.join("tripline.toml"))
        .expect("a link");
    site.config = mount.join("tripline.toml");
    let mut guard = site.start();
    wait_until("the guard to be ready", SOON, || site.get("/ready").starts_with("ready"));
    let adopted =
        |site: &Site, n: f64| site.metric("tripline_reloads_total{outcome=\"adopted\"}") == n;

    site.config.clone_from(&real);
    site.write(Candidate::Budget(20));
    put("..second");
    wait_until("the link to be followed", SOON, || adopted(&site, 1.0));

    site.write(Candidate::Budget(30));
    put("..third");
    let pid = guard.child.id().to_string();
    let told = std::process::Command::new("kill").args(["-HUP", &pid]).status();
    assert!(told.expect("kill runs").success());
    wait_until("the signal to be heard", SOON, || adopted(&site, 2.0));

    // What was refused is looked at again once it is mended, though nobody asks and the file stays as it is.
    site.write(Candidate::BadDigest);
    put("..fourth");
    wait_until("the torn bundle to be refused", SOON, || {
        site.metric("tripline_reload_refused") == 1.0
    });
    let name = "reference.safetensors";
    std::fs::copy(site.bundle("sound").join(name), site.bundle("torn").join(name)).expect("a copy");
    wait_until("the mended bundle to be taken", SOON, || {
        adopted(&site, 3.0) && site.metric("tripline_reload_refused") == 0.0
    });
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

/// Ends the sender, whatever happens.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
