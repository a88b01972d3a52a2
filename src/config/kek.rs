//! Keys that wrap data keys, and that never come to us: `kind = "vault"` without `jwk`, `"aws-kms"`, `"local-kms"`.

use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::{check_url, secret};
use super::kafka::Hidden;
use super::reader::{Form, Section};
use super::vault::VaultKey;

/// A key that wraps data keys, which a key management service keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct WrappingKey {
    /// What the registry of data keys calls it.
    pub name: String,
    /// `cache = "1h"`: how long an unwrapped data key is kept.
    pub cache: Duration,
    pub kms: Kms,
}

/// Who unwraps.
#[derive(Clone, Debug, PartialEq)]
pub enum Kms {
    Vault(VaultKey),
    Aws(AwsKey),
    /// `secret`: what Confluent's local driver derives its key from. For tests: who has it opens everything.
    Local(Hidden<String>),
}

/// `kind = "aws-kms"`
#[derive(Clone, Debug, PartialEq)]
pub struct AwsKey {
    /// `arn`: of the key, `"arn:aws:kms:eu-central-1:111122223333:key/…"`.
    pub arn: String,
    pub region: String,
    /// `endpoint`: where the service is; `https://kms.<region>.amazonaws.com` unless given.
    pub endpoint: String,
    /// `access_key_id`
    pub access_key_id: Hidden<String>,
    /// `secret_access_key`
    pub secret_access_key: Hidden<String>,
    /// `session_token`: with credentials that end.
    pub session_token: Option<Hidden<String>>,
    pub ca_file: Option<PathBuf>,
}

impl Kms {
    /// What registries call its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vault(_) => "hcvault",
            Self::Aws(_) => "aws-kms",
            Self::Local(_) => "local-kms",
        }
    }
}

fn missing(section: &Section<'_>, key: &str, help: &str) {
    if section.origin_of(key).is_none() {
        section.reader.note(section.path_of(key), section.origin.as_ref(), "is missing", help);
    }
}

pub(super) fn aws(section: &mut Section<'_>) -> Option<Kms> {
    let env = "write { env = \"NAME\" } or { file = \"path\" }";
    missing(section, "arn", "write the key's ARN");
    missing(section, "access_key_id", env);
    missing(section, "secret_access_key", env);
    let form = Form {
        help: "write the key's ARN: \"arn:aws:kms:eu-central-1:111122223333:key/…\"",
        pattern: Some("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]*:(key|alias)/[A-Za-z0-9/_-]+$"),
    };
    let arn = section.read("arn", form, |written| {
        let region = region(written).ok_or_else(|| format!("{written:?} is no ARN of a key"))?;
        Ok::<_, String>((written.to_owned(), region))
    });
    let form = Form {
        help: "write the service's address: \"https://kms.eu-central-1.amazonaws.com\"",
        pattern: Some("^https?://[^/@?#\\s][^@?#\\s]*$"),
    };
    let endpoint = section
        .read("endpoint", form, |written| check_url(written, false, "a key management service"));
    let trimmed = |text: super::reader::Text| text.value.trim().to_owned();
    let access_key_id = secret(section, "access_key_id").map(trimmed).map(Hidden::new);
    let secret_access_key = secret(section, "secret_access_key").map(trimmed).map(Hidden::new);
    let session_token = secret(section, "session_token").map(trimmed).map(Hidden::new);
    let ca_file = section.file("ca_file");
    let (arn, region) = arn?;
    let endpoint = endpoint.unwrap_or_else(|| format!("https://kms.{region}.amazonaws.com"));
    Some(Kms::Aws(AwsKey {
        arn,
        region,
        endpoint,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        session_token,
        ca_file,
    }))
}

pub(super) fn local(section: &mut Section<'_>) -> Option<Kms> {
    missing(section, "secret", "write { env = \"NAME\" } or { file = \"path\" }");
    let secret = secret(section, "secret")?;
    Some(Kms::Local(Hidden::new(secret.value.trim().to_owned())))
}

/// `arn:aws:kms:REGION:ACCOUNT:key/…`
fn region(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let is_arn = parts.next() == Some("arn");
    let (_, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let named = !region.is_empty() && region.chars().all(plain);
    let (_, what) = (parts.next()?, parts.next()?);
    let is_key = what.starts_with("key/") || what.starts_with("alias/");
    (is_arn && service == "kms" && named && is_key).then(|| region.to_owned())
}
