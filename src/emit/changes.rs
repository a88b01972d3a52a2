//! What a correction changed: `tripline-changes`, and `Repr-Digest` of the value as it came.
//!
//! `tripline-changes` is JSON: of a value in JSON the operations of RFC 6902 that made it what it is,
//! `[{"op":"replace","path":"/amount","value":12.5}]`; of more than [`OPERATIONS_MAX`] and of any other format how many
//! numbers were changed, `{"changed":784}`. `Repr-Digest` is RFC 9530's, `sha-256=:…:`: the trace says where the value
//! with this digest stands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Names of the headers.
pub const CHANGES: &str = "tripline-changes";
pub const REPR_DIGEST: &str = "Repr-Digest";

/// Operations that are told one by one.
pub const OPERATIONS_MAX: usize = 64;

/// Bytes of the header: what is longer is counted.
const BYTES_MAX: usize = 8 << 10;

/// What made `original` what is in `corrected`; `numbers` of its rows differ.
pub fn changes(original: &[u8], corrected: &[u8], numbers: u32) -> Vec<u8> {
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let operations = read(original).zip(read(corrected)).and_then(|(before, after)| {
        let mut operations = vec![];
        differ(&before, &after, &mut String::new(), &mut operations).then_some(operations)
    });
    let told = operations.map(|operations| Value::from(operations).to_string());
    let told = told.filter(|told| told.len() <= BYTES_MAX);
    told.unwrap_or_else(|| json!({ "changed": numbers }).to_string()).into_bytes()
}

/// RFC 9530's digest of a value.
pub fn repr_digest(value: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(value)))
}

/// Adds what makes `before` what `after` is, at the JSON pointer `path`; `false` if that is too much.
fn differ(before: &Value, after: &Value, path: &mut String, operations: &mut Vec<Value>) -> bool {
    let within =
        |path: &mut String, token: &str, operations: &mut Vec<Value>, pair: (&Value, &Value)| {
            let end = path.len();
            path.push('/');
            path.push_str(&token.replace('~', "~0").replace('/', "~1"));
            let fits = differ(pair.0, pair.1, path, operations);
            path.truncate(end);
            fits
        };
    let same =
        |before: &Map<String, Value>, after: &Map<String, Value>| before.keys().eq(after.keys());
    match (before, after) {
        (Value::Object(before), Value::Object(after)) if same(before, after) => before
            .iter()
            .zip(after.values())
            .all(|((name, before), after)| within(path, name, operations, (before, after))),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => before
            .iter()
            .zip(after)
            .enumerate()
            .all(|(at, pair)| within(path, &at.to_string(), operations, pair)),
        _ if before == after => true,
        _ => {
            operations.push(json!({ "op": "replace", "path": path, "value": after }));
            operations.len() <= OPERATIONS_MAX
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_name_what_was_replaced_by_rfc_6901() {
        for (before, after, told) in [
            (
                r#"{"amount": 90000, "shop": {"a/b": 1, "c": [1, 2]}}"#,
                r#"{"amount": 12.5, "shop": {"a/b": 2, "c": [1, 3]}}"#,
                r#"[{"op":"replace","path":"/amount","value":12.5},{"op":"replace","path":"/shop/a~1b","value":2},{"op":"replace","path":"/shop/c/1","value":3}]"#,
            ),
            ("7", "8", r#"[{"op":"replace","path":"","value":8}]"#),
            ("[1]", "[1.0]", r#"[{"op":"replace","path":"/0","value":1.0}]"#),
            ("{}", "{}", "[]"),
            ("{\"a\":1}", "{\"b\":1}", r#"[{"op":"replace","path":"","value":{"b":1}}]"#),
            ("\u{0}\u{1}", "\u{0}\u{2}", r#"{"changed":3}"#),
        ] {
            let found = String::from_utf8(changes(before.as_bytes(), after.as_bytes(), 3)).unwrap();
            assert_eq!(found, told, "{before}");
        }
    }

    #[test]
    fn more_than_64_operations_are_counted() {
        let list = |n: u32, x: u32| serde_json::to_vec(&vec![x; n as usize]).unwrap();
        let told = |n| String::from_utf8(changes(&list(n, 0), &list(n, 1), n)).unwrap();
        assert_eq!(told(64).matches("replace").count(), 64);
        assert_eq!(told(65), r#"{"changed":65}"#);
    }

    /// The example of RFC 9530, appendix A.
    #[test]
    fn the_digest_is_that_of_the_rfc() {
        let value = b"{\"hello\": \"world\"}\n";
        assert_eq!(repr_digest(value), "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    }
}
