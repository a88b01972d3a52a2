//! `[otlp]`: who is told of each batch, as a span of OpenTelemetry.

use super::endpoint::{Endpoint, hidden_url};
use super::reader::Section;

/// `[otlp]`
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// `url`: where spans are POSTed as OTLP over HTTP, `"http://127.0.0.1:4318/v1/traces"`; nobody is told unless it is
    /// given. With it `user` and `password`, or `token`; `headers`; `ca_file`; `timeout_ms = 5000`.
    pub at: Endpoint,
}

/// Reads `[otlp]`; nothing unless it has a `url`.
pub(super) fn read(mut section: Section<'_>) -> Option<Otlp> {
    const EXAMPLE: &str = "http://127.0.0.1:4318/v1/traces";
    let others = ["user", "password", "token", "headers", "ca_file"];
    let others = others.map(|key| section.origin_of(key).is_some());
    if others.contains(&true) && section.origin_of("url").is_none() {
        let (path, help) = (section.path_of("url"), format!("write `url = \"{EXAMPLE}\"`"));
        section.reader.note(path, section.origin.as_ref(), "is missing", &help);
    }
    let url = hidden_url(&mut section, true, "a collector", EXAMPLE);
    let at = Endpoint::read(&mut section, url.clone().unwrap_or_default(), "COLLECTOR");
    section.end();
    url.map(|_| Otlp { at })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, Problems, Secret};

    fn config(otlp: &str) -> Result<Config, Problems> {
        let text = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n{otlp}[[stream]]\nname = \"s\"\ninput = \"i\"\n\
             bundle = \"x\"\n"
        );
        let fetch = |secret: Secret<'_>| match secret {
            Secret::Env("HEADER") => Ok("X-Api-Key: c4n4ry".to_owned()),
            _ => Err("it is not set".into()),
        };
        Config::read(Path::new("t.toml"), &text, [], &fetch)
    }

    const URL: &str = "[otlp]\nurl = \"http://127.0.0.1:4318/v1/traces\"\n";

    #[test]
    fn nobody_is_told_unless_there_is_an_address_and_no_secret_is_shown() {
        assert_eq!(config("").unwrap().otlp, None);
        assert_eq!(config("[otlp]\ntimeout_ms = 700\n").unwrap().otlp, None);
        let text =
            format!("{URL}headers = [\"X-Scope: a\", {{ env = \"HEADER\" }}]\ntimeout_ms = 700\n");
        let otlp = config(&text).unwrap().otlp.unwrap();
        assert_eq!(otlp.at.url.expose(), "http://127.0.0.1:4318/v1/traces");
        assert_eq!((otlp.at.headers.len(), otlp.at.timeout.as_millis()), (2, 700));
        assert!(!format!("{otlp:?}").contains("c4n4ry"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_name_and_no_value_is_shown() {
        for (text, expected) in [
            ("[otlp]\nheaders = [\"X-A: c4n4ry\"]\n".to_owned(), "otlp.url"),
            (format!("{URL}endpoint = \"c4n4ry\"\n"), "otlp.endpoint"),
            (format!("{URL}timeout_ms = 99\n"), "otlp.timeout_ms"),
            (format!("{URL}token = \"c4n4ry\"\n"), "otlp.token"),
            (format!("{URL}headers = [\"X-Api-Key: c4n4ry\"]\n"), "otlp.headers"),
            ("[otlp]\nurl = \"http://me:c4n4ry@host/v1/traces\"\n".to_owned(), "otlp.url"),
            ("[otlp]\nurl = \"grpc://c4n4ry:4317\"\n".to_owned(), "otlp.url"),
        ] {
            let said = config(&text).unwrap_err().to_string();
            assert!(said.contains(expected) && !said.contains("c4n4ry"), "{text}: {said}");
        }
    }

    #[test]
    fn another_collector_needs_a_restart() {
        let (without, with) = (config("").unwrap(), config(URL).unwrap());
        assert_eq!(without.needs_restart(&with), ["otlp"]);
        assert_eq!(with.needs_restart(&with), [""; 0]);
    }
}
