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
            take_long_turns();
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

/// Has the system treat the calling thread as one that computes: turns of 10 ms where it would have 3, and none taken from
/// another thread by waking up. Preparing and inference share the cores, and each finds its caches cold when it comes
/// back from the middle of an image: 9 % of the throughput of a small model.
///
/// Linux 6.12 and later have turns of a chosen length; earlier ones take the policy alone.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std knows no scheduling policies")]
fn take_long_turns() {
    // SAFETY: it asks for the calling thread's own policy and takes no pointers.
    if unsafe { libc::sched_getscheduler(0) } != libc::SCHED_OTHER {
        // Somebody chose another one for this server.
        return;
    }
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_BATCH as u32,
        sched_flags: 0,
        // SAFETY: it asks for the calling thread's own, takes no pointers and cannot fail for that.
        sched_nice: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
        sched_priority: 0,
        sched_runtime: 10_000_000,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: 0 is the calling thread, and the attributes live through the call, which only reads as many bytes as they
    // say they have. A system that refuses leaves the thread as it was.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(not(target_os = "linux"))]
fn take_long_turns() {}

fn join_all(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        // A panic was reported where it happened.
        let _ = handle.join();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "std knows no scheduling policies")]
    fn threads_compute_in_long_turns_as_nice_as_they_were() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut threads = Threads::new();
        // SAFETY: both ask for the calling thread and take no pointers.
        let look = || unsafe { (libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0)) };
        let (_, nice) = look();
        threads.spawn("look", move || sender.send(look()).unwrap()).unwrap();
        threads.join_blocking();
        assert_eq!(receiver.recv().unwrap(), (libc::SCHED_BATCH, nice));
    }
}
