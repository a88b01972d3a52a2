//! `[registry]`: where the schemas of framed values are.

use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::{Login, check_url};
use super::reader::{Form, Section};

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
    let url = section.read("url", form, |written| check_url(written, false, "a registry"));
    let login = Login::read(&mut section, "REGISTRY");
    let ca_file = section.file("ca_file");
    let timeout = section.millis("timeout_ms", 100..=5000, 2000);
    section.end();
    Some(Registry { url: url?, login, ca_file, timeout })
}
