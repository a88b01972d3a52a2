//! Records of the input that are gone: one incident, which lasts while a partition waits.

use super::*;
use crate::watch::{Loss, LossCause};

fn loss(partition: i32, unread: u64, waits: bool) -> Message {
    let (from, to, cause) = (Offset(7), Offset(7 + unread as i64), LossCause::Retention);
    Message::Loss(Loss { partition: Partition(partition), from, to, unread, cause, waits })
}

/// Status, and how many records are lost, of every alert after each of these.
fn told(messages: &[Message]) -> Vec<(usize, Status, u64)> {
    let (mut monitor, mut all) = (monitor(), vec![]);
    for (at, message) in messages.iter().enumerate() {
        let mut alerts = vec![];
        monitor.take(Offset(at as i64), message, &mut alerts);
        all.extend(alerts.iter().map(|alert| (at, alert.status, alert.counts.lost)));
    }
    all
}

#[test]
fn what_two_partitions_lost_is_one_incident_and_over_an_hour_after_the_last() {
    let hour = 3_600_000;
    let messages = [
        tick(1000),
        loss(0, 80, false),
        tick(2000),
        loss(1, 80, false),
        tick(2000 + hour - 1),
        tick(2000 + hour),
    ];
    let expected = [(1, Status::Firing, 80), (3, Status::Updated, 160), (5, Status::Resolved, 160)];
    assert_eq!(told(&messages), expected);
}

#[test]
fn a_partition_that_waits_keeps_it_open_and_what_is_told_twice_counts_once() {
    let hour = 3_600_000;
    let messages = [
        tick(1000),
        loss(0, 30, true),
        tick(1000 + 3 * hour),
        // Another worker has it now.
        loss(0, 30, true),
        // It was told to go on, and says so.
        loss(0, 30, false),
        evidence(0, 1, 0, 10, 0),
        tick(1000 + 4 * hour - 1),
        tick(1000 + 4 * hour),
    ];
    assert_eq!(told(&messages), [(1, Status::Firing, 30), (7, Status::Resolved, 30)]);
}

#[test]
fn a_partition_that_is_read_again_waits_no_more() {
    let hour = 3_600_000;
    let presence = Message::Presence(Presence { partition: Partition(0), quiet: true });
    let messages = [tick(1000), loss(0, 0, true), presence, tick(1000 + hour)];
    assert_eq!(told(&messages), [(1, Status::Firing, 0), (3, Status::Resolved, 0)]);
}
