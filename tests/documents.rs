//! The README against the program: what it promises by name is there by that name.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use fleetsweep::fleet::{
    FailureKind,
    troubles::{TROUBLES, TroubleSpec},
};

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
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
    assert_eq!(views, 8);
}
