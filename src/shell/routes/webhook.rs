//! A POST of the alert as it stands in the topic, signed as Standard Webhooks says.
//!
//! `webhook-id` is the message's: the same at every try, after every restart, so a receiver that has
//! seen it can drop it. `webhook-timestamp` is the try's. `webhook-signature` is `v1,` and the base64
//! of HMAC-SHA256 over `<id>.<timestamp>.<body>`. It says nothing again; whoever must hear twice needs
//! Alertmanager.
//!
//! Source: Standard Webhooks, "Specification", version 1.0.0.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::post::Post;
use super::received::Received;
use super::{Receiver, Refusal};
use crate::config::{Endpoint, Hidden};
use crate::record::Timestamp;
use crate::shell::http::CaFileError;

/// An address that takes alerts.
pub struct Webhook {
    post: Post,
    secret: Option<Hidden<Vec<u8>>>,
}

impl Webhook {
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(at: &Endpoint, secret: Option<&Hidden<Vec<u8>>>) -> Result<Self, CaFileError> {
        Ok(Self { post: Post::new(at, "")?, secret: secret.cloned() })
    }
}

impl Receiver for Webhook {
    fn tell(&self, news: &Received, _: Option<&Received>, now: Timestamp) -> Result<(), Refusal> {
        let (id, seconds) = (news.id(), (now.0 / 1000).to_string());
        let mut headers = vec![("webhook-id", &*id), ("webhook-timestamp", &*seconds)];
        let signed = self.secret.as_ref().map(|key| signature(key, &id, &seconds, &news.value));
        if let Some(signature) = &signed {
            headers.push(("webhook-signature", signature));
        }
        self.post.send(&headers, &news.value)
    }
}

fn signature(key: &Hidden<Vec<u8>>, id: &str, seconds: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("a key of any length");
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the specification's own libraries are tested with.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", b"{\"test\": 2432232314}");
        assert_eq!(
            signature(&Hidden::new(key), id, "1614265330", body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
