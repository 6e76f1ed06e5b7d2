//! CSV with perf_analyzer's columns.

use std::fmt::Write as _;

use super::text::{PRINTED, significant};
use super::{GpuFigures, Level, Report};

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
    let with_metrics = report.levels.iter().any(|level| level.metrics.is_some());
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
        text += ",Avg latency,request/response,response wait";
        if with_metrics {
            text += ",Avg GPU Utilization,Avg GPU Power Usage,Max GPU Memory Usage,Total GPU Memory";
        }
        text += ",Requests,Failed,Delayed,Unsent,Stable,CPU %,CPU ms/request,\
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
            text += &verbose(level);
            if with_metrics {
                text += &metrics(level);
            }
            text += &more(level, !level.unsettled(&report.settings));
        }
        text += "\n";
    }
    text
}

/// The columns that perf_analyzer has only with `--verbose-csv`.
fn verbose(level: &Level) -> String {
    let exchange = level.send_us + level.receive_us;
    format!(",{:.0},{exchange:.0},{:.0}", level.latency.avg_us, level.wait_us)
}

/// Those of the server's metrics, each as `UUID:VALUE;` for every GPU.
fn metrics(level: &Level) -> String {
    let gpus = || level.metrics.iter().flat_map(|metrics| &metrics.gpus);
    let column = |figure: &dyn Fn(&GpuFigures) -> Option<String>| -> String {
        let told = gpus().filter_map(|(uuid, gpu)| Some(format!("{uuid}:{};", figure(gpu)?)));
        std::iter::once(",".to_owned()).chain(told).collect()
    };
    let number = |value: Option<f64>| value.map(significant);
    let bytes = |value: Option<f64>| value.map(|value| format!("{value:.0}"));
    column(&|gpu| number(gpu.utilization))
        + &column(&|gpu| number(gpu.power_w))
        + &column(&|gpu| bytes(gpu.memory_used_bytes))
        + &column(&|gpu| bytes(gpu.memory_total_bytes))
}

/// Ours.
fn more(level: &Level, stable: bool) -> String {
    let (failed, Level { requests, delayed, unsent, .. }) = (level.failed(), level);
    let processes = match &level.process {
        Some(p) => {
            format!("{:.1},{:.3},{:.1},{:.1}", p.cpu_percent, p.cpu_ms_per_request, p.rss_mib, p.rss_peak_mib)
        }
        None => ",,,".to_owned(),
    };
    format!(",{requests},{failed},{delayed},{unsent},{stable},{processes}")
}
