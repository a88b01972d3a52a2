//! Messages of the evidence topic, and what a monitor makes of them.

use super::*;

pub fn monitor() -> Monitor {
    scoring(false)
}

pub fn scoring(per_partition: bool) -> Monitor {
    judging_of(Schema { features: vec![] }, per_partition)
}

pub fn judging_of(schema: Schema, per_partition: bool) -> Monitor {
    let budget = Probability::new(0.01).unwrap();
    let false_page_ms = 7 * 24 * 3600 * 1000;
    let policy =
        Policy { mode: Mode::Enforce, on_flagged: OnFlagged::Quarantine, ..Policy::default() };
    let about = About {
        stream: "s".into(),
        input: "s.requests".into(),
        sanitized: "s.sanitized".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: "e".into(),
        bundle: "b".into(),
        policy,
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
    Monitor::new(Arc::new(Frame {
        about,
        terms,
        answers: None,
        signals,
        schema,
        no_data_ms: None,
        per_partition,
        quasi: None,
        lineage: None,
    }))
}

/// A clean minute, then an attack.
pub fn messages() -> Vec<Message> {
    let mut messages = vec![
        Message::Tick(Tick { at: Timestamp(T0 + 100_000) }),
        Message::Presence(Presence { partition: Partition(0), quiet: false }),
        Message::Presence(Presence { partition: Partition(1), quiet: true }),
    ];
    for window in 0..75 {
        let flagged = if window < 60 { u64::from(window % 4 == 0) } else { 12 };
        let counts = Counts {
            rows: 25,
            flagged,
            corrected: 0,
            quarantined: flagged,
            faults: u64::from(window == 3),
            imputed: window as u64 % 2,
            misdated: 0,
            lost: 0,
            outputs_lost: 0,
            other_logs: 0,
        };
        let mut cells = Cells::default();
        (0..25).for_each(|row| cells.push(row * 20));
        messages.push(Message::Evidence(Evidence {
            baseline: "e".into(),
            partition: Partition(0),
            from: Offset(26 * window),
            to: Offset(26 * window + 26),
            begins: window == 0,
            head: None,
            read_out: false,
            windows: vec![Counted {
                window: Timestamp(T0 + 1000 * window),
                tally: Tally { counts, cells, ..Tally::default() },
                first_flagged: (flagged > 0).then_some(Offset(26 * window + 7)),
                exemplars: Default::default(),
            }],
        }));
    }
    messages
}

/// The same with all that a lane says today.
pub fn messages_of_version_4() -> Vec<Message> {
    let mut messages = messages();
    for message in &mut messages {
        if let Message::Evidence(evidence) = message {
            (evidence.head, evidence.read_out) = (Some(evidence.windows[0].window), true);
            evidence.windows[0].tally.counts.misdated = 1;
        }
    }
    messages
}

pub fn lines(messages: &[Message]) -> Vec<u8> {
    messages.iter().flat_map(|m| [m.to_bytes(), b"\n".to_vec()].concat()).collect()
}

/// The monitor of this evidence, and what it said.
pub fn judged(messages: &[Message]) -> (Monitor, Vec<Alert>) {
    heard(monitor(), messages)
}

pub fn heard(mut monitor: Monitor, messages: &[Message]) -> (Monitor, Vec<Alert>) {
    let mut alerts = vec![];
    for message in messages {
        monitor.take(monitor.next(), message, &mut alerts);
    }
    (monitor, alerts)
}

/// The same, while a worker of another bundle tells of partition 1.
pub fn messages_of_version_5() -> Vec<Message> {
    let reference = Baseline { baseline: "other".into(), budget: 0.02, rows: 3000, flagged: 60 };
    let mut messages = messages_of_version_4();
    messages.insert(3, Message::Reference(reference));
    let others = messages.iter().filter_map(|message| match message {
        Message::Evidence(evidence) => Some(Message::Evidence(Evidence {
            baseline: "other".into(),
            partition: Partition(1),
            ..evidence.clone()
        })),
        _ => None,
    });
    let others: Vec<_> = others.skip(70).collect();
    messages.extend(others);
    messages
}
