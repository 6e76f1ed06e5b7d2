//! What is read of a real server: its statistics over KServe, its processes over `/proc`, its metrics.

use std::time::Duration;

use crate::control::Control;
use crate::metrics::Metrics;
use crate::process::{ProcessTree, Taken, own_cpu};
use crate::reading::{Between, Probe, Reading, Usage};

/// Reads a server as far as it can be read.
#[derive(Debug, Default)]
pub struct ServerProbe {
    /// Where it is asked.
    pub control: Option<Control>,
    /// Whose statistics are read; all models' where there is none.
    pub model: Option<String>,
    /// Its processes.
    pub processes: Option<Processes>,
    /// Its metrics.
    pub metrics: Option<Metrics>,
}

/// The processes of a server.
#[derive(Debug)]
pub struct Processes {
    tree: ProcessTree,
    /// Between two looks at their memory; zero for none.
    interval: Duration,
    /// Their memory since the last reading.
    memory: Usage,
}

impl Processes {
    /// Looks at the memory of `tree` every `interval`; only between windows where that is zero.
    pub fn new(tree: ProcessTree, interval: Duration) -> Self {
        Self { tree, interval, memory: Usage::default() }
    }

    fn look(&mut self) -> Taken {
        let taken = self.tree.look();
        self.memory += &Usage { cpu: Duration::ZERO, rss_sum: taken.rss, samples: 1, rss_peak: taken.rss };
        taken
    }

    async fn sample(&mut self) {
        while !self.interval.is_zero() {
            tokio::time::sleep(self.interval).await;
            self.look();
        }
    }
}

impl Probe for ServerProbe {
    async fn read(&mut self) -> Reading {
        let statistics = match &mut self.control {
            Some(control) => control.statistics(self.model.as_deref()).await,
            None => None,
        };
        let gpus = match &mut self.metrics {
            Some(metrics) => Some(metrics.take().await),
            None => None,
        };
        let cpu = self.processes.as_mut().map(|processes| processes.look().cpu);
        Reading { statistics, cpu, own_cpu: own_cpu(), gpus }
    }

    async fn sample(&mut self) {
        let Self { processes, metrics, .. } = self;
        let processes = async {
            if let Some(processes) = processes {
                processes.sample().await;
            }
        };
        let metrics = async {
            if let Some(metrics) = metrics {
                metrics.sample().await;
            }
        };
        tokio::join!(processes, metrics, std::future::pending::<()>());
    }

    fn between(&mut self, before: &Reading, after: &Reading) -> Between {
        let mut between = Between::new(before, after);
        let memory = self.processes.as_mut().map(|processes| std::mem::take(&mut processes.memory));
        if let (Some(usage), Some(memory)) = (&mut between.usage, memory) {
            *usage += &memory;
        }
        between
    }
}
