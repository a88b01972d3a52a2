//! `check --connect` against a real Kafka that forbids what was not granted.
//!
//! Two ways in: one for the administrator, who may everything, and one with a password for the
//! guard, who may what its ACLs say.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::harness::{Broker, Process, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const PASSWORD: &str = "c4n4ry";

/// A broker with an authorizer, and the port at which the guard gets in.
fn protected() -> (Broker, u16) {
    let port = free_port();
    let broker = Broker::start_with(|admin, controller| {
        vec![
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{admin},CONTROLLER://127.0.0.1:{controller},\
                 GUARD://127.0.0.1:{port}"
            ),
            format!("advertised.listeners=PLAINTEXT://127.0.0.1:{admin},GUARD://127.0.0.1:{port}"),
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
             GUARD:SASL_PLAINTEXT"
                .into(),
            "listener.name.guard.sasl.enabled.mechanisms=PLAIN".into(),
            format!(
                "listener.name.guard.plain.sasl.jaas.config=\
                 org.apache.kafka.common.security.plain.PlainLoginModule required \
                 user_guard=\"{PASSWORD}\";"
            ),
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".into(),
            // The broker's own and the administrator's.
            "super.users=User:ANONYMOUS".into(),
        ]
    });
    (broker, port)
}

fn config(port: u16) -> String {
    format!(
        r#"
instance = "test-0"

[kafka]
brokers = "127.0.0.1:{port}"
session_timeout_ms = 6000

[kafka.properties]
"security.protocol" = "SASL_PLAINTEXT"
"sasl.mechanism" = "PLAIN"
"sasl.username" = "guard"
"sasl.password" = {{ env = "GUARD_PASSWORD" }}

[[stream]]
name = "fashion"
input = "fashion.requests"
bundle = "{bundle}"
fields = ["/pixels"]
"#,
        bundle = root().join("models/fashion-mnist").display(),
    )
}

fn check(config: &str, more: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.args(["check", "-c", config]).args(more).env("GUARD_PASSWORD", PASSWORD);
    let output = command.output().expect("tripline runs");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).expect("UTF-8"), output.status.code())
}

/// The commands that `check` prints, each as its words.
fn grants(said: &str) -> Vec<Vec<String>> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("    "));
    let command = lines.filter(|line| line.starts_with("kafka-acls.sh"));
    let who = "'User:<name given to SASL>'";
    let words = command.map(|line| {
        assert!(line.contains(who), "{line}");
        line.replace(who, "User:guard").split(' ').map(str::to_owned).collect()
    });
    words.collect()
}

fn acls(broker: &Broker, command: &[String]) {
    let mut script = Process::client("acls.py", &[&broker.address()]);
    let done = script.args(command).output().expect("acls.py runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What stands behind the cross of every problem.
fn problems(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("✕ ")).collect()
}

fn produce(broker: &Broker, topic: &str, values: impl Iterator<Item = String>) {
    let producer: BaseProducer = broker.client().create().expect("a producer");
    for (i, value) in values.enumerate() {
        let key = i.to_string();
        producer.send(BaseRecord::to(topic).key(&key).payload(&value)).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");
}

#[test]
fn a_configuration_written_from_a_topic_lacks_nothing_but_its_bundle() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("payments.requests", 3, &[]);
    let countries = ["DE", "FR", "PT"];
    let payment = |i: usize| {
        let country = countries[i % 3];
        format!(
            "{{\"amount\": {}.25, \"country\": \"{country}\", \"name\": \"Mueller {i}\"}}",
            i % 70
        )
    };
    produce(&broker, "payments.requests", (0..900).map(payment));
    let output = path_in(&broker, "tripline.toml");
    let rows = path_in(&broker, "rows.jsonl");
    let init = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.args(["init", "--from-topic", "payments.requests", "--brokers", &broker.address()]);
        command.arg("-o").arg(&output).arg("--rows-out").arg(&rows);
        let output = command.output().expect("tripline runs");
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).expect("UTF-8"), output.status.code())
    };
    let (said, code) = init();
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Seen in the newest 500 records of 3 partitions:"), "{said}");
    let text = std::fs::read_to_string(&output).expect("it was written");
    assert!(text.contains("\"/country\", # category of 3: \"DE\", \"FR\", \"PT\""), "{text}");
    assert!(!text.contains("Mueller"), "{text}");
    let lines = std::fs::read_to_string(&rows).expect("rows");
    let amounts = lines.lines().map(|line| {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")["amount"].as_f64()
    });
    assert_eq!(amounts.flatten().count(), 500);

    // Only what `fit` makes is missing.
    let (said, code) = check(output.to_str().expect("UTF-8"), &[]);
    assert_eq!(code, Some(78), "{said}");
    let [problem] = problems(&said)[..] else { panic!("{said}") };
    assert!(
        problem.starts_with("stream payments: bundle: ") && problem.contains("models/payments"),
        "{said}"
    );

    // It is never overwritten, and nothing was committed.
    let (said, code) = init();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not overwritten"), "{said}");
    assert_eq!(std::fs::read_to_string(&output).expect("still there"), text);
    assert_eq!(broker.committed_and_end("tripline.sample", "payments.requests", 3), (0, 900));
}

#[test]
fn a_check_names_every_right_that_is_missing_and_the_command_that_grants_it() {
    let _turn = turn();
    let (broker, port) = protected();
    broker.create_topic("fashion.requests", 2, &[]);
    for name in ["sanitized", "quarantine", "dead-letter", "state"] {
        broker.create_topic(&format!("fashion.{name}"), 2, &[]);
    }
    broker.create_topic("fashion.evidence", 1, &[]);
    broker.create_topic("tripline.alerts", 1, &[("cleanup.policy", "compact")]);
    let config = file(&broker, "tripline.toml", &config(port));
    let config = config.to_str().expect("UTF-8");
    let check = |config| check(config, &["--connect"]);

    // Nothing is granted: everything is missing, and each command grants what it stands below.
    let (said, code) = check(config);
    println!("{said}");
    assert_eq!(code, Some(78), "{said}");
    let all = grants(&said);
    assert_eq!((problems(&said).len(), all.len()), (11, 11), "{said}");
    all.iter().for_each(|command| acls(&broker, command));

    // The brokers learn of a new rule within a moment.
    wait_until("a quiet check", Duration::from_secs(20), || check(config).1 == Some(0));
    let (said, _) = check(config);
    println!("{said}");
    assert_eq!(problems(&said), [""; 0], "{said}");

    // One right to write and that to the transactional ids are taken away: exactly these are told.
    let taken: Vec<Vec<String>> = all
        .iter()
        .filter(|words| {
            words.contains(&"fashion.quarantine".into())
                || words.contains(&"--transactional-id".into())
        })
        .map(|words| words.iter().map(|word| word.replace("--add", "--remove")).collect())
        .collect();
    assert_eq!(taken.len(), 2);
    taken.iter().for_each(|command| acls(&broker, command));
    let expected = [
        "may not Write on topic fashion.quarantine: what is held back",
        "may not Describe, Write on transactional ids tripline.test-0.*: records, state and offsets \
         in one transaction",
    ];
    wait_until("the two problems", Duration::from_secs(20), || {
        problems(&check(config).0) == expected
    });
    let (said, _) = check(config);
    println!("{said}");
    let granted: Vec<String> = grants(&said).iter().map(|words| words.join(" ")).collect();
    assert!(granted[0].ends_with("--operation Write --topic fashion.quarantine"), "{said}");
    assert!(
        granted[1]
            .ends_with("--transactional-id tripline.test-0. --resource-pattern-type prefixed"),
        "{said}"
    );
    assert!(!said.contains(PASSWORD), "{said}");

    // What the commands grant is enough to work with.
    grants(&said).iter().for_each(|command| acls(&broker, command));
    wait_until("a quiet check", Duration::from_secs(20), || check(config).1 == Some(0));
    produce(&broker, "fashion.requests", (0..50).map(|_| "{\"pixels\": []}".to_owned()));
    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let mut guard =
        Process::tripline_with(&["run", "-c", config], &[("GUARD_PASSWORD", PASSWORD)], &log);
    wait_until("the end of the input", Duration::from_secs(60), || {
        broker.committed_and_end("tripline.fashion", "fashion.requests", 2) == (50, 50)
    });
    wait_until("a route to begin", Duration::from_secs(60), || {
        std::fs::read_to_string(&log).expect("a log").contains("telling incidents")
    });
    assert_eq!(guard.terminate(Duration::from_secs(20)).code(), Some(0));
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(!log.contains("uthorization") && !log.contains(PASSWORD), "{log}");
}

#[test]
fn a_right_that_is_revoked_while_it_runs_is_named_until_it_is_given_back() {
    let _turn = turn();
    let (broker, port) = protected();
    broker.create_topic("fashion.requests", 2, &[]);
    for name in ["sanitized", "quarantine", "dead-letter", "state"] {
        broker.create_topic(&format!("fashion.{name}"), 2, &[]);
    }
    broker.create_topic("fashion.evidence", 1, &[]);
    broker.create_topic("tripline.alerts", 1, &[("cleanup.policy", "compact")]);
    let admin = free_port();
    let text = config(port) + &format!("[admin]\nlisten = \"127.0.0.1:{admin}\"\n");
    let config = file(&broker, "tripline.toml", &text);
    let config = config.to_str().expect("UTF-8");
    let all = grants(&check(config, &["--connect"]).0);
    all.iter().for_each(|command| acls(&broker, command));
    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let secret = [("GUARD_PASSWORD", PASSWORD)];
    let mut guard = Process::tripline_with(&["run", "-c", config], &secret, &log);
    let get = |path: &str| {
        let mut said = String::new();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", admin)) else { return said };
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut said);
        said
    };
    let soon = Duration::from_secs(60);
    let is_quiet = || {
        let said = get("/ready");
        said.starts_with("HTTP/1.1 200") && !said.contains("a right is missing")
    };
    wait_until("a quiet start", soon, is_quiet);
    let mut sent = 0;
    for (resource, said) in [
        ("fashion.sanitized", "may not Write on topic fashion.sanitized: "),
        ("fashion.requests", "may not Read on topic fashion.requests: "),
        ("tripline.fashion", "may not Read on group tripline.fashion: "),
        ("--transactional-id", "may not Describe, Write on transactional ids tripline.test-0.*: "),
    ] {
        let right = all.iter().find(|words| words.contains(&resource.into())).expect("a grant");
        let taken: Vec<String> = right.iter().map(|w| w.replace("--add", "--remove")).collect();
        acls(&broker, &taken);
        produce(&broker, "fashion.requests", (0..50).map(|_| "{\"pixels\": []}".to_owned()));
        sent += 50;
        wait_until(resource, soon, || {
            get("/ready").contains(&format!("a right is missing: {said}"))
        });
        assert!(get("/metrics").contains("\ntripline_missing_rights 1\n"));
        assert!(guard.child.try_wait().expect("a status").is_none(), "it lives");
        acls(&broker, right);
        wait_until("its return", soon, is_quiet);
        wait_until("the end of the input", soon, || {
            let done = broker.committed_and_end("tripline.fashion", "fashion.requests", 2);
            done == (sent, sent)
        });
    }
    assert_eq!(guard.terminate(Duration::from_secs(20)).code(), Some(0));
}
