//! What our HTTP clients have in common: TLS, no redirects, who we are.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::config::{Hidden, Login};

/// Why a file of certificates is none.
#[derive(Debug, thiserror::Error)]
#[error("ca_file {path}: {reason}", path = path.display())]
pub struct CaFileError {
    path: PathBuf,
    reason: String,
}

/// A client that trusts whom `ca_file` names, or else whom the system does.
///
/// # Errors
/// If the certificates cannot be read.
pub fn agent(ca_file: Option<&Path>) -> Result<Agent, CaFileError> {
    let roots = match ca_file {
        None => RootCerts::PlatformVerifier,
        Some(path) => RootCerts::new_with_certs(&certificates(path)?),
    };
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        // A redirect would take our password to wherever it points.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("tripline/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.new_agent())
}

/// The value of the `Authorization` header.
pub fn authorization(login: &Login) -> Option<Hidden<String>> {
    let value = match login {
        Login::Nobody => return None,
        Login::Bearer(token) => format!("Bearer {}", token.expose()),
        Login::Basic { user, password } => {
            let both = format!("{user}:{}", password.expose());
            format!("Basic {}", STANDARD.encode(both))
        }
    };
    Some(Hidden::new(value))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, CaFileError> {
    let wrong = |reason: String| CaFileError { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut certificates = vec![];
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    match certificates.is_empty() {
        true => Err(wrong("it holds no certificate".into())),
        false => Ok(certificates),
    }
}
