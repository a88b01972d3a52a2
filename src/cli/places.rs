//! Every place where a value of a stream's records can end up, and the key that limits it: what `tripline check` prints,
//! and the table of docs/privacy.md.
//!
//! It says what is configured, not who may read a topic: that is the brokers' to say.

use crate::config::{Config, Stream};
use crate::open::{JweSpec, OpenerSpec};
use crate::sanitize::{KeyRule, OutputSpec, TraceDetail};

/// A place, what of a record is there, and what limits that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As docs/privacy.md calls it.
    pub name: &'static str,
    /// The topic, file or address.
    pub at: String,
    pub holds: String,
    pub limits: &'static str,
}

/// The places of one stream, outputs first.
pub fn places(config: &Config, stream: &Stream) -> Vec<Place> {
    let topics = &stream.topics;
    let mut places = outputs(stream);
    let mut place = |name, at: String, holds: &str, limits| {
        places.push(Place { name, at, holds: holds.to_owned(), limits });
    };
    let counts = match stream.privacy {
        None => "counts per window: a window with one row is that row, in bins of each feature",
        Some(_) => {
            "counts per window: a window with one row is that row, in bins of each feature; keyed hashes of sets of \
             features, and of subjects"
        }
    };
    place("evidence", topics.evidence.clone(), counts, "the topic's ACL: give it the input's");
    if let Some(clients) = &stream.clients {
        let ids = match clients.names {
            Some(_) => "clients by pseudonym, ",
            None => "",
        };
        let visits = format!(
            "{ids}marks and keyed fingerprints of each row; no id, value or key of a record"
        );
        place("visits", topics.visits.clone(), &visits, "[stream.clients]; the topic's ACL");
        if let Some(topic) = stream.known_clients_topic() {
            let known = "clients by pseudonym: first and last time, hours of the day, keyed hashes of origins";
            place("clients", topic.to_owned(), known, "[stream.clients]; the topic's ACL");
        }
    }
    if let Some(answers) = &stream.answers {
        let pairs =
            "keyed hashes of ids, labels and probabilities of own and deployed answers, offsets";
        let limits = "[stream.answers] key; the topic's ACL: nobody but Tripline reads it";
        place("join", answers.join_topic.clone(), pairs, limits);
    }
    let state = "offsets, times, counts of windows that are not over";
    place("state", topics.state.clone(), state, "the topic's ACL: give it the input's");
    if let Some(lineage) = &stream.lineage {
        let holds = "names of topics and of features, offsets, counts";
        place("lineage", lineage.topic.clone(), holds, "[stream.lineage]");
    }
    let alerts =
        "counts, names of features and of their categories, offsets; no value, key or header";
    place("alerts and routes", stream.alerts.topic.clone(), alerts, "[[route]]");
    place("log", "standard error".into(), "no value, key or header, at any level", "RUST_LOG");
    let (at, limits) = match &config.admin {
        Some(admin) => (admin.listen.to_string(), "[admin] listen, token"),
        None => ("nowhere".to_owned(), "[admin] listen"),
    };
    place("metrics", at, "counts", limits);
    if config.otlp.is_some() {
        let holds = "names of the topic and of the group, counts, times; trace and span ids of senders; no value, key or other \
                     header";
        place("spans", "a collector".into(), holds, "[otlp]");
    }
    let bundle = "rows of the training data (prototypes, calibration), values of categories";
    place("bundle", stream.bundle.display().to_string(), bundle, "who may read the folder");
    let memory = match stream.decrypt {
        Some(_) => "records of a batch, what was sealed in them, keys that open it",
        None => "records of a batch, keys",
    };
    place("memory", "this process".into(), memory, "who may look into the process");
    places
}

/// Where the records go.
fn outputs(stream: &Stream) -> Vec<Place> {
    let topics = &stream.topics;
    let outputs = [
        (
            "sanitized",
            &topics.sanitized,
            &stream.outputs.sanitized,
            "[[stream.output]] of = \"sanitized\"",
        ),
        (
            "quarantine",
            &topics.quarantine,
            &stream.outputs.quarantine,
            "[[stream.output]] of = \"quarantine\"",
        ),
        (
            "dead letters",
            &topics.dead_letter,
            &stream.outputs.dead_letter,
            "[[stream.output]] of = \"dead_letter\"",
        ),
    ];
    let whole = OutputSpec::default();
    let each = outputs.into_iter().map(|(name, topic, spec, limits)| {
        let decrypt = stream.decrypt.as_ref();
        let holds = leaves(name, spec.as_ref().unwrap_or(&whole), decrypt);
        Place { name, at: topic.clone(), holds, limits }
    });
    each.collect()
}

/// What of a record leaves by the output `name`.
fn leaves(name: &str, spec: &OutputSpec, decrypt: Option<&OpenerSpec>) -> String {
    let (dropped, steps) = (spec.drop.len(), spec.steps.len());
    let number = |n: usize, noun: &str| match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    };
    let mut fields = vec![];
    if !spec.keep.is_empty() {
        fields.push(format!("only {}", number(spec.keep.len(), "field")));
    }
    if dropped > 0 {
        fields.push(format!("without {}", number(dropped, "field")));
    }
    if steps > 0 {
        fields.push(number(steps, "step"));
    }
    let fields = match fields.is_empty() {
        true => "the whole value".to_owned(),
        false => format!("the value, {}", fields.join(", ")),
    };
    let value = match &spec.encrypt_to {
        _ if spec.pointer => "a pointer".to_owned(),
        Some((key, _)) => format!("{fields}, sealed to {key:?}"),
        None => match decrypt {
            Some(OpenerSpec::Jwe(JweSpec { reseal: Some((key, _)), .. }))
                if name == "sanitized" =>
            {
                format!("{fields}, sealed for {key:?}")
            }
            Some(spec) if spec.required() => format!("{fields}, sealed as it came"),
            Some(_) => format!("{fields}, sealed if it came sealed"),
            None => fields,
        },
    };
    let key = match spec.record_key {
        KeyRule::Same => "record keys",
        KeyRule::Drop => "no record keys",
        KeyRule::Pseudonym { .. } => "pseudonyms of record keys",
    };
    let headers = match (&spec.headers.keep, &spec.headers.drop[..]) {
        (None, []) => "all headers".to_owned(),
        (_, drop) if drop.iter().any(|name| name == "*") => "no header of the sender".to_owned(),
        (Some(keep), _) => format!("{} of the sender", number(keep.len(), "header")),
        (None, drop) => format!("headers but {}", drop.len()),
    };
    let trace = match spec.trace {
        TraceDetail::Full if decrypt.is_some() => "trace without numbers of what was sealed",
        TraceDetail::Full => "trace with numbers of up to four features",
        TraceDetail::Shares => "trace without numbers",
        TraceDetail::Source => "trace of the source alone",
    };
    format!("{value}; {key}; {headers}; {trace}")
}

/// The table of a stream, as `check` prints it.
pub fn print(config: &Config, stream: &Stream) {
    println!(
        "– stream {}: where values of its records can end up, and what limits that:",
        stream.name
    );
    for Place { name, at, holds, limits } in places(config, stream) {
        println!("    {name} ({at}): {holds} — {limits}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(rest: &str) -> Config {
        let key =
            r#"{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}"#;
        let text = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[[key]]\nname = \"team\"\njwk = '{key}'\n\
             [[key]]\nname = \"k\"\njwk = {{ env = \"K\" }}\n\
             [[stream]]\nname = \"s\"\ninput = \"i\"\nbundle = \"x\"\n{rest}"
        );
        let secret = r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
        let read = Config::read(Path::new("t.toml"), &text, [], &|_| Ok(secret.into()));
        read.unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn holds(rest: &str, name: &str) -> String {
        let config = config(rest);
        let mut places = places(&config, &config.streams[0]).into_iter();
        places.find(|place| place.name == name).expect("a place").holds
    }

    #[test]
    fn a_stream_without_tables_says_that_all_of_a_record_leaves() {
        for name in ["sanitized", "quarantine", "dead letters"] {
            let expected = "the whole value; record keys; all headers; trace with numbers of up to four features";
            assert_eq!(holds("", name), expected);
        }
    }

    #[test]
    fn what_is_configured_is_said() {
        let text = "[[stream.output]]\nof = \"quarantine\"\nencrypt_to = \"team\"\ndrop = [\"/a\"]\ntrace = \"shares\"\n\
                    record_key = \"drop\"\ndrop_headers = [\"*\"]\n";
        let expected = "the value, without 1 field, sealed to \"team\"; no record keys; no header of the sender; trace \
                        without numbers";
        assert_eq!(holds(text, "quarantine"), expected);
        let text = "[[stream.output]]\nof = \"dead_letter\"\npointer = true\ntrace = \"none\"\n";
        assert!(
            holds(text, "dead letters")
                .starts_with("a pointer; record keys; all headers; trace of the source")
        );
    }

    #[test]
    fn what_comes_sealed_leaves_sealed() {
        let text =
            "[stream.decrypt]\nkind = \"jwe\"\nkeys = [\"k\"]\nalgorithms = [\"dir+A256GCM\"]\n";
        let expected = "the whole value, sealed as it came; record keys; all headers; trace without numbers of what was \
                        sealed";
        assert_eq!(holds(text, "sanitized"), expected);
        let other = format!("{text}required = false\nreseal = \"team\"\n");
        assert!(holds(&other, "sanitized").starts_with("the whole value, sealed for \"team\""));
        assert!(
            holds(&other, "quarantine").starts_with("the whole value, sealed if it came sealed")
        );
        assert!(holds(text, "memory").contains("what was sealed in them"));
    }

    #[test]
    fn the_page_has_a_row_for_every_place() {
        let page = include_str!("../../docs/privacy.md");
        let config = config("[otlp]\nurl = \"http://collector:4318/v1/traces\"\n");
        for Place { name, limits, .. } in places(&config, &config.streams[0]) {
            let row = page.lines().find(|line| line.starts_with(&format!("| {name} |")));
            let row = row.unwrap_or_else(|| panic!("docs/privacy.md has no row for {name}"));
            let key = limits.split([':', ',']).next().unwrap_or(limits);
            assert!(row.contains(key), "{row} does not name {key}");
        }
    }
}
