//! AWS KMS, or what speaks its protocol: `TrentService.Decrypt`, signed with Signature Version 4.
//!
//! The service answers 400 to almost everything: what is wrong is in `__type`. Credentials are read once, with the
//! configuration: those that end need a reload before they do.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::sha::sha256;
use serde::Deserialize;
use ureq::Agent;
use zeroize::Zeroizing;

use super::hmac;
use crate::config::AwsKey;
use crate::shell::http::{self, CaFileError};

/// One key of the service.
pub struct AwsService {
    agent: Agent,
    key: AwsKey,
}

/// Who signs, for which service and where.
pub(super) struct Signatory<'a> {
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

/// Largest answer that we read.
const ANSWER_BYTES_MAX: u64 = 1 << 16;
/// How long one answer may take. The worker that needs it waits.
const TIMEOUT: Duration = Duration::from_secs(3);
const JSON: &str = "application/x-amz-json-1.1";
const DECRYPT: &str = "TrentService.Decrypt";

impl AwsService {
    /// # Errors
    /// If certificates cannot be read.
    pub fn new(key: &AwsKey) -> Result<Self, CaFileError> {
        Ok(Self { agent: http::agent(key.ca_file.as_deref())?, key: key.clone() })
    }

    /// # Errors
    /// Why the service gave nothing.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let body = serde_json::json!({
            "CiphertextBlob": STANDARD.encode(wrapped), "KeyId": self.key.arn,
        });
        let (status, body) = self.post(body.to_string().as_bytes())?;
        /// Borrowed: a copy would stay behind.
        #[derive(Deserialize)]
        struct Answer<'b> {
            #[serde(borrow, rename = "Plaintext")]
            plaintext: &'b str,
        }
        if status != 200 {
            return Err(self.refusal(status, &body));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| "it answered what is no answer of AWS KMS")?;
        let text = STANDARD.decode(answer.plaintext).map(Zeroizing::new);
        text.map_err(|_| "it answered what is no base64".into())
    }

    fn post(&self, body: &[u8]) -> Result<(u16, Zeroizing<Vec<u8>>), String> {
        let endpoint = &self.key.endpoint;
        let failed = |error: &dyn std::fmt::Display| format!("{endpoint}: {error}");
        let host = endpoint.split_once("://").map_or(&**endpoint, |(_, host)| host);
        let host = host.split('/').next().unwrap_or_default();
        let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let token = self.key.session_token.as_ref().map(|token| token.expose().as_str());
        // In the order of their names, as the signature wants them.
        let mut headers = vec![("content-type", JSON), ("host", host), ("x-amz-date", &date)];
        headers.extend(token.map(|token| ("x-amz-security-token", token)));
        headers.push(("x-amz-target", DECRYPT));
        let signatory = Signatory {
            access_key_id: self.key.access_key_id.expose(),
            secret_access_key: self.key.secret_access_key.expose(),
            region: &self.key.region,
            service: "kms",
        };
        let signed = signatory.authorization(("POST", "/"), &headers, body);
        let signed = signed.map_err(|_| "OpenSSL cannot sign")?;
        let mut request = self.agent.post(format!("{endpoint}/")).header("authorization", &signed);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(Some(TIMEOUT)).build();
        let mut answer = request.send(body).map_err(|error| failed(&error))?;
        let mut body = Zeroizing::new(Vec::with_capacity(4096));
        let read = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        read.map_err(|error| failed(&error))?;
        Ok((answer.status().as_u16(), body))
    }

    fn refusal(&self, status: u16, body: &[u8]) -> String {
        #[derive(Default, Deserialize)]
        struct Refusal {
            #[serde(default, rename = "__type")]
            kind: String,
            #[serde(default, alias = "Message")]
            message: String,
        }
        let Refusal { kind, message } = serde_json::from_slice(body).unwrap_or_default();
        // Some servers write a namespace in front.
        let kind = kind.rsplit('#').next().unwrap_or_default();
        let meaning = match kind {
            "InvalidCiphertextException" | "IncorrectKeyException" => {
                "the data key was not wrapped with this key"
            }
            "AccessDeniedException" => "it forbids that: look at the policy (kms:Decrypt)",
            "NotFoundException" => "there is no such key: look at `arn`",
            "DisabledException" | "KMSInvalidStateException" => "the key is not enabled",
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException" => {
                "it does not know us: look at the credentials, and the clock"
            }
            "ThrottlingException" | "LimitExceededException" => "it was asked too often",
            "KMSInternalException" | "DependencyTimeoutException" | "KeyUnavailableException" => {
                "it does not answer now"
            }
            _ => "it gave no key",
        };
        let message: String = message.chars().take(200).collect();
        let message = message.replace('\n', " ");
        format!("{}: {status} {kind}: {meaning} ({message})", self.key.endpoint)
    }
}

impl Signatory<'_> {
    /// The `Authorization` of a request without a query; `headers` are sorted by their names in lower case, and `x-amz-date`
    /// is among them.
    ///
    /// # Errors
    /// If OpenSSL cannot.
    ///
    /// # Source
    /// "Create a signed AWS API request", AWS Identity and Access Management user guide.
    pub fn authorization(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<String, ErrorStack> {
        let date = headers.iter().find(|(name, _)| *name == "x-amz-date");
        let date = date.expect("whoever calls has dated it").1;
        let day = &date[..8];
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical =
            format!("{method}\n{path}\n\n{lines}\n{names}\n{}", hexadecimal(&sha256(body)));
        let digest = hexadecimal(&sha256(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
        let first = Zeroizing::new(format!("AWS4{}", self.secret_access_key));
        let mut key = hmac(first.as_bytes(), day.as_bytes())?;
        for part in [self.region, self.service, "aws4_request"] {
            key = hmac(&*key, part.as_bytes())?;
        }
        let signature = hexadecimal(&*hmac(&*key, text.as_bytes())?);
        let who = self.access_key_id;
        Ok(format!(
            "AWS4-HMAC-SHA256 Credential={who}/{scope}, SignedHeaders={names}, Signature={signature}"
        ))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
