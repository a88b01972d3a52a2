//! JOSE: keys in JSON (JWK) and encrypted values (JWE in compact form). All cryptography is OpenSSL's; this folder
//! holds the formats of RFC 7516, 7517 and 7518 that stand around it.
//!
//! It reads and writes what records need: `dir`, `A256KW`, `ECDH-ES`, `ECDH-ES+A256KW` and `RSA-OAEP-256` with
//! `A128GCM` and `A256GCM`. Everything that a sender could use against us is a refusal: compression (a small value
//! that becomes a large one), keys or addresses of keys in the header, passwords.

mod agree;
mod jwe;
mod jwk;
mod opener;
mod opening;
#[cfg(test)]
mod tests;

pub use jwe::Sealer;
pub use jwk::{BadJwk, Jwk, KeyMaterial, PrivateKey, PublicKey, SecretKey};
pub use opener::{BadOpener, Cleartext, JOSE, JweOpener, JweSpec, is_jose, seal_as};
pub use opening::{JWE_ALGORITHMS, JweAlgorithm, OpenedJwe, fits, open_jwe};
