//! ONNX Runtime's execution providers: CUDA for sessions on a GPU, TensorRT and OpenVINO where a model asks for them.
//!
//! They are parts of other builds of the library (`onnxruntime-gpu`, `onnxruntime-openvino`), which take the place of the
//! CPU one; nothing here is linked.

use ort::ep::{
    ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProviderDispatch, OpenVINO, TensorRT,
};
use ort::session::builder::SessionBuilder;
use tintype_core::{Error, ErrorKind, Result};

use crate::{Accelerator, Device, SessionOptions};

/// Adds what `options` ask for, the most preferred first.
///
/// # Errors
/// `Unsupported` when the library or the machine lacks one that must be there, with what mends it.
pub(super) fn add(mut builder: SessionBuilder, options: &SessionOptions) -> Result<SessionBuilder> {
    for accelerator in &options.accelerators {
        let provider = provider(accelerator, options.device)?;
        builder = register(builder, provider).map_err(|refused| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the accelerator `{}` is not available: {}", accelerator.name, refused.1),
            )
            .with_hint(
                "remove it from `execution_accelerators`, or put a build of ONNX Runtime with it in place",
            )
        })?;
    }
    let Device::Cuda { id, or_cpu } = options.device else { return Ok(builder) };
    match register(builder, CUDA::default().with_device_id(id).build()) {
        Ok(builder) => Ok(builder),
        Err(refused) if or_cpu => {
            tracing::warn!(gpu = id, reason = refused.1, "no CUDA: the CPU is used instead");
            Ok(refused.0)
        }
        Err(refused) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("GPU {id} was asked for, and CUDA is not available: {}", refused.1),
        )
        .with_hint(
            "the library of `onnxruntime-gpu` adds CUDA; without, `serve --gpu-fallback cpu` and `train device=cpu` \
             use the CPU",
        )),
    }
}

/// Hands the builder back with the reason where the provider is not there.
fn register(
    builder: SessionBuilder,
    provider: ExecutionProviderDispatch,
) -> std::result::Result<SessionBuilder, Box<(SessionBuilder, String)>> {
    builder.with_execution_providers([provider.error_on_failure()]).map_err(|error| {
        let reason = super::error::engine_message(&error);
        Box::new((error.recover(), reason))
    })
}

fn provider(accelerator: &Accelerator, device: Device) -> Result<ExecutionProviderDispatch> {
    let gpu = match device {
        Device::Cuda { id, .. } => Some(id),
        Device::Cpu => None,
    };
    let on_gpu = |what: &str| {
        gpu.ok_or_else(|| {
            let message = format!("the accelerator `{what}` needs an instance on a GPU (`KIND_GPU`)");
            Error::new(ErrorKind::InvalidConfig, message)
        })
    };
    Ok(match accelerator.name.to_ascii_lowercase().as_str() {
        "tensorrt" => {
            let id = on_gpu("tensorrt")?;
            configured(TensorRT::default().with_device_id(id), &accelerator.parameters).build()
        }
        "cuda" => {
            let id = on_gpu("cuda")?;
            configured(CUDA::default().with_device_id(id), &accelerator.parameters).build()
        }
        "openvino" => configured(OpenVINO::default(), &accelerator.parameters).build(),
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("expected the accelerator `tensorrt`, `cuda` or `openvino`, found `{other}`"),
            ));
        }
    })
}

fn configured<P: ArbitrarilyConfigurableExecutionProvider>(
    provider: P,
    parameters: &[(String, String)],
) -> P {
    parameters.iter().fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
}
