//! One POST, and what its answer means.
//!
//! What is not taken is tried again unless the receiver says that it is about this one alert: an
//! expired token, a wrong path or a receiver that is down are mended one day, and then nothing is to
//! be missing. No message has the address or a secret in it, nor an answer that repeats one.

use std::io::Read as _;
use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;

use super::Refusal;
use crate::config::{Endpoint, Hidden, Login};
use crate::shell::http::{self, CaFileError};

/// A receiver's address, with who we are to it.
pub struct Post {
    agent: Agent,
    url: Hidden<String>,
    authorization: Option<Hidden<String>>,
    /// What the operator wants sent besides.
    headers: Vec<(String, Hidden<String>)>,
    /// What no message may repeat.
    secrets: Vec<Hidden<String>>,
    timeout: Duration,
}

/// What a receiver answered.
pub struct Reply {
    pub status: StatusCode,
    /// When to ask again, if it says so.
    pub after: Option<Duration>,
    /// The beginning of the rest.
    pub body: Vec<u8>,
}

/// Bytes of an answer that are read, and characters of it that are logged.
const ANSWER_BYTES_MAX: u64 = 4 << 10;
const ANSWER_CHARS_MAX: usize = 200;

/// Bytes of the shortest header that may be a secret.
const SECRET_BYTES_MIN: usize = 8;

impl Post {
    /// To `path` under the address of `at`.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(at: &Endpoint, path: &str) -> Result<Self, CaFileError> {
        let authorization = http::authorization(&at.login);
        let mut secrets = vec![at.url.clone()];
        match &at.login {
            Login::Nobody => {}
            Login::Basic { password, .. } => secrets.push(password.clone()),
            Login::Bearer(token) => secrets.push(token.clone()),
        }
        secrets.extend(authorization.clone());
        // Of a short one, such as a tenant's number, every other text has a part.
        let long = at.headers.iter().map(|(_, value)| value);
        secrets.extend(long.filter(|value| value.expose().len() >= SECRET_BYTES_MIN).cloned());
        Ok(Self {
            agent: http::agent(at.ca_file.as_deref())?,
            url: Hidden::new(format!("{}{path}", at.url.expose())),
            authorization,
            headers: at.headers.clone(),
            secrets,
            timeout: at.timeout,
        })
    }

    /// Posts `body`, JSON, under `headers`.
    ///
    /// # Errors
    /// Unless the receiver says that it has it.
    pub fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Refusal> {
        self.send_as("application/json", headers, body)
    }

    /// Posts `body`, of this type, under `headers`.
    ///
    /// # Errors
    /// Unless the receiver says that it has it.
    pub fn send_as(
        &self,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), Refusal> {
        let later = |reason: String| Refusal::Later { reason, after: None };
        let reply = self.exchange((content_type, headers), body, self.timeout);
        let Reply { status, after, body } = reply.map_err(later)?;
        monitor(status, after, &self.words(&String::from_utf8_lossy(&body)))
    }

    /// Posts `body` under `headers`; the whole may take `timeout`.
    ///
    /// # Errors
    /// Why there is no answer, in words that may be logged.
    pub fn exchange(
        &self,
        (content_type, headers): (&str, &[(&str, &str)]),
        body: &[u8],
        timeout: Duration,
    ) -> Result<Reply, String> {
        let mut request = self
            .agent
            .post(self.url.expose())
            .config()
            .timeout_global(Some(timeout))
            .build()
            .header("Content-Type", content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.expose());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body).map_err(|error| self.words(&error.to_string()))?;
        let after = answer.headers().get("Retry-After");
        let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Read to its end, so that the connection can be used again.
        let mut body = vec![];
        let _ = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        Ok(Reply { status: answer.status(), after: after.map(Duration::from_secs), body })
    }

    /// What may be logged of what somebody said.
    fn words(&self, said: &str) -> String {
        let repeats = |secret: &Hidden<String>| said.contains(secret.expose().as_str());
        if self.secrets.iter().any(repeats) {
            return "what was said repeats our address or a secret".into();
        }
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        said.chars().take(ANSWER_CHARS_MAX).map(visible).collect()
    }
}

impl Reply {
    /// What may be logged of it, which came by `post`.
    pub fn words(&self, post: &Post) -> String {
        let said = post.words(&String::from_utf8_lossy(&self.body));
        format!("answered {}: {said}", self.status)
    }
}

/// What an answer means.
fn monitor(status: StatusCode, after: Option<Duration>, said: &str) -> Result<(), Refusal> {
    let words = if said.is_empty() { String::new() } else { format!(": {said}") };
    let later =
        |why: &str| Err(Refusal::Later { reason: format!("answered {status}{why}{words}"), after });
    match status.as_u16() {
        200..300 => Ok(()),
        300..400 => later(" (redirects are not followed: look at `url`)"),
        401 | 403 | 407 => later(" (look at `user`, `password` and `token`)"),
        404 | 405 | 410 => later(" (look at `url`)"),
        408 | 425 | 429 => later(""),
        400..500 => Err(Refusal::Never { reason: format!("answered {status}{words}") }),
        _ => later(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_alert_itself_is_not_tried_again() {
        let never = |status: u16| {
            let said = monitor(StatusCode::from_u16(status).unwrap(), None, "");
            matches!(said, Err(Refusal::Never { .. }))
        };
        let all: Vec<u16> = (100..600).filter(|&status| never(status)).collect();
        assert!(all.iter().all(|status| (400..500).contains(status)));
        for status in [400, 409, 413, 422] {
            assert!(all.contains(&status), "{status}");
        }
        for status in [401, 403, 404, 408, 425, 429, 302, 500, 503] {
            assert!(!all.contains(&status), "{status}");
        }
        let said =
            monitor(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(3)), "slow down");
        let reason = "answered 429 Too Many Requests: slow down".to_owned();
        assert_eq!(said, Err(Refusal::Later { reason, after: Some(Duration::from_secs(3)) }));
    }

    #[test]
    fn no_reason_repeats_a_secret_or_the_address() {
        let at = Endpoint {
            url: Hidden::new("http://127.0.0.1:1/c4n4ry".into()),
            login: Login::Bearer(Hidden::new("hunter2".into())),
            headers: vec![("X-Api-Key".into(), Hidden::new("0p3n-s3s4me".into()))],
            ca_file: None,
            timeout: Duration::from_millis(300),
        };
        let post = Post::new(&at, "/path").unwrap();
        for said in ["you are hunter2", "no http://127.0.0.1:1/c4n4ry here", "0p3n-s3s4me is wrong"]
        {
            let words = post.words(said);
            let secrets = ["hunter2", "c4n4ry", "s3s4me"];
            assert!(!secrets.iter().any(|secret| words.contains(secret)), "{words}");
        }
        assert_eq!(post.words("bad\nrequest"), "bad request");
        let Err(Refusal::Later { reason, .. }) = post.send(&[], b"{}") else {
            panic!("it was taken")
        };
        assert!(!reason.contains("c4n4ry"), "{reason}");
    }
}
