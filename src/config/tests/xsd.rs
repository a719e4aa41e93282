//! The schema of `config.xml` for editors, made of the table in `config/schema.rs` and the page about the configuration.
//! The program embeds the result, `assets/config.xsd`; a test here keeps it up to date. Whether it refuses and accepts
//! what the parser does is tested in `tests/program/schema.rs`.

use std::{fmt::Write as _, fs, path::Path};

use super::page::{CONFIGURATION, code, rows};
use crate::{
    config::schema::{AttributeKind, ELEMENTS, ElementKind, ROOT, Schema, ValueKind},
    fleet::Metric,
};

/// Tells the test to write the file.
const WRITE: &str = "FLEETSWEEP_WRITE_SCHEMA";

/// The simple types that several attributes have: name, base, facets. None refuses what the parser accepts.
const TYPES: [(&str, &str); 12] = [
    // A number and a unit, also several of them; 0 needs none.
    ("duration", r#"<xs:pattern value="\s*([0-9][0-9.\s]*[A-Za-zµ]+\s*)+|\s*0\s*"/>"#),
    ("size", r#"<xs:pattern value="\s*\+?[0-9]+\s*[KMGTkmgt][Ii]?[Bb]\s*"/>"#),
    // Its unit depends on the type of the alert.
    ("limit", r#"<xs:pattern value=".*[0-9].*"/>"#),
    ("address", r#"<xs:pattern value="[ -~]*[!-~][ -~]*"/>"#),
    ("socket", r#"<xs:pattern value="(localhost|[0-9.]+|\[[0-9A-Fa-f:.%]+\]):\+?[0-9]+"/>"#),
    ("path", r#"<xs:minLength value="1"/>"#),
    // Empty: what a group says is cancelled.
    ("path-or-nothing", ""),
    ("addresses", r#"<xs:pattern value=".*[^@\s].*@.*\S.*"/>"#),
    ("text", r#"<xs:pattern value=".*\S.*"/>"#),
    ("url", r#"<xs:pattern value="[A-Za-z]+:.+"/>"#),
    ("expression", ""),
    ("secret", r#"<xs:minLength value="1"/>"#),
];

/// The schema.
fn generated() -> String {
    let mut out = String::from(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- The schema of fleetsweep's config.xml (XSD 1.0), for editors. It is generated from the table of the parser: do not edit
     it. What it cannot express, `fleetsweep check` finds; it never refuses what the program accepts. -->
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">

"#,
    );
    for (name, facets) in TYPES {
        let _ = writeln!(
            out,
            "  <xs:simpleType name=\"{name}\">\n    <xs:restriction base=\"xs:string\">{facets}</xs:restriction>\n  </xs:simpleType>"
        );
    }
    metrics(&mut out);
    for element in &ELEMENTS {
        if element.name == ROOT { root(&mut out, element) } else { element_type(&mut out, element) }
    }
    out.push_str("</xs:schema>\n");
    out
}

fn metrics(out: &mut String) {
    let _ = writeln!(out, "  <xs:simpleType name=\"metric\">\n    <xs:restriction base=\"xs:string\">");
    for metric in Metric::ALL {
        let what = escaped(metric.spec().label);
        let word = metric.word();
        let _ = writeln!(
            out,
            "      <xs:enumeration value=\"{word}\"><xs:annotation><xs:documentation>{what}</xs:documentation></xs:annotation></xs:enumeration>"
        );
    }
    let _ = writeln!(out, "    </xs:restriction>\n  </xs:simpleType>");
}

/// The root, with what may be there only once.
fn root(out: &mut String, element: &ElementKind) {
    let _ = writeln!(out, "\n  <xs:element name=\"{}\">", element.name);
    documentation(out, "    ", "The configuration of fleetsweep. `fleetsweep help configuration` explains it.");
    let _ = writeln!(out, "    <xs:complexType>");
    children(out, "      ", element);
    let _ = writeln!(out, "    </xs:complexType>");
    for single in ELEMENTS.iter().filter(|kind| kind.is_single && kind.name != ROOT) {
        let name = single.name;
        unique(out, &format!("one-{name}"), name, &["once"]);
    }
    unique(out, "bastion-name", "bastion", &["name"]);
    unique(out, "client-address", ".//client", &["ip", "port"]);
    let _ = writeln!(out, "  </xs:element>");
}

fn unique(out: &mut String, name: &str, selector: &str, fields: &[&str]) {
    let fields: String = fields.iter().map(|field| format!("<xs:field xpath=\"@{field}\"/>")).collect();
    let _ = writeln!(out, "    <xs:unique name=\"{name}\"><xs:selector xpath=\"{selector}\"/>{fields}</xs:unique>");
}

fn element_type(out: &mut String, element: &ElementKind) {
    let _ = writeln!(out, "\n  <xs:complexType name=\"{}\">", element.name);
    children(out, "    ", element);
    for attribute in element.attributes {
        attribute_of(out, element, attribute);
    }
    if element.is_single {
        // A second element would have the same value, which the root forbids. XSD 1.0 has no other way to say `once, in
        // any order`.
        let _ = writeln!(out, "    <xs:attribute name=\"once\" type=\"xs:string\" fixed=\"yes\">");
        documentation(
            out,
            "      ",
            "Not for use: the program refuses it. By it, editors find a second element of this name.",
        );
        let _ = writeln!(out, "    </xs:attribute>");
    }
    let _ = writeln!(out, "  </xs:complexType>");
}

fn children(out: &mut String, indent: &str, element: &ElementKind) {
    let inside: Vec<&ElementKind> = ELEMENTS.iter().filter(|kind| kind.parents.contains(&element.name)).collect();
    if inside.is_empty() {
        return;
    }
    let _ = writeln!(out, "{indent}<xs:choice minOccurs=\"0\" maxOccurs=\"unbounded\">");
    for kind in inside {
        let name = kind.name;
        let _ = writeln!(out, "{indent}  <xs:element name=\"{name}\" type=\"{name}\">");
        documentation(out, &format!("{indent}    "), &paragraph(name));
        let _ = writeln!(out, "{indent}  </xs:element>");
    }
    let _ = writeln!(out, "{indent}</xs:choice>");
}

fn attribute_of(out: &mut String, element: &ElementKind, attribute: &AttributeKind) {
    let AttributeKind { name, kind, default: _ } = attribute;
    let required = if row(element.name, name)[2] == "required" { " use=\"required\"" } else { "" };
    let (named, inline) = value_type(*kind);
    let of_type = named.map_or(String::new(), |named| format!(" type=\"{named}\""));
    let _ = writeln!(out, "    <xs:attribute name=\"{name}\"{of_type}{required}>");
    documentation(out, "      ", &meaning(element.name, name));
    if let Some(inline) = inline {
        let _ = writeln!(out, "      <xs:simpleType>{inline}</xs:simpleType>");
    }
    let _ = writeln!(out, "    </xs:attribute>");
}

/// The name of a simple type, or its definition.
fn value_type(kind: ValueKind) -> (Option<&'static str>, Option<String>) {
    let words = |words: &[&str]| {
        let values: String = words.iter().map(|word| format!("<xs:enumeration value=\"{word}\"/>")).collect();
        format!("<xs:restriction base=\"xs:string\">{values}</xs:restriction>")
    };
    let named = match kind {
        ValueKind::Choice(list) => return (None, Some(words(list))),
        ValueKind::DurationOrChoice(list) => {
            let words = words(list);
            return (
                None,
                Some(format!("<xs:union memberTypes=\"duration\"><xs:simpleType>{words}</xs:simpleType></xs:union>")),
            );
        }
        ValueKind::Whole(bounds) => {
            let (least, most) = (bounds.least, bounds.most);
            let facets = format!("<xs:minInclusive value=\"{least}\"/><xs:maxInclusive value=\"{most}\"/>");
            return (None, Some(format!("<xs:restriction base=\"xs:integer\">{facets}</xs:restriction>")));
        }
        ValueKind::Metric => "metric",
        ValueKind::Limit => "limit",
        ValueKind::Duration => "duration",
        ValueKind::Size => "size",
        ValueKind::Address => "address",
        ValueKind::Socket => "socket",
        ValueKind::Path | ValueKind::PathOrChoice(_) => "path",
        ValueKind::PathOrNothing => "path-or-nothing",
        ValueKind::Mail => "addresses",
        ValueKind::Servers | ValueKind::Account | ValueKind::Label => "text",
        ValueKind::DatabaseUrl => "url",
        ValueKind::Expression => "expression",
        ValueKind::Secret => "secret",
        ValueKind::Namespace => "xs:anyURI",
    };
    (Some(named), None)
}

fn documentation(out: &mut String, indent: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(out, "{indent}<xs:annotation><xs:documentation>{text}</xs:documentation></xs:annotation>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The first paragraph below the heading of an element.
fn paragraph(element: &str) -> String {
    let section = CONFIGURATION.split(&format!("\n## `<{element}>`\n")).nth(1).unwrap();
    let lines = section.trim_start().lines().take_while(|line| !line.is_empty());
    plain(&lines.collect::<Vec<_>>().join(" "))
}

/// The row of the page about an attribute.
fn row(element: &str, attribute: &str) -> Vec<String> {
    let rows = rows(CONFIGURATION, &format!("`<{element}>`"));
    rows.into_iter().find(|cells| code(&cells[0]) == attribute).unwrap()
}

/// What the page says about an attribute. Where it refers to another element, what it says there.
fn meaning(element: &str, attribute: &str) -> String {
    let cells = row(element, attribute);
    let [_, value, default, _, text] = cells.as_slice() else { panic!("{cells:?}") };
    let other = text.strip_prefix("as on `<").and_then(|rest| rest.split_once(">`"));
    match other {
        Some((other, "")) => meaning(other, attribute),
        Some((other, rest)) => {
            format!("{} {}", meaning(other, attribute), plain(rest.trim_start_matches([';', ',', ' '])))
        }
        None => plain(&format!("{text} (value: {value}; default: {default})")),
    }
}

/// Markdown without code marks and links.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        match link.split_once("](").and_then(|(shown, target)| Some((shown, target.split_once(')')?.1))) {
            Some((shown, after)) if !shown.contains('`') || shown.matches('`').count() % 2 == 0 => {
                out.push_str(shown);
                rest = after;
            }
            _ => {
                out.push('[');
                rest = link;
            }
        }
    }
    out.push_str(rest);
    out.replace('`', "")
}

#[test]
fn the_schema_for_editors_is_that_of_the_parser() {
    let text = generated();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/config.xsd");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &text).unwrap();
    }
    let is_current = fs::read_to_string(&path).is_ok_and(|written| written == text);
    assert!(is_current, "assets/config.xsd is not what the table says: run the test again with {WRITE}=1");
    assert!(Schema::TEXT == text);
}
