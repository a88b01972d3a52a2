//! One Kafka or three, each node behind a proxy, to be killed, stopped and started again.
//!
//! The guards reach a node through its proxy; the load, the checker and this program do not. It
//! cannot lose a disk: what a killed node had written stays in the page cache.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::harness::{free_port, root};
use crate::proxy::{Proxy, Trouble};

/// The nodes and where their data is.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub trouble: Arc<Trouble>,
}

/// One broker, controller too.
pub struct Node {
    id: usize,
    dir: PathBuf,
    port: u16,
    controller: u16,
    chaos: u16,
    voters: String,
    heap: &'static str,
    proxy: Proxy,
    child: Option<Child>,
    ready: Arc<AtomicBool>,
}

/// How long a node may take until it serves: three of them start on two cores.
const PATIENCE: Duration = Duration::from_secs(120);

impl Cluster {
    /// Starts `nodes` nodes below `dir` and waits until they serve.
    pub fn start(dir: &Path, nodes: usize, seed: u64) -> Self {
        let trouble = Arc::new(Trouble::new(seed));
        let ports: Vec<[u16; 3]> =
            (0..nodes).map(|_| [free_port(), free_port(), free_port()]).collect();
        let voter = |(i, ports): (usize, &[u16; 3])| format!("{}@127.0.0.1:{}", i + 1, ports[1]);
        let voters = ports.iter().enumerate().map(voter).collect::<Vec<_>>().join(",");
        let nodes = ports.iter().enumerate().map(|(i, &[port, controller, chaos])| Node {
            id: i + 1,
            dir: dir.join(format!("node-{}", i + 1)),
            port,
            controller,
            chaos,
            voters: voters.clone(),
            heap: if ports.len() > 1 { "384m" } else { "512m" },
            proxy: Proxy::start(chaos, trouble.clone()),
            child: None,
            ready: Arc::default(),
        });
        let mut cluster = Self { nodes: nodes.collect(), trouble };
        cluster.nodes.iter_mut().for_each(Node::start);
        cluster.nodes.iter_mut().for_each(Node::wait_ready);
        cluster
    }

    /// Where the guards are sent: through the proxies.
    pub fn proxied(&self) -> String {
        let addresses = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.proxy.port()));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Where everybody else goes.
    pub fn direct(&self) -> String {
        let addresses = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        addresses.collect::<Vec<_>>().join(",")
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.direct())
            .set("topic.metadata.refresh.interval.ms", "2000")
            .set("reconnect.backoff.max.ms", "500")
            .set("log_level", "0");
        config
    }

    pub fn create_topic(&self, name: &str, partitions: usize, settings: &[(&str, String)]) {
        let replicas = i32::try_from(self.nodes.len().min(3)).expect("three");
        let partitions = i32::try_from(partitions).expect("a few");
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let answers = wait(self.admin().create_topics([&topic], &options())).expect("an answer");
        answers.into_iter().for_each(|answer| drop(answer.expect("the topic is created")));
    }

    /// Extends topics to `partitions`; false if the cluster could not do it now.
    pub fn extend(&self, topics: &[String], partitions: usize) -> bool {
        let more: Vec<_> = topics.iter().map(|t| NewPartitions::new(t, partitions)).collect();
        match wait(self.admin().create_partitions(&more, &options())) {
            Ok(answers) => answers.iter().all(Result::is_ok),
            Err(_) => false,
        }
    }

    /// Client ids of those in a group; none if it cannot be told, as of a group of the new protocol.
    pub fn members(&self, group: &str) -> Vec<String> {
        let asked: Result<BaseConsumer, _> = self.client().create();
        let Ok(Ok(list)) = asked.map(|c| c.fetch_group_list(Some(group), Duration::from_secs(3)))
        else {
            return vec![];
        };
        let members = list.groups().iter().flat_map(|group| group.members());
        members.map(|member| member.client_id().to_owned()).collect()
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("a client")
    }

    /// Aborted transactions, at least: what the brokers' transaction indexes hold. A transaction is in
    /// the index of every partition that it wrote to; so per producer it counts where it has most.
    pub fn aborted_transactions(&self) -> u64 {
        let mut per_partition: BTreeMap<(String, i64), BTreeMap<i64, ()>> = BTreeMap::new();
        for node in &self.nodes {
            for partition in entries(&node.dir.join("data")) {
                let name = partition.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.starts_with("__") {
                    continue;
                }
                let indexes = entries(&partition).into_iter();
                for index in
                    indexes.filter(|path| path.extension().is_some_and(|e| e == "txnindex"))
                {
                    // version i16, producer i64, first offset i64, last offset i64, last stable i64
                    for entry in std::fs::read(&index).unwrap_or_default().chunks_exact(34) {
                        let number = |at: usize| {
                            i64::from_be_bytes(entry[at..at + 8].try_into().expect("8 bytes"))
                        };
                        let of = per_partition.entry((name.clone(), number(2))).or_default();
                        of.insert(number(10), ());
                    }
                }
            }
        }
        let mut most: BTreeMap<i64, usize> = BTreeMap::new();
        for ((_, producer), aborted) in per_partition {
            let seen = most.entry(producer).or_default();
            *seen = aborted.len().max(*seen);
        }
        most.values().sum::<usize>() as u64
    }
}

impl Node {
    pub fn start(&mut self) {
        let Self { port, controller, chaos, .. } = *self;
        let proxy = self.proxy.port();
        let settings = [
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},\
                 CHAOS://127.0.0.1:{chaos}"
            ),
            format!(
                "advertised.listeners=PLAINTEXT://127.0.0.1:{port},CHAOS://127.0.0.1:{proxy}"
            ),
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CHAOS:PLAINTEXT"
                .to_owned(),
        ];
        let mut command = Command::new(root().join("scripts/kafka/broker"));
        command.arg("run").arg("--dir").arg(&self.dir).args(["--port", &port.to_string()]);
        command.args(["--controller-port", &controller.to_string()]);
        command.args(["--node-id", &self.id.to_string(), "--voters", &self.voters]);
        command.args(["--heap", self.heap, "--short-lived", "yes"]);
        command.args(settings.iter().flat_map(|line| ["--set", line]));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/kafka/broker starts; run scripts/setup test first");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        self.ready = Arc::default();
        let ready = self.ready.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("broker: ready") {
                    ready.store(true, Ordering::Relaxed);
                }
            }
        });
        self.child = Some(child);
    }

    pub fn wait_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.ready.load(Ordering::Relaxed) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a status"));
            assert!(ended.is_none(), "node {}: {ended:?}; see broker.log", self.id);
            assert!(Instant::now() < deadline, "node {}: not ready in {PATIENCE:?}", self.id);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it, at once or in order, and starts it again.
    pub fn restart(&mut self, cleanly: bool) {
        self.end(cleanly);
        self.start();
        self.wait_ready();
    }

    /// Ends it, at once or in order.
    pub fn end(&mut self, cleanly: bool) {
        if let Some(mut child) = self.child.take() {
            if cleanly {
                signal(&child, "TERM");
            } else {
                child.kill().expect("a kill");
            }
            child.wait().expect("its end");
        }
    }

    /// Stands still for `time`.
    pub fn freeze(&self, time: Duration) {
        if let Some(child) = &self.child {
            signal(child, "STOP");
            std::thread::sleep(time);
            signal(child, "CONT");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal to a child of ours.
pub fn signal(child: &Child, name: &str) {
    let told = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(told.is_ok(), "kill runs: {told:?}");
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(dir).into_iter().flatten();
    read.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn options() -> AdminOptions {
    let timeout = Some(Duration::from_secs(20));
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
