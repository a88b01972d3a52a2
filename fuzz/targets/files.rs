//! What an operator writes, and what Tripline wrote into Kafka before.

use std::path::Path;
use std::str::from_utf8;
use std::sync::{Arc, LazyLock};

use tripline::config::{Config, Secret};
use tripline::deliver::CrashLoopGuard;
use tripline::monitor::About;
use tripline::monitor::{Frame, Monitor};
use tripline::record::{Offset, Partition, Probability, Schema, Timestamp};
use tripline::score::Lane;
use tripline::shell::routes::received::{Received, VALUE_BYTES_MAX};
use tripline::watch::answers::answer_hypotheses;
use tripline::watch::{Flagged, Message, Signals, Terms, Times, hypotheses};

use super::Split as _;

/// A record of the alerts topic: its key, then its value.
pub fn alert(input: &[u8]) {
    let (key, value) = input.optional();
    let at = Timestamp(value.iter().take(8).fold(0, |at, &byte| at << 8 | i64::from(byte)));
    if let Ok(alert) = Received::read(key, value, at) {
        assert!(!alert.dedup_key.is_empty());
        assert!(alert.bytes() < 4 * VALUE_BYTES_MAX);
        assert!(alert.id().is_ascii());
    }
}

/// No message about a configuration, and nothing that shows one, repeats a secret.
pub fn config(text: &[u8]) {
    const CANARY: &str = "c4n4ry-of-sixteen";
    let Ok(text) = from_utf8(text) else { return };
    // Somebody who writes it into the file has told it already.
    if text.contains("c4n4ry") {
        return;
    }
    let fetch = |_: Secret<'_>| Ok(CANARY.to_owned());
    match Config::read(Path::new("tripline.toml"), text, [], &fetch) {
        Ok(config) => {
            // Names are no secrets, wherever they are kept.
            let named = [config.instance.as_str(), config.kafka.brokers.as_str()];
            assert!(!config.streams.is_empty() && !config.routes.is_empty());
            let login = config.routes.iter().map(|route| format!("{:?}", route.to));
            let admin = format!("{:?}", config.admin);
            let shown = login.chain([admin]).find(|shown| shown.contains(CANARY));
            assert!(shown.is_none() || named.contains(&CANARY), "{shown:?}");
        }
        Err(problems) => {
            assert!(!problems.list.is_empty());
            let said = problems.to_string();
            assert!(!said.contains(CANARY), "{said}");
        }
    }
}

const WINDOW_MS: u64 = 1000;

fn monitor() -> Monitor {
    let budget = Probability::new(0.01).expect("a share");
    let false_page_ms = 7 * 24 * 3600 * 1000;
    let about = About {
        stream: "s".into(),
        input: "s.requests".into(),
        sanitized: "s.sanitized".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: "e".into(),
        bundle: "b".into(),
        policy: tripline::decide::Policy::default(),
        budget,
        false_page_ms,
        schema: Schema { features: vec![] },
        brokers: "kafka:9092".into(),
        file: "tripline.toml".into(),
    };
    let signals = Signals::none();
    let watches = hypotheses(&signals, Flagged { budget, rows: 3000, flagged: 30 }, |_| true);
    let times = Times { window_ms: WINDOW_MS, false_page_ms, keep_firing_for_ms: 3_600_000 };
    let terms = Terms::new("e", "s", watches, times);
    let schema = Schema { features: vec![] };
    let (no_data_ms, per_partition) = (None, false);
    let answers = Some(Terms::new("e", "s", answer_hypotheses(budget, false), times));
    Monitor::new(Arc::new(Frame {
        about,
        terms,
        answers,
        signals,
        schema,
        no_data_ms,
        per_partition,
        quasi: None,
        lineage: None,
    }))
}

/// A minute's evidence and an attack.
static HEARD: LazyLock<Vec<Message>> = LazyLock::new(|| {
    let lines = include_str!("../../tests/frozen/v4/evidence.jsonl").lines();
    lines.map(|line| Message::from_bytes(line.as_bytes()).expect("a message")).collect()
});

fn hear(monitor: &mut Monitor, messages: &[Message]) {
    let mut alerts = vec![];
    for message in messages {
        monitor.take(monitor.next(), message, &mut alerts);
    }
}

/// A record of the state or of the evidence topic: what is read is written so that it reads the same,
/// and a monitor goes on from it.
pub fn state(bytes: &[u8]) {
    let partition = Partition(2);
    if let Ok(lane) = Lane::covering(bytes, "e", partition, WINDOW_MS) {
        let again = Lane::covering(&lane.to_bytes(), "e", partition, WINDOW_MS);
        assert_eq!(again.ok().as_ref(), Some(&lane));
    }
    if let Ok((read, _)) = monitor().covering(bytes) {
        let written = read.to_bytes();
        let (again, _) = monitor().covering(&written).expect("what was read can be written");
        assert_eq!(again.to_bytes(), written);
        hear(&mut { again }, &HEARD);
    }
    if let Ok(message) = Message::from_bytes(bytes) {
        let mut monitor = monitor();
        hear(&mut monitor, &[message]);
        hear(&mut monitor, &HEARD);
    }
    let mut boot = CrashLoopGuard::take_over(Some(bytes), Offset(40), 256);
    boot.begin_alone();
    boot.move_on(Offset(41));
    let _ = CrashLoopGuard::take_over(Some(&boot.to_bytes()), Offset(41), 256);
}
