//! Layering: a module uses only modules that `src/lib.rs` lists earlier. This test reads the source
//! and checks it.
//!
//! It looks for `crate::name` and `tripline::name`, also within braces, outside comments and
//! strings. It cannot see what a macro writes, nor `super::` that climbs out of a module's own root;
//! the binary (`main.rs`) may use all modules.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `lib.rs`, in its order.
fn modules(lib: &str) -> Vec<String> {
    let lib = code(lib);
    let name =
        |line: &str| line.trim().strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned);
    lib.lines().filter_map(name).collect()
}

/// Every module of ours that `source` names by a path from the root.
fn named(source: &str) -> Vec<String> {
    let code: String = code(source).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut names = vec![];
    for root in ["crate", "tripline"] {
        let mut rest = code.as_str();
        while let Some(at) = rest.find(root) {
            let own =
                rest[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != ':' && c != '$');
            rest = &rest[at + root.len()..];
            if let (true, Some(path)) = (own, rest.trim_start().strip_prefix("::")) {
                names.extend(heads(path.trim_start()));
            }
        }
    }
    names
}

/// First names of the paths in `a::b …` or in `{a::b, c::{d, e}, f} …`.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|&c| is_word(c)).collect::<String>();
    let Some(inside) = path.strip_prefix('{') else { return vec![word(path)] };
    let mut depth = 0;
    let mut heads = vec![word(inside.trim_start())];
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(inside[at + 1..].trim_start())),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `source` without its comments and the inside of its strings.
pub fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(raw) = raw_string(rest, &code) {
            raw
        } else if c == '"' {
            string(rest)
        } else if let Some(quoted) =
            ["'\"'", "'\\\"'", "b'\"'"].iter().find(|q| rest.starts_with(**q))
        {
            quoted.len()
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push(' ');
        if rest.starts_with('"') || rest.starts_with('r') {
            // A line within a string stays a line, so that the lines of `lib.rs` stay its lines.
            code.extend(rest[..skip].chars().filter(|&c| c == '\n'));
        }
        rest = &rest[skip..];
    }
    code
}

/// How long the string is that `rest` begins with.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// How long the raw string is that `rest` begins with, if it does.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    if before.chars().next_back().is_some_and(|c| is_word(c) && c != 'b') {
        return None;
    }
    let hashes = rest.strip_prefix('r')?.chars().take_while(|&c| c == '#').count();
    let inside = rest[1 + hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&close).map_or(rest.len(), |at| 2 + hashes + at + close.len()))
}

/// What `source`, a file of `module`, uses against the order of `modules`.
fn violations(modules: &[String], module: &str, source: &str) -> Vec<String> {
    let place = |name: &str| modules.iter().position(|m| m == name);
    let Some(own) = place(module) else {
        return vec![format!("`{module}` is not listed in lib.rs")];
    };
    let later = |name: &String| place(name).is_some_and(|at| at > own);
    let mut found: Vec<String> = named(source).into_iter().filter(later).collect();
    found.sort();
    found.dedup();
    found
        .into_iter()
        .map(|name| format!("`{module}` uses `{name}`, which is listed later"))
        .collect()
}

pub fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_module_uses_only_modules_listed_earlier() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules = modules(&fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(!modules.is_empty(), "lib.rs lists no module");

    let mut paths = vec![];
    files(&src, &mut paths);
    let mut wrong = vec![];
    for path in paths {
        let inside = path.strip_prefix(&src).unwrap();
        if inside == Path::new("lib.rs") || inside == Path::new("main.rs") {
            continue;
        }
        let first = inside.components().next().unwrap();
        let module = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap();
        let found = violations(&modules, module, &fs::read_to_string(&path).unwrap());
        wrong.extend(found.into_iter().map(|what| format!("src/{}: {what}", inside.display())));
    }
    assert!(wrong.is_empty(), "a module uses only modules listed earlier:\n{}", wrong.join("\n"));
}

/// Modules a, b, c, d in this order; what module `b` may say.
fn check(source: &str, uses_later: &[&str]) {
    let modules =
        modules("//! pub mod z;\npub mod a;\n\npub mod b;\npub mod c;\npub mod d;\nmod e;");
    assert_eq!(modules, ["a", "b", "c", "d"]);
    let expected: Vec<String> =
        uses_later.iter().map(|name| format!("`b` uses `{name}`, which is listed later")).collect();
    assert_eq!(violations(&modules, "b", source), expected, "{source}");
}

#[test]
fn a_seeded_violation_is_found_however_it_is_written() {
    check("use crate::c::Thing;", &["c"]);
    check("use crate::{a, b::{c, d}, d::Thing};", &["d"]);
    check("use crate::{\n    a::A,\n    c::{C, D},\n};", &["c"]);
    check("fn f() -> crate :: d::D { tripline::c::c() }", &["c", "d"]);
    check("pub(crate) use crate::c;", &["c"]);
    check("const S: &str = \"\\\"//\"; use crate::c; // x", &["c"]);
    check("const Q: char = '\"'; use crate::c; const R: char = '\"';", &["c"]);
    check("let x = r#\"\"//\"#; use crate::c;", &["c"]);
}

#[test]
fn what_only_looks_like_a_violation_is_none() {
    check("use crate::{a::c, b}; use super::c; use std::c; use other::crate_::c;", &[]);
    check("// use crate::c\n/* crate::d */ /// [`crate::d`]", &[]);
    check("let x = \"crate::c\"; let y = r\"crate::d\"; let z = r#\"\"crate::c\"\"#;", &[]);
    check("pub(crate) fn c() {} use my_crate::c;", &[]);
}
