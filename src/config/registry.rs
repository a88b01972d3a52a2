//! `[registry]`: where the schemas of framed values are.

use std::path::PathBuf;
use std::time::Duration;

use super::kafka::Hidden;
use super::reader::{Form, Kind, Section};
use super::value::Origin;

/// `[registry]`
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// `url`: the root of the registry's API, `"https://registry:8081"`; with Apicurio
    /// `"http://host:8080/apis/ccompat/v7"`. Without it, framed values are of an unknown format.
    pub url: String,
    /// `token`, or else `user` and `password`: who we are; nobody unless given. Secrets only as `{ env = "NAME" }` or `{ file = "path" }`.
    pub login: Login,
    /// `ca_file`: certificates, in PEM, of those who may vouch for the registry; the system's
    /// unless given.
    pub ca_file: Option<PathBuf>,
    /// `timeout_ms = 2000`: how long one schema, with all it refers to, may take, 100 to 5000. The
    /// worker that needs it waits.
    pub timeout: Duration,
}

/// How we say who we are.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    Nobody,
    Basic { user: String, password: Hidden<String> },
    Bearer(Hidden<String>),
}

/// Reads `[registry]`; nothing unless it has a `url`.
pub(super) fn read(mut section: Section<'_>) -> Option<Registry> {
    let form = Form {
        help: "write the root of the registry's API: \"https://registry:8081\"",
        pattern: Some("^https?://[^/@?#\\s][^@?#\\s]*$"),
    };
    let given =
        ["user", "password", "token", "ca_file"].map(|key| section.origin_of(key).is_some());
    if given.contains(&true) && section.origin_of("url").is_none() {
        let (path, help) = (section.path_of("url"), "write `url = \"https://registry:8081\"`");
        section.reader.note(path, section.origin.as_ref(), "is missing", help);
    }
    let url = section.read("url", form, check_url);
    let (user, password) =
        (section.text("user", Kind::Text(None)), secret(&mut section, "password"));
    let token = secret(&mut section, "token");
    let note = |key: &str, message: &str, help: &str| {
        let origin = section.origin_of(key).or(section.origin.clone());
        section.reader.note(section.path_of(key), origin.as_ref(), message, help);
    };
    let login = match (user, password, token) {
        (None, None, None) => Login::Nobody,
        (_, _, Some(token)) => Login::Bearer(token),
        (Some(user), Some(password), None) => Login::Basic { user: user.value, password },
        (None, Some(_), None) => {
            note("user", "is missing", "write `user = \"tripline\"` beside the password");
            Login::Nobody
        }
        (Some(_), None, None) => {
            note("password", "is missing", "write `password = { env = \"REGISTRY_PASSWORD\" }`");
            Login::Nobody
        }
    };
    let ca_file = section.file("ca_file");
    let timeout = section.millis("timeout_ms", 100..=5000, 2000);
    section.end();
    Some(Registry { url: url?, login, ca_file, timeout })
}

fn secret(section: &mut Section<'_>, key: &'static str) -> Option<Hidden<String>> {
    let stands = section.key_origin_of(key);
    let text = section.text(key, Kind::Text(None))?;
    if !text.secret && matches!(text.origin, Origin::File(_)) {
        let help = "write { env = \"NAME\" } or { file = \"path\" }";
        let message = "a secret must not stand in this file";
        section.reader.note(section.path_of(key), stands.as_ref(), message, help);
    }
    Some(Hidden::new(text.value))
}

fn check_url(written: &str) -> Result<String, String> {
    let rest = written.strip_prefix("http://").or_else(|| written.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    // What follows an @ is the host; what stands before it would be printed with the URL.
    if host.contains('@') {
        return Err("a user and a password in the address would be logged".into());
    }
    let plain = !written.contains(['?', '#']) && !written.contains(char::is_whitespace);
    match host.is_empty() || !plain {
        true => Err(format!("{written:?} is not the address of a registry")),
        false => Ok(written.trim_end_matches('/').to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_log_a_password_is_none() {
        assert!(check_url("https://me:hunter2@registry").is_err());
        for bad in ["registry:8081", "ftp://registry", "http://", "http://a b", "http://a/?x=1"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        assert_eq!(check_url("http://r:8080/apis/v7/"), Ok("http://r:8080/apis/v7".into()));
    }
}
