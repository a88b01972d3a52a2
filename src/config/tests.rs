mod secrets;

use openssl::pkey::{Id, PKey};
use proptest::prelude::*;

use super::reader::Kind;
use super::reference::uncommented;
use super::*;
use crate::answers::HeaderOrField;
use crate::codec::{Fields, Format};
use crate::record::Probability;

const SMALLEST: &str = r#"
instance = "tripline-0"
[kafka]
brokers = "localhost:9092"
[[stream]]
name = "fashion"
input = "fashion.requests"
bundle = "../models/fashion-mnist"
"#;

/// Bob's public key of RFC 7518 appendix C.
pub(super) const PUBLIC: &str = r#"{"kty": "EC", "crv": "P-256", "kid": "team-7",
    "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}"#;
/// 32 bytes: "hunter2-of-thirty-two-bytes-----".
pub(super) const SECRET: &str =
    r#"{"kty": "oct", "k": "aHVudGVyMi1vZi10aGlydHktdHdvLWJ5dGVzLS0tLS0"}"#;

/// An Ed25519 key that nobody else has.
fn signs() -> String {
    let key = PKey::private_key_from_raw_bytes(&[7; 32], Id::ED25519).unwrap();
    String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap().trim_end().to_owned()
}

fn fetch(secret: Secret<'_>) -> Result<String, String> {
    match secret {
        Secret::Env("USER") => Ok("hunter2".into()),
        Secret::Env("ADMIN_TOKEN") => Ok("hunter2-of-sixteen".into()),
        Secret::File(path) if path == Path::new("etc/key") => Ok("from a file\r\n".into()),
        Secret::File(path) if path.ends_with("security-team.jwk") => Ok(PUBLIC.into()),
        Secret::File(path) if path.ends_with("pseudonyms-2026.jwk") => Ok(SECRET.into()),
        Secret::File(path) if path.ends_with("requests.jwk") => Ok(SECRET.into()),
        Secret::File(path) if path.ends_with("requests.jwk.wrapped") => Ok("vault:v1:abc".into()),
        Secret::File(path) if path.ends_with("audit.pem") => Ok(signs()),
        Secret::Env(name) => Err(format!("the environment has no {name}")),
        Secret::File(path) => Err(format!("{}: permission denied", path.display())),
    }
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
    Config::read(Path::new("etc/tripline.toml"), text, variables, &fetch)
}

fn read(text: &str) -> Config {
    read_with(text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_example_is_the_smallest_file_with_its_defaults_written_out() {
    assert_eq!(read(EXAMPLE), read(SMALLEST));
}

#[test]
fn the_example_leaves_no_key_out() {
    let file = uncommented();
    let any = |secret: Secret<'_>| match secret {
        Secret::File(path)
            if [".jwk", "audit.pem"].iter().any(|name| path.to_string_lossy().contains(name)) =>
        {
            fetch(secret)
        }
        _ => Ok("a-secret-of-any-kind".into()),
    };
    let reader = Reader::new(&file, Path::new(""), &any);
    read_all(&reader, []).unwrap();
    assert_eq!(*reader.problems.borrow(), []);
    let shown = reference::entries();
    let keys = shown
        .iter()
        .filter(|entry| !matches!(entry.kind, Kind::Section | Kind::Sections | Kind::Settings));
    let left_out: Vec<_> = keys.filter(|e| e.shown.is_none()).map(|e| &e.path).collect();
    assert_eq!(left_out, Vec::<&String>::new(), "the example does not show these");
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
        .replace("REGISTRY_TOKEN", "USER")
        .replace("RECEIVER_PASSWORD", "USER")
        .replace("RECEIVER_TOKEN", "USER")
        .replace("COLLECTOR_PASSWORD", "USER")
        .replace("COLLECTOR_TOKEN", "USER")
        .replace("VAULT_TOKEN", "USER")
        .replace("AWS_ACCESS_KEY_ID", "USER")
        .replace("AWS_SECRET_ACCESS_KEY", "USER")
        .replace("AWS_SESSION_TOKEN", "USER")
        .replace("LOCAL_SECRET", "USER")
        .replace("{ file = \"/run/secrets/vault\" }", "{ env = \"USER\" }")
        .replace("{ file = \"/run/secrets/webhook\" }", "{ env = \"USER\" }");
    let config = read(&file);
    let admin = config.admin.clone().unwrap();
    assert_eq!(admin.listen, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(admin.probe_listen, Some("127.0.0.1:9091".parse().unwrap()));
    assert_eq!(admin.token.unwrap().expose(), "hunter2-of-sixteen");
    assert_eq!(config.onnxruntime.as_deref(), Some(Path::new("/usr/lib/libonnxruntime.so")));
    assert_eq!(config.streams[0].budget, Probability::new(0.01).ok());
    let properties = &config.kafka.properties;
    assert_eq!(properties["sasl.password"].expose(), "hunter2");
    assert_eq!(properties["security.protocol"].expose(), "SASL_SSL");
    assert!(!format!("{config:?}").contains("hunter2"));
    let audit = config.audit.unwrap();
    assert_eq!(audit.topic, "tripline.audit");
    assert_eq!(audit.sign_key.map(|key| key.expose().clone()), Some(signs()));
    assert_eq!(audit.public_key.as_deref(), Some(Path::new("etc/audit.pub.pem")));
    let registry = config.registry.unwrap();
    assert_eq!(registry.url, "https://registry:8081");
    assert_eq!(registry.login, Login::Bearer(Hidden::new("hunter2".into())));
    assert_eq!(registry.ca_file.as_deref(), Some(Path::new("/etc/ssl/registry.pem")));
    let [Route { name, to: To::Webhook { at, secret }, streams }] = &config.routes[..] else {
        panic!("{:?}", config.routes)
    };
    assert_eq!((&**name, streams.as_deref()), ("log", Some(&["fashion".to_owned()][..])));
    assert_eq!(at.url.expose(), "https://receiver.example/hook");
    assert_eq!(at.login, Login::Bearer(Hidden::new("hunter2".into())));
    assert_eq!(at.ca_file.as_deref(), Some(Path::new("/etc/ssl/receiver.pem")));
    assert_eq!(secret.as_ref().map(|secret| &secret.expose()[..]), Some(&b"hunter2"[..]));
    let answers = config.streams[0].answers.as_ref().unwrap();
    let header = |name: &str| HeaderOrField::Header(name.into());
    assert_eq!((&*answers.topic, &*answers.join_topic), ("fashion.responses", "fashion.join"));
    assert_eq!((&answers.id, &answers.request_id), (&header("ce-id"), &header("x-request-id")));
    assert_eq!(answers.key.as_ref().map(|(name, _)| &**name), Some("pseudonyms-2026"));
    assert_eq!(answers.body.output.as_deref(), Some("probabilities"));
    assert_eq!(answers.body.labels, ["T-shirt", "trouser"]);
    let outputs = &config.streams[0].outputs;
    let quarantine = outputs.quarantine.as_ref().unwrap();
    assert_eq!(
        (&quarantine.keep[..], &quarantine.drop[..]),
        (&["/amount".into(), "/shop".into()][..], &["/shop/owner".into()][..])
    );
    let kinds: Vec<&str> = quarantine.steps.iter().map(|step| &*step.kind).collect();
    assert_eq!(kinds, ["pseudonym", "mask", "prefix", "replace", "bands"]);
    assert_eq!(quarantine.encrypt_to.as_ref().unwrap().0, "team-7");
    assert_eq!(quarantine.trace, crate::sanitize::TraceDetail::Shares);
    assert!(!quarantine.headers.takes(b"X-User") && quarantine.headers.takes(b"Traceparent"));
    assert!(outputs.dead_letter.is_some() && outputs.sanitized.is_none());
}

#[test]
fn a_flag_is_true_or_false_without_quotes_and_a_variable_may_set_it() {
    const VARIABLE: &str = "TRIPLINE__STREAM__0__ALERTS__PER_PARTITION";
    let with = |text: &str, variables: &[(&str, &str)]| {
        let text = format!("{SMALLEST}[stream.alerts]\n{text}");
        read_with(&text, variables).map(|config| config.streams[0].alerts.per_partition)
    };
    assert!(with("per_partition = true", &[]).unwrap());
    assert!(!with("", &[]).unwrap());
    assert!(!with("per_partition = true", &[(VARIABLE, "false")]).unwrap());
    for wrong in ["\"true\"", "1"] {
        let said = with(&format!("per_partition = {wrong}"), &[]).unwrap_err().to_string();
        assert!(said.contains("true or false is wanted"), "{said}");
    }
}

#[test]
fn an_address_for_metrics_is_open_unless_it_is_local_or_asks_for_a_token() {
    let with = |keys: &str| {
        let text = format!("{SMALLEST}\n[admin]\n{keys}");
        read_with(&text, &[]).map(|config| config.admin.unwrap())
    };
    let token = "token = { env = \"ADMIN_TOKEN\" }";
    for (listen, open) in [
        ("127.0.0.1:9", false),
        ("[::1]:9", false),
        ("[::ffff:127.0.0.1]:9", false),
        ("0.0.0.0:9", true),
        ("[::]:9", true),
        ("10.0.0.1:9", true),
    ] {
        let listen = format!("listen = \"{listen}\"\n");
        assert_eq!(with(&listen).unwrap().is_open(), open, "{listen}");
        assert!(!with(&format!("{listen}{token}")).unwrap().is_open(), "{listen}");
    }
    let said = |keys: &str| with(keys).unwrap_err().to_string();
    let local = "listen = \"127.0.0.1:9\"\n";
    let short = said(&format!("{local}token = {{ env = \"USER\" }}"));
    assert!(short.contains("admin.token") && !short.contains("hunter2"), "{short}");
    let written = said(&format!("{local}token = \"hunter2-of-sixteen\""));
    assert!(written.contains("must not stand in this file"), "{written}");
    assert!(!written.contains("hunter2"), "{written}");
    assert!(said(token).contains("admin.listen"));
    assert!(said("probe_listen = \"127.0.0.1:9\"").contains("admin.listen"));
    assert!(said(&format!("{local}probe_{local}")).contains("another port"));
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
fn a_signing_key_is_what_standard_webhooks_writes_or_any_text() {
    let key = |secret: &'static str| {
        let text = format!(
            "{SMALLEST}\n[[route]]\nkind = \"webhook\"\nurl = \"http://a\"\nsecret = {{ env = \"S\" }}"
        );
        let config = Config::read(Path::new("f"), &text, [], &|_| Ok(secret.into()));
        config.map(|config| match &config.routes[0].to {
            To::Webhook { secret, .. } => secret.as_ref().map(|secret| secret.expose().clone()),
            _ => None,
        })
    };
    assert_eq!(key("whsec_aHVudGVyMg=="), Ok(Some(b"hunter2".to_vec())));
    assert_eq!(key("hunter2"), Ok(Some(b"hunter2".to_vec())));
    for bad in ["whsec_hunter2", "whsec_", ""] {
        let said = key(bad).unwrap_err().to_string();
        assert!(said.contains("route[0].secret") && !said.contains("hunter2"), "{said}");
    }
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

/// Each line with a comment has the mistake that the comment names.
const MISTAKES: &str = r#"instance = "tripline 0" # no name
onnxruntime = "" # no path
[kafka] # a key is missing: brokers
brokres = "localhost:9092" # unknown key, near another
commit_interval_ms = 0 # out of range
session_timeout_ms = "10s" # wrong type
[kafka.properties]
isolation.level = "read_uncommitted" # ours, unquoted
"bootstrap.servers" = "elsewhere:9092" # ours
"sasl.password" = "hunter2" # secret in the file
"ssl.key.password" = { env = "KEY_PASSWORD" } # variable not set
"ssl.keystore.password" = { file = "/run/keys/nobody" } # unreadable file
[admin]
listen = "9090" # no address
[[stream]]
name = "digits"
input = "digits.requests"
bundle = { path = "../models/fashion-mnist" } # wrong kind of table
budget = "150%" # bad share
workers = 65 # out of range, the other end
mode = "enforced" # unknown choice, near another
fields = ["/a/b", "pixels", "/a"] # bad pointer
shadow = true # unknown key, near none
[stream.topics]
sanitized = "digits.requests" # a loop
state = "digits/state" # no topic name
[stream.alerts]
window_ms = 60000
false_pages = "1/fortnight" # bad frequency
keep_firing_for = "1 hour" # bad length of time
topic = "digits.evidence" # topic taken
[[stream]] # keys are missing: input, bundle
name = "digits" # name taken
[[route]]
url = "http://alertmanager:9093" # a log has none
[[route]] # name taken
kind = "alertmanger" # unknown choice, near another
[[route]]
name = "pager"
kind = "alertmanager"
url = "http://me:hunter2@alertmanager:9093" # a login in the address
secret = { file = "key" } # not for this kind
streams = ["digit"] # no such stream
resend_ms = 5 # out of range
[[route]] # a key is missing: url
name = "pager" # name taken
kind = "webhook"
secret = "hunter2" # secret in the file
"#;

#[test]
fn every_mistake_of_a_file_is_told_at_once_and_readably() {
    let variables = [
        ("TRIPLINE__STREAM__0__ROWS_MAX", "many"),
        ("TRIPLINE__STREAM__9__NAME", "ninth"),
        ("TRIPLINE__KAFKA__GROPU", "tripline"),
    ];
    let problems = read_with(MISTAKES, &variables).unwrap_err();
    let marked = MISTAKES.lines().zip(1..).filter(|(line, _)| line.contains(" # "));
    let mut expected: Vec<usize> = marked.map(|(_, number)| number).collect();
    // The last stream lacks two keys, and both are told at its head.
    let head = MISTAKES.lines().position(|line| line.contains("input, bundle")).unwrap();
    let head = expected.iter().position(|&line| line == head + 1).unwrap();
    expected.insert(head, expected[head]);
    let found = problems.list.iter().filter_map(|problem| match problem.place {
        Place::File { line, .. } => Some(line),
        _ => None,
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(problems.list.len(), expected.len() + variables.len());
    let told = problems.to_string();
    assert_eq!(told.lines().find(|line| line.chars().count() > 80), None);
    insta::assert_snapshot!(told);
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
        name in "(STREAM|KAFKA|ADMIN|ROUTE|[A-Z]{1,3})(__(0|1|JSON|PROPERTIES|POINTERS|[a-z]?)){0,3}",
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
