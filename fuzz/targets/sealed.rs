//! Sealed values: any bytes as a JWE, and as the parts of one.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use tripline::codec::ContentHeaders;
use tripline::open::{Arena, JWE_ALGORITHMS, JweOpener, JweSpec, Jwk, seal_as};

use super::Split as _;

/// Opens with a key of each kind.
static OPENER: LazyLock<JweOpener> = LazyLock::new(|| {
    let text = include_str!("../../tests/frozen/jose/jwe-vectors.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(text).expect("JSON");
    let keys = all.iter().map(|one| Jwk::read(&one["jwk"].to_string()).expect("a key"));
    let keys = keys.map(|jwk| (jwk.id.expect("an id"), jwk.material)).collect();
    let algorithms = JWE_ALGORITHMS.to_vec();
    JweSpec { keys, elsewhere: vec![], algorithms, required: true, reseal: None }
        .build()
        .expect("it is sound")
});

/// As it is; and a header, a wrapped key, an IV, a tag and a ciphertext, each but the last with its length.
pub fn jwe(input: &[u8]) {
    check(input);
    let (head, rest) = input.optional();
    let (wrapped, rest) = rest.optional();
    let (iv, rest) = rest.optional();
    let (tag, ciphertext) = rest.optional();
    let parts = [head, wrapped, iv, Some(ciphertext), tag];
    let parts = parts.map(|part| B64U.encode(part.unwrap_or_default()));
    check(parts.join(".").as_bytes());
}

fn check(value: &[u8]) {
    let mut arena = Arena::default();
    arena.reserve(value.len());
    let Ok(opened) = OPENER.open(value, &ContentHeaders::default(), &mut arena) else {
        assert!(arena.bytes().is_empty(), "a fault left plaintext behind");
        return;
    };
    // A value that opens was sealed with the key: then it can be sealed again, and opens to the same.
    let opened = opened.expect("one in clear is a fault");
    let (plain, mut again) = (arena.bytes()[opened.value].to_vec(), vec![]);
    seal_as((value, &opened.key), &plain, &mut vec![], &mut again).expect("random numbers");
    let mut second = Arena::default();
    second.reserve(again.len());
    let opened = OPENER.open(&again, &ContentHeaders::default(), &mut second).expect("it opens");
    assert_eq!(second.bytes()[opened.expect("it is sealed").value], plain);
}
