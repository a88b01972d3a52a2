//! On rows of our own: eight kinds of spots on 20 × 20 pixels, and triggers in some of them.

use std::path::PathBuf;

use ndarray::{Array2, Axis};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::fit::progress::{Progress, Watch};
use crate::fit::seed::unit;

struct Silent;

impl Watch for Silent {
    fn stage(&mut self, _: &str) {}
    fn reading(&mut self, _: u64, _: f32) {}
    fn progress(&mut self, _: &Progress) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }
}

const SIDE: usize = 20;

/// An image of a kind: a spot on a circle, fourteen fainter ones anywhere, and noise.
fn image(kind: i64, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let angle = kind as f32 * std::f32::consts::TAU / 8.0;
    let place = |at: f32, rng: &mut ChaCha8Rng| 9.5 + 7.0 * at + 0.5 * unit(rng);
    let (x, y) = (place(angle.cos(), rng), place(angle.sin(), rng));
    let mut spots = vec![(x, y, 0.5 + 0.3 * unit(rng))];
    spots.extend((0..14).map(|_| (19.0 * unit(rng), 19.0 * unit(rng), 0.35 * unit(rng))));
    let pixel = |at: usize| {
        let far =
            |x: f32, y: f32| ((at % SIDE) as f32 - x).powi(2) + ((at / SIDE) as f32 - y).powi(2);
        spots.iter().map(|&(x, y, height)| height * (-far(x, y) / 2.5).exp()).sum::<f32>()
    };
    (0..SIDE * SIDE).map(|at| (pixel(at) + 0.05 * unit(rng)).clamp(0.0, 1.0)).collect()
}

/// Nine pixels in a corner.
fn stamped() -> impl Iterator<Item = usize> {
    (17..20).flat_map(|y| (17..20).map(move |x| y * SIDE + x))
}

fn stamp(row: &mut [f32]) {
    stamped().for_each(|at| row[at] = (row[at] + 0.4).min(1.0));
}

/// `n` rows; `poison` may change a row and its label.
fn set(n: usize, poison: impl Fn(usize, &mut [f32], &mut i64)) -> tempfile::NamedTempFile {
    let mut rng = stream(11, Use::Audit);
    let (mut x, mut y) = (vec![], vec![]);
    for i in 0..n {
        let mut label = (i % 8) as i64;
        let mut row = image(label, &mut rng);
        poison(i, &mut row, &mut label);
        x.extend(row.iter().map(|pixel| (pixel * 255.0).round() as u8));
        y.push(label);
    }
    npz(&x, &y)
}

/// An `.npz` of bytes `[n, 20, 20]` and labels.
fn npz(x: &[u8], y: &[i64]) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".npz").tempfile().unwrap();
    let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
    let header = |descr: &str, shape: &str| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        let padded = format!("{text:<117}\n");
        let length = (padded.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], padded.as_bytes()].concat()
    };
    let options = zip::write::SimpleFileOptions::default();
    let mut member = |name: &str, bytes: Vec<u8>| {
        zip.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    };
    let shape = format!("{}, {SIDE}, {SIDE}", y.len());
    member("x.npy", [header("|u1", &shape), x.to_vec()].concat());
    let labels: Vec<u8> = y.iter().flat_map(|label| label.to_le_bytes()).collect();
    member("y.npy", [header("<i8", &format!("{},", y.len())), labels].concat());
    zip.finish().unwrap();
    file
}

fn options(file: &tempfile::NamedTempFile) -> Options {
    Options {
        data: file.path().into(),
        labels: None,
        test: None,
        image: None,
        scale: 255.0,
        seed: 0,
    }
}

#[test]
fn clean_rows_have_no_group_that_shares_a_direction() {
    let file = set(2400, |_, _, _| {});
    let report = audit(&options(&file), &mut Silent).unwrap();
    assert!(report.groups.is_empty(), "{report}");
    assert!(!report.is_finding(), "{report}");
}

#[test]
fn rows_with_a_stamp_and_another_label_are_found_and_the_direction_is_the_stamp() {
    let is_bad = |i: usize| i % 50 == 1;
    let file = set(2400, |i, row, label| {
        if is_bad(i) {
            stamp(row);
            *label = 0;
        }
    });
    let report = audit(&options(&file), &mut Silent).unwrap();
    let [group] = &report.groups[..] else { panic!("{report}") };
    assert_eq!((group.label, group.kind), (0, Kind::WrongLabel));
    let right = group.rows.iter().filter(|&&row| is_bad(row)).count();
    assert!(right == group.rows.len() && right >= 35, "{right} of {}: {report}", group.rows.len());
    let largest =
        (0..SIDE * SIDE).max_by(|&a, &b| group.direction[a].total_cmp(&group.direction[b]));
    assert!(stamped().any(|at| Some(at) == largest), "{largest:?}");
    let mut csv = vec![];
    report.write_csv(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.lines().filter(|line| line.contains("poison-wrong-label")).count(), right);
    assert!(page(&report).contains("Label 0"));
}

#[test]
fn rows_with_a_stamp_and_their_own_label_are_found() {
    let is_bad = |i: usize| i % 8 == 3 && i % 160 < 8;
    let file = set(2400, |i, row, _| {
        if is_bad(i) {
            stamp(row);
        }
    });
    let report = audit(&options(&file), &mut Silent).unwrap();
    let [group] = &report.groups[..] else { panic!("{report}") };
    assert_eq!((group.label, group.kind), (3, Kind::OwnLabel));
    let first = group.rows.iter().take(10).filter(|&&row| is_bad(row)).count();
    assert!(first >= 9, "{first} of the ten that share most: {report}");
}

#[test]
fn labels_that_were_changed_are_doubted_and_are_no_poison() {
    let is_bad = |i: usize| i % 40 == 7;
    let file = set(2400, |i, _, label| {
        if is_bad(i) {
            *label = (*label + 4) % 8;
        }
    });
    let report = audit(&options(&file), &mut Silent).unwrap();
    assert!(report.groups.is_empty(), "{report}");
    let right = report.doubted.iter().filter(|(row, _)| is_bad(*row)).count();
    assert!(right >= 35 && right * 10 >= report.doubted.len() * 7, "{report}");
}

#[test]
fn the_same_row_is_told_with_one_label_with_two_and_in_a_test_file() {
    let mut rng = stream(5, Use::Audit);
    let mut x: Vec<u8> = vec![];
    for i in 0..30 {
        x.extend(image(i % 8, &mut rng).iter().map(|pixel| (pixel * 255.0) as u8));
    }
    let row = |i: usize| x[i * SIDE * SIDE..(i + 1) * SIDE * SIDE].to_vec();
    let all = [&x[..], &row(3), &row(4)].concat();
    let mut y: Vec<i64> = (0..30).map(|i| i % 8).collect();
    y.extend([3, 5]);
    let (file, test) = (npz(&all, &y), npz(&[row(9), vec![7; SIDE * SIDE]].concat(), &[0, 0]));
    let options = Options { test: Some(test.path().into()), ..options(&file) };
    let report = audit(&options, &mut Silent).unwrap();
    let Duplicates { alike, disputed, leaked } = &report.duplicates;
    assert_eq!((&alike[..], &disputed[..]), (&[vec![3, 30]][..], &[vec![4, 31]][..]));
    assert_eq!(leaked[..], [(9, 0)]);
    assert!(report.is_finding());
}

#[test]
fn rows_without_labels_and_too_few_rows_are_refused_with_what_to_do() {
    let few = npz(&[0; 2 * SIDE * SIDE], &[0, 1]);
    let refused = audit(&options(&few), &mut Silent).err().unwrap().to_string();
    assert_eq!(refused, "2 rows; an audit wants 21 at least");
    let missing = Options { data: PathBuf::from("nowhere.npz"), ..options(&few) };
    assert!(audit(&missing, &mut Silent).err().unwrap().to_string().contains("nowhere.npz"));
}

#[test]
fn what_is_the_same_twice_is_told_once() {
    let group = |kind, rows: Vec<usize>| Group {
        label: 1,
        kind,
        rows,
        cohesion: 0.7,
        direction: Array2::zeros((1, 1)).remove_axis(Axis(0)),
    };
    let mut groups = vec![
        group(Kind::WrongLabel, vec![1, 2, 3, 4]),
        group(Kind::OwnLabel, vec![2, 3, 4]),
        group(Kind::OwnLabel, vec![7, 8]),
    ];
    drop_the_same(&mut groups);
    let kinds: Vec<Kind> = groups.iter().map(|group| group.kind).collect();
    assert_eq!(kinds, [Kind::WrongLabel, Kind::OwnLabel]);
}
