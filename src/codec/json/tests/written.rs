//! Tables written as JSON in every way that is read, and what comes close to JSON.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::table::Table;

/// How a table is written as JSON.
#[derive(Clone, Copy, Debug)]
enum Written {
    Positions,
    Objects,
    Instances,
    InstanceObjects,
    Columns,
    Pointers,
}

impl Written {
    fn codec(self) -> Box<dyn Codec> {
        let layout = table::layout();
        match self {
            Self::Positions | Self::Objects => Box::new(Json::new(layout, None)),
            Self::Pointers => {
                let pointers = ["/o", "/n/0", "/n/1", "/n/2", "/n/3"].map(String::from).to_vec();
                Box::new(Json::new(layout, Some(&Fields::new(pointers).unwrap())))
            }
            _ => Box::new(KserveV1::new(layout, None, &by_name())),
        }
    }

    fn text(self, table: &Table, noise: &str) -> String {
        let rows = || table.rows.iter();
        let join = |parts: Vec<String>| parts.join(&format!(",{}", table.blank));
        let positions = || join(rows().map(|row| format!("[{}]", join(row.cells()))).collect());
        let objects = || {
            let object = |row: &table::Row| {
                let mut members = row.members();
                members.rotate_left(table.turn % 5);
                format!("{{\"noise\":{noise},{}}}", join(members))
            };
            join(rows().map(object).collect())
        };
        match self {
            Self::Positions => format!("[{}]\n", positions()),
            Self::Objects => format!(" [{} ]", objects()),
            Self::Instances => format!("{{\"k\":{noise},\"instances\":[{}]}}", positions()),
            Self::InstanceObjects => format!("{{\"instances\" : [{}]}}", objects()),
            Self::Columns => {
                let column = |(name, i): (&str, usize)| {
                    let cells = rows().map(|row| row.cells()[i].clone()).collect();
                    format!("\"{name}\":[{}]", join(cells))
                };
                let mut columns: Vec<_> = table::NAMES.into_iter().zip(0..).map(column).collect();
                columns.rotate_left(table.turn % 5);
                format!("{{\"inputs\":{{{}, \"noise\":{noise}}} }}", join(columns))
            }
            Self::Pointers => {
                let cells = table.rows[0].cells();
                let (order, rest) = (cells[0].clone(), cells[1..].to_vec());
                format!("{{\"n\":[{}], \"k\":{noise}, \"o\":{order}}}", join(rest))
            }
        }
    }
}

fn written() -> impl Strategy<Value = Written> {
    proptest::sample::select(vec![
        Written::Positions,
        Written::Objects,
        Written::Instances,
        Written::InstanceObjects,
        Written::Columns,
        Written::Pointers,
    ])
}

/// Bytes that come close to being JSON.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 20] = [
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"\"x\"",
        b"\"y\"",
        b"\"word\"",
        b"1",
        b"-0.5e2",
        b"1e39",
        b"null",
        b"true",
        b"\"",
        b"\\",
        b"\n",
        b"\xff",
        b"{\"instances\":[",
        b"{\"inputs\":{\"x\":",
    ];
    let word = proptest::sample::select(&WORDS[..]);
    vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_can_be_written(
        value in prop_oneof![almost_json(), vec(any::<u8>(), 0..40)],
        written in written(),
    ) {
        let codec = written.codec();
        if let Some(rows) = check_decode(&*codec, table::WIDTH, &value) {
            prop_assert_eq!(&encode(&*codec, &value, &rows), &value);
        }
        for (width, pointers) in [(1, &[""][..]), (2, &[""]), (2, &["/b", "/a"]), (1, &["/a/0"])] {
            check_decode(&json(width, pointers), width, &value);
        }
    }

    #[test]
    fn rows_are_read_and_nothing_but_what_changed_is_written(
        (before, after) in table::tables(),
        written in written(),
        noise in prop_oneof![
            Just("null".to_owned()),
            Just("{\"x\": [1, \"\u{fc}\", 2.50], \"instances\": {}}".to_owned()),
            "\"[a-z \u{e4}\u{20ac}]{0,5}\"",
        ],
    ) {
        let one = matches!(written, Written::Pointers);
        let (before, after) = if one { (before.first(), after.first()) } else { (before, after) };
        let codec = written.codec();
        let text = written.text(&before, &noise);
        let read = check_decode(&*codec, table::WIDTH, text.as_bytes());
        let read = read.ok_or_else(|| TestCaseError::fail(text.clone()))?;
        prop_assert_eq!(table::bits(&read), table::bits(&before.matrix()), "{}", text);
        let bytes = encode(&*codec, text.as_bytes(), &after.matrix());
        prop_assert_eq!(std::str::from_utf8(&bytes).unwrap(), written.text(&after, &noise));
    }
}
