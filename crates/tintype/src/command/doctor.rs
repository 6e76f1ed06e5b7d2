//! `tintype doctor`: what was found on this machine.

use std::process::ExitCode;

use serde_json::{Value, json};
use tintype_engine::{Backend, ort};

/// Options of `tintype doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Prints what was found; fails when models could not be run.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let library = ort::Places::of_process().find();
    let engine = ort::OrtBackend::new();
    let limits = tintype_core::image::Limits::default();
    let findings = json!({
        "tintype": env!("CARGO_PKG_VERSION"),
        "cores": tintype_core::cores(),
        "cpu_features": tintype_engine::cpu_features(),
        "memory_mib": memory_mib(),
        "onnxruntime": match &engine {
            Ok(engine) => json!({ "engine": engine.name(), "library": library.ok() }),
            Err(error) => json!({ "error": error.message(), "hint": error.hint() }),
        },
        "image_limits": {
            "max_bytes": limits.max_bytes,
            "max_pixels": limits.max_pixels,
            "max_memory": limits.max_memory,
        },
        "training": cfg!(feature = "train"),
    });
    if args.json {
        println!("{findings:#}");
    } else {
        print_table("", &findings);
    }
    Ok(if engine.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_table(prefix: &str, value: &Value) {
    for (key, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => print_table(&format!("{prefix}{key}."), value),
            Value::String(text) => println!("{:<28}{text}", format!("{prefix}{key}")),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                println!("{:<28}{}", format!("{prefix}{key}"), items.join(" "));
            }
            other => println!("{:<28}{other}", format!("{prefix}{key}")),
        }
    }
}

/// What this process may use: the machine's memory, or its control group's limit where that is lower.
fn memory_mib() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse::<u64>().ok()).map(|bytes| bytes >> 20);
    machine.into_iter().chain(group).min()
}
