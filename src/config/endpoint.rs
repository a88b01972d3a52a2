//! What talks HTTP to somebody: an address, and who we are to them.

use std::path::PathBuf;
use std::time::Duration;

use super::kafka::Hidden;
use super::reader::{Kind, Section, Text};
use super::value::Origin;

/// Where a receiver is, and who we are to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// `url`: of many receivers it is a secret, so nobody prints it.
    pub url: Hidden<String>,
    /// `token`, or else `user` and `password`.
    pub login: Login,
    /// `headers`: what every request carries besides, each `"Name: value"`: the tenant of a shared receiver.
    pub headers: Vec<(String, Hidden<String>)>,
    /// `ca_file`: certificates, in PEM, of those who may vouch for it; the system's unless given.
    pub ca_file: Option<PathBuf>,
    /// `timeout_ms = 5000`: how long one request may take, 100 to 30000.
    pub timeout: Duration,
}

/// How we say who we are.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    Nobody,
    Basic { user: String, password: Hidden<String> },
    Bearer(Hidden<String>),
}

impl Login {
    /// Reads `user`, `password` and `token`. `variable` begins the names in examples.
    pub(super) fn read(section: &mut Section<'_>, variable: &str) -> Self {
        let (user, password) =
            (section.text("user", Kind::Text(None)), secret(section, "password"));
        let token = secret(section, "token");
        let note = |key: &str, help: &str| {
            let origin = section.origin_of(key).or(section.origin.clone());
            section.reader.note(section.path_of(key), origin.as_ref(), "is missing", help);
        };
        match (user, password, token) {
            (None, None, None) => Self::Nobody,
            (_, _, Some(token)) => Self::Bearer(Hidden::new(token.value)),
            (Some(user), Some(password), None) => {
                Self::Basic { user: user.value, password: Hidden::new(password.value) }
            }
            (None, Some(_), None) => {
                note("user", "write `user = \"tripline\"` beside the password");
                Self::Nobody
            }
            (Some(_), None, None) => {
                let help = format!("write `password = {{ env = \"{variable}_PASSWORD\" }}`");
                note("password", &help);
                Self::Nobody
            }
        }
    }
}

impl Endpoint {
    /// Reads all but the address; `variable` begins the names in examples.
    pub(super) fn read(section: &mut Section<'_>, url: String, variable: &str) -> Self {
        let login = Login::read(section, variable);
        let headers = headers(section, &login);
        let ca_file = section.file("ca_file");
        let timeout = section.millis("timeout_ms", 100..=30_000, 5000);
        Self { url: Hidden::new(url), login, headers, ca_file, timeout }
    }
}

/// A string that must not stand in the file.
pub(super) fn secret(section: &mut Section<'_>, key: &'static str) -> Option<Text> {
    let stands = section.key_origin_of(key);
    let text = section.text(key, Kind::Text(None))?;
    if !text.secret && matches!(text.origin, Origin::File(_)) {
        let help = "write { env = \"NAME\" } or { file = \"path\" }";
        let message = "a secret must not stand in this file";
        section.reader.note(section.path_of(key), stands.as_ref(), message, help);
    }
    Some(text)
}

/// An address without a login in it, and, unless `query`, without a question; `what` for a message.
pub(super) fn check_url(written: &str, query: bool, what: &str) -> Result<String, String> {
    let rest = written.strip_prefix("http://").or_else(|| written.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    // What follows an @ is the host; what stands before it would be printed with the URL.
    if host.contains('@') {
        return Err("a user and a password in the address would be logged".into());
    }
    let plain = !written.contains('#') && !written.contains(char::is_whitespace);
    match host.is_empty() || !plain || !query && written.contains('?') {
        true => Err(format!("{written:?} is not the address of {what}")),
        false if query => Ok(written.to_owned()),
        false => Ok(written.trim_end_matches('/').to_owned()),
    }
}

/// The address at `url`. Many an address is a secret: no message and no excerpt shows it. `asks`: it may hold a question.
pub(super) fn hidden_url(
    section: &mut Section<'_>,
    asks: bool,
    what: &str,
    example: &str,
) -> Option<String> {
    const PATTERN: &str = "^https?://[^/@?#\\s]+([/?][^#\\s]*)?$";
    let stands = section.key_origin_of("url");
    let text = section.text("url", Kind::Text(Some(PATTERN)))?;
    let checked = check_url(&text.value, asks, what);
    if checked.is_err() {
        let message = "is no address that can be used here; a login must not stand in it";
        let help = format!("write \"{example}\"");
        section.reader.note(section.path_of("url"), stands.as_ref(), message, &help);
    }
    checked.ok()
}

/// Headers that say how a request is read, or that are ours.
const OURS: [&str; 7] = [
    "host",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "expect",
];
const HEADERS_MAX: usize = 32;

/// No message repeats a value: it may be a secret.
fn headers(section: &mut Section<'_>, login: &Login) -> Vec<(String, Hidden<String>)> {
    const PATTERN: &str = "^[A-Za-z0-9_-]+: *[ -~]+$";
    let stands = section.key_origin_of("headers");
    let Some((lines, whole)) = section.texts("headers", Some(PATTERN)) else { return vec![] };
    let note = |message: String, help: &str| {
        section.reader.note(section.path_of("headers"), stands.as_ref(), message, help);
    };
    let mut headers: Vec<(String, Hidden<String>)> = vec![];
    for line in &lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let (name, value) = (name.trim(), value.trim());
        let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_visible = |c: char| (' '..='~').contains(&c);
        if name.is_empty() || !name.chars().all(is_token) {
            note("a header has no name, or one with other signs".into(), "write [\"Name: value\"]");
        } else if value.is_empty() || !value.chars().all(is_visible) {
            let help = "write visible signs of ASCII behind the colon";
            note(format!("header {name} has no value that can be sent"), help);
        } else if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
            || name.to_ascii_lowercase().starts_with("webhook-")
        {
            note(format!("header {name} is ours"), "leave it out");
        } else if name.eq_ignore_ascii_case("authorization") && *login != Login::Nobody {
            note(format!("header {name} stands beside a login"), "write one of them");
        } else if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            note(format!("header {name} stands there twice"), "write it once");
        } else if is_secret_header(name) && !whole.secret && matches!(whole.origin, Origin::File(_))
        {
            let help =
                "write { env = \"NAME\" } or { file = \"path\" }, which hold \"Name: value\"";
            note(format!("a secret must not stand in this file: header {name}"), help);
        } else {
            headers.push((name.to_owned(), Hidden::new(value.to_owned())));
        }
    }
    if headers.len() > HEADERS_MAX {
        note(format!("more than {HEADERS_MAX} headers"), "leave some out");
    }
    headers
}

/// Whether a header of this name lets somebody in.
fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "key", "token", "secret", "password", "cookie"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_log_a_password_is_none() {
        let check = |written| check_url(written, false, "a registry");
        assert!(check("https://me:hunter2@registry").is_err());
        for bad in ["registry:8081", "ftp://registry", "http://", "http://a b", "http://a/?x=1"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check("http://r:8080/apis/v7/"), Ok("http://r:8080/apis/v7".into()));
    }

    #[test]
    fn an_address_may_ask_a_question_where_that_is_its_business() {
        let check = |written| check_url(written, true, "a receiver");
        assert_eq!(check("https://a/b?key=1&c=@d"), Ok("https://a/b?key=1&c=@d".into()));
        assert_eq!(check("https://a?key=1"), Ok("https://a?key=1".into()));
        for bad in ["https://?key=1", "https://me:hunter2@a/b", "https://a/b#c", "a/b?c"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
