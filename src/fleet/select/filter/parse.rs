//! Parses the text of a filter to its terms. Errors say what is wrong with a word and what to write instead.

use super::{
    needle::Needle,
    term::{AlertTest, COMPARISONS, Comparison, FIELDS, Quantity, State, Term, Test, quantities},
};
use crate::fleet::{Metric, Phase};

/// Splits at white space outside of quotation marks. The marks are kept.
pub(super) fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        quoted ^= character == '"';
        if character.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(character);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a word is negated, and the text after the `!`.
///
/// # Errors
/// If a quotation mark is not closed, or nothing follows.
pub(super) fn negation(word: &str) -> Result<(bool, &str), String> {
    if word.matches('"').count() % 2 == 1 {
        return Err("the quotation mark is not closed".to_owned());
    }
    let (negated, body) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    if body.is_empty() {
        return Err("write a word after `!`".to_owned());
    }
    Ok((negated, body))
}

pub(super) fn term(word: &str) -> Result<Term, String> {
    let (negated, body) = negation(word)?;
    Ok(Term { negated, test: test(body)? })
}

fn test(body: &str) -> Result<Test, String> {
    // A leading quotation mark makes anything a bare word.
    if body.starts_with('"') {
        return Ok(Test::Anywhere(Needle::parse(&unquoted(body))?));
    }
    if let Some((key, sign, value)) = comparison(body) {
        let key = key.to_lowercase();
        let Some((_, quantity)) = quantities().find(|(name, _)| *name == key) else {
            return Err(format!("`{key}` is not a number; write {}", names(quantities().map(|(name, _)| name))));
        };
        return Ok(Test::Number(quantity, sign, number(quantity, value)?));
    }
    let Some((key, value)) = body.split_once(':') else {
        return Ok(Test::Anywhere(Needle::parse(&unquoted(body))?));
    };
    let key = key.to_lowercase();
    let values: Vec<String> = value.split(',').map(unquoted).filter(|value| !value.is_empty()).collect();
    let field = FIELDS.into_iter().find(|(name, _)| *name == key).map(|(_, field)| field);
    if values.is_empty() && (field.is_some() || key == "state" || key == "alert") {
        return Err(format!("write a value after `{key}:`"));
    }
    match (key.as_str(), field) {
        (_, Some(field)) => {
            let needles = values.iter().map(|value| Needle::parse(value));
            Ok(Test::Text(field, needles.collect::<Result<_, _>>()?))
        }
        ("state", None) => values.iter().map(|value| state(value)).collect::<Result<_, _>>().map(Test::State),
        ("alert", None) => values.iter().map(|value| alert(value)).collect::<Result<_, _>>().map(Test::Alert),
        _ if quantities().any(|(name, _)| name == key) => Err(format!("compare it, for instance `{key}>50`")),
        // An IPv6 address, or `address:port`.
        _ if key.is_empty() || key.chars().all(|c| c.is_ascii_hexdigit() || c == '.' || c == '[') => {
            Ok(Test::Anywhere(Needle::parse(&unquoted(body))?))
        }
        _ => {
            let known = names(FIELDS.iter().map(|(name, _)| *name));
            Err(format!("`{key}:` is not known; write state, alert, {known}, or quote the word"))
        }
    }
}

/// Without the quotation marks.
pub(super) fn unquoted(text: &str) -> String {
    text.replace('"', "")
}

/// A list of names in words.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn comparison(body: &str) -> Option<(&str, Comparison, &str)> {
    let at = body.find(['<', '>', '='])?;
    let (key, rest) = body.split_at_checked(at)?;
    if key.contains([':', '"']) {
        return None;
    }
    COMPARISONS.into_iter().find_map(|(sign, comparison)| Some((key, comparison, rest.strip_prefix(sign)?)))
}

fn number(quantity: Quantity, text: &str) -> Result<f64, String> {
    let is_time = matches!(quantity, Quantity::Took | Quantity::Age);
    if text.is_empty() {
        return Err("write a number after it".to_owned());
    }
    if let Ok(value) = text.trim_end_matches('%').parse::<f64>()
        && value.is_finite()
        && value >= 0.0
    {
        return Ok(value);
    }
    match humantime::parse_duration(text) {
        Ok(time) if is_time => Ok(time.as_secs_f64()),
        Ok(_) | Err(_) if is_time => Err(format!("`{text}` is not a time; write for instance 90s, 5m or 2h")),
        Ok(_) | Err(_) => Err(format!("`{text}` is not a number")),
    }
}

fn state(text: &str) -> Result<State, String> {
    let text = text.to_lowercase();
    if text == "running" {
        return Ok(State::Running);
    }
    let phase = Phase::ALL.into_iter().find(|phase| phase.word() == text);
    phase.map(State::Phase).ok_or_else(|| {
        let known = names(Phase::ALL.iter().map(|phase| phase.word()));
        format!("`{text}` is not a state; write running, {known}")
    })
}

fn alert(text: &str) -> Result<AlertTest, String> {
    let text = text.to_lowercase();
    match text.as_str() {
        "yes" => Ok(AlertTest::Yes),
        "no" => Ok(AlertTest::No),
        _ => Metric::named(&text).map(AlertTest::About).ok_or_else(|| {
            let known = names(Metric::ALL.iter().map(|metric| metric.word()));
            format!("`{text}` is not an alert; write yes, no, {known}")
        }),
    }
}
