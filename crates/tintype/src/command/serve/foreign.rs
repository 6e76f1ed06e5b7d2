//! Triton's options that mean nothing here: taken, so that scripts written for Triton run, and answered with a warning.
//! Those that would change what a client gets are refused instead.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use tintype_core::{Error, ErrorKind, Result};

/// What only Triton has, and asks for what is not done here.
const REFUSED: &[(&str, &str)] = &[
    (
        "grpc-header-forward-pattern",
        "it makes parameters of a request's metadata, and no model here reads a request's parameters",
    ),
    (
        "http-header-forward-pattern",
        "it makes parameters of a request's headers, and no model here reads a request's parameters",
    ),
    ("grpc-root-cert", NO_TLS),
    ("grpc-server-cert", NO_TLS),
    ("grpc-server-key", NO_TLS),
    ("grpc-use-ssl", NO_TLS),
    ("grpc-use-ssl-mutual", NO_TLS),
    ("response-cache-byte-size", "it is the old form of `--cache-config local,size=<bytes>`"),
    ("trace-count", "it is the old form of `--trace-config count=<number>`"),
    ("trace-file", "it is the old form of `--trace-config triton,file=<file>`"),
    ("trace-level", "it is the old form of `--trace-config level=<level>`"),
    ("trace-log-frequency", "it is the old form of `--trace-config triton,log-frequency=<number>`"),
    ("trace-rate", "it is the old form of `--trace-config rate=<number>`"),
];

const NO_TLS: &str = "connections are not encrypted here, which is left to a proxy before the server";

/// What only Triton has.
const NAMES: &[&str] = &[
    "allow-sagemaker",
    "allow-vertex-ai",
    "backend-directory",
    "buffer-manager-thread-count",
    "cache-directory",
    "cuda-memory-pool-byte-size",
    "cuda-virtual-address-size",
    "enable-peer-access",
    "grpc-http2-max-pings-without-data",
    "grpc-http2-min-recv-ping-interval-without-data",
    "grpc-infer-allocation-pool-size",
    "grpc-infer-thread-count",
    "grpc-keepalive-permit-without-calls",
    "grpc-keepalive-time",
    "grpc-keepalive-timeout",
    "grpc-max-connection-age",
    "grpc-max-connection-age-grace",
    "grpc-max-response-pool-size",
    "host-policy",
    "http-thread-count",
    "metrics-interval-ms",
    "min-supported-compute-capability",
    "model-load-gpu-limit",
    "model-load-retry-count",
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
    "vertex-ai-default-model",
    "vertex-ai-port",
    "vertex-ai-thread-count",
];

/// Those of Triton's options that were given and have no effect.
#[derive(Debug, Clone, Default)]
pub struct ForeignArgs {
    given: Vec<&'static str>,
    refused: Option<&'static (&'static str, &'static str)>,
}

impl ForeignArgs {
    /// Says so.
    ///
    /// # Errors
    /// `Unsupported` for those that would change answers.
    pub fn check(&self) -> Result<()> {
        if let Some((name, why)) = self.refused {
            return Err(Error::new(ErrorKind::Unsupported, format!("`--{name}` is not supported: {why}")));
        }
        for name in &self.given {
            tracing::warn!("`--{name}` is an option of Triton's that has no effect here");
        }
        Ok(())
    }
}

impl Args for ForeignArgs {
    fn augment_args(command: Command) -> Command {
        let names = NAMES.iter().copied().chain(REFUSED.iter().map(|(name, _)| *name));
        command.args(names.map(|name| Arg::new(name).long(name).action(ArgAction::Append).hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ForeignArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = NAMES.iter().copied().filter(|name| matches.contains_id(name));
        let refused = REFUSED.iter().find(|(name, _)| matches.contains_id(name));
        Ok(Self { given: given.collect(), refused })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
