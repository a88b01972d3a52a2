//! A guard of some streams, with a broker, and what is sent to it and leaves it.

use super::*;

/// A guard of some streams, with a broker.
pub struct Site {
    pub broker: Broker,
    pub config: String,
    pub admin: u16,
    pub log: PathBuf,
    pub streams: Vec<&'static str>,
}

impl Site {
    pub fn new(streams: &[&'static str], workers: usize) -> Self {
        let broker = Broker::start();
        for stream in streams {
            broker.create_topic(&format!("{stream}.requests"), PARTITIONS, &[]);
        }
        let admin = free_port();
        let config = configure(&broker, "tripline.toml", admin, streams, workers);
        let made = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(["topics", "-c", &config, "--apply"])
            .status();
        assert!(made.expect("tripline runs").success());
        let log = path_in(&broker, "tripline.log");
        Self { broker, config, admin, log, streams: streams.to_vec() }
    }

    pub fn start(&self) -> Process {
        Process::tripline(&["run", "-c", &self.config], &self.log)
    }

    pub fn ready(&self) -> String {
        get(self.admin, "/ready")
    }

    pub fn wait_for_ready(&self, patience: Duration) {
        let deadline = Instant::now() + BUSY * patience;
        loop {
            let said = self.ready();
            if said.starts_with("HTTP/1.1 200") {
                return;
            }
            assert!(Instant::now() < deadline, "after {:?}: {said}", BUSY * patience);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The sum of a metric's series.
    pub fn metric(&self, name: &str) -> f64 {
        let page = get(self.admin, "/metrics");
        let of_it =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = page.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<f64>().expect("a number")).sum()
    }

    /// Sends these many clean rows to each partition of each stream, each once though the broker be slow to say so.
    pub fn send(&self, records: usize) {
        let mut client = self.broker.client();
        client.set("enable.idempotence", "true");
        let producer: BaseProducer = client.create().expect("a producer");
        let clean = [45.0, 0.0, 86.0, 0.0, 44.0, -17.0, 41.0, 42.0, 2.0_f32];
        let row: Vec<u8> = clean.iter().flat_map(|value| value.to_le_bytes()).collect();
        for stream in &self.streams {
            let topic = format!("{stream}.requests");
            for at in 0..records * PARTITIONS as usize {
                let record = BaseRecord::to(&topic).partition(at as i32 % PARTITIONS);
                producer.send(record.key("k").payload(&row)).expect("room");
            }
        }
        producer.flush(Duration::from_secs(30)).expect("delivered");
    }

    /// Whether the broker says that it leads the first input. Asked by a new client: an older one may have forgotten it.
    pub fn is_led(&self) -> bool {
        let client: BaseConsumer = self.broker.client().create().expect("a client");
        let topic = format!("{}.requests", self.streams[0]);
        let known = client.fetch_metadata(Some(&topic), Duration::from_secs(2));
        known.is_ok_and(|known| {
            let mut partitions = known.topics().iter().flat_map(|topic| topic.partitions());
            known.brokers().len() == 1 && partitions.all(|partition| partition.leader() >= 0)
        })
    }

    /// How often each record of a stream left, by its source; nothing while the broker does not answer us.
    pub fn left(&self, stream: &str) -> BTreeMap<(i32, i64), u32> {
        let mut client = self.broker.client();
        client.set("group.id", "reader").set("isolation.level", "read_committed");
        client.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        for kind in ["sanitized", "quarantine", "dead-letter"] {
            for partition in 0..PARTITIONS {
                let topic = format!("{stream}.{kind}");
                list.add_partition_offset(&topic, partition, Offset::Beginning).expect("an offset");
            }
        }
        consumer.assign(&list).expect("assigned");
        let (mut left, mut open) = (BTreeMap::new(), list.count());
        while open > 0 {
            let Some(polled) = consumer.poll(Duration::from_secs(20)) else { return left };
            match polled {
                Ok(message) => {
                    let headers = message.headers().expect("ours");
                    let trace =
                        headers.iter().find(|h| h.key == "tripline-trace").expect("a trace");
                    let source =
                        ReadTrace::unpack(trace.value.expect("a value")).expect("ours").source;
                    *left.entry((source.partition.0, source.offset.0)).or_default() += 1;
                }
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => {
                    println!("the test's own reader: {error}");
                    return BTreeMap::new();
                }
            }
        }
        left
    }

    /// Waits until these many of each partition have left each stream, once each.
    pub fn wait_until_left(&self, records: usize, patience: Duration) {
        let wanted = records * PARTITIONS as usize;
        for stream in &self.streams {
            wait_until(&format!("{wanted} records of {stream}"), patience, || {
                let left = self.left(stream);
                assert!(left.values().all(|&times| times == 1), "{stream}: some left twice");
                left.len() == wanted
            });
        }
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }
}

pub fn configure(
    broker: &Broker,
    name: &str,
    admin: u16,
    streams: &[&'static str],
    workers: usize,
) -> String {
    let mut text = format!(
        r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
transaction_timeout_ms = 5000
[admin]
listen = "127.0.0.1:{admin}"
"#,
        brokers = broker.address(),
    );
    for stream in streams {
        text += &format!(
            r#"
[[stream]]
name = "{stream}"
input = "{stream}.requests"
bundle = "{bundle}"
codec = "f32-le"
mode = "enforce"
workers = {workers}
"#,
            bundle = root().join("models/shuttle").display(),
        );
    }
    file(broker, name, &text).to_str().expect("a path in UTF-8").to_owned()
}

pub fn get(port: u16, path: &str) -> String {
    let mut said = String::new();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return said };
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_string(&mut said);
    said
}
