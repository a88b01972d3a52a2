//! The seam to Kafka on a real one, where librdkafka's habits show that the simulator does not have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tripline::config::{Delivery, GroupProtocol, Kafka};
use tripline::deliver::{Change, Fetched as _, Outputs, Session as _};
use tripline::record::{Offset, Partition};
use tripline::shell::kafka::{Clients, Group, Session};

use crate::harness::{Broker, wait_until};
use crate::turn::turn;

const INPUT: &str = "input";

fn clients(broker: &Broker) -> Clients {
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
    Clients::new(kafka, "test-0")
}

fn join(broker: &Broker) -> Session {
    let [evidence, state] = ["evidence", "state"].map(str::to_owned);
    let outputs = Outputs { topics: vec!["output".to_owned()], evidence, followed: vec![], state };
    Session::join(&clients(broker), "worker-0", ("group", INPUT), &outputs, Arc::default())
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

#[test]
fn a_question_about_a_group_that_got_no_answer_ends_no_process_when_the_broker_is_back() {
    const SOON: Duration = Duration::from_secs(60);
    let _turn = turn();
    let mut broker = Broker::start();
    broker.create_topic(INPUT, 1, &[]);
    let group = Group::new(&clients(&broker), "group", INPUT).expect("a client");
    wait_until("an answer", SOON, || group.members().is_ok());
    broker.kill();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(group.members().is_err(), "nobody is there"));
        }
    });
    broker.start_again();
    // librdkafka sends now what it could not send before, if it knows it still.
    std::thread::sleep(Duration::from_secs(5));
    let new = Group::new(&clients(&broker), "group", INPUT).expect("a client");
    wait_until("an answer to a new client", SOON, || new.members().is_ok());
}
