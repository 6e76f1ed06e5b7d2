//! Ctrl-C, and SIGTERM where it is listened to, for work that ends cleanly: the first asks it to stop, a second ends the process at once.

use std::future::poll_fn;
use std::io::Write;
use std::task::Poll;

use tintype_core::{Error, ErrorKind, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell expects of a process that SIGINT ended: 128 + 2.
const INTERRUPTED: i32 = 130;

/// A wish to stop that Ctrl-C makes.
///
/// # Errors
/// `Internal` when the thread that listens cannot be made.
#[cfg(feature = "train")]
pub fn stop_on_ctrl_c() -> Result<tintype_train::Stop> {
    let stop = tintype_train::Stop::default();
    let asked = stop.clone();
    on(&[SignalKind::interrupt()], move || asked.request(), || {})?;
    Ok(stop)
}

/// Calls `stop` at the first Ctrl-C or SIGTERM, and `at_once` before a second one ends the process.
///
/// # Errors
/// `Internal` when the system refuses to deliver signals, or the thread that listens.
#[cfg(feature = "bench")]
pub fn on_stop_signals(
    stop: impl FnOnce() + Send + 'static,
    at_once: impl FnOnce() + Send + 'static,
) -> Result<()> {
    on(&[SignalKind::interrupt(), SignalKind::terminate()], stop, at_once)
}

#[cfg(any(feature = "bench", feature = "train"))]
fn on(
    kinds: &[SignalKind],
    stop: impl FnOnce() + Send + 'static,
    at_once: impl FnOnce() + Send + 'static,
) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::new(ErrorKind::Internal, format!("cannot listen for ctrl-c: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let listening = {
        let _context = runtime.enter();
        kinds.iter().map(|&kind| signal(kind)).collect::<std::io::Result<Vec<_>>>()
    };
    let mut signals = listening.map_err(failed)?;
    // Never joined: it waits for a signal that need not come, and ends with the process.
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                any(&mut signals).await;
                stop();
                // A closed stderr is no reason to go on.
                let _ = writeln!(std::io::stderr(), "\nstopping; ctrl-c again stops at once");
                any(&mut signals).await;
                at_once();
                std::process::exit(INTERRUPTED);
            });
        })
        .map_err(failed)?;
    Ok(())
}

/// Resolves at the next of them.
#[cfg(any(feature = "bench", feature = "train"))]
async fn any(signals: &mut [Signal]) {
    poll_fn(|context| {
        let heard = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if heard { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
