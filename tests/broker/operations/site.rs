//! A guard of one stream, with a broker, as an operator has it.

use super::*;

/// Partition and offset of the input.
pub type Source = (i32, i64);

/// A guard of a stream, as its operator has it: a file, a port and the command line.
pub struct Site {
    pub broker: Broker,
    pub config: String,
    pub admin: u16,
    pub log: std::path::PathBuf,
}

impl Site {
    pub fn new() -> Self {
        let broker = Broker::start();
        broker.create_topic(INPUT, PARTITIONS, &[("message.timestamp.type", "CreateTime")]);
        let log = path_in(&broker, "tripline.log");
        let mut site = Self { config: String::new(), admin: free_port(), log, broker };
        site.configure("");
        assert_eq!(site.tripline(&["topics", "--apply"]).1, Some(0));
        site
    }

    pub fn configure(&mut self, stream: &str) {
        let text = format!(
            r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
transaction_timeout_ms = 5000
[admin]
listen = "127.0.0.1:{admin}"
[[stream]]
name = "rows"
input = "{INPUT}"
bundle = "{bundle}"
codec = "f32-le"
mode = "enforce"
{stream}
[stream.alerts]
window_ms = {WINDOW_MS}
"#,
            brokers = self.broker.address(),
            admin = self.admin,
            bundle = root().join("models/shuttle").display(),
        );
        let path = file(&self.broker, "tripline.toml", &text);
        self.config = path.to_str().expect("a path in UTF-8").to_owned();
    }

    pub fn start(&self) -> Process {
        Process::tripline(&["run", "-c", &self.config, "--log", "json"], &self.log)
    }

    /// What a command says, and its exit code.
    pub fn tripline(&self, args: &[&str]) -> (String, Option<i32>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        let output = command.args(args).args(["-c", &self.config]).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), output.status.code())
    }

    /// `tripline state show` of the only stream.
    pub fn show(&self) -> Value {
        let (said, code) = self.tripline(&["state", "show", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    pub fn get(&self, path: &str) -> String {
        let mut said = String::new();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.admin)) else { return said };
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut said);
        said
    }

    /// Waits until `/metrics` has all these lines.
    pub fn wait_for_metrics(&self, lines: &[String]) {
        let mut page = String::new();
        let started = std::time::Instant::now();
        while !lines.iter().all(|line| page.lines().any(|there| there == line)) {
            assert!(started.elapsed() < SOON, "{lines:#?} are not in\n{page}");
            std::thread::sleep(Duration::from_millis(200));
            page = self.get("/metrics");
        }
    }

    pub fn producer(&self) -> BaseProducer {
        self.broker.client().create().expect("a producer")
    }

    /// Sends values to one partition, with timestamps from `at` on, `per_second` in each second.
    pub fn send(&self, partition: i32, at: i64, per_second: usize, values: &[Vec<u8>]) {
        let producer = self.producer();
        for (i, value) in values.iter().enumerate() {
            let record = BaseRecord::to(INPUT).partition(partition).key("k").payload(value);
            let timestamp = at + 1000 * (i / per_second) as i64;
            producer.send(record.timestamp(timestamp)).expect("room");
        }
        producer.flush(Duration::from_secs(20)).expect("delivered");
    }

    pub fn wait_for_commits(&self, records: i64) {
        let done = || self.broker.committed_and_end("tripline.rows", INPUT, PARTITIONS).0;
        wait_until("records to be committed", SOON, || done() == records);
    }

    /// Every committed record of these topics: its value, and by its trace where it came from.
    pub fn read(&self, topics: &[(&str, i32)]) -> Vec<(Vec<u8>, Option<Source>)> {
        let mut client = self.broker.client();
        client.set("group.id", "reader").set("isolation.level", "read_committed");
        client.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        for &(topic, partitions) in topics {
            for partition in 0..partitions {
                let added = list.add_partition_offset(topic, partition, Offset::Beginning);
                added.expect("an offset");
            }
        }
        consumer.assign(&list).expect("assigned");
        let (mut read, mut open) = (vec![], list.count());
        while open > 0 {
            match consumer.poll(Duration::from_secs(20)).expect("a record or an end") {
                Ok(message) => {
                    let trace = message.headers().and_then(|headers| {
                        let trace = headers.iter().find(|h| h.key == "tripline-trace")?.value?;
                        let source = ReadTrace::unpack(trace)?.source;
                        Some((source.partition.0, source.offset.0))
                    });
                    let value = message.payload().unwrap_or_default().to_vec();
                    read.push((value, trace));
                }
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => panic!("{error}"),
            }
        }
        read
    }

    /// What is said of attacks. Unreadable records are an incident of their own, and what is learned in
    /// between pages nobody.
    pub fn alerts(&self) -> Vec<Value> {
        let alerts = self.read(&[("tripline.alerts", 1)]);
        let alerts = alerts.iter().map(|(value, _)| serde_json::from_slice(value).expect("JSON"));
        let told = |alert: &Value| alert["kind"] == "attack" && alert["status"] != "updated";
        alerts.filter(told).collect()
    }

    /// Twenty seconds of clean rows, then ten with attacks, ending now; waits for the alert.
    pub fn attack(&self, (clean, attacks): &(Vec<Vec<u8>>, Vec<Vec<u8>>), from: i64) {
        let before = self.alerts().len();
        let attacked = |i: usize| i >= 1000 && i.is_multiple_of(2);
        let row = |i: usize| match attacked(i) {
            true => attacks[i % attacks.len()].clone(),
            false => clean[i % clean.len()].clone(),
        };
        self.send(0, from, 50, &(0..1500).map(row).collect::<Vec<_>>());
        wait_until("an alert", SOON, || self.alerts().len() > before);
        let alerts = self.alerts();
        assert_eq!(alerts[before]["status"], "firing", "{alerts:#?}");
    }

    /// Attacks on until the share of flagged records rang too. Which watch rings first is chance, and a watch of signals ends
    /// with its budget. Says how many records that took.
    pub fn attack_until_the_share_rings(
        &self,
        (clean, attacks): &(Vec<Vec<u8>>, Vec<Vec<u8>>),
    ) -> usize {
        let rings = || {
            let shown = self.show();
            let firing = shown["monitor"]["firing"].as_array().cloned().unwrap_or_default();
            let members = firing.iter().flat_map(|incident| incident["members"].as_array());
            members.flatten().any(|member| {
                member["finding"]["watch"] == "flagged-share" && member["firing"] == true
            })
        };
        let row = |i: usize| match i.is_multiple_of(2) {
            true => attacks[i % attacks.len()].clone(),
            false => clean[i % clean.len()].clone(),
        };
        let (mut sent, started) = (0, std::time::Instant::now());
        while !rings() {
            assert!(started.elapsed() < SOON, "{:#}", self.show());
            self.send(0, now() - 5000, 50, &(0..250).map(row).collect::<Vec<_>>());
            sent += 250;
            std::thread::sleep(Duration::from_secs(5));
        }
        sent
    }

    pub fn wait_until_nobody_is_a_member(&self) {
        wait_until("members to leave", SOON, || {
            self.show()["members"].as_array().expect("a list").is_empty()
        });
    }
}
