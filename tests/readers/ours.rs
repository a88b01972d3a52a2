//! What Tripline makes of records: its verdict, by `tripline replay`, and the rows that it scores.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tripline::codec::{Codecs, ContentHeaders};
use tripline::config::{Config, Secret};

use super::reader::Rows;
use super::record::{CELLS, Record};

fn config(codec: &str, settings: &str, more: &str) -> String {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shuttle");
    format!(
        "instance = \"t\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[[stream]]\nname = \"s\"\ninput = \"i\"\n\
         bundle = \"{}\"\ncodec = \"{codec}\"\nmode = \"enforce\"\n{settings}\n{more}\n",
        bundle.display()
    )
}

/// Reads records as the worker does, up to validation.
pub struct Decoder(Codecs);

impl Decoder {
    pub fn new(codec: &str, settings: &str) -> Self {
        let text = config(codec, settings, "");
        let resolve = |_: Secret<'_>| Err("there are no secrets".to_owned());
        let config = Config::read(Path::new("t.toml"), &text, [], &resolve);
        let stream = config.unwrap_or_else(|problems| panic!("{problems}")).streams.remove(0);
        let bundle = tripline::shell::bundle::read(&stream.bundle).expect("the shipped bundle");
        Self(Codecs::new(&bundle.manifest.schema, &stream.codec))
    }

    /// The rows that would be scored, or none: the schema imputes nothing, so a number that is
    /// missing or not finite is a fault of validation.
    pub fn rows(&self, record: &Record) -> Option<Rows> {
        let pairs =
            record.headers.iter().map(|(name, text)| (name.as_bytes(), Some(text.as_bytes())));
        let pairs: Vec<tripline::record::Header<'_>> = pairs.collect();
        let pairs = pairs.as_slice();
        let headers = ContentHeaders::of(&pairs);
        let codec = self.0.pick(&headers, &record.value).ok()?;
        let mut numbers = vec![];
        let n = codec.decode(&record.value, &headers, &mut numbers).ok()?;
        assert_eq!(numbers.len(), n * CELLS, "as many rows as are said");
        numbers.iter().all(|x| x.is_finite()).then_some(Rows { n, numbers })
    }
}

/// The verdict's text of every record. `replay` lists records that two configurations treat
/// otherwise: the other one can read nothing of them.
pub fn verdicts(codec: &str, settings: &str, records: &[&Record]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let place = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect(name);
        path
    };
    let ours = place("a.toml", config(codec, settings, ""));
    let none = place("none.toml", config(codec, settings, "value_bytes_max = 1"));
    let mut lines = String::new();
    for (i, record) in records.iter().enumerate() {
        let headers: Vec<&String> =
            record.headers.iter().flat_map(|(name, text)| [name, text]).collect();
        let line = serde_json::json!({
            "topic": "i", "partition": 0, "offset": i, "ts": 1_795_000_000_000_u64 + i as u64,
            "headers": headers, "payload_base64": STANDARD.encode(&record.value),
        });
        writeln!(lines, "{line}").expect("text");
    }
    let from = place("lines.jsonl", lines);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.args(["replay", "--show", "1000000", "-c"]).arg(ours).arg("--against").arg(none);
    let output = command.arg("--from").arg(from).output().expect("tripline runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let found: BTreeMap<usize, &str> = said.lines().filter_map(verdict).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    let all = (0..records.len()).map(|i| found.get(&i).map(|&text| text.to_owned()));
    all.map(|text| text.unwrap_or_else(|| panic!("no verdict: {said}\n{errors}"))).collect()
}

/// `  partition 0 offset 7: pass, against …`
fn verdict(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start().strip_prefix("partition 0 offset ")?;
    let (offset, rest) = rest.split_once(": ")?;
    let (text, _) = rest.rsplit_once(", against ")?;
    Some((offset.parse().ok()?, text))
}
