//! Reads which instances of a metric an `<alert>` is for: the attribute that names one, and `exclude`.

use super::{
    fields::{self, Field, field},
    safe_text::words,
    shape::Element,
    source::Findings,
    value_error::ValueError,
};
use crate::fleet::{
    Metric,
    metric::{Instance, InstancePattern, Scope},
};

/// The attributes that name an instance. Which one is allowed follows from the scope of the metric.
const NAMING: [&str; 3] = ["mount", "interface", "name"];
/// The attribute with the patterns of those that are left out.
const EXCLUDE: &str = "exclude";
/// The most patterns.
const MOST_PATTERNS: usize = 64;
/// The longest name of an instance, in characters, as it is stored.
const LONGEST: usize = 256;

/// The instances of an alert.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// The only one; `None` for every instance.
    pub only: Option<Instance>,
    /// Those that are left out.
    pub exclude: Vec<InstancePattern>,
}

/// Reads the instances of an alert. `None` if an attribute is wrong, which is reported.
pub(super) fn read(alert: &Element, metric: Metric, findings: &mut Findings) -> Option<Instances> {
    let scope = metric.spec().scope;
    let allowed = scope.attribute();
    let mut is_wrong = false;
    for name in NAMING.into_iter().filter(|name| Some(*name) != allowed) {
        let Some(attribute) = alert.attribute(name) else { continue };
        let hint = match allowed {
            None => "remove it".into(),
            Some(allowed) => words!["write `", allowed, "` in its place"],
        };
        let what = measured(scope);
        let problem = words!["`", name, "` does not apply: ", metric, " has one value for ", what];
        findings.error(attribute.name.at.clone(), problem, hint);
        is_wrong = true;
    }
    let only = match allowed {
        Some(name) => field(alert, name, findings, |text| instance(scope, text)),
        None => Field::Absent,
    };
    let exclude = field(alert, EXCLUDE, findings, patterns);
    if let Some(attribute) = alert.attribute(EXCLUDE) {
        let problem = match (allowed, only.is_absent()) {
            (Some(_), true) => None,
            (None, _) => Some(words!["`exclude` does not apply: ", metric, " has one value for the whole client"]),
            (Some(name), false) => {
                Some(words!["`exclude` has no effect beside `", name, "`, which names the only one"])
            }
        };
        if let Some(problem) = problem {
            findings.error(attribute.name.at.clone(), problem, "remove it");
            is_wrong = true;
        }
    }
    // Processes are only counted by the names that are asked for.
    if scope == Scope::Process && only.is_absent() {
        fields::missing(alert, "name", "the name of the program, as in name=\"nginx\"", findings);
        return None;
    }
    if is_wrong || only.is_wrong() || exclude.is_wrong() {
        return None;
    }
    Some(Instances { only: only.given(), exclude: exclude.given().unwrap_or_default() })
}

/// What a metric has one value for.
fn measured(scope: Scope) -> &'static str {
    match scope {
        Scope::Host => "the whole client",
        Scope::Mount => "each mount",
        Scope::Interface => "each network interface",
        Scope::Disk => "each disk",
        Scope::Resource => "each resource",
        Scope::Service => "each service",
        Scope::Process => "each name of a process",
    }
}

/// The name of one instance.
fn instance(scope: Scope, text: &str) -> Result<Instance, ValueError> {
    let hint = match scope {
        Scope::Mount => "write the directory on which it is mounted, as in mount=\"/var\" or mount=\"C:\"",
        Scope::Resource => "write cpu, memory or io",
        Scope::Process => "write the name of the program, as in name=\"nginx\"",
        Scope::Host | Scope::Interface | Scope::Disk | Scope::Service => "write one name",
    };
    let text = name(text, hint)?;
    if text.contains('*') {
        let hint = "omit the attribute for all of them, and leave some out with `exclude`";
        return Err(ValueError::new("this is a pattern, but one instance is named here", hint));
    }
    if scope == Scope::Mount && !text.contains(['/', ':']) {
        return Err(ValueError::new("this is not the path of a directory", hint));
    }
    if !scope.can_have(text) {
        return Err(ValueError::new("there is no such resource", hint));
    }
    Ok(Instance::new(text))
}

/// Patterns, separated by commas.
fn patterns(text: &str) -> Result<Vec<InstancePattern>, ValueError> {
    const HINT: &str = "write patterns like exclude=\"/backup/*, /mnt/*\"";
    let patterns: Vec<&str> = text.split(',').map(str::trim).collect();
    if patterns.len() > MOST_PATTERNS {
        let problem = words!["these are ", patterns.len(), " patterns"];
        return Err(ValueError::new(problem, words!["write at most ", MOST_PATTERNS]));
    }
    patterns.into_iter().map(|pattern| name(pattern, HINT).map(InstancePattern::new)).collect()
}

fn name<'a>(text: &'a str, hint: &'static str) -> Result<&'a str, ValueError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ValueError::new("a name is missing", hint));
    }
    if text.chars().any(char::is_control) {
        return Err(ValueError::new("the name contains control characters", "omit them: names are compared without"));
    }
    if text.chars().nth(LONGEST).is_some() {
        return Err(ValueError::new("the name is too long", words!["write at most ", LONGEST, " characters"]));
    }
    Ok(text)
}

/// Where an alert says which instance it is for; where its type is, if it does not.
pub(super) fn place(alert: &Element) -> std::ops::Range<usize> {
    let written = NAMING.into_iter().find(|name| alert.attribute(name).is_some());
    fields::place(alert, written.unwrap_or("type"))
}
