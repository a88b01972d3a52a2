//! docs/threats.md names tests; each name must be one.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every test that the page names, in its order.
fn named(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    let last = rows.filter_map(|row| row.trim_end_matches('|').rsplit_once('|').map(|cell| cell.1));
    let words = last.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.filter(|word| !word.starts_with("--")).collect()
}

/// Text of the files that could hold a test of this name.
fn candidates(name: &str) -> Vec<PathBuf> {
    if !name.contains("::") {
        let places = [
            format!("tests/{name}/main.rs"),
            format!("tests/core/{name}.rs"),
            format!("tests/core/{name}/mod.rs"),
            format!("tests/broker/{name}.rs"),
            format!("tests/broker/{name}/mod.rs"),
        ];
        return places.map(PathBuf::from).into();
    }
    let module = name.split("::tests").next().expect("a first part").replace("::", "/");
    let inner = name.split("::tests::").nth(1).and_then(|rest| rest.split_once("::"));
    let mut files = vec![format!("src/{module}.rs"), format!("src/{module}/mod.rs")];
    files.push(format!("src/{module}/tests.rs"));
    if let Some((below, _)) = inner {
        files.push(format!("src/{module}/tests/{below}.rs"));
    }
    // `failures::a_test` is in tests/core or tests/broker.
    let first = name.split("::").next().expect("a first part");
    files.extend(["core", "broker"].map(|program| format!("tests/{program}/{first}.rs")));
    files.into_iter().map(PathBuf::from).collect()
}

fn exists(name: &str) -> bool {
    let test = name.rsplit("::").next().filter(|last| *last != "tests" && *last != name);
    let texts = candidates(name).into_iter().map(|file| std::fs::read_to_string(root().join(file)));
    texts.flatten().any(|text| match test {
        Some(test) => text.contains(&format!("fn {test}(")),
        None => {
            text.contains("#[test]")
                || text.contains("proptest!")
                || name == "chaos"
                || text.contains("mod ")
        }
    })
}

#[test]
fn every_test_that_the_page_of_threats_names_is_there() {
    let page = std::fs::read_to_string(root().join("docs/threats.md")).expect("the page");
    let names = named(&page);
    assert!(names.len() >= 30, "{names:?}");
    let absent: Vec<_> = names.iter().filter(|name| !exists(name)).collect();
    assert!(absent.is_empty(), "no such tests: {absent:?}");
}

#[test]
fn every_line_of_the_page_of_threats_names_a_test() {
    let page = std::fs::read_to_string(root().join("docs/threats.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    let rows = rows.filter(|row| !row.starts_with("| trick"));
    let bare: Vec<_> = rows.filter(|row| named(row).is_empty()).collect();
    assert!(bare.is_empty(), "no test: {bare:?}");
}

#[test]
fn a_name_that_nobody_has_is_noticed() {
    assert!(exists("record::headers::tests"));
    assert!(!exists("record::headers::tests::nobody_wrote_this"));
    assert!(!exists("no_such_file"));
}
