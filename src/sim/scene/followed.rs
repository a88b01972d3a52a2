//! Settings of what a scene may have beside records: clients that are watched, a deployed model that answers.

use std::time::Duration;

use crate::answers::{BodySettings, HeaderOrField};
use crate::clients::{ClientNames, ClientSettings, IdPlace, KnownSettings};
use crate::config::{StreamAnswers, StreamClients};
use crate::record::{Probability, Timestamp};

/// Partitions of the topic of answers.
pub const ANSWER_PARTITIONS: i32 = 2;

/// An answer has the key of its record.
pub(super) fn answers() -> StreamAnswers {
    StreamAnswers {
        topic: "answers".into(),
        join_topic: "join".into(),
        id: HeaderOrField::Key,
        request_id: HeaderOrField::Key,
        key: None,
        // Worlds are short.
        horizon: Duration::from_secs(2),
        // All of a world: what is given up for want of room may differ after a restart.
        pending_max: 100_000,
        margin: Probability::new(0.02).expect("a share"),
        differ_max: Probability::new(0.001).expect("a share"),
        format: None,
        body: BodySettings::default(),
    }
}

/// Clients are told apart by their records' keys.
pub(super) fn clients() -> StreamClients {
    let id = IdPlace { key: true, ..IdPlace::default() };
    let names = Some(ClientNames::new([(Timestamp(0), [7_u8; 32].as_slice())]));
    let settings = ClientSettings {
        horizon_rows: 40,
        entries_max: 8,
        quota: Some((5, 60_000)),
        accept: vec![],
        known: Some(KnownSettings {
            clients_max: 2048,
            travel_ms: 1000,
            origins: false,
            // Worlds are short.
            page_ms: 2000,
            week_ms: 3000,
        }),
    };
    StreamClients { id, origin: None, names, settings }
}
