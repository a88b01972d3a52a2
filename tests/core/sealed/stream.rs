//! A stream of sealed records: keys, what is sent, what leaves.

use super::*;

/// One of each algorithm, sealed by `jwcrypto`: its key, and the value itself.
pub static VECTORS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let text = include_str!("../../frozen/jose/jwe-vectors.json");
    let all: Vec<Value> = serde_json::from_str(text).expect("JSON");
    let read =
        |one: &Value| (one["jwk"].to_string(), one["jwe"].as_str().expect("text").to_owned());
    all.iter().map(read).collect()
});

/// Read once: to check that the numbers of an RSA key are primes takes a tenth of a second.
pub static KEYS: LazyLock<Vec<KeyMaterial>> = LazyLock::new(|| {
    VECTORS.iter().map(|(jwk, _)| Jwk::read(jwk).expect("a key").material).collect()
});

pub const TEAM: &str = r#"{"kty":"OKP","crv":"X25519","kid":"team","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo","d":"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"}"#;

pub fn team() -> KeyMaterial {
    Jwk::read(TEAM).expect("a key").material
}

pub fn public(jwk: &str) -> String {
    let mut key: Value = serde_json::from_str(jwk).expect("JSON");
    key.as_object_mut().expect("an object").remove("d");
    key.to_string()
}

pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

pub const DECRYPT: &str = "[stream.decrypt]\nkind = \"jwe\"\nkeys = [\"k1\", \"k2\", \"k3\", \"k4\", \"k5\"]\n\
    algorithms = [\"dir+A256GCM\", \"A256KW+A256GCM\", \"ECDH-ES+A256GCM\", \"ECDH-ES+A256KW+A256GCM\", \
    \"RSA-OAEP-256+A256GCM\"]\n";

/// A stream of a shipped bundle, with these keys.
pub fn prepared(bundle: &str, rest: &str) -> (Stream, Prepared) {
    prepared_with("", bundle, rest)
}

/// The same with another table before the stream's, which has the key that it names.
pub fn prepared_with(table: &str, bundle: &str, rest: &str) -> (Stream, Prepared) {
    let used = |name: &String| rest.contains(&format!("\"{name}\""));
    let used = |name: &String| used(name) && !table.contains(name);
    let names = ["k1", "k2", "k3", "k4", "k5", "team"].map(String::from).into_iter().filter(used);
    let keys: String = names
        .map(|name| format!("[[key]]\nname = \"{name}\"\njwk = {{ env = \"{name}\" }}\n"))
        .collect();
    let text = format!(
        "instance = \"w\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n{keys}{table}[[stream]]\nname = \"s\"\ninput = \"in\"\n\
         bundle = \"{}\"\n{rest}\n",
        models().join(bundle).display()
    );
    let secret = |secret: Secret<'_>| match secret {
        Secret::Env("team") => Ok(public(TEAM)),
        Secret::Env(name) => {
            Ok(VECTORS[name[1..].parse::<usize>().expect("a number") - 1].0.clone())
        }
        Secret::File(_) => Err("no files".to_owned()),
    };
    let config = Config::read(Path::new("t.toml"), &text, [], &secret);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let stream = config.streams.into_iter().next().expect("a stream");
    let runtime = Runtime::load(None).expect("scripts/setup puts ONNX Runtime there");
    let prepared = Prepared::new(&runtime, &Trial::none(), &stream, None).expect("it is sound");
    (stream, prepared)
}

pub fn scorer(bundle: &str, rest: &str) -> StreamScorer {
    prepared(bundle, rest).1.into_scorer().0
}

pub fn at(i: usize) -> Position {
    Position { partition: Partition(1), offset: Offset(i as i64) }
}

pub fn record(value: &[u8]) -> OwnedRecord {
    let stamp = Stamp::of_sender(Timestamp(1_795_000_000_000));
    OwnedRecord { stamp, key: None, headers: vec![], value: Some(value.to_vec()) }
}

/// What is in `record`, sealed with the `i`th algorithm.
pub fn seal(i: usize, record: &OwnedRecord) -> OwnedRecord {
    let mut value = vec![];
    let plain = record.value.as_deref().expect("a value");
    let like = (VECTORS[i].1.as_bytes(), &KEYS[i]);
    seal_as(like, plain, &mut vec![], &mut value).expect("random numbers");
    OwnedRecord { value: Some(value), ..record.clone() }
}

pub fn open(key: &KeyMaterial, value: &[u8]) -> Vec<u8> {
    open_jwe(value, key, &JWE_ALGORITHMS).expect("it opens").plaintext.to_vec()
}

/// What left of a record.
#[derive(Debug)]
pub struct Left {
    pub outcome: Outcome,
    pub value: Vec<u8>,
    pub trace: Vec<u8>,
    pub reason: String,
}

pub fn run(scorer: &mut StreamScorer, records: &[OwnedRecord]) -> Vec<Left> {
    let batch: Vec<Record<'_>> = records.iter().enumerate().map(|(i, r)| r.at(at(i))).collect();
    scorer.score(&batch).expect("it scores");
    let left = |(record, outcome): (&OwnedRecord, &Outcome)| {
        let made = outcome.corrected.clone().map(|range| scorer.corrected()[range].to_vec());
        Left {
            value: made.or_else(|| record.value.clone()).unwrap_or_default(),
            trace: scorer.traces()[outcome.trace.clone()].to_vec(),
            reason: String::from_utf8_lossy(&scorer.reasons()[outcome.reason.clone()]).into_owned(),
            outcome: outcome.clone(),
        }
    };
    records.iter().zip(scorer.outcomes()).map(left).collect()
}

/// Rows of the shuttle, clean ones and attacks; each has a word besides that nobody may see.
pub fn rows(n: usize) -> Vec<OwnedRecord> {
    let text = std::fs::read_to_string(models().join("shuttle/slice/held-out.csv")).expect("rows");
    let names: Vec<&str> = text.lines().next().expect("names").split(',').collect();
    let object = |line: &str| {
        let cells = names.iter().zip(line.split(',')).filter(|(name, _)| **name != "label");
        let members: Vec<String> =
            cells.map(|(name, cell)| format!("\"{name}\": {cell}")).collect();
        record(format!("{{{}, \"who\": \"canary\"}}", members.join(", ")).as_bytes())
    };
    let (clean, attacks): (Vec<&str>, Vec<&str>) =
        text.lines().skip(1).partition(|line| line.ends_with(",normal"));
    clean[..n].iter().chain(&attacks[..n]).map(|line| object(line)).collect()
}

pub fn images(file: &str, n: usize) -> Vec<OwnedRecord> {
    let bytes = std::fs::read(models().join("fashion-mnist/slice").join(file)).expect("the slice");
    bytes.chunks_exact(784).take(n).map(record).collect()
}

pub const ENFORCE: &str = "mode = \"enforce\"\n";

/// The value of a sealed record, with another header.
pub fn with_header(header: &str) -> OwnedRecord {
    let value = String::from_utf8(seal(0, &rows(1)[0]).value.expect("a value")).expect("ASCII");
    let (_, rest) = value.split_once('.').expect("parts");
    record(format!("{}.{rest}", B64U.encode(header)).as_bytes())
}
