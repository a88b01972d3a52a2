//! Vectors of the RFCs and of two Python libraries, and what must be refused.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::agree::{Context, agree, concat_kdf};
use super::*;
use crate::record::SealFault;

const ALL: &[(&str, &str)] = &[
    ("dir", "A128GCM"),
    ("dir", "A256GCM"),
    ("A256KW", "A256GCM"),
    ("ECDH-ES", "A256GCM"),
    ("ECDH-ES+A256KW", "A256GCM"),
    ("RSA-OAEP-256", "A256GCM"),
];

/// One JWE per algorithm: `jwcrypto` 1.6.1 sealed them, `joserfc` 1.8.0 opened them.
fn vectors() -> &'static [(Jwk, String, String)] {
    // To check that the numbers of an RSA key are primes takes a tenth of a second.
    static VECTORS: LazyLock<Vec<(Jwk, String, String)>> = LazyLock::new(read_vectors);
    &VECTORS
}

fn read_vectors() -> Vec<(Jwk, String, String)> {
    let text = include_str!("../../../tests/frozen/jose/jwe-vectors.json");
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter()
        .map(|one| {
            let key = Jwk::read(&one["jwk"].to_string()).unwrap();
            (key, text(&one["jwe"]), text(&one["plaintext"]))
        })
        .collect()
}

/// Bob's pair of RFC 7518 appendix C.
fn bob(private: bool) -> Jwk {
    let mut key = json!({
        "kty": "EC", "crv": "P-256",
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    });
    if private {
        key["d"] = "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw".into();
    }
    Jwk::read(&key.to_string()).unwrap()
}

fn seal(key: &KeyMaterial, value: &[u8]) -> String {
    let sealer = Sealer::new("k", key).expect("it seals");
    let mut out = b"kept".to_vec();
    sealer.seal(value, Some(b"application/json; a=b"), &mut vec![7], &mut out).unwrap();
    String::from_utf8(out.split_off(4)).unwrap()
}

#[test]
fn what_jwcrypto_sealed_is_opened_with_every_algorithm() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 5);
    for (key, jwe, plaintext) in vectors {
        let opened = open_jwe(jwe.as_bytes(), &key.material, ALL).unwrap();
        assert_eq!(*opened.plaintext, plaintext.as_bytes());
        assert_eq!(opened.content_type.as_deref(), Some("application/json"));
    }
}

/// RFC 7520 §5.6, the one of its values that has algorithms of ours.
#[test]
fn the_direct_encryption_of_rfc_7520_is_opened() {
    let vector: Value =
        serde_json::from_str(include_str!("../../../tests/frozen/jose/rfc7520-5.6.json")).unwrap();
    let key = Jwk::read(&vector["jwk"].to_string()).unwrap();
    let opened = open_jwe(vector["jwe"].as_str().unwrap().as_bytes(), &key.material, ALL).unwrap();
    assert_eq!(*opened.plaintext, vector["plaintext"].as_str().unwrap().as_bytes());
}

#[test]
fn the_key_that_two_sides_agree_on_is_that_of_rfc_7518_appendix_c() {
    let alice = Jwk::read(
        &json!({
            "kty": "EC", "crv": "P-256",
            "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
            "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
        })
        .to_string(),
    );
    let (KeyMaterial::Private(alice), KeyMaterial::Public(bob)) =
        (alice.unwrap().material, bob(false).material)
    else {
        panic!("a private key and a public one")
    };
    let context = Context { algorithm: "A128GCM", parties: (b"Alice", b"Bob"), bytes: 16 };
    let key = agree(&alice.key, &bob.key, context).unwrap();
    assert_eq!(B64U.encode(&*key), "VqqN6vgjbSBcIijNcacQGg");
    assert_ne!(*concat_kdf(b"other", context), *key);
}

#[test]
fn what_is_sealed_opens_with_the_other_half_alone() {
    let mut pairs = vec![(bob(false).material, bob(true).material)];
    let direct = vectors()[0].0.material.clone();
    pairs.push((direct.clone(), direct));
    let text = include_str!("../../../tests/frozen/jose/jwe-vectors.json");
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    for one in all.iter().filter(|one| one["jwk"]["kty"] != "oct") {
        let mut public = one["jwk"].clone();
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            public.as_object_mut().unwrap().remove(private);
        }
        let public = Jwk::read(&public.to_string()).unwrap().material;
        assert!(matches!(public, KeyMaterial::Public(_)));
        pairs.push((public, Jwk::read(&one["jwk"].to_string()).unwrap().material));
    }
    let vectors = vectors();
    for (seals, opens) in &pairs {
        let jwe = seal(seals, b"{\"a\": 1}");
        let opened = open_jwe(jwe.as_bytes(), opens, ALL).unwrap();
        assert_eq!(*opened.plaintext, b"{\"a\": 1}");
        assert_eq!(opened.content_type.as_deref(), Some("application/json"));
        assert_ne!(seal(seals, b"{\"a\": 1}"), jwe, "two values share a key and an IV");
        for (other, ..) in vectors {
            if other.material != *opens {
                assert!(open_jwe(jwe.as_bytes(), &other.material, ALL).is_err());
            }
        }
    }
    assert!(Sealer::new("k", &bob(true).material).is_none(), "a key that opens must not be here");
}

/// A `dir` value with this header, sealed for the key of the first vector.
fn with_header(header: &str) -> (KeyMaterial, String) {
    let (key, jwe, _) = vectors()[0].clone();
    let rest = jwe.split_once('.').unwrap().1;
    (key.material, format!("{}.{rest}", B64U.encode(header)))
}

#[test]
fn what_a_sender_could_use_against_us_is_refused_by_name() {
    let check = |header: &str, expected: SealFault| {
        let (key, jwe) = with_header(header);
        assert_eq!(open_jwe(jwe.as_bytes(), &key, ALL).unwrap_err(), expected, "{header}");
    };
    let dir = r#""alg":"dir","enc":"A256GCM""#;
    for more in [r#""zip":"DEF""#, r#""crit":["x"]"#, r#""jku":"u""#, r#""x5u":"u""#, r#""jwk":{}"#]
    {
        check(&format!("{{{dir},{more}}}"), SealFault::Forbidden);
    }
    check(r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM"}"#, SealFault::Algorithm);
    check(r#"{"alg":"RSA1_5","enc":"A256GCM"}"#, SealFault::Algorithm);
    check(r#"{"alg":"dir","enc":"A128CBC-HS256"}"#, SealFault::Algorithm);
    check(&format!("{{{dir},\"alg\":\"dir\"}}"), SealFault::Header);
    check(&format!("{{{dir}}}"), SealFault::Tag);
    // CVE-2026-34986: an empty key under an algorithm that wraps one.
    check(r#"{"alg":"A256KW","enc":"A256GCM"}"#, SealFault::Key);
    check(r#"{"alg":"ECDH-ES","enc":"A256GCM"}"#, SealFault::Algorithm);
}

/// Whoever could tell the two apart could open a wrapped key by trying (Manger, CRYPTO 2001).
#[test]
fn a_wrapped_rsa_key_that_cannot_be_opened_looks_like_a_wrong_tag() {
    let (key, jwe, _) = &vectors()[4];
    let mut parts: Vec<&str> = jwe.split('.').collect();
    let mut turned = B64U.decode(parts[1]).unwrap();
    turned.reverse();
    let (turned, short) = (B64U.encode(turned), B64U.encode([7; 16]));
    for wrapped in [&turned, &short] {
        parts[1] = wrapped;
        let opened = open_jwe(parts.join(".").as_bytes(), &key.material, ALL);
        assert_eq!(opened.unwrap_err(), SealFault::Tag);
    }
}

#[test]
fn every_flipped_bit_of_a_value_is_seen() {
    for (key, jwe, _) in vectors() {
        for at in (0..jwe.len()).step_by(7) {
            let mut other = jwe.clone().into_bytes();
            other[at] ^= 1;
            let opened = open_jwe(&other, &key.material, ALL);
            // The last character of a part has bits that say nothing; base64 without them is refused.
            assert!(opened.is_err(), "byte {at} of {jwe}");
        }
    }
}

#[test]
fn a_key_that_is_none_is_refused_and_its_secret_is_not_repeated() {
    for (text, expected) in [
        ("[]", BadJwk::NotJson),
        (r#"{"kty":"oct"}"#, BadJwk::Number("k")),
        (r#"{"kty":"oct","k":"hunter2!"}"#, BadJwk::Number("k")),
        (r#"{"kty":"DSA"}"#, BadJwk::Kty("DSA".into())),
        (r#"{"kty":"EC","crv":"secp256k1"}"#, BadJwk::Crv("secp256k1".into())),
        (r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"Ag"}"#, BadJwk::NoKey),
        (r#"{"kty":"OKP","crv":"X25519","x":"AQ"}"#, BadJwk::NoKey),
        (r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, BadJwk::Short(17)),
    ] {
        let error = Jwk::read(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("hunter2"));
    }
    let secret = Jwk::read(r#"{"kty":"oct","k":"aHVudGVyMg"}"#).unwrap();
    let shown = format!("{secret:?}");
    assert!(shown.contains("7 bytes") && !shown.contains("hunter"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..400, which in 0_usize..5) {
        let (key, jwe, _) = vectors()[which].clone();
        prop_assert!(open_jwe(&bytes, &key.material, ALL).is_err());
        let jwe = jwe.into_bytes();
        let cut = cut.min(jwe.len());
        bytes.splice(0..0, jwe[..cut].iter().copied());
        if bytes != jwe {
            prop_assert!(open_jwe(&bytes, &key.material, ALL).is_err());
        }
    }

    /// Of every algorithm: sealed anew for the key's owner, and again as a value came.
    #[test]
    fn what_is_sealed_opens_to_the_same_bytes(value in prop::collection::vec(any::<u8>(), 0..600), which in 0_usize..5) {
        let (key, jwe, _) = &vectors()[which];
        let mut out = vec![];
        seal_as((jwe.as_bytes(), &key.material), &value, &mut vec![], &mut out).unwrap();
        prop_assert_eq!(&*open_jwe(&out, &key.material, ALL).unwrap().plaintext, &value);
        let (public, private) = (bob(false).material, bob(true).material);
        let pairs = [(&public, &private), (&vectors()[1].0.material, &vectors()[1].0.material)];
        let (seals, opens) = pairs[which % 2];
        out.clear();
        let sealer = Sealer::new("k", seals).expect("it seals");
        sealer.seal(&value, None, &mut vec![], &mut out).unwrap();
        prop_assert_eq!(&*open_jwe(&out, opens, ALL).unwrap().plaintext, &value);
    }
}
