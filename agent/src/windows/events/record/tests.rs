//! Valid and invalid records.

use super::*;
use crate::windows::events::tests::{FAILURE, SUCCESS, xml};

fn with_data(data: &str) -> String {
    xml(4625, SUCCESS, &[]).replace("</System>", &format!("</System>{data}"))
}

#[track_caller]
fn fields(data: &str) -> Vec<(String, String)> {
    Record::parse(&with_data(data)).unwrap().fields
}

#[test]
fn fields_are_named_unnamed_and_nested() {
    for (data, expected) in [
        (
            "<EventData><Data Name='a'>1</Data><Data>two</Data><Data Name='c'/></EventData>",
            vec![("a", "1"), ("2", "two"), ("c", "")],
        ),
        ("<EventData/>", vec![]),
        (
            "<UserData><e:Failure xmlns:e='urn:x'><Error Code='15005'/><Outer><Inner> 7 </Inner></Outer></e:Failure></UserData>",
            vec![("ErrorCode", "15005"), ("Inner", "7")],
        ),
        // Another namespace, and text that is rendered for people.
        ("<UserData><Empty xmlns='urn:x'/></UserData><RenderingInfo><Data Name='a'>b</Data></RenderingInfo>", vec![]),
    ] {
        let fields = fields(data);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(fields, expected, "{data}");
    }
}

#[test]
fn entities_and_cdata_are_text() {
    for (text, expected) in [
        ("a &amp; b &lt;c&gt; &quot;d&quot; &apos;e&apos;", "a & b <c> \"d\" 'e'"),
        ("&#65;&#x42;", "AB"),
        ("<![CDATA[<x> & y]]> z", "<x> & y z"),
        // Characters that are invalid in XML but can be typed.
        ("a&#0;b&#xFFFFFFFF;c", "a\u{fffd}b\u{fffd}c"),
    ] {
        assert_eq!(fields(&format!("<EventData><Data Name='n'>{text}</Data></EventData>"))[0].1, expected, "{text}");
    }
}

#[test]
fn levels_are_those_of_the_audit_then_of_the_event() {
    for (keywords, level, expected) in [
        (SUCCESS, "0", "audit success"),
        (FAILURE, "0", "audit failure"),
        ("0x8030000000000000", "4", "audit failure"),
        ("0x4000000000000000", "1", "critical"),
        ("0x0", "2", "error"),
        ("", "3", "warning"),
        ("none", "4", "information"),
        ("0x0", "0", "information"),
        ("0x0", "5", "verbose"),
        ("0x0", "x", "information"),
    ] {
        let xml = xml(4608, keywords, &[]).replace("<Level>0<", &format!("<Level>{level}<"));
        assert_eq!(Record::parse(&xml).unwrap().level(), expected, "{keywords} {level}");
    }
}

#[test]
fn times_have_any_number_of_digits() {
    for (time, expected) in [
        ("2026-11-22T09:42:01.1234567Z", Ok(1_795_340_521_123)),
        ("2026-11-22T09:42:01.123456700Z", Ok(1_795_340_521_123)),
        ("2026-11-22T09:42:01Z", Ok(1_795_340_521_000)),
        ("yesterday", Err(RecordError::Missing("TimeCreated"))),
    ] {
        let xml = xml(4608, SUCCESS, &[]).replace("2026-11-22T09:42:01.1234567Z", time);
        assert_eq!(Record::parse(&xml).map(|record| record.occurred_unix_ms), expected, "{time}");
    }
}

#[test]
fn what_is_no_record_is_said() {
    let whole = xml(4608, SUCCESS, &[]);
    for (xml, expected) in [
        (String::new(), RecordError::Missing("EventRecordID")),
        (whole.replace("4711", "many"), RecordError::Missing("EventRecordID")),
        (whole.replace("4608", "-1"), RecordError::Missing("EventID")),
        (whole.replace("</Event>", ""), RecordError::Malformed),
        (whole.replace("</System>", "</Other>"), RecordError::Malformed),
        (with_data("<EventData><Data>&unknown;</Data></EventData>"), RecordError::Malformed),
        (with_data(&"<deeper>".repeat(20)), RecordError::TooDeep),
        ("<Event".to_owned(), RecordError::Malformed),
    ] {
        assert_eq!(Record::parse(&xml), Err(expected), "{xml}");
    }
}

#[test]
fn hostile_sizes_are_cut() {
    let many: String = (0..1000).map(|n| format!("<Data Name='n{n}'>{n}</Data>")).collect();
    assert_eq!(fields(&format!("<EventData>{many}</EventData>")).len(), MAX_FIELDS);
    let long = "ä".repeat(100_000);
    let fields = fields(&format!("<EventData><Data Name='{long}'>{long}</Data></EventData>"));
    for (text, max_bytes) in [(&fields[0].0, MAX_NAME_BYTES), (&fields[0].1, MAX_VALUE_BYTES)] {
        // A character is not divided.
        assert!((max_bytes - 1..=max_bytes).contains(&(text.len() - CUT.len())));
        assert!(text.ends_with(CUT));
    }
}

#[test]
fn a_field_that_says_nothing_is_none() {
    let data = "<EventData><Data Name='a'>-</Data><Data Name='b'> </Data><Data Name='c'> x </Data></EventData>";
    let record = Record::parse(&with_data(data)).unwrap();
    for (name, expected) in [("a", None), ("b", None), ("c", Some("x")), ("d", None)] {
        assert_eq!(record.field(name), expected, "{name}");
    }
}
