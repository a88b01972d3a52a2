//! What stands around a payload: opened on the way in, closed again on the way out. Envelopes wrap a payload in clear, one
//! file each; this file holds their trait and list. An [`Opener`] decrypts values and fields.
//!
//! An envelope knows nothing of rows. What it holds is read as a record of its own would be: by the
//! content type that the envelope says, or else by the payload's bytes.

mod arena;
mod cloudevents;
mod connect_json;
mod content_headers;
mod csfle;
pub(crate) mod fold;
pub mod framed;
mod gcm;
mod jose;
pub(crate) mod object;
mod opener;
mod uses;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::record::{Fault, Unread};

pub use arena::{Arena, wipe};
pub use cloudevents::CloudEvents;
pub use connect_json::ConnectJson;
pub use content_headers::{ContentHeaders, Header};
pub use csfle::{BadDataKey, CsfleLock, CsfleOpener, CsfleSpec, DataKey, KEYS_MAX, UnusableRule};
pub use jose::{
    BadJwk, BadOpener, Cleartext, JOSE, JWE_ALGORITHMS, JweAlgorithm, JweOpener, JweSpec, Jwk,
    KeyMaterial, OpenedJwe, PrivateKey, PublicKey, Sealer, SecretKey, fits, is_jose, open_jwe,
    seal_as,
};
pub use opener::{Lock, NotSealable, OpenedValue, Opener, OpenerSpec};
pub use uses::{KeyCounts, KeyUse};

/// Takes a payload out of a record's value, and puts another one in its place.
pub trait Envelope: fmt::Debug + Send + Sync {
    /// What the configuration calls the format of a value in this envelope.
    fn name(&self) -> &'static str;

    /// The members of a document that a payload stands in as it is.
    fn payload_members(&self) -> &'static [&'static str];

    /// The members that say how a payload is read. Whoever changes one could change what is scored.
    fn reading_members(&self) -> &'static [&'static str];

    /// The payload in `value`.
    ///
    /// # Errors
    /// What is wrong with the value, or missing to open it. Never panics, whatever the bytes.
    fn open<'v>(
        &self,
        value: &'v [u8],
        headers: &ContentHeaders<'v>,
    ) -> Result<Payload<'v>, Unread>;

    /// Appends to `out` the same envelope around `payload`. `before` is what [`Envelope::open`] found in
    /// `original`; whoever calls has seen that `payload` differs from it. Every other byte of the
    /// envelope stays as it was, where the envelope allows.
    fn seal(&self, original: &[u8], before: &Payload<'_>, payload: &[u8], out: &mut Vec<u8>);
}

/// All envelopes. Encryption is not among them.
pub fn all() -> Vec<Arc<dyn Envelope>> {
    vec![Arc::new(CloudEvents), Arc::new(ConnectJson)]
}

/// What an envelope holds, and what it says of it.
#[derive(Debug)]
pub struct Payload<'v> {
    /// Borrowed if they stand in the value as they are.
    pub bytes: Cow<'v, [u8]>,
    pub content_type: Option<Cow<'v, str>>,
    /// Where the value has them, or what they were made from.
    pub place: Range<usize>,
    /// They are part of a text, such as a member of a JSON document: no row of bytes, whatever their type says.
    pub is_text: bool,
}

impl Payload<'_> {
    /// The headers that a record of its own would have.
    pub fn headers(&self) -> ContentHeaders<'_> {
        let content_type = self.content_type.as_deref().map(str::as_bytes);
        ContentHeaders { content_type: content_type.into(), ..ContentHeaders::default() }
    }

    /// Why the payload is unread, with places in it moved to the value.
    pub fn unread_in_value(&self, unread: Unread) -> Unread {
        let Unread::Fault(Fault::Unreadable { at }) = unread else { return unread };
        let within = if matches!(self.bytes, Cow::Borrowed(_)) { at } else { 0 };
        Fault::Unreadable { at: self.place.start + within }.into()
    }
}
