//! The seam to Kafka on a real one, where librdkafka's habits show that the simulator does not have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tripline::config::{Delivery, GroupProtocol, Kafka};
use tripline::deliver::{Change, Fetched as _, Outputs, Session as _};
use tripline::record::{Offset, Partition};
use tripline::shell::kafka::{Clients, Session};

use crate::harness::Broker;
use crate::turn::turn;

const INPUT: &str = "input";

fn join(broker: &Broker) -> Session {
    let kafka = Kafka {
        brokers: broker.address(),
        group: "tripline".to_owned(),
        commit_interval: Duration::from_millis(100),
        transaction_timeout: Duration::from_secs(5),
        session_timeout: Duration::from_secs(6),
        delivery: Delivery::ExactlyOnce,
        group_protocol: GroupProtocol::Classic,
        compression: Default::default(),
        properties: BTreeMap::new(),
    };
    let [evidence, state] = ["evidence", "state"].map(str::to_owned);
    let outputs = Outputs { topics: vec!["output".to_owned()], evidence, followed: vec![], state };
    let clients = Clients::new(kafka, "test-0");
    Session::join(&clients, "worker-0", ("group", INPUT), &outputs, Arc::default())
        .expect("a session")
}

/// The offset of the next record, if one comes within `patience`.
fn next(session: &Session, patience: Duration) -> Option<Offset> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(message) = session.poll(Duration::from_millis(100)).expect("a consumer") {
            return Some(message.record().at.offset);
        }
    }
    None
}

#[test]
fn a_partition_that_was_paused_when_it_was_taken_away_is_read_when_it_comes_back() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(INPUT, 1, &[]);
    broker.create_topic("output", 1, &[]);
    let producer: BaseProducer = broker.client().create().expect("a producer");
    for _ in 0..10 {
        producer.send(BaseRecord::to(INPUT).key("k").payload("v")).expect("room");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");

    let session = join(&broker);
    let deadline = Instant::now() + Duration::from_secs(30);
    let partitions = loop {
        assert!(Instant::now() < deadline, "no partition is given to us");
        session.poll(Duration::from_millis(100)).expect("a consumer");
        if let Some(Change::Assigned(partitions)) = session.change() {
            break partitions;
        }
    };
    assert_eq!(partitions, [Partition(0)]);
    let from = [(Partition(0), Offset(0))];
    session.assign(&from).expect("assigned");
    assert_eq!(next(&session, Duration::from_secs(20)), Some(Offset(0)));
    session.pause(&partitions).expect("paused");
    while next(&session, Duration::from_secs(1)).is_some() {}
    session.unassign(&partitions).expect("given back");
    session.assign(&from).expect("assigned again");
    assert_eq!(next(&session, Duration::from_secs(20)), Some(Offset(0)));
}
