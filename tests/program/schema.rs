//! The schema for editors and the parser agree, as xmllint sees it: what the parser accepts, the schema accepts; what the
//! parser refuses because of the structure, a keyword or a number, the schema refuses too. What XML Schema cannot express
//! is listed here. All files are validated by one run of xmllint.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use fleetsweep::config::{Config, Schema};
use support::Trial;
use syn::visit::Visit;

use crate::site::program;

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Xmllint) => the_schema_accepts_and_refuses_what_the_parser_does;
        needs() => the_schema_is_printed;
    }
}

/// What the parser refuses and the schema accepts: a part of the parser's message, and why the schema cannot know.
const LOOSER: &[(&str, &str)] = &[
    ("a DOCTYPE is not allowed here", "a schema is about elements"),
    ("this file defines no client", "a client may be inside any group"),
    ("more than 65536 clients", "ranges are not counted"),
    ("is already defined", "an address has several spellings and ranges, and the port a default"),
    ("is already used", "a name may come from a range or an address"),
    ("two alerts for", "an alert without a mount and one with it are not the same"),
    ("this `[` has no `]`", "ranges are only texts"),
    ("is not a valid address or host name", "only the characters of addresses are known"),
    ("is not a valid host name", "the same for the name of this machine"),
    ("this is an address without brackets", "the same"),
    ("is not a valid name of a bastion", "`none` and `via` have a meaning of their own"),
    ("is not a valid mail address", "only the `@` is known"),
    ("is not a valid regular expression", "expressions are only texts"),
    ("`~` with a user name is not supported", "paths are only texts"),
    ("is out of bounds", "times and sizes have units, so that they cannot be compared"),
    ("`passphrase` has no effect without `key`", "one attribute cannot require another"),
    ("has no `password`", "the same"),
    ("has no `username`", "it may be on a group or in the files of OpenSSH"),
];

const PAGE: &str = include_str!("../../docs/configuration.md");
const CLIENT: &str = "<client ip='h' username='u'/>";

/// What should become of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Both accept it.
    Valid,
    /// Both refuse it.
    Invalid,
    /// What the parser accepts, the schema accepts. If the parser refuses it, the schema may accept it by a rule.
    Either,
}

/// A row of the page about the configuration: element, attribute, value, default, example.
struct Row {
    element: String,
    name: String,
    value: String,
    default: String,
    example: String,
}

fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    for section in PAGE.split("\n## `<").skip(1) {
        let element = section.split('>').next().unwrap();
        for line in section.lines().filter(|line| line.starts_with("| `")) {
            let line = line.replace("\\|", "\0");
            let cells: Vec<String> = line.split('|').map(|cell| cell.trim().replace('\0', "|")).collect();
            let [_, name, value, default, example, ..] = cells.as_slice() else { panic!("{line}") };
            let code = |cell: &str| cell.split('`').nth(1).unwrap_or_default().to_owned();
            rows.push(Row {
                element: element.to_owned(),
                name: code(name),
                value: value.clone(),
                default: default.clone(),
                example: code(example),
            });
        }
    }
    assert!(rows.len() > 80, "{}", rows.len());
    rows
}

/// The attributes that an element needs besides one of them.
fn others(element: &str, name: &str) -> String {
    let all: &[(&str, &str)] = match element {
        "client" => &[("ip", "h"), ("username", "u")],
        "bastion" => &[("name", "b"), ("host", "g"), ("username", "u")],
        "events" => &[("channel", "cron")],
        "alert" => &[("type", "cpu"), ("limit", "90%")],
        _ => &[],
    };
    all.iter().filter(|(other, _)| *other != name).map(|(name, value)| format!(" {name}='{value}'")).collect()
}

/// A document with an element that has these attributes.
fn with(element: &str, attributes: &str) -> String {
    match element {
        "client" => format!("<config><client {attributes}/></config>"),
        "group" => format!("<config><group {attributes}>{CLIENT}</group></config>"),
        "alert" | "events" => {
            format!("<config><client ip='h' username='u'><{element} {attributes}/></client></config>")
        }
        _ => format!("<config><{element} {attributes}/>{CLIENT}</config>"),
    }
}

/// Values of an attribute that both accept, and that both refuse, by what the page says about it.
fn values(row: &Row) -> (Vec<String>, Vec<String>) {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let Row { element, name, value, .. } = row;
    let words: Vec<String> = value.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let is_words = value.split('`').step_by(2).all(|between| between.trim().trim_matches(',').is_empty());
    if let Some((least, most)) =
        value.split_once(" to ").and_then(|(a, b)| Some((a.parse::<i64>().ok()?, b.parse::<i64>().ok()?)))
    {
        let refused =
            vec![(least - 1).to_string(), (most + 1).to_string(), "many".to_owned(), String::new(), "1.5".to_owned()];
        return (vec![least.to_string(), most.to_string(), format!("+{most}"), format!("00{most}")], refused);
    }
    match (element.as_str(), name.as_str(), value.as_str()) {
        ("alert", "type", _) => (Vec::new(), owned(&["ram", "", "CPU"])),
        ("alert", "limit" | "clear", _) => (owned(&["10.5%"]), owned(&["high", "", "%"])),
        (_, "max-events", _) => (owned(&["1", "1000000000"]), owned(&["0", "1000000001", "few", ""])),
        (_, "helo", _) => (owned(&["mon.example.com", "[192.0.2.1]"]), owned(&["", "dü.example"])),
        (_, "ids", _) => (Vec::new(), Vec::new()),
        (_, "listen", _) => (owned(&["[::1]:9469", "localhost:1"]), owned(&["9469", "127.0.0.1", "host:80", ""])),
        ("ssh", "config", _) => (owned(&["yes", "no", "file"]), owned(&[""])),
        (_, "via", _) => (Vec::new(), owned(&["", " "])),
        (_, "agent-path", _) => (owned(&["", "/x"]), Vec::new()),
        (_, "from", _) | (_, _, "addresses" | "address") if name == "mail" || name == "from" => {
            (owned(&["a@b", "Ann &lt;a@b.example>"]), owned(&["nobody", "", "@"]))
        }
        (_, _, "file" | "directory" | "[secret](secrets.md)") => (owned(&["x"]), owned(&[""])),
        (_, _, "text" | "name") | ("bastion" | "client", "name", _) => (Vec::new(), owned(&["", " "])),
        (_, "url", _) => (owned(&["sqlite:x.db"]), owned(&["", "x.db"])),
        (_, _, "regular expression") => (owned(&[""]), Vec::new()),
        (_, _, text) if text.starts_with("size") => (owned(&["10MB", "20 mib"]), owned(&["10", "big", ""])),
        (_, "timeout", _) => (owned(&["45s", "0h 30m", "1800 seconds", "0.5h"]), owned(&["soon", "60", "", "-5s"])),
        (_, _, text) if text.starts_with("duration") => {
            (owned(&["1d", "24h 0m", "86400 seconds", "1.5d"]), owned(&["soon", "60", "", "-5s", "every"]))
        }
        (_, _, text) if text.starts_with("`every`") => (owned(&["every", "1h"]), owned(&["never", "60", ""])),
        (_, _, text) if text.contains("address") => {
            (owned(&["10.0.0.1", "db.example.com"]), owned(&["", "dü.example"]))
        }
        ("alert", "mount" | "interface" | "name" | "exclude", _) => (Vec::new(), Vec::new()),
        _ if is_words && !words.is_empty() => (words, owned(&["maybe", "", "YES"])),
        _ => panic!("the value of {name} of <{element}> is not known here: {value}"),
    }
}

/// The documents of the table: each attribute with values that are valid and values that are not, and each structure.
fn documents_of_the_table() -> Vec<(String, Expected)> {
    use Expected::{Invalid, Valid};
    let mut found = Vec::new();
    let rows = table();
    for row in &rows {
        let Row { element, name, default, example, .. } = row;
        let example = example.trim_start_matches(&format!("<{element} ")).trim_end_matches("/>");
        let named = |other: &str| format!(" {example}").contains(&format!(" {other}="));
        let rest = others(element, "")
            .split_terminator('\'')
            .collect::<Vec<_>>()
            .chunks(2)
            .map(|pair| {
                let [before, value] = pair else { return String::new() };
                if named(before.trim().trim_end_matches('=')) { String::new() } else { format!("{before}'{value}'") }
            })
            .collect::<String>();
        found.push((with(element, &format!("{example}{rest}")), Valid));
        let (valid, invalid) = values(row);
        let with_value = |value: &String| {
            let needed = match name.as_str() {
                "passphrase" => " key='k'",
                "username" | "password" if element == "smtp" => {
                    if name == "username" {
                        " password='env:P'"
                    } else {
                        " username='u'"
                    }
                }
                "ca" => " security='tls'",
                _ => "",
            };
            with(element, &format!("{name}='{value}'{needed}{}", others(element, name)))
        };
        found.extend(valid.iter().map(|value| (with_value(value), Valid)));
        found.extend(invalid.iter().map(|value| (with_value(value), Invalid)));
        found.push((with(element, &format!("{name}x='1' {}", others(element, ""))), Invalid));
        if default == "required" {
            found.push((with(element, &others(element, name)), Invalid));
        }
    }
    let elements: BTreeSet<&str> = rows.iter().map(|row| row.element.as_str()).collect();
    for element in elements.iter().copied() {
        let section = PAGE.split(&format!("\n## `<{element}>`\n")).nth(1).unwrap().split("\n\n|").next().unwrap();
        let attributes = others(element, "");
        let twice = format!("<config><{element}{attributes}/><{element}{attributes}/>{CLIENT}</config>");
        if section.contains("Once, inside `<config>`") {
            found.push((twice, Invalid));
        }
        found.push((
            with(element, &format!("{attributes}><unknown/></{element}")).replace("/></config>", "></config>"),
            Expected::Either,
        ));
        found.push((format!("<config>{CLIENT}<{element}x/></config>"), Invalid));
        for outer in elements.iter().copied() {
            let inner = format!("<{element}{attributes}/>");
            let outer_attributes =
                if outer == "client" { " ip='o' username='u'".to_owned() } else { others(outer, "") };
            found.push((
                format!("<config><{outer}{outer_attributes}>{inner}</{outer}>{CLIENT}</config>"),
                Expected::Either,
            ));
        }
    }
    let location = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:noNamespaceSchemaLocation='config.xsd'";
    found.extend([
        (format!("<config {location}>{CLIENT}</config>"), Valid),
        (format!("<config {location} other='1'>{CLIENT}</config>"), Invalid),
        (format!("<config xmlns='urn:x'>{CLIENT}</config>"), Invalid),
        (format!("<config xsi:noNamespaceSchemaLocation='config.xsd'>{CLIENT}</config>"), Invalid),
        (format!("<config>text{CLIENT}</config>"), Invalid),
        ("<client ip='h' username='u'/>".to_owned(), Invalid),
        ("<fleet/>".to_owned(), Invalid),
        (with("collector", "timeout='2d'"), Expected::Either),
        (with("smtp", "helo='10.0.0.1'"), Expected::Either),
        (format!("<config>{CLIENT}<alerts/><bastion name='b' host='h' username='u'/><smtp/></config>"), Valid),
        (format!("<config><bastion name='b' host='h' username='u'/><bastion name='b' host='g' username='u'/>{CLIENT}</config>"), Invalid),
        ("<config><client ip='h' port='22' username='u'/><group><client ip='h' port='22' username='u'/></group></config>".to_owned(), Invalid),
        ("<config><client ip='h' port='22' username='u'/><group><client ip='h' port='23' username='u'/></group></config>".to_owned(), Valid),
    ]);
    found
}

/// The texts in the tests of the parser that are documents, or elements of one.
fn documents_of_the_tests() -> Vec<String> {
    struct Texts(Vec<String>);
    impl Visit<'_> for Texts {
        fn visit_lit_str(&mut self, text: &syn::LitStr) {
            let text = text.value();
            if text.trim_start().starts_with("<config") {
                self.0.push(text);
            } else if text.trim_start().starts_with('<') {
                self.0.push(format!("<config>{text}{CLIENT}</config>"));
            }
        }

        fn visit_macro(&mut self, called: &syn::Macro) {
            // The arguments of macros are only tokens: those that are texts are enough.
            fn literals(tokens: proc_macro2::TokenStream, texts: &mut Texts) {
                for token in tokens {
                    match token {
                        proc_macro2::TokenTree::Group(group) => literals(group.stream(), texts),
                        proc_macro2::TokenTree::Literal(literal) => {
                            if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                                texts.visit_lit_str(&text);
                            }
                        }
                        proc_macro2::TokenTree::Ident(_) | proc_macro2::TokenTree::Punct(_) => {}
                    }
                }
            }
            literals(called.tokens.clone(), self);
        }
    }
    let mut texts = Texts(Vec::new());
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.visit_file(&syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap());
            }
        }
    }
    assert!(texts.0.len() > 200, "{}", texts.0.len());
    texts.0
}

/// The documents of the repository: the sample, the examples of the pages, and the corpus of the fuzz target.
fn documents_of_the_repository() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![fs::read_to_string(root.join("config.xml")).unwrap()];
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for path in pages.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let page = fs::read_to_string(&path).unwrap();
        for block in page.split("```xml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let is_whole = block.contains("<config");
            found.push(if is_whole { block.to_owned() } else { format!("<config>{block}{CLIENT}</config>") });
        }
    }
    for entry in fs::read_dir(support::corpora().join("config")).unwrap() {
        found.extend(fs::read_to_string(entry.unwrap().path()));
    }
    found
}

async fn the_schema_accepts_and_refuses_what_the_parser_does() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("config.xsd"), Schema::TEXT).unwrap();
    let mut documents: BTreeMap<String, Expected> = BTreeMap::new();
    for text in documents_of_the_tests().into_iter().chain(documents_of_the_repository()) {
        documents.insert(text, Expected::Either);
    }
    documents.extend(documents_of_the_table());
    let names: Vec<String> = (0..documents.len()).map(|number| format!("{number}.xml")).collect();
    for (name, text) in names.iter().zip(documents.keys()) {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let output = Command::new("xmllint")
        .current_dir(directory.path())
        .args(["--nonet", "--noout", "--schema", "config.xsd"])
        .args(&names)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let validated: BTreeSet<&str> = told.lines().filter_map(|line| line.strip_suffix(" validates")).collect();
    let (mut wrong, mut accepted, mut used) = (Vec::new(), 0, BTreeSet::new());
    for (name, (text, expected)) in names.iter().zip(&documents) {
        let parsed = Config::parse(text, "c.xml");
        let schema = validated.contains(name.as_str());
        let why = || told.lines().filter(|line| line.starts_with(&format!("{name}:"))).collect::<Vec<_>>().join("\n  ");
        accepted += usize::from(parsed.is_ok());
        match (&parsed, schema, expected) {
            (Ok(_), true, Expected::Valid | Expected::Either)
            | (Err(_), false, Expected::Invalid | Expected::Either) => {}
            (Err(problems), true, Expected::Either) => {
                let message = problems.to_string();
                match LOOSER.iter().find(|(part, _)| message.contains(part)) {
                    Some((part, _)) => drop(used.insert(*part)),
                    None => wrong.push(format!("only the parser refuses {text}\n  {message}")),
                }
            }
            (Ok(_), false, _) => wrong.push(format!("only the schema refuses {text}\n  {}", why())),
            (Err(problems), true, _) => wrong.push(format!("only the parser refuses {text}\n  {problems}")),
            (Ok(_), true, Expected::Invalid) => wrong.push(format!("both accept {text}")),
            (Err(problems), false, Expected::Valid) => {
                wrong.push(format!("both refuse {text}\n  {problems}\n  {}", why()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), documents.len(), wrong.join("\n"));
    assert!(accepted > 200 && documents.len() - accepted > 500, "{accepted} of {}", documents.len());
    let unused: Vec<&str> = LOOSER.iter().map(|(part, _)| *part).filter(|part| !used.contains(part)).collect();
    assert!(unused.is_empty(), "these rules are not needed: {unused:?}");
}

async fn the_schema_is_printed() {
    let outcome = program().run(["schema"]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), Schema::TEXT));
}
