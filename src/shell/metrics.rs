//! `/metrics`: what this process did and holds, in the text format that Prometheus scrapes.
//!
//! Only looks at counters that the threads keep anyway. Labels are streams, threads, partitions,
//! routes and faults: bounded by the configuration and its topics, never by traffic. Records count
//! once they are committed, so sums over a fleet agree with the topics; what a process that was
//! killed had counted since the last scrape is lost with it.
//!
//! Source: Prometheus, "Exposition formats", text version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::cgroup;
use super::kafka::left_behind;
use super::reload::Present;
use super::roster::{Roster, Stream};
use super::routes::Counters;
use crate::deliver::{Durations, Objection, Progress, QUANTILES, Sizes, Standing, Values};
use crate::record::{Fault, Timestamp};

/// What `content-type` says of it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Durations are counted in these, of a second.
const MICROS: f64 = 1e6;

/// Everything there is to scrape.
pub fn render(roster: &Roster, now: Timestamp) -> String {
    let mut page = Page::default();
    about(&mut page, roster);
    records(&mut page, &roster.streams);
    alarm(&mut page, &roster.streams, now);
    transactions(&mut page, &roster.streams);
    brokers(&mut page, roster, now);
    partitions(&mut page, &roster.streams, now);
    durations(&mut page, &roster.streams);
    threads(&mut page, &roster.streams, now);
    routes(&mut page, &roster.routes);
    memory(&mut page, roster);
    page.text
}

fn about(page: &mut Page, roster: &Roster) {
    page.family("tripline_build_info", "gauge", "The build that runs; always 1.");
    page.sample("tripline_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("tripline_bundle_info", "gauge", "The bundle that scores a stream; always 1.");
    for stream in &roster.streams {
        let Present { bundle, baseline, revision } = stream.present();
        let labels = [
            ("stream", &*stream.name),
            ("bundle", &bundle[..16]),
            ("baseline", &baseline),
            ("revision", &revision),
        ];
        page.sample("tripline_bundle_info", &labels, 1);
    }
    let name = "tripline_reloads_total";
    page.family(name, "counter", "New configurations and bundles that were adopted or refused.");
    let (adopted, refused) = roster.reloads.counts();
    for (outcome, count) in [("adopted", adopted), ("refused", refused)] {
        page.sample(name, &[("outcome", outcome)], count);
    }
    let name = "tripline_reload_refused";
    let help =
        "1 while what lies in the configuration or a bundle's folder is refused; /ready says why.";
    page.family(name, "gauge", help);
    page.sample(name, &[], u64::from(roster.reloads.trouble().is_some()));
    let name = "tripline_threads_behind_revision";
    page.family(
        name,
        "gauge",
        "Threads of a stream that have not adopted its newest revision yet.",
    );
    for stream in &roster.streams {
        page.sample(name, &[("stream", &stream.name)], stream.behind());
    }
}

fn brokers(page: &mut Page, roster: &Roster, now: Timestamp) {
    let name = "tripline_brokers_unreachable_seconds";
    page.family(name, "gauge", "How long no broker has answered a question; 0 while one does.");
    let unreached = roster.reach.unreached(now).map_or(0.0, |(age, _)| age.as_secs_f64());
    page.sample(name, &[], unreached);
    let name = "tripline_missing_rights";
    let help = "Rights on topics, groups and transactional ids that we lack; /ready names them.";
    page.family(name, "gauge", help);
    page.sample(name, &[], roster.missing_rights().len());
    let name = "tripline_hanging_calls";
    let help =
        "Calls into librdkafka that were left behind and keep a client each; a restart frees them.";
    page.family(name, "gauge", help);
    page.sample(name, &[], left_behind());
    let name = "tripline_threads_standing_back";
    let help = "Threads that stand back because another process has their transactional id.";
    page.family(name, "gauge", help);
    let back = |thread: &Progress| matches!(thread.standing(), Standing::Back { .. });
    per_stream(page, name, &roster.streams, |s| s.threads().filter(|(_, t)| back(t)).count());
    let name = "tripline_workers_without_partition";
    page.family(name, "gauge", "Workers that joined and have no partition; /ready says why.");
    let idle = |t: &Progress| t.has_joined() && Progress::get(&t.partitions) == 0;
    per_stream(page, name, &roster.streams, |s| s.workers.iter().filter(|t| idle(t)).count());
}

fn records(page: &mut Page, streams: &[Stream]) {
    let name = "tripline_records_total";
    page.family(name, "counter", "Records committed, by the output that they left by.");
    for stream in streams {
        for (output, count) in [
            ("sanitized", total(stream, |t| Progress::get(&t.sanitized))),
            ("quarantine", total(stream, |t| Progress::get(&t.quarantined))),
            ("dead-letter", total(stream, |t| Progress::get(&t.dead_lettered))),
        ] {
            page.sample(name, &[("stream", &stream.name), ("output", output)], count);
        }
    }
    let name = "tripline_flagged_records_total";
    page.family(name, "counter", "Records committed that looked attacked, whatever was done.");
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.flagged)));
    let name = "tripline_unscored_records_total";
    page.family(name, "counter", "Records committed that the guard could not score and let pass.");
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.unscored)));
    let name = "tripline_not_selected_records_total";
    page.family(name, "counter", "Records committed that are no inputs of the model and went on.");
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.beside)));
    let name = "tripline_faults_total";
    page.family(name, "counter", "Records committed that have no row, by what is wrong with them.");
    for stream in streams {
        for (at, fault) in Fault::NAMES.iter().enumerate() {
            let count = total(stream, |t| Progress::get(&t.faults[at]));
            page.sample(name, &[("stream", &stream.name), ("fault", fault)], count);
        }
    }
    let name = "tripline_refused_records_total";
    let help =
        "Records committed otherwise than judged because a topic refused them, by objection.";
    page.family(name, "counter", help);
    for stream in streams {
        for (at, objection) in Objection::NAMES.iter().enumerate() {
            let count = total(stream, |t| Progress::get(&t.refused[at]));
            page.sample(name, &[("stream", &stream.name), ("objection", objection)], count);
        }
    }
}

fn alarm(page: &mut Page, streams: &[Stream], now: Timestamp) {
    let name = "tripline_monitor_seated";
    let help =
        "1 if this process monitors the stream; over all processes the sum is 1, 0 is nobody.";
    page.family(name, "gauge", help);
    per_stream(page, name, streams, |s| u8::from(s.monitor.alarm.is_seated()));
    let name = "tripline_monitor_paused";
    let help =
        "1 while it is ours to monitor and the monitor's state does not fit; /ready says why.";
    page.family(name, "gauge", help);
    per_stream(page, name, streams, |s| Progress::get(&s.monitor.stopped_partitions));
    let name = "tripline_monitor_behind_seconds";
    let help = "Since the time before which all that the monitor of this process heard is judged.";
    page.family(name, "gauge", help);
    for stream in streams {
        let Some(behind) = stream.monitor.alarm.behind(now) else { continue };
        page.sample(name, &[("stream", &stream.name)], behind.as_secs_f64());
    }
    let name = "tripline_alert_window_seconds";
    page.family(name, "gauge", "How much of the stream is judged at a time.");
    per_stream(page, name, streams, |s| s.window.as_secs_f64());
    let name = "tripline_evidence_messages_total";
    page.family(name, "counter", "Messages that the monitor of this process took in.");
    per_stream(page, name, streams, |s| Progress::get(&s.monitor.records));
    let name = "tripline_evidence_counts_total";
    let help = "Of these, counts by workers of the monitor's own bundle and budget, or of another.";
    page.family(name, "counter", help);
    for stream in streams {
        let (own, others) = stream.monitor.alarm.counts();
        for (bundle, count) in [("own", own), ("other", others)] {
            page.sample(name, &[("stream", &stream.name), ("bundle", bundle)], count);
        }
    }
    let name = "tripline_evidence_unreadable_total";
    page.family(name, "counter", "Messages that it could not read, and passed over.");
    per_stream(page, name, streams, |s| Progress::get(&s.monitor.alarm.unreadable));
}

fn transactions(page: &mut Page, streams: &[Stream]) {
    let name = "tripline_transactions_total";
    let help = "Transactions by their end; those that were fenced or aborted are done again.";
    page.family(name, "counter", help);
    for stream in streams {
        for (thread, progress) in stream.threads() {
            let fenced = Progress::get(&progress.fencings);
            for (result, count) in [
                ("committed", Progress::get(&progress.commits)),
                ("aborted", Progress::get(&progress.failures).saturating_sub(fenced)),
                ("fenced", fenced),
            ] {
                let labels = [("stream", &*stream.name), ("thread", &thread), ("result", result)];
                page.sample(name, &labels, count);
            }
        }
    }
    let name = "tripline_rebalances_total";
    page.family(name, "counter", "Changes of what the group gave to a thread.");
    per_thread(page, name, streams, |t| Progress::get(&t.rebalances));
    let name = "tripline_rebalances_in_flight_total";
    page.family(name, "counter", "Of these, while records were in an open transaction.");
    per_thread(page, name, streams, |t| Progress::get(&t.rebalances_in_flight));
    let name = "tripline_offsets_behind_state_total";
    page.family(
        name,
        "counter",
        "Partitions begun where their state ends, because the group told an older offset.",
    );
    per_thread(page, name, streams, |t| Progress::get(&t.offsets_behind_state));
}

fn partitions(page: &mut Page, streams: &[Stream], now: Timestamp) {
    let name = "tripline_partitions_assigned";
    page.family(name, "gauge", "Input partitions that are this process's.");
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.partitions)));
    let name = "tripline_partitions_held";
    page.family(name, "gauge", "Of these, how many are held still; /ready says why.");
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.stopped_partitions)));
    let name = "tripline_partition_held";
    page.family(name, "gauge", "1 for each partition that is held still.");
    for stream in streams {
        for (partition, _) in stream.workers.iter().flat_map(|worker| worker.reasons()) {
            let partition = partition.to_string();
            page.sample(name, &[("stream", &*stream.name), ("partition", &partition)], 1);
        }
    }
    let name = "tripline_partition_stalled_seconds";
    let help = "Since records of a partition wait of which none was committed; near 0 is work.";
    page.family(name, "gauge", help);
    for stream in streams {
        for (partition, age, _) in stream.workers.iter().flat_map(|worker| worker.stalled(now)) {
            let labels = [("stream", &*stream.name), ("partition", &partition.to_string())];
            page.sample(name, &labels, age.as_secs_f64());
        }
    }
    let name = "tripline_input_records_lost_total";
    page.family(
        name,
        "counter",
        "Offsets of the input that are gone unread: deleted before they were read, or with a log that lost its end \
         or was made anew.",
    );
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.lost)));
    let name = "tripline_output_records_lost_total";
    page.family(
        name,
        "counter",
        "Offsets of an output that are gone with a log that lost its end or was made anew.",
    );
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.outputs_lost)));
    let name = "tripline_consumer_lag_records";
    page.family(
        name,
        "gauge",
        "Records of a partition that are there and not done, whoever has the partition: every process says so of \
         every partition, so take the maximum.",
    );
    for stream in streams {
        let mut lags = BTreeMap::new();
        for (partition, lag) in stream.workers.iter().flat_map(|worker| worker.lags()) {
            // Whoever has it knows first.
            lags.entry(partition)
                .and_modify(|known: &mut i64| *known = lag.min(*known))
                .or_insert(lag);
        }
        for (partition, lag) in lags {
            let partition = partition.to_string();
            page.sample(name, &[("stream", &*stream.name), ("partition", &partition)], lag);
        }
    }
    let name = "tripline_incident_firing";
    page.family(name, "gauge", "1 while the monitor of this process has an incident that is open.");
    per_stream(page, name, streams, |s| u8::from(s.monitor.is_firing()));
    let name = "tripline_alarm_level";
    page.family(name, "gauge", "How near the monitor of this process is to an alarm: 1 rings.");
    per_stream(page, name, streams, |s| s.monitor.get_alarm_level());
}

fn durations(page: &mut Page, streams: &[Stream]) {
    let name = "tripline_batch_records";
    page.family(name, "histogram", "Records of a batch; near 1 when idle, rows_max when behind.");
    for stream in streams {
        let sizes = of_all(stream, |worker| worker.batch_records.values());
        page.histogram(name, &[("stream", &stream.name)], Sizes::up_to(&sizes), &sizes, 1.0);
    }
    let name = "tripline_batch_duration_seconds";
    page.family(name, "histogram", "From a batch's first record to its place in the transaction.");
    for stream in streams {
        let took = of_all(stream, |worker| worker.batch_durations.values());
        page.durations(name, &[("stream", &stream.name)], &took);
    }
    let name = "tripline_commit_duration_seconds";
    page.family(name, "histogram", "How long commits took, with evidence, state and offsets.");
    for stream in streams {
        let took = of_all(stream, |worker| worker.commit_durations.values());
        page.durations(name, &[("stream", &stream.name), ("role", "worker")], &took);
        let took = stream.monitor.commit_durations.values();
        page.durations(name, &[("stream", &stream.name), ("role", "monitor")], &took);
    }
    // Buckets that double say a quantile to a factor of two, and of any stretch of time; these say it
    // to a hundredth, and since the process began.
    let name = "tripline_batch_duration_quantile_seconds";
    page.family(name, "gauge", "Quantiles of batches' durations since the process began.");
    for stream in streams {
        let took = of_all(stream, |worker| worker.batch_durations.values());
        page.quantiles(name, &[("stream", &stream.name)], &took);
    }
    let name = "tripline_commit_duration_quantile_seconds";
    page.family(name, "gauge", "Quantiles of commits' durations since the process began.");
    for stream in streams {
        let took = of_all(stream, |worker| worker.commit_durations.values());
        page.quantiles(name, &[("stream", &stream.name), ("role", "worker")], &took);
        let took = stream.monitor.commit_durations.values();
        page.quantiles(name, &[("stream", &stream.name), ("role", "monitor")], &took);
    }
}

/// What the workers of a stream counted.
fn of_all(stream: &Stream, of: impl Fn(&Progress) -> Values) -> Values {
    let mut all = Values::default();
    stream.workers.iter().for_each(|worker| all.add(&of(worker)));
    all
}

fn threads(page: &mut Page, streams: &[Stream], now: Timestamp) {
    let name = "tripline_thread_joined";
    page.family(name, "gauge", "1 once a thread has joined its group.");
    per_thread(page, name, streams, |t| u64::from(t.has_joined()));
    let name = "tripline_thread_beat_age_seconds";
    page.family(name, "gauge", "Since a thread came around; /live is false beyond its patience.");
    for stream in streams {
        for (thread, progress) in stream.threads() {
            // A thread that never came around has no age; it has not joined either.
            let Some(age) = progress.beat_age(now) else { continue };
            let labels = [("stream", &*stream.name), ("thread", &thread)];
            page.sample(name, &labels, age.as_secs_f64());
        }
    }
}

fn routes(page: &mut Page, routes: &[Arc<Counters>]) {
    let mut family = |name, kind, help, value: &dyn Fn(&Counters) -> f64| {
        page.family(name, kind, help);
        for route in routes {
            let labels = [("route", &*route.name), ("kind", route.kind)];
            page.sample(name, &labels, value(route));
        }
    };
    let get = |counter: &AtomicU64| Counters::get(counter) as f64;
    let name = "tripline_route_sent_total";
    let help = "Changes of incidents that the receiver took.";
    family(name, "counter", help, &|r| get(&r.sent));
    let name = "tripline_route_resent_total";
    let help = "Times that what still fires was said again, and taken.";
    family(name, "counter", help, &|r| get(&r.resent));
    let name = "tripline_route_failed_total";
    let help = "Requests that the receiver did not take; tried again unless refused for good.";
    family(name, "counter", help, &|r| get(&r.failed));
    let name = "tripline_route_refused_total";
    let help = "Alerts that the receiver refused for good; passed over.";
    family(name, "counter", help, &|r| get(&r.refused));
    let name = "tripline_route_unreadable_total";
    let help = "Records of the alerts topics that are no alerts; passed over.";
    family(name, "counter", help, &|r| get(&r.unreadable));
    let name = "tripline_route_failing";
    let help = "1 while the receiver does not answer as it should.";
    family(name, "gauge", help, &|r| f64::from(u8::from(r.is_failing())));
    let name = "tripline_route_pending_alerts";
    let help = "Alerts that are read and not taken yet; at most as many as are kept in memory.";
    family(name, "gauge", help, &|r| get(&r.pending));
    let name = "tripline_route_open_incidents";
    let help = "Incidents that are said again.";
    family(name, "gauge", help, &|r| get(&r.open));
    let name = "tripline_route_partitions_assigned";
    let help = "Partitions of the alerts topics that this process tells of; others have the rest.";
    family(name, "gauge", help, &|r| get(&r.partitions));
    let name = "tripline_route_last_success_timestamp_seconds";
    let help = "When the receiver last answered as it should; 0 is never.";
    family(name, "gauge", help, &|r| r.last_success().0 as f64 / 1000.0);
}

fn memory(page: &mut Page, roster: &Roster) {
    let name = "tripline_memory_declared_bytes";
    page.family(name, "gauge", "What the configuration lets this process take at most.");
    page.sample(name, &[], roster.memory.most());
    if let Some(limit) = cgroup::limit() {
        let name = "tripline_memory_limit_bytes";
        page.family(name, "gauge", "What the cgroup lets this process take.");
        page.sample(name, &[], limit.bytes);
    }
    if let Some(resident) = cgroup::resident() {
        let name = "process_resident_memory_bytes";
        page.family(name, "gauge", "Resident memory size in bytes.");
        page.sample(name, &[], resident);
    }
}

fn total(stream: &Stream, count: impl Fn(&Progress) -> u64) -> u64 {
    stream.workers.iter().map(|worker| count(worker)).sum()
}

fn per_stream<V: Display>(
    page: &mut Page,
    name: &str,
    streams: &[Stream],
    value: impl Fn(&Stream) -> V,
) {
    for stream in streams {
        page.sample(name, &[("stream", &stream.name)], value(stream));
    }
}

fn per_thread(page: &mut Page, name: &str, streams: &[Stream], value: impl Fn(&Progress) -> u64) {
    for stream in streams {
        for (thread, progress) in stream.threads() {
            page.sample(name, &[("stream", &stream.name), ("thread", &thread)], value(progress));
        }
    }
}

/// Text that grows by a line per sample.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    /// Values in units of which `per` make one of the metric's.
    fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        up_to: impl Iterator<Item = (u64, u64)>,
        values: &Values,
        per: f64,
    ) {
        let bucket = format!("{name}_bucket");
        for (bound, up_to) in up_to {
            let bound = (bound as f64 / per).to_string();
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), up_to);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), values.count());
        self.sample(&format!("{name}_sum"), labels, values.sum() as f64 / per);
        self.sample(&format!("{name}_count"), labels, values.count());
    }

    fn durations(&mut self, name: &str, labels: &[(&str, &str)], took: &Values) {
        self.histogram(name, labels, Durations::up_to(took), took, MICROS);
    }

    fn quantiles(&mut self, name: &str, labels: &[(&str, &str)], took: &Values) {
        for share in QUANTILES {
            if let Some(micros) = took.quantile(share) {
                let share = share.to_string();
                let labels = [labels, &[("share", &share)]].concat();
                self.sample(name, &labels, micros as f64 / MICROS);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{Offset, Partition};
    use crate::shell::roster::tests::roster;

    #[test]
    fn the_page_says_what_the_counters_hold() {
        let roster = roster();
        let stream = &roster.streams[0];
        let now = Timestamp(1_000_000);
        for worker in &stream.workers {
            worker.beat(Timestamp(now.0 - 1500));
            worker.batched(3, Duration::from_micros(700));
            worker.committed(Duration::from_millis(4));
            Progress::add(&worker.sanitized, 2);
        }
        stream.workers[0].gave_up(true);
        stream.workers[0].gave_up(false);
        stream.workers[1].hold(Partition(7), "why");
        stream.workers[1].waits(Partition(7), Some(Timestamp(now.0 - 61_500)));
        stream.workers[1].refused(Objection::Timestamp);
        stream.workers[1].committed(Duration::ZERO);
        stream.workers[1].ends(Partition(6), Offset(30), None);
        stream.workers[1].stands(Partition(6), Offset(18));
        stream.workers.iter().for_each(|worker| worker.join());
        stream.monitor.stand_back(now, "another has its id");
        stream.monitor.firing(true);
        stream.monitor.alarm_level(0.25);
        stream.monitor.alarm.sit(true, Timestamp(now.0 - 2500));
        stream.monitor.alarm.heard(false);
        roster.reach.is_silent(Timestamp(now.0 - 2500), "no answer");
        let route = &roster.routes[0];
        Counters::add(&route.sent);
        Counters::set(&route.pending, 3);
        route.succeeded(Timestamp(1_795_459_870_123));
        route.fails();
        let page = render(&roster, now);
        for line in [
            "tripline_brokers_unreachable_seconds 2.5",
            "tripline_missing_rights 0",
            "tripline_threads_standing_back{stream=\"fashion\"} 1",
            "tripline_workers_without_partition{stream=\"fashion\"} 2",
            "tripline_records_total{stream=\"fashion\",output=\"sanitized\"} 4",
            "tripline_faults_total{stream=\"fashion\",fault=\"too-large\"} 0",
            "tripline_transactions_total{stream=\"fashion\",thread=\"worker-0\",result=\"committed\"} 1",
            "tripline_transactions_total{stream=\"fashion\",thread=\"worker-0\",result=\"aborted\"} 1",
            "tripline_transactions_total{stream=\"fashion\",thread=\"worker-0\",result=\"fenced\"} 1",
            "tripline_partition_held{stream=\"fashion\",partition=\"7\"} 1",
            "tripline_partition_stalled_seconds{stream=\"fashion\",partition=\"7\"} 61.5",
            "tripline_refused_records_total{stream=\"fashion\",objection=\"timestamp\"} 1",
            "tripline_consumer_lag_records{stream=\"fashion\",partition=\"6\"} 12",
            "tripline_incident_firing{stream=\"fashion\"} 1",
            "tripline_alarm_level{stream=\"fashion\"} 0.25",
            "tripline_monitor_seated{stream=\"fashion\"} 1",
            "tripline_monitor_paused{stream=\"fashion\"} 0",
            "tripline_monitor_behind_seconds{stream=\"fashion\"} 2.5",
            "tripline_alert_window_seconds{stream=\"fashion\"} 10",
            "tripline_evidence_counts_total{stream=\"fashion\",bundle=\"own\"} 0",
            "tripline_evidence_counts_total{stream=\"fashion\",bundle=\"other\"} 1",
            "tripline_evidence_unreadable_total{stream=\"fashion\"} 0",
            "tripline_batch_records_bucket{stream=\"fashion\",le=\"2\"} 0",
            "tripline_batch_records_bucket{stream=\"fashion\",le=\"4\"} 2",
            "tripline_batch_records_sum{stream=\"fashion\"} 6",
            "tripline_batch_duration_seconds_bucket{stream=\"fashion\",le=\"0.0005\"} 0",
            "tripline_batch_duration_seconds_bucket{stream=\"fashion\",le=\"0.001\"} 2",
            "tripline_commit_duration_seconds_sum{stream=\"fashion\",role=\"worker\"} 0.008",
            "tripline_commit_duration_seconds_count{stream=\"fashion\",role=\"monitor\"} 0",
            "tripline_batch_duration_quantile_seconds{stream=\"fashion\",share=\"0.5\"} 0.0007",
            "tripline_commit_duration_quantile_seconds{stream=\"fashion\",role=\"worker\",share=\"0.999\"} 0.004",
            "tripline_thread_beat_age_seconds{stream=\"fashion\",thread=\"worker-0\"} 1.5",
            "tripline_route_sent_total{route=\"pager\",kind=\"alertmanager\"} 1",
            "tripline_route_failing{route=\"pager\",kind=\"alertmanager\"} 1",
            "tripline_route_pending_alerts{route=\"pager\",kind=\"alertmanager\"} 3",
            "tripline_route_last_success_timestamp_seconds{route=\"pager\",kind=\"alertmanager\"} 1795459870.123",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn every_family_has_help_and_a_type_once_and_no_sample_comes_twice() {
        let page = render(&roster(), Timestamp(0));
        let mut families = vec![];
        let mut series = std::collections::BTreeSet::new();
        for line in page.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => families.push(rest.split(' ').next().unwrap()),
                None if line.starts_with('#') => {}
                None => {
                    let (labels, value) = line.rsplit_once(' ').unwrap();
                    assert!(labels.starts_with(families.last().unwrap()), "{line}");
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                    assert!(series.insert(labels), "{line} twice");
                }
            }
        }
        let mut once = families.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), families.len());
        assert_eq!(page.matches("# HELP ").count(), families.len());
    }

    #[test]
    fn no_name_breaks_out_of_its_label() {
        let mut page = Page::default();
        page.sample("m", &[("stream", "a\"} 9\nb\\")], 1);
        assert_eq!(page.text, "m{stream=\"a\\\"} 9\\nb\\\\\"} 1\n");
    }
}
