//! How it is sent: over HTTP or gRPC, with tensors in the request or in shared memory.

use std::sync::Arc;

use tintype_api::kserve::{Request, ask, proto};
use tintype_bench::control::Control;
use tintype_bench::requests::Requests;
use tintype_bench::service::{Endpoint, Input, Service};
use tintype_bench::shared_memory::{SharedMemory, output_sizes};
use tintype_bench::transport::grpc::{Calls, GrpcDriver, streamed};
use tintype_bench::transport::http::{HttpDriver, Prepared};
use tintype_core::Result;

use super::super::args::{MeasureArgs, Protocol, invalid};
use super::inputs::Sent;

/// How requests are sent.
pub(in crate::command::bench) enum Transport {
    Http(HttpDriver),
    Grpc(GrpcDriver),
}

impl Transport {
    pub(in crate::command::bench) fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "HTTP",
            Self::Grpc(driver) => match driver.calls() {
                Calls::Unary => "gRPC",
                Calls::Stream => "gRPC stream",
            },
        }
    }
}

/// Tensors in shared memory, and where a server is told of it.
pub(in crate::command::bench) struct Shared {
    memory: Arc<SharedMemory>,
    protocol: Protocol,
    authority: String,
}

impl Shared {
    async fn control(&self) -> Result<Control> {
        match self.protocol {
            Protocol::Http => Control::http(&self.authority).await,
            Protocol::Grpc => Control::grpc(&self.authority).await,
        }
    }

    /// Tells the server.
    pub(in crate::command::bench) async fn register(&self) -> Result<()> {
        self.memory.register(&mut self.control().await?).await
    }

    /// Has the server forget it; one that is gone has.
    pub(in crate::command::bench) async fn unregister(&self) {
        let forgotten = match self.control().await {
            Ok(mut control) => self.memory.unregister(&mut control).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            tracing::warn!("the server may keep the shared memory of the measurement: {error}");
        }
    }
}

/// What sends requests over `lanes` at a time.
pub(super) fn made(
    args: &MeasureArgs,
    service: Service,
    endpoint: &Endpoint,
    (sent, lanes): (Sent, usize),
) -> Result<(Transport, Option<Shared>)> {
    let calls = if args.streaming { Calls::Stream } else { Calls::Unary };
    let maker = Maker {
        service,
        endpoint: endpoint.clone(),
        form: args.input_form(),
        headers: args.headers.clone(),
        calls,
    };
    let authority = endpoint.authority.clone();
    let memory = shared(args, &sent, lanes)?;
    let transport = match args.protocol {
        Protocol::Http => {
            let requests = requests(&sent, memory.as_ref(), move |input| maker.prepared(input))?;
            Transport::Http(HttpDriver::new(&authority, requests))
        }
        Protocol::Grpc if !args.headers.is_empty() => {
            return Err(invalid("`--header` is sent over HTTP only"));
        }
        Protocol::Grpc => {
            let requests = requests(&sent, memory.as_ref(), move |input| maker.message(input))?;
            Transport::Grpc(GrpcDriver::new(&authority, requests, calls))
        }
    };
    let shared = memory.map(|memory| Shared { memory, protocol: args.protocol, authority });
    Ok((transport, shared))
}

/// The requests for all lanes, or for each lane its own, where outputs go into shared memory.
fn requests<T>(
    sent: &Sent,
    memory: Option<&Arc<SharedMemory>>,
    make: impl Fn(&Input) -> Result<T> + Send + Sync + 'static,
) -> Result<Requests<T>> {
    let Some(memory) = memory.cloned() else {
        return Requests::same(sent.inputs.iter().map(make).collect::<Result<_>>()?);
    };
    Ok(Requests::by_slot(move |slot| {
        memory.requests(slot)?.into_iter().map(|request| make(&Input::Tensors(request))).collect()
    }))
}

/// The tensors of `sent` in shared memory, where they are wanted there.
fn shared(args: &MeasureArgs, sent: &Sent, lanes: usize) -> Result<Option<Arc<SharedMemory>>> {
    let Some(facts) = sent.facts.as_ref().filter(|_| args.shares_memory()) else { return Ok(None) };
    let tensors = sent.inputs.iter().map(|input| match input {
        Input::Tensors(request) => Ok(request.clone()),
        Input::Image { .. } | Input::Body(_) => {
            Err(invalid("`--shared-memory` is of tensors, and a JSON body is sent as it is"))
        }
    });
    let tensors: Vec<Request> = tensors.collect::<Result<_>>()?;
    let outputs = output_sizes(facts, args.tensors().batch_size, args.output_shared_memory_size);
    Ok(Some(Arc::new(SharedMemory::new(tensors, outputs, lanes)?)))
}

/// Makes requests of inputs.
struct Maker {
    service: Service,
    endpoint: Endpoint,
    form: ask::InputForm,
    headers: Vec<String>,
    calls: Calls,
}

impl Maker {
    fn prepared(&self, input: &Input) -> Result<Prepared> {
        let request = self.service.prepare(&self.endpoint, input, self.form)?;
        self.headers.iter().try_fold(request, |request, header| request.with_header(header))
    }

    fn message(&self, input: &Input) -> Result<proto::ModelInferRequest> {
        let Input::Tensors(request) = input else {
            return Err(invalid("JSON bodies cannot be sent over gRPC"));
        };
        let message = ask::message(&self.endpoint.model, &self.endpoint.version, request)?;
        Ok(match self.calls {
            Calls::Unary => message,
            Calls::Stream => streamed(message),
        })
    }
}
