//! An incident in words: who, what, how many, what was already done, what to do next.

use jiff::Timestamp as Instant;

use super::finding::percent;
use super::{About, Cause, Finding, Incident, Samples, Status};
use crate::decide::{Mode, OnFlagged};
use crate::record::Timestamp;
use crate::watch::Counts;

/// Findings that the first sentence names.
const NAMED: usize = 3;

/// What a pager shows.
pub fn summary(
    about: &About,
    incident: &Incident,
    status: Status,
    share: f64,
    note: Option<&str>,
) -> String {
    let Counts { rows, flagged, .. } = incident.counts;
    let (stream, since, until) = (&about.stream, utc(incident.since), utc(incident.until));
    let (flagged_share, done) = (percent(share), done(about, incident));
    if status == Status::Resolved {
        let why = note.unwrap_or(match incident.cause {
            Cause::Attack => "the share of suspicious records is back near what is usual",
            Cause::Quality => "records are sound again",
            Cause::Drift => "inputs and answers are as they were",
            Cause::NoData => "records come again",
            Cause::Stall => "every partition goes on",
            Cause::DataLoss => "every partition is read on, and nothing more was lost",
        });
        if matches!(incident.cause, Cause::Stall | Cause::DataLoss) {
            return format!("{stream}: over at {until}: {why}. It began at {since}.");
        }
        return format!(
            "{stream}: over at {until}: {why}. {flagged} of {rows} records ({flagged_share}) were \
             flagged since {since}. {done}"
        );
    }
    let what = match incident.cause {
        Cause::Attack => {
            let budget = about.budget;
            let found = others(incident, "flagged-share");
            format!(
                "{flagged} of {rows} records look attacked ({flagged_share}; {budget} is the budget) \
                 since {since}.{found}"
            )
        }
        Cause::Quality => {
            format!("records are not what they were since {since}.{}", others(incident, ""))
        }
        Cause::Drift => {
            let features = incident.members.len();
            let changed = if features == 1 { "one thing" } else { &format!("{features} things") };
            format!("{changed} changed in {rows} records since {since}.{}", others(incident, ""))
        }
        Cause::NoData => format!("no records since {since}."),
        Cause::Stall => {
            let at = incident.first.map(|(partition, offset)| {
                format!("partition {partition} makes no progress at offset {offset}")
            });
            let at = at.unwrap_or_else(|| "a partition makes no progress".to_owned());
            format!("{at} although records wait, told at {since}.")
        }
        Cause::DataLoss => {
            let at = incident
                .first
                .map(|(partition, offset)| format!(" at offset {offset} of partition {partition}"));
            let at = at.unwrap_or_default();
            let Counts { lost, outputs_lost, other_logs, .. } = incident.counts;
            let mut parts = vec![];
            if lost > 0 {
                parts.push(format!("{lost} records of the input are gone that nobody read"));
            }
            if outputs_lost > 0 {
                parts.push(format!("{outputs_lost} records that had left are gone from outputs"));
            }
            if other_logs > 0 {
                parts.push(format!(
                    "the input became another log, {other_logs} times in its partitions"
                ));
            }
            format!("{}; first{at}, told at {since}.", parts.join("; "))
        }
    };
    format!("{stream}: {what} {done}")
}

/// What the watches found, but for the one that the sentence before has told; where it was, that one
/// did not say.
fn others(incident: &Incident, told: &str) -> String {
    let members = incident.members.iter().filter(|member| !member.inhibited);
    let is_told = |finding: &Finding| finding.watch == told && finding.partition.is_none();
    let findings: Vec<_> =
        members.map(|member| &member.finding).filter(|finding| !is_told(finding)).collect();
    let mut text: String =
        findings.iter().take(NAMED).map(|finding| format!(" {}.", finding.words())).collect();
    if findings.len() > NAMED {
        text += &format!(" {} more.", findings.len() - NAMED);
    }
    text
}

fn done(about: &About, incident: &Incident) -> String {
    let Counts { corrected, quarantined, faults, .. } = incident.counts;
    let done = match (incident.cause, about.policy.mode, about.policy.on_flagged) {
        (Cause::NoData, ..) => "Nobody sends, or nobody reads.".to_owned(),
        (Cause::Stall, ..) => {
            return "Its records wait in the input topic; /ready of its worker says why."
                .to_owned();
        }
        (Cause::DataLoss, ..) => {
            return "/ready of its worker says whether the partition is read on, and its log what to do again."
                .to_owned();
        }
        (_, Mode::Observe, _) => "Nothing was held back: the stream is in observe mode.".to_owned(),
        (_, Mode::Enforce, OnFlagged::Quarantine) => format!("{quarantined} were held back."),
        (_, Mode::Enforce, OnFlagged::Correct) => {
            format!("{corrected} were corrected, {quarantined} held back.")
        }
    };
    match faults {
        0 => done,
        n => format!("{done} {n} more could not be read."),
    }
}

/// Commands that a person copies.
pub fn next_steps(about: &About, cause: Cause, samples: Option<&Samples>) -> Vec<String> {
    let mut steps = vec![];
    let stream = &about.stream;
    if let (
        Cause::Attack | Cause::Drift | Cause::Stall,
        Some(Samples { topic, partition, offset }),
    ) = (cause, samples)
    {
        steps.push(format!(
            "kcat -b $BROKERS -C -t {topic} -p {partition} -o {offset} -c 1 -f '%h %S bytes\\n'"
        ));
    }
    let newest = |topic: &str| {
        format!(
            "kcat -b $BROKERS -C -t {topic} -X isolation.level=read_committed -o -20 -e \
             -f '%p %o %h\\n'"
        )
    };
    match (cause, about.policy.mode) {
        (Cause::Attack, Mode::Enforce) => steps.push(newest(&about.quarantine)),
        (Cause::Attack, Mode::Observe) => steps.push(
            "hold such records back: set mode = \"enforce\" for this stream, then restart".into(),
        ),
        (Cause::Quality, _) => steps.push(newest(&about.dead_letter)),
        (Cause::Drift, _) => steps.push(format!(
            "if the change is meant to stay, fit a bundle on newer data and give it to stream {stream}"
        )),
        (Cause::DataLoss, _) => steps.extend([
            "curl -s http://$WORKER/ready".to_owned(),
            format!("tripline state show -c tripline.toml --stream {stream}"),
        ]),
        (Cause::Stall, _) => steps.extend([
            "curl -s http://$WORKER/ready".to_owned(),
            "tripline check -c tripline.toml --connect".to_owned(),
        ]),
        (Cause::NoData, _) => steps.push(format!(
            "kcat -b $BROKERS -C -t {} -o -1 -e -f '%p %o %T\\n'",
            about.input
        )),
    }
    steps
}

/// RFC 3339, to the second.
pub(super) fn utc(at: Timestamp) -> String {
    let instant = Instant::from_millisecond(at.0).unwrap_or(Instant::UNIX_EPOCH);
    format!("{instant:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Policy;
    use crate::monitor::{Alert, Member};
    use crate::record::{Offset, Partition, Probability, Timestamp};

    fn about(policy: Policy) -> About {
        About {
            stream: "fashion".into(),
            input: "fashion.requests".into(),
            quarantine: "fashion.quarantine".into(),
            dead_letter: "fashion.dead-letter".into(),
            baseline: "e".into(),
            bundle: "b".into(),
            policy,
            budget: Probability::new(0.01).unwrap(),
            false_page_ms: 7 * 24 * 3600 * 1000,
        }
    }

    fn member(watch: &str, feature: &str, measure: &str, typical: f64, seen: f64) -> Member {
        let (watch, feature, measure) = (watch.into(), feature.into(), measure.into());
        let (psi, chi2, rows) = (0.4, 12.0, 980);
        let (partition, and_above) = (None, false);
        let finding = Finding {
            watch,
            feature,
            measure,
            typical,
            seen,
            psi,
            chi2,
            rows,
            partition,
            and_above,
        };
        let (cause, since) = (Cause::Drift, Timestamp(0));
        Member { watch: 0, cause, since, finding, inhibited: false, firing: true }
    }

    fn incident(cause: Cause, members: Vec<Member>) -> Incident {
        Incident {
            cause,
            dedup_key: "k".into(),
            since: Timestamp(1_795_459_870_123),
            until: Timestamp(1_795_459_990_000),
            counts: Counts {
                rows: 980,
                flagged: 212,
                corrected: 12,
                quarantined: 200,
                faults: 3,
                imputed: 0,
                misdated: 0,
                lost: 7,
                outputs_lost: 9,
                other_logs: 2,
            },
            first: Some((Partition(3), Offset(9_182_344))),
            members,
        }
    }

    fn flagged() -> Vec<Member> {
        vec![
            member("flagged-share", "flagged records", "share", 0.01, 0.216),
            member("trigger-recurrence", "label 3, row 0 and column 8 of 9", "share", 0.0004, 0.11),
        ]
    }

    #[test]
    fn the_first_sentence_says_who_what_how_many_and_then_what_was_done() {
        let enforce = |on_flagged| Policy { mode: Mode::Enforce, on_flagged, ..Policy::default() };
        let say = |policy, status| {
            Alert::new(&about(policy), &incident(Cause::Attack, flagged()), status, None).summary
        };
        let drift =
            ["a", "b", "c", "d"].map(|name| member("input-drift", name, "median", 1.5, 3.25));
        let rest = |cause, members| {
            let incident = incident(cause, members);
            Alert::new(&about(Policy::default()), &incident, Status::Firing, None).summary
        };
        let broken = vec![member("data-quality", "unreadable records", "share", 0.001, 0.4)];
        insta::assert_snapshot!(
            [
                say(enforce(OnFlagged::Quarantine), Status::Firing),
                say(enforce(OnFlagged::Correct), Status::Updated),
                say(Policy::default(), Status::Firing),
                say(enforce(OnFlagged::Quarantine), Status::Resolved),
                rest(Cause::Drift, drift.to_vec()),
                rest(Cause::Quality, broken),
                rest(Cause::NoData, vec![]),
                rest(Cause::Stall, vec![]),
                rest(Cause::DataLoss, vec![]),
            ]
            .join("\n"),
            @r"
        fashion: 212 of 980 records look attacked (21.6%; 1% is the budget) since 2026-11-23T18:51:10Z. label 3, row 0 and column 8 of 9: 11.0%, usually 0.040%. 200 were held back. 3 more could not be read.
        fashion: 212 of 980 records look attacked (21.6%; 1% is the budget) since 2026-11-23T18:51:10Z. label 3, row 0 and column 8 of 9: 11.0%, usually 0.040%. 12 were corrected, 200 held back. 3 more could not be read.
        fashion: 212 of 980 records look attacked (21.6%; 1% is the budget) since 2026-11-23T18:51:10Z. label 3, row 0 and column 8 of 9: 11.0%, usually 0.040%. Nothing was held back: the stream is in observe mode. 3 more could not be read.
        fashion: over at 2026-11-23T18:53:10Z: the share of suspicious records is back near what is usual. 212 of 980 records (21.6%) were flagged since 2026-11-23T18:51:10Z. 200 were held back. 3 more could not be read.
        fashion: 4 things changed in 980 records since 2026-11-23T18:51:10Z. a: median 3.25, usually 1.5. b: median 3.25, usually 1.5. c: median 3.25, usually 1.5. 1 more. Nothing was held back: the stream is in observe mode. 3 more could not be read.
        fashion: records are not what they were since 2026-11-23T18:51:10Z. unreadable records: 40.0%, usually 0.1%. Nothing was held back: the stream is in observe mode. 3 more could not be read.
        fashion: no records since 2026-11-23T18:51:10Z. Nobody sends, or nobody reads. 3 more could not be read.
        fashion: partition 3 makes no progress at offset 9182344 although records wait, told at 2026-11-23T18:51:10Z. Its records wait in the input topic; /ready of its worker says why.
        fashion: 7 records of the input are gone that nobody read; 9 records that had left are gone from outputs; the input became another log, 2 times in its partitions; first at offset 9182344 of partition 3, told at 2026-11-23T18:51:10Z. /ready of its worker says whether the partition is read on, and its log what to do again.
        "
        );
    }

    #[test]
    fn where_partitions_are_judged_one_by_one_the_words_name_those_that_changed() {
        let of = |number, and_above| {
            let mut member = member("flagged-share", "flagged records", "share", 0.01, 0.216);
            member.finding = member.finding.on(Some(Partition(number)), and_above);
            member
        };
        let incident = incident(Cause::Attack, vec![of(3, false), of(12, true)]);
        let alert = Alert::new(&about(Policy::default()), &incident, Status::Firing, None);
        insta::assert_snapshot!(alert.summary, @"fashion: 212 of 980 records look attacked (21.6%; 1% is the budget) since 2026-11-23T18:51:10Z. flagged records on partition 3: 21.6%, usually 1.0%. flagged records on partition 12 or above: 21.6%, usually 1.0%. Nothing was held back: the stream is in observe mode. 3 more could not be read.");
    }

    #[test]
    fn an_alert_reads_back_as_it_was_written() {
        let incident = incident(Cause::Attack, flagged());
        let alert = Alert::new(&about(Policy::default()), &incident, Status::Firing, None);
        let read: Alert = serde_json::from_slice(&alert.to_bytes()).unwrap();
        assert_eq!(read, alert);
    }
}
