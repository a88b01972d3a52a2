//! Records that are sent, and those that left.

use super::*;

/// A clean row of the held-out slice, whose first feature is `first`.
pub fn row(first: f32) -> Vec<u8> {
    let clean = [first, 0.0, 86.0, 0.0, 44.0, -17.0, 41.0, 42.0, 2.0_f32];
    clean.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Sends these to a partition, with these many bytes of headers beside the value.
pub fn send(broker: &Broker, partition: i32, records: impl IntoIterator<Item = (Vec<u8>, usize)>) {
    let mut client = broker.client();
    client.set("message.max.bytes", "4000000").set("topic.metadata.refresh.interval.ms", "500");
    let producer: BaseProducer = client.create().expect("a producer");
    for (value, key) in records {
        // Nothing that compression makes small.
        let mut burden = vec![0; key];
        ChaCha8Rng::seed_from_u64(7).fill_bytes(&mut burden);
        let record = BaseRecord::to(INPUT).partition(partition).key(&burden).payload(&value);
        producer.send(record).expect("room");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");
}

/// Waits until the stream's group has committed this many records.
pub fn committed(broker: &Broker, partitions: i32, records: i64) {
    let group = format!("tripline.{STREAM}");
    let started = Instant::now();
    wait_until("records to be committed", Duration::from_secs(60), || {
        let (done, _) = broker.committed_and_end(&group, INPUT, partitions);
        assert!(done <= records || started.elapsed() > Duration::from_secs(1), "{done}");
        done == records
    });
}

/// What left: by its source position, each time it did: topic, verdict, value.
pub type Left = BTreeMap<(i32, i64), Vec<(String, String, Option<Vec<u8>>)>>;

pub fn left(broker: &Broker, partitions: i32) -> Left {
    let mut client = broker.client();
    client
        .set("group.id", "reader")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "8000000");
    let consumer: BaseConsumer = client.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for kind in ["sanitized", "quarantine", "dead-letter"] {
        for partition in 0..partitions {
            let topic = format!("{STREAM}.{kind}");
            list.add_partition_offset(&topic, partition, Offset::Beginning).expect("an offset");
        }
    }
    consumer.assign(&list).expect("assigned");
    let mut left = Left::new();
    let mut open = list.count();
    let deadline = Instant::now() + Duration::from_secs(60);
    while open > 0 {
        assert!(Instant::now() < deadline, "{open} partitions are not read to their ends");
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                let headers = message.headers().expect("ours");
                let last = |name: &str| {
                    headers.iter().filter(|h| h.key == name).last().and_then(|h| h.value)
                };
                let trace = ReadTrace::unpack(last("tripline-trace").expect("a trace"));
                let source = trace.expect("a readable one").source;
                let verdict = last("tripline-verdict").expect("a verdict");
                let verdict = String::from_utf8_lossy(verdict).into_owned();
                let topic = message.topic().trim_start_matches("rows.").to_owned();
                let value = message.payload().map(<[u8]>::to_vec);
                let at = (source.partition.0, source.offset.0);
                left.entry(at).or_default().push((topic, verdict, value));
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    left
}

/// The only way each record left: topic and verdict.
pub fn once(left: &Left) -> BTreeMap<(i32, i64), (&str, &str)> {
    let mut only = BTreeMap::new();
    for (at, ways) in left {
        let [(topic, verdict, _)] = &ways[..] else { panic!("{at:?} left {} times", ways.len()) };
        only.insert(*at, (topic.as_str(), verdict.as_str()));
    }
    only
}
