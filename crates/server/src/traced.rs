//! What the front ends add to the trace of a request: when it was read, and when its answer was written.

use std::sync::Arc;
use std::time::Instant;

use tintype_runtime::{Activity, Admitted, Trace};

use crate::app::App;

/// The protocol that a request came by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wire {
    Http,
    Grpc,
}

/// An answer on its way. Its last stage ends when this is dropped: the answer is handed to the connection then.
#[derive(Debug)]
pub(crate) struct Sending {
    trace: Option<Arc<Trace>>,
    wire: Wire,
}

/// `admitted`, whose body has been read; traced if it is its turn.
pub(crate) fn sample(app: &App, admitted: Admitted, wire: Wire) -> (Admitted, Sending) {
    let trace = app.runtime.tracing().sample(admitted.model());
    if let Some(trace) = &trace {
        let (start, end) = match wire {
            Wire::Http => (Activity::HttpRecvStart, Activity::HttpRecvEnd),
            Wire::Grpc => (Activity::GrpcWaitreadStart, Activity::GrpcWaitreadEnd),
        };
        trace.stamp(start, admitted.accepted());
        trace.stamp(end, Instant::now());
    }
    (admitted.traced(trace.clone()), Sending { trace, wire })
}

impl Sending {
    /// The model has answered.
    pub(crate) fn begin(&self) {
        let start = match self.wire {
            Wire::Http => Activity::HttpSendStart,
            Wire::Grpc => Activity::GrpcSendStart,
        };
        self.stamp(Activity::InferResponseComplete);
        self.stamp(start);
    }

    fn stamp(&self, activity: Activity) {
        if let Some(trace) = &self.trace {
            trace.stamp(activity, Instant::now());
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.stamp(match self.wire {
            Wire::Http => Activity::HttpSendEnd,
            Wire::Grpc => Activity::GrpcSendEnd,
        });
    }
}
