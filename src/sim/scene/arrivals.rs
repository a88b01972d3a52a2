//! Records of a world, and when they come.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::Arrival;
use crate::record::{OwnedRecord, Partition, Stamp, Timestamp};
use crate::sim::cluster::Ms;
use crate::sim::names::{BEGAN_AT, kind};

/// Some records have what a topic may refuse.
pub(super) fn offend(rng: &mut ChaCha8Rng, record: &mut OwnedRecord) {
    match rng.random_range(0..40) {
        0 => record.stamp.at = Timestamp(BEGAN_AT * 3),
        1 => record.stamp.at = Timestamp(1 + rng.random_range(0..BEGAN_AT / 2)),
        2 => {
            if let Some(value) = record.value.as_mut().filter(|value| value[0] == kind::PASS) {
                value[0] = kind::FORBIDDEN;
            }
        }
        _ => {}
    }
}

pub(super) fn arrivals(
    rng: &mut ChaCha8Rng,
    partitions: i32,
    heal_at: Ms,
    window_ms: i64,
) -> Vec<Arrival> {
    let n = rng.random_range(10..60);
    let poison = if rng.random_bool(0.15) { rng.random_range(0..n) } else { n };
    let large = rng.random_bool(0.4);
    let bursts = [(); 3].map(|()| rng.random_range(0..heal_at));
    let in_bursts = [0.0, 0.5, 1.0][rng.random_range(0..3)];
    let mut arrivals: Vec<Arrival> = (0..n)
        .map(|i| {
            // A backlog keeps transactions open; a trickle lets every worker come to rest.
            let at = if rng.random_bool(in_bursts) {
                bursts[rng.random_range(0..bursts.len())]
            } else {
                rng.random_range(0..heal_at)
            };
            // The middle third is an attack.
            let attacked = (heal_at / 3..2 * heal_at / 3).contains(&at);
            let mut records: Vec<OwnedRecord> = (0..rng.random_range(1..8))
                .map(|_| record(rng, at, attacked, large, window_ms))
                .collect();
            let mut committed = [None, Some(true), Some(true), Some(false)][rng.random_range(0..4)];
            if i == poison {
                let at = rng.random_range(0..records.len());
                records[at].value = Some(vec![kind::POISON, at as u8]);
                committed = None;
            }
            Arrival {
                at,
                partition: Partition(rng.random_range(0..partitions)),
                records,
                committed,
            }
        })
        .collect();
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

fn record(
    rng: &mut ChaCha8Rng,
    at: Ms,
    attacked: bool,
    large: bool,
    window_ms: i64,
) -> OwnedRecord {
    let kind = match rng.random_range(0..100) {
        _ if attacked && rng.random_bool(0.6) => kind::QUARANTINE + rng.random_range(0..2),
        0..=2 => kind::QUARANTINE,
        3..=4 => kind::CORRECT,
        5..=9 => kind::FAULT,
        10..=11 => kind::HARD,
        12..=13 => kind::WANTING,
        _ => kind::PASS,
    };
    let long = large && rng.random_bool(0.03);
    let length = if long { rng.random_range(256..400) } else { rng.random_range(0..12) };
    let value = [kind].into_iter().chain((0..length).map(|_| rng.random::<u8>())).collect();
    let key = (0..rng.random_range(0..4)).map(|_| rng.random::<u8>()).collect();
    let names: [&[u8]; 4] = [b"content-type", b"x", b"x", b"\xff"];
    let headers = 0..rng.random_range(0..3);
    let headers = headers.map(|_| {
        let name = names[rng.random_range(0..names.len())].to_vec();
        let value = rng.random::<u8>();
        (name, (value >= 16).then(|| vec![value]))
    });
    let headers = headers.collect();
    let late = rng.random_range(0..window_ms);
    let at = match rng.random_range(0..200) {
        0 => -1,
        1 => rng.random_range(0..BEGAN_AT * 2),
        _ => BEGAN_AT + at as i64 - late,
    };
    OwnedRecord {
        key: rng.random_bool(0.8).then_some(key),
        headers,
        value: rng.random_bool(0.97).then_some(value),
        stamp: Stamp::of_sender(Timestamp(at)),
    }
}
