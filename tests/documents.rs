//! Checks the documents against the program: names in the documents must exist.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::{collections::BTreeSet, path::Path};

use fleetsweep::fleet::{
    FailureKind, Metric,
    troubles::{TROUBLES, TroubleSpec},
};

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

#[test]
fn every_metric_is_in_the_pages_for_other_programs() {
    let readme = readme();
    let views = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/README.md")).unwrap();
    let types = views.lines().find(|line| line.starts_with("| `type` |")).unwrap();
    for metric in Metric::ALL {
        assert!(types.contains(&format!("`{metric}`")), "{metric} is not among the types of migrations/README.md");
        let Some(gauge) = metric.spec().gauge else { continue };
        let name = gauge.name.strip_prefix("fleetsweep_").unwrap();
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in README.md");
    }
}

#[test]
fn every_failure_has_its_line_with_the_next_step() {
    let readme = readme();
    for kind in FailureKind::ALL {
        let line = readme.lines().find(|line| line.starts_with(&format!("| `{}` |", kind.words())));
        let line = line.unwrap_or_else(|| panic!("the README has no line for `{}`", kind.words()));
        assert!(line.ends_with(&format!("| {} |", kind.next_step())), "{line}\nshould end with: {}", kind.next_step());
    }
}

#[test]
fn every_trouble_of_the_collector_has_its_line() {
    let readme = readme();
    for TroubleSpec { title, meaning, next_step, end, .. } in &TROUBLES {
        let line = format!("| {title} | {meaning} | {next_step} | {end} |");
        assert!(readme.lines().any(|found| found == line), "the README lacks:\n{line}");
    }
}

#[test]
fn every_view_of_the_migrations_is_named() {
    let readme = readme();
    let mut views = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let sql = std::fs::read_to_string(path).unwrap();
            for name in sql.split("CREATE VIEW ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                views += 1;
                assert!(readme.contains(&format!("`{name}`")), "the README does not name {name}");
            }
        }
    }
    assert_eq!(views, 12);
}

/// The names between backticks in the third column of the tables of `docs/faults.md`.
fn tests_of_faults(page: &str) -> Vec<String> {
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| fault") && !line.starts_with("| ---"));
    let mut names = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").collect();
        let [_fault, _what_happens, tests] = cells.as_slice() else { panic!("a row of another shape: {row}") };
        let named: Vec<String> = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!named.is_empty(), "a fault without a test: {row}");
        names.extend(named);
    }
    names
}

/// The text of all Rust files in a directory tree.
fn code_in(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&code_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn every_fault_has_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let code = ["src", "tests", "agent/src", "agent/tests"].map(|folder| code_in(&root.join(folder))).concat();
    let names = tests_of_faults(&page);
    assert!(names.len() > 60, "{}", names.len());
    let absent: Vec<&String> = names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(absent.is_empty(), "docs/faults.md names tests that are not there: {absent:#?}");
    for section in ["Mail", "Secrets", "Clients", "Store", "Collector"] {
        assert!(page.contains(&format!("\n## {section}\n")), "docs/faults.md has no section {section}");
    }
}

#[test]
fn every_test_of_the_page_about_ssh_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/ssh.md")).unwrap();
    let code = ["src", "tests"].map(|folder| code_in(&root.join(folder))).concat();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let tests = rows.filter_map(|row| row.trim_end_matches('|').split(" | ").nth(2));
    let names: BTreeSet<&str> = tests.flat_map(|tests| tests.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 15, "{names:?}");
    let absent: Vec<&&str> = names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(absent.is_empty(), "docs/ssh.md names tests that are not there: {absent:#?}");
}

#[test]
fn every_fuzz_target_has_a_corpus_that_is_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(root.join("tests/fuzz").join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let targets: BTreeSet<String> =
        names("targets").iter().map(|file| file.strip_suffix(".rs").unwrap().to_owned()).collect();
    assert!(targets.len() > 10, "{targets:?}");
    assert_eq!(names("corpus"), targets, "corpora and targets");
    let manifest = std::fs::read_to_string(root.join("tests/fuzz/Cargo.toml")).unwrap();
    let readme = std::fs::read_to_string(root.join("tests/fuzz/README.md")).unwrap();
    let code = ["src", "agent/src"].map(|folder| code_in(&root.join(folder))).concat();
    for target in &targets {
        assert!(manifest.contains(&format!("name = \"{target}\"\n")), "{target} is not in tests/fuzz/Cargo.toml");
        assert!(readme.contains(&format!("| `{target}` |")), "{target} is not in tests/fuzz/README.md");
        assert!(code.contains(&format!("fn {target}(data: &[u8])")), "{target} has no decoder");
        let is_replayed = [format!("replay(\"{target}\""), format!("(\"{target}\", {target}")];
        assert!(is_replayed.iter().any(|call| code.contains(call)), "the corpus of {target} is not replayed");
        let inputs = std::fs::read_dir(support::corpora().join(target)).unwrap();
        for input in inputs {
            let input = input.unwrap();
            assert!(input.metadata().unwrap().len() <= 8192, "{} is not small", input.path().display());
        }
    }
}
