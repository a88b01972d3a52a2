//! No circles: of two files of `src` that are not one inside the other, at most one uses the other, directly or through more
//! files. This test reads the source and checks it.
//!
//! It looks at paths that begin with `crate`, `super` or `self`, outside comments, strings and unit tests. It cannot see what a
//! macro writes, nor a name that a parent re-exports: `use super::Name` says nothing of the file that has `Name`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::layering::{code, files, is_word};

/// A module as its path from the root: `["shell", "kafka", "client"]`.
type Module = Vec<String>;

/// The module of a file below `src`, or none for what belongs to a binary or to tests.
fn module(file: &Path) -> Option<Module> {
    let mut names: Module =
        file.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    let is_left_out = |name: &String| ["tests", "lib", "main"].contains(&name.as_str());
    (!names.iter().any(is_left_out)).then_some(names)
}

/// All paths in `text`, which begins with one: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(text: &str, before: &[String], found: &mut Vec<Module>) {
    let text = text.trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        let mut depth = 0;
        let mut from = 0;
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => return paths(&inside[from..at], before, found),
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    paths(&inside[from..at], before, found);
                    from = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let word: String = text.chars().take_while(|&c| is_word(c)).collect();
    let path: Module = before.iter().cloned().chain([word.clone()]).collect();
    match text[word.len()..].trim_start().strip_prefix("::") {
        Some(rest) if !word.is_empty() => paths(rest, &path, found),
        _ => found.push(path),
    }
}

/// The modules that `source`, the file of `own`, uses, but for those that it is inside of or that are inside of it.
fn used(own: &Module, source: &str, all: &BTreeSet<Module>) -> BTreeSet<Module> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().expect("a first part");
    let code = code(source);
    let mut used = BTreeSet::new();
    for root in ["crate", "super", "self"] {
        for (at, _) in code.match_indices(root) {
            let begins = code[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != ':');
            if !begins || !code[at + root.len()..].starts_with("::") {
                continue;
            }
            let mut found = vec![];
            paths(&code[at..], &[], &mut found);
            used.extend(found.into_iter().filter_map(|path| target(own, &path, all)));
        }
    }
    used.retain(|other| !other.starts_with(own) && !own.starts_with(other));
    used
}

/// The innermost module that `path`, written in `own`, leads into.
fn target(own: &Module, path: &[String], all: &BTreeSet<Module>) -> Option<Module> {
    let mut at = own.clone();
    for (i, name) in path.iter().enumerate() {
        match name.as_str() {
            "crate" if i == 0 => at.clear(),
            "self" if i == 0 => {}
            "super" => drop(at.pop()),
            _ => {
                at.push(name.clone());
                if !all.contains(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    all.contains(&at).then_some(at)
}

/// A circle, if there is one: each module uses the next, and the last the first.
fn circle(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    fn visit<'a>(
        module: &'a Module,
        uses: &'a BTreeMap<Module, BTreeSet<Module>>,
        way: &mut Vec<&'a Module>,
        done: &mut BTreeSet<&'a Module>,
    ) -> Option<Vec<Module>> {
        if let Some(at) = way.iter().position(|&earlier| earlier == module) {
            return Some(way[at..].iter().map(|&module| module.clone()).collect());
        }
        if !done.contains(module) {
            way.push(module);
            let found = uses.get(module)?.iter().find_map(|next| visit(next, uses, way, done));
            if found.is_some() {
                return found;
            }
            way.pop();
            done.insert(module);
        }
        None
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| visit(module, uses, &mut vec![], &mut done))
}

fn circle_of(files: &[(Module, String)]) -> Option<Vec<String>> {
    let all: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let uses = files.iter().map(|(own, source)| (own.clone(), used(own, source, &all))).collect();
    Some(circle(&uses)?.iter().map(|module| module.join("::")).collect())
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![];
    files(&src, &mut found);
    let read = |path: &std::path::PathBuf| {
        let module = module(path.strip_prefix(&src).expect("below it"))?;
        Some((module, fs::read_to_string(path).expect("a file")))
    };
    let sources: Vec<(Module, String)> = found.iter().filter_map(read).collect();
    assert!(sources.len() > 400, "only {} files", sources.len());
    assert_eq!(circle_of(&sources), None);
}

/// What `a::b`, `a::c`, and `d` say, beside `a` that is empty.
fn of(b: &str, c: &str, d: &str) -> Option<Vec<String>> {
    let file = |path: &str, text: &str| {
        (path.split("::").map(str::to_owned).collect::<Module>(), text.to_owned())
    };
    circle_of(&[file("a", ""), file("a::b", b), file("a::c", c), file("d", d)])
}

#[test]
fn a_seeded_circle_is_found_however_it_is_written() {
    let two = Some(vec!["a::b".to_owned(), "a::c".to_owned()]);
    assert_eq!(of("use super::c::C;", "use super::b::B;", ""), two);
    assert_eq!(of("use crate::{a::{c::C, x}, y};", "fn f() { super::b::g() }", ""), two);
    assert_eq!(of("use super::{\n    c,\n};", "pub use super::b::{self, B};", ""), two);
    let three = Some(vec!["a::b".to_owned(), "a::c".to_owned(), "d".to_owned()]);
    assert_eq!(of("use super::c::C;", "use crate::d;", "use crate::a::b::B;"), three);
}

#[test]
fn what_only_looks_like_a_circle_is_none() {
    assert_eq!(of("use super::c::C;", "use super::B;", ""), None);
    assert_eq!(
        of("use super::c::C;", "// use super::b::B;\nconst S: &str = \"super::b\";", ""),
        None
    );
    assert_eq!(
        of("use super::c::C;", "#[cfg(test)]\nmod tests {\n use super::super::b::B;\n}", ""),
        None
    );
    assert_eq!(of("use super::c::C;", "use self::b::B;", "use crate::a;"), None);
}
