//! Reads `<events>`: the logs of a client or group that are read beside the security log.

use super::{
    fields::{self, Field, field, required},
    safe_text::words,
    shape::Element,
    source::Findings,
    value_error::ValueError,
};
use crate::fleet::{
    rule,
    security::{FurtherLog, FurtherLogError},
};

/// The logs of an element, and the inherited logs that it does not name itself. How long they are together is checked with
/// what the rules of a client ask for.
pub(super) fn read(element: &Element, outer: Vec<FurtherLog>, findings: &mut Findings) -> Vec<FurtherLog> {
    let mut own: Vec<FurtherLog> = Vec::new();
    for child in element.children.iter().filter(|child| child.name.text == "events") {
        let channel = required(child, "channel", "channel=\"System\"", findings, channel);
        let ids = field(child, "ids", findings, ids);
        let (Some(channel), Field::Given(_) | Field::Absent) = (channel, &ids) else { continue };
        let Ok(log) = FurtherLog::new(&channel, ids.given().unwrap_or_default()) else { continue };
        if own.iter().any(|known| known.channel() == log.channel()) {
            let problem = words!["this element names the same log twice"];
            findings.error(fields::place(child, "channel"), problem, "write one element with all of its ids");
            continue;
        }
        own.push(log);
    }
    let is_own = |log: &FurtherLog| own.iter().any(|known| known.channel() == log.channel());
    let inherited: Vec<FurtherLog> = outer.into_iter().filter(|log| !is_own(log)).collect();
    own.extend(inherited);
    if own.len() > rule::MAX_LOGS {
        let problem = words!["these are more logs than a client is asked for, with those of the groups around it"];
        let hint = words!["name at most ", rule::MAX_LOGS, " logs, with fewer ids"];
        findings.error(element.name.at.clone(), problem, hint);
        own.clear();
    }
    own
}

fn channel(text: &str) -> Result<String, ValueError> {
    const HINT: &str = "write a channel of Windows such as `System` or `Microsoft-Windows-Sysmon/Operational`, or for Linux a \
                        unit such as `nginx.service` or a facility such as `cron`";
    if text == "Security" {
        return Err(ValueError::new(words!["the security log is always read"], "remove this element"));
    }
    match FurtherLog::new(text, Vec::new()) {
        Ok(_) => Ok(text.to_owned()),
        Err(FurtherLogError::Channel | FurtherLogError::Ids) => {
            Err(ValueError::new(words!["this is not the name of a log"], HINT))
        }
    }
}

fn ids(text: &str) -> Result<Vec<u32>, ValueError> {
    const HINT: &str = "write numbers with commas between them, for example `7045,104`";
    let parts = text.split(',').map(|id| id.trim().parse::<u16>().map(u32::from));
    let ids = parts
        .collect::<Result<Vec<u32>, _>>()
        .map_err(|_| ValueError::new(words!["this is not a list of event ids"], HINT))?;
    if ids.len() > FurtherLog::MAX_IDS {
        let problem =
            words!["these are more than ", FurtherLog::MAX_IDS, " ids, which the event log of Windows refuses"];
        return Err(ValueError::new(
            problem,
            "leave out `ids` to read all events, and leave noise out of mails with `ignore`",
        ));
    }
    Ok(ids)
}
