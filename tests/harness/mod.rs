//! What the end-to-end tests share: a real broker, a real `tripline`, an independent client.
//!
//! Every process started here is ended by its own pid when its handle is dropped.

#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A single-node Apache Kafka on the loopback interface; its data goes with it.
pub struct Broker {
    process: Process,
    port: u16,
    controller: u16,
    settings: Vec<String>,
    /// What it is good at.
    kind: [&'static str; 2],
    dir: tempfile::TempDir,
}

impl Broker {
    /// Starts one and waits until it serves.
    pub fn start() -> Self {
        Self::start_with(|_, _| vec![])
    }

    /// One that works as fast as it can and takes large records by the hundred; it starts more slowly.
    pub fn start_large() -> Self {
        Self::start_as(["--heap", "2g"], |_, _| vec![])
    }

    /// One that starts soon, with more settings, made from its port and its controller's.
    pub fn start_with(settings: impl Fn(u16, u16) -> Vec<String>) -> Self {
        Self::start_as(["--short-lived", "yes"], settings)
    }

    fn start_as(kind: [&'static str; 2], settings: impl Fn(u16, u16) -> Vec<String>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (port, controller) = (free_port(), free_port());
        let settings = settings(port, controller);
        let process = Self::run(dir.path(), port, controller, &kind, &settings);
        Self { process, port, controller, settings, kind, dir }
    }

    fn run(dir: &Path, port: u16, controller: u16, kind: &[&str], settings: &[String]) -> Process {
        let mut command = Command::new(root().join("scripts/kafka/broker"));
        command.arg("run").arg("--dir").arg(dir);
        command.args(["--port", &port.to_string(), "--controller-port", &controller.to_string()]);
        command.args(kind).args(settings.iter().flat_map(|line| ["--set", line]));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/kafka/broker starts; run scripts/setup test first");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut process = Process { child };
        for line in lines.map_while(Result::ok) {
            if line.contains("broker: ready") {
                return process;
            }
        }
        let status = process.child.wait();
        panic!("the broker ended before it served: {status:?}; see broker.log")
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The same broker again after [`Broker::kill`], with its data.
    pub fn start_again(&mut self) {
        let Self { port, controller, kind, settings, .. } = self;
        self.process = Self::run(self.dir.path(), *port, *controller, kind, settings);
    }

    /// Lets it stand still for so long: connections stay open, and nobody answers.
    pub fn freeze(&self, time: Duration) {
        let signal = |name: &str| {
            let pid = self.process.child.id().to_string();
            assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
        };
        signal("-STOP");
        std::thread::sleep(time);
        signal("-CONT");
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config
    }

    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("a client");
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let answers = runtime.block_on(admin.create_topics([&topic], &options)).expect("an answer");
        answers.into_iter().for_each(|answer| drop(answer.expect("the topic is created")));
        // A busy broker answers before it knows the topic itself.
        wait_until(&format!("topic {name}"), Duration::from_secs(20), || {
            let found = admin.inner().fetch_metadata(Some(name), Duration::from_secs(5));
            found.is_ok_and(|found| {
                let mut topics = found.topics().iter();
                topics.all(|topic| topic.error().is_none() && !topic.partitions().is_empty())
            })
        });
    }

    /// Sum over partitions of what `group` has committed on `topic`, and of its end.
    pub fn committed_and_end(&self, group: &str, topic: &str, partitions: i32) -> (i64, i64) {
        let mut client = self.client();
        // Not to wait for open transactions: a look, not a promise.
        client.set("group.id", group).set("isolation.level", "read_uncommitted");
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let timeout = BUSY * Duration::from_secs(20);
        let deadline = Instant::now() + timeout;
        let committed = loop {
            let mut list = TopicPartitionList::new();
            list.add_partition_range(topic, 0, partitions - 1);
            match consumer.committed_offsets(list, timeout) {
                Ok(committed) => break committed,
                // A broker that has just started is still loading its groups.
                Err(error) => assert!(Instant::now() < deadline, "committed offsets: {error}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        let offset = |offset| if let Offset::Offset(o) = offset { o } else { 0 };
        let committed = committed.elements().iter().map(|e| offset(e.offset())).sum();
        let end = (0..partitions)
            .map(|p| consumer.fetch_watermarks(topic, p, timeout).expect("watermarks").1)
            .sum();
        (committed, end)
    }
}

impl Drop for Broker {
    /// A broker that ended by itself is why a test failed.
    fn drop(&mut self) {
        if std::thread::panicking() && !matches!(self.process.child.try_wait(), Ok(None)) {
            let log = std::fs::read_to_string(self.dir.path().join("broker.log"));
            let log = log.unwrap_or_default();
            let bad = log.lines().filter(|l| l.contains("ERROR") || l.contains("FATAL"));
            eprintln!("the broker has ended:\n{}", bad.take(20).collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A process that is killed when its handle goes.
pub struct Process {
    pub child: Child,
}

impl Process {
    /// `tripline` with these arguments; its log goes to `log`.
    pub fn tripline(args: &[&str], log: &Path) -> Self {
        Self::tripline_with(args, &[], log)
    }

    /// The same with these variables in its environment.
    pub fn tripline_with(args: &[&str], variables: &[(&str, &str)], log: &Path) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(args)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("tripline starts");
        Self { child }
    }

    /// A script of `tests/clients` in the interpreter that `scripts/setup test` made.
    pub fn client(script: &str, args: &[&str]) -> Command {
        let mut command = Command::new(root().join(".tools/venv/bin/python"));
        command.arg(root().join("tests/clients").join(script)).args(args);
        command
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("its end");
    }

    /// Asks the process to end, and waits.
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(told.success());
        let patience = BUSY * patience;
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < deadline, "still running {patience:?} after SIGTERM");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints the last lines of a log if the test fails, and of the broker's log beside it.
pub struct ShowOnPanic(pub PathBuf);

impl Drop for ShowOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for path in [self.0.clone(), self.0.with_file_name("broker.log")] {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let last = &lines[lines.len().saturating_sub(40)..];
                eprintln!("{}:\n{}", path.display(), last.join("\n"));
            }
        }
    }
}

/// How much longer than on a quiet machine a test waits: a limit ends what would wait for ever and claims no speed.
pub const BUSY: u32 = 4;

/// Waits until `done`, looking every 100 ms; `patience` is for a quiet machine.
pub fn wait_until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let patience = BUSY * patience;
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port()
}

/// Writes `text` beside the broker's data and gives the path.
pub fn file(broker: &Broker, name: &str, text: &str) -> PathBuf {
    let path = broker.dir.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

pub fn path_in(broker: &Broker, name: &str) -> PathBuf {
    broker.dir.path().join(name)
}
