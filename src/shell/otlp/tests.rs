//! A collector of our own on the loopback device takes what is sent, reads it with OpenTelemetry's messages, or does not answer.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::config::{Endpoint, Hidden, Login};
use crate::deliver::{BatchCounts, SpanSource};
use crate::record::Timestamp;

/// What takes less does not wait for a collector that never answers; a busy machine needs some of it.
const PATIENT: Duration = Duration::from_secs(20);
const NOW: Timestamp = Timestamp(1_795_460_000_123);

/// A request as it came: its first line and headers, and its body.
type Came = (Vec<String>, Vec<u8>);

/// A status and a body, or nothing.
type Answered = Option<(u16, Vec<u8>)>;

fn request(stream: &TcpStream) -> Option<Came> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (vec![], 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some(("content-length", bytes)) = line.to_ascii_lowercase().split_once(": ") {
            length = bytes.parse().unwrap();
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A collector that answers each request as `answer` says, with a status and a body; it says nothing if there is none.
fn listen(
    mut answer: impl FnMut(usize) -> Answered + Send + 'static,
) -> (String, mpsc::Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces?key=c4n4ry", listener.local_addr().unwrap());
    let (sender, came) = mpsc::channel();
    thread::spawn(move || {
        let (mut requests, mut silent) = (0, vec![]);
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(came) = request(&stream) {
                let _ = sender.send(came);
                requests += 1;
                let Some((status, body)) = answer(requests) else {
                    silent.push(stream.try_clone().unwrap());
                    break;
                };
                let head =
                    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(&[head.as_bytes(), &body].concat());
            }
        }
    });
    (url, came)
}

fn sender(url: String, timeout_ms: u64) -> SpanSender {
    let at = Endpoint {
        url: Hidden::new(url),
        login: Login::Bearer(Hidden::new("hunter2".into())),
        headers: vec![("X-Scope-OrgID".into(), Hidden::new("payments".into()))],
        ca_file: None,
        timeout: Duration::from_millis(timeout_ms),
    };
    SpanSender::new(&Otlp { at }, "tripline-0").unwrap()
}

fn batch(links: usize) -> BatchSpan {
    let source = SpanSource {
        stream: "fashion".into(),
        input: "fashion.requests".into(),
        group: "tripline.fashion".into(),
        revision: "fedcba9876543210".into(),
    };
    let link = |i: usize| TraceParent { trace: [i as u8 + 1; 16], span: [9; 8], flags: 1 };
    BatchSpan {
        source: source.into(),
        ended: NOW,
        took: Duration::from_micros(20_500),
        counts: BatchCounts { records: 5, flagged: 2, quarantined: 1, dead_lettered: 1 },
        links: (0..links).map(link).collect(),
    }
}

fn counts(queue: &SpanQueue) -> (u64, u64) {
    let SpanCounts { exported, dropped } = &**queue.counts();
    (exported.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed))
}

/// Waits until so many spans are exported or dropped.
fn settled(queue: &SpanQueue, spans: u64) -> (u64, u64) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let (exported, dropped) = counts(queue);
        if exported + dropped >= spans || Instant::now() > until {
            return (exported, dropped);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Why the request that is on its way, or the last one, is not taken: as soon as that is known.
fn trouble(collector: &CollectorClient) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match collector.trouble() {
            Some(reason) => return reason,
            None => assert!(Instant::now() < until, "nothing was said"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn named(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let each = attributes.iter().map(|attribute| {
        let shown = match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        (&*attribute.key, shown)
    });
    each.collect()
}

#[test]
fn a_collector_reads_name_times_attributes_and_links() {
    let (url, came) = listen(|_| Some((200, vec![])));
    let sender = sender(url, 5000);
    let queue = sender.queue();
    queue.put(batch(128));
    queue.put(batch(0));
    let thread = sender.start().unwrap();
    thread.end(Duration::from_secs(5));
    assert_eq!(counts(&queue), (2, 0));
    let (head, body) = came.recv().unwrap();
    assert!(head[0].starts_with("POST /v1/traces?key=c4n4ry "), "{head:?}");
    let has = |line: &str| head.iter().any(|header| header.eq_ignore_ascii_case(line));
    assert!(has("Content-Type: application/x-protobuf") && has("X-Scope-OrgID: payments"));
    assert!(has("Authorization: Bearer hunter2"), "{head:?}");
    let said = ExportTraceServiceRequest::decode(&*body).unwrap();
    let [resource] = &said.resource_spans[..] else { panic!("{said:?}") };
    let about = named(&resource.resource.as_ref().unwrap().attributes);
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        ("service.instance.id", "tripline-0"),
        ("service.name", "tripline"),
        ("service.version", version),
    ];
    assert_eq!(about, expected.map(|(key, value)| (key, value.to_owned())).into());
    let [scope] = &resource.scope_spans[..] else { panic!("{said:?}") };
    let [span, other] = &scope.spans[..] else { panic!("{said:?}") };
    check_span(span);
    assert!(other.links.is_empty() && other.trace_id != span.trace_id);
    assert!(other.span_id != span.span_id);
}

fn check_span(span: &Span) {
    assert_eq!((&*span.name, span.kind), ("process fashion.requests", SpanKind::Consumer as i32));
    assert_eq!((span.trace_id.len(), span.span_id.len(), &*span.parent_span_id), (16, 8, &[][..]));
    let ended = NOW.0 as u64 * 1_000_000;
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (ended - 20_500_000, ended));
    let expected = [
        ("messaging.batch.message_count", "5"),
        ("messaging.consumer.group.name", "tripline.fashion"),
        ("messaging.destination.name", "fashion.requests"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.system", "kafka"),
        ("tripline.dead_lettered", "1"),
        ("tripline.flagged", "2"),
        ("tripline.quarantined", "1"),
        ("tripline.revision", "fedcba9876543210"),
        ("tripline.stream", "fashion"),
    ];
    let expected = expected.map(|(key, value)| (key, value.to_owned()));
    assert_eq!(named(&span.attributes), expected.into());
    assert_eq!((span.links.len(), span.dropped_links_count), (128, 0));
    for (i, link) in span.links.iter().enumerate() {
        assert_eq!((&*link.trace_id, &*link.span_id), (&[i as u8 + 1; 16][..], &[9; 8][..]));
        assert_eq!(link.flags & 0xff, 1);
    }
}

#[test]
fn a_collector_that_answers_503_or_never_blocks_nobody_and_its_spans_are_counted() {
    let silent: [fn(usize) -> Answered; 2] = [|_| Some((503, b"c4n4ry".to_vec())), |_| None];
    for answer in silent {
        let (url, came) = listen(answer);
        let sender = sender(url, 400);
        let (queue, collector) = (sender.queue(), sender.collector.clone());
        let thread = sender.start().unwrap();
        queue.put(batch(1));
        came.recv().unwrap();
        let began = Instant::now();
        let more = 2 * QUEUE_MAX as u64;
        (0..more).for_each(|_| queue.put(batch(128)));
        assert!(began.elapsed() < PATIENT, "putting waits: {:?}", began.elapsed());
        // All but those that still wait.
        let lost = 1 + more - QUEUE_MAX as u64;
        assert!(settled(&queue, lost).1 >= lost, "{:?}", counts(&queue));
        let reason = trouble(&collector);
        assert!(!reason.contains("c4n4ry") || reason.starts_with("answered 503"), "{reason}");
        let ending = Instant::now();
        thread.end(Duration::from_secs(2));
        assert!(ending.elapsed() < PATIENT, "{:?}", ending.elapsed());
        assert_eq!(counts(&queue).0, 0);
    }
}

#[test]
fn a_collector_that_comes_back_gets_spans_again() {
    let (url, _came) = listen(|request| Some((if request < 3 { 503 } else { 200 }, vec![])));
    let sender = sender(url, 5000);
    let queue = sender.queue();
    queue.put(batch(1));
    let _thread = sender.start().unwrap();
    assert_eq!(settled(&queue, 1), (1, 0), "503 is tried again");
}

#[test]
fn what_is_wrong_with_the_request_is_not_tried_again_and_a_part_may_be_refused() {
    let partial_success =
        Some(ExportTracePartialSuccess { rejected_spans: 2, error_message: "no".into() });
    let partly = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let (url, came) = listen(move |request| match request {
        1 => Some((400, vec![])),
        _ => Some((200, partly.clone())),
    });
    let sender = sender(url, 5000);
    let queue = sender.queue();
    let thread = sender.start().unwrap();
    queue.put(batch(1));
    assert_eq!(settled(&queue, 1), (0, 1));
    (0..3).for_each(|_| queue.put(batch(1)));
    assert_eq!(settled(&queue, 4), (1, 3));
    thread.end(Duration::from_secs(2));
    assert_eq!(came.try_iter().count(), 2);
}

#[test]
fn the_end_waits_for_no_collector_that_has_a_minute_to_answer() {
    let (url, came) = listen(|_| None);
    let sender = sender(url, 60_000);
    let queue = sender.queue();
    let thread = sender.start().unwrap();
    queue.put(batch(1));
    came.recv().unwrap();
    let began = Instant::now();
    thread.end(Duration::from_millis(200));
    assert!(began.elapsed() < PATIENT, "{:?}", began.elapsed());
}

#[test]
fn nobody_listens_and_the_end_comes_within_its_time() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sender = sender(format!("http://127.0.0.1:{port}/c4n4ry"), 60_000);
    let (queue, collector) = (sender.queue(), sender.collector.clone());
    let thread = sender.start().unwrap();
    (0..700).for_each(|_| queue.put(batch(128)));
    let began = Instant::now();
    thread.end(Duration::from_secs(2));
    assert!(began.elapsed() < PATIENT, "{:?}", began.elapsed());
    let reason = trouble(&collector);
    assert!(!reason.contains("c4n4ry") && !reason.contains("hunter2"), "{reason}");
}

proptest! {
    #[test]
    fn opentelemetry_reads_a_header_as_we_do(
        value in "0[01]-[0-9a-f]{32}-[0-9a-f]{16}-0[01]|00-0{32}-[0-9a-f]{16}-01|[0-9a-f-]{0,60}",
    ) {
        let headers = std::collections::HashMap::from([("traceparent".to_owned(), value.clone())]);
        let read = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        let theirs = read.span().span_context().clone();
        let ours = TraceParent::parse(value.as_bytes());
        if let Some(TraceParent { trace, span, .. }) = ours {
            prop_assert_eq!(theirs.trace_id().to_bytes(), trace);
            prop_assert_eq!(theirs.span_id().to_bytes(), span);
        } else {
            prop_assert!(!theirs.is_valid() || !value.starts_with("00"), "{}", value);
        }
    }
}
