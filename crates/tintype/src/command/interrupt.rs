//! Ctrl-C for work that ends cleanly: the first asks it to stop, a second ends the process at once.

use std::io::Write;

use tintype_core::{Error, ErrorKind, Result};

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
    on_ctrl_c(move || asked.request())?;
    Ok(stop)
}

/// Calls `stop` at the first Ctrl-C.
///
/// # Errors
/// `Internal` when the thread that listens cannot be made.
pub fn on_ctrl_c(stop: impl FnOnce() + Send + 'static) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::new(ErrorKind::Internal, format!("cannot listen for ctrl-c: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    // Never joined: it waits for a signal that need not come, and ends with the process.
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                if tokio::signal::ctrl_c().await.is_err() {
                    return;
                }
                stop();
                // A closed stderr is no reason to go on.
                let _ = writeln!(std::io::stderr(), "\nstopping; ctrl-c again stops at once");
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(INTERRUPTED);
                }
            });
        })
        .map_err(failed)?;
    Ok(())
}
