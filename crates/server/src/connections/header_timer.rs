//! The timer for the heads of a connection's requests.
//!
//! hyper starts a timer when it waits for a request and drops it when the head is there. With tokio's own timers each
//! request would enter one into the wheel and take it out again, for a limit that is hardly ever reached. Here a connection
//! has one, which stays in the wheel: when it fires before the present head is due, it is set anew.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// One connection's timer. At most one of its sleeps is waited for at a time.
#[derive(Debug, Clone)]
pub(super) struct HeaderTimer {
    alarm: Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>,
}

impl HeaderTimer {
    /// For heads that may take `timeout`.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { alarm: Arc::new(Mutex::new(Box::pin(tokio::time::sleep(timeout)))) }
    }
}

impl Timer for HeaderTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, due: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HeaderSleep { due: due.into(), alarm: self.alarm.clone() })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

struct HeaderSleep {
    due: tokio::time::Instant,
    alarm: Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>,
}

impl Sleep for HeaderSleep {}

impl Future for HeaderSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Nothing under this lock panics half-way through a change.
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        if alarm.deadline() > self.due {
            alarm.as_mut().reset(self.due);
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= self.due {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(self.due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_sleep_lasts_until_it_is_due() {
        let timer = HeaderTimer::new(Duration::from_secs(10));
        let began = tokio::time::Instant::now();
        timer.sleep(Duration::from_secs(10)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        // One that was dropped has no say any more; later and earlier ones than the alarm keep their own time.
        drop(timer.sleep(Duration::from_secs(1)));
        for seconds in [10, 3, 20] {
            let began = tokio::time::Instant::now();
            timer.sleep(Duration::from_secs(seconds)).await;
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_may_take_its_time_however_long_the_connection_was_used() {
        let timer = HeaderTimer::new(Duration::from_secs(10));
        for _ in 0..5 {
            let mut waiting = timer.sleep(Duration::from_secs(10));
            let came = tokio::time::sleep(Duration::from_secs(6));
            tokio::select! {
                () = &mut waiting => panic!("gave up after less than its time"),
                () = came => {}
            }
        }
    }
}
