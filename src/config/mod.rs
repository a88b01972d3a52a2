//! One file and its overrides → everything that is wrong with them at once, or a checked `Config`.
//!
//! Reading does no I/O: the file's text, the environment and the way to fetch a secret are
//! arguments. What can only be known outside (does the bundle exist, do the brokers answer) is for
//! `tripline check`. `config/tripline.toml` shows every key; the fields here say what each means.

mod admin;
mod answers;
mod audit;
mod claims;
mod clients;
mod decrypt;
mod endpoint;
mod field;
mod kafka;
mod kek;
mod key;
mod lineage;
mod near;
mod otlp;
mod output;
mod privacy;
mod problem;
mod reader;
mod reference;
mod registry;
mod restart;
mod route;
mod schema;
mod share;
mod stream;
mod survey;
mod template;
mod time;
pub use time::duration;
mod value;
mod vault;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use admin::Admin;
pub use answers::StreamAnswers;
pub use audit::AuditTopic;
pub use clients::{IdPlace, StreamClients};
pub use endpoint::{Endpoint, Login};
pub use kafka::{Compression, Delivery, GroupProtocol, Hidden, Kafka};
pub use kek::{AwsKey, Kms, WrappingKey};
pub use lineage::Lineage;
pub use otlp::Otlp;
pub use problem::{Place, Problem, Problems};
pub use reader::{Resolve, Secret};
pub use reference::reference;
pub use registry::Registry;
pub use route::{Route, To};
pub use schema::schema;
pub use stream::{Alerts, Stream, Topics};
pub use survey::Survey;
pub use template::{Answers, NewStream, template};
pub use vault::{VaultKey, VaultLogin};

use self::reader::{Reader, Section};
use self::value::{override_with, tree};

/// A file with every key and its default, each with its words: `config/tripline.toml`.
pub const EXAMPLE: &str = include_str!("../../config/tripline.toml");

/// What `tripline run` is told, checked.
///
/// Any string in the file may be `{ env = "NAME" }` or `{ file = "path" }`. Paths are relative to
/// the file's folder. `TRIPLINE__KAFKA__BROKERS` in the environment overrides `kafka.brokers`;
/// `TRIPLINE__STREAM__0__WORKERS` that of the first stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `instance`: what tells this process from others of its group; the same after a restart,
    /// because transactional ids are made from it. In a StatefulSet `{ env = "HOSTNAME" }`.
    /// Required.
    pub instance: String,
    /// `onnxruntime`: the ONNX Runtime library (`libonnxruntime.so`), if it is not the one in
    /// `ORT_DYLIB_PATH`.
    pub onnxruntime: Option<PathBuf>,
    /// `[kafka]`
    pub kafka: Kafka,
    /// `[admin]`: where health and metrics are served, and to whom; nowhere unless it has `listen`.
    pub admin: Option<Admin>,
    /// `[registry]`: where the schemas of framed values are, if there is one.
    pub registry: Option<Registry>,
    /// `[audit]`: where what people and processes do is written down, if it has `topic`.
    pub audit: Option<AuditTopic>,
    /// `[otlp]`: who is told of each batch, as a span of OpenTelemetry, if it has `url`.
    pub otlp: Option<Otlp>,
    /// `[[stream]]`: the streams to guard, at least one.
    pub streams: Vec<Stream>,
    /// `[[route]]`: whom incidents are told; the log, unless there is one. Never empty.
    pub routes: Vec<Route>,
}

impl Config {
    /// Reads `text`, which is what `file` holds, with the overrides among `variables`.
    ///
    /// # Errors
    /// Everything that is wrong. A file that is not TOML is not looked into any further.
    pub fn read(
        file: &Path,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
        resolve: Resolve<'_>,
    ) -> Result<Self, Problems> {
        Self::read_for(None, file, text, variables, resolve)
    }

    /// Reads the configuration for a command that uses only the tables `wanted`, by their first names. If another table refers to a
    /// secret that cannot be fetched, no problem is reported, and that table is not complete.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_for(
        wanted: Option<&[&str]>,
        file: &Path,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
        resolve: Resolve<'_>,
    ) -> Result<Self, Problems> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let reader = Reader { wanted, ..Reader::new(text, folder, resolve) };
        let mut config = read_all(&reader, variables);
        for stream in config.iter_mut().flat_map(|config| &mut config.streams) {
            stream.file = file.to_owned();
        }
        let mut list = reader.problems.into_inner();
        let unfetched = reader.unfetched.into_inner();
        list.retain(|problem| !unfetched.contains(reader::table_of(&problem.path)));
        if list.is_empty() {
            return Ok(config.expect("without a problem there is a config"));
        }
        list.sort_by_key(|problem| problem.place.order());
        Err(Problems { file: file.display().to_string(), list })
    }
}

fn read_all(
    reader: &Reader<'_>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Option<Config> {
    let (table, errors) = DeTable::parse_recoverable(reader.source);
    for error in &errors {
        reader.note_not_toml(error.span(), error.message());
    }
    if !errors.is_empty() {
        return None;
    }
    let mut table = tree(table.into_inner());
    for stray in override_with(&mut table, variables) {
        let at = value::Origin::Variable(stray.variable);
        reader.note("", Some(&at), stray.message, "name a key that exists, or unset the variable");
    }

    let mut root = Section::new(reader, String::new(), None, table);
    let mut config = Config {
        instance: instance(&mut root),
        onnxruntime: root.file("onnxruntime"),
        kafka: Kafka::read(root.section("kafka")),
        admin: Admin::read(root.section("admin")),
        registry: registry::read(root.section("registry")),
        audit: None,
        otlp: otlp::read(root.section("otlp")),
        streams: {
            let keys = key::read(&mut root);
            let streams = stream::read(&mut root, &keys);
            keys.check(reader);
            streams
        },
        routes: vec![],
    };
    config.routes = route::read(&mut root, &config.streams);
    config.audit = audit::read(root.section("audit"), &config.streams);
    root.end();
    for stream in &mut config.streams {
        stream.brokers.clone_from(&config.kafka.brokers);
        stream.codec.registry = config.registry.is_some();
        if config.registry.is_none() && !stream.wrapping_keys.is_empty() {
            let message =
                "is missing: it has the schemas and the data keys of a stream that opens csfle";
            let help = "write `url = \"https://registry:8081\"` in [registry]";
            reader.note("registry.url", None, message, help);
        }
        if let Some(lineage) = &mut stream.lineage {
            lineage.group.clone_from(&config.kafka.group);
        }
    }
    Some(config)
}

fn instance(root: &mut Section<'_>) -> String {
    root.demand("instance", "\"tripline-0\"");
    root.read("instance", claims::NAME, claims::check_name).unwrap_or_default()
}

#[cfg(test)]
mod tests;
