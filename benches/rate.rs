//! CPU per record and latency of `tripline run` at moderate rates on a real Kafka: what a batch that forms saves.
//!
//! Rows of shuttle as JSON, one every so often, over 4 partitions. A record's key is the moment at which it was to
//! be sent, so that a sender that is late makes no latency look short; a reader that sees only what is committed
//! takes the difference. CPU is the user and system time of the measured process alone, over the same seconds. The
//! first two seconds of each round are left out.
//!
//! `reload` is the same build, whose configuration changes every two seconds and is adopted while records come.
//!
//! `cargo bench --profile dev --bench rate`; needs `scripts/setup test`. `PEER=PATH` names another build of
//! `tripline`, which is measured in the same rounds.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use harness::{Broker, Process, ShowOnPanic, path_in, root, wait_until};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tripline::deliver::{Durations, Values};

const PARTITIONS: i32 = 4;
const RATES: [u64; 3] = [200, 1_000, 3_000];
const DELIVERIES: [&str; 2] = ["exactly_once", "at_least_once"];
const ROUNDS: usize = 3;
const WARM: Duration = Duration::from_secs(2);
const ROUND: Duration = Duration::from_secs(8);
/// Between two changes of the configuration.
const RELOADS: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    if is_bench && wanted.is_none_or(|name| "rate".contains(name.as_str())) {
        measure();
    }
}

/// How the build is called whose configuration changes.
const RELOAD: &str = "reload";

/// What one round showed.
struct Round {
    cpu_us: f64,
    latencies: Values,
}

fn measure() {
    let broker = Broker::start_large();
    let this = path_in(&broker, "tripline");
    // A build in the meantime must not change what is measured.
    std::fs::copy(env!("CARGO_BIN_EXE_tripline"), &this).expect("a copy");
    let mut builds = vec![("this", this.clone()), (RELOAD, this)];
    builds.extend(std::env::var_os("PEER").map(|path| ("peer", PathBuf::from(path))));
    println!(
        "{:>7} {:<14}{:<8}{:>12}{:>24}",
        "rate/s", "delivery", "build", "CPU µs/record", "latency ms 50 / 99 %"
    );
    for rate in RATES {
        for delivery in DELIVERIES {
            let mut rounds: Vec<Vec<Round>> = builds.iter().map(|_| vec![]).collect();
            for round in 0..ROUNDS {
                for ((build, tripline), rounds) in builds.iter().zip(&mut rounds) {
                    let name = format!("{}-{rate}-{build}-{round}", delivery.replace('_', "-"));
                    rounds.push(play(&broker, tripline, &name, delivery, rate, *build == RELOAD));
                }
            }
            for ((build, _), mut rounds) in builds.iter().zip(rounds) {
                let mut all = Values::default();
                rounds.iter().for_each(|round| all.add(&round.latencies));
                rounds.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
                let ms = |share| all.quantile(share).unwrap_or_default() as f64 / 1e3;
                let latency = format!("{:.1} / {:.1}", ms(0.5), ms(0.99));
                let cpu = rounds[ROUNDS / 2].cpu_us;
                println!("{rate:>7} {delivery:<14}{build:<8}{cpu:>12.0}{latency:>24}");
            }
        }
    }
}

fn play(
    broker: &Broker,
    tripline: &Path,
    name: &str,
    delivery: &str,
    rate: u64,
    reloads: bool,
) -> Round {
    let input = format!("{name}.in");
    broker.create_topic(&input, PARTITIONS, &[]);
    let text = format!(
        r#"
instance = "{name}"

[kafka]
brokers = "{brokers}"
group = "bench"
commit_interval_ms = 100
delivery = "{delivery}"

[admin]
listen = "127.0.0.1:{admin}"

[[stream]]
name = "{name}"
input = "{input}"
bundle = "{bundle}"
codec = "json"

[stream.alerts]
topic = "{name}.alerts"
"#,
        brokers = broker.address(),
        admin = harness::free_port(),
        bundle = root().join("models/shuttle").display(),
    );
    let config = harness::file(broker, &format!("{name}.toml"), &text);
    let made = Command::new(tripline).args(["topics", "--apply", "-c"]).arg(&config).output();
    let made = made.expect("tripline runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let log = path_in(broker, &format!("{name}.log"));
    let _tail = ShowOnPanic(log.clone());
    let child = Command::new(tripline)
        .args(["run", "-c"])
        .arg(&config)
        .env("NO_COLOR", "1")
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn();
    let mut process = Process { child: child.expect("it starts") };
    let is_assigned = || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("assigned"));
    wait_until("its partitions", PATIENCE, is_assigned);

    let pid = process.child.id().to_string();
    let reader = Reader::new(broker, &format!("{name}.sanitized"));
    let began = Instant::now();
    let round = scope(|threads| {
        threads.spawn(|| send(broker, &input, rate, began));
        if reloads {
            threads.spawn(|| change(&config, &text, &pid, began));
        }
        let mut cpu = 0.0;
        let latencies = Durations::default();
        while began.elapsed() < WARM + ROUND {
            let (now, sent) = match reader.consumer.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => {
                    let key = message.key().and_then(|key| key.try_into().ok());
                    (
                        began.elapsed(),
                        Duration::from_micros(u64::from_be_bytes(key.expect("a time"))),
                    )
                }
                Some(Err(error)) => panic!("reading what left: {error}"),
                None => continue,
            };
            if sent < WARM {
                cpu = cpu_seconds(&pid);
                continue;
            }
            latencies.count(now.saturating_sub(sent).as_micros() as u64);
        }
        let records = (ROUND.as_secs() * rate) as f64;
        Round { cpu_us: (cpu_seconds(&pid) - cpu) * 1e6 / records, latencies: latencies.values() }
    });
    assert!(process.terminate(PATIENCE).success(), "{name}");
    let log = std::fs::read_to_string(&log).expect("a log");
    let adopted = log.matches("another revision").count();
    assert!(!reloads || adopted >= 3, "{name}: {adopted} revisions adopted");
    round
}

/// Another budget every so often, and a signal to look at it, until the round is over.
fn change(config: &Path, text: &str, pid: &str, began: Instant) {
    for turn in 1.. {
        let due = RELOADS * turn;
        if due >= WARM + ROUND {
            break;
        }
        sleep(due.saturating_sub(began.elapsed()));
        let budget = ["1.1%", "1.2%"][turn as usize % 2];
        let changed = text.replace("codec =", &format!("budget = \"{budget}\"\ncodec ="));
        std::fs::write(config, changed).expect("it is written");
        let told = Command::new("kill").args(["-HUP", pid]).status().expect("kill runs");
        assert!(told.success(), "{pid} is there");
    }
}

/// One record every so often, until the round is over; the key says when it was due.
fn send(broker: &Broker, input: &str, rate: u64, began: Instant) {
    let rows = std::fs::read_to_string(root().join("models/shuttle/slice/held-out.csv"));
    let rows = rows.expect("the slice");
    let json = |line: &str| {
        let values = line.split(',').take(9).enumerate();
        let fields: Vec<String> = values.map(|(i, value)| format!("\"x{i}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let rows: Vec<String> = rows.lines().skip(1).map(json).collect();
    let mut config = broker.client();
    config.set("linger.ms", "0");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let step = Duration::from_secs(1) / rate as u32;
    for (i, row) in rows.iter().cycle().enumerate() {
        let due = step * i as u32;
        if due >= WARM + ROUND {
            break;
        }
        sleep(due.saturating_sub(began.elapsed()));
        let key = (due.as_micros() as u64).to_be_bytes();
        let record =
            BaseRecord::to(input).partition(i as i32 % PARTITIONS).key(&key[..]).payload(row);
        producer.send(record).map_err(|(error, _)| error).expect("there is room");
    }
    producer.flush(PATIENCE).expect("it is written");
}

/// Reads what is committed.
struct Reader {
    consumer: BaseConsumer,
}

impl Reader {
    fn new(broker: &Broker, topic: &str) -> Self {
        let mut client = broker.client();
        client.set("group.id", "reader").set("isolation.level", "read_committed");
        client.set("fetch.wait.max.ms", "5");
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            all.add_partition_offset(topic, partition, Offset::Beginning).expect("a place");
        }
        consumer.assign(&all).expect("its partitions");
        Self { consumer }
    }
}

/// User and system time of a process so far, in all its threads: fields 14 and 15 of `stat`, counted
/// behind the name, which may hold anything.
fn cpu_seconds(pid: &str) -> f64 {
    let path: PathBuf = ["/proc", pid, "stat"].iter().collect();
    let stat = std::fs::read_to_string(path).expect("it is running");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().expect("ticks")).sum();
    ticks / 100.0
}
