//! `oip-json`: V2 bodies; here which tensors there are, and how their members are called.

mod binary;
mod elements;

use self::binary::{binary_of, with_length};
use super::Book;
use crate::record::{Row, f32s, named, numbers, tensor, v2, v2_of, whole};

/// A body whose only tensor has `members` beside its name.
fn of(members: &str) -> String {
    format!("{{\"inputs\": [{{\"name\": \"input-0\", {members}}}]}}")
}

fn usual(row: &Row) -> String {
    format!("\"shape\": [1, 9], \"datatype\": \"FP32\", \"data\": [{}]", numbers(row))
}

pub fn tricks() -> Book {
    let mut book = Book::new("oip-json");
    book.one("control", v2_of);
    book.one("control: a tensor per feature", |row| v2(&named(row)));
    book.one("control: binary", |row| with_length(binary_of("36", f32s(row))));
    book.two("two rows", |a, b| {
        v2(&[tensor("input-0", "[2, 9]", "FP32", &format!("{}, {}", numbers(a), numbers(b)))])
    });
    tensors(&mut book);
    keys(&mut book);
    elements::datatypes(&mut book);
    elements::shapes(&mut book);
    elements::parameters(&mut book);
    binary::binary(&mut book);
    binary::headers(&mut book);
    super::json::encodings(&mut book, v2_of);
    settings(&mut book);
    book
}

fn tensors(book: &mut Book) {
    book.two("another tensor behind", |a, b| v2(&[whole("input-0", a), whole("input-1", b)]));
    book.two("another tensor before those of the features", |a, b| {
        v2(&[&[whole("input-0", b)], &named(a)[..]].concat())
    });
    book.two("another tensor behind those of the features", |a, b| {
        v2(&[&named(a)[..], &[whole("input-0", b)]].concat())
    });
    book.two("two tensors of one name", |a, b| v2(&[whole("input-0", a), whole("input-0", b)]));
    book.two("every feature's tensor twice", |a, b| v2(&[named(a), named(b)].concat()));
    book.two("one feature's tensor twice", |a, b| v2(&[&named(a)[..], &named(b)[..1]].concat()));
    book.two("`X0` behind `x0`", |a, b| {
        let other = named(b).into_iter().map(|text| text.replace("\"x", "\"X"));
        v2(&[named(a), other.collect()].concat())
    });
    book.one("the features' tensors in another order", |row| {
        v2(&named(row).into_iter().rev().collect::<Vec<_>>())
    });
    // The names say one row, the places another.
    book.one("the features' tensors under each other's names", |row| {
        let swapped =
            |i: usize| tensor(&format!("x{}", 8 - i), "[1, 1]", "FP32", &row[i].to_string());
        v2(&(0..9).map(swapped).collect::<Vec<_>>())
    });
    book.one("a feature's tensor absent where the row is 0", |row| {
        let mut tensors = named(row);
        tensors.remove(3);
        v2(&tensors)
    });
    book.one("the only tensor has a feature's name", |row| v2(&[whole("x0", row)]));
    // By name these are nine rows; alone, the first tensor is one.
    book.two("a tensor per feature of nine rows, the first one's elements a row", |a, b| {
        let column = |i: usize| [a[i]; 9].map(|x| x.to_string()).join(", ");
        let mut tensors = vec![tensor("x0", "[9]", "FP32", &numbers(b))];
        tensors.extend((1..9).map(|i| tensor(&format!("x{i}"), "[9]", "FP32", &column(i))));
        v2(&tensors)
    });
    book.one("no tensor", |_| v2(&[]));
    book.one("an empty tensor behind", |row| {
        v2(&[whole("input-0", row), tensor("e", "[0]", "FP32", "")])
    });
}

fn keys(book: &mut Book) {
    for (first, second) in [
        ("inputs", "inputs"),
        ("inputs", "\\u0069nputs"),
        ("inputs", "Inputs"),
        ("INPUTS", "inputs"),
        ("inputs", "input\u{17f}"),
        ("inputs", "instances"),
        ("inputs", "outputs"),
    ] {
        book.two(&format!("`{first}` and `{second}`"), |a, b| {
            format!(
                "{{\"{first}\": [{}], \"{second}\": [{}]}}",
                whole("input-0", a),
                whole("input-0", b)
            )
        });
    }
    book.one("`Inputs` alone", |row| v2_of(row).replace("inputs", "Inputs"));
    for second in ["data", "\\u0064ata", "Data", "DATA"] {
        book.two(&format!("`data` and `{second}`"), |a, b| {
            of(&format!("{}, \"{second}\": [{}]", usual(a), numbers(b)))
        });
        book.two(&format!("`{second}` and `data`"), |a, b| {
            of(&format!("\"{second}\": [{}], {}", numbers(a), usual(b)))
        });
    }
    for (name, with) in [
        ("`Shape` beside `shape`", "\"Shape\": [9, 1]"),
        ("`\u{17f}hape` beside `shape`", "\"\u{17f}hape\": [9, 1]"),
        ("`shape` twice", "\"shape\": [9, 1]"),
        ("`Datatype` beside `datatype`", "\"Datatype\": \"INT8\""),
        ("`datatype` twice", "\"datatype\": \"INT8\""),
        ("`Name` beside `name`", "\"Name\": \"x0\""),
        ("`name` twice", "\"name\": \"x0\""),
        ("`contents` beside `data`", "\"contents\": {\"fp32_contents\": [1]}"),
        ("`Parameters` beside `data`", "\"Parameters\": {\"binary_data_size\": 36}"),
    ] {
        book.one(name, |row| of(&format!("{}, {with}", usual(row))));
    }
    book.two("names by two spellings", |a, b| {
        let twice = |i: usize| {
            tensor(&format!("x{i}"), "[1, 1]", "FP32", &a[i].to_string())
                .replace("\"shape\"", &format!("\"Data\": [{}], \"shape\"", b[i]))
        };
        v2(&(0..9).map(twice).collect::<Vec<_>>())
    });
    book.one("a tensor that is an array", |row| {
        format!("{{\"inputs\": [[\"input-0\", [1, 9], \"FP32\", [{}]]]}}", numbers(row))
    });
    book.one("`inputs` that is an object", |row| {
        format!("{{\"inputs\": {{\"input-0\": {}}}}}", whole("input-0", row))
    });
    book.two("a second document behind", |a, b| v2_of(a) + &v2_of(b));
}

/// What an operator may allow.
fn settings(book: &mut Book) {
    let mask = |row: &Row| vec![whole("mask", row)];
    book.on("inputs_by = \"name\"");
    book.one("control: a tensor per feature, in another order", |row| {
        v2(&named(row).into_iter().rev().collect::<Vec<_>>())
    });
    book.two("every feature's tensor twice", |a, b| v2(&[named(a), named(b)].concat()));
    book.two("a tensor that nobody listed behind", |a, b| v2(&[named(a), mask(b)].concat()));
    book.two("`X0` behind `x0`", |a, b| {
        let other = named(b).into_iter().map(|text| text.replace("\"x", "\"X"));
        v2(&[named(a), other.collect()].concat())
    });
    book.on("extra_inputs = [\"mask\"]");
    book.two("control: a listed tensor behind", |a, _| v2(&[named(a), mask(&[0; 9])].concat()));
    book.two("a listed tensor before", |a, b| v2(&[mask(b), named(a)].concat()));
    book.two("a listed tensor twice", |a, b| v2(&[named(a), mask(b), mask(a)].concat()));
    book.two("a listed tensor in other letters", |a, b| {
        v2(&[named(a), vec![whole("Mask", b)]].concat())
    });
    book.two("a listed tensor alone", |_, b| v2(&mask(b)));
    book.on("inputs_by = \"name\"\nextra_inputs = [\"mask\"]");
    book.two("control: a listed tensor before", |a, _| v2(&[mask(&[0; 9]), named(a)].concat()));
    book.two("a listed tensor before, which is a row", |a, b| v2(&[mask(b), named(a)].concat()));
}
