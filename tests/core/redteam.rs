//! `tripline redteam` and `tripline evaluate --suspect` on a small bundle with all four networks.
//!
//! Pictures of 8×8 with a bright bar, upright or lying, and a protected model that tells them apart.
//! What is learned from 4,000 of them is no benchmark; that the parts fit together is what is tested.

use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array2;
use serde_json::Value;
use tripline::fit::graph::export::onnx;
use tripline::fit::graph::layers::{Activation, Layer};

const SIDE: usize = 8;

/// `n` pictures, as an `.npy` of bytes, and whether each bar stands.
fn pictures(n: usize, seed: u64) -> (Vec<u8>, Vec<i64>) {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut x, mut y) = (vec![], vec![]);
    for _ in 0..n {
        let upright = draw(2) == 1;
        let (at, light) = (1 + draw(6) as usize, 90 + draw(120) as u8);
        for place in 0..SIDE * SIDE {
            let (row, column) = (place / SIDE, place % SIDE);
            let bar = if upright { column == at } else { row == at };
            let inside = (1..7).contains(&row) && (1..7).contains(&column);
            let grain = draw(24) as u8;
            x.push(if bar && inside {
                light + grain
            } else if inside {
                20 + grain
            } else {
                0
            });
        }
        y.push(i64::from(upright));
    }
    (x, y)
}

fn npy(path: &Path, shape: &str, kind: &str, bytes: &[u8]) {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    std::fs::write(path, file).unwrap();
}

/// Mean squares of columns against those of rows: two ReLU features are enough.
fn protected() -> Vec<u8> {
    let d = SIDE * SIDE;
    // 8 column sums and 8 row sums, each beyond what the ground gives.
    let sums = Array2::from_shape_fn((2 * SIDE, d), |(k, place)| {
        let hit = if k < SIDE { place % SIDE == k } else { place / SIDE == k - SIDE };
        if hit { 1.0 } else { 0.0 }
    });
    let first = Layer { w: sums, b: vec![-1.4; 2 * SIDE], activation: Activation::Relu };
    let w = Array2::from_shape_fn(
        (2, 2 * SIDE),
        |(k, j)| if (k == 1) == (j < SIDE) { 3.0 } else { -3.0 },
    );
    let second = Layer { w, b: vec![0.0; 2], activation: Activation::Linear };
    onnx(None, &[first, second]).unwrap()
}

fn tripline(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tripline")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}\n{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn fitted(place: &Path) -> PathBuf {
    let (x, y) = pictures(4000, 1);
    npy(&place.join("x.npy"), "(4000, 8, 8)", "|u1", &x);
    let y: Vec<u8> = y.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy(&place.join("y.npy"), "(4000,)", "<i8", &y);
    std::fs::write(place.join("model.onnx"), protected()).unwrap();
    let at = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let (data, labels, model, out) = (at("x.npy"), at("y.npy"), at("model.onnx"), at("bundle"));
    let report = tripline(&[
        "fit",
        "--data",
        &data,
        "--labels",
        &labels,
        "--protected-model",
        &model,
        "--name",
        "bars",
        "--budget",
        "5%",
        "--epochs-max",
        "12",
        "--out",
        &out,
    ]);
    assert!(report.contains("own attacks") && report.contains("pgd on support"), "{report}");
    place.join("bundle")
}

#[test]
fn a_bundle_taught_by_attacks_is_attacked_and_an_attacker_who_holds_it_does_no_worse() {
    let place = tempfile::tempdir().unwrap();
    let bundle = fitted(place.path());
    let files = ["restorer.onnx", "likelihood.onnx", "protected-model.onnx", "autoencoder.onnx"];
    assert!(files.iter().all(|file| bundle.join(file).exists()));

    let (x, y) = pictures(300, 2);
    npy(&place.path().join("fresh.npy"), "(300, 8, 8)", "|u1", &x);
    let y: Vec<u8> = y.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy(&place.path().join("truth.npy"), "(300,)", "<i8", &y);
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let said = tripline(&[
        "redteam",
        "--bundle",
        bundle.to_str().unwrap(),
        "--data",
        &at("fresh.npy"),
        "--labels",
        &at("truth.npy"),
        "--rows",
        "40",
        "--strength",
        "0.3",
        "--steps",
        "12",
        "--restarts",
        "1",
        "--json",
    ]);
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["rows"], 40);
    assert_eq!(report["unseen"].as_array().unwrap().len(), 0, "{report}");
    let share = |attack: &str, on_support: bool, what: &str| {
        let lines = report["attacks"].as_array().unwrap();
        let line = lines.iter().find(|l| l["attack"] == attack && l["on_support"] == on_support);
        line.unwrap()[what].as_f64().unwrap()
    };
    assert!(share("PGD", false, "fooled") > 0.5, "{report}");
    for on_support in [false, true] {
        let (blind, adaptive) =
            (share("PGD", on_support, "passed"), share("adaptive", on_support, "passed"));
        assert!(adaptive >= blind, "{report}");
    }
}
