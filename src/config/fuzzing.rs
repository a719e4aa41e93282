//! The configuration as a fuzzer reads it: see [`crate::fuzzing`].

use std::collections::BTreeSet;

use super::{Config, LoadContext, check, rights::Rights};

/// The text of a file: it is valid in every part, or every error is at its place and can be shown.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let context =
        LoadContext { home: Some("/home/ops".into()), rights: Some(Rights { mode: 0o644, owner: 0, group: 0 }) };
    match Config::parse_in(text, "config.xml", &context) {
        Ok(loaded) => {
            let clients = &loaded.config.clients;
            assert!(!clients.is_empty());
            assert_eq!(clients.iter().map(|client| &client.id).collect::<BTreeSet<_>>().len(), clients.len());
            assert_eq!(loaded.entered.iter().map(|entered| entered.clients.len()).sum::<usize>(), clients.len());
            assert!(!check::summary(&loaded).is_empty());
        }
        Err(problems) => {
            let lines = text.split('\n').count();
            assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                assert!(problem.line <= lines, "line {} of {lines}", problem.line);
                let shown = problem.to_string();
                assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_configurations_is_replayed() {
        support::replay("config", super::config);
    }
}
