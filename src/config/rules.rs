//! Reads `<alert>`: the rules of a client, a group or the whole fleet, with those that it inherits.

use super::{
    fields::{self, Field, field, required},
    instances::{self, Instances},
    safe_text::{self, SafeText, words},
    schema,
    settings::Settings,
    shape::Element,
    source::{Findings, Source},
    value_error::ValueError,
    values,
};
use crate::fleet::{
    Metric, Rule,
    metric::{Instance, Worse},
};

/// The default of `for`: sweeps in a row over the limit before an alert is raised.
const FOR_SWEEPS: u32 = 1;

/// The reader of the rules of one element.
pub(super) struct Rules<'a> {
    pub source: &'a Source<'a>,
    /// The defaults.
    pub settings: &'a Settings,
    pub findings: &'a mut Findings,
}

impl Rules<'_> {
    /// The alerts of an element, and the inherited alerts of types and instances for which the element has none.
    pub(super) fn read(mut self, element: &Element, outer: Vec<Rule>) -> Vec<Rule> {
        let mut own: Vec<Rule> = Vec::new();
        let mut seen: Vec<(Metric, Option<Instance>, usize)> = Vec::new();
        for alert in element.children.iter().filter(|child| child.name.text == "alert") {
            let metric = required(alert, "type", type_example(), self.findings, values::metric);
            let metric = metric.map(|metric| of_limit(metric, alert));
            let instances = metric.and_then(|metric| instances::read(alert, metric, self.findings));
            if let (Some(metric), Some(Instances { only, .. })) = (metric, &instances) {
                match seen.iter().find(|(of, instance, _)| *of == metric && is_same(instance.as_ref(), only.as_ref())) {
                    Some((.., first)) => {
                        let line = self.source.line_of(*first);
                        let which = if only.is_some() { " with this name" } else { "" };
                        self.findings.error(
                            instances::place(alert),
                            words!["this element has two alerts for ", metric, which, "; the first is in line ", line],
                            "keep one of them",
                        );
                    }
                    None => seen.push((metric, only.clone(), alert.name.at.start)),
                }
            }
            let rule = self.rule(alert, metric);
            own.extend(rule.zip(instances).map(|(rule, Instances { only, exclude })| Rule {
                instance: only,
                exclude,
                ..rule
            }));
        }
        let is_replaced = |rule: &Rule| {
            seen.iter().any(|(of, only, _)| *of == rule.metric && is_same(only.as_ref(), rule.instance.as_ref()))
        };
        own.extend(outer.into_iter().filter(|rule| !is_replaced(rule)));
        own.sort_by(|one, other| (one.metric, &one.instance).cmp(&(other.metric, &other.instance)));
        own
    }

    /// One `<alert>`; every attribute is checked even where another is wrong.
    fn rule(&mut self, alert: &Element, metric: Option<Metric>) -> Option<Rule> {
        let settings = self.settings;
        let for_sweeps = field(alert, "for", self.findings, |text| values::within(text, schema::FOR_SWEEPS));
        let repeat = field(alert, "repeat", self.findings, values::repeat);
        // Without the type the unit of the limit is unknown.
        let Some(metric) = metric else {
            if alert.attribute("limit").is_none() {
                fields::missing(alert, "limit", "limit=\"90%\"", self.findings);
            }
            return None;
        };
        let (unit, worse) = (metric.unit(), metric.spec().worse);
        let limit = match (metric.default_limit(), alert.attribute("limit")) {
            (Some(limit), None) => Some(limit),
            (Some(_) | None, _) => {
                required(alert, "limit", unit.example(), self.findings, |text| values::limit(unit, text))
            }
        };
        let clear = field(alert, "clear", self.findings, |text| {
            let clear = values::limit(unit, text)?;
            match limit {
                Some(limit) if worse.is_worse(clear, limit) => {
                    let (side, better) = match worse {
                        Worse::High => ("above", "lower"),
                        Worse::Low => ("below", "higher"),
                    };
                    let why = " the limit, so the alert would end as soon as it is raised";
                    Err(ValueError::new(
                        words![safe_text::number(text), " is ", side, why],
                        words!["write the limit or a value that is ", better],
                    ))
                }
                Some(_) | None => Ok(clear),
            }
        });
        let limit = limit?;
        if worse == Worse::High && unit.greatest().is_some_and(|greatest| limit >= greatest) {
            let at = fields::place(alert, "limit");
            self.findings.warning(
                at,
                "this alert can never be raised: no value is above its limit",
                "write a lower limit",
            );
        }
        let wrong =
            matches!((&for_sweeps, &repeat, &clear), (Field::Wrong, ..) | (_, Field::Wrong, _) | (.., Field::Wrong));
        if wrong {
            return None;
        }
        Some(Rule {
            metric,
            instance: None,
            exclude: Vec::new(),
            limit,
            clear: clear.given().unwrap_or(limit),
            for_sweeps: for_sweeps.given().unwrap_or(FOR_SWEEPS),
            repeat: repeat.given().unwrap_or(settings.repeat),
            recovery: settings.recovery,
        })
    }
}

/// Whether two alerts are for the same instance, or both for every instance.
fn is_same(one: Option<&Instance>, other: Option<&Instance>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_named(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The metric that the limit of an `<alert>` is for: a limit with `%` may be for another one.
fn of_limit(metric: Metric, alert: &Element) -> Metric {
    let is_percent = alert.attribute("limit").is_some_and(|limit| limit.value.text.contains('%'));
    metric.spec().in_percent.filter(|_| is_percent).unwrap_or(metric)
}

/// An example of `type` of an `<alert>`, followed by all other types.
fn type_example() -> SafeText {
    let [first, others @ ..] = Metric::ALL.map(Metric::word);
    let others = others.map(SafeText::from);
    words!["type=\"", first, "\" (or ", SafeText::join(&others, ", "), ")"]
}
