//! The one message on-call gets per incident: who, what, how many, what was already done.

use jiff::Timestamp as Instant;
use serde::{Deserialize, Serialize};

use crate::decide::{Mode, OnFlagged, Policy};
use crate::record::{Offset, Partition, Probability, Timestamp};
use crate::watch::Counts;

/// A value of the alerts topic; its key is `dedup_key`. The topic is compacted, so what is left
/// per key is the incident's present state. Holds no payload, no key and no header of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Format version, 1.
    pub version: u32,
    /// The same for everything said about one incident.
    pub dedup_key: String,
    pub status: Status,
    /// `flagged-share`.
    pub kind: String,
    pub severity: String,
    pub stream: String,
    /// First sentence first: it is what a pager shows.
    pub summary: String,
    /// When the change probably began.
    pub since: String,
    /// End of the last window that went into this message.
    pub until: String,
    /// Counts from `since` to `until`.
    pub counts: Counts,
    pub budget: Budget,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// MITRE ATLAS techniques this looks like.
    pub atlas: Vec<String>,
    pub next_steps: Vec<String>,
    /// Which bundle and budget judged these records.
    pub epoch: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Firing,
    Resolved,
}

/// What was promised and what was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Share of clean records that may be flagged.
    pub allowed_share: f64,
    pub seen_share: f64,
    /// The alarm's own promise: at most this many false pages are expected per week.
    pub false_pages_per_week: f64,
}

/// Where to look: the input's position of the first flagged record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub topic: String,
    pub partition: Partition,
    pub offset: Offset,
}

/// What an alert says beyond counts: frozen for an epoch.
#[derive(Clone, Debug)]
pub struct About {
    pub stream: String,
    pub input: String,
    pub quarantine: String,
    pub epoch: String,
    pub policy: Policy,
    pub budget: Probability,
    pub false_page_ms: u64,
}

/// What is known of one incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    pub dedup_key: String,
    pub since: Timestamp,
    pub until: Timestamp,
    pub counts: Counts,
    pub first: Option<(Partition, Offset)>,
}

impl Alert {
    /// The message for `incident` in `status`.
    pub fn new(about: &About, incident: &Incident, status: Status, note: Option<&str>) -> Self {
        let counts = incident.counts;
        let share = counts.flagged as f64 / counts.rows.max(1) as f64;
        let samples = incident.first.map(|(partition, offset)| Samples {
            topic: about.input.clone(),
            partition,
            offset,
        });
        Self {
            version: 1,
            dedup_key: incident.dedup_key.clone(),
            status,
            kind: "flagged-share".into(),
            severity: "critical".into(),
            stream: about.stream.clone(),
            summary: summary(about, incident, status, share, note),
            since: utc(incident.since),
            until: utc(incident.until),
            counts,
            budget: Budget {
                allowed_share: about.budget.get(),
                seen_share: share,
                false_pages_per_week: WEEK_MS / about.false_page_ms as f64,
            },
            next_steps: next_steps(about, samples.as_ref()),
            samples,
            atlas: vec!["AML.T0015".into(), "AML.T0043".into()],
            epoch: about.epoch.clone(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }
}

const WEEK_MS: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;

fn summary(
    about: &About,
    incident: &Incident,
    status: Status,
    share: f64,
    note: Option<&str>,
) -> String {
    let Counts { rows, flagged, corrected, quarantined, faults } = incident.counts;
    let (stream, percent) = (&about.stream, percent(share));
    let done = match (about.policy.mode, about.policy.on_flagged) {
        (Mode::Observe, _) => "Nothing was held back: the stream is in observe mode.".to_owned(),
        (Mode::Enforce, OnFlagged::Quarantine) => format!("{quarantined} were held back."),
        (Mode::Enforce, OnFlagged::Correct) => {
            format!("{corrected} were corrected, {quarantined} held back.")
        }
    };
    let unreadable = match faults {
        0 => String::new(),
        n => format!(" {n} more could not be read."),
    };
    match status {
        Status::Firing => format!(
            "{stream}: {flagged} of {rows} records look attacked ({percent}; {budget} is the \
             budget) since {since}. {done}{unreadable}",
            budget = about.budget,
            since = utc(incident.since),
        ),
        Status::Resolved => {
            let why = note.unwrap_or("the share of flagged records is back near its budget");
            let (since, until) = (utc(incident.since), utc(incident.until));
            format!(
                "{stream}: over at {until}: {why}. {flagged} of {rows} records ({percent}) were \
                 flagged since {since}. {done}{unreadable}"
            )
        }
    }
}

fn next_steps(about: &About, samples: Option<&Samples>) -> Vec<String> {
    let mut steps = vec![];
    if let Some(Samples { topic, partition, offset }) = samples {
        steps.push(format!(
            "kcat -b $BROKERS -C -t {topic} -p {partition} -o {offset} -c 1 -f '%h %S bytes\\n'"
        ));
    }
    let (mode, quarantine) = (about.policy.mode, &about.quarantine);
    match mode {
        Mode::Enforce => steps.push(format!(
            "kcat -b $BROKERS -C -t {quarantine} -X isolation.level=read_committed -o -20 -e \
             -f '%p %o %h\\n'"
        )),
        Mode::Observe => steps.push(
            "hold such records back: set mode = \"enforce\" for this stream, then restart".into(),
        ),
    }
    steps
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// RFC 3339, to the second.
fn utc(at: Timestamp) -> String {
    let instant = Instant::from_millisecond(at.0).unwrap_or(Instant::UNIX_EPOCH);
    format!("{instant:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(policy: Policy) -> About {
        About {
            stream: "fashion".into(),
            input: "fashion.requests".into(),
            quarantine: "fashion.quarantine".into(),
            epoch: "e".into(),
            policy,
            budget: Probability::new(0.01).unwrap(),
            false_page_ms: 7 * 24 * 3600 * 1000,
        }
    }

    fn incident() -> Incident {
        Incident {
            dedup_key: "k".into(),
            since: Timestamp(1_795_459_870_123),
            until: Timestamp(1_795_459_990_000),
            counts: Counts { rows: 980, flagged: 212, corrected: 12, quarantined: 200, faults: 3 },
            first: Some((Partition(3), Offset(9_182_344))),
        }
    }

    #[test]
    fn the_first_sentence_says_who_what_how_many_and_then_what_was_done() {
        let enforce = |on_flagged| Policy { mode: Mode::Enforce, on_flagged, ..Policy::default() };
        let say = |policy, status| Alert::new(&about(policy), &incident(), status, None).summary;
        insta::assert_snapshot!(
            [
                say(enforce(OnFlagged::Quarantine), Status::Firing),
                say(enforce(OnFlagged::Correct), Status::Firing),
                say(Policy::default(), Status::Firing),
                say(enforce(OnFlagged::Quarantine), Status::Resolved),
            ]
            .join("\n"),
            @r"
        fashion: 212 of 980 records look attacked (21.6%; 1% is the budget) since 2026-11-23T18:51:10Z. 200 were held back. 3 more could not be read.
        fashion: 212 of 980 records look attacked (21.6%; 1% is the budget) since 2026-11-23T18:51:10Z. 12 were corrected, 200 held back. 3 more could not be read.
        fashion: 212 of 980 records look attacked (21.6%; 1% is the budget) since 2026-11-23T18:51:10Z. Nothing was held back: the stream is in observe mode. 3 more could not be read.
        fashion: over at 2026-11-23T18:53:10Z: the share of flagged records is back near its budget. 212 of 980 records (21.6%) were flagged since 2026-11-23T18:51:10Z. 200 were held back. 3 more could not be read.
        "
        );
    }

    #[test]
    fn an_alert_reads_back_as_it_was_written() {
        let alert = Alert::new(&about(Policy::default()), &incident(), Status::Firing, None);
        let read: Alert = serde_json::from_slice(&alert.to_bytes()).unwrap();
        assert_eq!(read, alert);
    }
}
