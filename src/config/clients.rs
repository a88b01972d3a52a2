//! `[stream.clients]`: who sends what, under pseudonyms.

use std::time::Duration;

use super::key::Keys;
use super::reader::{Form, Kind, Section};
use super::time;
use crate::clients::{ClientName, ClientNames, ClientSettings, KnownSettings};
use crate::open::SecretKey;
use crate::record::Timestamp;

pub use crate::clients::IdPlace;

/// `[stream.clients]`
#[derive(Clone, Debug, PartialEq)]
pub struct StreamClients {
    /// `[stream.clients.id]`: where a record says who sent it. `header`: a header; `field`: a JSON pointer; `key = false`:
    /// whether the record's key does. Without any of them cells and the stream are watched, and no client.
    pub id: IdPlace,
    /// `origin`: the header that says from where a record came; addresses are cut to /24 or /48.
    pub origin: Option<String>,
    /// `[[stream.clients.key]]`: the secrets that pseudonyms are made with, each from a time on.
    pub names: Option<ClientNames>,
    /// `horizon_rows = 20000`: rows that a row is compared with, 1000 to 200000.
    /// `entries_max = 4096`: clients, and cells, whose evidence is remembered, 64 to 4096.
    /// `quota`: rows that a client may send, `"1000/hour"`; a plain rule, outside of `false_pages`.
    /// `[[stream.clients.accept]]`: clients of whom nothing is told until a day.
    /// `clients_max = 1000000`: clients that are remembered, 16384 to 16777216; the longest unseen go. 64 bytes each at most.
    /// `travel = "30m"`: a client that comes from a new origin so soon after another one is marked.
    pub settings: ClientSettings,
}

const TIME: Form<'static> = Form {
    help: "write a time as in RFC 3339: \"2026-01-01T00:00:00Z\"",
    pattern: Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}T"),
};

/// Rows per time: `"1000/hour"`.
const QUOTA: Form<'static> = Form {
    help: "write rows per minute, hour or day: \"1000/hour\"",
    pattern: Some("^[0-9]+/(minute|hour|day)$"),
};

/// Nobody is at two places within this time.
const TRAVEL: Duration = Duration::from_secs(1800);
/// How often a page of known clients is written that changed, and how long habits take.
const PAGE_MS: i64 = 60_000;
const WEEK_MS: i64 = 7 * 24 * 3_600_000;

/// Bytes of a key: fewer than the hash has could be tried.
const KEY_BYTES_MIN: usize = 32;

/// Reads the table; nothing unless it is enabled.
pub(super) fn read(mut section: Section<'_>, keys: &Keys) -> Option<StreamClients> {
    let enabled = section.flag("enabled", false);
    let id = id(section.section("id"));
    let origin = section.text("origin", Kind::Text(Some("."))).map(|text| text.value);
    let horizon_rows = section.integer("horizon_rows", 1000..=200_000, 20_000) as usize;
    let entries_max = section.integer("entries_max", 64..=4096, 4096) as usize;
    let quota = section.read("quota", QUOTA, quota);
    let clients_max = section.integer("clients_max", 1 << 14..=1 << 24, 1_000_000) as usize;
    let travel = section.read("travel", time::DURATION, time::duration).unwrap_or(TRAVEL);
    let help = "write `name` and `from`, or leave it out";
    let tables = section.sections("key", help);
    let are_named = tables.iter().any(|table| table.origin_of("name").is_some());
    let keys: Vec<_> = tables.into_iter().filter_map(|table| key(table, keys)).collect();
    let help = "write `pseudonym` and `until`, or leave it out";
    let accept = section.sections("accept", help).into_iter().filter_map(accept).collect();
    if enabled && id.is_asked() && !are_named {
        let help = "write [[stream.clients.key]] with the `name` of a [[key]] and `from`";
        section.reader.note(section.path_of("key"), section.origin.as_ref(), "is missing", help);
    }
    section.end();
    let known = (id.is_asked() && are_named).then_some(KnownSettings {
        clients_max,
        travel_ms: travel.as_millis() as i64,
        origins: origin.is_some(),
        page_ms: PAGE_MS,
        week_ms: WEEK_MS,
    });
    let settings = ClientSettings { horizon_rows, entries_max, quota, accept, known };
    let made = |keys: &[(Timestamp, SecretKey)]| {
        ClientNames::new(keys.iter().map(|(from, key)| (*from, key.expose())))
    };
    let names = (!keys.is_empty()).then(|| made(&keys));
    enabled.then_some(StreamClients { id, origin, names, settings })
}

fn id(mut section: Section<'_>) -> IdPlace {
    let header = section.text("header", Kind::Text(Some("."))).map(|text| text.value);
    let field = section.text("field", Kind::Text(Some("^/"))).map(|text| text.value);
    let id = IdPlace { header, field, key: section.flag("key", false) };
    section.end();
    id
}

/// A table without keys asks nothing.
fn key(mut section: Section<'_>, keys: &Keys) -> Option<(Timestamp, SecretKey)> {
    let named = keys.secret(&mut section, "name");
    let from = section.read("from", TIME, instant).unwrap_or(Timestamp(0));
    let found = named.and_then(|(name, secret)| {
        let bytes = secret.expose().len();
        if bytes >= KEY_BYTES_MIN {
            return Some((from, secret));
        }
        let message = format!("the key {name:?} has {bytes} bytes: {KEY_BYTES_MIN} are wanted");
        let help = "name a [[key]] with a longer secret";
        section.reader.note(section.path_of("name"), section.origin.as_ref(), message, help);
        None
    });
    section.end();
    found
}

fn accept(mut section: Section<'_>) -> Option<(ClientName, Timestamp)> {
    let form = Form {
        help: "write the pseudonym that an alert or `tripline client` names",
        pattern: Some("^[0-9a-f]{16}$"),
    };
    let name = section.read("pseudonym", form, str::parse::<ClientName>);
    let until = section.read("until", TIME, instant);
    section.end();
    name.zip(until)
}

fn instant(written: &str) -> Result<Timestamp, String> {
    let at: jiff::Timestamp = written.parse().map_err(|_| format!("{written:?} is no time"))?;
    Ok(Timestamp(at.as_millisecond()))
}

fn quota(written: &str) -> Result<(u64, u64), String> {
    let bad = || format!("{written:?} is no number of rows per time");
    let (rows, unit) = written.split_once('/').ok_or_else(bad)?;
    let per_ms = match unit {
        "minute" => 60_000,
        "hour" => 3_600_000,
        "day" => 86_400_000,
        _ => return Err(bad()),
    };
    let rows: u64 = rows.parse().map_err(|_| bad())?;
    if (1..=1 << 40).contains(&rows) { Ok((rows, per_ms)) } else { Err(bad()) }
}

impl StreamClients {
    /// What fingerprints are keyed with.
    pub fn print_key(&self) -> Vec<u8> {
        self.names.as_ref().map_or_else(Vec::new, |names| names.print_key().to_vec())
    }
}
