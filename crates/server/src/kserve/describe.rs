//! What a model's configuration says to the protocol.

use tintype_api::kserve::generate::InputSpec;
use tintype_api::kserve::raw::Shape;
use tintype_api::kserve::{ModelMetadata, ServerMetadata, TensorMetadata};
use tintype_core::triton::proto::DataType;
use tintype_core::{DType, Error, ErrorKind, Result};
use tintype_runtime::Description;

use crate::app::App;
use crate::kserve::extensions;

/// What the server says of itself.
pub(crate) fn server(app: &App) -> ServerMetadata {
    ServerMetadata {
        name: app.config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: extensions(app.config.client_shared_memory),
    }
}

/// What a model says of itself.
pub(crate) fn model(description: &Description) -> ModelMetadata {
    let config = &description.config;
    let batched = config.max_batch_size > 0;
    let tensor = |name: &str, data_type: i32, dims: &[i64]| TensorMetadata {
        name: name.to_owned(),
        datatype: known(data_type).map_or("INVALID", DType::kserve).to_owned(),
        shape: batched.then_some(-1).into_iter().chain(dims.iter().copied()).collect(),
    };
    let platform = if config.platform.is_empty() { &config.backend } else { &config.platform };
    ModelMetadata {
        name: description.name.clone(),
        versions: description.versions.iter().map(u64::to_string).collect(),
        platform: platform.clone(),
        inputs: config.input.iter().map(|input| tensor(&input.name, input.data_type, &input.dims)).collect(),
        outputs: config
            .output
            .iter()
            .map(|output| tensor(&output.name, output.data_type, &output.dims))
            .collect(),
    }
}

/// What a bare body must be.
///
/// # Errors
/// `Internal` for a configuration without types, which no loaded model has.
pub(crate) fn raw_inputs(description: &Description) -> Result<Vec<Shape>> {
    let config = &description.config;
    let inputs = config.input.iter().map(|input| {
        Ok(Shape {
            name: input.name.clone(),
            dtype: dtype(input.data_type)?,
            dims: input.dims.clone(),
            batched: config.max_batch_size > 0,
            images: description.takes_images(),
        })
    });
    inputs.collect()
}

/// What the members of a generate request may be.
///
/// # Errors
/// As [`raw_inputs`].
pub(crate) fn named_inputs(description: &Description) -> Result<Vec<InputSpec>> {
    let batched = description.config.max_batch_size > 0;
    let inputs = description
        .config
        .input
        .iter()
        .map(|input| Ok(InputSpec { name: input.name.clone(), dtype: dtype(input.data_type)?, batched }));
    inputs.collect()
}

fn dtype(data_type: i32) -> Result<DType> {
    known(data_type).ok_or_else(|| {
        Error::new(ErrorKind::Internal, format!("the configuration has the data type {data_type}"))
    })
}

fn known(data_type: i32) -> Option<DType> {
    DataType::try_from(data_type).ok().and_then(DataType::dtype)
}
