//! What is counted: every name in one place, and every label from a closed list.
//!
//! The recorder has no listener of its own; `web` serves what [`Numbers::render`] writes.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests, by `surface` and class of `status`.
pub const HTTP_REQUESTS: &str = "anteroom_http_requests_total";
/// Time from a request's head to the head of its answer, by `surface`.
pub const HTTP_SECONDS: &str = "anteroom_http_request_seconds";
/// Open connections.
pub const HTTP_CONNECTIONS: &str = "anteroom_http_connections";
/// Connections turned away, by `reason`.
pub const HTTP_REFUSED: &str = "anteroom_http_connections_refused_total";
/// Requests over a rate, by `rate`.
pub const RATE_LIMITED: &str = "anteroom_rate_limited_total";
/// Submissions judged, by `outcome`.
pub const SUBMISSIONS: &str = "anteroom_submissions_total";
/// Decisions by people, by `decision`.
pub const DECISIONS: &str = "anteroom_decisions_total";
/// 1 while the rule directory cannot be loaded and an older rule set runs.
pub const RULES_BROKEN: &str = "anteroom_rules_broken";
/// Fields that were not written to the log.
pub const LOG_FIELDS_DROPPED: &str = "anteroom_log_fields_dropped_total";
/// Panics, caught or not.
pub const PANICS: &str = "anteroom_panics_total";

/// Upper edges of the buckets of [`HTTP_SECONDS`].
const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// How often [`Numbers::tidy`] should run.
pub const TIDY_EVERY: Duration = Duration::from_secs(5);

/// The counters of this process.
#[derive(Debug)]
pub struct Numbers {
    handle: PrometheusHandle,
    /// Open connections.
    pub connections: Gauge,
    /// Whether the rule directory is broken.
    pub rules_broken: Gauge,
    /// Fields that were not written to the log.
    pub log_fields_dropped: Counter,
    /// Panics, caught or not.
    pub panics: Counter,
}

impl Numbers {
    /// Everything counted so far, in Prometheus's text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds what was measured since the last call, which otherwise piles up until somebody asks.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

/// The counters of this process, made when first asked for.
pub fn numbers() -> &'static Numbers {
    static NUMBERS: OnceLock<Numbers> = OnceLock::new();
    NUMBERS.get_or_init(install)
}

fn install() -> Numbers {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(HTTP_SECONDS.to_owned()), &SECONDS)
        .unwrap_or_else(|_| PrometheusBuilder::new());
    let recorder = builder.build_recorder();
    let numbers = Numbers {
        handle: recorder.handle(),
        connections: recorder.register_gauge(&Key::from_static_name(HTTP_CONNECTIONS), &HERE),
        rules_broken: recorder.register_gauge(&Key::from_static_name(RULES_BROKEN), &HERE),
        log_fields_dropped: recorder
            .register_counter(&Key::from_static_name(LOG_FIELDS_DROPPED), &HERE),
        panics: recorder.register_counter(&Key::from_static_name(PANICS), &HERE),
    };
    describe(&recorder);
    // A second recorder could only come from a test that brought its own; ours is still rendered.
    drop(metrics::set_global_recorder(recorder));
    numbers
}

const HERE: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

fn describe(recorder: &impl Recorder) {
    let counters = [
        (HTTP_REQUESTS, "Requests by surface and class of status"),
        (HTTP_REFUSED, "Connections turned away"),
        (RATE_LIMITED, "Requests over a rate"),
        (SUBMISSIONS, "Submissions judged, by outcome"),
        (DECISIONS, "Decisions by people"),
        (
            LOG_FIELDS_DROPPED,
            "Fields that were not written to the log",
        ),
        (PANICS, "Panics, caught or not"),
    ];
    for (name, text) in counters {
        recorder.describe_counter(name.into(), None, text.into());
    }
    recorder.describe_gauge(HTTP_CONNECTIONS.into(), None, "Open connections".into());
    let text = "1 while the rule directory cannot be loaded and an older rule set runs";
    recorder.describe_gauge(RULES_BROKEN.into(), None, text.into());
    let text = "Time from a request's head to the head of its answer";
    recorder.describe_histogram(
        HTTP_SECONDS.into(),
        Some(metrics::Unit::Seconds),
        text.into(),
    );
}

/// The requests of one surface. Made once; counting is an addition.
#[derive(Debug)]
pub struct SurfaceNumbers {
    by_class: [Counter; 5],
    seconds: Histogram,
}

impl SurfaceNumbers {
    /// The counters of `surface`, which must come from a closed list.
    #[must_use]
    pub fn of(surface: &'static str) -> Self {
        numbers();
        let labelled = |class: &'static str| metrics::counter!(HTTP_REQUESTS, "surface" => surface, "status" => class);
        Self {
            by_class: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(labelled),
            seconds: metrics::histogram!(
                HTTP_SECONDS,
                vec![Label::from_static_parts("surface", surface)]
            ),
        }
    }

    /// Counts one request.
    pub fn count(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.by_class[class].increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_request_is_rendered_with_its_surface() {
        let surface = SurfaceNumbers::of("test");

        surface.count(204, Duration::from_millis(2));
        surface.count(503, Duration::from_millis(2));
        numbers().tidy();

        let page = numbers().render();
        assert!(
            page.contains(r#"anteroom_http_requests_total{surface="test",status="2xx"} 1"#),
            "{page}"
        );
        assert!(
            page.contains(r#"anteroom_http_request_seconds_bucket{surface="test",le="0.0025"} 2"#),
            "{page}"
        );
    }
}
