//! Bundles whose maker is hostile: `check` refuses what `fit` would never write, soon and in little
//! memory, and says why. The networks are those of `tests/onnx/make.py`, with right digests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tripline::bundle::{AUTOENCODER, Bundle};
use tripline::model::Runtime;
use tripline::shell::bundle as bundle_dir;
use tripline::shell::trial::{Trial, TrialError};

use crate::harness::root;

/// The shipped bundle of tables with another autoencoder.
fn with(network: &str) -> Bundle {
    let mut bundle = bundle_dir::read(&root().join("models/shuttle")).expect("a bundle");
    let path = root().join(format!("tests/onnx/{network}.onnx"));
    bundle.networks.insert(AUTOENCODER, fs::read(path).expect("a network"));
    bundle
}

fn write(bundle: Bundle, place: &Path) -> PathBuf {
    let dir = place.join("bundle");
    bundle_dir::write(&dir, &bundle.into_files()).expect("a place to write");
    dir
}

/// What `tripline check` says of a configuration with that bundle, and its exit code.
fn check(bundle: &Path, place: &Path) -> (String, Option<i32>) {
    let config = place.join("tripline.toml");
    let text = format!(
        "instance = \"t\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[[stream]]\nname = \"s\"\n\
         input = \"i\"\nbundle = \"{}\"\n",
        bundle.display()
    );
    fs::write(&config, text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    let output = command.arg("check").arg("-c").arg(&config).output().expect("tripline runs");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    (said, output.status.code())
}

fn refused(network: &str, why: &str) {
    let place = tempfile::tempdir().expect("a directory");
    let since = Instant::now();
    let (said, code) = check(&write(with(network), place.path()), place.path());
    assert_eq!(code, Some(78), "{network}: {said}");
    assert!(said.contains(why), "{network}: {said}");
    println!("{network}: {:?}", since.elapsed());
}

#[test]
fn a_network_that_never_ends_or_fetches_from_elsewhere_is_refused_before_it_runs() {
    refused("endless", "uses Loop, which runs another graph");
    refused(
        "as-the-row-says",
        "uses ConstantOfShape, whose size here depends on the numbers in a row",
    );
    refused("external", "keeps the tensor \"cube\" in another file");
    refused("random", "uses RandomNormalLike, which is drawn");
}

#[test]
fn a_network_that_needs_forty_gigabytes_is_refused_without_them() {
    refused("forty-gigabytes", "of memory");
}

#[test]
fn a_network_that_takes_minutes_to_load_is_refused_in_seconds() {
    let since = Instant::now();
    refused("never-loaded", "did not come back within");
    assert!(since.elapsed() < Duration::from_secs(90), "{:?}", since.elapsed());
}

fn trial(network: &str, rows: usize, memory: u64) -> Result<(), TrialError> {
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let trial = Trial::by(env!("CARGO_BIN_EXE_tripline")).within(memory);
    trial.run(&runtime, &with(network), rows, Duration::from_secs(20))
}

#[test]
fn memory_that_a_batch_needs_is_part_of_the_trial() {
    const MEMORY: u64 = 2 << 30;
    // A hundred megabytes a row, and as many of its own.
    trial("hundred-megabytes-a-row", 1, MEMORY).expect("one row fits");
    let said = trial("hundred-megabytes-a-row", 64, MEMORY).expect_err("taken").to_string();
    assert!(said.contains("64 rows") && said.contains("2048 MiB of memory"), "{said}");
    println!("{said}");
}

#[test]
fn a_bundle_that_is_swapped_after_it_was_read_changes_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let sound = bundle_dir::read(&root().join("models/shuttle")).expect("a bundle");
    let dir = write(sound, place.path());
    let read = bundle_dir::read(&dir).expect("a bundle");
    fs::copy(root().join("tests/onnx/endless.onnx"), dir.join("autoencoder.onnx")).expect("a copy");
    let trial = Trial::by(env!("CARGO_BIN_EXE_tripline"));
    trial.run(&runtime, &read, 256, Duration::from_secs(5)).expect("what was read is tried");
    let again = bundle_dir::read(&dir).expect_err("the digest is another").to_string();
    assert!(again.contains("autoencoder.onnx has digest"), "{again}");
}

#[test]
fn a_trial_that_cannot_be_held_is_no_trial_passed() {
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let sound = bundle_dir::read(&root().join("models/shuttle")).expect("a bundle");
    let ended = |program: &str| {
        let trial = Trial::by(program);
        trial.run(&runtime, &sound, 1, Duration::from_secs(1)).expect_err("it passed")
    };
    assert!(matches!(ended("/nowhere/tripline"), TrialError::Process(_)));
    assert!(matches!(ended("/bin/false"), TrialError::Died { .. }));
}

#[test]
fn check_names_what_everybody_may_write_to() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = tempfile::tempdir().expect("a directory");
    let sound = bundle_dir::read(&root().join("models/shuttle")).expect("a bundle");
    let dir = write(sound, place.path());
    fs::set_permissions(dir.join("manifest.toml"), fs::Permissions::from_mode(0o666))
        .expect("ours");
    let (said, code) = check(&dir, place.path());
    assert_eq!(code, Some(0), "{said}");
    let line = "everybody on this machine may write to";
    let named = said.lines().find(|text| text.contains(line)).unwrap_or_else(|| panic!("{said}"));
    assert!(named.contains("manifest.toml") && !named.contains("autoencoder"), "{said}");
}
