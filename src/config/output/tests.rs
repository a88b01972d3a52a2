//! What is wrong with `[[key]]` and `[[stream.output]]`, said at once and with no secret in it.

use std::path::Path;

use crate::config::tests::{PUBLIC, SECRET};
use crate::config::{Config, Problems, Secret};

fn fetch(secret: Secret<'_>) -> Result<String, String> {
    match secret {
        Secret::Env("SECRET") => Ok(SECRET.into()),
        Secret::Env("SHORT") => Ok(r#"{"kty":"oct","k":"aHVudGVyMg"}"#.into()),
        _ => Err("nobody knows".into()),
    }
}

fn read(codec: &str, rest: &str) -> Result<Config, Problems> {
    let public = PUBLIC.replace('\n', " ");
    let text = format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n\
         [[key]]\nname = \"team\"\njwk = '{public}'\n\
         [[key]]\nname = \"names\"\njwk = {{ env = \"SECRET\" }}\n\
         [[key]]\nname = \"short\"\njwk = {{ env = \"SHORT\" }}\n\
         [[stream]]\nname = \"s\"\ninput = \"i\"\nbundle = \"x\"\ncodec = \"{codec}\"\n{rest}"
    );
    Config::read(Path::new("t.toml"), &text, [], &fetch)
}

/// `expected`: path and words of every problem, in order; none if the file is right.
fn check(codec: &str, rest: &str, expected: &[(&str, &str)]) {
    let problems = read(codec, rest).err();
    if let Some(problems) = &problems {
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
        assert!(!problems.to_string().contains("aHVudGVyMi1v"), "{problems}");
    }
    let list = problems.iter().flat_map(|problems| &problems.list);
    let found: Vec<_> = list.map(|problem| (&*problem.path, &*problem.message)).collect();
    assert_eq!(found.len(), expected.len(), "{rest}: {found:?}");
    for ((path, message), (at, words)) in found.iter().zip(expected) {
        assert!(path == at && message.contains(words), "{rest}: {found:?}");
    }
}

const OUTPUT: &str = "[[stream.output]]\n";
const STEP: &str = "[[stream.output]]\nof = \"quarantine\"\n[[stream.output.step]]\n";

#[test]
fn an_output_that_asks_for_nothing_is_none() {
    let config = read("json", &format!("{OUTPUT}{OUTPUT}[[stream.output.step]]\n")).unwrap();
    assert!(config.streams[0].outputs.is_empty());
}

#[test]
fn every_output_takes_what_can_be_done_there_and_nothing_else() {
    let of = |of: &str, rest: &str| format!("{OUTPUT}of = \"{of}\"\n{rest}");
    check("json", &of("quarantine", "encrypt_to = \"team\"\ndrop = [\"/a\"]"), &[]);
    check("json", &of("dead_letter", "encrypt_to = \"team\""), &[]);
    check("json", &of("dead_letter", "pointer = true"), &[]);
    check("json", &of("sanitized", "drop = [\"/a\"]"), &[]);
    let output = "stream[0].output[0]";
    let at = |key: &str| format!("{output}.{key}");
    check("json", &of("dead_letter", "drop = [\"/a\"]"), &[(&at("drop"), "could not be read")]);
    check(
        "json",
        &of("sanitized", "encrypt_to = \"team\""),
        &[(&at("encrypt_to"), "model could not")],
    );
    check("json", &of("sanitized", "pointer = true"), &[(&at("pointer"), "model could not")]);
    check(
        "u8",
        &of("quarantine", "keep = [\"/a\"]"),
        &[(&at("keep"), "codec \"u8\" have no fields")],
    );
    check("u8", &of("quarantine", "encrypt_to = \"team\""), &[]);
    let both = "pointer = true\nencrypt_to = \"team\"";
    check("json", &of("quarantine", both), &[(&at("pointer"), "nothing of the value")]);
    check(
        "json",
        &of("quarantine", "drop = [\"/a\", \"/a/b\"]"),
        &[(&at("drop"), "\"/a/b\" lies in")],
    );
    check("json", "[[stream.output]]\ndrop = [\"/a\"]", &[(&at("of"), "is missing")]);
    let twice = format!("{}{}", of("quarantine", ""), of("quarantine", ""));
    check("json", &twice, &[("stream[0].output[1].of", "an earlier table")]);
}

#[test]
fn keys_are_of_the_kind_that_is_needed() {
    let of = |rest: &str| format!("{OUTPUT}of = \"quarantine\"\n{rest}");
    let at = |key: &str| format!("stream[0].output[0].{key}");
    check(
        "json",
        &of("encrypt_to = \"names\""),
        &[(&at("encrypt_to"), "could open what it seals")],
    );
    check("json", &of("encrypt_to = \"nobody\""), &[(&at("encrypt_to"), "no key is called")]);
    check("json", &of("record_key = \"pseudonym\""), &[(&at("key"), "is missing")]);
    check("json", &of("key = \"names\""), &[(&at("key"), "nothing here")]);
    check(
        "json",
        &of("record_key = \"pseudonym\"\nkey = \"team\""),
        &[(&at("key"), "is no secret")],
    );
    check("json", &of("record_key = \"pseudonym\"\nkey = \"names\""), &[]);
    let short = "record_key = \"pseudonym\"\nkey = \"short\"";
    check("json", &of(short), &[(&at("step"), "has 7 bytes: 32 are wanted")]);
    let private = "[[key]]\nname = \"p\"\njwk = '{\"kty\":\"OKP\",\"crv\":\"X25519\",\
        \"x\":\"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo\",\"d\":\"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo\"}'\n";
    check("json", private, &[("key[3].jwk", "opens what was sealed")]);
    let inline = format!("[[key]]\nname = \"p\"\njwk = '{SECRET}'\n");
    check("json", &inline, &[("key[3].jwk", "a secret must not stand in this file")]);
    check(
        "json",
        "[[key]]\nname = \"team\"\njwk = \"{}\"\n",
        &[("key[3].name", "an earlier key"), ("key[3].jwk", "not a JWK")],
    );
    check("json", "[[key]]\nname = \"q\"\n", &[("key[3].jwk", "is missing")]);
}

#[test]
fn a_step_has_what_it_takes_and_no_more() {
    let at = |key: &str| format!("stream[0].output[0].step[0].{key}");
    let step = |rest: &str| format!("{STEP}{rest}");
    check("json", &step("field = \"/a\"\ndo = \"drop\""), &[]);
    check("json", &step("field = \"/a\"\ndo = \"mask\"\nkeep_last = 2"), &[]);
    check("json", &step("field = \"/a\"\ndo = \"bands\"\nedges = [1, 2.5]"), &[]);
    check("json", &step("field = \"/a\"\ndo = \"pseudonym\"\nkey = \"names\"\njoin = \"c\""), &[]);
    check("json", &step("field = \"/a\""), &[(&at("do"), "is missing")]);
    check(
        "json",
        &step("field = \"/a\"\ndo = \"null\"\nchars = 2"),
        &[(&at("chars"), "does not take")],
    );
    check(
        "json",
        &step("field = \"/a\"\ndo = \"prefix\""),
        &[("stream[0].output[0].step", "no characters"), (&at("chars"), "is missing")],
    );
    check(
        "json",
        &step("field = \"/a\"\ndo = \"bands\"\nedges = \"1\""),
        &[
            ("stream[0].output[0].step", "edges are wanted"),
            (&at("edges"), "an array of numbers is wanted, and this is a string"),
        ],
    );
    let words = &[(&*at("do"), "did you mean \"pseudonym\"")];
    check("json", &step("field = \"/a\"\ndo = \"pseudonim\""), words);
}
