//! The pages about the configuration name every element, attribute and type of alert, with its default and with an
//! example that is valid.

use std::collections::BTreeSet;

use super::*;
use crate::config::schema::{ELEMENTS, ElementKind, ROOT, ValueKind};

pub(super) const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const ALERTS: &str = include_str!("../../../docs/alerts-and-mail.md");

/// The rows of the table below a heading, as cells, without its first two lines.
pub(super) fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| {
        // `\|` is a bar inside a cell.
        let row = row.replace("\\|", "\0");
        let inside = row.trim_start_matches('|').trim_end_matches('|');
        inside.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    };
    rows.skip_while(|row| row.starts_with("| `type` | value")).map(cells).collect()
}

/// The first text between backticks.
pub(super) fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_default()
}

/// A configuration in which an element has the attributes of an example, or is the example.
fn configuration(element: &ElementKind, example: &str) -> String {
    let others: &[(&str, &str)] = match element.name {
        "client" => &[("ip", "h"), ("username", "u")],
        "bastion" => &[("name", "b"), ("host", "g"), ("username", "u")],
        "events" => &[("channel", "cron")],
        _ => &[],
    };
    let mut attributes = example.to_owned();
    for (name, value) in others {
        if !format!(" {example}").contains(&format!(" {name}=")) {
            attributes.push_str(&format!(" {name}='{value}'"));
        }
    }
    let name = element.name;
    match name {
        "client" => format!("<config><client {attributes}/></config>"),
        "group" => format!("<config><group {attributes}><client ip='h' username='u'/></group></config>"),
        "alert" => format!("<config><client ip='h' username='u'>{example}</client></config>"),
        "events" => format!("<config><client ip='h' username='u'><events {attributes}/></client></config>"),
        _ => with_client(&format!("<{name} {attributes}/>")),
    }
}

#[test]
fn the_page_has_every_element_and_attribute_with_its_keywords_and_its_default() {
    let sections: BTreeSet<&str> =
        CONFIGURATION.split("\n## `<").skip(1).filter_map(|section| section.split('>').next()).collect();
    let elements = ELEMENTS.iter().filter(|kind| kind.name != ROOT);
    assert_eq!(sections, elements.clone().map(|kind| kind.name).collect());
    for element in elements {
        let rows = rows(CONFIGURATION, &format!("`<{}>`", element.name));
        let named: Vec<&str> = rows.iter().map(|cells| code(&cells[0])).collect();
        let known: Vec<&str> = element.attributes.iter().map(|attribute| attribute.name).collect();
        assert_eq!(
            named.iter().collect::<BTreeSet<_>>(),
            known.iter().collect(),
            "the attributes of <{}>",
            element.name
        );
        assert_eq!(named.len(), known.len(), "the attributes of <{}>, each once", element.name);
        for attribute in element.attributes {
            let cells = rows.iter().find(|cells| code(&cells[0]) == attribute.name).unwrap();
            let [_, value, default, example, meaning] = cells.as_slice() else { panic!("{cells:?}") };
            let of = format!("{} of <{}>", attribute.name, element.name);
            if let Some(built_in) = attribute.default {
                assert!(default.contains(&format!("`{built_in}`")), "the default of {of} is {built_in}: {default}");
            }
            if attribute.kind != ValueKind::Metric {
                for word in attribute.kind.words() {
                    let words = [value, default].map(|cell| cell.contains(&format!("`{word}`")));
                    assert!(words.contains(&true), "{word} is not among the values of {of}");
                }
            }
            assert!(example.contains(&format!("{}=\"", attribute.name)), "the example of {of}: {example}");
            assert!(!meaning.is_empty(), "{of}");
        }
    }
}

#[test]
fn every_example_of_the_page_is_valid() {
    let mut tried = 0;
    for element in ELEMENTS.iter().filter(|kind| kind.name != ROOT) {
        for cells in rows(CONFIGURATION, &format!("`<{}>`", element.name)) {
            let text = configuration(element, code(&cells[3]));
            check(&text, "none");
            tried += 1;
        }
    }
    let of_elements = ELEMENTS.iter().filter(|kind| kind.name != ROOT);
    assert_eq!(tried, of_elements.map(|kind| kind.attributes.len()).sum::<usize>());
}

#[test]
fn every_type_of_alert_is_listed_with_a_limit_that_is_valid() {
    let rows = rows(ALERTS, "Types");
    let words: Vec<&str> = rows.iter().map(|cells| code(&cells[0])).collect();
    assert_eq!(words, Metric::ALL.map(Metric::word));
    for (metric, cells) in Metric::ALL.into_iter().zip(&rows) {
        let [_, _, limit, each, _] = cells.as_slice() else { panic!("{cells:?}") };
        assert_eq!(limit.starts_with("none"), metric.default_limit().is_some(), "{metric}: {limit}");
        let limit = code(limit);
        let limit = if limit.is_empty() { String::new() } else { format!(" limit='{limit}'") };
        let name = if each.ends_with("required") { " name='nginx'" } else { "" };
        check(
            &format!("<config><client ip='h' username='u'><alert type='{metric}'{name}{limit}/></client></config>"),
            "none",
        );
    }
}

/// The examples in the documents that are whole configurations, or elements of one.
#[test]
fn every_configuration_in_the_documents_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut tried = 0;
    for path in pages.chain(["README.md", "SECURITY.md"].map(|name| root.join(name))) {
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        for block in page.split("```xml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let text = match (block.contains("<config"), block.contains("<client")) {
                (true, _) => block.to_owned(),
                (false, true) => format!("<config>{block}</config>"),
                (false, false) => with_client(block),
            };
            assert_eq!(errors(&text), "none", "{}: {block}", path.display());
            tried += 1;
        }
    }
    assert!(tried >= 8, "{tried}");
}
