use std::time::Duration;

use super::*;
use crate::deliver::Objection;
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
fn spans_are_counted_where_a_collector_is_told_and_nowhere_else() {
    assert!(!render(&roster(), Timestamp(0)).contains("tripline_spans"));
    let counts = Arc::<SpanCounts>::default();
    Progress::add(&counts.exported, 7);
    Progress::add(&counts.dropped, 2);
    let page = render(&Roster { spans: Some(counts), ..roster() }, Timestamp(0));
    for line in ["tripline_spans_exported_total 7", "tripline_spans_dropped_total 2"] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}

#[test]
fn no_name_breaks_out_of_its_label() {
    let mut page = Page::default();
    page.sample("m", &[("stream", "a\"} 9\nb\\")], 1);
    assert_eq!(page.text, "m{stream=\"a\\\"} 9\\nb\\\\\"} 1\n");
}
