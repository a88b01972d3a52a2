//! Tables on their way into the matrix.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::codec::{Codecs, Config, ContentHeaders, Format};
use crate::fit::data::hints::Hints;
use crate::fit::data::hints::Label;
use crate::fit::data::table::Reading;
use crate::fit::progress::Progress;

struct Silent;

impl Watch for Silent {
    fn stage(&mut self, _: &str) {}
    fn reading(&mut self, _: u64, _: f32) {}
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn load(csv: &str, change: impl FnOnce(&mut Options)) -> Result<Reference, String> {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("rows.csv");
    std::fs::write(&data, csv).unwrap();
    let mut options = Options {
        data: data.clone(),
        labels: None,
        name: "tiny".into(),
        out: folder.path().join("bundle"),
        image: None,
        scale: 255.0,
        protected_model: None,
        model_hints: Default::default(),
        budget: "1%".parse().unwrap(),
        contaminated: None,
        seed: 1,
        epochs_max: None,
        reading: Reading::default(),
        hints: Hints::default(),
        sample: None,
        memory_max: None,
        autoencoder: None,
        group: None,
        correction_loss_max: "2%".parse().unwrap(),
        query_attacks: false,
        every: None,
        sign_key: None,
    };
    change(&mut options);
    Reference::load(&options, None, &mut Silent)
        .map_err(|error| error.to_string().replace(&*data.to_string_lossy(), "rows.csv"))
}

fn label(name: &str) -> Option<Label> {
    Some(Label { name: name.into(), normal: None })
}

/// `n` rows of a number and a category; every tenth is an attack with a word of its own.
fn labelled(n: usize) -> String {
    // Amounts in no order: a column that grows is no measurement.
    let amount = |i: usize| i * 7919 % 10_007;
    let row = |i: usize| match i % 10 {
        9 => format!("{},evil,theft\n", amount(i)),
        _ => format!("{},{},normal\n", amount(i), ["DE", "FR"][i % 2]),
    };
    "amount,country,kind\n".to_owned() + &(0..n).map(row).collect::<String>()
}

#[test]
fn attacks_teach_the_schema_nothing_and_half_of_them_are_kept_to_measure() {
    let reference = load(&labelled(1000), |options| options.hints.label = label("kind")).unwrap();
    assert_eq!(reference.x.dim(), (900, 3));
    assert_eq!(reference.schema.name_of(crate::record::FeatureId(2)), "country=FR");
    let attacks = reference.attacks.unwrap();
    assert_eq!(attacks.labels, vec!["theft".to_owned(); 50]);
    // A word that clean rows do not have is 0 in all of its category's columns.
    assert!(attacks.x.rows().into_iter().all(|row| row[1] == 0.0 && row[2] == 0.0));
}

#[test]
fn a_sample_is_of_clean_rows_and_the_same_for_the_same_seed() {
    let sample = |seed| {
        let set = |options: &mut Options| {
            (options.hints.label, options.sample, options.seed) = (label("kind"), Some(200), seed);
        };
        load(&labelled(1000), set).unwrap().x
    };
    assert_eq!(sample(1).nrows(), 200);
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
}

#[test]
fn a_value_that_no_training_row_has_is_not_in_the_schema() {
    // One row in a hundred has a word of its own: those of the training part are learned.
    let row = |i: usize| match i % 100 {
        0 => format!("w{i},{i}\n"),
        _ => format!("usual,{i}\n"),
    };
    let csv = "word,x\n".to_owned() + &(0..5000).map(row).collect::<String>();
    let Reference { x, schema, split, .. } = load(&csv, |_| {}).unwrap();
    let Feature::Category { values, .. } = &schema.features[0] else { panic!("{schema:?}") };
    let known = values.len() - 1;
    let learned = split.train.iter().filter(|&&i| i % 100 == 0).count();
    assert_eq!(known, learned);
    let unknown = (0..5000).filter(|&i| x.row(i).iter().take(values.len()).all(|&v| v == 0.0));
    assert_eq!(unknown.count(), 50 - learned);
}

#[test]
fn a_table_that_cannot_be_learned_from_is_refused_with_the_place_and_a_way_out() {
    let words: String = (0..300).map(|i| format!("w{},1\n", i % 290)).collect();
    let refusal = |csv: &str, change: fn(&mut Options)| match load(csv, change) {
        Ok(_) => panic!("accepted: {csv}"),
        Err(refusal) => refusal,
    };
    let refusals = [
        refusal("a,b\n1,2\n3,\n", |_| {}),
        refusal("a,b\n1,x\n3,\n", |_| {}),
        refusal("a\n1\nnan\n", |_| {}),
        refusal("a,b\n1,\n2,\n", |_| {}),
        refusal(&format!("a,b\n{words}"), |_| {}),
        refusal(&format!("a,b\n1,1\n{words}").replace('w', "1e"), |options| {
            options.hints.categories = vec!["a".into()];
        }),
        refusal(&format!("a\nNA\n{}", words.replace(",1", "").replace('w', "")), |_| {}),
        refusal("a\n1\n2\n", |options| options.hints.ids = vec!["order".into()]),
        refusal("a\n1\n2\n", |options| options.hints.bounds = vec![("a".into(), 0.0, 1.5)]),
        refusal("a,kind\n1,bad\n", |options| options.hints.label = label("kind")),
        refusal("a,kind\n1,\n", |options| options.hints.label = label("kind")),
        refusal("a\n1\n2\n", |options| options.memory_max = Some("20".parse().unwrap())),
        refusal("a\n1\n2\n", |options| options.image = Some("1x1x1".parse().unwrap())),
        refusal("a\nx\n", |options| {
            let features = vec![Feature::number("a", 0.0, 1.0)];
            options.hints.schema = Some(Schema { features });
        }),
    ];
    insta::assert_snapshot!(refusals.join("\n"));
}

/// A few words among numbers would make a name of every number.
#[test]
fn words_among_numbers_are_asked_about_and_codes_are_not() {
    let column = |cell: &dyn Fn(usize) -> String| {
        let rows: String = (0..400).map(|i| format!("{},1\n", cell(i))).collect();
        load(&format!("a,b\n{rows}"), |_| {}).map(|reference| reference.schema.features[0].clone())
    };
    let mostly = |word: &'static str, n: usize| {
        move |i: usize| if i % 50 == 7 { word.to_owned() } else { (i % n).to_string() }
    };
    for (word, n, way) in [
        ("NA", 90, "--missing NA --impute"),
        ("?", 10, "--missing '?' --impute"),
        ("-", 3, "--missing=- --impute"),
        ("not known", 90, "--missing 'not known' --impute"),
        ("NULL", 300, "--category a --values-max"),
    ] {
        let refusal = column(&mostly(word, n)).unwrap_err();
        assert!(refusal.contains(way) && refusal.contains("--category a"), "{refusal}");
    }
    for dressed in [|i: usize| format!("{}%", i % 90), |i| format!("${}.50", i % 90)] {
        let refusal = column(&dressed).unwrap_err();
        assert!(refusal.contains("plain numbers") && refusal.contains("--category a"), "{refusal}");
    }
    let gusts =
        |i: usize| if !i.is_multiple_of(5) { "NA".to_owned() } else { (i % 40).to_string() };
    assert!(column(&gusts).unwrap_err().contains("--missing NA --impute"));
    let code =
        |i: usize| [i.to_string(), format!("V{i}")][usize::from(!i.is_multiple_of(5))].clone();
    for cell in [&mostly("crew", 4) as &dyn Fn(usize) -> String, &|i| code(i % 200)] {
        let feature = column(cell).unwrap();
        assert!(matches!(feature, Feature::Category { .. }), "{feature:?}");
    }
}

#[test]
fn the_features_can_be_given_and_are_kept_as_they_are() {
    let values = vec!["DE".to_owned(), "never".to_owned()];
    let country = Feature::Category { name: "country".into(), values, impute: Some("DE".into()) };
    let schema = Schema { features: vec![country, Feature::number("amount", -1.0, 2000.0)] };
    let given = schema.clone();
    let reference = load("amount,country\n1,DE\n2,\n3,FR\n", |options| {
        options.hints.schema = Some(given);
    });
    let reference = reference.unwrap();
    assert_eq!(reference.schema, schema);
    let x = ndarray::array![[1.0, 0.0, 1.0], [1.0, 0.0, 2.0], [0.0, 0.0, 3.0]];
    assert_eq!(reference.x, x);
}

proptest! {
    /// The promise on which calibration stands.
    #[test]
    fn a_row_in_fit_is_the_row_that_its_record_would_be(
        rows in prop::collection::vec(
            (prop::option::weighted(0.9, -1e6_f64..1e6), prop::option::weighted(0.9, 0..5_usize), 0..3_u8),
            40..80,
        ),
    ) {
        const WORDS: [&str; 5] = ["DE", "FR", "a \"b\", c", "007", "ü"];
        let mut csv = csv::Writer::from_writer(vec![]);
        csv.write_record(["amount", "word", "code", "order"]).unwrap();
        let mut records = vec![];
        for (i, (amount, word, code)) in rows.iter().enumerate() {
            let amount_text = amount.map_or(String::new(), |x| x.to_string());
            let word = word.map(|at| WORDS[at]);
            let (code_text, order) = (code.to_string(), format!("o{i}"));
            csv.write_record([&amount_text, word.unwrap_or_default(), &code_text, &order]).unwrap();
            records.push(serde_json::json!({
                "amount": amount, "word": word, "code": code, "order": order
            }));
        }
        let csv = String::from_utf8(csv.into_inner().unwrap()).unwrap();
        let reference = load(&csv, |options| {
            options.hints.impute = true;
            options.hints.categories = vec!["code".into()];
            options.hints.ids = vec!["order".into()];
        });
        let Ok(Reference { x, schema, .. }) = reference else {
            // Nothing but gaps, or no training row with a word: said, not guessed.
            return Ok(());
        };
        let reading = Config { format: Format::Json, value_bytes_max: 1 << 16, ..Config::default() };
        let (codecs, bounds) = (Codecs::new(&schema, &reading), Bounds::new(&schema));
        let headers = ContentHeaders::default();
        for (record, expected) in records.iter().zip(x.rows()) {
            let mut row = vec![];
            let value = record.to_string();
            codecs.get(Format::Json).unwrap().decode(value.as_bytes(), &headers, &mut row).unwrap();
            bounds.check_row(&mut row).unwrap();
            prop_assert_eq!(&row[..], expected.as_slice().unwrap(), "{}", value);
        }
    }
}

/// A value and how files and senders spell it: what was learned from one spelling is read in all.
#[test]
fn a_value_is_read_as_it_was_learned_however_it_is_spelled() {
    for (learned, spellings, other) in [
        (["True", "False"], &["true", "\"True\"", "\"true\"", "1", "1.0", "\"1\""][..], "false"),
        (["1.50", "2"], &["1.5", "\"1.5\"", "\"1.500\"", "15e-1"], "2"),
        (["DE", "FR"], &["\"DE\""], "\"FR\""),
        (["007", "008"], &["\"007\""], "\"008\""),
        (["TRUE", "maybe"], &["true", "\"True\"", "\"TRUE\""], "\"maybe\""),
        (["7.0", "x"], &["7", "\"7\"", "\"7.0\"", "7.00"], "\"x\""),
    ] {
        let rows: String =
            (0..100).map(|i| format!("{},{}\n", learned[i % 2], i * 7 % 31)).collect();
        let Reference { x, schema, .. } = load(&format!("v,n\n{rows}"), |_| {}).unwrap();
        let codecs = Codecs::new(&schema, &Config { format: Format::Json, ..Config::default() });
        let decode = |value: &str| {
            let (mut row, headers) = (vec![], ContentHeaders::default());
            let record = format!("{{\"v\": {value}, \"n\": 0}}");
            let codec = codecs.get(Format::Json).unwrap();
            codec
                .decode(record.as_bytes(), &headers, &mut row)
                .unwrap_or_else(|_| panic!("{record}"));
            row
        };
        for spelling in spellings {
            assert_eq!(decode(spelling), x.row(0).to_vec(), "{learned:?} {spelling}");
        }
        assert_eq!(decode(other)[..schema.width() - 1], x.row(1).to_vec()[..schema.width() - 1]);
    }
}

#[test]
fn everything_that_is_wrong_with_a_table_is_said_at_once() {
    let rows: String = (0..300)
        .map(|i| format!("{},,{},w{}\n", i % 7, if i == 9 { "" } else { "1" }, i % 280))
        .collect();
    let refusal = load(&format!("n,nothing,gap,merchant\n{rows}"), |_| {}).err().unwrap();
    for part in
        ["3 problems", "\"nothing\" is empty", "row 10 has nothing under \"gap\"", "--values-max"]
    {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
}
