//! `make demo` and `make test` compile what they share once.

use std::collections::BTreeMap;
use std::process::Command;

/// Crates with their versions, and the features that each is compiled with. A crate that is compiled for macros too
/// may stand there twice, with others.
fn crates(args: &[&str]) -> BTreeMap<String, Vec<String>> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p}|{f}"])
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8(tree.stdout).expect("UTF-8").lines() {
        let (name, features) = line.split_once('|').expect("both are asked for");
        crates.entry(name.to_owned()).or_default().push(features.replace(" (*)", ""));
    }
    crates
}

#[test]
fn no_crate_of_the_demo_is_compiled_again_for_the_tests() {
    let demo = crates(&["--edges", "normal,no-proc-macro", "--no-default-features"]);
    let tests = crates(&["--edges", "normal,build,dev"]);
    let own = concat!("tripline v", env!("CARGO_PKG_VERSION"));
    let mut twice = vec![];
    for (name, wanted) in demo.iter().filter(|(name, _)| !name.starts_with(own)) {
        let found = tests.get(name).map_or(&[][..], Vec::as_slice);
        twice.extend(
            wanted.iter().filter(|w| !found.contains(w)).map(|w| format!("{name} with {w}")),
        );
    }
    assert!(
        twice.is_empty(),
        "give these the features that the tests ask for, in Cargo.toml under \"Not called by us\":\n{}",
        twice.join("\n")
    );
    assert!(demo.len() * 4 < tests.len() * 3, "{} of {} crates", demo.len(), tests.len());
}
