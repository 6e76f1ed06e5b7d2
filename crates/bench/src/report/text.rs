//! Text in perf_analyzer's layout, with lines of our own where it has none.

use std::fmt::{self, Write as _};

use super::{GpuFigures, Level, LoadKind, MetricsFigures, Report, Settings};

/// Percentiles that are printed, beside the one that was chosen.
pub(super) const PRINTED: [f64; 4] = [50.0, 90.0, 95.0, 99.0];

/// What is printed before the first load.
pub fn head(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = write_head(&mut text, report);
    text
}

/// What is printed of one load.
pub fn level(report: &Report, level: &Level) -> String {
    let mut text = String::new();
    let _ = write_level(&mut text, report, level);
    text
}

/// What is printed at the end.
pub fn summary(report: &Report) -> String {
    let settings = &report.settings;
    let metric = settings.percentile.map_or("Average".to_owned(), |p| format!("p{p}"));
    let mut text = format!("Inferences/Second vs. Client {metric} Batch Latency\n");
    for level in &report.levels {
        let _ = writeln!(
            text,
            "{}: {}, throughput: {} infer/sec, latency {:.0} usec",
            settings.load.title(),
            level.load,
            significant(level.throughput),
            level.latency_us(settings)
        );
    }
    if report.interrupted {
        text += "Interrupted: the last load was not measured to its end\n";
    }
    text
}

fn write_head(out: &mut String, report: &Report) -> fmt::Result {
    let s = &report.settings;
    writeln!(out, "*** Measurement Settings ***")?;
    writeln!(out, "  Batch size: {}", s.batch_size)?;
    writeln!(out, "  Service Kind: {}", report.service)?;
    match (s.window_ms, s.window_requests) {
        (Some(_), _) => writeln!(out, "  Using \"time_windows\" mode for stabilization")?,
        (None, Some(count)) if s.one_window => writeln!(out, "  Sending a total of {count} requests")?,
        (None, _) => writeln!(out, "  Using \"count_windows\" mode for stabilization")?,
    }
    match s.percentile {
        None => writeln!(out, "  Stabilizing using average latency and throughput")?,
        Some(p) => writeln!(out, "  Stabilizing using p{p} latency and throughput")?,
    }
    match (s.window_ms, s.window_requests) {
        (Some(ms), _) => writeln!(out, "  Measurement window: {ms} msec")?,
        (None, Some(count)) if !s.one_window => {
            writeln!(out, "  Minimum number of samples in each window: {count}")?;
        }
        _ => {}
    }
    writeln!(out, "  Latency limit: {} msec", s.threshold_ms.unwrap_or(0.0))?;
    match s.load {
        LoadKind::Concurrency => writeln!(out, "  Concurrency limit: {} concurrent requests", s.limit)?,
        kind => {
            writeln!(out, "  Request Rate limit: {} requests per seconds", significant(s.limit))?;
            match kind {
                LoadKind::Recorded => writeln!(out, "  Using recorded intervals on request generation")?,
                LoadKind::PoissonRate => writeln!(out, "  Using poisson distribution on request generation")?,
                _ => writeln!(out, "  Using uniform distribution on request generation")?,
            }
        }
    }
    if report.shared_memory {
        writeln!(out, "  Tensors in system shared memory")?;
    }
    writeln!(out, "  Protocol: {}, {} sending thread{}", report.protocol, s.threads, plural(s.threads))?;
    if let Some(seconds) = report.start_up_s {
        writeln!(out, "  Server start-up: {seconds:.3} sec to its first good answer")?;
    }
    Ok(())
}

fn write_level(out: &mut String, report: &Report, level: &Level) -> fmt::Result {
    let settings = &report.settings;
    match settings.load {
        LoadKind::Concurrency => writeln!(out, "\nRequest concurrency: {}", level.load)?,
        _ => writeln!(out, "\nRequest Rate: {} inference requests per seconds", level.load)?,
    }
    writeln!(out, "  Client: ")?;
    writeln!(out, "    Request count: {}", level.requests)?;
    if level.delayed > 0 {
        writeln!(out, "    Delayed Request Count: {}", level.delayed)?;
    }
    if level.unsent > 0 {
        writeln!(out, "    Unsent Request Count: {}", level.unsent)?;
    }
    writeln!(out, "    Throughput: {} infer/sec", significant(level.throughput))?;
    let latency = &level.latency;
    writeln!(
        out,
        "    Avg latency: {:.0} usec (standard deviation {:.0} usec)",
        latency.avg_us, latency.std_us
    )?;
    let chosen = settings.percentile.filter(|p| !PRINTED.contains(p));
    for p in PRINTED.into_iter().chain(chosen) {
        writeln!(out, "    p{p} latency: {:.0} usec", latency.at(p))?;
    }
    write_stages(out, report, level)?;
    write_errors(out, level)?;
    write_server(out, level)?;
    if let Some(process) = &level.process {
        writeln!(out, "  Server processes: ")?;
        writeln!(
            out,
            "    CPU: {:.1} % of a core, {:.3} msec per request",
            process.cpu_percent, process.cpu_ms_per_request
        )?;
        writeln!(out, "    RSS: {:.1} MiB, peak {:.1} MiB", process.rss_mib, process.rss_peak_mib)?;
    }
    if let Some(metrics) = &level.metrics {
        write_metrics(out, metrics)?;
    }
    write_notes(out, settings, level)
}

fn write_metrics(out: &mut String, metrics: &MetricsFigures) -> fmt::Result {
    writeln!(out, "  Server Prometheus Metrics: ")?;
    if metrics.samples == 0 {
        return writeln!(out, "    They could not be read");
    }
    if metrics.gpus.is_empty() {
        return writeln!(out, "    The server's metrics name no GPU (there is no `nv_gpu_utilization`, …)");
    }
    type Figure = fn(&GpuFigures) -> Option<f64>;
    let blocks: [(&str, Figure, &str); 4] = [
        ("Avg GPU Utilization", |gpu| Some(gpu.utilization? * 100.0), "%"),
        ("Avg GPU Power Usage", |gpu| gpu.power_w, " watts"),
        ("Max GPU Memory Usage", |gpu| gpu.memory_used_bytes, " bytes"),
        ("Total GPU Memory", |gpu| gpu.memory_total_bytes, " bytes"),
    ];
    for (title, figure, unit) in blocks {
        writeln!(out, "    {title}:")?;
        for (uuid, gpu) in &metrics.gpus {
            match figure(gpu) {
                Some(value) if unit == " bytes" => writeln!(out, "      {uuid} : {value:.0}{unit}")?,
                Some(value) => writeln!(out, "      {uuid} : {}{unit}", significant(value))?,
                None => writeln!(out, "      {uuid} : not told")?,
            }
        }
    }
    Ok(())
}

fn write_stages(out: &mut String, report: &Report, level: &Level) -> fmt::Result {
    let (exchange, wait) = (level.send_us + level.receive_us, level.wait_us);
    match report.protocol.as_str() {
        "HTTP" => writeln!(
            out,
            "    Avg HTTP time: {:.0} usec (send/recv {exchange:.0} usec + response wait {wait:.0} usec)",
            exchange + wait
        ),
        "gRPC" | "gRPC stream" => writeln!(out, "    Avg gRPC time: {:.0} usec", exchange + wait),
        _ => Ok(()),
    }
}

fn write_errors(out: &mut String, level: &Level) -> fmt::Result {
    let failed = level.failed();
    if failed > 0 {
        writeln!(out, "    Failed Request Count: {failed}")?;
    }
    for (error, count) in &level.errors {
        writeln!(out, "      {count} × {error}")?;
    }
    if level.unanswered > 0 {
        writeln!(out, "      {} × no answer within 10 s of the end", level.unanswered)?;
    }
    Ok(())
}

fn write_server(out: &mut String, level: &Level) -> fmt::Result {
    let Some(split) = &level.server else { return Ok(()) };
    writeln!(out, "  Server: ")?;
    writeln!(out, "    Inference count: {}", split.inferences)?;
    writeln!(out, "    Execution count: {}", split.executions)?;
    if split.cache_hits > 0 {
        writeln!(out, "    Cache hit count: {}", split.cache_hits)?;
    }
    writeln!(out, "    Successful request count: {}", split.requests)?;
    let us = |ns| split.us(ns);
    let cache = match split.cache_hit_ns + split.cache_miss_ns {
        0 => String::new(),
        _ => format!(
            " + cache hit {} usec + cache miss {} usec",
            us(split.cache_hit_ns),
            us(split.cache_miss_ns)
        ),
    };
    writeln!(
        out,
        "    Avg request latency: {} usec (overhead {} usec + queue {} usec{cache} + compute input {} usec + compute \
         infer {} usec + compute output {} usec)",
        us(split.request_ns),
        split.overhead_us(),
        us(split.queue_ns),
        us(split.input_ns),
        us(split.infer_ns),
        us(split.output_ns)
    )?;
    if split.batches.keys().any(|&size| size > 1) {
        let sizes = split.batches.iter().map(|(size, count)| format!("{count} of {size}"));
        writeln!(out, "    Batches: {}", sizes.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

fn write_notes(out: &mut String, settings: &Settings, level: &Level) -> fmt::Result {
    if level.unsettled(settings) {
        let (seen, percent) = (level.windows, settings.stability_percent);
        let judged = seen.min(crate::stability::WINDOWS);
        writeln!(out, "  Not stable: the last {judged} of {seen} windows do not agree within {percent} %")?;
    }
    if !level.within {
        writeln!(out, "  Beyond the latency limit of {} msec", settings.threshold_ms.unwrap_or(0.0))?;
    }
    // No more threads run than there are requests under way.
    let threads = match settings.load {
        LoadKind::Concurrency => settings.threads.min(level.load as usize).max(1),
        LoadKind::ConstantRate | LoadKind::PoissonRate | LoadKind::Recorded => settings.threads,
    };
    let busy = level.client_cpu_percent / threads as f64;
    if busy > 90.0 {
        writeln!(
            out,
            "  The client used {busy:.0} % of its core{}: it may be what limits the throughput (`--max-threads`)",
            plural(threads)
        )?;
    }
    Ok(())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Six significant digits, as C++'s streams print numbers.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let digits = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
