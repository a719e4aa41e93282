//! The text formats of Prometheus: which one a scraper wants, and how a family is written in each. The samples are written by
//! the library, the lines above them here, because these differ.

use std::io;

use prometheus::{
    TextEncoder,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// The text format of Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.
    OpenMetrics,
}

/// What a scraper says it can read.
const OPEN_METRICS: &str = "application/openmetrics-text";

impl Exposition {
    /// The format for a request with this value of `Accept`: OpenMetrics if it is named and no other format is preferred,
    /// otherwise text, which every scraper reads.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let (mut open_metrics, mut text) = (0.0_f64, 0.0_f64);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0),
                    "version" => version = Some(value.to_owned()),
                    _ => {}
                }
            }
            let is_version = |known: &str| version.as_deref().is_none_or(|version| version == known);
            if kind == OPEN_METRICS && is_version("1.0.0") {
                open_metrics = open_metrics.max(quality);
            } else if matches!(kind.as_str(), "text/plain" | "text/*" | "*/*") && is_version("0.0.4") {
                text = text.max(quality);
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The last line.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A number that only grows while the process runs. Its name ends in `_total`.
    Counter,
}

/// What is known of a family without its samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// Its name. Other programs rely on it.
    pub name: &'static str,
    /// Its help text, with the unit and the range, on one line and without quotes and backslashes.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
}

/// A sample.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    labels: Vec<LabelPair>,
    value: f64,
}

impl Sample {
    /// A sample with these labels: name and value of each.
    pub(super) fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) -> Self {
        let label = |(name, value): (&str, &str)| {
            let mut label = LabelPair::default();
            label.set_name(name.to_owned());
            label.set_value(value.to_owned());
            label
        };
        Self { labels: labels.into_iter().map(label).collect(), value }
    }
}

/// A family with the lines of its samples so far.
#[derive(Debug)]
pub(super) struct Family {
    head: Head,
    lines: String,
}

impl Family {
    /// A family without samples.
    pub(super) fn new(head: Head) -> Self {
        Self { head, lines: String::new() }
    }

    /// Adds samples.
    ///
    /// # Errors
    /// Only if a metric name or label is invalid, which no fleet can cause.
    pub(super) fn add(&mut self, samples: Vec<Sample>) -> io::Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let kind = self.head.kind;
        let mut family = MetricFamily::default();
        family.set_name(self.head.name.to_owned());
        family.set_field_type(match kind {
            Kind::Gauge => MetricType::GAUGE,
            Kind::Counter => MetricType::COUNTER,
        });
        family.set_metric(samples.into_iter().map(|sample| metric(kind, sample)).collect());
        let text = TextEncoder::new().encode_to_string(&[family]).map_err(io::Error::other)?;
        // Without a help text, there is one line above the samples.
        self.lines.push_str(text.split_once('\n').map_or("", |(_, samples)| samples));
        Ok(())
    }

    /// Writes it. A family without samples has no lines above them either.
    pub(super) fn write(&self, exposition: Exposition, out: &mut String) {
        if self.lines.is_empty() {
            return;
        }
        let Head { name, help, kind } = self.head;
        let word = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        match exposition {
            Exposition::Text => out.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", word, "\n"]),
            Exposition::OpenMetrics => {
                // The name of a counter is that of its samples without the ending.
                let name = name.strip_suffix("_total").unwrap_or(name);
                out.extend(["# TYPE ", name, " ", word, "\n"]);
                if let Some(unit) = unit(name) {
                    out.extend(["# UNIT ", name, " ", unit, "\n"]);
                }
                out.extend(["# HELP ", name, " ", help, "\n"]);
            }
        }
        out.push_str(&self.lines);
    }
}

fn metric(kind: Kind, Sample { labels, value }: Sample) -> Metric {
    let mut metric = Metric::default();
    metric.set_label(labels);
    match kind {
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
    }
    metric
}

/// The unit with which a name ends.
fn unit(name: &str) -> Option<&'static str> {
    const UNITS: [&str; 5] = ["bytes_per_second", "bytes", "seconds", "ratio", "celsius"];
    UNITS.into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_the_format_that_it_prefers() {
        use Exposition::{OpenMetrics, Text};
        for (accept, expected) in [
            ("", Text),
            ("*/*", Text),
            ("text/plain", Text),
            ("application/json", Text),
            ("application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", OpenMetrics),
            ("application/openmetrics-text;version=\"1.0.0\"", OpenMetrics),
            ("APPLICATION/OpenMetrics-Text ; Version=1.0.0", OpenMetrics),
            // What is not known here is not given.
            ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", Text),
            ("application/openmetrics-text;version=2.0.0", Text),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;q=0.5,text/plain;version=0.0.4", Text),
            ("application/openmetrics-text;q=0.5,text/plain;version=1.0.0", OpenMetrics),
            ("application/openmetrics-text;q=soon,text/plain;q=0.1", Text),
            ("application/openmetrics-text;q=NaN", Text),
            ("application/openmetrics-text;q=9,*/*;q=0.1", Text),
            (";;;,=,;q=,application/openmetrics-text;;q", OpenMetrics),
            // Prometheus 2.42.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            // A browser, and curl.
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Text),
        ] {
            assert_eq!(Exposition::accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn the_lines_above_the_samples_are_those_of_the_format() {
        let family = |name: &'static str, kind| {
            let mut family = Family::new(Head { name, help: "What it is.", kind });
            family.add(vec![Sample::new([], 1.5)]).unwrap();
            family.add(vec![Sample::new([("a", "x\\\"\n")], 2.0)]).unwrap();
            family.add(Vec::new()).unwrap();
            let mut texts = [Exposition::Text, Exposition::OpenMetrics].map(|exposition| (exposition, String::new()));
            for (exposition, text) in &mut texts {
                family.write(*exposition, text);
            }
            texts.map(|(_, text)| text)
        };
        let [text, open_metrics] = family("x_seconds_total", Kind::Counter);
        let lines = "x_seconds_total 1.5\nx_seconds_total{a=\"x\\\\\\\"\\n\"} 2\n";
        assert_eq!(text, format!("# HELP x_seconds_total What it is.\n# TYPE x_seconds_total counter\n{lines}"));
        let head = "# TYPE x_seconds counter\n# UNIT x_seconds seconds\n# HELP x_seconds What it is.\n";
        assert_eq!(open_metrics, format!("{head}{lines}"));
        let [text, open_metrics] = family("x_up", Kind::Gauge);
        assert!(text.starts_with("# HELP x_up What it is.\n# TYPE x_up gauge\nx_up 1.5\n"), "{text}");
        assert!(open_metrics.starts_with("# TYPE x_up gauge\n# HELP x_up What it is.\nx_up 1.5\n"), "{open_metrics}");
    }

    #[test]
    fn the_unit_is_the_end_of_the_name() {
        for (name, expected) in [
            ("a_bytes", Some("bytes")),
            ("a_bytes_per_second", Some("bytes_per_second")),
            ("a_timestamp_seconds", Some("seconds")),
            ("a_usage_ratio", Some("ratio")),
            ("ratio", None),
            ("a_up", None),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
