//! What is read of a real server: its statistics over KServe, its processes over `/proc`.

use std::time::Duration;

use crate::control::Control;
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
    pub processes: Option<ProcessTree>,
    /// Between two looks at its memory.
    pub interval: Duration,
    /// Its memory since the last reading; nothing yet.
    pub memory: Usage,
}

impl ServerProbe {
    fn look(&mut self) -> Option<Taken> {
        let taken = self.processes?.look();
        self.memory += &Usage { cpu: Duration::ZERO, rss_sum: taken.rss, samples: 1, rss_peak: taken.rss };
        Some(taken)
    }
}

impl Probe for ServerProbe {
    async fn read(&mut self) -> Reading {
        let statistics = match &mut self.control {
            Some(control) => control.statistics(self.model.as_deref()).await,
            None => None,
        };
        Reading { statistics, cpu: self.look().map(|taken| taken.cpu), own_cpu: own_cpu() }
    }

    async fn sample(&mut self) {
        if self.processes.is_none() || self.interval.is_zero() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(self.interval).await;
            self.look();
        }
    }

    fn between(&mut self, before: &Reading, after: &Reading) -> Between {
        let mut between = Between::new(before, after);
        let memory = std::mem::take(&mut self.memory);
        if let Some(usage) = &mut between.usage {
            *usage += &memory;
        }
        between
    }
}
