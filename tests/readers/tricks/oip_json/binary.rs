//! Tensors behind the JSON, the header that says where they begin, and other headers.

use super::{of, usual};
use crate::record::{Record, Row, event, f32s, v2, v2_of, whole};
use crate::tricks::Book;

const LENGTH: &str = "Inference-Header-Content-Length";

/// A tensor of floats behind the JSON, said to be so long.
pub fn binary_of(size: &str, tail: Vec<u8>) -> (String, Vec<u8>) {
    let head = of(&format!(
        "\"shape\": [1, 9], \"datatype\": \"FP32\", \"parameters\": {{\"binary_data_size\": {size}}}"
    ));
    (head, tail)
}

pub fn with_length((head, tail): (String, Vec<u8>)) -> Record {
    let length = head.len().to_string();
    Record::from([head.into_bytes(), tail].concat()).with(LENGTH, &length)
}

pub fn binary(book: &mut Book) {
    book.one("binary, no header", |row| {
        let (head, tail) = binary_of("36", f32s(row));
        [head.into_bytes(), tail].concat()
    });
    for size in
        ["35", "37", "32", "72", "0", "-36", "36.0", "3.6e1", "\"36\"", "null", "[36]", "true"]
    {
        book.one(&format!("binary, size `{size}`"), |row| with_length(binary_of(size, f32s(row))));
    }
    book.two("binary, more bytes than are said", |a, b| {
        with_length(binary_of("36", [f32s(a), f32s(b)].concat()))
    });
    book.two("binary and data", |a, b| {
        let head = of(&format!("{}, \"parameters\": {{\"binary_data_size\": 36}}", usual(a)));
        with_length((head, f32s(b)))
    });
    book.two("binary and data that is null", |a, _| {
        let head = of("\"shape\": [1, 9], \"datatype\": \"FP32\", \"data\": null, \"parameters\": {\"binary_data_size\": 36}");
        with_length((head, f32s(a)))
    });
    book.two("data beside a binary stranger", |a, b| {
        let stranger = "{\"name\": \"y\", \"shape\": [1, 9], \"datatype\": \"FP32\", \"parameters\": {\"binary_data_size\": 36}}";
        with_length((v2(&[whole("input-0", a), stranger.to_owned()]), f32s(b)))
    });
    book.two("`Binary_Data_Size` beside `binary_data_size`", |a, b| {
        let head = of("\"shape\": [1, 9], \"datatype\": \"FP32\", \"parameters\": {\"Binary_Data_Size\": 0, \"binary_data_size\": 36}");
        with_length((head, [f32s(a), f32s(b)].concat()))
    });
    book.two("`binary_data_size` twice", |a, b| {
        let head = of("\"shape\": [1, 9], \"datatype\": \"FP32\", \"parameters\": {\"binary_data_size\": 0, \"binary_data_size\": 36}");
        with_length((head, [f32s(a), f32s(b)].concat()))
    });
    book.one("parameters that are an array", |row| {
        let head = of("\"shape\": [1, 9], \"datatype\": \"FP32\", \"parameters\": [36]");
        with_length((head, f32s(row)))
    });
    let typed = |datatype: &'static str, write: fn(i64) -> Vec<u8>| {
        move |row: &Row| {
            let tail: Vec<u8> = row.iter().flat_map(|&x| write(x)).collect();
            let head = of(&format!(
                "\"shape\": [1, 9], \"datatype\": \"{datatype}\", \"parameters\": {{\"binary_data_size\": {}}}",
                tail.len()
            ));
            with_length((head, tail))
        }
    };
    book.one("binary INT8", typed("INT8", |x| vec![x as u8]));
    book.one("binary INT16", typed("INT16", |x| (x as i16).to_le_bytes().to_vec()));
    book.one("binary INT64", typed("INT64", |x| x.to_le_bytes().to_vec()));
    book.one("binary FP64", typed("FP64", |x| (x as f64).to_le_bytes().to_vec()));
    book.one(
        "binary FP16",
        typed("FP16", |x| half::f16::from_f64(x as f64).to_le_bytes().to_vec()),
    );
    book.one(
        "binary BF16",
        typed("BF16", |x| half::bf16::from_f64(x as f64).to_le_bytes().to_vec()),
    );
    book.one(
        "binary BYTES",
        typed("BYTES", |x| {
            let text = x.to_string();
            [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
        }),
    );
    book.one("binary, floats big-endian", typed("FP32", |x| (x as f32).to_be_bytes().to_vec()));
    book.one("binary BOOL", typed("BOOL", |x| vec![x as u8]));
}

pub fn headers(book: &mut Book) {
    let two = |a: &Row, b: &Row| (v2_of(a), v2_of(b));
    book.two("the length header ends the first of two bodies", |a, b| {
        let (first, second) = two(a, b);
        let length = first.len().to_string();
        Record::from(first + &second).with(LENGTH, &length)
    });
    book.two("the length header is longer than the value", |a, _| {
        Record::from(v2_of(a)).with(LENGTH, "100000")
    });
    book.one("the length header is 0", |row| Record::from(v2_of(row)).with(LENGTH, "0"));
    book.one("the length header ends inside", |row| Record::from(v2_of(row)).with(LENGTH, "50"));
    for form in ["+N", " N ", "0N", "N.0", "-N", "N,N", "0xN", "", "N\n", "N_0", "\u{661}"] {
        book.one(&format!("the length header is written `{}`", form.escape_debug()), |row| {
            let (head, tail) = binary_of("36", f32s(row));
            let text = form.replace('N', &head.len().to_string());
            Record::from([head.into_bytes(), tail].concat()).with(LENGTH, &text)
        });
    }
    // Under the shorter length the row is blanks read as floats, which is nearly all zeros.
    let fork = |row: &Row| {
        let (head, _) = binary_of("36", vec![]);
        let value = [head.clone().into_bytes(), vec![b' '; 36], f32s(row)].concat();
        (Record::from(value), head.len().to_string(), (head.len() + 36).to_string())
    };
    book.one("two length headers, the longer one last", |row| {
        let (record, short, long) = fork(row);
        record.with(LENGTH, &short).with(LENGTH, &long)
    });
    book.one("two length headers, the longer one first", |row| {
        let (record, short, long) = fork(row);
        record.with(LENGTH, &long).with(LENGTH, &short)
    });
    book.one("two length headers in other letters", |row| {
        let (record, short, long) = fork(row);
        record.with("inference-header-content-length", &short).with(LENGTH, &long)
    });
    for said in [
        "application/cloudevents+json",
        "application/octet-stream",
        "application/x-f32-le",
        "text/csv",
    ] {
        book.two(&format!("an event around, `content-type: {said}`"), |a, b| {
            let data = event(&format!("\"data\": {}", v2_of(a)));
            let text =
                format!("{}, \"inputs\": [{}]}}", &data[..data.len() - 1], whole("input-0", b));
            Record::from(text).with("content-type", said)
        });
    }
    book.two("an event around, no header", |a, b| {
        let data = event(&format!("\"data\": {}", v2_of(b)));
        format!("{}, \"inputs\": [{}]}}", &data[..data.len() - 1], whole("input-0", a))
    });
}
