//! Real client libraries on both sides of a real Kafka: what KServe's, Triton's and the CloudEvents
//! clients write is read, scored, corrected, and readable for the same libraries.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Broker, Process, file, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 3;
/// Records of every format, of one to four rows.
const EACH: i64 = 16;

/// Two streams get the same records: one corrects what it flags, one holds it back.
const STREAMS: [(&str, &str); 2] = [("mended", "correct"), ("held", "quarantine")];

fn config(broker: &Broker) -> String {
    let brokers = broker.address();
    let bundle = root().join("models/fashion-mnist");
    let stream = |(name, on_flagged)| {
        format!(
            r#"
[[stream]]
name = "{name}"
input = "{name}.requests"
bundle = "{}"
codec = "auto"
inputs_by = "name"
extra_inputs = ["session"]
scaled_integers = true
mode = "enforce"
on_flagged = "{on_flagged}"
"#,
            bundle.display()
        )
    };
    let kafka = format!("[kafka]\nbrokers = \"{brokers}\"\nsession_timeout_ms = 6000\n");
    format!("instance = \"test-0\"\n{kafka}{}", STREAMS.map(stream).concat())
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// Runs the client and gives what it says; it must be content.
fn client(arguments: &[&str]) -> Value {
    let output = Process::client("formats.py", arguments).output().expect("formats.py runs");
    let (said, errors) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(said).into_owned();
    assert!(output.status.success(), "formats.py {}: {said}\n{errors}", arguments[0]);
    serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error}: {said}\n{errors}"))
}

#[test]
fn what_real_clients_write_the_same_clients_read_when_it_comes_out() {
    let _turn = turn();
    let broker = Broker::start();
    let created = [("message.timestamp.type", "CreateTime"), ("max.message.bytes", "1048588")];
    for (stream, _) in STREAMS {
        broker.create_topic(&format!("{stream}.requests"), PARTITIONS, &created);
    }
    let config = text(&file(&broker, "tripline.toml", &config(&broker)));
    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let mut apply = Process::tripline(&["topics", "-c", &config, "--apply"], &log);
    assert!(apply.child.wait().expect("its end").success());

    let slice = root().join("models/fashion-mnist/slice");
    let brokers = broker.address();
    let (clean, attack) = (text(&slice.join("clean.u8")), text(&slice.join("trigger.u8")));
    let (each, seed) = (EACH.to_string(), "20261123");
    let ledger = |stream: &str| text(&path_in(&broker, &format!("{stream}.jsonl")));
    let sent = STREAMS.map(|(stream, _)| {
        let (topic, ledger) = (format!("{stream}.requests"), ledger(stream));
        let place = ["--brokers", &brokers, "--ledger", &ledger, "--topic", &topic];
        let what = ["--clean", &clean, "--attack", &attack, "--each", &each, "--seed", seed];
        let said = client(&[&["produce"], &place[..], &what].concat());
        said["sent"].as_i64().expect("a count")
    });

    let mut guard = Process::tripline(&["run", "-c", &config], &log);
    for ((stream, _), sent) in STREAMS.into_iter().zip(sent) {
        let (group, topic) = (format!("tripline.{stream}"), format!("{stream}.requests"));
        wait_until("the end of the input", Duration::from_secs(120), || {
            let done = broker.committed_and_end(&group, &topic, PARTITIONS);
            done == (sent, sent)
        });
    }
    assert_eq!(guard.terminate(Duration::from_secs(20)).code(), Some(0));

    for ((stream, on_flagged), sent) in STREAMS.into_iter().zip(sent) {
        let ledger = ledger(stream);
        let place = ["--brokers", &brokers, "--ledger", &ledger];
        let report = client(&[&["check", "--stream", stream], &place[..]].concat());
        println!("{stream}: {report}");
        assert_eq!(report["wrong"], 0, "{stream}: {report}");
        assert_eq!(report["unnoticed"], Value::Array(vec![]), "the client is blind: {report}");
        assert!(report["damages"].as_u64().is_some_and(|n| n >= 100), "{stream}: {report}");
        let formats = report["formats"].as_object().expect("formats");
        assert_eq!(formats.len() as i64 * EACH, sent, "{stream}: {report}");
        for (format, counts) in formats {
            let count = |name: &str| counts[name].as_i64().unwrap_or(0);
            let all = ["pass", "correct", "quarantine"].map(count);
            assert_eq!(all.iter().sum::<i64>(), EACH, "{stream}, {format}: {counts}");
            // A guard that lets all pass, or holds all back, would prove nothing.
            let flagged = if on_flagged == "correct" { all[1] } else { all[2] };
            assert!(all[0] >= 4 && flagged >= 4, "{stream}, {format}: {counts}");
            if on_flagged == "correct" {
                assert!(count("attack rows changed") >= 4, "{format}: {counts}");
                let (kept, changed) = (count("clean rows kept"), count("clean rows changed"));
                assert!(kept > changed, "{format}: {counts}");
            }
        }
    }
}
