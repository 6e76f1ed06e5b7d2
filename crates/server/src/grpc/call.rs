//! What all methods have in common.

use tintype_api::{kserve, status};
use tintype_core::{Error, Result};
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};

use crate::access::{self, Family, GRPC_PREFIX};
use crate::app::App;
use crate::rescue;

/// A method that is being called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) app: &'a App,
    pub(super) method: &'static str,
    pub(super) family: Family,
}

impl Call<'_> {
    /// Does `work` for a caller who has the family's key, and counts how it ends.
    pub(super) async fn answer<T>(
        self,
        metadata: &MetadataMap,
        work: impl Future<Output = Result<T>>,
    ) -> Result<Response<T>, Status> {
        let result = match self.unlock(metadata) {
            Ok(()) => work.await.map(Response::new).map_err(|error| refuse(&error)),
            Err(status) => Err(status),
        };
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.app.metrics.count_grpc(self.method, code.into());
        result
    }

    /// # Errors
    /// `UNAVAILABLE`, as Triton, for a caller without the family's key.
    pub(super) fn unlock(self, metadata: &MetadataMap) -> Result<(), Status> {
        let restrictions = &self.app.config.restrictions.grpc;
        let missing = access::missing(restrictions, GRPC_PREFIX, self.family, |name| {
            metadata.get(name).map(tonic::metadata::MetadataValue::as_bytes)
        });
        match missing {
            None => Ok(()),
            Some(header) => {
                Err(Status::unavailable(format!("This protocol is restricted, expecting header '{header}'")))
            }
        }
    }
}

/// The status that `error` is; it is logged here.
pub(super) fn refuse(error: &Error) -> Status {
    rescue::log(error);
    let code = Code::from_i32(status(error.kind()).grpc as i32);
    Status::new(code, kserve::message(error))
}
