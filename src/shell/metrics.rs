//! `/metrics`: what this process did and holds, in the text format that Prometheus scrapes.
//!
//! Only looks at counters that the threads keep anyway. Labels are streams, threads, partitions,
//! routes and faults: bounded by the configuration and its topics, never by traffic. Records count
//! once they are committed, so sums over a fleet agree with the topics; what a process that was
//! killed had counted since the last scrape is lost with it.
//!
//! Source: Prometheus, "Exposition formats", text version 0.0.4.

mod followers;
mod page;
mod streams;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use self::page::Page;
use self::streams::per_stream;
use super::cgroup;
use super::kafka::left_behind;
use super::reload::Present;
use super::roster::Roster;
use super::routes::Counters;
use crate::deliver::{Progress, SpanCounts, Standing};
use crate::record::Timestamp;

/// What `content-type` says of it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything there is to scrape.
pub fn render(roster: &Roster, now: Timestamp) -> String {
    let mut page = Page::default();
    about(&mut page, roster);
    streams::counts(&mut page, &roster.streams, now);
    brokers(&mut page, roster, now);
    streams::states(&mut page, &roster.streams, now);
    routes(&mut page, &roster.routes);
    if let Some(counts) = &roster.spans {
        spans(&mut page, counts);
    }
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

fn spans(page: &mut Page, counts: &SpanCounts) {
    let name = "tripline_spans_exported_total";
    page.family(name, "counter", "Spans of batches that the collector took.");
    page.sample(name, &[], Progress::get(&counts.exported));
    let name = "tripline_spans_dropped_total";
    let help =
        "Spans of batches that are lost: no room in the queue, or the collector did not take them.";
    page.family(name, "counter", help);
    page.sample(name, &[], Progress::get(&counts.dropped));
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

#[cfg(test)]
mod tests;
