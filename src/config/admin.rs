//! `[admin]`: who looks after this process, and from where.

use std::net::SocketAddr;

use super::endpoint::secret;
use super::kafka::Hidden;
use super::reader::{Form, Section};

/// `[admin]`
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// `listen`: where health and metrics are served, `"127.0.0.1:9090"`; nowhere unless given.
    pub listen: SocketAddr,
    /// `probe_listen`: where `/live` and `/ready` are served besides, on a thread of its own: an
    /// address that only a kubelet reaches, `"0.0.0.0:9091"`.
    pub probe_listen: Option<SocketAddr>,
    /// `token`: what a request must bring as `Authorization: Bearer …`, at least 16 visible ASCII
    /// characters. Probes need none. Only as `{ env = "NAME" }` or `{ file = "path" }`.
    pub token: Option<Hidden<String>>,
}

/// Characters of a token: 16 of `openssl rand -hex` are 64 random bits.
const TOKEN_CHARS_MIN: usize = 16;

impl Admin {
    /// Reads `[admin]`; nothing unless it has `listen`.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let form = Form {
            help: "write an address and a port: \"127.0.0.1:9090\"",
            pattern: Some("^.+:[0-9]{1,5}$"),
        };
        let address = |written: &str| {
            written.parse().map_err(|_| format!("{written:?} is not an address and a port"))
        };
        let others = ["probe_listen", "token"].map(|key| section.origin_of(key).is_some());
        if others.contains(&true) && section.origin_of("listen").is_none() {
            let (path, help) = (section.path_of("listen"), "write `listen = \"127.0.0.1:9090\"`");
            section.reader.note(path, section.origin.as_ref(), "is missing", help);
        }
        let listen: Option<SocketAddr> = section.read("listen", form, address);
        let stands = section.origin_of("probe_listen");
        let probe_listen = section.read("probe_listen", form, address);
        if listen.is_some() && listen == probe_listen {
            let (message, help) = ("is the address of `listen` too", "write another port");
            section.reader.note(section.path_of("probe_listen"), stands.as_ref(), message, help);
        }
        let token = secret(&mut section, "token").and_then(|text| {
            let help = "make one with `openssl rand -hex 32`";
            section.understood("token", &text, help, |written| {
                let visible = written.chars().all(|c| c.is_ascii_graphic());
                match visible && written.len() >= TOKEN_CHARS_MIN {
                    true => Ok(Hidden::new(written.to_owned())),
                    false => Err("is no token of 16 visible ASCII characters or more"),
                }
            })
        });
        section.end();
        Some(Self { listen: listen?, probe_listen, token })
    }

    /// Whether whoever reaches this machine may read the metrics.
    pub fn is_open(&self) -> bool {
        self.token.is_none() && !self.listen.ip().to_canonical().is_loopback()
    }
}
