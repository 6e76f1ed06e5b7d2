//! Triton's options that mean nothing here: taken, so that scripts written for Triton run, and answered with a warning.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What only Triton has. `trace-config` is among them: tracing is refused where it is asked for, over the network.
const NAMES: &[&str] = &[
    "allow-cpu-metrics",
    "allow-gpu-metrics",
    "allow-sagemaker",
    "allow-vertex-ai",
    "backend-directory",
    "buffer-manager-thread-count",
    "cache-directory",
    "cuda-memory-pool-byte-size",
    "enable-peer-access",
    "grpc-header-forward-pattern",
    "grpc-infer-allocation-pool-size",
    "grpc-infer-thread-count",
    "host-policy",
    "http-header-forward-pattern",
    "http-thread-count",
    "metrics-config",
    "metrics-interval-ms",
    "min-supported-compute-capability",
    "model-load-gpu-limit",
    "model-namespacing",
    "pinned-memory-pool-byte-size",
    "rate-limit",
    "rate-limit-resource",
    "repoagent-directory",
    "reuse-grpc-port",
    "reuse-http-port",
    "sagemaker-port",
    "sagemaker-safe-port-range",
    "sagemaker-thread-count",
    "trace-config",
    "vertex-ai-default-model",
    "vertex-ai-port",
    "vertex-ai-thread-count",
];

/// Those of Triton's options that were given and have no effect.
#[derive(Debug, Clone, Default)]
pub struct ForeignArgs {
    given: Vec<&'static str>,
}

impl ForeignArgs {
    /// Says so.
    pub fn warn(&self) {
        for name in &self.given {
            tracing::warn!("`--{name}` is an option of Triton's that has no effect here");
        }
    }
}

impl Args for ForeignArgs {
    fn augment_args(command: Command) -> Command {
        command.args(NAMES.iter().map(|&name| Arg::new(name).long(name).action(ArgAction::Append).hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ForeignArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = NAMES.iter().copied().filter(|name| matches.contains_id(name));
        Ok(Self { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
