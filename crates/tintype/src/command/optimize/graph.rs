//! `tintype optimize`: the model's graph optimised for this machine ahead of time, so that it loads in a fraction of the time
//! and its weights are mapped. The model itself stays as it is; whoever loads it finds the result in tintype's cache.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tintype_core::Package;
use tintype_core::package::ArchiveLimits;
use tintype_engine::ort::{Optimized, OrtBackend};

/// Optimises the graph, keeps the result and says what it is good for.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub fn run(path: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let package = Package::open(path, &ArchiveLimits::default())?;
    let made = OrtBackend::new()?.optimize(&package.model)?;
    let Optimized { folder, bytes, difference, load_before, load_after } = &made;
    if as_json {
        let answer = json!({
            "model": package.name,
            "kept_in": folder,
            "bytes": bytes,
            "largest_difference": difference,
            "load_before_s": load_before.as_secs_f64(),
            "load_after_s": load_after.as_secs_f64(),
        });
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("model               {}", package.name);
    println!("kept in             {}", folder.display());
    println!("size                {:.1} MB", *bytes as f64 / 1e6);
    println!(
        "loading             {:.0} ms, {:.0} ms before",
        load_after.as_secs_f64() * 1e3,
        load_before.as_secs_f64() * 1e3
    );
    println!(
        "largest difference  {}",
        match difference {
            Some(difference) => format!("{difference:.1e} of the largest output"),
            None => "not looked at: an input's size is not known".to_owned(),
        }
    );
    Ok(ExitCode::SUCCESS)
}
