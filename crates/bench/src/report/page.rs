//! One HTML file without links: the figures of every load, and charts of them.

use std::fmt::Write as _;

use tintype_chart::{escaped, page};

use super::chart::{self, Axis, Bars, Line};
use super::{Level, Report};

/// The page.
pub fn to_html(report: &Report) -> String {
    let title = format!("{} {}", report.target, report.model);
    let title = title.trim();
    let settings = &report.settings;
    let mut body = format!("<h1>{}</h1>\n<p>{} over {}", escaped(title), report.service, report.protocol);
    // Writing to a string cannot fail, here and below.
    if let Some(seconds) = report.start_up_s {
        let _ = write!(body, ", its first good answer {seconds:.3} s after its start");
    }
    let _ = write!(
        body,
        ". Rows a request: {}, sending threads: {}, {}.",
        settings.batch_size, settings.threads, report.tool
    );
    if report.interrupted {
        body += " Ended before its time.";
    }
    body += "</p>\n";
    body += &table(report);
    let _ = writeln!(
        body,
        "<div class='charts'>{}{}{}{}</div>",
        throughput(report),
        percentiles(report),
        server(report),
        batches(report)
    );
    page(title, include_str!("page.css"), &body)
}

fn table(report: &Report) -> String {
    let load = report.settings.load.title();
    let mut text = format!(
        "<div class='wide'><table><thead><tr><th>{load}</th><th>infer/s</th><th>avg ms</th><th>p50</th><th>p90</th>\
         <th>p99</th><th>max</th><th>requests</th><th>failed</th><th>late</th><th>CPU ms</th><th>RSS MiB</th><th></th>\
         </tr></thead><tbody>\n"
    );
    for level in &report.levels {
        let latency = &level.latency;
        let process = level.process.map_or(["–".to_owned(), "–".to_owned()], |p| {
            [format!("{:.2}", p.cpu_ms_per_request), format!("{:.0}", p.rss_peak_mib)]
        });
        let note = match (level.unsettled(&report.settings), level.within) {
            (false, true) => "",
            (_, false) => "beyond the limit",
            (true, true) => "not stable",
        };
        let _ = write!(text, "<tr><th>{}</th><td>{:.1}</td>", level.load, level.throughput);
        for us in [latency.avg_us, latency.at(50.0), latency.at(90.0), latency.at(99.0), latency.max_us] {
            let _ = write!(text, "<td>{:.2}</td>", us / 1e3);
        }
        let [cpu, rss] = process;
        let _ = writeln!(
            text,
            "<td>{}</td><td>{}</td><td>{}</td><td>{cpu}</td><td>{rss}</td><td>{note}</td></tr>",
            level.requests,
            level.failed(),
            level.delayed + level.unsent
        );
    }
    text += "</tbody></table></div>\n";
    for level in report.levels.iter().filter(|level| !level.errors.is_empty()) {
        let errors = level.errors.iter().map(|(error, count)| format!("{count} × {}", escaped(error)));
        let _ = writeln!(
            text,
            "<p class='bad'>{load} {}: {}</p>",
            level.load,
            errors.collect::<Vec<_>>().join("; ")
        );
    }
    text
}

/// Throughput against latency, a point a load.
fn throughput(report: &Report) -> String {
    let line = |name: &str, of: &dyn Fn(&Level) -> f64| Line {
        name: name.to_owned(),
        points: report.levels.iter().map(|level| (level.throughput, of(level) / 1e3)).collect(),
        labels: report
            .levels
            .iter()
            .map(|level| format!("{} {}", report.settings.load.title(), level.load))
            .collect(),
    };
    let mut lines = vec![line("average", &|level| level.latency.avg_us)];
    lines.extend([50.0, 90.0, 99.0].map(|p| line(&format!("p{p}"), &|level: &Level| level.latency.at(p))));
    chart::lines(
        "Throughput against latency",
        &Axis::linear("inferences a second"),
        &Axis::linear("ms"),
        &lines,
    )
}

/// Latency by percentile, a line a load.
fn percentiles(report: &Report) -> String {
    let line = |level: &Level| Line {
        name: level.load.to_string(),
        // Each nine takes the same room.
        points: level.latency.percentiles.iter().map(|x| (nines(x.p), x.us / 1e3)).collect(),
        labels: level.latency.percentiles.iter().map(|x| format!("p{}", x.p)).collect(),
    };
    let lines: Vec<Line> = report.levels.iter().map(line).collect();
    let ticks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99].map(|p| (nines(p), format!("{p}")));
    let x = Axis { title: "percentile".to_owned(), ticks: Some(ticks.to_vec()) };
    chart::lines("Latency by percentile", &x, &Axis::linear("ms"), &lines)
}

fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

/// Where requests spent their time in the server.
fn server(report: &Report) -> String {
    let splits: Vec<_> =
        report.levels.iter().filter_map(|level| Some((level, level.server.as_ref()?))).collect();
    let bars = splits.iter().map(|(level, split)| {
        let ms = |ns: u64| split.us(ns) as f64 / 1e3;
        let values = vec![
            ms(split.queue_ns),
            ms(split.input_ns),
            ms(split.infer_ns),
            ms(split.output_ns),
            split.overhead_us() as f64 / 1e3,
        ];
        Bars { name: level.load.to_string(), values }
    });
    let names = ["queue", "prepare", "infer", "output", "rest"].map(str::to_owned);
    chart::stacked("Time in the server, ms a request", &names, &bars.collect::<Vec<_>>())
}

/// The share of each batch size among the rows computed.
fn batches(report: &Report) -> String {
    let splits: Vec<_> =
        report.levels.iter().filter_map(|level| Some((level, level.server.as_ref()?))).collect();
    let mut sizes: Vec<u64> = splits.iter().flat_map(|(_, split)| split.batches.keys().copied()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let bars = splits.iter().map(|(level, split)| {
        let rows = split.batches.iter().map(|(size, count)| size * count).sum::<u64>().max(1) as f64;
        let share = |size: &u64| 100.0 * (size * split.batches.get(size).copied().unwrap_or(0)) as f64 / rows;
        Bars { name: level.load.to_string(), values: sizes.iter().map(share).collect() }
    });
    let names: Vec<String> = sizes.iter().map(u64::to_string).collect();
    chart::stacked("Batch sizes, percent of the rows", &names, &bars.collect::<Vec<_>>())
}
