//! Two reports side by side, load by load.

use std::fmt::Write as _;

use super::{Level, Report};

/// Throughput and latencies of `b` beside those of `a`, for the loads that both have; positive changes are increases.
pub fn compare(a: &Report, b: &Report) -> String {
    // Writing to a string cannot fail, here and below.
    let mut text = format!("a: {}\nb: {}\n\n", described(a), described(b));
    if a.settings.load != b.settings.load {
        let _ = writeln!(
            text,
            "a is of a {} and b of a {}: they cannot be compared",
            a.settings.load.described(),
            b.settings.load.described()
        );
        return text;
    }
    let title = a.settings.load.title();
    let _ = writeln!(text, "{title:<14}{:<12}{:>12}{:>12}{:>10}", "", "a", "b", "change");
    for level in &a.levels {
        match b.levels.iter().find(|other| other.load == level.load) {
            Some(other) => {
                let unsettled = level.unsettled(&a.settings) || other.unsettled(&b.settings);
                text += &rows(level, other, if unsettled { "  not stable" } else { "" });
            }
            None => {
                let _ = writeln!(text, "{:<14}only in a", level.load);
            }
        }
    }
    for level in b.levels.iter().filter(|level| a.levels.iter().all(|other| other.load != level.load)) {
        let _ = writeln!(text, "{:<14}only in b", level.load);
    }
    text
}

fn rows(a: &Level, b: &Level, note: &str) -> String {
    let mut figures = vec![
        ("infer/sec", a.throughput, b.throughput),
        ("avg ms", a.latency.avg_us / 1e3, b.latency.avg_us / 1e3),
    ];
    figures.extend(
        [("p50 ms", 50.0), ("p99 ms", 99.0)]
            .map(|(name, p)| (name, a.latency.at(p) / 1e3, b.latency.at(p) / 1e3)),
    );
    if let (Some(a), Some(b)) = (&a.process, &b.process) {
        figures.push(("CPU ms", a.cpu_ms_per_request, b.cpu_ms_per_request));
        figures.push(("RSS MiB", a.rss_peak_mib, b.rss_peak_mib));
    }
    if a.failed() + b.failed() > 0 {
        figures.push(("failed", a.failed() as f64, b.failed() as f64));
    }
    let mut text = String::new();
    for (index, (name, a_value, b_value)) in figures.into_iter().enumerate() {
        let (load, note) = if index == 0 { (a.load.to_string(), note) } else { (String::new(), "") };
        let change = if a_value > 0.0 {
            format!("{:+.1} %", 100.0 * (b_value / a_value - 1.0))
        } else {
            "-".to_owned()
        };
        let _ = writeln!(text, "{load:<14}{name:<12}{a_value:>12.3}{b_value:>12.3}{change:>10}{note}");
    }
    text
}

fn described(report: &Report) -> String {
    let model = if report.model.is_empty() { String::new() } else { format!(" {}", report.model) };
    format!("{}{model} ({}, {})", report.target, report.service, report.protocol)
}
