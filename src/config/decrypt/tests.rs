//! What is wrong with `[stream.decrypt]`, said at once and with no secret in it.

use std::path::Path;

use crate::config::tests::{PUBLIC, SECRET};
use crate::config::{Config, Kms, Problems, Secret};
use crate::open::{JweSpec, OpenerSpec};

const PRIVATE: &str = r#"{"kty":"OKP","crv":"X25519","kid":"pair-1","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
    "d":"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"}"#;

fn fetch(secret: Secret<'_>) -> Result<String, String> {
    let set = |ids: [&str; 2]| {
        let key = |id: &str| SECRET.replace("\"oct\"", &format!("\"oct\", \"kid\": \"{id}\""));
        format!("{{\"keys\": [{}, {}]}}", key(ids[0]), key(ids[1]))
    };
    match secret {
        Secret::Env("SECRET") => Ok(SECRET.into()),
        Secret::Env("PRIVATE") => Ok(PRIVATE.into()),
        Secret::Env("SET") => Ok(set(["2025", "2026"])),
        Secret::Env("SAME") => Ok(set(["2026", "2026"])),
        Secret::Env("NAMELESS") => Ok(format!("{{\"keys\": [{SECRET}, {SECRET}]}}")),
        _ => Err("nobody knows".into()),
    }
}

fn read(keys: &[&str], rest: &str) -> Result<Config, Problems> {
    let key = |name: &&str| match *name {
        "TEAM" => format!("[[key]]\nname = \"TEAM\"\njwk = '{}'\n", PUBLIC.replace('\n', " ")),
        "INLINE" => format!("[[key]]\nname = \"INLINE\"\njwk = '{}'\n", PRIVATE.replace('\n', " ")),
        name => format!("[[key]]\nname = \"{name}\"\njwk = {{ env = \"{name}\" }}\n"),
    };
    let text = format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n{}\
         [[stream]]\nname = \"s\"\ninput = \"i\"\nbundle = \"x\"\n{rest}",
        keys.iter().map(key).collect::<String>()
    );
    Config::read(Path::new("t.toml"), &text, [], &fetch)
}

/// `expected`: path and words of every problem, in order; none if the file is right.
fn check(keys: &[&str], rest: &str, expected: &[(&str, &str)]) {
    let problems = read(keys, rest).err();
    if let Some(problems) = &problems {
        let shown = format!("{problems} {problems:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMi1v"), "{shown}");
        assert!(!shown.contains("dwdtCnMYpX08"), "{shown}");
    }
    let list = problems.iter().flat_map(|problems| &problems.list);
    let found: Vec<_> = list.map(|problem| (&*problem.path, &*problem.message)).collect();
    assert_eq!(found.len(), expected.len(), "{rest}: {found:?}");
    for ((path, message), (at, words)) in found.iter().zip(expected) {
        assert!(path == at && message.contains(words), "{rest}: {found:?}");
    }
}

fn table(keys: &str, algorithms: &str, rest: &str) -> String {
    format!(
        "[stream.decrypt]\nkind = \"jwe\"\nkeys = [{keys}]\nalgorithms = [{algorithms}]\n{rest}"
    )
}

fn jwe(config: &Config) -> JweSpec {
    config.streams[0].decrypt.as_ref().and_then(OpenerSpec::jwe).expect("one of JWE").clone()
}

const DIR: &str = "\"dir+A256GCM\"";
const ECDH: &str = "\"ECDH-ES+A128GCM\"";

#[test]
fn secrets_private_keys_and_sets_open_values() {
    assert_eq!(read(&[], "[stream.decrypt]\n").unwrap().streams[0].decrypt, None);
    let config =
        read(&["SET", "PRIVATE"], &table("\"SET\", \"PRIVATE\"", &format!("{DIR}, {ECDH}"), ""));
    let spec = jwe(&config.unwrap());
    let ids: Vec<&str> = spec.keys.iter().map(|(id, _)| &**id).collect();
    assert_eq!(ids, ["2025", "2026", "pair-1"]);
    assert_eq!(spec.algorithms, [("dir", "A256GCM"), ("ECDH-ES", "A128GCM")]);
    assert!(spec.required && spec.reseal.is_none());
    let shown = format!("{spec:?}");
    assert!(!shown.contains("hunter2") && shown.contains("32 bytes"), "{shown}");
    let rest = "required = false\nreseal = \"TEAM\"\n";
    let config = read(&["SECRET", "TEAM"], &table("\"SECRET\"", DIR, rest)).unwrap();
    let spec = jwe(&config);
    assert_eq!(
        (spec.required, &*spec.reseal.unwrap().0, &*spec.keys[0].0),
        (false, "team-7", "SECRET")
    );
    check(&["SECRET"], &table("\"SECRET\"", DIR, "reseal = \"same\"\n"), &[]);
}

#[test]
fn what_cannot_open_or_seal_is_named() {
    let at = |key: &str| format!("stream[0].decrypt.{key}");
    let (keys, algorithms, reseal) = (at("keys"), at("algorithms"), at("reseal"));
    let nothing =
        [(&*at("kind"), "is missing"), (&*keys, "is missing"), (&*algorithms, "is missing")];
    check(&[], "[stream.decrypt]\nrequired = true\n", &nothing);
    check(&["SECRET"], &table("", DIR, ""), &[(&*keys, "is empty")]);
    check(&["SECRET"], &table("\"SECRET\"", "", ""), &[(&*algorithms, "is empty")]);
    check(&["SECRET"], &table("\"nobody\"", DIR, ""), &[(&*keys, "no key is called")]);
    check(&["TEAM"], &table("\"TEAM\"", ECDH, ""), &[(&*keys, "seals, and opens nothing")]);
    check(&["SAME"], &table("\"SAME\"", DIR, ""), &[(&*keys, "two keys are called \"2026\"")]);
    check(&["NAMELESS"], &table("\"NAMELESS\"", DIR, ""), &[("key[0].jwk", "no `kid`")]);
    check(
        &["SECRET"],
        &table("\"SECRET\"", "\"dir+A256GMC\"", ""),
        &[(&*algorithms, "did you mean \"dir+A256GCM\"?")],
    );
    check(
        &["SECRET"],
        &table("\"SECRET\"", ECDH, ""),
        &[(&*keys, "opens nothing of these"), (&*algorithms, "no key here opens")],
    );
    let to = |name: &str| table("\"SECRET\"", DIR, &format!("reseal = \"{name}\"\n"));
    check(&["SECRET"], &to("nobody"), &[(&*reseal, "no key is called")]);
    check(&["SECRET", "SET"], &to("SET"), &[(&*reseal, "is a set of 2 keys")]);
    let private = [("key[1].jwk", "opens what was sealed"), (&*reseal, "cannot seal")];
    check(&["SECRET", "PRIVATE"], &to("PRIVATE"), &private);
}

#[test]
fn a_private_key_is_taken_from_elsewhere_and_only_where_it_opens_values() {
    check(
        &["INLINE"],
        &table("\"INLINE\"", ECDH, ""),
        &[("key[0].jwk", "must not stand in this file")],
    );
    check(&["PRIVATE"], "", &[("key[0].jwk", "opens what was sealed")]);
    let quarantine = "[[stream.output]]\nof = \"quarantine\"\nencrypt_to = \"PRIVATE\"\n";
    let both = format!("{}{quarantine}", table("\"PRIVATE\"", ECDH, ""));
    let could = ("stream[0].output[0].encrypt_to", "could open what it seals");
    check(&["PRIVATE"], &both, &[could]);
}

#[test]
fn words_with_values_and_sealed_records_do_not_go_together() {
    let rest = format!("reason_values = true\n{}", table("\"SECRET\"", DIR, ""));
    check(&["SECRET"], &rest, &[("stream[0].reason_values", "would hold what was sealed")]);
}

/// A key of a vault; `rest` follows its `url` and `key`.
fn vault(jwk: &str, rest: &str) -> String {
    let text = format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[[key]]\nname = \"k\"\nkind = \"vault\"\njwk = {jwk}\n\
         url = \"https://vault:8200/\"\nkey = \"tripline\"\n{rest}\n[[stream]]\nname = \"s\"\ninput = \"i\"\n\
         bundle = \"x\"\n{}",
        table("\"k\"", DIR, "")
    );
    let secret = |secret: Secret<'_>| match secret {
        Secret::Env("SECRET") => Ok(SECRET.to_owned()),
        _ => Ok("hunter2\n".to_owned()),
    };
    match Config::read(Path::new("t.toml"), &text, [], &secret) {
        Ok(config) => format!("{:?} {:?}", config.streams[0].vault_keys, config.streams[0].decrypt),
        Err(problems) => format!("{problems} {problems:?}"),
    }
}

#[test]
fn a_vault_wants_an_address_a_key_a_login_and_what_it_wrapped_and_shows_no_secret() {
    const WRAPPED: &str = "\"vault:v1:abc\"";
    let check = |jwk: &str, rest: &str, words: &str| {
        let said = vault(jwk, rest);
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("aHVudGVyMi1v"), "{said}");
    };
    let token = "token = { env = \"TOKEN\" }";
    check(WRAPPED, token, "elsewhere: [\"k\"]");
    check(WRAPPED, &format!("{token}\ncache = \"10m\""), "cache: 600s");
    check(WRAPPED, "role_id = \"r\"\nsecret_id = { env = \"ID\" }", "AppRole { role_id: \"r\"");
    check(WRAPPED, "", "write `token`, or else `role_id` and `secret_id`");
    check(WRAPPED, "role_id = \"r\"", "write `token`, or else");
    check(WRAPPED, "token = \"hunter2\"", "a secret must not stand in this file");
    check(WRAPPED, &format!("{token}\nmount = \"../sys\""), "is no name here");
    check("{ env = \"SECRET\" }", token, "this is nothing that a vault wrapped");
    check(
        "{ env = \"SECRET\" }",
        &format!("{token}\nmount = \"a/b\""),
        "nothing that a vault wrapped",
    );
}

#[test]
fn what_belongs_to_a_vault_needs_one() {
    let key = "[[key]]\nname = \"SECRET\"\njwk = { env = \"SECRET\" }\nurl = \"https://v\"\n";
    check(&[], key, &[("key[0].url", "needs a vault")]);
}

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A stream that opens encrypted fields: with what a key says, and the rest of the table.
fn wrapping(key: &str, rest: &str) -> Result<Config, String> {
    let text = format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[registry]\nurl = \"http://r\"\n[[key]]\nname = \"kek\"\n{key}\n\
         [[stream]]\nname = \"s\"\ninput = \"i\"\nbundle = \"x\"\ncodec = \"confluent\"\n[stream.decrypt]\nkind = \"csfle\"\n{rest}"
    );
    let secret = |_: Secret<'_>| Ok("hunter2\n".to_owned());
    let config = Config::read(Path::new("t.toml"), &text, [], &secret);
    config.map_err(|problems| format!("{problems} {problems:?}"))
}

const KEYS: &str = "keys = [\"kek\"]\n";

#[test]
fn keys_of_three_services_wrap_data_keys_and_show_no_secret() {
    let secrets = "access_key_id = { env = \"A\" }\nsecret_access_key = { env = \"B\" }\n";
    let aws = format!("kind = \"aws-kms\"\narn = \"{ARN}\"\n{secrets}");
    let local = "kind = \"local-kms\"\nsecret = { env = \"S\" }\ncache = \"10m\"\n".to_owned();
    let vault =
        "kind = \"vault\"\nurl = \"https://v:8200\"\nkey = \"k\"\ntoken = { env = \"T\" }\n"
            .to_owned();
    for (key, kind) in [(&aws, "aws-kms"), (&local, "local-kms"), (&vault, "hcvault")] {
        let config = wrapping(key, KEYS).unwrap();
        let stream = &config.streams[0];
        let csfle = stream.decrypt.as_ref().and_then(OpenerSpec::csfle).unwrap();
        assert_eq!((&*csfle.subject, csfle.required), ("i-value", true));
        assert_eq!(csfle.keys, ["kek"]);
        assert_eq!(stream.wrapping_keys[0].kms.kind(), kind);
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }
    let Kms::Aws(key) = &wrapping(&aws, KEYS).unwrap().streams[0].wrapping_keys[0].kms else {
        panic!("it is of AWS")
    };
    assert_eq!(
        (&*key.region, &*key.endpoint, key.secret_access_key.expose().as_str()),
        ("eu-central-1", "https://kms.eu-central-1.amazonaws.com", "hunter2")
    );
}

#[test]
fn what_cannot_wrap_data_keys_is_named() {
    let local = "kind = \"local-kms\"\nsecret = { env = \"S\" }\n";
    for (key, rest, words) in [
        (local, "", "is missing"),
        (local, "keys = []\n", "is empty"),
        (local, "keys = [\"kek\", \"kek\"]\n", "is there twice"),
        (local, "keys = [\"kek\"]\nalgorithms = [\"x\"]\n", "is not for csfle"),
        (local, "keys = [\"kek\"]\nreseal = \"kek\"\n", "is not for csfle"),
        ("kind = \"local-kms\"\n", KEYS, "is missing"),
        ("kind = \"local-kms\"\nsecret = \"hunter2\"\n", KEYS, "must not stand in this file"),
        (
            "kind = \"local-kms\"\nsecret = { env = \"S\" }\njwk = \"x\"\n",
            KEYS,
            "is not for this kind",
        ),
        ("kind = \"local-kms\"\nsecret = { env = \"S\" }\narn = \"x\"\n", KEYS, "needs `kind"),
        ("kind = \"aws-kms\"\narn = \"key/1\"\n", KEYS, "is no ARN of a key"),
        (
            "jwk = '{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo\"}'",
            KEYS,
            "wraps no data keys",
        ),
    ] {
        let said = wrapping(key, rest).unwrap_err();
        assert!(said.contains(words) && !said.contains("hunter2"), "{key}{rest}: {said}");
    }
    let jwe =
        "[stream.decrypt]\nkind = \"jwe\"\nkeys = [\"kek\"]\nalgorithms = [\"dir+A256GCM\"]\n";
    let said = wrapping(local, KEYS).map(|_| ()).err();
    assert_eq!(said, None);
    let text = format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[[key]]\nname = \"kek\"\n{local}[[stream]]\nname = \"s\"\ninput = \"i\"\nbundle = \"x\"\n"
    );
    let read = |rest: &str| {
        let secret = |_: Secret<'_>| Ok("hunter2".to_owned());
        let read = Config::read(Path::new("t.toml"), &format!("{text}{rest}"), [], &secret);
        read.map(|_| ()).map_err(|problems| format!("{problems}")).unwrap_err()
    };
    assert!(read(jwe).contains("it opens no JWE"), "{}", read(jwe));
    let no_registry = read("[stream.decrypt]\nkind = \"csfle\"\nkeys = [\"kek\"]\n");
    assert!(no_registry.contains("registry"), "{no_registry}");
    assert!(no_registry.contains("reads no frames"), "{no_registry}");
}
