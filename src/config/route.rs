//! `[[route]]`: whom incidents are told.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::claims::{NAME, check_name};
use super::endpoint::{Endpoint, hidden_url, secret};
use super::kafka::Hidden;
use super::reader::Section;
use super::stream::Stream;

/// `[[route]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `name = "log"`: what metrics and logs call it, and its consumer group
    /// (`<kafka.group>.route:<name>`: no stream's group has a colon).
    pub name: String,
    /// `kind = "log"`: how it tells: `"log"`, `"alertmanager"`, `"webhook"`, `"cloudevents"`, or events of lineage: `"openlineage"`.
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
    /// A sink of events, such as Knative's broker.
    CloudEvents {
        at: Endpoint,
    },
    /// Events of lineage, not incidents.
    OpenLineage {
        at: Endpoint,
    },
    Webhook {
        at: Endpoint,
        /// `secret`: signs what is sent, as Standard Webhooks says.
        secret: Option<Hidden<Vec<u8>>>,
    },
}

impl To {
    /// Whom it tells, as `check` writes it.
    pub fn whom(&self) -> &'static str {
        match self {
            Self::Log => "the log",
            Self::Alertmanager { .. } => "an Alertmanager",
            Self::CloudEvents { .. } => "a sink of CloudEvents",
            Self::OpenLineage { .. } => "a catalogue of lineage",
            Self::Webhook { secret: Some(_), .. } => "a webhook, signed",
            Self::Webhook { secret: None, .. } => "a webhook, unsigned",
        }
    }
}

/// What `kind` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Log,
    Alertmanager,
    CloudEvents,
    OpenLineage,
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
    let tells_incidents = |route: &Route| !matches!(route.to, To::OpenLineage { .. });
    if !routes.iter().any(tells_incidents) {
        // A catalogue may have that name already.
        let is_taken = routes.iter().any(|route| route.name == NAME_UNLESS_GIVEN);
        let name = if is_taken { "incidents" } else { NAME_UNLESS_GIVEN };
        routes.push(Route { name: name.into(), to: To::Log, streams: None });
    }
    routes
}

fn route(mut section: Section<'_>, streams: &[Stream], earlier: &[Route]) -> Route {
    let name = name(&mut section, earlier);
    let kinds = [
        ("log", Kind::Log),
        ("alertmanager", Kind::Alertmanager),
        ("cloudevents", Kind::CloudEvents),
        ("openlineage", Kind::OpenLineage),
        ("webhook", Kind::Webhook),
    ];
    let kind = section.choice("kind", &kinds, Kind::Log);
    let here = ["url", "user", "password", "token", "headers", "ca_file", "secret"].map(|key| {
        let origin = section.key_origin_of(key);
        (key, origin)
    });
    for (key, origin) in here.iter().filter(|(_, origin)| origin.is_some()) {
        let (message, help) = match (kind, *key) {
            (Kind::Log, _) => {
                ("a log has no such thing", "write `kind`: \"alertmanager\" or \"webhook\"")
            }
            (Kind::OpenLineage, "secret") => {
                ("a catalogue looks at no signature", "leave it out, or write `token`")
            }
            (Kind::CloudEvents, "secret") => {
                ("a sink of events looks at no signature", "leave it out, or write `token`")
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
            Kind::OpenLineage => "write `url = \"http://marquez:5000\"`",
            _ => "write `url = \"https://host/path\"`",
        };
        section.reader.note(section.path_of("url"), section.origin.as_ref(), "is missing", help);
    }
    // Of Alertmanager and of a catalogue it is the root.
    let asks = !matches!(kind, Kind::Alertmanager | Kind::OpenLineage);
    let url = hidden_url(&mut section, asks, "a receiver", "https://host/path");
    let has_events = streams.iter().any(|stream| stream.lineage.is_some());
    if kind == Kind::OpenLineage && !has_events {
        let (message, help) = ("no stream tells its lineage", "write `topic` in [stream.lineage]");
        section.reader.note(section.path_of("kind"), section.origin.as_ref(), message, help);
    }
    let streams = filter(&mut section, streams);
    let secret = signing_key(&mut section);
    let resend = section.millis("resend_ms", 1000..=600_000, 60_000);
    let at = Endpoint::read(&mut section, url.unwrap_or_default(), "RECEIVER");
    section.end();
    let to = match kind {
        Kind::Log => To::Log,
        Kind::Alertmanager => To::Alertmanager { at, resend },
        Kind::CloudEvents => To::CloudEvents { at },
        Kind::OpenLineage => To::OpenLineage { at },
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, Problems, Secret};
    use super::*;

    const BEGIN: &str = "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[[stream]]\nname = \"s\"\ninput = \"i\"\n\
        bundle = \"x\"\n[[route]]\nkind = \"alertmanager\"\nurl = \"http://a\"\n";

    fn fetch(secret: Secret<'_>) -> Result<String, String> {
        match secret {
            Secret::Env("HEADER") => Ok("X-Api-Key: hunter2".into()),
            _ => Err("it is not set".into()),
        }
    }

    fn read(lines: &str) -> Result<Vec<(String, Hidden<String>)>, Problems> {
        let text = format!("{BEGIN}{lines}");
        let config = Config::read(Path::new("t.toml"), &text, [], &fetch)?;
        match &config.routes[0].to {
            To::Alertmanager { at, .. } => Ok(at.headers.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_route_sends_the_headers_that_it_is_told_and_a_secret_may_be_one() {
        let headers = read("headers = [\"X-Scope-OrgID: team a\", { env = \"HEADER\" }]").unwrap();
        let written: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
        assert_eq!(written, [("X-Scope-OrgID", "team a"), ("X-Api-Key", "hunter2")]);
        assert!(!format!("{headers:?}").contains("hunter2"));
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn a_header_that_is_ours_or_cannot_be_sent_is_refused_and_no_value_is_shown() {
        for bad in [
            "[\"no colon\"]",
            "[\"a b: c4n4ry\"]",
            "[\"X-Empty: \"]",
            "[\"X-Line: c4n4ry\\nX-More: 1\"]",
            "[\"Content-Type: c4n4ry\"]",
            "[\"webhook-id: c4n4ry\"]",
            "[\"X-A: c4n4ry\", \"x-a: 2\"]",
            "[\"X-Api-Key: c4n4ry\"]",
            "[\"Authorization: c4n4ry\"]",
            "\"X-A: c4n4ry\"",
        ] {
            let said = read(&format!("headers = {bad}")).unwrap_err().to_string();
            assert!(said.contains("route[0].headers") && !said.contains("c4n4ry"), "{bad}: {said}");
        }
        let both = "token = { env = \"HEADER\" }\nheaders = [{ env = \"AUTH\" }]";
        let auth = |secret: Secret<'_>| match secret {
            Secret::Env("AUTH") => Ok("Authorization: c4n4ry".into()),
            secret => fetch(secret),
        };
        let said = Config::read(Path::new("t"), &format!("{BEGIN}{both}"), [], &auth);
        let said = said.unwrap_err().to_string();
        assert!(said.contains("beside a login") && !said.contains("c4n4ry"), "{said}");
    }

    #[test]
    fn a_sink_of_events_has_an_address_of_its_own_and_looks_at_no_signature() {
        let read = |lines: &str| {
            let text = format!("{BEGIN}[[route]]\nname = \"bus\"\nkind = \"cloudevents\"\n{lines}");
            Config::read(Path::new("t.toml"), &text, [], &fetch)
        };
        let url = "http://broker-ingress.knative-eventing/ns/default?x=1";
        let config = read(&format!("url = \"{url}\"\n")).unwrap();
        let To::CloudEvents { at } = &config.routes[1].to else { panic!("{:?}", config.routes) };
        assert_eq!(at.url.expose(), url);
        let said = read("secret = { env = \"HEADER\" }\n").unwrap_err().to_string();
        assert!(said.contains("looks at no signature") && said.contains("route[1].url"), "{said}");
    }

    #[test]
    fn a_catalogue_of_lineage_needs_a_stream_that_tells_it_and_incidents_still_go_to_the_log() {
        let read = |lineage: &str| {
            let text = format!(
                "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[[stream]]\nname = \"s\"\ninput = \"i\"\n\
                 bundle = \"x\"\n{lineage}[[route]]\nkind = \"openlineage\"\nurl = \"http://marquez:5000/\"\n\
                 token = {{ env = \"HEADER\" }}\n"
            );
            Config::read(Path::new("t.toml"), &text, [], &fetch)
        };
        let said = read("").unwrap_err().to_string();
        assert!(said.contains("no stream tells its lineage"), "{said}");
        let config = read("[stream.lineage]\ntopic = \"tripline.lineage\"\n").unwrap();
        let To::OpenLineage { at } = &config.routes[0].to else { panic!("{:?}", config.routes) };
        assert_eq!(at.url.expose(), "http://marquez:5000");
        let names: Vec<&str> = config.routes.iter().map(|route| &*route.name).collect();
        assert_eq!((names, &config.routes[1].to), (vec!["log", "incidents"], &To::Log));
        let lineage = config.streams[0].lineage.as_ref().unwrap();
        assert_eq!((&*lineage.group, lineage.every.as_secs()), ("tripline", 300));
        let taken = read("[stream.lineage]\ntopic = \"s.evidence\"\n").unwrap_err().to_string();
        assert!(taken.contains("\"s.evidence\" is already"), "{taken}");
    }

    #[test]
    fn a_command_that_tells_nobody_needs_no_secret_of_a_route() {
        let routes = "user = \"me\"\npassword = { env = \"GONE\" }\n[[route]]\nname = \"b\"\n\
            kind = \"webhook\"\nurl = { env = \"GONE\" }\n";
        let registry = "[registry]\nurl = \"http://r\"\ntoken = { env = \"GONE\" }\n";
        let text = format!("{BEGIN}{routes}{registry}");
        let read =
            |wanted, text: &str| Config::read_for(wanted, Path::new("t.toml"), text, [], &fetch);
        assert!(read(Some(&["kafka"]), &text).is_ok());
        let said = read(Some(&["kafka", "registry"]), &text).unwrap_err().to_string();
        assert!(said.contains("registry.token") && !said.contains("route"), "{said}");
        assert!(read(None, &text).unwrap_err().to_string().contains("route[0].password"));
        // What it uses is wanted, and whatever else is wrong is said.
        let kafka = format!("{text}[kafka.properties]\n\"sasl.password\" = {{ env = \"GONE\" }}\n");
        assert!(read(Some(&["kafka"]), &kafka).unwrap_err().to_string().contains("sasl.password"));
        let unknown = format!("{text}[admin]\nlissten = \"x\"\n");
        assert!(read(Some(&["kafka"]), &unknown).unwrap_err().to_string().contains("lissten"));
    }
}
