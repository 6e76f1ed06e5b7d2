//! What both front ends of KServe's protocol do the same way, between their wires and the runtime.

pub(crate) mod describe;
pub(crate) mod infer;
pub(crate) mod repository;
pub(crate) mod statistics;
pub(crate) mod trace;

use tintype_core::{Error, ErrorKind, Result};

/// The extensions of the protocol that are there.
pub(crate) fn extensions(shared_memory: crate::ClientSharedMemory) -> Vec<String> {
    let always = [
        "classification",
        "model_repository",
        "model_repository(unload_dependents)",
        "schedule_policy",
        "model_configuration",
        "binary_tensor_data",
        "parameters",
        "statistics",
        "trace",
        "logging",
    ];
    let shared = (shared_memory == crate::ClientSharedMemory::Allowed).then_some("system_shared_memory");
    always.into_iter().chain(shared).map(str::to_owned).collect()
}

/// # Errors
/// `Unsupported`: one runtime has one repository.
pub(crate) fn no_repository_name(name: &str) -> Result<()> {
    match name {
        "" => Ok(()),
        _ => Err(Error::new(ErrorKind::Unsupported, "'repository_name' specification is not supported")),
    }
}

/// Registering memory of a GPU. Asking for it and unregistering it works all the same, as on a Triton without GPUs: there
/// is none.
///
/// # Errors
/// `Unsupported`, always.
pub(crate) fn register_cuda(region: &str) -> Result<()> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("failed to register CUDA shared memory region: '{region}', GPUs not supported"),
    ))
}

/// # Errors
/// `NotFound` for any name.
pub(crate) fn no_cuda_region(name: Option<&str>) -> Result<()> {
    match name {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::NotFound,
            format!("Unable to find cuda shared memory region: '{name}'"),
        )),
    }
}
