//! The GPUs of a server, by its Prometheus metrics: Triton's `nv_gpu_*`, which perf_analyzer looks at too.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use tintype_core::{Error, ErrorKind, Result};

use crate::target::Target;
use crate::transport::http::{Connection, refusal};

/// How long an answer may take where nothing else is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where metrics are read, and what was read since the last reading.
#[derive(Debug)]
pub struct Metrics {
    target: Target,
    interval: Duration,
    seen: Gpus,
}

impl Metrics {
    /// Reads them at `url` every `interval` from now on; once now, and not counted.
    ///
    /// # Errors
    /// `InvalidArgument` for another address than HTTP's; `Io` when nobody is there; `NotFound` when there are no metrics.
    pub async fn open(url: &str, interval: Duration) -> Result<Self> {
        let mut target: Target = url.parse()?;
        if target.path.is_empty() {
            "/metrics".clone_into(&mut target.path);
        }
        let metrics = Self { target, interval, seen: Gpus::default() };
        let answer = tokio::time::timeout(PATIENCE, metrics.read()).await;
        answer.map_err(|_| {
            let message = format!("`{}`: no answer within {PATIENCE:?}", metrics.target);
            Error::new(ErrorKind::DeadlineExceeded, message)
        })??;
        Ok(metrics)
    }

    async fn read(&self) -> Result<Gpus> {
        // A connection each: one that is given up half way is of no use afterwards.
        let Target { authority, path } = &self.target;
        let (status, body) = Connection::open(authority).await?.exchange(authority, path, None).await?;
        if !status.is_success() {
            let message = format!("`{}`: {}", self.target, refusal(status, &body));
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(Gpus::parse(&String::from_utf8_lossy(&body)))
    }

    async fn look(&mut self) {
        match self.read().await {
            Ok(gpus) => self.seen += &gpus,
            Err(_) => self.seen.failed += 1,
        }
    }

    /// Looks now and then; never resolves.
    pub(crate) async fn sample(&mut self) {
        loop {
            self.look().await;
            tokio::time::sleep(self.interval).await;
        }
    }

    /// What was seen since the last time; looks now where that is nothing.
    pub(crate) async fn take(&mut self) -> Gpus {
        if self.seen.samples == 0 && tokio::time::timeout(PATIENCE, self.look()).await.is_err() {
            self.seen.failed += 1;
        }
        std::mem::take(&mut self.seen)
    }
}

/// What was seen of GPUs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gpus {
    /// How often metrics were read.
    pub samples: u64,
    /// How often they could not be.
    pub failed: u64,
    /// By the GPU's UUID.
    pub by_uuid: BTreeMap<String, Gpu>,
}

/// What was seen of one GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gpu {
    /// Shares of the time that it was busy, 0 to 1.
    pub utilization: Mean,
    /// Watts.
    pub power: Mean,
    /// The most bytes of its memory that were used.
    pub memory_used: Option<f64>,
    /// The bytes of its memory.
    pub memory_total: Option<f64>,
}

/// A sum, and of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// The mean; `None` of nothing.
    pub fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Gpus {
    /// Reads one answer in Prometheus's text format.
    fn parse(text: &str) -> Self {
        let mut found = Self { samples: 1, ..Self::default() };
        for line in text.lines() {
            let Some((name, uuid, value)) = gpu_sample(line) else { continue };
            let mean = Mean { sum: value, count: 1 };
            let of = |gpu: &mut Gpu| match name {
                "nv_gpu_utilization" => gpu.utilization = mean,
                "nv_gpu_power_usage" => gpu.power = mean,
                "nv_gpu_memory_used_bytes" => gpu.memory_used = Some(value),
                _ => gpu.memory_total = Some(value),
            };
            of(found.by_uuid.entry(uuid.to_owned()).or_default());
        }
        found
    }
}

/// The metrics that are read.
const NAMES: [&str; 4] =
    ["nv_gpu_utilization", "nv_gpu_power_usage", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"];

/// Name, GPU and value of a line such as `nv_gpu_utilization{gpu_uuid="GPU-…"} 0.37`, where it is one.
fn gpu_sample(line: &str) -> Option<(&'static str, &str, f64)> {
    let (name, rest) = line.split_once('{')?;
    let name = NAMES.into_iter().find(|&known| known == name)?;
    let (labels, value) = rest.rsplit_once('}')?;
    let (_, uuid) = labels.split_once("gpu_uuid=\"")?;
    // A time may follow the value.
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some((name, uuid.split_once('"')?.0, value))
}

impl AddAssign<&Gpus> for Gpus {
    fn add_assign(&mut self, other: &Gpus) {
        self.samples += other.samples;
        self.failed += other.failed;
        for (uuid, gpu) in &other.by_uuid {
            let all = self.by_uuid.entry(uuid.clone()).or_default();
            for (mean, more) in [(&mut all.utilization, gpu.utilization), (&mut all.power, gpu.power)] {
                mean.sum += more.sum;
                mean.count += more.count;
            }
            all.memory_used = all.memory_used.into_iter().chain(gpu.memory_used).reduce(f64::max);
            all.memory_total = all.memory_total.or(gpu.memory_total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a Triton server, and of tintype's.
    fn answer(utilization: f64, used: f64) -> String {
        format!(
            "# HELP nv_gpu_utilization GPU utilization rate [0.0 - 1.0)\n# TYPE nv_gpu_utilization gauge\n\
             nv_gpu_utilization{{gpu_uuid=\"GPU-a\"}} {utilization}\n\
             nv_gpu_power_usage{{gpu_uuid=\"GPU-a\"}} 35.25 1700000000000\n\
             nv_gpu_memory_used_bytes{{gpu_uuid=\"GPU-a\"}} {used}\n\
             nv_gpu_memory_total_bytes{{gpu_uuid=\"GPU-a\"}} 8589934592.000000\n\
             nv_gpu_utilization{{node=\"n\",gpu_uuid=\"GPU-b\"}} 0\n\
             nv_inference_count{{model=\"m\",version=\"1\"}} 7\nnv_energy_consumption{{gpu_uuid=\"GPU-c\"}} 9\n"
        )
    }

    #[test]
    fn gpus_are_found_among_the_metrics() {
        let mut gpus = Gpus::parse(&answer(0.25, 2e9));
        gpus += &Gpus::parse(&answer(0.75, 1e9));
        assert_eq!((gpus.samples, gpus.by_uuid.len()), (2, 2), "{gpus:?}");
        let a = gpus.by_uuid["GPU-a"];
        assert_eq!((a.utilization.value(), a.power.value()), (Some(0.5), Some(35.25)));
        assert_eq!((a.memory_used, a.memory_total), (Some(2e9), Some(8_589_934_592.0)), "the most, and all");
        let b = gpus.by_uuid["GPU-b"];
        assert_eq!((b.utilization.value(), b.power.value(), b.memory_used), (Some(0.0), None, None));
    }

    #[test]
    fn lines_of_other_things_are_none() {
        for line in
            ["", "nv_gpu_utilization 1", "nv_gpu_utilization{gpu_uuid=\"a\"} much", "nv_gpu_utilization{} 1"]
        {
            assert_eq!(gpu_sample(line), None, "{line}");
        }
    }
}
