//! The secret that a request must bring.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

use crate::config::Hidden;

/// The digest of a token: the token itself is not kept.
pub struct Token([u8; 32]);

impl Token {
    pub fn new(token: &Hidden<String>) -> Self {
        Self(Sha256::digest(token.expose()).into())
    }

    /// Whether `headers` bring it, once, as `Authorization: Bearer …`.
    ///
    /// Digests are compared, and all of their bytes: how long it takes says nothing about the token.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(given), None) = (all.next(), all.next()) else { return false };
        let given = given.as_bytes();
        let Some((scheme, token)) = given.split_at_checked("Bearer ".len()) else { return false };
        let digest: [u8; 32] = Sha256::digest(token.trim_ascii()).into();
        let differ = self.0.iter().zip(digest).fold(0, |differ, (a, b)| differ | (a ^ b));
        scheme.eq_ignore_ascii_case(b"bearer ") & (std::hint::black_box(differ) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(values: &[&str]) -> bool {
        let token = Token::new(&Hidden::new("c4n4ry-of-sixteen".into()));
        let headers = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
        token.is_in(&headers.collect())
    }

    #[test]
    fn only_the_whole_token_brought_once_opens() {
        for right in ["Bearer c4n4ry-of-sixteen", "bearer c4n4ry-of-sixteen"] {
            assert!(is_in(&[right]), "{right}");
        }
        let right = "Bearer c4n4ry-of-sixteen";
        for wrong in [
            &[][..],
            &[""],
            &["Bearer "],
            &["Bearer c4n4ry-of-sixtee"],
            &["Bearer c4n4ry-of-sixteen1"],
            &["Basic c4n4ry-of-sixteen"],
            &["c4n4ry-of-sixteen"],
            &[right, right],
            &["Basic eDp5", right],
        ] {
            assert!(!is_in(wrong), "{wrong:?}");
        }
    }
}
