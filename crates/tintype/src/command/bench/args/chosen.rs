//! What was typed, checked, in the terms of `tintype-bench`.

use std::time::Duration;

use tintype_api::kserve::Form;
use tintype_api::kserve::ask::InputForm;
use tintype_bench::arrivals::{Distribution, Intervals};
use tintype_bench::input::{Fill, TensorOptions};
use tintype_bench::measure::{Metric, Rules, WindowRule};
use tintype_bench::profile::{Loads, Profile, Search};
use tintype_bench::service::Service;
use tintype_bench::tally::Keep;
use tintype_core::{Error, ErrorKind, Result};

use super::{
    MeasureArgs, MeasurementMode, Protocol, RequestDistribution, ServiceKind, SharedMemoryKind, TensorFormat,
    invalid,
};

impl MeasureArgs {
    /// What is measured.
    pub(in crate::command::bench) fn profile(&self) -> Result<Profile> {
        let window = match (self.request_count, self.measurement_mode) {
            (count @ 1.., _) => WindowRule::All(count),
            (0, MeasurementMode::Time) => WindowRule::Time(Duration::from_millis(self.measurement_interval)),
            (0, MeasurementMode::Count) => WindowRule::Count(self.measurement_request_count),
        };
        let metric = match self.percentile {
            -1.0 => Metric::Mean,
            p if p > 0.0 && p < 100.0 => Metric::Percentile(p),
            p => {
                return Err(invalid(format!(
                    "`--percentile`: expected a number within 0 and 100, found {p}"
                )));
            }
        };
        let threshold = self
            .latency_threshold
            .filter(|&ms| ms != 0.0)
            .map(|ms| Duration::try_from_secs_f64(ms / 1e3))
            .transpose();
        let threshold = threshold.map_err(|e| invalid(format!("`--latency-threshold`: {e}")))?;
        if self.stability_percentage.is_nan() || self.stability_percentage <= 0.0 {
            return Err(invalid("`--stability-percentage`: expected a number above 0"));
        }
        self.check_transport()?;
        Ok(Profile {
            loads: self.loads()?,
            search: if self.binary_search { Search::Binary } else { Search::Linear },
            rules: Rules {
                window,
                warm_up: self.warmup_request_count,
                stability_percent: self.stability_percentage,
                metric,
                max_trials: self.max_trials as usize,
                threshold,
            },
            threads: self.max_threads as usize,
            batch_size: self.batch_size as usize,
            keep: if self.profile_export_file.is_some() { Keep::Exchanges } else { Keep::Figures },
        })
    }

    /// Refuses what no server of any kind would be asked.
    fn check_transport(&self) -> Result<()> {
        if self.shared_memory == SharedMemoryKind::Cuda {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "`--shared-memory cuda`: memory of GPUs is not supported, only `system`",
            ));
        }
        if self.streaming && self.protocol != Protocol::Grpc {
            return Err(invalid("`--streaming` is of gRPC").with_hint("add `-i grpc`"));
        }
        let json = [self.input_tensor_format, self.output_tensor_format].contains(&TensorFormat::Json);
        if json && self.protocol == Protocol::Grpc {
            return Err(invalid("tensors go over gRPC as bytes: `json` is for HTTP"));
        }
        Ok(())
    }

    /// Whether tensors go through system shared memory.
    pub(in crate::command::bench) fn shares_memory(&self) -> bool {
        self.shared_memory == SharedMemoryKind::System
    }

    fn loads(&self) -> Result<Loads> {
        if let Some(path) = &self.request_intervals {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
            let intervals = Intervals::parse(&text);
            let intervals = intervals.map_err(|e| e.context(format!("`{}`", path.display())))?;
            return Ok(Loads::Replay { intervals, most_outstanding: self.max_outstanding as usize });
        }
        if let Some(range) = self.request_rate_range {
            let distribution = match self.request_distribution {
                RequestDistribution::Constant => Distribution::Constant,
                RequestDistribution::Poisson => Distribution::Poisson,
            };
            let (seed, most_outstanding) = (self.random_seed, self.max_outstanding as usize);
            return Ok(Loads::Rate { range, distribution, seed, most_outstanding });
        }
        let range = self.concurrency_range.map_or_else(|| "1".parse(), Ok)?;
        if !range.is_whole() {
            return Err(invalid("`--concurrency-range`: expected whole numbers"));
        }
        Ok(Loads::Concurrency(range))
    }

    /// How tensors are made.
    pub(in crate::command::bench) fn tensors(&self) -> TensorOptions {
        let outputs = match self.output_tensor_format {
            TensorFormat::Binary => Form::Binary,
            TensorFormat::Json => Form::Json,
        };
        TensorOptions { batch_size: self.batch_size as usize, shapes: self.shape.clone(), outputs }
    }

    /// How tensors go over HTTP.
    pub(in crate::command::bench) fn input_form(&self) -> InputForm {
        match self.input_tensor_format {
            TensorFormat::Binary => InputForm::Binary,
            TensorFormat::Json => InputForm::Json,
        }
    }

    /// What drawn tensors are filled with.
    pub(in crate::command::bench) fn fill(&self) -> Fill {
        match &self.string_data {
            Some(text) => Fill::Text(text.clone()),
            None => Fill::Random { seed: self.random_seed, string_length: self.string_length },
        }
    }

    /// Refuses what is said of tensors where none are sent: throughput would count a batch's rows all the same.
    pub(in crate::command::bench) fn check_tensors(&self, service: Service) -> Result<()> {
        let said = [(self.batch_size > 1, "-b"), (self.shares_memory(), "--shared-memory")];
        match said.into_iter().find(|(said, _)| *said && service != Service::Triton) {
            None => Ok(()),
            Some((_, option)) => Err(invalid(format!(
                "`{option}` is of tensors, which only servers of the kind `triton` take"
            ))),
        }
    }

    /// The kind of the server: what was said, or KServe where a model is named.
    pub(in crate::command::bench) fn service(&self) -> Service {
        match self.service_kind {
            Some(ServiceKind::Tintype) => Service::Tintype,
            Some(ServiceKind::Triton) => Service::Triton,
            Some(ServiceKind::TorchServe) => Service::TorchServe,
            Some(ServiceKind::LitServe) => Service::LitServe,
            Some(ServiceKind::ModelServing) => Service::ModelServing,
            None if self.model_name.is_none() && self.protocol == Protocol::Http => Service::Tintype,
            None => Service::Triton,
        }
    }
}
