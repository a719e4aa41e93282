//! Well-formed files become trees; malformed ones become words and places.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::config::source::Source;

/// The tree as text: `name(attribute=value …)[children]`. `!` marks an incomplete element.
fn outline(element: &Element) -> String {
    let mut text = element.name.text.clone();
    let attributes: Vec<String> =
        element.attributes.iter().map(|a| format!("{}={}", a.name.text, a.value.text)).collect();
    write!(text, "({})", attributes.join(" ")).unwrap();
    if !element.sound {
        text.push('!');
    }
    let children: Vec<String> = element.children.iter().map(outline).collect();
    if !children.is_empty() {
        write!(text, "[{}]", children.join(" ")).unwrap();
    }
    text
}

/// The outline, then a line `LINE:COLUMN problem` for each error.
fn shape(text: &str) -> String {
    let mut findings = Findings::default();
    let root = read(text, &mut findings);
    let mut shown = root.as_ref().map_or_else(|| "nothing".to_owned(), outline);
    for error in findings.placed(&Source::new("f", text)).0 {
        write!(shown, "\n{}:{} {}", error.line, error.column, error.problem).unwrap();
    }
    shown
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(shape(text), expected, "{text}");
}

#[test]
fn a_well_formed_file_becomes_its_tree() {
    check("<config/>", "config()");
    check(
        "<?xml version='1.0'?>\n<!-- c -->\n<config>\r\n<client ip = 'a' x=\"&amp;'\"><alert/></client ><b/></config>\n",
        "config()[client(ip=a x=&')[alert()] b()]",
    );
    check("<config><client ip='a>b'/></config>", "config()[client(ip=a>b)]");
}

#[test]
fn names_and_values_know_their_places() {
    let text = "<config><ä ip = '127'/></config>";
    let root = read(text, &mut Findings::default()).unwrap();
    let child = &root.children[0];
    let Attribute { name, value, verbatim } = &child.attributes[0];
    let written = [&child.name.at, &name.at, &value.at].map(|at| text.get(at.clone()));
    assert_eq!(written, [Some("ä"), Some("ip"), Some("127")]);
    assert!(verbatim);
}

#[test]
fn typographic_quotes_are_named_each_of_them_and_reading_goes_on() {
    check(
        "<config><client ip=‘a b’ port=“22” x='1'/></config>",
        "config()[client(x=1)!]\n1:20 this value is in typographic quotes\n1:31 this value is in typographic quotes",
    );
    check(
        "<config><client ip=\"a” port=\"22\"/></config>",
        "config()[client()!]\n1:20 this value ends with a typographic quote",
    );
    check(
        "<config><client ip=\"“a”\" x='1'/></config>",
        "config()[client(x=1)!]\n1:21 the value of the attribute `ip` has typographic quotes inside the plain ones",
    );
}

#[test]
fn a_missing_quote_is_found_where_it_is_missing() {
    let missing = "the quote that opens this value is not closed";
    check(
        "<config>\n<client ip='a port='22'>\n<alert type='cpu'/>\n</client>\n</config>",
        &format!("config()[client()![alert(type=cpu)]]\n2:12 {missing}"),
    );
    check(
        "<config>\n<client ip='a port='22'/>\n<client ip='b'/>\n</config>",
        &format!("config()[client()! client(ip=b)]\n2:12 {missing}"),
    );
    check("<config><client ip='a port='22' x='1'/></config>", &format!("config()[client()!]\n1:20 {missing}"));
    check("<config><client ip='a/></config>", &format!("config()[client()!]\n1:20 {missing}"));
}

#[test]
fn missing_brackets_are_found() {
    check(
        "<config>\n<client ip='a'\n<client ip='b'/>\n</config>",
        "config()[client()! client(ip=b)]\n2:2 the tag `<client` is not closed",
    );
    check("<config>\nclient ip='a'/>\n</config>", "config()\n2:1 `<` is missing before `client`");
    check("<config>\n< client ip='a'/>\n</config>", "config()[()!]\n2:1 `<` is not followed by an element name");
    check("<config><client", "config()[client()!]\n1:2 `<config>` is not closed\n1:10 the tag `<client` is not closed");
}

#[test]
fn elements_without_an_end_are_found() {
    check(
        "<config>\n<client>\n<alert a='1'>\n<alert a='2'>\n</client>\n<client/></config>",
        "config()[client()[alert(a=1) alert(a=2)] client()]\n3:2 `<alert>` is not closed\n4:2 `<alert>` is not closed",
    );
    check("<config><client/>", "config()[client()]\n1:2 `<config>` is not closed");
    check("<config><client></clients></config>", "config()[client()]\n1:17 this end tag does not close `<client>`");
    check("<config></group></config>", "config()\n1:9 this end tag does not close `<config>`");
    check("<config/></config>", "config()\n1:10 this end tag has no start tag");
    check("<config/><client/>", "config()\n1:11 `<client>` is after the end of `<config>`");
}

#[test]
fn attributes_that_are_none_are_found() {
    for (inside, expected) in [
        ("ip", "1:17 the attribute `ip` has no value"),
        ("ip 'a'", "1:17 the attribute `ip` has no value"),
        ("ip=", "1:20 the value after `=` is missing"),
        ("ip=a port='1'", "1:20 this value is not in quotes"),
        ("ip='a'port='1'", "1:23 there is no space before this attribute"),
        ("password='it's x'", "1:33 this quote does not start a value"),
        ("ip='a' 'b'", "1:24 this is not an attribute"),
        ("ip='a' ip='b'", "1:24 the attribute `ip` is written twice in one element"),
        ("ip='a<b'", "1:21 a value contains `<`"),
        ("ip='a&b'", "1:22 `&` starts an unknown entity"),
        ("ip='&x;'", "1:21 `&` starts an unknown entity"),
        ("password='&#xZ;'", "1:27 `&` starts an unknown entity"),
    ] {
        let shown = shape(&format!("<config><client {inside}/></config>"));
        assert_eq!(shown.split_once('\n').map(|(_, errors)| errors), Some(expected), "{inside}");
    }
}

#[test]
fn what_is_no_element_is_found() {
    check("", "nothing\n0:0 the file contains no element");
    check("just text", "nothing\n1:1 text is not allowed here");
    check("<config>a & b</config>", "config()\n1:9 text is not allowed here\n1:11 text is not allowed here");
    check("<!DOCTYPE config><config/>", "config()\n1:1 a DOCTYPE is not allowed here");
    check("<config/><!-- ", "config()\n1:10 this comment is not closed");
    check(
        "<config><!-- a\n<client/> <!-- b --></config>",
        "config()\n2:13 this comment contains `--`, which XML forbids; perhaps an earlier comment is not closed",
    );
    let deep = "<group>".repeat(100_000);
    assert_eq!(shape(&deep).lines().count(), 2);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_ends(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "<", ">", "/>", "</", "config", "client", " ", "=", "'", "\"", "“", "ip", "&", ";", "<!--", "-->", "<![CDATA[",
                "]]>", "<?", "?>", "<!DOCTYPE", "\n", "ä", "\u{feff}", "<client ip='a'>", "</client>",
            ]),
            0..40,
        )
    ) {
        let text = pieces.concat();
        let mut findings = Findings::default();
        read(&text, &mut findings);
        findings.placed(&Source::new("f", &text));
    }
}
