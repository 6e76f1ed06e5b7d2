//! What was seen of the server beside its answers and its statistics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::{Gpu, Gpus};

/// What the server's processes took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProcessFigures {
    /// Percent of one core.
    pub cpu_percent: f64,
    /// CPU time for a request, in milliseconds.
    pub cpu_ms_per_request: f64,
    /// Resident memory in MiB, the mean of the samples.
    pub rss_mib: f64,
    /// The largest sample.
    pub rss_peak_mib: f64,
}

/// What a server's metrics say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsFigures {
    /// How often they were read.
    pub samples: u64,
    /// How often they could not be.
    pub failed: u64,
    /// The GPUs that they name, by UUID.
    pub gpus: BTreeMap<String, GpuFigures>,
}

/// What a server's metrics say of a GPU; `None` where they do not say it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GpuFigures {
    /// The share of the time that it was busy, 0 to 1; the mean.
    pub utilization: Option<f64>,
    /// Watts; the mean.
    pub power_w: Option<f64>,
    /// The most bytes of its memory that were used.
    pub memory_used_bytes: Option<f64>,
    /// The bytes of its memory.
    pub memory_total_bytes: Option<f64>,
}

impl From<&Gpus> for MetricsFigures {
    fn from(gpus: &Gpus) -> Self {
        let figures = |(uuid, gpu): (&String, &Gpu)| {
            let figures = GpuFigures {
                utilization: gpu.utilization.value(),
                power_w: gpu.power.value(),
                memory_used_bytes: gpu.memory_used,
                memory_total_bytes: gpu.memory_total,
            };
            (uuid.clone(), figures)
        };
        let by_uuid = gpus.by_uuid.iter().map(figures).collect();
        Self { samples: gpus.samples, failed: gpus.failed, gpus: by_uuid }
    }
}
