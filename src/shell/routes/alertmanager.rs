//! Alertmanager, API v2.
//!
//! Labels are an alert's identity there, so they hold what does not change while an incident is open;
//! if one does, the old alert is ended in the same request. An alert ends at `endsAt`: what still fires
//! is said again before that, and if we are gone it ends by itself, four re-sends later.
//!
//! Source: prometheus/alertmanager, `api/v2/openapi.yaml`; prometheus.io, "Sending alerts".

use std::time::Duration;

use jiff::Timestamp as Instant;
use serde::Serialize;

use super::post::Post;
use super::received::Received;
use super::{Receiver, Refusal};
use crate::config::Endpoint;
use crate::record::Timestamp;
use crate::shell::http::CaFileError;

/// One Alertmanager; of several that form a cluster each is a route of its own.
pub struct Alertmanager {
    post: Post,
    resend: Duration,
}

/// Re-sends that may be missed before an alert ends.
const PATIENCE: u32 = 4;

const NAME: &str = "TriplineIncident";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: Labels<'a>,
    annotations: Annotations<'a>,
    starts_at: String,
    ends_at: String,
}

#[derive(PartialEq, Serialize)]
struct Labels<'a> {
    alertname: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    stream: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    severity: &'a str,
    dedup_key: &'a str,
}

#[derive(Serialize)]
struct Annotations<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    summary: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    next_steps: String,
}

impl Alertmanager {
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(at: &Endpoint, resend: Duration) -> Result<Self, CaFileError> {
        Ok(Self { post: Post::new(at, "/api/v2/alerts")?, resend })
    }

    fn send(&self, alerts: &[Alert<'_>]) -> Result<(), Refusal> {
        self.post.send(&[], &serde_json::to_vec(alerts).expect("plain data"))
    }

    fn alert<'a>(&self, news: &'a Received, now: Timestamp) -> Alert<'a> {
        let patience = (PATIENCE * self.resend).as_millis() as i64;
        // It is over since it was said to be, whenever that is heard.
        let ends = if news.is_over() { written(news, now) } else { Timestamp(now.0 + patience) };
        alert(news, ends, now)
    }
}

impl Receiver for Alertmanager {
    fn tell(
        &self,
        news: &Received,
        before: Option<&Received>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut alerts = vec![self.alert(news, now)];
        if let Some(before) = before
            && labels(before) != labels(news)
        {
            alerts.push(alert(before, written(news, now), now));
        }
        self.send(&alerts)
    }

    fn resend(&self) -> Option<Duration> {
        Some(self.resend)
    }

    fn remind(&self, firing: &[&Received], now: Timestamp) -> Result<(), Refusal> {
        let alerts: Vec<_> = firing.iter().map(|news| self.alert(news, now)).collect();
        self.send(&alerts)
    }
}

/// When it was written to the topic; never later than `now`.
fn written(news: &Received, now: Timestamp) -> Timestamp {
    if news.at.0 <= 0 { now } else { news.at.min(now) }
}

fn alert(news: &Received, ends: Timestamp, now: Timestamp) -> Alert<'_> {
    // The stream's own clock may be ahead; Alertmanager refuses what ends before it starts.
    let since = news.since.parse::<Instant>().map(|since| Timestamp(since.as_millisecond()));
    let starts = since.unwrap_or_else(|_| written(news, now)).min(now).min(ends);
    let mut description = vec![];
    if !news.since.is_empty() {
        description.push(format!("From {} to {}.", news.since, news.until));
    }
    description.extend(news.evidence.iter().cloned());
    Alert {
        labels: labels(news),
        annotations: Annotations {
            summary: &news.summary,
            description: description.join("\n"),
            next_steps: news.next_steps.join("\n"),
        },
        starts_at: utc(starts),
        ends_at: utc(ends),
    }
}

fn labels(news: &Received) -> Labels<'_> {
    let Received { stream, kind, severity, dedup_key, .. } = news;
    Labels { alertname: NAME, stream, kind, severity, dedup_key }
}

fn utc(at: Timestamp) -> String {
    Instant::from_millisecond(at.0).unwrap_or(Instant::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_460_000_000);

    fn received(json: &str) -> Received {
        Received::read(Some(b"k"), json.as_bytes(), Timestamp(NOW.0 - 5000)).unwrap()
    }

    fn shown(alert: &Alert<'_>) -> String {
        serde_json::to_string_pretty(alert).unwrap()
    }

    #[test]
    fn what_fires_ends_later_and_what_is_over_ended_when_it_was_said() {
        let firing = received(
            r#"{"dedup_key": "6f1c", "status": "firing", "kind": "attack", "severity": "critical",
            "stream": "fashion", "summary": "fashion: 212 of 980 records look attacked",
            "since": "2026-11-23T18:51:10Z", "until": "2026-11-23T18:53:10Z",
            "evidence": ["21.6% flagged"], "next_steps": ["kcat -b $BROKERS", "ask"]}"#,
        );
        let ends = Timestamp(NOW.0 + 240_000);
        insta::assert_snapshot!(shown(&alert(&firing, ends, NOW)), @r#"
        {
          "labels": {
            "alertname": "TriplineIncident",
            "stream": "fashion",
            "kind": "attack",
            "severity": "critical",
            "dedup_key": "6f1c"
          },
          "annotations": {
            "summary": "fashion: 212 of 980 records look attacked",
            "description": "From 2026-11-23T18:51:10Z to 2026-11-23T18:53:10Z.\n21.6% flagged",
            "next_steps": "kcat -b $BROKERS\nask"
          },
          "startsAt": "2026-11-23T18:51:10Z",
          "endsAt": "2026-11-23T18:57:20Z"
        }
        "#);
        let over = received(r#"{"status": "resolved", "since": "2026-11-23T18:51:10Z"}"#);
        let told = alert(&over, written(&over, NOW), NOW);
        assert_eq!(told.ends_at, utc(Timestamp(NOW.0 - 5000)));
    }

    #[test]
    fn nothing_ends_before_it_starts_whatever_the_clocks_say() {
        for since in ["2099-01-01T00:00:00Z", "no time", "", "-009999-01-01T00:00:00Z"] {
            let news = received(&format!(r#"{{"status": "resolved", "since": "{since}"}}"#));
            let told = alert(&news, written(&news, NOW), NOW);
            let [starts, ends] =
                [&told.starts_at, &told.ends_at].map(|at| at.parse::<Instant>().unwrap());
            assert!(starts <= ends, "{since}: {starts} {ends}");
        }
    }
}
