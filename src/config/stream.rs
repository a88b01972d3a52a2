//! `[[stream]]`: one protected input topic, what happens to its records, and what its alarms cost.

use std::path::PathBuf;
use std::time::Duration;

use super::answers::{self, StreamAnswers};
use super::claims::Claims;
use super::clients::{self, StreamClients};
use super::kek::WrappingKey;
use super::key::Keys;
use super::lineage::{self, Lineage};
use super::reader::{Kind, Section};
use super::share::share;
use super::time;
use super::vault::VaultKey;
use super::{decrypt, output, privacy};
use crate::codec::select::{Rule, Select, check_field};
use crate::codec::{self, Fields, Format, Inputs, InputsBy, ROWS_PER_RECORD_MAX};
use crate::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use crate::open::OpenerSpec;
use crate::privacy::QuasiSpec;
use crate::record::Probability;
use crate::sanitize::OutputSpecs;

/// `[[stream]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// `name`: what alerts and metrics call it, and what its topics begin with. Required.
    pub name: String,
    /// `input`: the topic it reads. Required.
    pub input: String,
    /// `bundle`: the folder that `tripline fit` wrote. Required.
    pub bundle: PathBuf,
    /// `bundle_key`: the public key whose owner must have signed the bundle; without it nobody asks who made it.
    pub bundle_key: Option<PathBuf>,
    /// `accept_fewer_features = false`: whether `run` starts with a bundle that has fewer features than the
    /// one before.
    pub accept_fewer_features: bool,
    /// `codec = "json"`: how values are written, whatever a sender's headers say; or `"auto"`: as
    /// headers and bytes say, where they agree.
    /// `fields`: where in a value the features are, as JSON pointers in the schema's order; `""` is
    /// the whole value. Unless given, each under its own name.
    /// `inputs_by = "position"`: how readers find the inputs of a KServe request: features must stand in
    /// the schema's order; with `"name"` they may stand anywhere.
    /// `extra_inputs = []`: inputs of a KServe request that are no features and may come; any other is
    /// a fault, because a server may take the first input whatever its name.
    /// `scaled_integers = false`: whether servers divide the integers of an image in a V2 request by the
    /// schema's scale, as we do; else such a request is a fault, because they see another image.
    /// `rows_per_record_max = 64`: records with more rows are dead-lettered, 1 to 65536.
    /// `value_bytes_max = 1048576`: larger values are dead-lettered unread, 1 to 1000000000; a
    /// record's rows together hold at most as many numbers.
    pub codec: codec::Config,
    /// `mode = "observe"`: what a verdict changes; nothing, or with `"enforce"` the record's way.
    /// `on_flagged = "quarantine"`: what `"enforce"` does with a flagged record; or `"correct"`.
    /// `on_guard_failure = "closed"`: records wait while we can score none; with `"open"` they pass.
    pub policy: Policy,
    /// `accept_gap = false`: what happens where the input is another log than it was, made anew or without its
    /// newest records: the partition waits for `tripline state reset`; with `true` it goes on where its log
    /// does. Both are told.
    pub accept_gap: bool,
    /// `budget`: share of clean records that may be flagged, `0.01` or `"1%"`; the bundle's own
    /// unless given.
    pub budget: Option<Probability>,
    /// `reason_values = false`: whether the words that say why a record was flagged or could not be read hold its
    /// values: `Make: "Tesla", never seen` instead of `Make: never seen`.
    pub reason_values: bool,
    /// `change_headers = false`: whether a corrected record says in headers what was changed, and has a digest of the value
    /// as it came.
    pub change_headers: bool,
    /// `workers = 1`: threads of this stream in this process, 1 to 64, each with its own
    /// consumer, producer and ONNX sessions. More than the topic has partitions stay idle.
    pub workers: usize,
    /// `rows_max = 256`: rows of a scoring batch, 1 to 4096.
    pub rows_max: usize,
    /// `guard_timeout_ms = 5000`: how long a network may take for one batch before it counts as
    /// failed and `on_guard_failure` applies, 10 to 60000.
    pub guard_timeout: Duration,
    /// `linger_ms = 5`: how long the oldest record waits for a batch to fill, 0 to 1000.
    pub linger: Duration,
    /// `[stream.topics]`
    pub topics: Topics,
    /// `[stream.alerts]`
    pub alerts: Alerts,
    /// `[stream.answers]`: the deployed model's answers, if they are watched.
    pub answers: Option<StreamAnswers>,
    /// The file it stands in, as it was given, and the brokers: alerts have them in commands to copy.
    pub file: PathBuf,
    pub brokers: String,
    /// `[[stream.output]]`: what of a record leaves by each output; all of it unless given.
    pub outputs: OutputSpecs,
    /// `[stream.clients]`: who sends what; nobody asks unless it is enabled.
    pub clients: Option<StreamClients>,
    /// `[stream.decrypt]`: what opens values that come sealed; they are read as they come unless given.
    pub decrypt: Option<OpenerSpec>,
    /// Its keys that a vault unwraps, in the order of `JweSpec::elsewhere`.
    pub vault_keys: Vec<VaultKey>,
    /// Its keys that wrap data keys, in the order of `CsfleSpec::keys`.
    pub wrapping_keys: Vec<WrappingKey>,
    /// `[stream.privacy]`: sets of features whose groups are counted.
    pub privacy: Option<QuasiSpec>,
    /// `[stream.lineage]`: where events of OpenLineage go.
    pub lineage: Option<Lineage>,
}

impl Stream {
    /// The topic of what is known of clients, if records say whose they are.
    pub fn known_clients_topic(&self) -> Option<&str> {
        let settings = &self.clients.as_ref()?.settings;
        settings.known.map(|_| &*self.topics.clients)
    }
}

/// `[stream.topics]`: where a stream's records and its own records go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topics {
    /// `sanitized = "<name>.sanitized"`: what may go on to the model.
    pub sanitized: String,
    /// `quarantine = "<name>.quarantine"`: what is held back, with the reasons.
    pub quarantine: String,
    /// `dead_letter = "<name>.dead-letter"`: what could not be read, with the fault.
    pub dead_letter: String,
    /// `evidence = "<name>.evidence"`: counts per window, and ticks.
    pub evidence: String,
    /// `state = "<name>.state"`: what each partition remembers; compacted.
    pub state: String,
    /// `visits = "<name>.visits"`: which row came from which client; used if clients are watched.
    pub visits: String,
    /// `clients = "<name>.clients"`: when and from where each client came, by pseudonym; compacted; used if records say
    /// whose they are.
    pub clients: String,
}

/// `[stream.alerts]`: when a stream alarms.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// `topic = "tripline.alerts"`: where incidents go; streams may share it.
    pub topic: String,
    /// `window_ms = 10000`: how much of the stream is judged at a time, 100 to 3600000.
    pub window: Duration,
    /// `false_pages = "1/week"`: how often an alarm may be false if nothing is wrong.
    pub period: Duration,
    /// `keep_firing_for = "1h"`: how long an incident must be quiet before it is resolved.
    pub keep_firing_for: Duration,
    /// `no_data`: an incident if no record came for so long, `"30m"`; never unless given. A plain rule:
    /// it is not among the false pages that `false_pages` promises.
    pub no_data: Option<Duration>,
    /// `per_partition = false`: whether each partition is judged by itself, under the same
    /// `false_pages`; for topics whose partitions are different senders.
    pub per_partition: bool,
}

/// Reads every `[[stream]]`.
pub(super) fn read(root: &mut Section<'_>, keys: &Keys) -> Vec<Stream> {
    let help = "write at least one [[stream]] with `name`, `input` and `bundle`";
    let sections = root.require_sections("stream", help);
    let mut claims = Claims::default();
    let read = |section| stream(section, &mut claims, keys);
    let streams = sections.into_iter().map(read).collect();
    claims.check(root.reader);
    streams
}

fn stream(mut section: Section<'_>, claims: &mut Claims, keys: &Keys) -> Stream {
    let mode = [("observe", Mode::Observe), ("enforce", Mode::Enforce)];
    let on_flagged = [("correct", OnFlagged::Correct), ("quarantine", OnFlagged::Quarantine)];
    let on_failure = [("open", OnGuardFailure::Open), ("closed", OnGuardFailure::Closed)];
    let name = claims.name(&mut section);
    section.demand("bundle", "\"models/digits\"");
    let mut stream = Stream {
        input: claims.input(&mut section),
        bundle: section.file("bundle").unwrap_or_default(),
        bundle_key: section.file("bundle_key"),
        accept_fewer_features: section.flag("accept_fewer_features", false),
        codec: codec(&mut section),
        policy: Policy {
            mode: section.choice("mode", &mode, Mode::default()),
            on_flagged: section.choice("on_flagged", &on_flagged, OnFlagged::default()),
            on_guard_failure: section.choice(
                "on_guard_failure",
                &on_failure,
                OnGuardFailure::default(),
            ),
        },
        accept_gap: section.flag("accept_gap", false),
        budget: share(&mut section, "budget", "of clean records is no budget"),
        reason_values: section.flag("reason_values", false),
        change_headers: section.flag("change_headers", false),
        workers: section.integer("workers", 1..=64, 1) as usize,
        rows_max: section.integer("rows_max", 1..=4096, 256) as usize,
        guard_timeout: section.millis("guard_timeout_ms", 10..=60_000, 5000),
        linger: section.millis("linger_ms", 0..=1000, 5),
        topics: topics(section.section("topics"), &name, claims),
        alerts: alerts(section.section("alerts"), claims),
        answers: answers::read(section.section("answers"), &name, claims, keys),
        // Known to whoever reads the whole file.
        file: PathBuf::new(),
        brokers: String::new(),
        outputs: OutputSpecs::default(),
        clients: None,
        decrypt: None,
        vault_keys: vec![],
        wrapping_keys: vec![],
        privacy: privacy::read(section.section("privacy"), keys),
        lineage: lineage::read(section.section("lineage"), claims),
        name,
    };
    let decrypt::Decrypt { spec, vault_keys, wrapping_keys } =
        decrypt::read(&mut section, keys, &stream.input);
    (stream.decrypt, stream.vault_keys, stream.wrapping_keys) = (spec, vault_keys, wrapping_keys);
    let framed = matches!(stream.codec.format, Format::Confluent | Format::Auto);
    if !framed && matches!(stream.decrypt, Some(OpenerSpec::Csfle(_))) {
        let message =
            "reads no frames: what [stream.decrypt] opens as csfle comes in Confluent's frame";
        let path = section.path_of("codec");
        let help = "write `codec = \"confluent\"`";
        section.reader.note(path, section.origin.as_ref(), message, help);
    }
    if stream.decrypt.is_some() && stream.reason_values {
        let message = "the words that say why a record was flagged would hold what was sealed";
        let path = section.path_of("reason_values");
        section.reader.note(path, section.origin.as_ref(), message, "leave it out, or write false");
    }
    stream.outputs = output::read(&mut section, keys, stream.codec.format);
    stream.clients = clients::read(section.section("clients"), keys);
    section.end();
    stream
}

fn codec(section: &mut Section<'_>) -> codec::Config {
    let formats = Format::ALL.iter().map(|&format| (format.name(), format)).collect::<Vec<_>>();
    let inputs_by = [("position", InputsBy::Position), ("name", InputsBy::Name)];
    codec::Config {
        format: section.choice("codec", &formats, Format::Json),
        fields: fields(section),
        inputs: Inputs {
            by: section.choice("inputs_by", &inputs_by, InputsBy::default()),
            extra: section
                .texts("extra_inputs", None)
                .map(|(names, _)| names.into_iter().collect())
                .unwrap_or_default(),
            scaled_integers: section.flag("scaled_integers", false),
        },
        rows_per_record_max: section.integer(
            "rows_per_record_max",
            1..=65_536,
            ROWS_PER_RECORD_MAX as u64,
        ) as usize,
        value_bytes_max: section.integer("value_bytes_max", 1..=1_000_000_000, 1 << 20) as usize,
        // Known once the whole file is read.
        registry: false,
        select: select(section),
    }
}

fn fields(section: &mut Section<'_>) -> Option<Fields> {
    let (pointers, whole) = section.texts("fields", Some("^(/.*)?$"))?;
    let help = "write JSON pointers: [\"/a/b\"]";
    section.understood("fields", &whole, help, |_| Fields::new(pointers))
}

/// `[[stream.select]]`: which records of the topic are inputs of the model; all unless given. The rest
/// goes on as it came.
fn select(section: &mut Section<'_>) -> Select {
    let help = "write `header` or `field`, and `equals`";
    let rule = |mut section: Section<'_>| {
        let field = section.text("field", Kind::Text(Some("^/")));
        let field = field.and_then(|text| {
            let help = "write a JSON pointer: \"/a/b\"";
            section.understood("field", &text, help, |pointer| {
                check_field(pointer).map(|()| pointer.to_owned())
            })
        });
        let header = section.text("header", Kind::Text(None)).map(|text| text.value);
        let equals = section.texts("equals", None).map(|(texts, _)| texts).unwrap_or_default();
        if (header.is_some() || field.is_some()) == equals.is_empty() {
            let path = section.path_of("equals");
            let message = "a header or a field, and what it must say, are wanted together";
            section.reader.note(path, section.origin.as_ref(), message, help);
        }
        section.end();
        Rule { header, field, equals }
    };
    let rules: Vec<Rule> = section.sections("select", help).into_iter().map(rule).collect();
    // A table without keys asks nothing.
    let asks = rules.iter().all(|rule| !rule.equals.is_empty());
    if asks { Select(rules) } else { Select::default() }
}

fn topics(mut section: Section<'_>, stream: &str, claims: &mut Claims) -> Topics {
    let mut topic = |key, suffix| claims.output(&mut section, key, format!("{stream}.{suffix}"));
    let topics = Topics {
        sanitized: topic("sanitized", "sanitized"),
        quarantine: topic("quarantine", "quarantine"),
        dead_letter: topic("dead_letter", "dead-letter"),
        evidence: topic("evidence", "evidence"),
        state: topic("state", "state"),
        visits: topic("visits", "visits"),
        clients: topic("clients", "clients"),
    };
    section.end();
    topics
}

fn alerts(mut section: Section<'_>, claims: &mut Claims) -> Alerts {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    const HOUR: Duration = Duration::from_secs(3600);
    let alerts = Alerts {
        topic: claims.alerts(&mut section, "tripline.alerts"),
        window: section.millis("window_ms", 100..=3_600_000, 10_000),
        period: section.read("false_pages", time::PERIOD, time::period).unwrap_or(WEEK),
        keep_firing_for: section
            .read("keep_firing_for", time::DURATION, time::duration)
            .unwrap_or(HOUR),
        no_data: section.read("no_data", time::DURATION, time::duration),
        per_partition: section.flag("per_partition", false),
    };
    if alerts.period < alerts.window {
        let message = "would allow more than one false page per window";
        let help = "make it rarer than `window_ms`";
        let path = section.path_of("false_pages");
        section.reader.note(path, section.origin.as_ref(), message, help);
    }
    section.end();
    alerts
}
