use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::codec::{Fields, Format};
use crate::record::Probability;

const EXAMPLE: &str = include_str!("../../config/tripline.toml");

const SMALLEST: &str = r#"
instance = "tripline-0"
[kafka]
brokers = "localhost:9092"
[[stream]]
name = "fashion"
input = "fashion.requests"
bundle = "../models/fashion-mnist"
"#;

fn fetch(secret: Secret<'_>) -> Result<String, String> {
    match secret {
        Secret::Env("USER") => Ok("hunter2".into()),
        Secret::File(path) if path == Path::new("etc/key") => Ok("from a file\r\n".into()),
        Secret::Env(name) => Err(format!("the environment has no {name}")),
        Secret::File(_) => Err("no such file or directory (os error 2)".into()),
    }
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
    Config::read(Path::new("etc/tripline.toml"), text, variables, &fetch)
}

fn read(text: &str) -> Config {
    read_with(text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The example with every key in it that stands in a comment.
fn uncommented() -> String {
    let hidden = |line: &'static str| {
        let open = line.strip_prefix("# ")?;
        let (key, _) = open.split_once(" = ")?;
        (!key.contains(' ')).then_some(open)
    };
    let open = EXAMPLE.lines().map(|line| hidden(line).unwrap_or(line));
    open.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_the_smallest_file_with_its_defaults_written_out() {
    assert_eq!(read(EXAMPLE), read(SMALLEST));
}

#[test]
fn the_example_leaves_no_key_out() {
    let file = uncommented();
    let reader = Reader {
        source: &file,
        folder: Path::new(""),
        resolve: &|_| Ok("x".into()),
        problems: RefCell::default(),
        asked: RefCell::default(),
    };
    read_all(&reader, []).unwrap();
    assert_eq!(*reader.problems.borrow(), []);
    let asked: BTreeSet<String> = reader.asked.into_inner().into_iter().collect();
    for path in asked {
        let key = path.rsplit('.').next().unwrap();
        let shown = |line: &str| {
            line.starts_with(&format!("{key} = ")) || line.trim_matches(['[', ']']).ends_with(key)
        };
        assert!(file.lines().any(shown), "the example does not show {path}");
    }
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let config = read(&SMALLEST.replace("../models", "models"));
    assert_eq!(config.streams[0].bundle, Path::new("etc/models/fashion-mnist"));
    let config = read(&SMALLEST.replace("../models", "/models"));
    assert_eq!(config.streams[0].bundle, Path::new("/models/fashion-mnist"));
}

#[test]
fn every_key_that_may_be_left_out_changes_something() {
    let file = uncommented()
        .replace("KAFKA_PASSWORD", "USER")
        .replace("REGISTRY_PASSWORD", "USER")
        .replace("REGISTRY_TOKEN", "USER");
    let config = read(&file);
    assert_eq!(config.admin, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!(config.onnxruntime.as_deref(), Some(Path::new("/usr/lib/libonnxruntime.so")));
    assert_eq!(config.streams[0].budget, Probability::new(0.01).ok());
    let properties = &config.kafka.properties;
    assert_eq!(properties["sasl.password"].expose(), "hunter2");
    assert_eq!(properties["security.protocol"].expose(), "SASL_SSL");
    assert!(!format!("{config:?}").contains("hunter2"));
    let registry = config.registry.unwrap();
    assert_eq!(registry.url, "https://registry:8081");
    assert_eq!(registry.login, Login::Bearer(Hidden::new("hunter2".into())));
    assert_eq!(registry.ca_file.as_deref(), Some(Path::new("/etc/ssl/registry.pem")));
}

#[test]
fn a_registry_takes_secrets_by_reference_and_a_whole_login_only() {
    let problems = |section: &str| {
        let text = format!("{SMALLEST}\n[registry]\n{section}");
        read_with(&text, &[]).unwrap_err().to_string()
    };
    let said = problems("url = \"http://r\"\ntoken = \"hunter2\"");
    assert!(said.contains("must not stand in this file") && !said.contains("hunter2"), "{said}");
    assert!(problems("url = \"http://r\"\nuser = \"me\"").contains("registry.password"));
    assert!(problems("user = \"me\"\npassword = { env = \"USER\" }").contains("registry.url"));
}

#[test]
fn properties_may_be_quoted_dotted_numbers_booleans_and_references() {
    let config = read(
        &(SMALLEST.to_owned()
            + r#"
[kafka.properties]
sasl.mechanism = "PLAIN"
sasl.password = { file = "key" }
"socket.keepalive.enable" = true
fetch.min.bytes = 1
"#),
    );
    let shown = |(key, value): (&String, &Hidden<String>)| format!("{key}={}", value.expose());
    let shown: Vec<String> = config.kafka.properties.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "fetch.min.bytes=1",
            "sasl.mechanism=PLAIN",
            "sasl.password=from a file",
            "socket.keepalive.enable=true"
        ]
    );
}

#[test]
fn a_variable_overrides_a_key_wherever_it_is() {
    let config = read_with(
        SMALLEST,
        &[
            ("TRIPLINE__INSTANCE", "42"),
            ("TRIPLINE__KAFKA__COMMIT_INTERVAL_MS", "250"),
            ("TRIPLINE__KAFKA__PROPERTIES__SASL_PASSWORD", "12345"),
            ("TRIPLINE__STREAM__0__FIELDS", "[\"/a\", \"/b\"]"),
            ("TRIPLINE__STREAM__0__BUDGET", "2%"),
            ("TRIPLINE__STREAM__0__CODEC", "u8"),
            ("TRIPLINE__STREAM__1__NAME", "second"),
            ("TRIPLINE__STREAM__1__INPUT", "{ env = \"USER\" }"),
            ("TRIPLINE__STREAM__1__BUNDLE", "b"),
            ("TRIPLINE_LOG", "debug"),
        ],
    )
    .unwrap();
    assert_eq!(config.instance, "42");
    assert_eq!(config.kafka.commit_interval.as_millis(), 250);
    assert_eq!(config.kafka.properties["sasl.password"].expose(), "12345");
    let [first, second] = &config.streams[..] else { panic!("{:?}", config.streams) };
    assert_eq!(first.codec.fields, Fields::new(vec!["/a".into(), "/b".into()]).ok());
    assert_eq!((first.budget, first.codec.format), (Probability::new(0.02).ok(), Format::U8));
    assert_eq!((&*second.name, &*second.input), ("second", "hunter2"));
    assert_eq!(second.topics.dead_letter, "second.dead-letter");
}

#[test]
fn every_mistake_of_a_file_is_told_at_once_and_readably() {
    let text = r#"instance = "tripline 0"
onnxruntime = 7
[kafka]
brokres = "localhost:9092"
commit_interval_ms = 0
session_timeout_ms = "10s"
[kafka.properties]
isolation.level = "read_uncommitted"
"bootstrap.servers" = "elsewhere:9092"
"sasl.password" = "hunter2"
"ssl.key.password" = { env = "KEY_PASSWORD" }
[admin]
listen = "9090"
[[stream]]
name = "digits"
input = "digits.sanitized"
bundle = "../models/fashion-mnist"
budget = "150%"
workers = 65
mode = "enforced"
fields = ["/a/b", "pixels", "/a"]
shadow = true
[stream.alerts]
false_pages = "1/fortnight"
hold = "1 hour"
topic = "digits.state"
[[stream]]
name = "digits"
"#;
    let problems = read_with(
        text,
        &[
            ("TRIPLINE__STREAM__0__ROWS_MAX", "many"),
            ("TRIPLINE__STREAM__9__NAME", "ninth"),
            ("TRIPLINE__KAFKA__GROPU", "tripline"),
        ],
    );
    insta::assert_snapshot!(problems.unwrap_err());
}

#[test]
fn a_file_that_is_not_toml_is_told_with_every_place() {
    let text = "instance = \n[kafka\nbrokers = 'x'\n[[stream]]\nname = \"a\"\nname = \"b\"\n";
    insta::assert_snapshot!(read_with(text, &[]).unwrap_err());
}

#[test]
fn an_empty_file_says_what_is_needed() {
    insta::assert_snapshot!(read_with("", &[]).unwrap_err());
}

proptest! {
    #[test]
    fn no_file_and_no_variable_panics(
        lines in proptest::collection::vec(0..200_usize, 0..12),
        junk in "[a-z=\\[\\]\"'{}., 0-9\n]{0,30}",
        name in "(STREAM|KAFKA|ADMIN|[A-Z]{1,3})(__(0|1|JSON|PROPERTIES|POINTERS|[a-z]?)){0,3}",
        value in "[a-z0-9\\[\\]{}=\", ]{0,12}",
    ) {
        let all: Vec<&str> = EXAMPLE.lines().collect();
        let mut text: String = lines.iter().map(|&i| all[i % all.len()].to_owned() + "\n").collect();
        text += &junk;
        for text in [&*text, SMALLEST] {
            if let Err(problems) = read_with(text, &[(&format!("TRIPLINE__{name}"), &value)]) {
                prop_assert!(!problems.to_string().is_empty());
            }
        }
    }
}
