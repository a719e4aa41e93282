//! What a scheduled task does, from its definition in XML, which is a field of a record: commands with their arguments
//! and the account. Pure.

use quick_xml::escape::unescape;

use super::words;

/// The most actions that are named.
const ACTIONS: usize = 3;
/// The longest command with its arguments, bytes.
const ACTION_BYTES: usize = 1 << 10;

/// `runs C:\a.exe /x as SYSTEM with the highest rights`; `None` if the definition names no action.
pub(super) fn summary(definition: &str) -> Option<String> {
    let mut actions: Vec<String> = elements(definition, "Exec")
        .map(|exec| {
            let command = text(exec, "Command").unwrap_or_default();
            match text(exec, "Arguments") {
                Some(arguments) if !arguments.is_empty() => format!("{command} {arguments}"),
                Some(_) | None => command,
            }
        })
        .chain(
            elements(definition, "ComHandler")
                .filter_map(|handler| Some(format!("COM class {}", text(handler, "ClassId")?))),
        )
        .map(|action| words::cut(action.split_whitespace().collect::<Vec<_>>().join(" "), ACTION_BYTES))
        .filter(|action| !action.is_empty())
        .collect();
    if actions.is_empty() {
        return None;
    }
    let more = actions.len().saturating_sub(ACTIONS);
    actions.truncate(ACTIONS);
    let mut summary = format!("runs {}", actions.join(", then "));
    if more > 0 {
        summary.push_str(&format!(" and {more} more"));
    }
    let principal = elements(definition, "Principal").next();
    let account = principal.and_then(|principal| text(principal, "UserId").or_else(|| text(principal, "GroupId")));
    if let Some(account) = account.filter(|account| !account.is_empty()) {
        summary.push_str(&format!(" as {}", words::identity(&account)));
    }
    if principal.and_then(|principal| text(principal, "RunLevel")).as_deref() == Some("HighestAvailable") {
        summary.push_str(" with the highest rights");
    }
    Some(summary)
}

/// The contents of all elements of this name, without their tags. Definitions have no elements of one name in another.
fn elements<'a>(xml: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find(&format!("<{name}"))?;
            rest = rest.get(at + 1 + name.len()..)?;
            // Not a longer name.
            if !rest.starts_with(['>', ' ', '\t', '\r', '\n']) {
                continue;
            }
            let begin = rest.find('>')? + 1;
            let content = rest.get(begin..)?;
            let end = content.find(&format!("</{name}>")).unwrap_or(content.len());
            rest = content.get(end..)?;
            return content.get(..end);
        }
    })
}

/// The text of the first element of this name.
fn text(xml: &str, name: &'static str) -> Option<String> {
    let raw = elements(xml, name).next()?.trim();
    Some(unescape(raw).map_or_else(|_| raw.to_owned(), std::borrow::Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_says_what_it_runs_and_as_whom() {
        let task = |principal: &str, actions: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-16\"?>\r\n<Task version=\"1.2\"><Principals>\
                 <Principal id=\"Author\">{principal}</Principal></Principals>\
                 <Actions Context=\"Author\">{actions}</Actions></Task>"
            )
        };
        for (principal, actions, expected) in [
            (
                "<UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel>",
                "<Exec><Command>C:\\a.exe</Command><Arguments>/c \"x &amp; y\"</Arguments></Exec>",
                Some("runs C:\\a.exe /c \"x & y\" as SYSTEM with the highest rights"),
            ),
            ("<GroupId>S-1-5-32-545</GroupId>", "<Exec><Command>b</Command></Exec>", Some("runs b as Users")),
            ("", "<Exec><Command>b</Command><Arguments/></Exec>", Some("runs b")),
            (
                "<UserId>CORP\\eve</UserId>",
                "<ComHandler><ClassId>{1-2}</ClassId></ComHandler>",
                Some("runs COM class {1-2} as CORP\\eve"),
            ),
            (
                "",
                "<Exec><Command>a</Command></Exec><Exec><Command>b</Command></Exec><Exec><Command>c</Command></Exec><Exec><Command>d</Command></Exec>",
                Some("runs a, then b, then c and 1 more"),
            ),
            ("", "", None),
        ] {
            assert_eq!(summary(&task(principal, actions)).as_deref(), expected, "{actions}");
        }
        for broken in
            ["", "<Exec", "<Exec>", "<Exec><Command>x", "<ExecX><Command>x</Command></ExecX>", "<Exec/><Command>"]
        {
            let said = summary(broken);
            assert!(said.is_none() || said.as_deref() == Some("runs x"), "{broken}: {said:?}");
        }
    }
}
