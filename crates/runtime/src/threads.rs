//! The runtime's threads, with an owner that joins them.

use std::convert::Infallible;
use std::thread::JoinHandle;
use std::time::Duration;

use tintype_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;

/// Threads to be joined.
#[derive(Debug)]
pub(crate) struct Threads {
    handles: Vec<JoinHandle<()>>,
    /// Every thread holds a clone until it ends.
    alive: mpsc::Sender<Infallible>,
    ended: mpsc::Receiver<Infallible>,
}

impl Threads {
    pub(crate) fn new() -> Self {
        let (alive, ended) = mpsc::channel(1);
        Self { handles: Vec::new(), alive, ended }
    }

    /// Starts a thread named `name` (the kernel keeps 15 bytes of it).
    ///
    /// # Errors
    /// `Internal` when the system refuses another thread.
    pub(crate) fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let alive = self.alive.clone();
        let body = move || {
            work();
            drop(alive);
        };
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("starting thread `{name}`: {error}")).with_source(error)
        })?;
        self.handles.push(handle);
        Ok(())
    }

    /// Waits for all threads to end, which somebody told them to.
    ///
    /// # Errors
    /// `DeadlineExceeded` when some are still busy after `timeout`; those are left to end with the process.
    pub(crate) async fn join(self, timeout: Duration) -> Result<()> {
        let Self { handles, alive, mut ended } = self;
        drop(alive);
        if tokio::time::timeout(timeout, ended.recv()).await.is_err() {
            let busy = handles.iter().filter(|handle| !handle.is_finished()).count();
            return Err(Error::new(ErrorKind::DeadlineExceeded, format!("{busy} threads are still busy")));
        }
        join_all(handles);
        Ok(())
    }

    /// As [`Threads::join`], blocking, for as long as it takes.
    pub(crate) fn join_blocking(self) {
        join_all(self.handles);
    }
}

fn join_all(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        // A panic was reported where it happened.
        let _ = handle.join();
    }
}
