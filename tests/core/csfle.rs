//! Fields that Confluent's clients encrypt: judged as what is in them, delivered as they came or sealed again, and a registry
//! or a service that is away makes no dead letter.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tripline::config::{Config, Secret};
use tripline::deliver::Scorer as _;
use tripline::model::Runtime;
use tripline::open::DataKey;
use tripline::open::framed::{Language, SchemaRule, SchemaRules, SchemaText};
use tripline::record::{
    DataKeyAlgorithm, DataKeyId, Offset, OwnedRecord, Partition, Position, Record, SchemaId, Stamp,
    Timestamp,
};
use tripline::score::Outcome;
use tripline::shell::run::Prepared;
use tripline::shell::scorer::StreamScorer;
use tripline::shell::trial::Trial;

const ID: SchemaId = SchemaId::Number(7);
const FRAME: [u8; 5] = [0, 0, 0, 0, 7];
const WORDS: [&str; 3] = ["protocol_type", "service", "flag"];
const KEY: DataKeyId =
    DataKeyId { wrapped_by: 0, algorithm: DataKeyAlgorithm::Aes256Gcm, version: 1 };

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn data_key() -> DataKey {
    DataKey::new(KEY.algorithm, &[7; 32]).expect("a key")
}

/// Network connections, whose three words are encrypted if `decrypt` says so. Nobody answers at the registry's address.
fn scorer(rest: &str, decrypt: bool) -> StreamScorer {
    let table =
        if decrypt { "[stream.decrypt]\nkind = \"csfle\"\nkeys = [\"kek1\"]\n" } else { "" };
    let text = format!(
        "instance = \"w\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[registry]\nurl = \"http://127.0.0.1:9\"\n[[key]]\n\
         name = \"kek1\"\nkind = \"local-kms\"\nsecret = {{ env = \"SECRET\" }}\n[[stream]]\nname = \"s\"\ninput = \"in\"\n\
         bundle = \"{}\"\ncodec = \"confluent\"\nmode = \"enforce\"\n{rest}{table}",
        models().join("nsl-kdd").display()
    );
    let secret = |_: Secret<'_>| Ok("mysecret".to_owned());
    let config = Config::read(Path::new("t.toml"), &text, [], &secret);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let runtime = Runtime::load(None).expect("scripts/setup puts ONNX Runtime there");
    let registry = config.registry.as_ref();
    let prepared = Prepared::new(&runtime, &Trial::none(), &config.streams[0], registry);
    prepared.expect("it is sound").into_scorer().0
}

/// What the registry says of the schema.
fn schema() -> SchemaText {
    let tagged =
        |name: &str| format!("\"{name}\": {{\"type\": \"string\", \"confluent:tags\": [\"PII\"]}}");
    let properties = WORDS.map(tagged).join(", ");
    let rule: SchemaRule = serde_json::from_str(
        r#"{"type": "ENCRYPT", "mode": "WRITEREAD", "tags": ["PII"], "params": {"encrypt.kek.name": "kek1"}}"#,
    )
    .expect("a rule");
    SchemaText {
        language: Language::JsonSchema,
        text: format!("{{\"type\": \"object\", \"properties\": {{{properties}}}}}"),
        references: vec![],
        rules: Some(Box::new(SchemaRules { domain: vec![rule], ..SchemaRules::default() })),
    }
}

fn learn(scorer: &StreamScorer) {
    let confluent = scorer.guard().confluent().expect("there is a registry");
    confluent.learn(ID, Some(&schema())).expect("the schema is sound");
    scorer.guard().csfle().inspect(|csfle| csfle.ring().learn(KEY, Some(data_key())));
}

fn at(i: usize) -> Position {
    Position { partition: Partition(1), offset: Offset(i as i64) }
}

fn record(value: &[u8]) -> OwnedRecord {
    let stamp = Stamp::of_sender(Timestamp(1_795_000_000_000));
    OwnedRecord { stamp, key: None, headers: vec![], value: Some(value.to_vec()) }
}

/// The first `n` rows of the slice in clear, and the same with their words encrypted.
fn rows(n: usize) -> Vec<(OwnedRecord, OwnedRecord)> {
    let text = std::fs::read_to_string(models().join("nsl-kdd/slice/held-out.csv")).expect("rows");
    let names: Vec<&str> = text.lines().next().expect("names").split(',').collect();
    let key = data_key();
    let object = |line: &str| {
        let cells = names.iter().zip(line.split(',')).filter(|(name, _)| **name != "label");
        let (mut clear, mut sealed) = (vec![], vec![]);
        for (name, cell) in cells {
            if !WORDS.contains(name) {
                clear.push(format!("\"{name}\": {cell}"));
                sealed.push(format!("\"{name}\": {cell}"));
                continue;
            }
            let mut out = vec![];
            key.seal(cell.as_bytes(), &mut vec![], &mut out).expect("random numbers");
            clear.push(format!("\"{name}\": \"{cell}\""));
            sealed.push(format!("\"{name}\": \"{}\"", STANDARD.encode(out)));
        }
        let framed = |members: Vec<String>| {
            record(&[&FRAME[..], format!("{{{}}}", members.join(", ")).as_bytes()].concat())
        };
        (framed(clear), framed(sealed))
    };
    text.lines().skip(1).take(n).map(object).collect()
}

struct Left {
    outcome: Outcome,
    value: Vec<u8>,
    trace: Vec<u8>,
}

fn run(scorer: &mut StreamScorer, records: &[OwnedRecord]) -> Vec<Left> {
    let batch: Vec<Record<'_>> = records.iter().enumerate().map(|(i, r)| r.at(at(i))).collect();
    scorer.score(&batch).expect("it scores");
    let left = |(record, outcome): (&OwnedRecord, &Outcome)| {
        let made = outcome.corrected.clone().map(|range| scorer.corrected()[range].to_vec());
        Left {
            value: made.or_else(|| record.value.clone()).unwrap_or_default(),
            trace: scorer.traces()[outcome.trace.clone()].to_vec(),
            outcome: outcome.clone(),
        }
    };
    records.iter().zip(scorer.outcomes()).map(left).collect()
}

#[test]
fn a_record_with_encrypted_words_is_judged_as_what_is_in_them_and_leaves_as_it_came() {
    let (clear, sealed): (Vec<_>, Vec<_>) = rows(300).into_iter().unzip();
    let (mut bare, mut opening) = (scorer("", false), scorer("", true));
    [&bare, &opening].into_iter().for_each(learn);
    let mut held = 0;
    let both = run(&mut opening, &sealed).into_iter().zip(run(&mut bare, &clear));
    for (i, (left, plain)) in both.enumerate() {
        assert_eq!(left.outcome.judged, plain.outcome.judged, "row {i}");
        assert_eq!(left.outcome.destination, plain.outcome.destination, "row {i}");
        assert_eq!(Some(&left.value), sealed[i].value.as_ref(), "row {i}");
        assert_eq!((left.trace[0], plain.trace[0]), (5, 4), "no words in the trace");
        held +=
            usize::from(left.outcome.judged != plain.outcome.judged || left.outcome.text != "pass");
    }
    assert!(held > 0, "none was held back");
    // Read without the key the words would be categories that nobody ever saw: not what is scored.
    assert_eq!(run(&mut opening, &clear[..1])[0].outcome.text, "dead-letter:undecryptable");
}

#[test]
fn while_the_registry_is_away_records_wait_and_nothing_is_a_dead_letter() {
    let (_, sealed) = &rows(1)[0];
    let mut closed = scorer("", true);
    for expected in ["schema 7 was not fetched", "data key AES256_GCM version 1"] {
        assert!(closed.fetch(&[sealed.at(at(0))]).is_some(), "it says when to try again");
        assert!(closed.misses(&sealed.at(at(0))));
        let failure = closed.score(&[sealed.at(at(0))]).unwrap_err().to_string();
        assert!(failure.contains(expected), "{failure}");
        let confluent = closed.guard().confluent().expect("there is a registry");
        confluent.learn(ID, Some(&schema())).expect("the schema is sound");
    }
    learn(&closed);
    assert!(!closed.misses(&sealed.at(at(0))));
    assert_eq!(closed.fetch(&[sealed.at(at(0))]), None);
    let left = run(&mut closed, std::slice::from_ref(sealed));
    assert!(left[0].outcome.judged.is_ok(), "{:?}", left[0].outcome);

    let mut open = scorer("on_guard_failure = \"open\"\n", true);
    assert_eq!(open.fetch(&[sealed.at(at(0))]), None);
    let left = run(&mut open, std::slice::from_ref(sealed));
    assert_eq!((left[0].outcome.text, Some(&left[0].value)), ("unscored", sealed.value.as_ref()));
}
