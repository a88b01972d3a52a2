//! Brokers that are away, stand still or forbid, and other processes of our name, on a real Kafka: the
//! process lives, says what is wrong, and goes on by itself. Every record leaves once.

mod site;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tripline::emit::ReadTrace;

use self::site::{Site, configure, get};
use crate::harness::{
    BUSY, Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until,
};
use crate::turn::turn;

const PARTITIONS: i32 = 2;
/// How soon a stream goes on after its brokers are back.
const BACK: Duration = Duration::from_secs(45);
const SOON: Duration = Duration::from_secs(60);

fn is_alive(guard: &mut Process) -> bool {
    guard.child.try_wait().expect("a status").is_none()
}

/// Lines of a log that are written in the time `during` takes.
fn lines_during(site: &mut Site, during: impl FnOnce(&mut Site)) -> Vec<String> {
    let before = site.said().lines().count();
    during(site);
    site.said().lines().skip(before).map(str::to_owned).collect()
}

/// When a line was written, in seconds of its day, and what it says but for numbers and addresses.
fn at_and_cause(line: &str) -> (f64, String) {
    let mut plain = String::new();
    let mut parts = line.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').expect("a colour").1);
    }
    let (stamp, said) = plain.split_once(' ').expect("a time");
    let time = &stamp[11..stamp.len() - 1];
    let at =
        time.split(':').fold(0.0, |sum, part| 60.0 * sum + part.parse::<f64>().expect("a time"));
    let said = said.split(" (said ").next().unwrap_or_default();
    let said = said.split(" (after ").next().unwrap_or_default();
    let is_name = |word: &&str| {
        let coordinator = ["GroupCoordinator", "TxnCoordinator"].iter().any(|n| word.contains(n));
        coordinator || word.bytes().any(|byte| byte.is_ascii_digit())
    };
    let words = said.split_whitespace().filter(|word| !is_name(word));
    (at, words.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_start_without_a_broker_answers_probes_waits_and_goes_on_when_it_is_there() {
    let _turn = turn();
    let mut site = Site::new(&["rows"], 1);
    let _tail = ShowOnPanic(site.log.clone());
    site.send(50);
    site.broker.kill();
    let mut guard = site.start();
    wait_until("/live", Duration::from_secs(10), || {
        get(site.admin, "/live").starts_with("HTTP/1.1 200")
    });
    wait_until("what is wrong", SOON, || {
        let said = site.ready();
        said.starts_with("HTTP/1.1 503") && said.contains("no broker has answered for ")
    });
    std::thread::sleep(Duration::from_secs(20));
    assert!(is_alive(&mut guard));
    assert!(get(site.admin, "/live").starts_with("HTTP/1.1 200"));
    assert!(site.metric("tripline_brokers_unreachable_seconds") > 15.0);
    site.broker.start_again();
    site.wait_until_left(50, BACK);
    site.wait_for_ready(BACK);
    assert_eq!(site.metric("tripline_brokers_unreachable_seconds"), 0.0);
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

#[test]
fn brokers_that_stand_still_stop_no_stream_and_end_no_process() {
    let _turn = turn();
    let site = Site::new(&["rows", "more"], 1);
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    site.wait_for_ready(SOON);
    let mut sent = 0;
    for seconds in [8, 14, 25] {
        // What is sent just before is on its way when nobody answers any more.
        site.send(40);
        sent += 40;
        std::thread::sleep(Duration::from_millis(30));
        site.broker.freeze(Duration::from_secs(seconds));
        site.wait_until_left(sent, BACK);
        assert!(is_alive(&mut guard), "after {seconds} s");
        let hanging = site.metric("tripline_hanging_calls");
        println!("after {seconds} s: {hanging} calls hang");
    }
    site.wait_for_ready(BACK);
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

#[test]
fn a_broker_that_takes_seconds_to_answer_is_worked_with() {
    let _turn = turn();
    let site = Site::new(&["rows", "more"], 1);
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    site.wait_for_ready(SOON);
    // It stands still for two to four seconds, then works for one: whatever is asked takes that long. On a busy machine it
    // needs some of that second, and more, until its cluster has it back.
    const ROUNDS: u64 = 12;
    let mut sent = 0;
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            for round in 0..ROUNDS {
                site.broker.freeze(Duration::from_millis(2000 + 1000 * (round % 3)));
                wait_until("the broker to lead again", SOON, || site.is_led());
                std::thread::sleep(Duration::from_millis(1000));
            }
        });
        while !slow.is_finished() {
            site.send(10);
            sent += 10;
        }
    });
    let out = site.metric("tripline_records_total");
    println!("{sent} records a partition were sent, {out} of {} had left by then", 4 * sent);
    assert!(out > 0.0, "it works on while it is slow");
    assert!(is_alive(&mut guard));
    site.wait_until_left(sent, BACK);
    assert!(!site.said().contains("another process took over"), "nobody did");
    site.wait_for_ready(BACK);
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

#[test]
#[ignore = "three minutes without a broker: make outages"]
fn while_brokers_are_away_a_cause_is_said_once_a_minute_and_nothing_ends() {
    let _turn = turn();
    let mut site = Site::new(&["rows", "more"], 1);
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    site.wait_for_ready(SOON);
    site.send(40);
    site.wait_until_left(40, SOON);
    // Longer than the watchdog waits for a sign of life.
    const MINUTES: usize = 3;
    let lines = lines_during(&mut site, |site| {
        site.broker.kill();
        let began = Instant::now();
        wait_until("what is wrong", SOON, || site.ready().contains("no broker has answered for "));
        std::thread::sleep(Duration::from_secs(60 * MINUTES as u64) - began.elapsed());
    });
    println!("{} lines in {MINUTES} minutes:\n{}", lines.len(), lines.join("\n"));
    // No cause is said twice in a minute.
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    for line in &lines {
        let (at, cause) = at_and_cause(line);
        if let Some(before) = last.insert(cause.clone(), at) {
            assert!(at - before > 59.0, "{cause}: again after {:.1} s", at - before);
        }
    }
    // Once it is said what happened, no client has more than a line a minute: two clients for each of four
    // threads, one for a route and one for whoever asks how the brokers are.
    const CLIENTS: usize = 10;
    let end = at_and_cause(lines.last().expect("lines")).0;
    let in_last_minute = lines.iter().filter(|line| end - at_and_cause(line).0 < 60.0).count();
    assert!(in_last_minute <= CLIENTS, "{in_last_minute} lines");
    let again = lines.iter().filter(|line| line.contains(" more in the last minute)"));
    assert!(again.count() >= 2, "what is not written is counted");
    assert!(is_alive(&mut guard));
    assert!(get(site.admin, "/live").starts_with("HTTP/1.1 200"));
    site.broker.start_again();
    site.send(40);
    site.wait_until_left(80, BACK);
    site.wait_for_ready(BACK);
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

#[test]
fn a_thread_that_brokers_fence_takes_its_id_back_and_the_other_stream_does_not_notice() {
    let _turn = turn();
    let site = Site::new(&["rows", "more"], 1);
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    site.wait_for_ready(SOON);
    site.send(40);
    site.wait_until_left(40, SOON);
    // What brokers do to a transaction that lasts too long: the id has a new epoch, and nobody has it.
    let mut client = site.broker.client();
    client.set("transactional.id", "tripline.test-0.rows.worker-0");
    let other: BaseProducer = client.create().expect("a producer");
    other.init_transactions(Duration::from_secs(20)).expect("the id");
    site.send(40);
    site.wait_until_left(80, BACK);
    assert!(is_alive(&mut guard));
    let fenced = |stream: &str| {
        let thread = format!("{{stream=\"{stream}\",thread=\"worker-0\",result=\"aborted\"}}");
        site.metric(&format!("tripline_transactions_total{thread}"))
    };
    assert!(fenced("rows") >= 1.0, "it was fenced");
    assert_eq!(fenced("more"), 0.0);
    let said = site.said();
    assert!(said.contains("no other process of our name is seen"), "it says what is true");
    assert!(!said.contains("another process took over"), "nobody did");
    site.wait_for_ready(BACK);
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

#[test]
fn of_two_processes_with_one_name_one_works_and_the_other_stands_back_until_it_is_gone() {
    let _turn = turn();
    let site = Site::new(&["rows", "more"], 1);
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    site.wait_for_ready(SOON);
    site.send(40);
    site.wait_until_left(40, SOON);
    // The other has one of the streams only.
    let port = free_port();
    let config = configure(&site.broker, "other.toml", port, &["rows"], 1);
    let log = path_in(&site.broker, "other.log");
    let _other_tail = ShowOnPanic(log.clone());
    let mut other = Process::tripline(&["run", "-c", &config], &log);
    let mut sent = 40;
    let backs = || {
        let of = |port| get(port, "/ready").matches("stands back for ").count();
        (of(site.admin), of(port))
    };
    // A worker and a monitor, each in one of the two processes, have the two ids of the stream.
    wait_until("one of each to stand back", SOON, || {
        site.send(1);
        sent += 1;
        std::thread::sleep(Duration::from_millis(500));
        let (ours, others) = backs();
        ours + others == 2
    });
    let fencings = || {
        let of = |port| {
            let page = get(port, "/metrics");
            let lines = page.lines().filter(|line| line.contains("result=\"fenced\""));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
        };
        of(site.admin) + of(port)
    };
    let before = fencings();
    let until = Instant::now() + Duration::from_secs(40);
    while Instant::now() < until {
        site.send(1);
        sent += 1;
        std::thread::sleep(Duration::from_secs(1));
    }
    println!(
        "{before} fencings, then {} more in 40 s; {:?} stand back",
        fencings() - before,
        backs()
    );
    assert!(fencings() - before <= 2.0, "they take turns");
    assert!(is_alive(&mut guard) && is_alive(&mut other));
    site.wait_until_left(sent, BACK);
    assert!(other.terminate(Duration::from_secs(30)).success());
    site.send(40);
    site.wait_until_left(sent + 40, Duration::from_secs(100));
    site.wait_for_ready(Duration::from_secs(100));
    assert_eq!(site.metric("tripline_threads_standing_back"), 0.0);
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

#[test]
fn a_process_that_stood_still_while_another_took_its_place_stands_back_when_it_wakes() {
    let _turn = turn();
    let site = Site::new(&["rows"], 1);
    let _tail = ShowOnPanic(site.log.clone());
    let guard = site.start();
    site.wait_for_ready(SOON);
    site.send(40);
    site.wait_until_left(40, SOON);
    let signal = |name: &str| {
        let pid = guard.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    };
    // In the middle of what it has just read.
    site.send(400);
    std::thread::sleep(Duration::from_millis(20));
    signal("-STOP");
    let port = free_port();
    let config = configure(&site.broker, "other.toml", port, &["rows"], 1);
    let log = path_in(&site.broker, "other.log");
    let _other_tail = ShowOnPanic(log.clone());
    let mut other = Process::tripline(&["run", "-c", &config], &log);
    site.wait_until_left(440, BACK);
    signal("-CONT");
    let mut sent = 440;
    wait_until("both threads of one process to stand back", SOON, || {
        site.send(1);
        sent += 1;
        std::thread::sleep(Duration::from_millis(500));
        let backs = |port| get(port, "/ready").matches("stands back for ").count();
        backs(site.admin) + backs(port) == 2
    });
    site.wait_until_left(sent, BACK);
    drop(guard);
    site.send(40);
    site.wait_until_left(sent + 40, Duration::from_secs(100));
    assert!(other.terminate(Duration::from_secs(30)).success());
}

#[test]
fn a_worker_without_a_partition_is_named_and_why_that_is_right() {
    let _turn = turn();
    let site = Site::new(&["rows"], 3);
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    wait_until("the third worker to be named", SOON, || {
        let said = site.ready();
        said.starts_with("HTTP/1.1 200")
            && said.contains(" has no partition: 3 workers share 2 partitions; that is right")
    });
    assert_eq!(site.metric("tripline_workers_without_partition"), 1.0);
    assert!(guard.terminate(Duration::from_secs(20)).success());
}
