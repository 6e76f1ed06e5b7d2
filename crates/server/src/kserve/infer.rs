//! Running a model for a decoded request.

use std::sync::Arc;

use tintype_api::kserve::binary::{self, Origin};
use tintype_api::kserve::{Content, Form, Input, Output, Outputs, Reply, Request, Value};
use tintype_core::{NamedTensor, Result};
use tintype_runtime::{Admitted, Description, InferRequest};
use tokio::time::Instant;

use crate::app::App;
use crate::traced::{self, Sending, Wire};

/// Runs the model that `admitted` the request. Dropping the future cancels it. What comes with the reply is to be kept
/// until that is encoded.
///
/// # Errors
/// What the runtime says of the request, and what is wrong with its shared memory.
pub(crate) async fn infer(
    app: &App,
    mut admitted: Admitted,
    mut request: Request,
    deadline: Option<Instant>,
    wire: Wire,
) -> Result<(Reply, Sending)> {
    let model = (admitted.model().clone(), admitted.version());
    for output in &request.outputs {
        if let Some(Form::Shared(region)) = &output.form {
            app.shared_memory()?.check(region)?;
        }
    }
    let inputs = std::mem::take(&mut request.inputs).into_iter();
    let inputs = inputs.map(|input| tensor(app, &model.0, &request.id, input, &mut admitted));
    let to_run = InferRequest {
        inputs: inputs.collect::<Result<_>>()?,
        id: request.id.clone(),
        outputs: request.outputs.iter().map(|output| output.name.clone()).collect(),
        priority: request.options.priority,
        timeout: request.options.timeout,
        deadline,
    };
    let known = known(app, &model, &request.outputs)?;
    let (admitted, sending) = traced::sample(app, admitted, wire);
    let answer = admitted.infer(to_run).await?;
    sending.begin();
    let reply = Reply::new(&mut request, (answer.model, answer.version), answer.outputs, &known)?;
    write_shared(app, &reply)?;
    Ok((reply, sending))
}

/// An input's tensor, read out of shared memory if it lies there.
fn tensor(app: &App, model: &str, id: &str, input: Input, admitted: &mut Admitted) -> Result<NamedTensor> {
    let Input { name, value } = input;
    let tensor = match value {
        Value::Tensor(tensor) => tensor,
        Value::Shared { region, dtype, shape } => {
            let memory = app.shared_memory()?;
            // Registered regions are no larger than their objects, so nobody asks for more than there is.
            memory.check(&region)?;
            admitted.grow(usize::try_from(region.byte_size).unwrap_or(usize::MAX))?;
            let origin = Origin { id, model, input: &name };
            binary::decode(origin, dtype, shape, &memory.read(&region)?)?
        }
    };
    Ok(NamedTensor { name, tensor })
}

/// What is known of the outputs, where classes of them are asked for.
fn known(app: &App, (model, version): &(Arc<str>, u64), outputs: &[Output]) -> Result<Known> {
    let wanted = outputs.iter().any(|output| output.classes > 0);
    Ok(Known(if wanted { Some(app.runtime.describe(model, Some(*version))?) } else { None }))
}

struct Known(Option<Description>);

impl Outputs for Known {
    fn batched(&self) -> bool {
        self.0.as_ref().is_some_and(|description| description.config.max_batch_size > 0)
    }

    fn labels(&self, output: &str) -> &[String] {
        self.0.as_ref().map_or(&[], |description| description.labels(output))
    }
}

fn write_shared(app: &App, reply: &Reply) -> Result<()> {
    for output in &reply.outputs {
        if let Content::Shared(region) = &output.content {
            app.shared_memory()?.write(region, &binary::encode(output.tensor.data())?)?;
        }
    }
    Ok(())
}
