//! Metrics of each stream: its records, its alarm, its transactions, partitions, durations and threads.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::page::Page;
use crate::deliver::{Objection, Progress, Sizes, Values};
use crate::record::{Fault, Timestamp};
use crate::shell::roster::Stream;

/// What threads count.
pub(super) fn counts(page: &mut Page, streams: &[Stream], now: Timestamp) {
    records(page, streams);
    alarm(page, streams, now);
    super::followers::counts(page, streams, now);
    transactions(page, streams);
}

/// How partitions, batches and threads are doing.
pub(super) fn states(page: &mut Page, streams: &[Stream], now: Timestamp) {
    partitions(page, streams, now);
    durations(page, streams);
    threads(page, streams, now);
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
    per_stream(page, name, streams, |s| total(s, |t| Progress::get(&t.not_inputs)));
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

fn total(stream: &Stream, count: impl Fn(&Progress) -> u64) -> u64 {
    stream.workers.iter().map(|worker| count(worker)).sum()
}

pub(super) fn per_stream<V: Display>(
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
