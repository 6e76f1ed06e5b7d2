//! The GPUs' load, under Triton's names: `nv_gpu_*` and `nv_energy_consumption`, as NVML tells it.
//!
//! NVML is looked for at the first reading and loaded at run time; where there is none, nothing is written. All GPUs of
//! the machine are told, whichever of them run models.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

use nvml_wrapper::{Device, Nvml};

use super::head;

/// NVML, once it was looked for.
#[derive(Debug, Default)]
pub(crate) struct Gpus {
    nvml: OnceLock<Option<Nvml>>,
    /// What each GPU had consumed at the first reading, in millijoules, by its UUID.
    first: Mutex<BTreeMap<String, u64>>,
}

/// A GPU at one moment. What it does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Reading {
    uuid: String,
    /// In percent.
    utilization: Option<u32>,
    /// In bytes.
    memory_total: Option<u64>,
    memory_used: Option<u64>,
    /// In milliwatts.
    power_usage: Option<u32>,
    power_limit: Option<u32>,
    /// In millijoules.
    energy: Option<u64>,
}

impl Gpus {
    /// Reads all GPUs and writes what they tell. May take milliseconds for each.
    pub(crate) fn write(&self, out: &mut String) -> std::fmt::Result {
        let Some(nvml) = self.nvml.get_or_init(open) else { return Ok(()) };
        let count = nvml.device_count().unwrap_or(0);
        let mut readings: Vec<Reading> =
            (0..count).filter_map(|index| read(&nvml.device_by_index(index).ok()?)).collect();
        since_first(&mut self.first.lock().unwrap_or_else(PoisonError::into_inner), &mut readings);
        write(&readings, out)
    }
}

fn open() -> Option<Nvml> {
    Nvml::init().inspect_err(|error| tracing::debug!(%error, "no metrics of GPUs")).ok()
}

fn read(device: &Device<'_>) -> Option<Reading> {
    let memory = device.memory_info().ok();
    Some(Reading {
        uuid: device.uuid().ok()?,
        utilization: device.utilization_rates().ok().map(|rates| rates.gpu),
        memory_total: memory.as_ref().map(|memory| memory.total),
        memory_used: memory.as_ref().map(|memory| memory.used),
        power_usage: device.power_usage().ok(),
        power_limit: device.power_management_limit().ok(),
        energy: device.total_energy_consumption().ok(),
    })
}

/// NVML counts energy since the driver was loaded; here it is counted since the first reading.
fn since_first(first: &mut BTreeMap<String, u64>, readings: &mut [Reading]) {
    for reading in readings {
        if let Some(energy) = &mut reading.energy {
            *energy = energy.saturating_sub(*first.entry(reading.uuid.clone()).or_insert(*energy));
        }
    }
}

fn write(readings: &[Reading], out: &mut String) -> std::fmt::Result {
    type Read = fn(&Reading) -> Option<f64>;
    const METRICS: [(&str, &str, &str, Read); 6] = [
        ("nv_gpu_utilization", "gauge", "GPU utilization rate [0.0 - 1.0)", |r| {
            r.utilization.map(|percent| f64::from(percent) / 100.0)
        }),
        ("nv_gpu_memory_total_bytes", "gauge", "GPU total memory, in bytes", |r| {
            r.memory_total.map(|bytes| bytes as f64)
        }),
        ("nv_gpu_memory_used_bytes", "gauge", "GPU used memory, in bytes", |r| {
            r.memory_used.map(|bytes| bytes as f64)
        }),
        ("nv_gpu_power_usage", "gauge", "GPU power usage in watts", |r| {
            r.power_usage.map(|milliwatts| f64::from(milliwatts) / 1000.0)
        }),
        ("nv_gpu_power_limit", "gauge", "GPU power management limit in watts", |r| {
            r.power_limit.map(|milliwatts| f64::from(milliwatts) / 1000.0)
        }),
        (
            "nv_energy_consumption",
            "counter",
            "GPU energy consumption in joules since metrics were first read",
            |r| r.energy.map(|millijoules| millijoules as f64 / 1000.0),
        ),
    ];
    for (name, kind, help, value) in METRICS {
        let mut told = readings.iter().filter_map(|r| Some((&r.uuid, value(r)?))).peekable();
        if told.peek().is_some() {
            head(out, name, help, kind)?;
        }
        for (uuid, value) in told {
            writeln!(out, "{name}{{gpu_uuid=\"{uuid}\"}} {value}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_written_in_triton_s_units() {
        let full = Reading {
            uuid: "GPU-a".to_owned(),
            utilization: Some(37),
            memory_total: Some(8 << 30),
            memory_used: Some(1 << 20),
            power_usage: Some(61_500),
            power_limit: Some(300_000),
            energy: Some(2_500),
        };
        let silent = Reading { uuid: "GPU-b".to_owned(), memory_total: Some(4096), ..Reading::default() };
        let mut text = String::new();
        write(&[full, silent], &mut text).unwrap();
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "nv_gpu_utilization{gpu_uuid=\"GPU-a\"} 0.37",
            "nv_gpu_memory_total_bytes{gpu_uuid=\"GPU-a\"} 8589934592",
            "nv_gpu_memory_total_bytes{gpu_uuid=\"GPU-b\"} 4096",
            "nv_gpu_memory_used_bytes{gpu_uuid=\"GPU-a\"} 1048576",
            "nv_gpu_power_usage{gpu_uuid=\"GPU-a\"} 61.5",
            "nv_gpu_power_limit{gpu_uuid=\"GPU-a\"} 300",
            "nv_energy_consumption{gpu_uuid=\"GPU-a\"} 2.5",
        ];
        assert_eq!(values, expected);
        assert!(text.contains("# TYPE nv_energy_consumption counter\n"), "{text}");
    }

    #[test]
    fn no_gpu_is_nothing_to_tell() {
        let mut text = String::new();
        write(&[], &mut text).unwrap();
        assert_eq!(text, "");
    }

    #[test]
    fn energy_is_counted_since_the_first_reading() {
        let mut first = BTreeMap::new();
        let mut energies = |a, b| {
            let reading =
                |uuid: &str, energy| Reading { uuid: uuid.to_owned(), energy, ..Reading::default() };
            let mut readings = [reading("a", a), reading("b", b)];
            since_first(&mut first, &mut readings);
            readings.map(|reading| reading.energy)
        };
        assert_eq!(energies(Some(1000), None), [Some(0), None]);
        assert_eq!(energies(Some(1700), Some(50)), [Some(700), Some(0)]);
        assert_eq!(energies(Some(3), Some(60)), [Some(0), Some(10)], "a driver that was loaded again");
    }
}
