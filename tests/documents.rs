//! Checks the documents against the program: names in the documents must exist.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::{collections::BTreeSet, path::Path};

use fleetsweep::fleet::{
    FailureKind, Metric,
    troubles::{TROUBLES, TroubleSpec},
};

/// The text of a document, by its path in the repository.
fn document(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The paths of all documents for users and contributors: those at the top, and the pages in `docs`.
fn documents() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["", "docs", "migrations", "tests/fuzz", "tests/vectors"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                paths.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
    }
    assert!(paths.len() > 15, "{paths:?}");
    paths
}

/// The anchors of a page: its headings as they are written in links.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if let Some(heading) = line.strip_prefix('#').filter(|_| !is_code) {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
            anchors.insert(kept.map(|char| if char == ' ' { '-' } else { char }).collect());
        }
    }
    anchors
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for path in documents() {
        let page = document(&path);
        let folder = root.join(&path).parent().unwrap().to_owned();
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { root.join(&path) } else { folder.join(file) };
            assert!(file.exists(), "{path} links to {target}, which is not there");
            let is_anchor = || anchors(&std::fs::read_to_string(&file).unwrap()).contains(anchor);
            assert!(anchor.is_empty() || is_anchor(), "{path} links to {target}, which is no heading there");
        }
    }
    assert!(links > 80, "{links}");
}

/// Names such as `<alert>` outside of code would be tags, which nobody sees.
#[test]
fn no_text_of_a_document_is_a_tag() {
    for path in documents() {
        let mut is_code = false;
        for line in document(&path).lines() {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
            } else if !is_code {
                let text: String = line.split('`').step_by(2).collect();
                let is_tag = |rest: &str| rest.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/');
                let mut parts = text.split('<');
                let mut before = parts.next().unwrap();
                for rest in parts {
                    assert!(before.ends_with('\\') || !is_tag(rest), "{path}: {line}");
                    before = rest;
                }
            }
        }
    }
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = document("README.md");
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
    for path in documents().iter().filter(|path| path.starts_with("docs/")) {
        assert!(readme.contains(&format!("]({path})")), "README.md has no link to {path}");
    }
    for command in ["\ncargo run --release -- --demo --once\n", "\ntests/run\n"] {
        assert!(readme.contains(command), "{command}");
    }
    let manifest = document("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"')).unwrap();
    for path in ["README.md", "docs/getting-started.md"] {
        assert!(
            document(path).contains(&format!("Rust {version} ")),
            "{path} does not say that Rust {version} is needed"
        );
    }
}

#[test]
fn every_metric_is_in_the_pages_for_other_programs() {
    let [page, views] = ["docs/prometheus.md", "migrations/README.md"].map(document);
    let types = views.lines().find(|line| line.starts_with("| `type` |")).unwrap();
    for metric in Metric::ALL {
        assert!(types.contains(&format!("`{metric}`")), "{metric} is not among the types of migrations/README.md");
        let Some(gauge) = metric.spec().gauge else { continue };
        assert!(page.contains(&format!("`{}`", gauge.name)), "{} is not in docs/prometheus.md", gauge.name);
    }
}

/// The names of the fields of a struct or of a value of it, one a line.
fn fields(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("pub ").split_once(": "))
        .map(|(name, _)| name)
        .collect()
}

/// A regression test: the row of the example lacked a field, so it did not compile.
#[test]
fn the_example_of_a_metric_has_every_field() {
    let (guide, code) = (document("CONTRIBUTING.md"), document("src/fleet/metric.rs"));
    let row = guide.split("OpenFiles: MetricSpec {\n").nth(1).and_then(|rest| rest.split("\n    };").next()).unwrap();
    let declared = code.split("pub struct MetricSpec {\n").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let declared: String =
        declared.lines().filter(|line| !line.contains("///")).map(|line| format!("{line}\n")).collect();
    assert_eq!(fields(row), fields(&declared));
}

#[test]
fn every_failure_has_its_line_with_the_next_step() {
    let page = document("docs/troubleshooting.md");
    for kind in FailureKind::ALL {
        let line = page.lines().find(|line| line.starts_with(&format!("| `{}` |", kind.words())));
        let line = line.unwrap_or_else(|| panic!("docs/troubleshooting.md has no line for `{}`", kind.words()));
        assert!(line.ends_with(&format!("| {} |", kind.next_step())), "{line}\nshould end with: {}", kind.next_step());
    }
}

#[test]
fn every_trouble_of_the_collector_has_its_line() {
    let page = document("docs/alerts-and-mail.md");
    for TroubleSpec { title, meaning, next_step, end, .. } in &TROUBLES {
        // Outside of code, `<` would begin a tag.
        let line = format!("| {title} | {meaning} | {next_step} | {end} |").replace('<', "\\<");
        assert!(page.lines().any(|found| found == line), "docs/alerts-and-mail.md lacks:\n{line}");
    }
}

#[test]
fn every_view_of_the_migrations_is_named() {
    let page = document("docs/databases.md");
    let mut views = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let sql = std::fs::read_to_string(path).unwrap();
            for name in sql.split("CREATE VIEW ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                views += 1;
                assert!(page.contains(&format!("`{name}`")), "docs/databases.md does not name {name}");
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
    let page = document("docs/faults.md");
    let code = ["src", "tests", "agent/src", "agent/tests"].map(|folder| code_in(&root.join(folder))).concat();
    let names = tests_of_faults(&page);
    assert!(names.len() > 60, "{}", names.len());
    let absent: Vec<&String> = names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(absent.is_empty(), "docs/faults.md names tests that are not there: {absent:#?}");
    for section in ["Mail", "Secrets", "Clients", "Store", "Collector"] {
        assert!(page.contains(&format!("\n## {section}\n")), "docs/faults.md has no section {section}");
    }
}

/// The names of tests in a column of the tables of a page, counted from 0.
fn tests_in_column(page: &str, column: usize) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').split(" | ").nth(column));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names
        .filter(|name| name.len() > 20 && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'))
        .collect()
}

#[test]
fn the_tests_that_the_pages_about_ssh_and_security_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = ["src", "tests", "agent/src", "agent/tests"].map(|folder| code_in(&root.join(folder))).concat();
    for (path, column, least) in [("docs/ssh.md", 2, 15), ("SECURITY.md", 1, 30)] {
        let page = document(path);
        let names = tests_in_column(&page, column);
        assert!(names.len() > least, "{path}: {names:?}");
        let absent: Vec<&&str> = names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
        assert!(absent.is_empty(), "{path} names tests that are not there: {absent:#?}");
    }
}

/// The names of gauges in a text.
fn gauges(text: &str) -> BTreeSet<&str> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    words.filter(|word| word.starts_with("fleetsweep_") && !word.ends_with('_')).collect()
}

#[test]
fn the_gauges_of_the_page_and_of_the_dashboard_for_grafana_are_there() {
    let code = code_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let page = document("docs/prometheus.md");
    let documented = gauges(&page);
    assert!(documented.len() > 35, "{documented:?}");
    let absent: Vec<_> = documented.iter().filter(|name| !code.contains(&format!("\"{name}\""))).collect();
    assert!(absent.is_empty(), "docs/prometheus.md names gauges that are not there: {absent:?}");
    let dashboard = document("assets/grafana/fleetsweep.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() > 15));
    let used = gauges(&dashboard);
    assert!(used.len() > 15, "{used:?}");
    let absent: Vec<_> = used.difference(&documented).collect();
    assert!(
        absent.is_empty(),
        "the dashboard for Grafana queries gauges that are not in docs/prometheus.md: {absent:?}"
    );
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
    let readme = document("tests/fuzz/README.md");
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
