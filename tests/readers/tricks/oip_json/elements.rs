//! Datatypes, shapes and parameters, where the elements are in the JSON.

use super::{of, usual};
use crate::record::{Row, named, numbers, tensor, v2, v2_of};
use crate::tricks::Book;

pub fn datatypes(book: &mut Book) {
    let typed = |datatype: &'static str, add: i64| {
        move |row: &Row| {
            v2(&[tensor("input-0", "[1, 9]", datatype, &numbers(&row.map(|x| x + add)))])
        }
    };
    for datatype in ["INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP64", "BYTES"] {
        book.one(&format!("integers as {datatype}"), typed(datatype, 0));
    }
    book.one("INT8 that is 256 more", typed("INT8", 256));
    book.one("INT16 that is 65,536 more", typed("INT16", 1 << 16));
    book.one("INT32 that is 2^32 more", typed("INT32", 1 << 32));
    book.one("UINT8 that is negative or 256 more", typed("UINT8", -256));
    book.one("UINT8, some of it negative", typed("UINT8", 0));
    book.one("UINT64, some of it negative", typed("UINT64", 0));
    book.one("BOOL that is numbers", typed("BOOL", 0));
    for datatype in ["fp32", "Fp32", "float32", "TYPE_FP32", "FP32 ", "FP8", ""] {
        book.one(&format!("datatype `{datatype}`"), typed(datatype, 0));
    }
    let spelled = |datatype: &'static str, spell: fn(i64) -> String| {
        move |row: &Row| v2(&[tensor("input-0", "[1, 9]", datatype, &row.map(spell).join(", "))])
    };
    for datatype in ["INT8", "INT32", "INT64"] {
        book.one(
            &format!("{datatype} with a fraction"),
            spelled(datatype, |x| format!("{x}{}", if x == 0 { "" } else { ".9" })),
        );
        book.one(&format!("{datatype} with a point"), spelled(datatype, |x| format!("{x}.0")));
    }
    book.one("numbers in quotes", spelled("FP32", |x| format!("\"{x}\"")));
    book.one("BYTES in quotes", spelled("BYTES", |x| format!("\"{x}\"")));
    book.one("FP16 that rounds", spelled("FP16", |x| format!("{x}.001")));
    book.one("BF16 that rounds", spelled("BF16", |x| format!("{x}.01")));
    book.one(
        "FP32 beyond FP32",
        spelled("FP32", |x| if x == 0 { "1e39".into() } else { x.to_string() }),
    );
    book.one("null where the row is 0", |row| v2_of(row).replace(" 0,", " null,"));
    book.one("NaN where the row is 0", |row| v2_of(row).replace(" 0,", " NaN,"));
    book.one("false where the row is 0", |row| v2_of(row).replace(" 0,", " false,"));
    book.one("INT64 beyond 2^53", |row| {
        v2(&[tensor(
            "input-0",
            "[1, 9]",
            "INT64",
            &numbers(row).replace(" 0,", " 9007199254740993,"),
        )])
    });
}

pub fn shapes(book: &mut Book) {
    for shape in [
        "[9]",
        "[9, 1]",
        "[3, 3]",
        "[1, 3, 3]",
        "[1, 9, 1]",
        "[9, 1, 1]",
        "[1, 1, 9]",
        "[-1, 9]",
        "[1, -1]",
        "[-1, -9]",
        "[0]",
        "[0, 9]",
        "[]",
        "[1]",
        "[2, 9]",
        "[1, 10]",
        "[1, 8]",
        "[1.0, 9.0]",
        "[1, 9.5]",
        "[\"1\", \"9\"]",
        "[true, 9]",
        "[1, null]",
        "[[1, 9]]",
        "9",
        "null",
        "\"1,9\"",
        "[4294967297, 9]",
        "[18446744073709551617, 9]",
    ] {
        book.one(&format!("shape {shape}"), |row| {
            v2(&[tensor("input-0", shape, "FP32", &numbers(row))])
        });
    }
    book.two("two rows, shape [9, 2]", |a, b| {
        v2(&[tensor("input-0", "[9, 2]", "FP32", &format!("{}, {}", numbers(a), numbers(b)))])
    });
    book.two("two rows, shape [18]", |a, b| {
        v2(&[tensor("input-0", "[18]", "FP32", &format!("{}, {}", numbers(a), numbers(b)))])
    });
    book.two("two rows of data, shape of one", |a, b| {
        v2(&[tensor("input-0", "[1, 9]", "FP32", &format!("{}, {}", numbers(a), numbers(b)))])
    });
    book.one("data in rows", |row| {
        v2(&[tensor("input-0", "[1, 9]", "FP32", &format!("[{}]", numbers(row)))])
    });
    book.one("data nested three by three", |row| {
        let part = |i: usize| format!("[{}, {}, {}]", row[i], row[i + 1], row[i + 2]);
        v2(&[tensor(
            "input-0",
            "[1, 9]",
            "FP32",
            &format!("{}, {}, {}", part(0), part(3), part(6)),
        )])
    });
    book.one("data ragged", |row| {
        let text = numbers(row);
        let (first, rest) = text.split_once(", ").expect("nine numbers");
        v2(&[tensor("input-0", "[1, 9]", "FP32", &format!("{first}, [{rest}]"))])
    });
    book.one("data of one number, not in brackets", |row| {
        let bare = named(row).into_iter().map(|text| {
            let (head, data) = text.split_once("\"data\": [").expect("data");
            format!("{head}\"data\": {}", data.replace(']', ""))
        });
        v2(&bare.collect::<Vec<_>>())
    });
}

pub fn parameters(book: &mut Book) {
    for content_type in ["pd", "np", "str"] {
        book.one(&format!("the request's `content_type` is `{content_type}`"), |row| {
            let text = v2_of(row);
            format!(
                "{}, \"parameters\": {{\"content_type\": \"{content_type}\"}}}}",
                &text[..text.len() - 1]
            )
        });
        book.one(&format!("a tensor's `content_type` is `{content_type}`"), |row| {
            of(&format!("{}, \"parameters\": {{\"content_type\": \"{content_type}\"}}", usual(row)))
        });
    }
    book.one("`content_type` `pd`, a tensor per feature", |row| {
        let text = v2(&named(row));
        format!("{}, \"parameters\": {{\"content_type\": \"pd\"}}}}", &text[..text.len() - 1])
    });
    book.one("`content_type` `pd`, in another order", |row| {
        let text = v2(&named(row).into_iter().rev().collect::<Vec<_>>());
        format!("{}, \"parameters\": {{\"content_type\": \"pd\"}}}}", &text[..text.len() - 1])
    });
    book.one("shared memory beside the data", |row| {
        of(&format!("{}, \"parameters\": {{\"shared_memory_region\": \"r\", \"shared_memory_byte_size\": 36}}", usual(row)))
    });
    book.one("a parameter of another meaning", |row| {
        of(&format!("{}, \"parameters\": {{\"priority\": 3}}", usual(row)))
    });
    book.one("`binary_data_output` of the request", |row| {
        let text = v2_of(row);
        format!("{}, \"parameters\": {{\"binary_data_output\": true}}}}", &text[..text.len() - 1])
    });
}
