//! `[[route]]`: whom incidents are told.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::claims::{NAME, check_name};
use super::endpoint::{Login, check_url, secret};
use super::kafka::Hidden;
use super::reader::{Kind as Takes, Section};
use super::stream::Stream;

/// `[[route]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `name = "log"`: what metrics and logs call it, and its consumer group
    /// (`<kafka.group>.route:<name>`: no stream's group has a colon).
    pub name: String,
    /// `kind = "log"`: how it tells: `"log"`, `"alertmanager"` or `"webhook"`.
    pub to: To,
    /// `streams`: those whose incidents it tells; unless given all of the alerts topics.
    pub streams: Option<Vec<String>>,
}

/// Who is told, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum To {
    Log,
    Alertmanager {
        at: Endpoint,
        /// `resend_ms = 60000`: how often what still fires is said again, 1000 to 600000. Four times
        /// this without a word, and Alertmanager takes it for resolved.
        resend: Duration,
    },
    Webhook {
        at: Endpoint,
        /// `secret`: signs what is sent, as Standard Webhooks says.
        secret: Option<Hidden<Vec<u8>>>,
    },
}

/// Where a receiver is, and who we are to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// `url`: of many receivers it is a secret, so nobody prints it.
    pub url: Hidden<String>,
    /// `token`, or else `user` and `password`.
    pub login: Login,
    /// `ca_file`: certificates, in PEM, of those who may vouch for it; the system's unless given.
    pub ca_file: Option<PathBuf>,
    /// `timeout_ms = 5000`: how long one request may take, 100 to 30000.
    pub timeout: Duration,
}

/// What `kind` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Log,
    Alertmanager,
    Webhook,
}

const NAME_UNLESS_GIVEN: &str = "log";

/// Reads every `[[route]]`; incidents are logged if there is none.
pub(super) fn read(root: &mut Section<'_>, streams: &[Stream]) -> Vec<Route> {
    let help = "write at least one [[route]], or leave it out";
    let sections = root.sections("route", help);
    let mut routes: Vec<Route> = vec![];
    for section in sections {
        let route = route(section, streams, &routes);
        routes.push(route);
    }
    if routes.is_empty() {
        routes.push(Route { name: NAME_UNLESS_GIVEN.into(), to: To::Log, streams: None });
    }
    routes
}

fn route(mut section: Section<'_>, streams: &[Stream], earlier: &[Route]) -> Route {
    let name = name(&mut section, earlier);
    let kinds =
        [("log", Kind::Log), ("alertmanager", Kind::Alertmanager), ("webhook", Kind::Webhook)];
    let kind = section.choice("kind", &kinds, Kind::Log);
    let here = ["url", "user", "password", "token", "ca_file", "secret"].map(|key| {
        let origin = section.key_origin_of(key);
        (key, origin)
    });
    for (key, origin) in here.iter().filter(|(_, origin)| origin.is_some()) {
        let (message, help) = match (kind, *key) {
            (Kind::Log, _) => {
                ("a log has no such thing", "write `kind`: \"alertmanager\" or \"webhook\"")
            }
            (Kind::Alertmanager, "secret") => {
                ("Alertmanager looks at no signature", "leave it out, or write `token`")
            }
            _ => continue,
        };
        section.reader.note(section.path_of(key), origin.as_ref(), message, help);
    }
    if kind != Kind::Log && section.origin_of("url").is_none() {
        let help = match kind {
            Kind::Alertmanager => "write `url = \"http://alertmanager:9093\"`",
            _ => "write `url = \"https://host/path\"`",
        };
        section.reader.note(section.path_of("url"), section.origin.as_ref(), "is missing", help);
    }
    let url = url(&mut section, kind);
    let streams = filter(&mut section, streams);
    let login = Login::read(&mut section, "RECEIVER");
    let ca_file = section.file("ca_file");
    let secret = signing_key(&mut section);
    let resend = section.millis("resend_ms", 1000..=600_000, 60_000);
    let timeout = section.millis("timeout_ms", 100..=30_000, 5000);
    section.end();
    let at = Endpoint { url: Hidden::new(url.unwrap_or_default()), login, ca_file, timeout };
    let to = match kind {
        Kind::Log => To::Log,
        Kind::Alertmanager => To::Alertmanager { at, resend },
        Kind::Webhook => To::Webhook { at, secret },
    };
    Route { name, to, streams }
}

/// A name that no earlier route has; unless given it is taken too.
fn name(section: &mut Section<'_>, earlier: &[Route]) -> String {
    let origin = section.origin_of("name").or(section.origin.clone());
    let name = section.read("name", NAME, check_name).unwrap_or_else(|| NAME_UNLESS_GIVEN.into());
    if earlier.iter().any(|route| route.name == name) {
        // Not which: a name may come from where secrets are kept.
        let message = "an earlier route has this name too";
        let help = "write a `name` of its own";
        section.reader.note(section.path_of("name"), origin.as_ref(), message, help);
    }
    name
}

/// Many an address is a secret: no message and no excerpt shows it.
fn url(section: &mut Section<'_>, kind: Kind) -> Option<String> {
    const PATTERN: &str = "^https?://[^/@?#\\s]+([/?][^#\\s]*)?$";
    let stands = section.key_origin_of("url");
    let text = section.text("url", Takes::Text(Some(PATTERN)))?;
    // Of Alertmanager it is the root.
    let checked = check_url(&text.value, kind != Kind::Alertmanager, "a receiver");
    if checked.is_err() {
        let message = "is no address that can be used here; a login must not stand in it";
        let help = "write \"https://host/path\"";
        section.reader.note(section.path_of("url"), stands.as_ref(), message, help);
    }
    checked.ok()
}

fn filter(section: &mut Section<'_>, streams: &[Stream]) -> Option<Vec<String>> {
    let (names, whole) = section.texts("streams", NAME.pattern)?;
    let help = "write names of streams of this file: [\"fashion\"]";
    section.understood("streams", &whole, help, |_| {
        let known = |name: &String| streams.iter().any(|stream| stream.name == *name);
        match names.iter().find(|name| !known(name)) {
            _ if names.is_empty() => Err("no incident would be told".to_owned()),
            Some(name) => Err(format!("no stream is called {name:?}")),
            None => Ok(names),
        }
    })
}

/// `whsec_` and base64, as Standard Webhooks has it, or else a text of any bytes.
fn signing_key(section: &mut Section<'_>) -> Option<Hidden<Vec<u8>>> {
    let text = secret(section, "secret")?;
    let help = "write the secret as it is, or whsec_ and base64";
    let key = section.understood("secret", &text, help, |written| {
        let key = match written.strip_prefix("whsec_") {
            Some(encoded) => {
                STANDARD.decode(encoded).map_err(|_| "what follows whsec_ is no base64")?
            }
            None => written.as_bytes().to_vec(),
        };
        if key.is_empty() { Err("an empty secret signs nothing") } else { Ok(key) }
    });
    key.map(Hidden::new)
}
