//! CSV with perf_analyzer's columns.

use std::fmt::Write as _;

use super::text::{PRINTED, significant};
use super::{Level, Report};

/// Which columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Those that perf_analyzer always writes.
    Usual,
    /// Those of `--verbose-csv` too, and ours: errors, delays, processes.
    All,
}

/// The loads, by throughput; times in microseconds.
pub fn to_csv(report: &Report, columns: Columns) -> String {
    let with_server = report.levels.iter().any(|level| level.server.is_some());
    let with_cache =
        report.levels.iter().any(|level| level.server.as_ref().is_some_and(|s| s.cache_hits > 0));
    let all = columns == Columns::All;
    let mut text = format!("{},Inferences/Second,Client Send", report.settings.load.title());
    if with_server {
        text += ",Network+Server Send/Recv,Server Queue,Server Compute Input,Server Compute Infer,Server Compute Output";
    }
    if with_cache {
        text += ",Server Cache Hit,Server Cache Miss";
    }
    text += ",Client Recv";
    let chosen = report.settings.percentile.filter(|p| !PRINTED.contains(p));
    let percentiles: Vec<f64> = PRINTED.into_iter().chain(chosen).collect();
    for p in &percentiles {
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, ",p{p} latency");
    }
    if all {
        text += ",Avg latency,request/response,response wait,Requests,Failed,Delayed,Unsent,Stable,CPU %,CPU ms/request,\
                 RSS MiB,Peak RSS MiB";
    }
    text += "\n";
    let mut levels: Vec<&Level> = report.levels.iter().collect();
    levels.sort_by(|a, b| a.throughput.total_cmp(&b.throughput));
    for level in levels {
        let _ = write!(text, "{},{},{:.0}", level.load, significant(level.throughput), level.send_us);
        if with_server {
            let split = level.server.clone().unwrap_or_default();
            let _ = write!(text, ",{:.0}", level.network_us(&split));
            for ns in [split.queue_ns, split.input_ns, split.infer_ns, split.output_ns] {
                let _ = write!(text, ",{}", split.us(ns));
            }
            if with_cache {
                let _ = write!(text, ",{},{}", split.us(split.cache_hit_ns), split.us(split.cache_miss_ns));
            }
        }
        let _ = write!(text, ",{:.0}", level.receive_us);
        for p in &percentiles {
            let _ = write!(text, ",{:.0}", level.latency.at(*p));
        }
        if all {
            text += &more(level, !level.unsettled(&report.settings));
        }
        text += "\n";
    }
    text
}

fn more(level: &Level, stable: bool) -> String {
    let exchange = level.send_us + level.receive_us;
    let mut text = format!(
        ",{:.0},{exchange:.0},{:.0},{},{},{},{},{}",
        level.latency.avg_us,
        level.wait_us,
        level.requests,
        level.failed(),
        level.delayed,
        level.unsent,
        stable
    );
    text += &match &level.process {
        Some(p) => format!(
            ",{:.1},{:.3},{:.1},{:.1}",
            p.cpu_percent, p.cpu_ms_per_request, p.rss_mib, p.rss_peak_mib
        ),
        None => ",,,,".to_owned(),
    };
    text
}
