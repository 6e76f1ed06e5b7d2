//! The machine's load, under Triton's names: `nv_cpu_*`. Read where Linux keeps it; absent elsewhere.

use std::fmt::Write;
use std::fs::read_to_string;
use std::sync::{Mutex, PoisonError};

use super::head;

/// Remembers the last look, since the processors count up from the start.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    last: Mutex<Option<Ticks>>,
}

/// What all processors have done since the start, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Machine {
    /// Writes utilisation (0 to 1, since the last call), memory in all and in use, in bytes.
    pub(crate) fn write(&self, out: &mut String) -> std::fmt::Result {
        if let Some(now) = read_to_string("/proc/stat").ok().as_deref().and_then(ticks) {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
            let last = last.unwrap_or(Ticks { busy: 0, all: 0 });
            let (busy, all) = (now.busy.saturating_sub(last.busy), now.all.saturating_sub(last.all));
            let share = busy as f64 / all.max(1) as f64;
            gauge(out, "nv_cpu_utilization", "CPU utilization rate [0.0 - 1.0]", share)?;
        }
        if let Some((total, available)) = read_to_string("/proc/meminfo").ok().as_deref().and_then(memory) {
            gauge(out, "nv_cpu_memory_total_bytes", "CPU total memory (RAM), in bytes", total as f64)?;
            let used = total.saturating_sub(available);
            gauge(out, "nv_cpu_memory_used_bytes", "CPU used memory (RAM), in bytes", used as f64)?;
        }
        Ok(())
    }
}

fn gauge(out: &mut String, name: &str, help: &str, value: f64) -> std::fmt::Result {
    head(out, name, help, "gauge")?;
    writeln!(out, "{name} {value}")
}

/// The line `cpu` of `/proc/stat`: user, nice, system, idle, iowait, and more that is work.
fn ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    // The last two, for guests, are in the first two already.
    let all = fields.iter().take(8).sum();
    let idle = fields.get(3)? + fields.get(4)?;
    Some(Ticks { busy: u64::saturating_sub(all, idle), all })
}

/// Bytes in all and available, of `/proc/meminfo`.
fn memory(meminfo: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    };
    Some((field("MemTotal:")?, field("MemAvailable:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read() {
        let stat = "cpu  100 20 30 800 50 0 0 0 7 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(ticks(stat), Some(Ticks { busy: 150, all: 1000 }));
        let meminfo = "MemTotal:       1000 kB\nMemFree: 10 kB\nMemAvailable:    400 kB\n";
        assert_eq!(memory(meminfo), Some((1_024_000, 409_600)));
        assert_eq!((ticks("nothing"), memory("nothing")), (None, None));
    }

    #[test]
    fn utilisation_is_a_share() {
        let machine = Machine::default();
        for _ in 0..2 {
            let mut text = String::new();
            machine.write(&mut text).unwrap();
            if let Some(line) = text.lines().find(|line| line.starts_with("nv_cpu_utilization")) {
                let share: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
                assert!((0.0..=1.0).contains(&share), "{line}");
            }
        }
    }
}
