//! Runs a preprocessing outside of a server, to measure it and to compare its pixels with Pillow's.
//!
//! ```text
//! prepare SPEC.toml dump OUT < LIST     for each file of the list: a line `path<TAB>ok HxWxC` or `path<TAB>kind message`
//!                                       to stdout, the prepared 8-bit pixels appended to OUT
//! prepare SPEC.toml time FILE SECONDS   decode-to-tensor into one slot, again and again: median and best wall ms, and
//!                                       on Linux the mean CPU ms, which a busy machine disturbs less
//! ```
//!
//! `scripts/compare_pixels.py` calls both.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, ModelSpec, Plan, Result, Scratch, image::Limits};

#[expect(clippy::print_stderr, reason = "a command-line tool")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let [spec, command, rest @ ..] = arguments else { return Err(usage()) };
    let spec = std::fs::read_to_string(spec).map_err(|e| Error::io(spec.as_ref(), e))?;
    let spec = ModelSpec::from_toml(&spec)?.preprocess.ok_or_else(usage)?;
    let plan = Plan::new(spec, Limits::default())?;
    match (command.as_str(), rest) {
        ("dump", [out]) => dump(&plan, out),
        ("time", [file, seconds]) => time(&plan, file, seconds.parse().map_err(|_| usage())?),
        _ => Err(usage()),
    }
}

fn usage() -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        "expected `SPEC.toml dump OUT < LIST` or `SPEC.toml time FILE SECONDS`",
    )
}

#[expect(clippy::print_stdout, reason = "a command-line tool")]
fn dump(plan: &Plan, out: &str) -> Result<()> {
    let failed = |e| Error::io(out.as_ref(), e);
    let mut file = std::io::BufWriter::new(std::fs::File::create(out).map_err(failed)?);
    let mut scratch = Scratch::new();
    for path in std::io::stdin().lock().lines() {
        let path = path.map_err(failed)?;
        let pixels = std::fs::read(&path)
            .map_err(|e| Error::io(path.as_ref(), e))
            .and_then(|bytes| plan.pixels(&bytes, &mut scratch));
        match pixels {
            Ok(pixels) => {
                let shape: Vec<String> = pixels.shape().iter().map(ToString::to_string).collect();
                println!("{path}\tok {}", shape.join("x"));
                file.write_all(pixels.values::<u8>()?).map_err(failed)?;
            }
            Err(error) => println!("{path}\t{} {error}", error.kind().as_str()),
        }
    }
    file.flush().map_err(failed)
}

#[expect(clippy::print_stdout, reason = "a command-line tool")]
fn time(plan: &Plan, path: &str, seconds: f64) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path.as_ref(), e))?;
    let mut scratch = Scratch::new();
    let mut tensor = plan.prepare(&bytes, &mut scratch)?;
    let slot = tensor.values_mut::<f32>()?;
    let (start, cpu, mut taken) = (Instant::now(), cpu_ms(), Vec::new());
    while start.elapsed() < Duration::from_secs_f64(seconds) || taken.len() < 3 {
        let begin = Instant::now();
        plan.prepare_into(&bytes, &mut scratch, slot.into())?;
        taken.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = cpu_ms().zip(cpu).map(|(end, start)| (end - start) / taken.len() as f64);
    taken.sort_by(f64::total_cmp);
    println!(
        "median {:.4} best {:.4} cpu {:.4} ms over {}",
        taken[taken.len() / 2],
        taken[0],
        cpu.unwrap_or(f64::NAN),
        taken.len()
    );
    Ok(())
}

/// Milliseconds that this thread has been on a processor.
fn cpu_ms() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|ns| ns / 1e6)
}
