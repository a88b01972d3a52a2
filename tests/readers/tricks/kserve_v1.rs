//! `kserve-v1`: `instances`, and `inputs` by columns.

use super::Book;
use crate::record::{Record, Row, event, members, members_as, numbers, object, v1};

/// `{"x0": [45], …}`
fn columns(row: &Row) -> String {
    columns_as("x", row)
}

fn columns_as(letter: &str, row: &Row) -> String {
    let member = |(i, x): (usize, &i64)| format!("\"{letter}{i}\": [{x}]");
    row.iter().enumerate().map(member).collect::<Vec<_>>().join(", ")
}

pub fn tricks() -> Book {
    let mut book = Book::new("kserve-v1");
    book.one("control: instances", v1);
    book.one("control: objects", |row| format!("{{\"instances\": [{}]}}", object(row)));
    book.one("control: columns", |row| format!("{{\"inputs\": {{{}}}}}", columns(row)));
    book.one("control: inputs by rows", |row| format!("{{\"inputs\": [[{}]]}}", numbers(row)));
    book.two("two rows", |a, b| format!("{{\"instances\": [[{}], [{}]]}}", numbers(a), numbers(b)));
    members_of(&mut book);
    rows(&mut book);
    events(&mut book);
    super::json::encodings(&mut book, v1);
    book
}

fn members_of(book: &mut Book) {
    let pair = |first: &'static str, second: &'static str| {
        move |a: &Row, b: &Row| {
            format!("{{\"{first}\": [[{}]], \"{second}\": [[{}]]}}", numbers(a), numbers(b))
        }
    };
    for (first, second) in [
        ("instances", "instances"),
        ("instances", "\\u0069nstances"),
        ("\\u0069nstances", "instances"),
        ("instances", "Instances"),
        ("INSTANCES", "instances"),
        ("instances", "instance\u{17f}"),
        ("instance\u{17f}", "instances"),
        ("instances", "inputs"),
        ("inputs", "instances"),
        ("instances", "Inputs"),
        ("INPUTS", "instances"),
        ("instances", "input\u{17f}"),
        ("inputs", "Inputs"),
        ("instances", "predictions"),
        ("instances", "data"),
    ] {
        book.two(&format!("`{first}` and `{second}`"), pair(first, second));
    }
    book.one("`Instances` alone", |row| format!("{{\"Instances\": [[{}]]}}", numbers(row)));
    book.one("`instance\u{17f}` alone", |row| {
        format!("{{\"instance\u{17f}\": [[{}]]}}", numbers(row))
    });
    book.two("`instances` null beside `inputs`", |a, _| {
        format!("{{\"instances\": null, \"inputs\": [[{}]]}}", numbers(a))
    });
    book.two("`inputs` null beside `instances`", |a, _| {
        format!("{{\"inputs\": null, \"instances\": [[{}]]}}", numbers(a))
    });
    book.one("`signature_name`", |row| {
        format!("{{\"signature_name\": \"other\", \"instances\": [[{}]]}}", numbers(row))
    });
    book.two("a second document behind", |a, b| v1(a) + &v1(b));
    book.two("columns, `X0` beside `x0`", |a, b| {
        format!("{{\"inputs\": {{{}, {}}}}}", columns(a), columns_as("X", b))
    });
    book.two("columns twice", |a, b| format!("{{\"inputs\": {{{}, {}}}}}", columns(a), columns(b)));
    book.one("columns with a stranger", |row| {
        format!("{{\"inputs\": {{{}, \"y\": [1, 2]}}}}", columns(row))
    });
    book.one("a column that is longer", |row| {
        format!(
            "{{\"inputs\": {{{}}}}}",
            columns(row)
                .replace(&format!("\"x8\": [{}]", row[8]), &format!("\"x8\": [{}, 0]", row[8]))
        )
    });
    book.one("columns that are bare numbers", |row| {
        format!("{{\"inputs\": {{{}}}}}", members(row))
    });
    book.one("columns in deeper brackets", |row| {
        format!("{{\"inputs\": {{{}}}}}", columns(row).replace('[', "[[").replace(']', "]]"))
    });
}

fn rows(book: &mut Book) {
    let list = |row: &[i64]| row.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    book.two("objects, `X0` beside `x0`", |a, b| {
        format!("{{\"instances\": [{{{}, {}}}]}}", members(a), members_as("X", b))
    });
    book.two("objects, keys twice", |a, b| {
        format!("{{\"instances\": [{{{}, {}}}]}}", members(a), members(b))
    });
    book.two("objects, keys twice and escaped", |a, b| {
        format!("{{\"instances\": [{{{}, {}}}]}}", members(a), members_as("\\u0078", b))
    });
    book.one("objects, absent where the row is 0", |row| {
        let short = object(row).replace("\"x1\": 0, ", "").replace("\"x3\": 0, ", "");
        format!("{{\"instances\": [{short}]}}")
    });
    book.two("an object and an array", |a, b| {
        format!("{{\"instances\": [{}, [{}]]}}", object(a), numbers(b))
    });
    book.two("rows of other lengths, together whole ones", move |a, b| {
        format!("{{\"instances\": [[{}], [{}], [{}, 0, 0, 0]]}}", a[0], numbers(b), list(&a[4..]))
    });
    book.two("a row of two rows' numbers", |a, b| {
        format!("{{\"instances\": [[{}, {}]]}}", numbers(a), numbers(b))
    });
    book.two("a longer row, then a shorter one", move |a, b| {
        format!("{{\"instances\": [[{}, {}], [{}]]}}", numbers(a), b[0], list(&b[1..]))
    });
    book.one("bare numbers", |row| format!("{{\"instances\": [{}]}}", numbers(row)));
    book.one("three rows of three", move |row| {
        format!(
            "{{\"instances\": [[{}], [{}], [{}]]}}",
            list(&row[..3]),
            list(&row[3..6]),
            list(&row[6..])
        )
    });
    book.one("one row of three by three", move |row| {
        format!(
            "{{\"instances\": [[[{}], [{}], [{}]]]}}",
            list(&row[..3]),
            list(&row[3..6]),
            list(&row[6..])
        )
    });
    book.one("a row in deeper brackets", |row| {
        format!("{{\"instances\": [[[[{}]]]]}}", numbers(row))
    });
    book.one("a row that is ragged inside", move |row| {
        format!("{{\"instances\": [[{}, [{}]]]}}", row[0], list(&row[1..]))
    });
    book.one("numbers in quotes", |row| {
        format!("{{\"instances\": [[{}]]}}", row.map(|x| format!("\"{x}\"")).join(", "))
    });
    book.one("null where the row is 0", |row| v1(row).replace(" 0,", " null,"));
    book.one("false where the row is 0", |row| v1(row).replace(" 0,", " false,"));
    book.one("NaN where the row is 0", |row| v1(row).replace(" 0,", " NaN,"));
    book.one("an object with a stranger that is an array", |row| {
        format!("{{\"instances\": [{{{}, \"y\": [1, 2]}}]}}", members(row))
    });
    book.why("KServe's pandas repeats the row for every element: the same row, twice");
    book.two("two objects, one with a stranger that is empty", |a, b| {
        format!("{{\"instances\": [{{{}, \"y\": []}}, {}]}}", members(a), object(b))
    });
    book.one("a row in base64", |row| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(crate::record::f32s(row));
        format!("{{\"instances\": [{{\"b64\": \"{text}\"}}]}}")
    });
}

fn events(book: &mut Book) {
    book.two("an event around, as KServe looks for it", |a, b| {
        let data = event(&format!("\"data\": {}", v1(b)));
        format!("{}, \"instances\": [[{}]]}}", &data[..data.len() - 1], numbers(a))
    });
    book.two("an event around, `data` before", |a, b| {
        format!(
            "{{\"data\": {}, \"instances\": [[{}]], {}",
            v1(b),
            numbers(a),
            &event("\"n\": 1")[1..]
        )
    });
    book.two("an event around, `inputs` beside", |a, b| {
        let data = event(&format!("\"data\": {}", v1(b)));
        format!("{}, \"inputs\": {{{}}}}}", &data[..data.len() - 1], columns(a))
    });
    book.one("an event and nothing beside", |row| event(&format!("\"data\": {}", v1(row))));
    for said in ["application/cloudevents+json", "application/json", "text/csv"] {
        book.two(&format!("an event around, `content-type: {said}`"), |a, b| {
            let data = event(&format!("\"data\": {}", v1(b)));
            let text = format!("{}, \"instances\": [[{}]]}}", &data[..data.len() - 1], numbers(a));
            Record::from(text).with("content-type", said)
        });
    }
    book.one("`ce_` headers", |row| {
        let record = Record::from(v1(row)).with("ce_specversion", "1.0").with("ce_id", "1");
        record.with("ce_source", "/s").with("ce_type", "t").with("content-type", "application/json")
    });
}
