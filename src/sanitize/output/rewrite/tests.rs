//! Values that leave, by example and by law.

use proptest::prelude::*;
use serde_json::Value;

use super::super::plan::Wish;
use super::*;
use crate::sanitize::field::{FIELD_STEPS, FieldSettings};

fn plan(keep: &[&str], drop: &[&str], null: &[&str]) -> Plan {
    let step = || (FIELD_STEPS[0].make)(&FieldSettings::default()).unwrap();
    assert_eq!(FIELD_STEPS[0].name, "null");
    let of = |paths: &[&str], wish: &dyn Fn() -> Wish| {
        paths.iter().map(|&path| (path.to_owned(), wish())).collect::<Vec<_>>()
    };
    let keep = of(keep, &|| Wish::Keep);
    let drop = of(drop, &|| Wish::Drop);
    let null = of(null, &|| Wish::Step(step()));
    Plan::new(keep.into_iter().chain(drop).chain(null).collect()).unwrap()
}

fn rewritten(plan: &Plan, value: &[u8]) -> Result<String, Unfit> {
    let mut out = b"kept".to_vec();
    let done = plan.rewrite(value, &mut out);
    assert_eq!(out[..4], *b"kept");
    if done.is_err() {
        assert_eq!(out.len(), 4, "a value that is refused leaves something behind");
    }
    done.map(|()| String::from_utf8(out.split_off(4)).unwrap())
}

fn check(plan: &Plan, value: &str, expected: Result<&str, Unfit>) {
    assert_eq!(rewritten(plan, value.as_bytes()).as_deref(), expected.as_deref(), "{value}");
}

#[test]
fn a_field_that_is_dropped_goes_with_its_name_and_one_comma() {
    let plan = plan(&[], &["/a", "/c/x"], &[]);
    check(&plan, r#" { "a" : 1 , "b" : 2 } "#, Ok(r#" { "b" : 2 } "#));
    check(&plan, r#"{"b":2,"a":1}"#, Ok(r#"{"b":2}"#));
    check(&plan, r#"{"b":2, "a":[1,{"a":2}] ,"d":3}"#, Ok(r#"{"b":2 ,"d":3}"#));
    check(&plan, r#"{"a":1}"#, Ok("{}"));
    check(&plan, r#"{"a":1,"a":2,"b":3}"#, Ok(r#"{"b":3}"#));
    check(&plan, r#"{"b":0,"a":1,"a":2,"d":3,"a":4}"#, Ok(r#"{"b":0,"d":3}"#));
    check(&plan, r#"{"c":{"x":1,"y":"}"}}"#, Ok(r#"{"c":{"y":"}"}}"#));
    check(&plan, r#"{"c":{"y":{"x":1}}}"#, Ok(r#"{"c":{"y":{"x":1}}}"#));
    check(&plan, "{\n}", Ok("{\n}"));
}

#[test]
fn a_name_that_a_reader_could_take_for_the_dropped_one_goes_too() {
    let plan = plan(&[], &["/name"], &[]);
    check(&plan, r#"{"NAME":1,"N\u0061me":2,"b":3}"#, Ok(r#"{"b":3}"#));
    check(&plan, r#"{"names":1}"#, Ok(r#"{"names":1}"#));
    check(&plan, r#"{"\ud800":1,"name":2}"#, Err(Unfit::Format));
}

#[test]
fn only_what_is_kept_stays() {
    let plan = plan(&["/a", "/c/x", "/r/*/p"], &[], &["/a/secret"]);
    check(&plan, r#"{"z":1,"a":[1, 2],"b":"s"}"#, Err(Unfit::Hidden));
    check(
        &plan,
        r#"{"z":1,"a":{"q":2, "secret":3},"b":"s"}"#,
        Ok(r#"{"a":{"q":2, "secret":null}}"#),
    );
    check(&plan, r#"{"c":{"x":1,"y":2}}"#, Ok(r#"{"c":{"x":1}}"#));
    check(&plan, r#"{"c":"text","A":1}"#, Ok(r#"{"c":null}"#));
    check(
        &plan,
        r#"{"r":[{"p":1,"q":2},"s",[{"p":3}],{"q":4}]}"#,
        Ok(r#"{"r":[{"p":1},null,[null],{}]}"#),
    );
    for value in ["\"text\"", "7", "[7]", r#"["text"]"#] {
        check(&plan, value, Err(Unfit::Hidden));
    }
}

#[test]
fn every_row_is_meant_by_a_star_and_one_by_its_number() {
    let every = plan(&[], &["/rows/*/name"], &[]);
    check(&every, r#"{"rows":[{"name":1},{"v":2,"name":3},4]}"#, Ok(r#"{"rows":[{},{"v":2},4]}"#));
    check(&every, r#"{"rows":["{\"name\":1}"]}"#, Err(Unfit::Hidden));
    let one = plan(&[], &["/rows/1"], &["/rows/0/x"]);
    check(
        &one,
        r#"{"rows":[{"x":1},{"x":2},{"x":3}]}"#,
        Ok(r#"{"rows":[{"x":null},null,{"x":3}]}"#),
    );
}

#[test]
fn where_a_field_could_be_hidden_nothing_leaves() {
    let plan = plan(&[], &["/data/name"], &[]);
    check(&plan, r#"{"data":{"name":1}}"#, Ok(r#"{"data":{}}"#));
    check(&plan, r#"{"data":"{\"name\":1}"}"#, Err(Unfit::Hidden));
    check(&plan, r#"{"data":[{"name":1}]}"#, Err(Unfit::Hidden));
    check(&plan, r#"{"data_base64":"eyJuYW1lIjoxfQ=="}"#, Err(Unfit::Hidden));
    check(&plan, r#"{"data":null}"#, Ok(r#"{"data":null}"#));
    check(&plan, r#"{"other":"name"}"#, Ok(r#"{"other":"name"}"#));
    check(&plan, r#"[{"data":{"name":1}}]"#, Err(Unfit::Hidden));
    for no_json in ["", "{", "{}{}", "{\"data\":}", "\u{0}{}", "{\"a\":1,}"] {
        check(&plan, no_json, Err(Unfit::Format));
    }
    assert_eq!(rewritten(&plan, b"{\"a\":\"\xff\"}"), Err(Unfit::Format));
}

#[test]
fn a_step_sees_a_string_without_its_escapes_and_leaves_null_alone() {
    let settings = FieldSettings { chars: Some(2), ..FieldSettings::default() };
    let prefix = FIELD_STEPS.iter().find(|kind| kind.name == "prefix").unwrap();
    let step = Wish::Step((prefix.make)(&settings).unwrap());
    let plan = Plan::new(vec![("/a".into(), step)]).unwrap();
    check(&plan, r#"{"a": "\u00e9\"x" , "b": 1}"#, Ok("{\"a\": \"\u{e9}\\\"\" , \"b\": 1}"));
    check(&plan, r#"{"a":null}"#, Ok(r#"{"a":null}"#));
    check(&plan, r#"{"a":12345}"#, Ok(r#"{"a":"12"}"#));
    check(&plan, r#"{"a":{"b":1}}"#, Err(Unfit::Step));
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c\"\\\\{}\\[\\],: \u{e9}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-cA]", inner), 0..4)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// What the plan means, on a parsed document.
fn meant(value: &mut Value, drop: &str) -> bool {
    let (first, rest) = drop.split_once('/').map_or((drop, None), |(a, b)| (a, Some(b)));
    match (value, rest) {
        (Value::Object(map), None) => {
            map.retain(|key, _| !key.eq_ignore_ascii_case(first));
            true
        }
        (Value::Object(map), Some(rest)) => {
            let mut all = map.iter_mut().filter(|(key, _)| key.eq_ignore_ascii_case(first));
            all.all(|(_, value)| meant(value, rest))
        }
        (Value::Array(_) | Value::String(_), _) => false,
        _ => true,
    }
}

proptest! {
    #[test]
    fn what_leaves_is_the_document_without_the_field_and_no_other_byte_changes(
        mut value in document(), pretty: bool, drop in "[a-c](/[a-c]){0,2}",
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        let plan = plan(&[], &[&format!("/{drop}")], &[]);
        let made = rewritten(&plan, text.as_bytes());
        if meant(&mut value, &drop) {
            let made = made.unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&made).unwrap(), value);
            let mut rest = text.bytes();
            prop_assert!(made.bytes().all(|byte| rest.any(|b| b == byte)), "{} {}", made, text);
        } else {
            prop_assert_eq!(made, Err(Unfit::Hidden));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(prop::sample::select(b"{}[],:\"\\ ntrue01-.eua\xc3\x00".to_vec()), 0..60)) {
        for plan in [plan(&["/a/*/a"], &[], &[]), plan(&[], &["/a", "/u/0"], &["/t/a"])] {
            let _ = rewritten(&plan, &bytes);
        }
    }
}
