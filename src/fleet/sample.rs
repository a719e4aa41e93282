//! A sample: the values of every metric in one collection. Judge, filter, sort, columns and exports compare these. They
//! are computed in [`metric`](super::metric); texts for display are in the [`Reading`](super::Reading).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric::{Metric, Observed, Values};

/// The values of the metrics in one collection.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample(BTreeMap<Metric, Values>);

impl Sample {
    /// The values in a collection.
    #[must_use]
    pub fn measure(observed: Observed<'_>) -> Self {
        let mut sample = Self::default();
        for metric in Metric::ALL {
            sample.set(metric, metric.measure(observed));
        }
        sample
    }

    /// The values of a metric.
    #[must_use]
    pub fn values(&self, metric: Metric) -> &Values {
        self.0.get(&metric).unwrap_or(&Values::NotMeasured)
    }

    /// The worst value of a metric; `None` if it was not measured.
    #[must_use]
    pub fn worst(&self, metric: Metric) -> Option<f64> {
        metric.worst(self.values(metric))
    }

    /// Replaces the values of a metric.
    pub fn set(&mut self, metric: Metric, values: Values) {
        match values {
            Values::NotMeasured => drop(self.0.remove(&metric)),
            Values::Host(_) | Values::Each(_) | Values::Part(_) | Values::Listed { .. } => {
                drop(self.0.insert(metric, values));
            }
        }
    }
}
