//! Every format through one battery: the same table, the same cells.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use super::*;

const CSV: &str = "amount,country\n1.5,DE\n,FR\n-2e3,\n";
const JSON: &str = "{\"amount\": 1.5, \"country\": \"DE\"}\n\n{\"country\": \"FR\", \"amount\": null}\n\
                    {\"amount\": -2000}\n";

fn write(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows");
    std::fs::write(&file, bytes).unwrap();
    (folder, file)
}

/// A zip of files, as packers write it.
fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// The table as Parquet, its columns by the low-level writer.
fn parquet_file(compression: Compression) -> Vec<u8> {
    let schema = "message t { optional double amount; optional binary country (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = vec![];
    let mut writer = SerializedFileWriter::new(&mut file, schema, properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut amount = group.next_column().unwrap().unwrap();
    amount.typed::<DoubleType>().write_batch(&[1.5, -2000.0], Some(&[1, 0, 1]), None).unwrap();
    amount.close().unwrap();
    let mut country = group.next_column().unwrap().unwrap();
    let words = ["DE", "FR"].map(ByteArray::from);
    country.typed::<ByteArrayType>().write_batch(&words, Some(&[1, 1, 0]), None).unwrap();
    country.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

/// Names, and per row what each cell is as a number and as a word.
type Seen = (Vec<String>, Vec<Vec<(Option<f64>, Option<String>)>>);

fn read(bytes: &[u8], reading: &Reading) -> Result<Seen, String> {
    let (_folder, file) = write(bytes);
    let text = |error: TableError| error.to_string().replace(&*file.to_string_lossy(), "rows");
    let source = open(&file, reading).map_err(text)?;
    let mut all = vec![];
    let mut visit = || {
        all.clear();
        source.visit(&mut |row| {
            assert_eq!(row.number, all.len() as u64 + 1);
            assert!((0.0..=1.0).contains(&row.done));
            let cell = |&c: &Scalar<'_>| (number(c), word(c));
            all.push(row.cells.iter().map(cell).collect());
            ControlFlow::Continue(())
        })
    };
    visit().map_err(text)?;
    visit().map_err(text)?;
    Ok((source.names().to_vec(), all))
}

#[test]
fn every_format_gives_the_same_cells_as_often_as_it_is_read() {
    let expected = read(CSV.as_bytes(), &Reading::default()).unwrap();
    assert_eq!(expected.0, ["amount", "country"]);
    assert_eq!(expected.1[0], [(Some(1.5), Some("1.5".into())), (None, Some("DE".into()))]);
    assert_eq!(expected.1[1][0], (None, None));
    assert_eq!(expected.1[2], [(Some(-2000.0), Some("-2000".into())), (None, None)]);
    let headless = CSV.split_once('\n').unwrap().1;
    let named =
        Reading { header: Some(vec!["amount".into(), "country".into()]), ..Reading::default() };
    for (bytes, reading) in [
        (gzip(CSV.as_bytes()), Reading::default()),
        (CSV.replace(',', ";").into_bytes(), Reading::default()),
        (format!("\u{feff}{}", CSV.replace(',', "\t")).into_bytes(), Reading::default()),
        (headless.into(), named),
        (JSON.into(), Reading::default()),
        (gzip(JSON.as_bytes()), Reading::default()),
        (parquet_file(Compression::UNCOMPRESSED), Reading::default()),
        (parquet_file(Compression::SNAPPY), Reading::default()),
        (parquet_file(Compression::ZSTD(Default::default())), Reading::default()),
    ] {
        assert_eq!(read(&bytes, &reading).as_ref(), Ok(&expected));
    }
}

#[test]
fn what_is_ignored_is_not_read_and_what_says_nothing_is_missing() {
    let reading = Reading {
        ignore: vec!["country".into()],
        missing: vec!["-2e3".into()],
        ..Reading::default()
    };
    let (names, rows) = read(CSV.as_bytes(), &reading).unwrap();
    assert_eq!(names, ["amount"]);
    assert_eq!(rows[2], [(None, None)]);
    let marked = Reading { missing: vec!["NA".into()], ..Reading::default() };
    for bytes in [&b"{\"a\": \"NA\", \"b\": 1}"[..], b"a,b\nNA,1\n"] {
        assert_eq!(read(bytes, &marked).unwrap().1[0][0], (None, None));
    }
    // Also if it could not be read.
    let nested = b"{\"amount\": 1, \"country\": []}";
    assert_eq!(read(nested, &reading).unwrap().1[0][0].0, Some(1.0));
}

#[test]
fn a_number_of_json_is_one_value_however_it_is_spelled_and_007_is_a_word() {
    let (_, rows) = read(b"code\n7\n7.0\n007\n7e0\n", &Reading::default()).unwrap();
    let words: Vec<_> = rows.iter().map(|row| row[0].1.as_deref().unwrap()).collect();
    assert_eq!(words, ["7", "7", "007", "7"]);
    let numbers: Vec<_> = rows.iter().map(|row| row[0].0).collect();
    assert_eq!(numbers, [Some(7.0), Some(7.0), None, Some(7.0)]);
}

/// The tables that tools make of `amount, country` by themselves, each with the same two rows.
#[test]
fn what_tools_add_to_a_table_is_taken_off() {
    let plain = read(b"amount,country\n1.5,DE\n-2000.25,FR\n", &Reading::default()).unwrap();
    let utf16 = |text: &str| {
        [&[0xff, 0xfe][..], &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()]
            .concat()
    };
    for (what, bytes) in [
        ("pandas' index", b",amount,country\n0,1.5,DE\n1,-2000.25,FR\n".to_vec()),
        ("pandas' index, read and written again", b"Unnamed: 0,amount,country\n0,1.5,DE\n1,-2000.25,FR\n".into()),
        ("an index of Arrow", b"amount,country,__index_level_0__\n1.5,DE,0\n-2000.25,FR,1\n".into()),
        ("R's row names", b"\"amount\" \"country\"\n\"1\" 1.5 \"DE\"\n\"2\" -2000.25 \"FR\"\n".iter().map(|&b| if b == b' ' { b'\t' } else { b }).collect()),
        ("commas at the end of every line", b"amount,country,\n1.5,DE,\n-2000.25,FR,\n".into()),
        ("commas at the end of rows", b"amount,country\n1.5,DE,\n-2000.25,FR,\n".into()),
        ("a comma at the end of the names", b"amount,country,\n1.5,DE\n-2000.25,FR\n".into()),
        ("sep=", b"sep=;\r\namount;country\r\n1.5;DE\r\n-2000.25;FR\r\n".into()),
        ("sep= of a pipe", b"sep=|\namount|country\n1.5|DE\n-2000.25|FR\n".into()),
        ("decimal commas", b"amount;country\n1,5;DE\n-2000,25;FR\n".into()),
        ("decimal commas and points", b"amount;country\n1,5;DE\n-2.000,25;FR\n".into()),
        ("decimal commas in quotes", b"amount,country\n\"1,5\",DE\n\"-2000,25\",FR\n".into()),
        ("thousands", b"amount,country\n1.5,DE\n\"-2,000.25\",FR\n".into()),
        ("UTF-16", utf16("amount\tcountry\r\n1.5\tDE\r\n-2000.25\tFR\r\n")),
        ("UTF-16, lines of JSON", utf16("{\"amount\": 1.5, \"country\": \"DE\"}\n{\"amount\": -2000.25, \"country\": \"FR\"}\n")),
        ("a mark before JSON", b"\xef\xbb\xbf{\"amount\": 1.5, \"country\": \"DE\"}\n{\"amount\": -2000.25, \"country\": \"FR\"}\n".into()),
        ("one array of JSON", b"[{\"amount\": 1.5, \"country\": \"DE\"},\n {\"amount\": -2000.25, \"country\": \"FR\"}]".into()),
        ("one array of JSON in a line", b"[{\"amount\": 1.5, \"country\": \"DE\"}, {\"amount\": -2000.25, \"country\": \"FR\"}]".into()),
        ("numbers in quotes", b"{\"amount\": \"1.50\", \"country\": \"DE\"}\n{\"amount\": \"-2000.25\", \"country\": \"FR\"}\n".into()),
        ("pandas' index, written three times", b"Unnamed: 0.1,Unnamed: 0,amount,country\n7,7,1.5,DE\n3,3,-2000.25,FR\n".into()),
        ("pandas' index, turned to JSON", b"{\"Unnamed: 0\": 7, \"amount\": 1.5, \"country\": \"DE\"}\n{\"Unnamed: 0\": 3, \"amount\": -2000.25, \"country\": \"FR\"}\n".into()),
        ("blanks between columns", b"   amount  country\n      1.5  DE\n -2000.25  FR\n".into()),
        ("R's table", b"\"amount\" \"country\"\n\"1\" 1.5 \"DE\"\n\"2\" -2000.25 \"FR\"\n".into()),
        ("remarks", b"# made, by, a tool\n# in 2026\namount,country\n1.5,DE\n-2000.25,FR\n".into()),
        ("a title", b"Sales of May\n\namount,country\n1.5,DE\n-2000.25,FR\n".into()),
        ("the names again", b"amount,country\n1.5,DE\namount,country\n-2000.25,FR\n".into()),
        ("a semicolon, commas within", b"amount;country\n\"1,5\";DE\n-2.000,25;FR\n".into()),
        ("narrow blanks between thousands", "amount;country\n1,50;DE\n-2\u{202f}000,25;FR\n".into()),
        ("a typographic minus", "amount,country\n1.5,DE\n−2000.25,FR\n".into()),
        ("Zstandard", zstd::encode_all(&b"amount,country\n1.5,DE\n-2000.25,FR\n"[..], 3).unwrap()),
        ("a zip", zipped(&[("rows.csv", b"amount,country\n1.5,DE\n-2000.25,FR\n")])),
        ("a zip of a Mac", zipped(&[("rows.csv", b"amount,country\n1.5,DE\n-2000.25,FR\n"), ("__MACOSX/._rows.csv", b"\x00\x05")])),
        ("JSON over several lines", b"{\n \"amount\": 1.5,\n \"country\": \"DE\"\n}\n{\n \"amount\": -2000.25,\n \"country\": \"FR\"\n}\n".into()),
        ("zeros behind the point", b"amount,country\n1.500,DE\n-2000.2500,FR\n".into()),
    ] {
        assert_eq!(read(&bytes, &Reading::default()).as_ref(), Ok(&plain), "{what}");
    }
}

/// Files of numbers without names, and files of which the names are numbers.
#[test]
fn columns_without_names_are_counted_and_names_that_count_are_names() {
    let names = |text: &str| {
        read(text.as_bytes(), &Reading::default())
            .map(|(names, rows)| (names.join(" "), rows.len()))
    };
    for (text, expected) in [
        ("5.1,3.5,1.4\n4.9,3.0,1.4\n", Ok(("x0 x1 x2", 2))),
        ("2,30,benign\n5.1,3.5,1.4,0\n4.9,3.0,1.4,1\n", Err("2")),
        ("2,3\n5.1,3.5,1.4,0\n4.9,3.0,1.4,1\n", Ok(("x0 x1 x2 x3", 2))),
        ("0,1,2\n5.1,3.5,1.4\n", Ok(("0 1 2", 1))),
        (",0,1,2\n0,5.1,3.5,1.4\n", Ok(("0 1 2", 1))),
        ("2019,2020,2021\n5,7,1\n", Ok(("2019 2020 2021", 1))),
        ("400,402,404,406\n5,7,1,9\n", Ok(("400 402 404 406", 1))),
        ("1,2\n3,4\n", Err("\"1\"")),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", Err("\"5.1\"")),
        ("p,x,s\ne,x,s\np,y,n\n", Err("looks like a row")),
    ] {
        match (names(text), expected) {
            (Ok((found, rows)), Ok((wanted, n))) => {
                assert_eq!((found.as_str(), rows), (wanted, n), "{text}")
            }
            (Err(found), Err(wanted)) => {
                assert!(found.contains(wanted) && found.contains("--header"), "{found}")
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
    let header = Some(["a", "b", "c", "d"].map(String::from).to_vec());
    let given = Reading { header, ..Reading::default() };
    let (names, rows) = read(b"2,4,benign\n5.1,3.5,1.4,0\n4.9,3.0,1.4,1\n", &given).unwrap();
    assert_eq!((names.len(), rows.len()), (4, 2));
}

#[test]
fn a_table_in_one_object_or_in_no_file_of_ours_is_refused_with_a_way_out() {
    for (bytes, way) in [
        (&b"{\"a\": {\"0\": 1, \"1\": 2}, \"b\": {\"0\": 3, \"1\": 4}}"[..], "records"),
        (b"{\"a\": [1, 2], \"b\": [3, 4]}", "records"),
        (b"{\"data\": [{\"a\": 1}]}", "records"),
        (b"[[1, 2],\n [3, 4]]", "records"),
        (b"[1, 2]\n[3, 4]\n", "records"),
        (b"<?xml version='1.0'?>\n<a/>\n", "CSV"),
        (b"a,b\n1.5,\"x\", y\n2.5,z\n", "quote"),
        (b"BZh91AY", "bunzip2"),
        (b"\xfd7zXZ\x00", "unxz"),
        (&zipped(&[("xl/workbook.xml", b"<>"), ("[Content_Types].xml", b"<>")]), "CSV"),
        (&zipped(&[("a.csv", b"a\n1\n"), ("b.csv", b"a\n1\n")]), "unpack"),
        (b"amount\n0,25\n0,5\n", "--delimiter"),
        (b"id    years  educ\n 1   10.5   12-15 years\n 2    3.1   < 12 years\n", "read_fwf"),
    ] {
        let refusal = read(bytes, &Reading::default()).unwrap_err();
        assert!(refusal.contains(way), "{refusal}");
    }
}

#[test]
fn a_quote_behind_a_backslash_is_a_part_of_its_cell_where_the_rows_say_so() {
    let (_, rows) = read(
        br#"a,b
1,"say \"x\", twice"
2,z
"#,
        &Reading::default(),
    )
    .unwrap();
    assert_eq!(rows[0][1].1.as_deref(), Some("say \"x\", twice"));
    let (_, rows) = read(b"a,b\n1,\"C:\\\"\n2,z\n", &Reading::default()).unwrap();
    assert_eq!(rows[0][1].1.as_deref(), Some("C:\\"));
}

#[test]
fn a_header_that_is_there_twice_is_no_row() {
    let header = Some(vec!["row".into(), "amount".into()]);
    let reading = Reading { header, ignore: vec!["row".into()], ..Reading::default() };
    let (names, rows) = read(b",amount\n0,1.5\n", &reading).unwrap();
    assert_eq!((names, rows.len(), rows[0][0].0), (vec!["amount".to_owned()], 1, Some(1.5)));
}

#[test]
fn objects_within_objects_are_columns_called_by_their_pointers() {
    let nested = b"{\"id\": 1, \"customer\": {\"age\": 40, \"a/b\": {\"c\": \"x\"}}}\n{\"id\": 2, \"customer\": null}\n";
    let (names, rows) = read(nested, &Reading::default()).unwrap();
    assert_eq!(names, ["id", "/customer/age", "/customer/a~1b/c"]);
    assert_eq!(rows[0][1].0, Some(40.0));
    assert_eq!(rows[1][1], (None, None));
    let ignoring = Reading { ignore: vec!["customer".into()], ..Reading::default() };
    assert_eq!(read(nested, &ignoring).unwrap().0, ["id"]);
    let connect = b"{\"schema\": {\"fields\": [1]}, \"payload\": {\"x\": 1}}\n";
    assert_eq!(read(connect, &Reading::default()).unwrap().0, ["/payload/x"]);
}

#[test]
fn what_is_no_number_is_missing_in_every_format() {
    for bytes in [
        &b"{\"a\": NaN, \"b\": \"NaN, \\\" NaN\"}\n"[..],
        b"{\"a\": null, \"b\": \"NaN, \\\" NaN\"}\n",
        b"{\"a\": \"\", \"b\": \"NaN, \\\" NaN\"}\n",
        b"a,b\nnan,\"NaN, \"\" NaN\"\n",
        b"a,b\n,\"NaN, \"\" NaN\"\n",
    ] {
        let (_, rows) = read(bytes, &Reading::default()).unwrap();
        assert_eq!(rows[0][0], (None, None), "{}", String::from_utf8_lossy(bytes));
        assert_eq!(rows[0][1].1.as_deref(), Some("NaN, \" NaN"));
    }
    let (_, rows) = read(b"{\"a\": -Infinity}\n", &Reading::default()).unwrap();
    assert_eq!(rows[0][0].0, Some(f64::NEG_INFINITY));
}

#[test]
fn part_files_are_one_table_whatever_the_order_of_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("_SUCCESS", b"");
    put(".part-0.crc", b"\x00\x01");
    put("part-0.csv", b"amount,country\n1,DE\n2,FR\n");
    std::fs::create_dir(folder.path().join("day=2")).unwrap();
    put("day=2/part-1.csv", b"country,amount\nPL,3\n");
    let source = open(folder.path(), &Reading::default()).unwrap();
    assert_eq!(source.names(), ["country", "amount"]);
    let mut rows = vec![];
    source
        .visit(&mut |row| {
            rows.push((row.number, word(row.cells[0]).unwrap(), number(row.cells[1]).unwrap()));
            ControlFlow::Continue(())
        })
        .unwrap();
    let expected =
        [(1, "PL".to_owned(), 3.0), (2, "DE".to_owned(), 1.0), (3, "FR".to_owned(), 2.0)];
    assert_eq!(rows, expected);
    put("part-2.csv", b"amount\n3\n");
    let refusal = open(folder.path(), &Reading::default()).err().unwrap().to_string();
    assert!(refusal.contains("part-2.csv: it lacks the column \"country\""), "{refusal}");
}

#[test]
fn folders_that_are_called_by_a_value_say_it_of_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    put("country=DE/part-0.jsonl", "{\"a\": 1}\n");
    put("country=C%C3%B4te/part-0.jsonl", "{\"b\": 2}\n");
    put("country=__HIVE_DEFAULT_PARTITION__/part-0.jsonl", "{\"a\": 3}\n");
    let source = open(folder.path(), &Reading::default()).unwrap();
    assert_eq!(source.names(), ["b", "a", "country"]);
    assert!(source.notes()[0].contains("country"), "{:?}", source.notes());
    let mut rows = vec![];
    let mut see = |row: &Row<'_>| {
        rows.push(row.cells.iter().map(|&cell| word(cell)).collect::<Vec<_>>());
        ControlFlow::Continue(())
    };
    source.visit(&mut see).unwrap();
    let text = |word: &str| Some(word.to_owned());
    assert!(rows.contains(&vec![None, text("1"), text("DE")]), "{rows:?}");
    assert!(rows.contains(&vec![text("2"), None, text("Côte")]), "{rows:?}");
    assert!(rows.contains(&vec![None, text("3"), None]), "{rows:?}");
    let ignoring = Reading { ignore: vec!["country".into()], ..Reading::default() };
    assert_eq!(open(folder.path(), &ignoring).unwrap().names(), ["b", "a"]);
}

#[test]
fn a_refusal_says_where_and_what_to_do() {
    let refusals = [
        (&b"\x7fELF"[..], Reading::default()),
        (b"", Reading::default()),
        (b"a,a\n1,2\n", Reading::default()),
        (b"a,\n1,2\n", Reading::default()),
        (b"1,2\n3,4\n", Reading::default()),
        (b"a,b\n1,2\n3\n", Reading::default()),
        (b"a,b\n1,\xff\n", Reading::default()),
        (b"a,b\n", Reading { ignore: vec!["c".into()], ..Reading::default() }),
        (b"{\"a\": 1}\n{\"a\": [1]}\n", Reading::default()),
        (b"{\"a\": 1}\n{\"a\": 1\n", Reading::default()),
        (b"PAR1 and no more", Reading::default()),
    ];
    let refusal = |(bytes, reading): &(&[u8], Reading)| read(bytes, reading).unwrap_err();
    insta::assert_snapshot!(refusals.iter().map(refusal).collect::<Vec<_>>().join("\n"));
}

proptest! {
    /// Noise and damaged files: a refusal or rows as wide as there are names, never a panic.
    #[test]
    fn no_bytes_make_a_text_table_panic(
        which in 0..4_usize,
        flips in prop::collection::vec((0..200_usize, any::<u8>()), 0..5),
    ) {
        let files = [CSV.as_bytes().to_vec(), JSON.into(), gzip(CSV.as_bytes()), gzip(JSON.as_bytes())];
        let mut file = files[which].clone();
        for (at, byte) in flips {
            let len = file.len();
            file[at % len] = byte;
        }
        if let Ok((names, rows)) = read(&file, &Reading::default()) {
            prop_assert!(rows.iter().all(|row| row.len() == names.len()));
        }
    }
}
