//! `tripline evaluate --clean … --suspect …`, the binary, on the shipped images.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const PIXELS: usize = 784;

/// The bundle's images in formats that `evaluate` reads, and one run over them.
struct Ran {
    folder: tempfile::TempDir,
    json: Value,
    page: String,
}

static RAN: LazyLock<Ran> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let slice = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/fashion-mnist/slice");
        std::fs::read(path.join(name)).unwrap()
    };
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("clean.idx", &idx(&slice("clean.u8")));
    // Every other of the triggers is called a hit: only these are to be counted.
    let labels = slice("trigger.labels.u8");
    let hit: Vec<u8> = (0..labels.len()).map(|i| (i % 2) as u8).collect();
    let trigger = [
        ("x", npy("|u1", &[labels.len(), PIXELS], &slice("trigger.u8"))),
        ("y", npy("|u1", &[labels.len()], &labels)),
        ("hit", npy("|b1", &[labels.len()], &hit)),
    ];
    write("trigger.npz", &npz(&trigger));
    let page = folder.path().join("page.html");
    let output = evaluate(
        folder.path(),
        &[
            "--clean",
            "clean.idx@500..2000",
            "--suspect",
            "badnets <b>=trigger.npz#hit",
            "--suspect",
            "few=trigger.npz@..9#y!=0",
            "--json",
            "--html",
            page.to_str().unwrap(),
        ],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    let page = std::fs::read_to_string(page).unwrap();
    Ran { folder, json, page }
});

fn evaluate(folder: &Path, arguments: &[&str]) -> Output {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let library = root.join(".tools/onnxruntime/libonnxruntime.so");
    Command::new(env!("CARGO_BIN_EXE_tripline"))
        .current_dir(folder)
        .args(["evaluate", "--bundle"])
        .arg(root.join("models/fashion-mnist"))
        .args(arguments)
        .env("ORT_DYLIB_PATH", std::env::var_os("ORT_DYLIB_PATH").unwrap_or(library.into()))
        .output()
        .expect("tripline runs")
}

fn idx(images: &[u8]) -> Vec<u8> {
    let n = (images.len() / PIXELS) as u32;
    let head = [0x0803, n, 28, 28].into_iter().flat_map(u32::to_be_bytes);
    head.chain(images.iter().copied()).collect()
}

fn npy(descr: &str, shape: &[usize], body: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((head.len() as u16).to_le_bytes());
    file.extend(head.as_bytes());
    file.extend(body);
    file
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(vec![]));
    for (name, bytes) in arrays {
        writer.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn number(pointer: &str) -> f64 {
    let found = RAN.json.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number {pointer} in {:#}", RAN.json))
}

#[test]
fn triggers_are_told_from_clean_images_and_correcting_them_undoes_their_work() {
    assert_eq!(number("/clean/n"), 1500.0);
    assert_eq!(number("/suspects/badnets <b>/n"), 250.0);
    assert!(number("/suspects/badnets <b>/merged/auroc") > 0.99);
    assert!(number("/suspects/badnets <b>/merged/tpr_at_1pct") > 0.9);
    assert!(number("/suspects/badnets <b>/detectors/local-residual/auroc") > 0.99);
    // The slice holds hits alone: none is answered as it is labelled.
    assert_eq!(number("/suspects/badnets <b>/accuracy_before"), 0.0);
    assert!(number("/suspects/badnets <b>/accuracy_if_all_corrected") > 0.7);
    assert!(number("/suspects/badnets <b>/accuracy_delivered") > 0.7);
    assert!(RAN.json.pointer("/clean/accuracy_before").unwrap().is_null(), "no labels were given");
}

#[test]
fn a_range_and_a_column_choose_rows_together() {
    let labels =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models/fashion-mnist/slice/trigger.labels.u8");
    let wanted = std::fs::read(labels).unwrap()[..9].iter().filter(|&&label| label != 0).count();
    assert_eq!(number("/suspects/few/n"), wanted as f64);
}

#[test]
fn intervals_hold_their_numbers() {
    let merged = &RAN.json["suspects"]["badnets <b>"]["merged"];
    for key in ["auroc", "ap", "tpr_at_1pct", "tpr_at_01pct"] {
        let [low, high] = [0, 1].map(|i| merged[format!("{key}_interval")][i].as_f64().unwrap());
        let value = merged[key].as_f64().unwrap();
        assert!(low <= value && value <= high && low < high, "{key}: {low} {value} {high}");
    }
}

#[test]
fn both_forms_flag_the_same_rows() {
    let output = evaluate(RAN.folder.path(), &["--data", "clean.idx", "--json"]);
    let labelled: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    let output = evaluate(RAN.folder.path(), &["--clean", "clean.idx", "--json"]);
    let clean: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(clean["clean"]["n"], 2000);
    assert_eq!(clean["clean"]["flagged"], labelled["clean"]["flagged"]);
    assert_eq!(clean["clean"]["flagged_expected"], labelled["clean_expected"]);
}

#[test]
fn the_page_fetches_nothing_runs_nothing_and_shows_what_went_worst() {
    let page = &RAN.page;
    for alien in ["http:", "https:", "<script", "<b>=", "badnets <b>", "url(", "@import"] {
        assert!(!page.contains(alien), "{alien}");
    }
    assert!(page.contains("badnets &lt;b&gt;"));
    for part in ["<svg", "data:image/png;base64,", "False flags"] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<svg").count(), 4, "two charts for each suspect");
}

#[test]
fn rows_that_are_not_there_are_an_error_that_says_what_is() {
    for (arguments, said) in [
        (vec!["--clean", "clean.idx@5000..6000"], "has no rows"),
        (vec!["--clean", "trigger.npz#hits"], "no array \"hits\" among"),
        (vec!["--clean", "clean.idx#hit"], "it is no .npz"),
        (vec!["--clean", "trigger.npz#y"], "does not say yes or no in \"y\""),
        (vec!["--clean", "nowhere.npz"], "nowhere.npz: cannot read"),
        (
            vec!["--clean", "clean.idx", "--suspect", "a=trigger.npz", "--suspect", "a=clean.idx"],
            "two suspects are called \"a\"",
        ),
        (vec!["--suspect", "a=trigger.npz"], "--clean"),
        (vec!["--clean", "clean.idx", "--data", "clean.idx"], "cannot be used with"),
    ] {
        let output = evaluate(RAN.folder.path(), &arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
}
