//! The audit log on a real Kafka: many write at once, and whoever meddles with it is found.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tripline::audit_log::{DeedKind, DeedOutcome};
use tripline::config::{Config, Secret};
use tripline::shell::audit::write_down;

use crate::harness::{Broker, Process, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

fn config(broker: &Broker, admin: u16) -> PathBuf {
    let text = format!(
        r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[admin]
listen = "127.0.0.1:{admin}"
[audit]
topic = "tripline.audit"
sign_key = {{ file = "audit.pem" }}
public_key = "audit.pub.pem"
[[stream]]
name = "audited"
input = "audited.requests"
bundle = "{bundle}"
"#,
        brokers = broker.address(),
        bundle = root().join("models/shuttle").display(),
    );
    file(broker, "tripline.toml", &text)
}

/// `audit.pem` and `audit.pub.pem`.
pub fn make_audit_keys(broker: &Broker) {
    for arguments in [
        &["genpkey", "-algorithm", "ed25519", "-out"][..],
        &["pkey", "-in", "audit.pem", "-pubout", "-out"],
    ] {
        let name = if arguments[0] == "pkey" { "audit.pub.pem" } else { "audit.pem" };
        let mut command = Command::new("openssl");
        let done = command.current_dir(path_in(broker, "")).args(arguments).arg(name).status();
        assert!(done.expect("openssl runs").success());
    }
}

/// What a command says, and its exit code.
fn tripline(arguments: &[&str], config: &Path) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    let done = command.args(arguments).arg("-c").arg(config).output().expect("tripline runs");
    let said = [done.stdout, done.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), done.status.code().unwrap_or(-1))
}

#[test]
fn entries_of_many_writers_are_one_chain_and_a_stranger_s_record_is_found() {
    let _turn = turn();
    let broker = Broker::start();
    make_audit_keys(&broker);
    let admin = free_port();
    let path = config(&broker, admin);
    broker.create_topic("audited.requests", 1, &[]);
    let (said, code) = tripline(&["topics", "--apply"], &path);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("tripline.audit: created, 1 partitions"), "{said}");

    // A process that guards streams says that it begins and ends.
    let mut guard =
        Process::tripline(&["run", "-c", path.to_str().unwrap()], &path_in(&broker, "guard.log"));
    wait_until("the first entry", Duration::from_secs(30), || {
        tripline(&["audit", "show"], &path).0.contains("io.tripline.audit.start")
    });
    assert!(guard.terminate(Duration::from_secs(30)).success());
    let (shown, _) = tripline(&["audit", "show"], &path);
    assert!(shown.contains("io.tripline.audit.stop"), "{shown}");
    let begun = shown.lines().count() as u64;

    // Four others write at the same time.
    let text = std::fs::read_to_string(&path).expect("the file");
    let fetch = |secret: Secret<'_>| match secret {
        Secret::File(name) => std::fs::read_to_string(name).map_err(|error| error.to_string()),
        Secret::Env(name) => Err(name.to_owned()),
    };
    let config = Config::read(&path, &text, [], &fetch).expect("it is right");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let config = &config;
            scope.spawn(move || {
                for n in 0..3 {
                    let place = format!("audited.quarantine/0/{writer}{n}");
                    write_down(config, DeedKind::Why, &place, DeedOutcome::Begun, [])
                        .expect("it is written");
                }
            });
        }
    });
    let (said, code) = tripline(&["audit", "verify"], &path);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("{} entries, 0 checkpoints", begun + 12)), "{said}");

    // Whoever asks for a decision is in the log before he sees it, or that there is none.
    let (said, code) = tripline(&["why", "audited.requests", "0", "7"], &path);
    assert_eq!(code, 1, "{said}");
    let (shown, _) = tripline(&["audit", "show"], &path);
    assert!(shown.lines().last().unwrap().contains("audited.requests/0/7"), "{shown}");

    // Somebody adds an entry of his own: a copy of the first one.
    let first = shown.lines().next().expect("an entry").to_owned();
    let producer: BaseProducer = broker.client().create().expect("a producer");
    let record = BaseRecord::to("tripline.audit").key("entry").payload(&first);
    producer.send(record).map_err(|(error, _)| error).expect("queued");
    producer.flush(Duration::from_secs(20)).expect("delivered");
    let (said, code) = tripline(&["audit", "verify"], &path);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("entry 0 stands where entry"), "{said}");
    assert!(said.contains("1 findings"), "{said}");
}
