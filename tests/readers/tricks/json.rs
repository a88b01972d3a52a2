//! `json`: by name and by position.

use super::Book;
use crate::record::{Record, Row, event, f32s, members, members_as, numbers, object};

/// The row with another text for `x1`.
fn with_x1(row: &Row, text: &str) -> String {
    object(row).replace("\"x1\": 0", &format!("\"x1\": {text}"))
}

/// Every number written by `spell`.
fn spelled(row: &Row, spell: impl Fn(i64) -> String) -> String {
    let member = |(i, &x): (usize, &i64)| format!("\"x{i}\": {}", spell(x));
    format!("{{{}}}", row.iter().enumerate().map(member).collect::<Vec<_>>().join(", "))
}

fn utf16(text: &str, unit: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

fn utf32(text: &str, unit: impl Fn(u32) -> [u8; 4]) -> Vec<u8> {
    text.chars().flat_map(|c| unit(c.into())).collect()
}

/// A text in the encodings that some readers find out by themselves.
pub fn encodings(book: &mut Book, text: impl Fn(&Row) -> String) {
    book.one("in UTF-16LE", |row| utf16(&text(row), u16::to_le_bytes));
    book.one("in UTF-16BE", |row| utf16(&text(row), u16::to_be_bytes));
    book.one("in UTF-16LE with a mark", |row| {
        utf16(&format!("\u{feff}{}", text(row)), u16::to_le_bytes)
    });
    book.one("in UTF-32LE", |row| utf32(&text(row), u32::to_le_bytes));
    book.one("in UTF-32BE", |row| utf32(&text(row), u32::to_be_bytes));
    book.one("in UTF-8 with a mark", |row| format!("\u{feff}{}", text(row)));
}

pub fn tricks() -> Book {
    let mut book = Book::new("json");
    book.one("control: object", object);
    book.one("control: array", |row| format!("[{}]", numbers(row)));
    book.one("control: array of arrays", |row| format!("[[{}]]", numbers(row)));
    book.one("control: array of objects", |row| format!("[{}]", object(row)));
    book.two("two rows", |a, b| format!("[{}, {}]", object(a), object(b)));
    keys(&mut book);
    documents(&mut book);
    scalars(&mut book);
    shapes(&mut book);
    headers(&mut book);
    book
}

fn keys(book: &mut Book) {
    book.two("every key twice", |a, b| format!("{{{}, {}}}", members(a), members(b)));
    book.two("keys twice, the second escaped", |a, b| {
        format!("{{{}, {}}}", members(a), members_as("\\u0078", b))
    });
    book.two("keys twice, the first escaped", |a, b| {
        format!("{{{}, {}}}", members_as("\\u0078", a), members(b))
    });
    book.two("one key twice", |a, b| format!("{{{}, \"x8\": {}}}", members(a), b[8]));
    book.two("`X0` behind `x0`", |a, b| format!("{{{}, {}}}", members(a), members_as("X", b)));
    book.two("`X0` before `x0`", |a, b| format!("{{{}, {}}}", members_as("X", a), members(b)));
    book.two("one `X0` behind `x0`", |a, b| {
        format!("{{{}, \"X0\": {}, \"X7\": {}}}", members(a), b[0], b[7])
    });
    book.one("`X0` alone", |row| format!("{{{}}}", members_as("X", row)));
    book.two("`X0` in an array of objects", |a, b| {
        format!("[{{{}, {}}}]", members(a), members_as("X", b))
    });
    book.two("keys twice in an array of objects", |a, b| {
        format!("[{{{}, {}}}]", members(a), members(b))
    });
    book.two("a NUL behind the name", |a, b| {
        format!("{{{}, {}}}", members(a), members(b).replace("\":", "\\u0000\":"))
    });
    book.two("a blank behind the name", |a, b| {
        format!("{{{}, {}}}", members(a), members(b).replace("\":", " \":"))
    });
    book.two("a lone surrogate behind the name", |a, b| {
        format!("{{{}, {}}}", members(a), members(b).replace("\":", "\\ud800\":"))
    });
    book.two("a byte that is not UTF-8 behind the name", |a, b| {
        let text = format!("{{{}, {}}}", members(a), members(b).replace("\":", "\u{1}\":"));
        text.bytes().map(|byte| if byte == 1 { 0xff } else { byte }).collect::<Vec<u8>>()
    });
    book.two("fullwidth digits in the name", |a, b| {
        let digit = |i: usize| char::from_u32(0xff10 + i as u32).expect("a digit");
        let stranger = |i: usize| format!(", \"x{}\": {}", digit(i), b[i]);
        format!("{{{}{}}}", members(a), (0..9).map(stranger).collect::<String>())
    });
    book.two("`instances` beside the names", |a, b| {
        format!("{{{}, \"instances\": [[{}]]}}", members(a), numbers(b))
    });
    book.two("`inputs` beside the names", |a, b| {
        format!("{{{}, \"inputs\": {}}}", members(a), object(b))
    });
    book.two("`features` beside the names", |a, b| {
        format!("{{{}, \"features\": {}}}", members(a), object(b))
    });
    book.two("`__proto__` beside the names", |a, b| {
        format!("{{\"__proto__\": {}, {}}}", object(b), members(a))
    });
    book.two("a deep stranger", |a, b| {
        let (open, close) = ("[".repeat(200), "]".repeat(200));
        format!("{{\"d\": {open}{}{close}, {}}}", object(b), members(a))
    });
    book.two("a stranger 100,000 deep", |a, b| {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        format!("{{\"d\": {open}{}{close}, {}}}", object(b), members(a))
    });
    book.one("names in single quotes", |row| object(row).replace('"', "'"));
    book.one("names without quotes", |row| object(row).replace('"', ""));
    book.one("names absent where the row is 0", |row| {
        object(row).replace("\"x1\": 0, ", "").replace("\"x3\": 0, ", "")
    });
    book.one("null where the row is 0", |row| object(row).replace(": 0,", ": null,"));
}

fn documents(book: &mut Book) {
    book.two("a second document behind", |a, b| object(a) + &object(b));
    book.two("a second document in the next line", |a, b| object(a) + "\n" + &object(b));
    book.two("a second document behind a comma", |a, b| object(a) + "," + &object(b));
    book.two("a second document behind a NUL", |a, b| object(a) + "\0" + &object(b));
    book.two("a record separator before each", |a, b| {
        format!("\u{1e}{}\n\u{1e}{}\n", object(a), object(b))
    });
    book.one("a brace too many", |row| object(row) + "}");
    book.one("a brace too few", |row| object(row).replace('}', ""));
    book.one("blanks around", |row| format!(" \t\r\n{}\n ", object(row)));
    book.one("a form feed before", |row| format!("\u{c}{}", object(row)));
    book.one("a no-break space before", |row| format!("\u{a0}{}", object(row)));
    book.one("a NUL behind", |row| object(row) + "\0");
    book.two("a comment before", |a, b| format!("/*{}*/{}", object(b), object(a)));
    book.two("a comment inside", |a, b| format!("{{{} /*, {}*/}}", members(a), members(b)));
    book.two("a line that is a comment", |a, b| format!("//{}\n{}", object(b), object(a)));
    book.one("a comma behind the last", |row| object(row).replace('}', ",}"));
    book.one("a document in quotes", |row| format!("\"{}\"", object(row).replace('"', "\\\"")));
    book.one("base64 in quotes", |row| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(object(row));
        format!("\"{text}\"")
    });
    super::json::encodings(book, object);
}

fn scalars(book: &mut Book) {
    for text in [
        "NaN",
        "-NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "1e400",
        "-1e400",
        "1e39",
        "1e-400",
        "-0",
        "-0.0",
        "+0",
        "00",
        "0.",
        ".0",
        "0x0",
        "0e0",
        "0E-7",
        "0.0e+000",
        "1_000",
        "1000000000000000000000000000000",
        "9007199254740993",
        "18446744073709551616",
        "\"0\"",
        "\"\"",
        "\"NaN\"",
        "true",
        "false",
        "null",
        "[0]",
        "[[0]]",
        "[]",
        "{}",
        "{\"b64\": \"MA==\"}",
        "\"MA==\"",
        "0.00000000000000000000000000000000000000000000000001",
    ] {
        book.one(&format!("`{text}` for a number"), |row| with_x1(row, text));
    }
    book.one("a number nearly between two floats", |row| with_x1(row, "57.80755424499511700"));
    book.one("numbers with a point", |row| spelled(row, |x| format!("{x}.0")));
    book.one("numbers with an exponent", |row| spelled(row, |x| format!("{x}0e-1")));
    book.one("numbers with 400 digits", |row| spelled(row, |x| format!("{x}.{}", "0".repeat(400))));
    book.one("numbers in quotes", |row| spelled(row, |x| format!("\"{x}\"")));
    book.one("numbers in brackets", |row| spelled(row, |x| format!("[{x}]")));
    book.one("numbers in objects", |row| spelled(row, |x| format!("{{\"value\": {x}}}")));
    book.one("numbers off by less than f32 sees", |row| {
        spelled(row, |x| if x == 0 { x.to_string() } else { format!("{x}.0000000001") })
    });
}

fn shapes(book: &mut Book) {
    book.one("array, one number too many", |row| format!("[{}, 0]", numbers(row)));
    book.one("array, one number too few", |row| {
        format!("[{}]", row[..8].iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
    });
    book.one("array in three parts", |row| {
        let part = |i: usize| format!("[{}, {}, {}]", row[i], row[i + 1], row[i + 2]);
        format!("[{}, {}, {}]", part(0), part(3), part(6))
    });
    book.one("array, nested three by three", |row| {
        let part = |i: usize| format!("[{}, {}, {}]", row[i], row[i + 1], row[i + 2]);
        format!("[[{}, {}, {}]]", part(0), part(3), part(6))
    });
    book.one("array, each number in brackets", |row| {
        format!("[{}]", row.map(|x| format!("[{x}]")).join(", "))
    });
    book.one("array, ragged inside", |row| {
        format!(
            "[[{}, [{}]]]",
            row[0],
            row[1..].iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
        )
    });
    book.two("rows of other lengths, together whole ones", |a, b| {
        format!(
            "[[{}], [{}], [{}, 0, 0, 0]]",
            a[0],
            numbers(b),
            a[4..].iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
        )
    });
    book.two("a row of two rows' numbers", |a, b| format!("[[{}, {}]]", numbers(a), numbers(b)));
    book.two("an object and an array", |a, b| format!("[{}, [{}]]", object(a), numbers(b)));
    book.two("an array and an object", |a, b| format!("[[{}], {}]", numbers(a), object(b)));
    book.one("an empty row behind", |row| format!("[[{}], []]", numbers(row)));
    book.one("a null row behind", |row| format!("[[{}], null]", numbers(row)));
}

fn headers(book: &mut Book) {
    let both = |a: &Row, b: &Row| {
        let data = event(&format!("\"data\": {}", object(a)));
        format!("{}, {}}}", &data[..data.len() - 1], members(b))
    };
    for said in [
        "application/cloudevents+json",
        "application/cloudevents+json; charset=utf-8",
        "Application/CloudEvents+JSON",
        "\"application/cloudevents+json\"",
    ] {
        book.two(&format!("an event around, `content-type: {said}`"), |a, b| {
            Record::from(both(a, b)).with("content-type", said)
        });
    }
    book.two("an event around, a second `content-type`", |a, b| {
        let record = Record::from(both(a, b)).with("content-type", "application/json");
        record.with("content-type", "application/cloudevents+json")
    });
    book.two("an event around, a first `content-type`", |a, b| {
        let record = Record::from(both(a, b)).with("content-type", "application/cloudevents+json");
        record.with("content-type", "application/json")
    });
    book.two("an event around, `Content-Type`", |a, b| {
        Record::from(both(a, b)).with("Content-Type", "application/cloudevents+json")
    });
    book.two("an event around, no header", both);
    book.two("an event around, `ce_` headers", |a, b| {
        let record = Record::from(both(a, b)).with("ce_specversion", "1.0").with("ce_id", "1");
        record.with("ce_source", "/s").with("ce_type", "t").with("content-type", "application/json")
    });
    for said in [
        "text/csv",
        "application/vnd.kafka.json.v2+json",
        "\"application/json\"",
        "application/x-f32-le",
        "application/x-u8",
        "application/x-protobuf",
        "application/json; charset=utf-16",
        "",
    ] {
        book.one(&format!("`content-type: {said}`"), |row| {
            Record::from(object(row)).with("content-type", said)
        });
    }
    book.one("floats, `content-type: application/x-f32-le`", |row| {
        Record::from(f32s(row)).with("content-type", "application/x-f32-le")
    });
    book.one("`ce_datacontenttype: application/x-u8`", |row| {
        Record::from(object(row)).with("ce_datacontenttype", "application/x-u8")
    });
    book.two("`Inference-Header-Content-Length` of the first of two", |a, b| {
        let first = object(a);
        let length = first.len().to_string();
        Record::from(first + &object(b)).with("Inference-Header-Content-Length", &length)
    });
}
