//! The ranges of Ansible in the name of a host: `web[01:20]`, `db-[a:f]`, `[0:100:10]`. They include both ends. Not those
//! of `config.xml`.

use std::net::Ipv6Addr;

use crate::{config::entry::MOST_CLIENTS, setup::input::InputError};

/// The names that a name with ranges stands for.
///
/// # Errors
/// [`InputError`]
pub(super) fn expanded(text: &str, place: &str) -> Result<Vec<String>, InputError> {
    let mut names = vec![String::new()];
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once('[') {
        let Some((content, after)) = inside.split_once(']') else {
            return Err(wrong(place, "a range is not closed"));
        };
        let parts =
            if content.parse::<Ipv6Addr>().is_ok() { vec![format!("[{content}]")] } else { numbers(content, place)? };
        if names.len().saturating_mul(parts.len()) > MOST_CLIENTS {
            return Err(InputError::new(
                place,
                format!("this is more than {MOST_CLIENTS} hosts"),
                "write smaller ranges",
            ));
        }
        names = names.iter().flat_map(|name| parts.iter().map(move |part| format!("{name}{before}{part}"))).collect();
        rest = after;
    }
    if rest.contains(']') {
        return Err(wrong(place, "a range is not opened"));
    }
    Ok(names.into_iter().map(|name| name + rest).collect())
}

fn wrong(place: &str, problem: &str) -> InputError {
    InputError::new(place, problem, "write ranges like web[01:20] or db-[a:f]")
}

/// What a range between its brackets stands for.
fn numbers(content: &str, place: &str) -> Result<Vec<String>, InputError> {
    let mut parts = content.split(':');
    let (first, last, step) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let step = match step {
        None => 1,
        Some(step) => step
            .parse::<usize>()
            .ok()
            .filter(|step| *step > 0)
            .ok_or_else(|| wrong(place, "the step of a range is no number"))?,
    };
    let Some(last) = last.filter(|last| parts.next().is_none() && !last.is_empty()) else {
        return Err(wrong(place, "a range has no two ends"));
    };
    if let ([first], [last]) = (first.as_bytes(), last.as_bytes())
        && first.is_ascii_alphabetic()
        && last.is_ascii_alphabetic()
    {
        if first > last {
            return Err(wrong(place, "a range runs backwards"));
        }
        return Ok((*first..=*last).step_by(step).map(|letter| char::from(letter).to_string()).collect());
    }
    let is_number = |text: &str| text.len() <= 9 && text.bytes().all(|digit| digit.is_ascii_digit());
    // An empty beginning is 0.
    let start = if first.is_empty() { "0" } else { first };
    let (true, Ok(from), Ok(to)) = (is_number(start) && is_number(last), start.parse::<u32>(), last.parse::<u32>())
    else {
        return Err(wrong(place, "the ends of a range are neither numbers nor letters"));
    };
    let width = if start.len() > 1 && start.starts_with('0') { start.len() } else { 0 };
    if width > 0 && width != last.len() {
        return Err(wrong(place, "the ends of a range have different numbers of digits"));
    }
    if from > to {
        return Err(wrong(place, "a range runs backwards"));
    }
    let count = usize::try_from(to - from).unwrap_or(usize::MAX) / step;
    if count >= MOST_CLIENTS {
        return Err(InputError::new(place, format!("this is more than {MOST_CLIENTS} hosts"), "write smaller ranges"));
    }
    Ok((from..=to).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_expand_as_in_ansible() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = expanded(text, "h:1").map(|names| names.join(" ")).map_err(|error| error.problem);
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        };
        check("web", Ok("web"));
        check("web[01:03].x", Ok("web01.x web02.x web03.x"));
        check("w[9:11]", Ok("w9 w10 w11"));
        check("[a:c]", Ok("a b c"));
        check("db-[0:20:10]", Ok("db-0 db-10 db-20"));
        check("[:2]", Ok("0 1 2"));
        check("r[1:2]n[a:b]", Ok("r1na r1nb r2na r2nb"));
        check("[2001:db8::1]", Ok("[2001:db8::1]"));
        check("[2001:db8::1]:22", Ok("[2001:db8::1]:22"));
        check("w[1:2", Err("a range is not closed"));
        check("w1:2]", Err("a range is not opened"));
        check("w[1]", Err("a range has no two ends"));
        check("w[1:]", Err("a range has no two ends"));
        check("w[]", Err("a range has no two ends"));
        check("w[1:2:3:4]", Err("a range has no two ends"));
        check("w[1:9:0]", Err("the step of a range is no number"));
        check("w[9:1]", Err("a range runs backwards"));
        check("w[c:a]", Err("a range runs backwards"));
        check("w[1-9]", Err("a range has no two ends"));
        check("w[01:5]", Err("the ends of a range have different numbers of digits"));
        check("w[ä:ö]", Err("the ends of a range are neither numbers nor letters"));
        check("w[0:65536]", Err("this is more than 65536 hosts"));
        check("w[0:999999999]", Err("this is more than 65536 hosts"));
        check("[1:999][1:999]", Err("this is more than 65536 hosts"));
    }
}
