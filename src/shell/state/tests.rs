use super::reset::{forgets_of_lane, goes_on};
use super::*;
use crate::record::Extent;
use crate::score::Survey;

fn beginning(committed: Option<i64>) -> Beginning {
    let (partition, oldest) = (Partition(0), Offset(5));
    let (committed, end) = (committed.map(Offset), Offset(9));
    let extent = Extent { topic: None, start: oldest, end, leader_epoch: None };
    let log = Survey { extent, parted: None };
    Beginning { partition, committed, log, kept: vec![] }
}

#[test]
fn a_reset_goes_on_where_the_group_stands_unless_there_is_no_such_place() {
    for (committed, next) in [(Some(7), 7), (Some(9), 9), (Some(10), 5), (Some(4), 5), (None, 5)] {
        assert_eq!(goes_on(&beginning(committed), None).0, Offset(next), "{committed:?}");
    }
}

#[test]
fn a_reset_goes_on_where_the_log_is_another() {
    let anew = |topic: &str| Extent { topic: Some(topic.into()), ..beginning(None).log.extent };
    for (topic, parted, next) in [("a", None, 8), ("b", None, 5), ("a", Some(6), 6)] {
        let mut now = beginning(Some(8));
        now.log = Survey { extent: anew(topic), parted: parted.map(Offset) };
        let was = anew("a");
        assert_eq!(
            goes_on(&now, Some((Offset(8), Some(&was)))).0,
            Offset(next),
            "{topic} {parted:?}"
        );
    }
}

#[test]
fn what_a_reset_forgets_is_said_before_it_is_forgotten() {
    let seen = |covered: Option<i64>, problem: Option<&str>| Remembered {
        partition: Partition(0),
        committed: Some(Offset(9)),
        covered: covered.map(Offset),
        oldest: Offset(0),
        end: Offset(20),
        problem: problem.map(str::to_owned),
        baseline: None,
        crash_loop: None,
        kept: covered.map(|_| At {}),
    };
    let say = |covered, problem| forgets_of_lane(&seen(covered, problem), Offset(9)).join("\n");
    insta::assert_snapshot!(
        [
            say(Some(9), None),
            say(Some(8), Some("it does not fit")),
            say(Some(12), Some("it does not fit")),
            say(None, Some("it cannot be read")),
            say(None, None),
        ]
        .join("\n"),
        @r"
    forgets where it stands; what the monitor heard of it stays
    forgets where it stands; what the monitor heard of it stays
    records from 8 up to 9 are done, as the group says, and are not done again: if somebody moved its offset by hand, nobody works on them
    forgets where it stands; what the monitor heard of it stays
    records from 9 up to 12 were worked on before: they leave again and are counted again
    nothing is known of what it forgets: it cannot be read
    there is nothing to forget
    "
    );
}
