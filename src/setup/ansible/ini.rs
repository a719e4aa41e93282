//! The INI format: sections of hosts, `[group:children]` and `[group:vars]`, and `key=value` after a host.

use std::{collections::HashSet, net::Ipv6Addr};

use super::{
    range,
    tree::{ALL, Tree, UNGROUPED},
    variables::{Form, Value, Variables},
};
use crate::setup::{
    host::known_as,
    input::{self, InputError, at},
};

/// The longest line.
const LONGEST_LINE: usize = 64 << 10;

/// What the lines of a section are.
#[derive(Debug, Clone, Copy)]
enum Section {
    Hosts(usize),
    Children(usize),
    Variables(usize),
}

/// The groups and hosts of a text.
pub(super) fn tree<'a>(text: &str, file: &'a str) -> Result<Tree<'a>, InputError> {
    let mut tree = Tree::new(file);
    let mut section = Section::Hosts(tree.group(UNGROUPED, 1)?);
    // Groups may be defined after they are named.
    let mut named: Vec<(String, usize)> = Vec::new();
    let mut defined: Vec<String> = Vec::new();
    for (line, written) in input::lines(text) {
        let place = at(file, line);
        if written.len() > LONGEST_LINE {
            return Err(InputError::new(&place, "the line is too long", "name a file of Ansible"));
        }
        let content = written.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = header(content) {
            let (name, kind) = header.split_once(':').unwrap_or((header, ""));
            let (name, kind) = (name.trim(), kind.trim());
            check_group(name, &place)?;
            let group = tree.group(name, line)?;
            section = match kind {
                "" | "hosts" => Section::Hosts(group),
                "children" => Section::Children(group),
                "vars" => Section::Variables(group),
                other => {
                    let problem = format!("the section {} is not known", known_as(other));
                    return Err(InputError::new(&place, problem, "write [group], [group:children] or [group:vars]"));
                }
            };
            match section {
                Section::Hosts(_) | Section::Children(_) => defined.push(name.to_owned()),
                Section::Variables(_) => named.push((name.to_owned(), line)),
            }
            continue;
        }
        match section {
            Section::Hosts(group) => {
                let words = words(content, &place)?;
                let Some((name, assignments)) = words.split_first() else { continue };
                let mut variables = Variables::default();
                for (number, assignment) in (1..).zip(assignments) {
                    let Some((key, value)) = assignment.split_once('=') else {
                        // It may be a part of a password.
                        let problem = format!("value {number} after the host is no key=value");
                        let hint = "write one host a line, its variables after it, and quote a value with blanks";
                        return Err(InputError::new(&place, problem, hint));
                    };
                    variables.set(key, Value { text: value.to_owned(), line, form: Form::Text });
                }
                for name in range::expanded(name, &place)? {
                    tree.add_host(group, &name, line, &variables)?;
                }
            }
            Section::Children(group) => {
                let name = without_comment(content);
                check_group(name, &place)?;
                named.push((name.to_owned(), line));
                let child = tree.group(name, line)?;
                tree.add_child(group, child, line)?;
            }
            Section::Variables(group) => {
                let Some((key, value)) = content.split_once('=') else {
                    return Err(InputError::new(&place, "this is no key=value", "write one variable a line"));
                };
                let text = unquoted(without_comment(value.trim())).to_owned();
                if let Some(variables) = tree.variables_of(group) {
                    variables.set(key.trim(), Value { text, line, form: Form::Text });
                }
            }
        }
    }
    let is_builtin = |name: &str| [ALL, UNGROUPED].contains(&name);
    let defined: HashSet<&str> = defined.iter().map(String::as_str).collect();
    if let Some((name, line)) = named.iter().find(|(name, _)| !is_builtin(name) && !defined.contains(name.as_str())) {
        let problem = format!("there is no group {}", known_as(name));
        return Err(InputError::new(&at(file, *line), problem, "write its section, or correct the name"));
    }
    Ok(tree)
}

/// The content of a line in brackets. An IPv6 address in brackets and a range are no header.
fn header(line: &str) -> Option<&str> {
    let inside = without_comment(line).strip_prefix('[')?.strip_suffix(']')?;
    let is_header = !inside.contains(['[', ']']) && !inside.contains("::") && inside.parse::<Ipv6Addr>().is_err();
    is_header.then_some(inside)
}

fn check_group(name: &str, place: &str) -> Result<(), InputError> {
    let is_name = !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace() || "[]=:#".contains(c));
    if is_name {
        return Ok(());
    }
    Err(InputError::new(place, "this is not the name of a group", "write letters, digits, `_` and `-`"))
}

/// A line without a comment, which begins with `#` after a blank.
fn without_comment(line: &str) -> &str {
    let comment =
        line.match_indices('#').find(|(at, _)| line.get(..*at).is_some_and(|before| before.ends_with([' ', '\t'])));
    comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line).trim_end()
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// The words of a line, as a shell splits them: quotes, backslashes, a comment at the end.
fn words(line: &str, place: &str) -> Result<Vec<String>, InputError> {
    let mut found = Vec::new();
    let mut letters = line.chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        match letters.peek() {
            None | Some('#') => return Ok(found),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(letter) = letters.next_if(|letter| quote.is_some() || !letter.is_whitespace()) {
            match letter {
                '\\' if quote != Some('\'') => word.push(letters.next().unwrap_or('\\')),
                '"' | '\'' if quote.is_none() => quote = Some(letter),
                _ if quote == Some(letter) => quote = None,
                _ => word.push(letter),
            }
        }
        if quote.is_some() {
            return Err(InputError::new(place, "a quote is not closed", "close it, or write \\ before it"));
        }
        found.push(word);
    }
}
