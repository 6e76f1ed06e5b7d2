//! What is sent: files as they were typed, and tensors that fit the model.

use std::path::PathBuf;

use tintype_bench::control::{Control, ModelFacts};
use tintype_bench::input::{self, Fill, TensorOptions};
use tintype_bench::service::{Endpoint, Input, Service};
use tintype_core::Result;

use super::super::args::{MeasureArgs, invalid};

/// Files that are read at most: all lie in memory.
const MOST_FILES: usize = 1000;

/// What is sent.
pub(super) struct Sent {
    pub inputs: Vec<Input>,
    /// The model, where it was asked about.
    pub facts: Option<ModelFacts>,
}

/// Reads and draws what is sent; `control` is where a model is asked about.
pub(super) async fn inputs(
    args: &MeasureArgs,
    service: Service,
    endpoint: &Endpoint,
    control: Option<&mut Control>,
) -> Result<Sent> {
    let Some(control) = control.filter(|_| service == Service::Triton) else {
        let inputs = read(args, service)?;
        if inputs.is_empty() {
            let hint = "name an image, as in `tintype bench URL photo.jpg`, or a JSON file with the body";
            return Err(invalid("there is nothing to send").with_hint(hint));
        }
        return Ok(Sent { inputs, facts: None });
    };
    if endpoint.model.is_empty() {
        return Err(invalid("a KServe server needs a model's name").with_hint("give it with `-m NAME`"));
    }
    let facts = control.model(&endpoint.model, &endpoint.version).await?;
    let options: TensorOptions = args.tensors();
    let (mut inputs, mut images) = (Vec::new(), Vec::new());
    for path in files(args) {
        let described = if path.is_dir() { input::directory(&path, &facts, &options)? } else { None };
        match described {
            Some(request) => inputs.push(Input::Tensors(request)),
            None => images.push(path),
        }
    }
    for input in read_files(images, service)? {
        match input {
            Input::Image { bytes, .. } => {
                inputs.push(Input::Tensors(input::image(&facts, &bytes, &options)?));
            }
            Input::Body(json) if input::is_data(&json) => {
                inputs.extend(input::tensors(&json, &facts, &options)?.into_iter().map(Input::Tensors));
            }
            _ if options.batch_size > 1 => {
                return Err(invalid("`-b` is of tensors, and a JSON body is sent as it is"));
            }
            other => inputs.push(other),
        }
    }
    let zero = args.input_data.iter().any(|data| data == "zero");
    if inputs.is_empty() || zero || args.input_data.iter().any(|data| data == "random") {
        let fill = if zero { Fill::Zero } else { args.fill() };
        inputs.push(Input::Tensors(input::drawn(&facts, &fill, &options)?));
    }
    Ok(Sent { inputs, facts: Some(facts) })
}

/// The files to send, as they were typed.
pub(in crate::command::bench) fn files(args: &MeasureArgs) -> Vec<PathBuf> {
    let data = args.input_data.iter().filter(|data| !matches!(data.as_str(), "random" | "zero"));
    args.inputs.iter().cloned().chain(data.map(PathBuf::from)).collect()
}

/// Reads them, directories and globs resolved.
pub(in crate::command::bench) fn read(args: &MeasureArgs, service: Service) -> Result<Vec<Input>> {
    read_files(files(args), service)
}

fn read_files(paths: Vec<PathBuf>, service: Service) -> Result<Vec<Input>> {
    let mut found = Vec::new();
    for path in paths {
        if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            found.extend(tintype_batch::listing::images(&[path])?);
        } else if service == Service::TorchServe
            && let Ok(text) = std::fs::read(&path)
            && input::is_data(&text)
        {
            found.extend(input::files_in(&text)?);
        } else {
            found.push(path);
        }
    }
    if found.len() > MOST_FILES {
        tracing::warn!("the first {MOST_FILES} of {} files are sent", found.len());
        found.truncate(MOST_FILES);
    }
    found.iter().map(|path| input::file(path)).collect()
}
