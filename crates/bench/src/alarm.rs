//! Waking up at a time, to within some ten microseconds: tokio's own timers know only milliseconds.

use tintype_core::Result;
use tokio::time::Instant;

/// Wakes one waiter.
#[derive(Debug)]
pub enum Alarm {
    /// The kernel's timer.
    #[cfg(target_os = "linux")]
    Precise(tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>),
    /// Tokio's, which virtual time moves.
    Tokio,
}

impl Alarm {
    /// The most precise one there is. To be called within a tokio runtime.
    ///
    /// # Errors
    /// `Io` when the kernel gives no timer.
    #[cfg(target_os = "linux")]
    #[expect(deprecated, reason = "the other constructor is unsafe; an `OwnedFd` keeps its descriptor")]
    pub fn precise() -> Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(std::io::Error::from);
        Ok(Self::Precise(timer.and_then(tokio::io::unix::AsyncFd::new).map_err(no_timer)?))
    }

    /// The most precise one there is.
    ///
    /// # Errors
    /// None here.
    #[cfg(not(target_os = "linux"))]
    pub fn precise() -> Result<Self> {
        Ok(Self::Tokio)
    }

    /// Resolves at `due`, at once where that is past.
    pub(crate) async fn until(&self, due: Instant) -> Result<()> {
        match self {
            Self::Tokio => tokio::time::sleep_until(due).await,
            #[cfg(target_os = "linux")]
            Self::Precise(timer) => {
                let left = due.saturating_duration_since(Instant::now());
                // A timer of zero would never ring.
                if !left.is_zero() {
                    set(timer, left).map_err(no_timer)?;
                    // Setting it again clears the readiness; `ready` alone would remember the last ring.
                    let mut guard = timer.readable().await.map_err(no_timer)?;
                    let mut rings = [0; 8];
                    // What it says is how often it rang; reading it is what matters.
                    let _ = rustix::io::read(timer.get_ref(), &mut rings);
                    guard.clear_ready();
                }
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn set(
    timer: &tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>,
    left: std::time::Duration,
) -> std::io::Result<()> {
    use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let it_value = Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    timerfd_settime(
        timer.get_ref(),
        TimerfdTimerFlags::empty(),
        &Itimerspec { it_interval: zero, it_value },
    )?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn no_timer(error: std::io::Error) -> tintype_core::Error {
    tintype_core::Error::new(tintype_core::ErrorKind::Io, format!("the system's timer: {error}"))
}
