//! `OpenMetrics` 1.0, from the families that the registry gathers.

use std::fmt::Write as _;

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// Whether an Accept header (RFC 9110 section 12.5.1) asks for `OpenMetrics` 1.0 at least as much as for plain text.
pub(super) fn is_preferred(accept: &str) -> bool {
    let ranges: Vec<Range<'_>> = accept.split(',').map(Range::parse).collect();
    let quality = |wanted: &dyn Fn(&Range<'_>) -> bool| {
        ranges.iter().filter(|range| wanted(range)).map(|range| range.quality).fold(0.0, f64::max)
    };
    let openmetrics = quality(&|range| {
        range.media.eq_ignore_ascii_case("application/openmetrics-text") && range.version.is_none_or(|v| v == "1.0.0")
    });
    openmetrics > 0.0 && openmetrics >= quality(&|range| range.media.eq_ignore_ascii_case("text/plain"))
}

struct Range<'a> {
    media: &'a str,
    version: Option<&'a str>,
    quality: f64,
}

impl<'a> Range<'a> {
    fn parse(range: &'a str) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let mut parsed = Self { media: parts.next().unwrap_or_default(), version: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => parsed.quality = value.trim().parse().unwrap_or(0.0),
                "version" => parsed.version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        parsed
    }
}

/// The families as text, with the end mark that tells a whole page from a torn one.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let mut page = Page { out: String::with_capacity(16 * 1024) };
    for family in families {
        page.family(family);
    }
    page.out.push_str("# EOF\n");
    page.out
}

struct Page {
    out: String,
}

/// Writing to a String cannot fail; this drops the result that says so.
macro_rules! put {
    ($out:expr, $($args:tt)+) => { let _ = write!($out, $($args)+); };
}

impl Page {
    fn family(&mut self, family: &MetricFamily) {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            // No family of ours has another type.
            _ => return,
        };
        // A counter's family is named without the suffix of its samples.
        let name = match kind {
            "counter" => family.name().strip_suffix("_total").unwrap_or(family.name()),
            _ => family.name(),
        };
        put!(self.out, "# TYPE {name} {kind}\n# HELP {name} {}\n", escape(family.help()));
        for metric in family.get_metric() {
            match kind {
                "counter" => self.sample(name, "_total", metric, None, metric.get_counter().get_value()),
                "gauge" => self.sample(name, "", metric, None, metric.get_gauge().get_value()),
                _ => self.histogram(name, metric),
            }
        }
    }

    fn histogram(&mut self, name: &str, metric: &Metric) {
        let histogram = metric.get_histogram();
        for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
            let bound = float(bucket.upper_bound());
            self.sample(name, "_bucket", metric, Some(&bound), bucket.cumulative_count() as f64);
        }
        self.sample(name, "_bucket", metric, Some("+Inf"), histogram.get_sample_count() as f64);
        self.sample(name, "_count", metric, None, histogram.get_sample_count() as f64);
        self.sample(name, "_sum", metric, None, histogram.get_sample_sum());
    }

    fn sample(&mut self, name: &str, suffix: &str, metric: &Metric, bound: Option<&str>, value: f64) {
        put!(self.out, "{name}{suffix}");
        let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
        let mut open = '{';
        for (label, text) in labels.chain(bound.map(|bound| ("le", bound))) {
            put!(self.out, "{open}{label}=\"{}\"", escape(text));
            open = ',';
        }
        if open == ',' {
            self.out.push('}');
        }
        put!(self.out, " {}\n", number(value));
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// A whole number without a point, as counts should be; anything else as a float.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 9e15 { format!("{value:.0}") } else { float(value) }
}

/// A float in the canonical form of bounds: always with a point or an exponent.
fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value:?}")
    }
}
