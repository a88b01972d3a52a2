//! The shipped bundles for tables on rows that no fit saw, and the guide's commands as they are
//! written.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tripline::fit::data::hints::Label;
use tripline::fit::data::table::Reading;
use tripline::fit::evaluate::{Evaluation, Options, evaluate};
use tripline::fit::{Progress, Watch};
use tripline::model::Runtime;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Silent;

impl Watch for Silent {
    fn stage(&mut self, _: &str) {}
    fn reading(&mut self, _: u64, _: f32) {}
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// What the bundle `models/{name}` makes of a file of its slice.
fn evaluated(name: &str, slice: &str) -> Evaluation {
    let bundle = root().join("models").join(name);
    let options = Options {
        data: bundle.join("slice").join(slice),
        bundle,
        reading: Reading::default(),
        label: Some(Label { name: "label".into(), normal: None }),
        budget: None,
    };
    let runtime = Runtime::load(None).expect("scripts/setup puts ONNX Runtime there");
    let evaluation =
        evaluate(&options, &runtime, &mut Silent).expect("the shipped bundle is sound");
    println!("{evaluation}");
    evaluation
}

/// Whether as many clean rows are flagged as chance explains, and attacks are told apart this well.
fn check(evaluation: &Evaluation, auroc_min: f64) {
    let (low, high) = evaluation.clean_expected;
    let flagged = evaluation.clean.flagged;
    assert!((low..=high).contains(&flagged), "{flagged} flagged, not {low} to {high}");
    assert!(evaluation.clean.refused.is_empty(), "{:?}", evaluation.clean.refused);
    let auroc = evaluation.attacks.auroc.expect("there are attacks");
    assert!(auroc >= auroc_min, "AUROC {auroc}");
}

#[test]
fn shuttle_keeps_its_budget_on_rows_it_never_saw_and_tells_attacks_apart() {
    check(&evaluated("shuttle", "held-out.csv"), 0.995);
}

#[test]
fn nsl_kdd_keeps_its_budget_on_rows_like_its_own_and_tells_attacks_apart() {
    check(&evaluated("nsl-kdd", "held-out.csv"), 0.98);
}

#[test]
fn nsl_kdd_tells_attacks_of_another_month_apart_that_it_has_no_name_for() {
    // Its clean rows have drifted too, so no interval is promised for them.
    let auroc = evaluated("nsl-kdd", "test.csv").attacks.auroc.expect("there are attacks");
    assert!(auroc >= 0.9, "AUROC {auroc}");
}

#[test]
fn a_word_that_no_row_had_is_reason_enough() {
    let slice = std::fs::read_to_string(root().join("models/nsl-kdd/slice/held-out.csv")).unwrap();
    let (header, rows) = slice.split_once('\n').expect("a header");
    let unseen = |row: &str| {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells[2] = "never-seen";
        cells.join(",") + "\n"
    };
    let normal = rows.lines().filter(|row| row.ends_with(",normal"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let table: String = normal.map(unseen).collect();
    std::fs::write(file.path(), format!("{header}\n{table}")).unwrap();
    let evaluation = evaluated("nsl-kdd", file.path().to_str().expect("a path in UTF-8"));
    assert!(evaluation.clean.flagged >= 590, "{} of 600", evaluation.clean.flagged);
}

/// The blocks of a Markdown text in this language.
fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    markdown.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A line of a shell, with its output redirected if it says so.
fn run(dir: &Path, line: &str, more: &[&str]) -> Output {
    let (command, file) = line.split_once('>').unwrap_or((line, ""));
    let words: Vec<_> = command.split_whitespace().skip(1).collect();
    let library = root().join(".tools/onnxruntime/libonnxruntime.so");
    let output = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(words)
        .args(more)
        .current_dir(dir)
        .env("ORT_DYLIB_PATH", std::env::var_os("ORT_DYLIB_PATH").unwrap_or(library.into()))
        .output()
        .expect("tripline runs");
    if !file.trim().is_empty() {
        std::fs::write(dir.join(file.trim()), &output.stdout).unwrap();
    }
    output
}

/// Payments as the guide tells them: `n` of them, a fiftieth of which were tampered with, and some of
/// the honest ones are fraud.
fn payments(n: usize, seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut csv = "order,amount,country,items,age_days,is_fraud,review\n".to_owned();
    for i in 0..n {
        let tampered = i % 50 == 49;
        let is_fraud = u8::from(i % 40 == 7);
        let items: u32 = rng.random_range(1..9);
        let amount =
            f64::from(items) * rng.random_range(5.0..20.0) * if tampered { 9.0 } else { 1.0 };
        let country = ["DE", "FR", "IT", "PL"][rng.random_range(0..4)];
        let age = match (tampered, rng.random_range(0..20)) {
            (_, 0) => String::new(),
            (true, _) => "0".into(),
            (false, _) => rng.random_range(1..3000).to_string(),
        };
        let review = if tampered { "tampered" } else { "ok" };
        writeln!(csv, "o-{seed}-{i},{amount:.2},{country},{items},{age},{is_fraud},{review}")
            .unwrap();
    }
    csv
}

#[test]
fn the_guide_leads_from_a_csv_to_a_configuration_that_check_accepts() {
    let guide = std::fs::read_to_string(root().join("docs/guide.md")).expect("the guide");
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    std::fs::write(dir.join("payments.csv"), payments(11_000, 1)).unwrap();
    std::fs::write(dir.join("june.csv"), payments(2_000, 2)).unwrap();
    std::fs::write(dir.join("tripline.toml"), blocks(&guide, "toml").concat()).unwrap();
    let lines = blocks(&guide, "sh").concat().replace("\\\n", " ");
    let lines = lines.lines().map(|line| line.split(" #").next().unwrap().trim());
    let mut verbs = vec![];
    for line in lines.filter(|line| line.starts_with("tripline ")) {
        let verb = line.split_whitespace().nth(1).unwrap();
        let more: &[&str] = if verb == "fit" { &["--epochs-max", "2"] } else { &[] };
        // What asks a cluster runs against a real one in delivery.rs, with the same words.
        let offline = line.replace(" --connect", "").replace("--apply", "--print");
        if verb == "run" {
            let delivery =
                std::fs::read_to_string(root().join("tests/broker/delivery.rs")).unwrap();
            assert!(delivery.contains("[\"run\", \"-c\""));
            continue;
        }
        let output = run(dir, &offline, more);
        let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{line}: {said}");
        verbs.push(verb.to_owned());
    }
    assert_eq!(verbs, ["fit", "fit", "evaluate", "check", "topics"]);
    let report: PathBuf = dir.join("june.json");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["attacks"]["auroc"].as_f64().unwrap() > 0.9, "{report}");
}
