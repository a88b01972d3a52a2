//! Recorded traffic through a configuration: what would become of it, and what on-call would hear.
//!
//! Nothing is produced and nothing committed. Windows are cut as by a lane (`score/lane/clock.rs`) and judged
//! in their order, as a stream's are when every record comes in time; which record would have come too
//! late a recording does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::scorer::StreamScorer;
use crate::decide::Mode;
use crate::deliver::Scorer as _;
use crate::monitor::{Alert, Status};
use crate::monitor::{Frame, Monitor};
use crate::record::{Offset, OwnedRecord, Partition, Position, Record, Stamp, Timestamp};
use crate::score::{Clock, GuardFailure, Lane};
use crate::watch::{Counts, Evidence, Message, Presence, Tick, Window, WindowStart};

/// One record of a recording, and where it stood.
pub type Recorded = (Position, OwnedRecord);

/// A line of a recording: what `kcat -J` writes, or with the payload in base64.
#[derive(Deserialize)]
struct Line {
    partition: i32,
    offset: i64,
    ts: i64,
    /// `logappend`, `create` or `unknown`.
    #[serde(default)]
    tstype: String,
    #[serde(default)]
    headers: Vec<Option<String>>,
    key: Option<String>,
    payload: Option<String>,
    payload_base64: Option<String>,
}

/// One configuration at work on the recording.
pub struct Replaying {
    scorer: StreamScorer,
    frame: Arc<Frame>,
    baseline: String,
    /// What time it is in each partition.
    clocks: BTreeMap<Partition, Clock>,
    /// Of each partition if those are judged one by one; else merged, as of partition 0.
    windows: BTreeMap<(WindowStart, Partition), Window>,
    verdicts: BTreeMap<Position, &'static str>,
    span: Option<(Timestamp, Timestamp)>,
}

/// What became of the recording.
pub struct Replayed {
    /// The verdict's text of every record.
    pub verdicts: BTreeMap<Position, &'static str>,
    pub counts: Counts,
    /// In the order in which on-call would hear them.
    pub alerts: Vec<Alert>,
    /// From the first record to the last.
    pub span: Duration,
    /// Whether every record goes on whatever its verdict.
    pub observes: bool,
    /// Pages allowed in a week.
    pub allowed_per_week: f64,
}

const WEEK_MS: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;

/// Reads a line of `kcat -J`; `payload_base64` instead of `payload` for bytes that are no text.
///
/// # Errors
/// What is wrong with it.
pub fn read_line(line: &str) -> Result<Recorded, String> {
    use base64::Engine as _;
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let value = match (line.payload, line.payload_base64) {
        (Some(_), Some(_)) => return Err("it has payload and payload_base64".into()),
        (payload, None) => payload.map(String::into_bytes),
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            Some(bytes.map_err(|error| format!("payload_base64: {error}"))?)
        }
    };
    let bytes = |text: &Option<String>| text.as_deref().map(|text| text.as_bytes().to_vec());
    let pairs = line.headers.chunks_exact(2);
    let headers = pairs.map(|pair| (bytes(&pair[0]).unwrap_or_default(), bytes(&pair[1])));
    let at = Position { partition: Partition(line.partition), offset: Offset(line.offset) };
    let stamp = Stamp { at: Timestamp(line.ts), by_broker: line.tstype == "logappend" };
    let key = line.key.map(String::into_bytes);
    Ok((at, OwnedRecord { stamp, key, headers: headers.collect(), value }))
}

impl Replaying {
    pub fn new(scorer: StreamScorer, frame: Frame) -> Self {
        let baseline = frame.about.baseline.clone();
        let (clocks, windows, verdicts) = Default::default();
        Self { scorer, frame: Arc::new(frame), baseline, clocks, windows, verdicts, span: None }
    }

    /// Takes some records, of one partition in their order.
    ///
    /// # Errors
    /// If the guard cannot score and may not pass what it cannot score.
    pub fn take(&mut self, records: &[Recorded]) -> Result<(), GuardFailure> {
        let records: Vec<Record<'_>> = records.iter().map(|(at, record)| record.at(*at)).collect();
        self.scorer.fetch(&records);
        self.scorer.score(&records)?;
        let mut evidence = vec![];
        for (record, outcome) in records.iter().zip(self.scorer.outcomes()) {
            let at = record.at;
            // A lane of its own for each: repeats and gaps of a recording are nobody's fault.
            let window_ms = self.frame.terms.window_ms;
            let clock = self.clocks.entry(at.partition).or_default();
            let lane = Lane::new(&self.baseline, at.partition, at.offset, window_ms);
            let mut lane = lane.at(std::mem::take(clock));
            lane.count(at, record.stamp, outcome, &self.scorer.cells()[outcome.cells.clone()]);
            lane.drain_evidence(&mut evidence);
            *clock = lane.clock().clone();
            let timestamp = record.stamp.at;
            self.verdicts.insert(at, outcome.text);
            let (first, last) = self.span.unwrap_or((timestamp, timestamp));
            self.span = Some((first.min(timestamp), last.max(timestamp)));
        }
        for Evidence { partition, windows, .. } in evidence {
            let partition = if self.frame.per_partition { partition } else { Partition(0) };
            for window in windows {
                let start = window.window;
                let sum =
                    self.windows.entry((start, partition)).or_insert_with(|| Window::empty(start));
                sum.tally.add(&window.tally);
                sum.first_flagged = sum.first_flagged.or(window.first_flagged);
                sum.exemplars.join(&window.exemplars);
            }
        }
        Ok(())
    }

    /// Scores what was counted.
    pub fn finish(self) -> Replayed {
        let Self { frame, baseline, windows, verdicts, span, .. } = self;
        let allowed_per_week = WEEK_MS / frame.terms.false_page_ms as f64;
        let observes = frame.about.policy.mode == Mode::Observe;
        let (length, mut monitor) = (frame.terms.window_ms as i64, Monitor::new(frame));
        let (mut counts, mut alerts) = (Counts::default(), vec![]);
        let mut said = |message| monitor.take(monitor.next(), &message, &mut alerts);
        let partitions: BTreeSet<Partition> =
            windows.keys().map(|&(_, partition)| partition).collect();
        let quiet = |partition| Message::Presence(Presence { partition, quiet: true });
        partitions.iter().for_each(|&partition| said(quiet(partition)));
        let mut begun = BTreeSet::new();
        for (n, ((start, partition), window)) in (0..).zip(windows) {
            counts.add(&window.tally.counts);
            said(Message::Tick(Tick { at: Timestamp(start.0 + 3 * length) }));
            said(Message::Evidence(Evidence {
                baseline: baseline.clone(),
                partition,
                from: Offset(n),
                to: Offset(n + 1),
                begins: begun.insert(partition),
                head: None,
                read_out: false,
                windows: vec![window],
            }));
        }
        partitions.iter().for_each(|&partition| said(quiet(partition)));
        let (first, last) = span.unwrap_or((Timestamp(0), Timestamp(0)));
        let span = Duration::from_millis(last.0.saturating_sub(first.0).max(0) as u64);
        Replayed { verdicts, counts, alerts, span, observes, allowed_per_week }
    }
}

impl Replayed {
    /// Alerts that would page.
    pub fn pages(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.status == Status::Firing)
    }

    /// Pages in a week, if it went on like this; `None` of a recording without length.
    pub fn per_week(&self) -> Option<f64> {
        let ms = self.span.as_millis() as f64;
        (ms > 0.0).then(|| self.pages().count() as f64 * WEEK_MS / ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_kcat_writes_it_and_bytes_as_base64() {
        let line = r#"{"topic":"t","partition":3,"offset":7,"tstype":"create","ts":1795459870123,"broker":0,"headers":["Content-Type","application/json","x",null],"key":"k","payload":"[1, 2]"}"#;
        let (at, record) = read_line(line).unwrap();
        assert_eq!(at, Position { partition: Partition(3), offset: Offset(7) });
        assert_eq!(record.value.as_deref(), Some(&b"[1, 2]"[..]));
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.header("Content-Type"), Some(&b"application/json"[..]));
        assert_eq!(record.headers[1], (b"x".to_vec(), None));
        let value = |line: &str| read_line(line).unwrap().1.value;
        let bytes = r#"{"partition":0,"offset":0,"ts":1,"payload_base64":"AP8="}"#;
        assert_eq!(value(bytes), Some(vec![0, 255]));
        assert_eq!(value(r#"{"partition":0,"offset":0,"ts":1,"payload":null}"#), None);
        for bad in ["", "{}", r#"{"partition":0,"offset":0,"ts":1,"payload_base64":"?"}"#] {
            assert!(read_line(bad).is_err(), "{bad}");
        }
    }
}
