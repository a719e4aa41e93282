//! The rules of the architecture: modules import only what the table in `src/lib.rs` allows, the pure core does not use
//! the runtime, files or the clock, and every module has a doc comment.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what failed by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

mod modules;

use modules::{Tests, WIRE};

/// Names that `fleet` must not use: runtime, database, network, terminal, clock, files.
const NOT_PURE: [&str; 15] = [
    "tokio",
    "sqlx",
    "russh",
    "lettre",
    "ratatui",
    "crossterm",
    "tracing",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
];

/// A row of the table.
#[derive(Debug)]
struct TopModule {
    is_edge: bool,
    /// `None` if it may import everything.
    may_import: Option<BTreeSet<String>>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The table in `src/lib.rs`: module, what it is, what it may import.
fn map() -> BTreeMap<String, TopModule> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! | [`"))
        .map(|row| {
            let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").map(str::trim).collect();
            let [module, what, imports] = cells.as_slice() else { panic!("a row of another shape: {row}") };
            let may_import = (*imports != "everything").then(|| {
                let words = imports.split(", ").map(|word| word.trim_matches('`'));
                words.map(|word| if word == "the wire" { WIRE } else { word }.to_owned()).collect()
            });
            let module = module.split('`').next().unwrap().to_owned();
            (module, TopModule { is_edge: what.starts_with("edge:"), may_import })
        })
        .collect();
    assert!(modules.len() > 5, "the map in src/lib.rs was not found");
    modules
}

/// All Rust files in a directory tree, with their text.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no Rust file");
    found
}

/// The text without comments, because links in comments are not imports.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The top-level module of a file in `src/`; `None` for the roots of the two crates.
fn top_module_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let name = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
    (name != "lib" && name != "main").then_some(name)
}

#[test]
fn the_reader_of_imports_opens_groups_and_skips_comments() {
    let check = |text: &str, tests: Tests, expected: &[&str]| {
        let found = modules::roots(&["here".to_owned()], text, tests);
        assert_eq!(found, expected.iter().map(|name| (*name).to_owned()).collect(), "{text}");
    };
    check("use crate::fleet::Stage;", Tests::LeftOut, &["fleet"]);
    check(
        "use crate::{\n    config::{Client, Config},\n    fleet::{self, ClientId}, bus::Publisher,\n};",
        Tests::LeftOut,
        &["bus", "config", "fleet"],
    );
    check("fn f(at: crate::store::Pool) {} // crate::mail", Tests::LeftOut, &["store"]);
    check("//! See [`crate::tui`].\nuse fleetsweep_agent::Report;", Tests::LeftOut, &[WIRE]);
    check("fn f() { fleetsweep_agent::f() }", Tests::LeftOut, &[WIRE]);
    let with_tests = "use crate::fleet::Stage;\n#[cfg(test)]\nmod tests { use crate::mail::Mail; }";
    check(with_tests, Tests::LeftOut, &["fleet"]);
    check(with_tests, Tests::Included, &["fleet", "mail"]);
}

#[test]
fn every_module_imports_only_what_the_map_allows() {
    let map = map();
    let mut wrong = Vec::new();
    for (path, text) in files("src") {
        let Some(name) = top_module_of(&path) else { continue };
        let Some(top) = map.get(&name) else { panic!("{}: `{name}` is not in the map of src/lib.rs", path.display()) };
        let Some(allowed) = &top.may_import else { continue };
        let module = modules::module_path(path.strip_prefix(root().join("src")).unwrap());
        let product =
            if modules::is_tests(&module) { BTreeSet::new() } else { modules::roots(&module, &text, Tests::LeftOut) };
        // Tests may use the wire format, because a reading is made from a report.
        let all = modules::roots(&module, &text, Tests::Included).into_iter().filter(|import| import != WIRE);
        let wrongly: BTreeSet<String> = product.into_iter().chain(all).collect();
        for import in wrongly.iter().filter(|import| **import != name && !allowed.contains(*import)) {
            wrong.push(format!("{}: `{name}` may not import `{import}`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_map_lets_no_edge_import_another_and_the_core_nothing_but_the_wire() {
    let map = map();
    let edges: BTreeSet<&String> = map.iter().filter(|(_, module)| module.is_edge).map(|(name, _)| name).collect();
    assert!(edges.len() >= 4, "{edges:?}");
    for (name, module) in &map {
        let Some(allowed) = &module.may_import else {
            assert_eq!(name, "app", "only the composition root may import everything");
            continue;
        };
        let other_edges: Vec<_> = allowed.iter().filter(|import| edges.contains(import)).collect();
        assert!(other_edges.is_empty(), "`{name}` may import {other_edges:?}: `app` alone wires edges");
    }
    let core = map.get("fleet").and_then(|module| module.may_import.clone()).unwrap();
    assert_eq!(core, BTreeSet::from([WIRE.to_owned()]));
}

#[test]
fn the_core_names_no_runtime_no_database_no_terminal_and_no_clock() {
    for (path, text) in files("src").into_iter().filter(|(path, _)| top_module_of(path).as_deref() == Some("fleet")) {
        let code = code(&text);
        let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').collect();
        for name in NOT_PURE {
            let named = words
                .iter()
                .any(|word| word.split("::").any(|part| part == name) || (name.contains("::") && word.contains(name)));
            assert!(!named, "{}: the core names `{name}`: time and effects come in as values", path.display());
        }
    }
}

/// The modules of `src/` that are files.
fn modules_of_src() -> Vec<(modules::ModulePath, String)> {
    let src = root().join("src");
    files("src")
        .into_iter()
        .map(|(path, text)| (modules::module_path(path.strip_prefix(&src).unwrap()), text))
        .filter(|(path, _)| path != &["main"] && !modules::is_tests(path))
        .collect()
}

#[test]
fn no_two_files_import_each_other() {
    let imports = modules::imports(&modules_of_src());
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 500, "too few imports were found: {imports:?}");
    let cycles: Vec<String> = modules::cycles(&imports)
        .iter()
        .map(|group| {
            let edges = group.iter().flat_map(|from| {
                let inside = imports.get(from).into_iter().flatten().filter(|to| group.contains(to));
                inside.map(|to| format!("    {} -> {}", from.join("::"), to.join("::")))
            });
            edges.collect::<Vec<_>>().join("\n")
        })
        .collect();
    assert!(cycles.is_empty(), "{} cycles:\n{}\n", cycles.len(), cycles.join("\n\n"));
}

#[test]
fn a_cycle_between_files_is_found_through_reexports_and_macros() {
    let check = |files: &[(&str, &str)], expected: &[&[&str]]| {
        let split = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
        let files: Vec<_> = files.iter().map(|(path, text)| (split(path), (*text).to_owned())).collect();
        let found: Vec<Vec<String>> = modules::cycles(&modules::imports(&files))
            .into_iter()
            .map(|group| group.into_iter().map(|path| path.join("::")).collect())
            .collect();
        assert_eq!(found, expected, "{files:?}");
    };
    let parent = ("a", "mod b; mod c; pub use b::B; pub(crate) use c::C;");
    check(&[parent, ("a::b", "use super::C; pub struct B;"), ("a::c", "pub struct C;")], &[]);
    check(
        &[parent, ("a::b", "use super::C;"), ("a::c", "pub struct C; fn f() -> crate::a::B { x }")],
        &[&["a::b", "a::c"]],
    );
    check(&[parent, ("a::b", "use super::C;"), ("a::c", "fn f() { go!(1, super::B::new()) }")], &[&["a::b", "a::c"]]);
    check(&[parent, ("a::b", "use super::C;"), ("a::c", "#[cfg(test)] mod tests { use crate::a::B; }")], &[]);
    check(&[("a", "mod b; fn f() { b::g() } pub struct A;"), ("a::b", "use super::A;")], &[&["a", "a::b"]]);
    check(
        &[("a", "mod b; use crate::x::X; fn f() { b::g() }"), ("a::b", "use super::X;"), ("x", "pub struct X;")],
        &[],
    );
    check(
        &[("a", "use crate::b::{self, x::{Y as Z}};"), ("b", "mod x;"), ("b::x", "use super::super::a;")],
        &[&["a", "b::x"]],
    );
    check(&[("a", "use crate::b::*;"), ("b", "pub use crate::c::*;"), ("c", "use crate::a::A;")], &[]);
}

#[test]
fn every_module_begins_by_saying_what_it_is() {
    for folder in ["src", "agent/src", "tests"] {
        for (path, text) in files(folder) {
            assert!(text.starts_with("//! "), "{} does not begin with `//!`", path.display());
        }
    }
}
