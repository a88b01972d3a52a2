//! Metrics of those who read topics of ours: the client monitor, and the join of answers. None is about one client.

use super::page::{MILLIS, Page};
use crate::deliver::{FollowerFacts, Progress};
use crate::record::Timestamp;
use crate::shell::roster::Stream;

/// A number of a follower, its name, its type and its help.
type Number = (&'static str, &'static str, &'static str, fn(&FollowerFacts, u64) -> u64);

const NUMBERS: &[Number] = &[
    (
        "tripline_follower_rows_total",
        "counter",
        "Rows, or halves of pairs, that the follower of this process read.",
        |facts, _| facts.rows,
    ),
    (
        "tripline_follower_windows_total",
        "counter",
        "Windows that the follower of this process judged.",
        |facts, _| facts.windows,
    ),
    (
        "tripline_follower_entries",
        "gauge",
        "What it remembers: clients by pseudonym, or halves that wait.",
        |facts, _| facts.entries,
    ),
    (
        "tripline_follower_forgotten_total",
        "counter",
        "Of these, how many had to go for want of room.",
        |facts, _| facts.forgotten,
    ),
    (
        "tripline_follower_lag_records",
        "gauge",
        "Records of its topic that it has not read.",
        |_, lag| lag,
    ),
];

/// What followers count.
pub(super) fn counts(page: &mut Page, streams: &[Stream], now: Timestamp) {
    let each = || streams.iter().flat_map(|s| s.followers().map(move |(name, at)| (s, name, at)));
    if each().next().is_none() {
        return;
    }
    let name = "tripline_follower_seated";
    let help = "1 if this process has the follower; over all processes the sum is 1, 0 is nobody.";
    page.family(name, "gauge", help);
    for (stream, follower, progress) in each() {
        let labels = [("stream", &*stream.name), ("follower", follower)];
        page.sample(name, &labels, u8::from(progress.alarm.is_seated()));
    }
    let name = "tripline_follower_behind_seconds";
    page.family(name, "gauge", "Since the time before which all that it read is judged.");
    for (stream, follower, progress) in each() {
        let Some(behind) = progress.alarm.behind(now) else { continue };
        let labels = [("stream", &*stream.name), ("follower", follower)];
        page.sample(name, &labels, behind.as_secs_f64());
    }
    let name = "tripline_follower_unreadable_total";
    page.family(name, "counter", "Messages that it could not read, and passed over.");
    for (stream, follower, progress) in each() {
        let labels = [("stream", &*stream.name), ("follower", follower)];
        page.sample(name, &labels, Progress::get(&progress.alarm.unreadable));
    }
    waits(page, streams);
    lost(page, streams);
    for (name, kind, help, of) in NUMBERS {
        page.family(name, kind, help);
        for (stream, follower, progress) in each() {
            // One that stands by remembers nothing.
            if !progress.alarm.is_seated() {
                continue;
            }
            let (facts, lag) = progress.following.facts();
            page.sample(
                name,
                &[("stream", &*stream.name), ("follower", follower)],
                of(&facts, lag),
            );
        }
    }
}

/// Answers that nobody read.
fn lost(page: &mut Page, streams: &[Stream]) {
    let mut readers = streams.iter().filter_map(|s| Some((s, s.reader_of_answers()?))).peekable();
    if readers.peek().is_none() {
        return;
    }
    let name = "tripline_answers_lost_total";
    let help = "Offsets of the answers topic that are gone unread: deleted, or with a log that lost its end or was made anew.";
    page.family(name, "counter", help);
    for (stream, reader) in readers {
        page.sample(name, &[("stream", &*stream.name)], Progress::get(&reader.lost));
    }
}

/// How long the deployed model's answers took.
fn waits(page: &mut Page, streams: &[Stream]) {
    let joins = streams.iter().flat_map(|stream| {
        let each = stream.followers();
        each.map(move |(_, progress)| (stream, progress.following.facts().0.waits))
    });
    let joins: Vec<_> = joins.filter(|(_, waits)| waits.count() > 0).collect();
    if joins.is_empty() {
        return;
    }
    let name = "tripline_answer_wait_seconds";
    page.family(name, "histogram", "From sending a record on to the deployed model's answer.");
    for (stream, waits) in joins {
        let labels = [("stream", &*stream.name)];
        page.buckets(name, &labels, waits.up_to(), (waits.count(), waits.sum_ms), MILLIS);
    }
}
