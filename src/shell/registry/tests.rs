//! Against a server of a few canned answers on the loopback interface. Against a real registry:
//! `tests/broker/registry.rs`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::codec::{Codec as _, ContentHeaders, Language, Layout, SchemaText};
use crate::config::Login;
use crate::record::{Feature, Partition, Schema};

const ID: SchemaId = SchemaId::Number(7);
const MISSING_SCHEMA: &str = r#"{"error_code":40403,"message":"Schema 7 not found"}"#;

/// Answers each path with a status and a body, everything else with 404; passes on what it heard.
pub(super) struct Server {
    pub url: String,
    pub heard: mpsc::Receiver<String>,
}

pub(super) fn serve(answers: Vec<(&'static str, &'static str, String)>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    let (tell, heard) = mpsc::channel();
    // Ends with the test's process: nobody connects any more.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> =
                lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let path = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
            let found = answers.iter().find(|(known, ..)| path == format!("/api{known}"));
            let (status, body) =
                found.map_or(("404 Not Found", "nothing here"), |(_, status, body)| (status, body));
            let _ = tell.send(head.join("\n"));
            let _ = write!(
                &stream,
                "HTTP/1.1 {status}\r\nLocation: /api/elsewhere\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    Server { url, heard }
}

fn registry(url: &str, login: Login) -> Registry {
    let timeout = Duration::from_secs(5);
    Registry::new(&Config { url: url.into(), login, ca_file: None, timeout }).unwrap()
}

fn lookup(server: &Server) -> Result<Found<SchemaText>, String> {
    let registry = registry(&server.url, Login::Nobody);
    let deadline = Instant::now() + registry.timeout;
    Lookup { registry: &registry, deadline }.schema(ID)
}

fn check_refusal(answers: Vec<(&'static str, &'static str, String)>, expected: &str) {
    let refused = lookup(&serve(answers)).unwrap_err();
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn that_a_schema_is_not_there_is_believed_of_a_registry_alone() {
    let said = vec![("/schemas/ids/7", "404 Not Found", MISSING_SCHEMA.into())];
    assert_eq!(lookup(&serve(said)), Ok(Found::Nothing));
    let types = vec![("/schemas/types", "200 OK", r#"["AVRO"]"#.into())];
    assert_eq!(lookup(&serve(types)), Ok(Found::Nothing), "a registry without this path");
    check_refusal(vec![], "is `registry.url` right?");
}

#[test]
fn what_is_no_answer_is_not_the_records_fault() {
    let one = |status, body: &str| vec![("/schemas/ids/7", status, body.to_owned())];
    check_refusal(one("401 Unauthorized", ""), "look at `user`, `password` and `token`");
    check_refusal(one("403 Forbidden", ""), "403");
    check_refusal(one("503 Service Unavailable", MISSING_SCHEMA), "503");
    check_refusal(one("429 Too Many Requests", ""), "429");
    check_refusal(one("200 OK", "<html>Sign in"), "answered what is no schema");
    let mut answers = one("302 Found", "");
    answers.push(("/elsewhere", "200 OK", r#"{"schema": "\"int\""}"#.into()));
    check_refusal(answers, "redirects are not followed");
    let nobody = Server { url: "http://127.0.0.1:9".into(), heard: mpsc::channel().1 };
    assert!(lookup(&nobody).is_err());
}

#[test]
fn a_schema_that_is_too_large_or_of_another_kind_holds_nobody_up() {
    let one = |body: String| serve(vec![("/schemas/ids/7", "200 OK", body)]);
    let large = format!(r#"{{"schema": "{}"}}"#, "x".repeat(1 << 20));
    for body in [large, r#"{"schema": "x", "schemaType": "XML"}"#.to_owned()] {
        assert!(matches!(lookup(&one(body)), Ok(Found::Useless(_))));
    }
}

#[test]
fn references_are_followed_and_come_innermost_first() {
    let reference = |name: &str| {
        format!(r#""references": [{{"name": "{name}", "subject": "s/{name}", "version": 2}}]"#)
    };
    let answer = |text: &str, more: &str| format!(r#"{{"schema": "{text}"{more}}}"#);
    let found = lookup(&serve(vec![
        (
            "/schemas/ids/7",
            "200 OK",
            answer("outer", &format!(r#", "schemaType": "PROTOBUF", {}"#, reference("a"))),
        ),
        (
            "/subjects/s%2Fa/versions/2",
            "200 OK",
            answer("middle", &format!(", {}", reference("b"))),
        ),
        ("/subjects/s%2Fb/versions/2", "200 OK", answer("inner", &format!(", {}", reference("a")))),
    ]));
    let references = [("b", "inner"), ("a", "middle")];
    let references = references.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let text =
        SchemaText { language: Language::Protobuf, text: "outer".into(), references, rules: None };
    assert_eq!(found, Ok(Found::Schema(text)));
}

#[test]
fn a_login_is_sent_and_never_printed() {
    let secret = || Hidden::new("hunter2".to_owned());
    let basic = Login::Basic { user: "me".into(), password: secret() };
    for (login, expected) in
        [(basic, "Basic bWU6aHVudGVyMg=="), (Login::Bearer(secret()), "Bearer hunter2")]
    {
        let server = serve(vec![("/schemas/ids/7", "401 Unauthorized", String::new())]);
        let registry = registry(&server.url, login);
        let deadline = Instant::now() + registry.timeout;
        let refused = Lookup { registry: &registry, deadline }.schema(ID).unwrap_err();
        assert!(!refused.contains("hunter2") && !refused.contains("bWU6"), "{refused}");
        let heard = server.heard.recv().unwrap().to_lowercase();
        assert!(heard.contains(&format!("authorization: {expected}").to_lowercase()), "{heard}");
    }
}

fn schemas() -> Confluent {
    let schema = Schema { features: vec![Feature::number("x", 0.0, 1.0)] };
    Confluent::new(Layout::new(&schema, 99).into(), None)
}

fn frame(id: u32) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..]].concat()
}

#[test]
fn after_no_answer_nobody_asks_for_a_while() {
    let (server, schemas) = (serve(vec![]), schemas());
    let registry = registry(&server.url, Login::Nobody);
    let mut memory = registry.memory.lock().unwrap();
    let first = registry.provide(&mut memory, &schemas, ID, Partition(0)).unwrap_err();
    assert!(first.retry_at > Instant::now());
    let asked = server.heard.try_iter().count();
    let second = registry.provide(&mut memory, &schemas, ID, Partition(0)).unwrap_err();
    assert_eq!(second.retry_at, first.retry_at);
    assert_eq!((asked, server.heard.try_iter().count()), (2, 0));
    assert_eq!(
        schemas.missing(&frame(7), &ContentHeaders::default()),
        Some(Missing::Schema(ID)),
        "it is still missing"
    );
}

#[test]
fn made_up_ids_cost_a_bounded_number_of_lookups_and_are_believed_for_seconds() {
    let schemas = schemas();
    let server = serve(vec![("/schemas/types", "200 OK", "[]".into())]);
    let registry = registry(&server.url, Login::Nobody);
    let mut memory = registry.memory.lock().unwrap();
    let provide = |memory: &mut Memory, id| {
        registry.provide(memory, &schemas, SchemaId::Number(id), Partition(0))
    };
    memory.lookups.left = 2.0;
    memory.lookups.counted = Instant::now() + Duration::from_secs(3600);
    assert!(provide(&mut memory, 1).is_ok() && provide(&mut memory, 2).is_ok());
    assert_eq!(schemas.missing(&frame(1), &ContentHeaders::default()), None);
    // The clock stands: it was last read in the future.
    memory.lookups.counted = Instant::now() + Duration::from_secs(3600);
    let refused = provide(&mut memory, 3).unwrap_err();
    assert!(refused.to_string().contains("too many schemas"), "{refused}");
    memory.forget(&schemas, Instant::now() + ABSENT_FOR);
    assert!(schemas.missing(&frame(1), &ContentHeaders::default()).is_some());
}

#[test]
fn a_partition_that_names_too_many_absent_schemas_is_asked_for_no_more_and_the_others_are() {
    let schemas = schemas();
    let schema = r#"{"schema": "\"int\""}"#;
    let server = serve(vec![
        ("/schemas/types", "200 OK", "[]".into()),
        ("/schemas/ids/100000", "200 OK", schema.into()),
    ]);
    let registry = registry(&server.url, Login::Nobody);
    let mut memory = registry.memory.lock().unwrap();
    let start = Instant::now();
    for id in 1..=500 {
        let id = SchemaId::Number(id);
        assert!(registry.provide(&mut memory, &schemas, id, Partition(0)).is_ok(), "{id}");
    }
    let asked = server.heard.try_iter().filter(|head| head.contains("/ids/")).count();
    let earned = (start.elapsed().as_secs_f64() * ABSENT_PER_SECOND).ceil() as usize;
    assert!((20..=21 + earned).contains(&asked), "{asked} of 500 were asked for");
    // All of them are faults, and none waits.
    assert_eq!(schemas.missing(&frame(500), &ContentHeaders::default()), None);
    // The stream has look-ups left, and another partition gets its schema.
    let known = SchemaId::Number(100_000);
    assert!(registry.provide(&mut memory, &schemas, known, Partition(1)).is_ok());
    assert!(server.heard.try_iter().any(|head| head.contains("/ids/100000")));
    // What was not asked for is wanted again soon.
    memory.forget(&schemas, Instant::now() + UNASKED_FOR);
    assert!(schemas.missing(&frame(500), &ContentHeaders::default()).is_some());
}
