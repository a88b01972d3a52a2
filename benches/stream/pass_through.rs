//! The ceiling that the benchmark measures beside: Kafka to Kafka in transactions, without a guard.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, stdin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tripline::config::{Delivery, GroupProtocol, Kafka};
use tripline::deliver::{Change, Fetched as _, Forward, ForwardKey, Keep, Outputs, Session as _};
use tripline::record::Offset;
use tripline::shell::kafka::{Clients, Session};
use tripline::shell::telemetry;

use crate::{COMMIT_INTERVAL, INPUT, PATIENCE, RECORDS};

/// The measured child: every record of the input as it is, to the topic `name`. Then it waits for
/// the end of its standard input, so that it can be looked at.
pub fn pass_through(brokers: &str, name: &str) -> Result<(), Box<dyn Error>> {
    telemetry::start(telemetry::LogFormat::Text);
    let kafka = Kafka {
        brokers: brokers.to_owned(),
        group: "bench".to_owned(),
        commit_interval: COMMIT_INTERVAL,
        transaction_timeout: Duration::from_secs(10),
        session_timeout: Duration::from_secs(10),
        delivery: Delivery::ExactlyOnce,
        group_protocol: GroupProtocol::Classic,
        compression: Default::default(),
        properties: BTreeMap::new(),
    };
    let clients = Clients::new(kafka, name);
    let [evidence, state] = ["evidence", "state"].map(str::to_owned);
    let outputs = Outputs { topics: vec![name.to_owned()], evidence, followed: vec![], state };
    let place = (&*format!("bench.{name}"), INPUT);
    let session = Session::join(&clients, "worker-0", place, &outputs, Arc::default())?;
    let deadline = Instant::now() + PATIENCE;
    let mut next = BTreeMap::new();
    let mut opened: Option<Instant> = None;
    while opened.is_some() || next.values().map(|offset: &Offset| offset.0).sum::<i64>() < RECORDS {
        if Instant::now() > deadline {
            return Err(format!("still at {next:?} after {PATIENCE:?}").into());
        }
        while let Some(change) = session.change() {
            let Change::Assigned(partitions) = change else {
                return Err("partitions were taken away".into());
            };
            eprintln!("assigned {partitions:?}");
            session.assign(&partitions.iter().map(|&p| (p, Offset(0))).collect::<Vec<_>>())?;
        }
        while opened.is_none_or(|at| at.elapsed() < COMMIT_INTERVAL) {
            let Some(message) = session.poll(COMMIT_INTERVAL / 10)? else { break };
            let value = message.record().value;
            let same = Forward {
                topic: name,
                value,
                key: ForwardKey::Own,
                keep_timestamp: true,
                keep: Some(Keep(&|_| true)),
                headers: &[],
            };
            session.forward(&message, same)?;
            opened.get_or_insert_with(Instant::now);
            let at = message.record().at;
            next.insert(at.partition, at.offset.next());
        }
        if opened.take_if(|at| at.elapsed() >= COMMIT_INTERVAL / 10).is_some() {
            let started = Instant::now();
            session.offsets(&next.iter().map(|(&p, &o)| (p, o)).collect::<Vec<_>>())?;
            session.commit()?;
            eprintln!("transaction committed took={:?}", started.elapsed());
        }
    }
    stdin().read_to_end(&mut vec![])?;
    Ok(())
}
