//! Reads attributes as values that are absent, given, or wrong (and reported), and reports unknown or misplaced
//! elements and attributes. What a value means is decided elsewhere.

use std::ops::Range;

use super::{
    safe_text::{self, SafeText, words},
    schema,
    shape::{Attribute, Element},
    source::Findings,
    value_error::ValueError,
};

/// The value of one attribute of an element. A wrong value is not treated as absent, so that it is not replaced by an
/// inherited value and not reported as missing too.
#[derive(Debug, Clone, Default)]
pub(super) enum Field<T> {
    /// Not written.
    #[default]
    Absent,
    /// It is written but wrong, and the error has been reported.
    Wrong,
    /// It is there and valid.
    Given(T),
}

impl<T> Field<T> {
    /// This value, or `farther` if this one is absent.
    pub(super) fn or(self, farther: Self) -> Self {
        match self {
            Self::Absent => farther,
            Self::Wrong | Self::Given(_) => self,
        }
    }

    /// The value, if there is one.
    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// Whether it is written but wrong.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }

    /// Whether it is not written.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// Reads one attribute.
pub(super) fn field<T>(
    element: &Element,
    name: &'static str,
    findings: &mut Findings,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Field<T> {
    let Some(attribute) = element.attribute(name) else { return Field::Absent };
    match parse(&attribute.value.text) {
        Ok(value) => Field::Given(value),
        Err(wrong) => {
            report(attribute, name, wrong, findings);
            Field::Wrong
        }
    }
}

/// Reads one attribute that is required. If the tag could not be parsed completely, a missing attribute is not
/// reported.
pub(super) fn required<T>(
    element: &Element,
    name: &'static str,
    example: impl Into<SafeText>,
    findings: &mut Findings,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<T> {
    let field = field(element, name, findings, parse);
    if field.is_absent() {
        missing(element, name, example, findings);
    }
    field.given()
}

/// Reports a missing attribute, unless a misspelt one was probably meant. That is reported separately.
pub(super) fn missing(element: &Element, name: &'static str, example: impl Into<SafeText>, findings: &mut Findings) {
    let misspelt = schema::element(&element.name.text)
        .is_some_and(|kind| element.attributes.iter().any(|attribute| kind.meant(&attribute.name.text) == Some(name)));
    if element.sound && !misspelt {
        findings.error(
            element.name.at.clone(),
            words![safe_text::element(&element.name.text), " has no `", name, "`"],
            words!["write ", example.into()],
        );
    }
}

/// Reports a passphrase without the key that it decrypts.
pub(super) fn passphrase_without_key(passphrase: &Attribute, findings: &mut Findings) {
    findings.error(
        passphrase.name.at.clone(),
        "`passphrase` has no effect without `key`",
        "add key=\"FILE\", or remove `passphrase`",
    );
}

/// Reports a wrong value at its place.
pub(super) fn report(attribute: &Attribute, name: &'static str, wrong: ValueError, findings: &mut Findings) {
    let whole = &attribute.value.at;
    let at = match wrong.at {
        Some(part) if attribute.verbatim => whole.start + part.start..whole.start + part.end,
        Some(_) | None => whole.clone(),
    };
    findings.error(at, words!["`", name, "`: ", wrong.problem], wrong.hint);
}

/// The position of an attribute's value, or of the element if the attribute is absent.
pub(super) fn place(element: &Element, name: &str) -> Range<usize> {
    element.attribute(name).map_or_else(|| element.name.at.clone(), |attribute| attribute.value.at.clone())
}

/// Reports unknown names and wrong places in an element and its descendants.
pub(super) fn check(element: &Element, parent: Option<&'static str>, findings: &mut Findings) {
    let Some(kind) = schema::element(&element.name.text) else {
        unknown_element(element, parent, findings);
        return;
    };
    let name = kind.name;
    let in_place = match parent {
        Some(parent) => kind.parents.contains(&parent),
        None => name == schema::ROOT,
    };
    if !in_place {
        let hint = match kind.parents {
            [] => "a file has one `<config>` element around everything".into(),
            parents => words!["move it directly inside ", safe_text::tags(parents)],
        };
        let place = parent.map_or("as the root".into(), |parent| words!["inside `<", parent, ">`"]);
        findings.error(element.name.at.clone(), words!["`<", name, ">` is not allowed ", place], hint);
    }
    for attribute in &element.attributes {
        let written = attribute.name.text.as_str();
        if kind.knows(written) {
            continue;
        }
        let elsewhere: Vec<&'static str> =
            schema::ELEMENTS.iter().filter(|other| other.knows(written)).map(|other| other.name).collect();
        let hint = match kind.meant(written) {
            _ if !elsewhere.is_empty() => words!["it is an attribute of ", safe_text::tags(&elsewhere)],
            Some(meant) => words!["did you mean `", meant, "`?"],
            None if kind.attributes.is_empty() || name == schema::ROOT => "remove it".into(),
            None => {
                words!["the known attributes are ", safe_text::listed(kind.attributes.iter().map(|known| known.name))]
            }
        };
        let problem = match safe_text::attribute_name(written) {
            Some(written) => words!["`<", name, ">` has no attribute `", written, "`"],
            None => words!["`<", name, ">` has no attribute of this name"],
        };
        findings.error(attribute.name.at.clone(), problem, hint);
    }
    for child in &element.children {
        check(child, Some(name), findings);
    }
}

fn unknown_element(element: &Element, parent: Option<&'static str>, findings: &mut Findings) {
    let name = element.name.text.as_str();
    if name.is_empty() {
        return; // The malformed tag has been reported already.
    }
    let here = || schema::ELEMENTS.iter().filter(|kind| parent.is_none_or(|parent| kind.parents.contains(&parent)));
    let hint = match (parent, schema::meant(name, here().map(|kind| kind.name))) {
        (None, _) => words!["put `<", schema::ROOT, ">` around everything"],
        (Some(_), Some(meant)) => words!["did you mean `<", meant, ">`?"],
        (Some(parent), None) => match here().map(|kind| kind.name).collect::<Vec<_>>().as_slice() {
            [] => words!["remove it: `<", parent, ">` contains no elements"],
            known => words!["`<", parent, ">` may contain ", safe_text::tags(known)],
        },
    };
    let problem = match safe_text::element_name(name) {
        Some(name) => words!["the element `<", name, ">` is unknown"],
        None => "this element is unknown".into(),
    };
    findings.error(element.name.at.clone(), problem, hint);
}
