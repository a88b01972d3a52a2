//! `cloudevents`: an envelope; and `auto`: any of the formats.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Book;
use crate::record::{
    Record, Row, event, f32s, floats, members, named, numbers, object, request, v1, v2, v2_of,
    whole,
};

fn data(text: &str) -> String {
    event(&format!("\"data\": {text}"))
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    format!("\"data_base64\": \"{}\"", STANDARD.encode(bytes))
}

pub fn tricks() -> Book {
    let mut book = Book::new("cloudevents");
    book.one("control: names", |row| data(&object(row)));
    book.one("control: V1", |row| data(&v1(row)));
    book.one("control: V2", |row| data(&v2_of(row)));
    book.one("control: base64", |row| event(&base64(object(row))));
    book.two("`data` and `data_base64`", |a, b| {
        event(&format!("\"data\": {}, {}", object(a), base64(object(b))))
    });
    book.two("`data_base64` and `data`", |a, b| {
        event(&format!("{}, \"data\": {}", base64(object(a)), object(b)))
    });
    for (first, second) in
        [("data", "data"), ("data", "\\u0064ata"), ("data", "Data"), ("DATA", "data")]
    {
        book.two(&format!("`{first}` and `{second}`"), |a, b| {
            event(&format!("\"{first}\": {}, \"{second}\": {}", object(a), object(b)))
        });
    }
    book.two("`data` and `Data_Base64`", |a, b| {
        let other = base64(object(b)).replace("data_base64", "Data_Base64");
        event(&format!("\"data\": {}, {other}", object(a)))
    });
    book.two("`data_base64` twice", |a, b| {
        event(&format!("{}, {}", base64(object(a)), base64(object(b))))
    });
    book.two("`data_base64` and `data_ba\u{17f}e64`", |a, b| {
        let other = base64(object(b)).replace("base64\"", "ba\u{17f}e64\"");
        event(&format!("{}, {other}", base64(object(a))))
    });
    book.two("`data` null beside `data_base64`", |a, _| {
        event(&format!("\"data\": null, {}", base64(object(a))))
    });
    book.two("names beside the envelope", |a, b| {
        let text = data(&object(a));
        format!("{}, {}}}", &text[..text.len() - 1], members(b))
    });
    book.two("`instances` beside the envelope", |a, b| {
        let text = data(&v1(a));
        format!("{}, \"instances\": [[{}]]}}", &text[..text.len() - 1], numbers(b))
    });
    book.two("two dialects in the data", |a, b| {
        data(&format!("{{{}, \"instances\": [[{}]]}}", members(a), numbers(b)))
    });
    book.two("`X0` beside `x0` in the data", |a, b| {
        let other = members(b).replace("\"x", "\"X");
        data(&format!("{{{}, {other}}}", members(a)))
    });
    book.two("an event in an event", |a, b| {
        data(&format!(
            "{}, {}}}",
            data(&object(b)).trim_end_matches('}').to_owned() + "}",
            members(a)
        ))
    });
    book.one("the data is a document in quotes", |row| {
        data(&format!("\"{}\"", object(row).replace('"', "\\\"")))
    });
    book.one("the data is base64 in quotes", |row| {
        data(&format!("\"{}\"", STANDARD.encode(object(row))))
    });
    for said in [
        "application/x-u8",
        "application/x-f32-le",
        "application/xml",
        "application/cloudevents+json",
        "",
    ] {
        book.one(&format!("`datacontenttype` `{said}`"), |row| {
            event(&format!("\"datacontenttype\": \"{said}\", \"data\": {}", object(row)))
        });
        // Padded so that it is whole rows of bytes and of floats.
        book.one(&format!("`datacontenttype` `{said}`, base64"), |row| {
            let mut text = object(row).into_bytes();
            text.resize(text.len().next_multiple_of(36), b' ');
            event(&format!("\"datacontenttype\": \"{said}\", {}", base64(text)))
        });
    }
    book.two("`datacontenttype` twice", |a, _| {
        event(&format!(
            "\"datacontenttype\": \"application/json\", \"datacontenttype\": \"application/x-u8\", \"data\": {}",
            object(a)
        ))
    });
    book.one("base64 without its padding", |row| {
        let text = event(&base64(object(row)));
        text.replace('=', "")
    });
    book.one("base64 of URLs", |row| {
        event(&base64(object(row)).replace('+', "-").replace('/', "_"))
    });
    book.one("base64 with a line break", |row| {
        let text = base64(object(row));
        event(&format!("{}\\n{}", &text[..60], &text[60..]))
    });
    book.one("`specversion` 0.3", |row| data(&object(row)).replace("\"1.0\"", "\"0.3\""));
    book.one("`specversion` absent", |row| {
        data(&object(row)).replace("\"specversion\": \"1.0\", ", "")
    });
    book.one("a batch of one", |row| format!("[{}]", data(&object(row))));
    book.two("a batch of two", |a, b| format!("[{}, {}]", data(&object(a)), data(&object(b))));
    book.two("a second event behind", |a, b| data(&object(a)) + &data(&object(b)));
    book.two("an array and a second document behind, in base64, as long as floats", |a, b| {
        let mut text = format!("[{}]\n[{}]", numbers(a), numbers(b)).into_bytes();
        text.resize(text.len().next_multiple_of(36), b' ');
        event(&base64(text))
    });
    book.one("UTF-16 in base64", |row| {
        let bytes: Vec<u8> = object(row).encode_utf16().flat_map(u16::to_le_bytes).collect();
        event(&base64(bytes))
    });
    for said in ["application/json", "application/octet-stream", "application/x-u8", "text/csv"] {
        book.two(&format!("names beside, `content-type: {said}`"), |a, b| {
            let text = data(&object(a));
            let text = format!("{}, {}}}", &text[..text.len() - 1], members(b));
            Record::from(text).with("content-type", said)
        });
    }
    book
}

pub fn auto() -> Book {
    let mut book = Book::new("auto");
    book.one("control: names", object);
    book.one("control: V1", v1);
    book.one("control: V2", v2_of);
    book.one("control: protobuf", |row| request(&[floats("input-0", &[1, 9], row)], &[]));
    book.one("control: event", |row| data(&object(row)));
    let beside = |a: &Row, rest: String| format!("{{{}, {rest}}}", members(a));
    book.two("`instances` beside names", |a, b| {
        beside(a, format!("\"instances\": [[{}]]", numbers(b)))
    });
    book.two("`Instances` beside names", |a, b| {
        beside(a, format!("\"Instances\": [[{}]]", numbers(b)))
    });
    book.two("`instance\u{17f}` beside names", |a, b| {
        beside(a, format!("\"instance\u{17f}\": [[{}]]", numbers(b)))
    });
    book.two("`inputs` beside names", |a, b| {
        beside(a, format!("\"inputs\": [{}]", whole("input-0", b)))
    });
    book.two("`Inputs` beside names", |a, b| {
        beside(a, format!("\"Inputs\": [{}]", whole("input-0", b)))
    });
    book.two("`X0` beside `instances`", |a, b| {
        format!("{{\"instances\": [[{}]], {}}}", numbers(a), members(b).replace("\"x", "\"X"))
    });
    book.two("`instances` and `inputs`", |a, b| {
        format!("{{\"instances\": [[{}]], \"inputs\": [{}]}}", numbers(a), whole("input-0", b))
    });
    book.two("`specversion` beside names", |a, b| {
        let text = data(&object(a));
        format!("{}, {}}}", &text[..text.len() - 1], members(b))
    });
    book.two("an event around `instances`", |a, b| {
        let text = data(&v1(b));
        format!("{}, \"instances\": [[{}]]}}", &text[..text.len() - 1], numbers(a))
    });
    book.two("another tensor before those of the features", |a, b| {
        v2(&[&[whole("input-0", b)], &named(a)[..]].concat())
    });
    for said in [
        "application/json",
        "application/cloudevents+json",
        "application/octet-stream",
        "application/x-protobuf",
        "application/x-u8",
        "text/csv",
    ] {
        book.two(&format!("an event around names, `content-type: {said}`"), |a, b| {
            let text = data(&object(a));
            let text = format!("{}, {}}}", &text[..text.len() - 1], members(b));
            Record::from(text).with("content-type", said)
        });
    }
    // What some readers take for JSON and we do not, as long as rows of floats or of bytes.
    let padded = |text: Vec<u8>, by: usize, blank: &[u8]| {
        let mut text = text;
        while !text.len().is_multiple_of(by) {
            text.extend_from_slice(blank);
        }
        text
    };
    for by in [36, 9] {
        let of = if by == 36 { "floats" } else { "bytes" };
        book.one(&format!("NaN, as long as {of}"), |row| {
            padded(object(row).replace("\"x1\": 0", "\"x1\": NaN").into_bytes(), by, b" ")
        });
        book.one(&format!("a mark before, as long as {of}"), |row| {
            padded(format!("\u{feff}{}", object(row)).into_bytes(), by, b" ")
        });
        book.two(&format!("a second document behind, as long as {of}"), |a, b| {
            padded((object(a) + &object(b)).into_bytes(), by, b" ")
        });
        book.two(&format!("an array and a second document behind, as long as {of}"), |a, b| {
            padded(format!("[{}]\n[{}]", numbers(a), numbers(b)).into_bytes(), by, b" ")
        });
        book.one(&format!("an array and an object behind, as long as {of}"), |row| {
            let mut text = format!("[{}]", numbers(row)).into_bytes();
            text.resize((text.len() + 2).next_multiple_of(by) - 2, b' ');
            [text, b"{}".to_vec()].concat()
        });
        book.one(&format!("a document and bytes behind, as long as {of}"), |row| {
            padded(object(row).into_bytes(), by, b"\x02")
        });
        book.one(&format!("a document and floats behind, as long as {of}"), |row| {
            [padded(object(row).into_bytes(), by, b" "), f32s(&[45, 0, 86, 0, 44, -17, 41, 42, 2])]
                .concat()
        });
        book.one(&format!("an array with NaN behind, as long as {of}"), |row| {
            padded(format!("[[{}], [NaN]]", numbers(row)).into_bytes(), by, b" ")
        });
        book.one(&format!("UTF-16LE, as long as {of}"), |row| {
            padded(object(row).encode_utf16().flat_map(u16::to_le_bytes).collect(), by, b" \0")
        });
        book.one(&format!("UTF-16BE, as long as {of}"), |row| {
            padded(object(row).encode_utf16().flat_map(u16::to_be_bytes).collect(), by, b"\0 ")
        });
        book.one(&format!("UTF-16LE with a mark, as long as {of}"), |row| {
            let text = format!("\u{feff}{}", object(row));
            padded(text.encode_utf16().flat_map(u16::to_le_bytes).collect(), by, b" \0")
        });
        book.one(&format!("UTF-32LE, as long as {of}"), |row| {
            padded(
                object(row).chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
                by,
                b" \0\0\0",
            )
        });
        book.one(&format!("UTF-32BE, as long as {of}"), |row| {
            padded(
                object(row).chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
                by,
                b"\0\0\0 ",
            )
        });
        book.one(&format!("protobuf with a group, as long as {of}"), |row| {
            // Field 15 with nothing in it, as often as it takes.
            let mut bytes = request(&[floats("input-0", &[1, 9], row)], &[0x7b, 0x7c]);
            if bytes.len() % 2 == 1 {
                bytes.extend([0x78, 0x80, 0x00]);
            }
            padded(bytes, by, &[0x78, 0x00])
        });
    }
    book.one("floats", f32s);
    book
}
