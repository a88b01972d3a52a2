//! Spans of batches through a real Kafka: each committed record is in one span, and each sender's span is linked.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::harness::{Broker, Process, ShowOnPanic, file, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 2;
/// Fewer than the links of one span: none is left out, however the log is cut.
const RECORDS: usize = 100;

fn config(broker: &Broker, collector: u16) -> String {
    format!(
        r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[otlp]
url = "http://127.0.0.1:{collector}/v1/traces"
token = {{ env = "COLLECTOR_TOKEN" }}
timeout_ms = 1000
[[stream]]
name = "traced"
input = "traced.requests"
bundle = "{bundle}"
mode = "enforce"
"#,
        brokers = broker.address(),
        bundle = root().join("models/shuttle").display(),
    )
}

/// A collector, and the spans that it takes. The first request it does not take.
fn collector() -> (u16, mpsc::Receiver<Span>) {
    let (tell, told) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        let mut requests = 0;
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            loop {
                let mut length = None;
                for line in reader.by_ref().lines().map_while(Result::ok) {
                    if line.is_empty() {
                        break;
                    }
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().ok();
                    }
                }
                let Some(length) = length else { break };
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                requests += 1;
                let status = if requests == 1 { 503 } else { 200 };
                let said = ExportTraceServiceRequest::decode(&*body).expect("Protobuf");
                let spans = said.resource_spans.into_iter().flat_map(|all| all.scope_spans);
                for span in spans.flat_map(|all| all.spans).filter(|_| status == 200) {
                    let _ = tell.send(span);
                }
                let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n");
                if (&stream).write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (port, told)
}

/// The trace of the `i`th record's sender.
fn trace(i: usize) -> [u8; 16] {
    (i as u128 + 1).to_be_bytes()
}

/// Rows of shuttle, each from a trace of its own; every tenth record is no row.
fn produce(broker: &Broker) {
    let table =
        std::fs::read_to_string(root().join("models/shuttle/slice/held-out.csv")).expect("rows");
    let producer: BaseProducer = broker.client().create().expect("a producer");
    for (i, line) in table.lines().skip(1).take(RECORDS).enumerate() {
        let cells: Vec<&str> = line.split(',').take(9).collect();
        let value =
            if i % 10 == 7 { "no JSON".to_owned() } else { format!("[{}]", cells.join(",")) };
        let parent = format!("00-{:032x}-{:016x}-01", i + 1, i + 1);
        let header = Header { key: "traceparent", value: Some(&parent) };
        let record = BaseRecord::<str, str>::to("traced.requests")
            .partition(i as i32 % PARTITIONS)
            .headers(OwnedHeaders::new().insert(header))
            .payload(&value);
        producer.send(record).expect("queued");
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(30)).expect("delivered");
}

fn number(span: &Span, name: &str) -> usize {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == name);
    let value = attribute.and_then(|attribute| attribute.value.clone()?.value);
    let Some(Value::IntValue(number)) = value else { panic!("{name} of {span:?}") };
    usize::try_from(number).expect("a count")
}

#[test]
fn every_committed_record_is_in_one_span_and_its_sender_is_linked() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("traced.requests", PARTITIONS, &[]);
    let (port, told) = collector();
    let config = file(&broker, "tripline.toml", &config(&broker, port));
    let config = config.to_str().expect("a path in UTF-8");
    let variables = [("COLLECTOR_TOKEN", "c4n4ry-of-the-collector")];
    for (command, apply) in [("topics", Some("--apply")), ("check", None)] {
        let arguments = [Some(command), Some("-c"), Some(config), apply];
        let done = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(arguments.into_iter().flatten())
            .envs(variables)
            .output()
            .expect("tripline runs");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        assert!(!said.contains("c4n4ry") && !said.contains(&port.to_string()), "{said}");
        assert_eq!(said.contains("a span of each batch"), command == "check", "{said}");
    }
    produce(&broker);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let mut guard = Process::tripline_with(&["run", "-c", config], &variables, &log);
    let mut spans: Vec<Span> = vec![];
    let records = |spans: &[Span]| -> usize {
        spans.iter().map(|span| number(span, "messaging.batch.message_count")).sum()
    };
    wait_until("a span of every record", Duration::from_secs(40), || {
        spans.extend(told.try_iter());
        records(&spans) >= RECORDS
    });
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    spans.extend(told.try_iter());
    assert_eq!(records(&spans), RECORDS);
    let dead: usize = spans.iter().map(|span| number(span, "tripline.dead_lettered")).sum();
    assert!(dead >= RECORDS / 10, "{dead}");
    let linked: Vec<&[u8]> =
        spans.iter().flat_map(|span| &span.links).map(|link| &*link.trace_id).collect();
    let each: BTreeSet<Vec<u8>> = linked.iter().map(|id| id.to_vec()).collect();
    assert_eq!((linked.len(), each.len()), (RECORDS, RECORDS));
    assert!((0..RECORDS).all(|i| each.contains(&trace(i)[..])));
    for span in &spans {
        assert_eq!((&*span.name, span.parent_span_id.len()), ("process traced.requests", 0));
        assert!(span.start_time_unix_nano < span.end_time_unix_nano, "{span:?}");
    }
    let said = std::fs::read_to_string(&log).expect("a log");
    assert!(!said.contains("c4n4ry"), "{said}");
    println!("{} spans of {RECORDS} records, {dead} dead letters", spans.len());
}
