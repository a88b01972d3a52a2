//! Against canned answers on the loopback interface. Against a registry and services: `tests/broker/csfle.rs`.

use std::path::Path;

use serde_json::Value;

use super::super::tests::{Server, serve};
use super::*;
use crate::config::{Config as File, Secret};
use crate::open::CsfleSpec;

const KEK: &str = "/dek-registry/v1/keks/kek1?deleted=true";
const ABSENT: &str = r#"{"error_code":40470,"message":"no such key"}"#;

fn dek_path(version: u32) -> &'static str {
    let path = format!(
        "/dek-registry/v1/keks/kek1/deks/in-value/versions/{version}?algorithm=AES256_GCM&deleted=true"
    );
    Box::leak(path.into_boxed_str())
}

/// The first data key of the vectors, wrapped with the secret "mysecret".
fn dek() -> String {
    let all = include_str!("../../../../tests/frozen/csfle/csfle-vectors.json");
    let all: Value = serde_json::from_str(all).unwrap();
    all[0]["dek"].to_string()
}

fn kek(kms: &str) -> (&'static str, &'static str, String) {
    (KEK, "200 OK", format!(r#"{{"name":"kek1","kmsType":"{kms}","kmsKeyId":"k","shared":false}}"#))
}

fn keys(server: &Server, secret: &str) -> (DataKeys, CsfleOpener) {
    let text = format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[registry]\nurl = \"{}\"\n[[key]]\nname = \"kek1\"\n\
         kind = \"local-kms\"\nsecret = {{ env = \"S\" }}\ncache = \"100s\"\n[[stream]]\nname = \"s\"\ninput = \"in\"\n\
         bundle = \"x\"\ncodec = \"auto\"\n[stream.decrypt]\nkind = \"csfle\"\nkeys = [\"kek1\"]\n",
        server.url
    );
    let resolve = |_: Secret<'_>| Ok(secret.to_owned());
    let file = File::read(Path::new("t.toml"), &text, [], &resolve).unwrap();
    let spec = file.streams[0].decrypt.as_ref().and_then(OpenerSpec::csfle).cloned();
    let opener = spec.map(|spec: CsfleSpec| spec.build()).unwrap();
    (DataKeys::new(&file.registry.unwrap(), &file.streams[0]).unwrap(), opener)
}

fn id(version: u32) -> DataKeyId {
    DataKeyId { wrapped_by: 0, algorithm: DataKeyAlgorithm::Aes256Gcm, version }
}

fn provide(keys: &DataKeys, csfle: &CsfleOpener, version: u32) -> Result<(), KeyAway> {
    keys.provide(&mut keys.memory(), csfle, id(version), Partition(0))
}

#[test]
fn a_key_is_unwrapped_once_kept_for_its_life_and_then_asked_for_again() {
    let server = serve(vec![kek("local-kms"), (dek_path(1), "200 OK", dek())]);
    let (keys, csfle) = keys(&server, "mysecret");
    provide(&keys, &csfle, 1).unwrap();
    assert!(csfle.ring().get(id(1)).flatten().is_some());
    let asked: Vec<String> = server.heard.try_iter().collect();
    assert!(asked[0].contains("/keks/kek1?") && asked[1].contains("/deks/in-value/"), "{asked:?}");
    assert_eq!(asked.len(), 2 + 3, "and whether the readers of three outputs have it: {asked:?}");
    let sweep = |seconds| {
        let now = Instant::now() + Duration::from_secs(seconds);
        keys.sweep(&mut keys.memory(), &csfle, now);
    };
    sweep(50);
    assert_eq!(server.heard.try_iter().count(), 0, "it is young");
    sweep(80);
    assert_eq!(server.heard.try_iter().count(), 1, "in the last quarter it is unwrapped again");
    sweep(200);
    assert!(!csfle.ring().knows(id(1)), "it is too old");
}

#[test]
fn a_version_that_the_registry_does_not_have_is_believed_for_a_minute() {
    let server = serve(vec![kek("local-kms"), (dek_path(7), "404 Not Found", ABSENT.into())]);
    let (keys, csfle) = keys(&server, "mysecret");
    provide(&keys, &csfle, 7).unwrap();
    assert!(matches!(csfle.ring().get(id(7)), Some(None)));
    let sweep = |seconds| {
        let now = Instant::now() + Duration::from_secs(seconds);
        keys.sweep(&mut keys.memory(), &csfle, now);
        csfle.ring().knows(id(7))
    };
    assert!(sweep(55));
    assert!(!sweep(61));
}

#[test]
fn what_configuration_or_registry_chose_is_nobodys_fault() {
    let good = || (dek_path(1), "200 OK", dek());
    let bare = (dek_path(1), "200 OK", r#"{"version": 1}"#.to_owned());
    for (answers, secret, words) in [
        (vec![], "mysecret", "does this registry keep data keys?"),
        (vec![(KEK, "404 Not Found", ABSENT.into())], "mysecret", "has no key \"kek1\""),
        (vec![(KEK, "503 Service Unavailable", ABSENT.into())], "mysecret", "503"),
        (vec![(KEK, "401 Unauthorized", String::new())], "mysecret", "look at `user`"),
        (vec![kek("aws-kms"), good()], "mysecret", "its kind is \"aws-kms\""),
        (vec![kek("local-kms"), good()], "hunter2", "another `secret`"),
        (vec![kek("local-kms"), bare], "mysecret", "has no material"),
        (
            vec![kek("local-kms"), (dek_path(1), "200 OK", "<html>".into())],
            "mysecret",
            "what is no key",
        ),
    ] {
        let server = serve(answers);
        let (keys, csfle) = keys(&server, secret);
        let away = provide(&keys, &csfle, 1).unwrap_err();
        let said = away.to_string();
        assert!(said.contains(words) && !said.contains("hunter2"), "{words}: {said}");
        assert!(!csfle.ring().knows(id(1)), "{words}");
        let asked = server.heard.try_iter().count();
        let again = provide(&keys, &csfle, 1).unwrap_err();
        assert_eq!(again.retry_at, away.retry_at, "{words}");
        assert_eq!(
            (server.heard.try_iter().count(), asked > 0),
            (0, true),
            "nobody asks for a while"
        );
    }
}

#[test]
fn a_partition_that_makes_up_versions_is_asked_for_a_bounded_number_and_the_others_go_on() {
    let absent = (100..200).map(|version| (dek_path(version), "404 Not Found", ABSENT.to_owned()));
    let mut answers = vec![kek("local-kms"), (dek_path(1), "200 OK", dek())];
    answers.extend(absent);
    let server = serve(answers);
    let (keys, csfle) = keys(&server, "mysecret");
    let start = Instant::now();
    for version in 100..200 {
        provide(&keys, &csfle, version).unwrap();
        assert!(matches!(csfle.ring().get(id(version)), Some(None)), "all of them are faults");
    }
    let asked = server.heard.try_iter().filter(|head| head.contains("/deks/")).count();
    let earned = (start.elapsed().as_secs_f64() * ABSENT_PER_SECOND).ceil() as usize;
    assert!((20..=21 + earned).contains(&asked), "{asked} of 100 were asked for");
    keys.provide(&mut keys.memory(), &csfle, id(1), Partition(1)).unwrap();
    assert!(csfle.ring().get(id(1)).flatten().is_some());
}

#[test]
fn a_check_names_the_kek_that_wraps_what_ours_does_not() {
    let absent = |algorithm: DataKeyAlgorithm| {
        let path = format!(
            "/dek-registry/v1/keks/kek1/deks/in-value/versions/-1?algorithm={}&deleted=true",
            algorithm.name()
        );
        (&*Box::leak(path.into_boxed_str()), "404 Not Found", ABSENT.to_owned())
    };
    let all = |subjects: &str| {
        let mut answers: Vec<_> = DataKeyAlgorithm::ALL.map(absent).into();
        answers.push(("/dek-registry/v1/keks", "200 OK", r#"["kek1","orders"]"#.to_owned()));
        answers.push(("/dek-registry/v1/keks/orders/deks", "200 OK", subjects.to_owned()));
        answers
    };
    let server = serve(all(r#"["in-value"]"#));
    let said = keys(&server, "mysecret").0.check().unwrap_err().to_string();
    assert!(said.starts_with("key kek1: ") && said.contains("KEK \"orders\" does"), "{said}");
    let server = serve(all(r#"["else-value"]"#));
    assert_eq!(keys(&server, "mysecret").0.check().unwrap(), 0, "nobody has sealed a record yet");
}
