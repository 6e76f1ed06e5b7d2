//! The door: a request takes a permit for itself and for its bytes before any work, or is refused at once.
//!
//! Requests are bounded per model, bytes over all models. A permit goes with the request and is given back when its last
//! trace is gone from every queue, so that the bounds are bounds on memory and not only on callers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use tintype_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in these, as a semaphore's permits are few.
const BYTES_PER_PERMIT: usize = 1024;

/// Never advise a client to return sooner or later than this.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// Some requests take longer than the mean says; those that are let in and then given up have cost work for nothing.
const MARGIN: f64 = 1.25;

/// The bytes of all requests in flight.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    permits: Arc<Semaphore>,
    max_bytes: usize,
}

impl ByteBudget {
    pub(crate) fn new(max_bytes: usize) -> Self {
        let permits = u32::try_from(max_bytes.div_ceil(BYTES_PER_PERMIT)).unwrap_or(u32::MAX);
        Self { permits: Arc::new(Semaphore::new(permits as usize)), max_bytes }
    }

    /// A place for `bytes`; `None` when there is none now.
    ///
    /// # Errors
    /// `PayloadTooLarge` when there never will be.
    fn take(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>> {
        if bytes > self.max_bytes {
            return Err(Error::new(
                ErrorKind::PayloadTooLarge,
                format!("expected at most {} bytes, found {bytes}", self.max_bytes),
            ));
        }
        let count = u32::try_from(bytes.div_ceil(BYTES_PER_PERMIT)).unwrap_or(u32::MAX);
        Ok(self.permits.clone().try_acquire_many_owned(count).ok())
    }
}

/// One model's door.
#[derive(Debug)]
pub(crate) struct Admission {
    requests: Arc<Semaphore>,
    max_requests: u32,
    bytes: Arc<ByteBudget>,
    in_flight: Gauge,
    /// Moving mean of how long answered requests took. With a full queue, the next one would take about as long.
    latency_micros: AtomicU64,
    pace: Mutex<Pace>,
}

/// How fast requests are answered while others wait.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    /// Moving mean of the time from answer to answer; `None` before there was one.
    gap: Option<Duration>,
}

impl Pace {
    /// A request was answered at `now`, `took` after it came, and `others` are still in.
    fn answered(&mut self, now: Instant, took: Duration, others: usize) {
        // A pause in which nothing was asked says nothing: an answer cannot be later than it took.
        let gap = self.last.map_or(took, |last| now.saturating_duration_since(last).min(took));
        let mean = self.gap.unwrap_or(gap);
        self.gap = Some(mean - mean / 16 + gap / 16);
        // Without others, what follows begins anew.
        self.last = (others > 0).then_some(now);
    }
}

/// A request's place, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Permit {
    _request: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
    in_flight: Gauge,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

impl Admission {
    pub(crate) fn new(max_requests: usize, bytes: Arc<ByteBudget>, in_flight: Gauge) -> Self {
        let max_requests = u32::try_from(max_requests).unwrap_or(u32::MAX);
        Self {
            requests: Arc::new(Semaphore::new(max_requests as usize)),
            max_requests,
            bytes,
            in_flight,
            latency_micros: AtomicU64::new(0),
            pace: Mutex::default(),
        }
    }

    /// Takes a place for one request with a body of `bytes`.
    ///
    /// # Errors
    /// `Overloaded` with an estimate of when to return, `PayloadTooLarge` when the body can never fit.
    pub(crate) fn admit(&self, bytes: usize) -> Result<Permit> {
        let Ok(request) = self.requests.clone().try_acquire_owned() else {
            return Err(
                self.overloaded(format!("the queue is full: {} requests in flight", self.max_requests))
            );
        };
        let bytes = self.take_bytes(bytes)?;
        self.in_flight.inc();
        Ok(Permit { _request: request, bytes, in_flight: self.in_flight.clone() })
    }

    /// Takes a place for `bytes` more of a request whose length was not known.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub(crate) fn grow(&self, permit: &mut Permit, bytes: usize) -> Result<()> {
        permit.bytes.merge(self.take_bytes(bytes)?);
        Ok(())
    }

    /// Waits until no request is in flight. From the first poll on, nobody is admitted.
    pub(crate) async fn emptied(&self) {
        // The semaphore is never closed, and an error would mean the same: nothing left to wait for.
        let _ = self.requests.acquire_many(self.max_requests).await;
    }

    /// Requests that are in.
    pub(crate) fn in_flight(&self) -> usize {
        (self.max_requests as usize).saturating_sub(self.requests.available_permits())
    }

    /// Refuses a request that cannot be answered by its deadline, with those that are in before it.
    ///
    /// By Little's law the last of `n` requests waits `n` times the mean time from answer to answer.
    ///
    /// # Errors
    /// `DeadlineExceeded`, saying how long it would take.
    pub(crate) fn check_deadline(&self, now: Instant, deadline: Option<Instant>) -> Result<()> {
        let Some(deadline) = deadline else { return Ok(()) };
        let Some(gap) = self.pace().gap else { return Ok(()) };
        let needed = gap.saturating_mul(u32::try_from(self.in_flight()).unwrap_or(u32::MAX)).mul_f64(MARGIN);
        let left = deadline.saturating_duration_since(now);
        if needed <= left {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::DeadlineExceeded,
            format!("the deadline is {left:.0?} away, and an answer would take about {needed:.0?}"),
        )
        .with_retry_after(needed.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end())))
    }

    /// Learns how long a request took that is answered at `now`.
    pub(crate) fn observe(&self, now: Instant, latency: Duration) {
        self.pace().answered(now, latency, self.in_flight().saturating_sub(1));
        let new = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let old = self.latency_micros.load(Ordering::Relaxed);
        let mean = if old == 0 { new } else { old - old / 8 + new / 8 };
        // Two threads may both read `old`; an estimate can bear to lose one of them.
        self.latency_micros.store(mean, Ordering::Relaxed);
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_bytes(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        self.bytes.take(bytes)?.ok_or_else(|| {
            self.overloaded(format!("no room for a body of {bytes} bytes: too many are in flight"))
        })
    }

    fn overloaded(&self, message: String) -> Error {
        let latency = Duration::from_micros(self.latency_micros.load(Ordering::Relaxed));
        Error::new(ErrorKind::Overloaded, message)
            .with_retry_after(latency.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(max_requests: usize, max_bytes: usize) -> Admission {
        Admission::new(max_requests, Arc::new(ByteBudget::new(max_bytes)), Gauge::default())
    }

    #[test]
    fn a_full_queue_refuses_until_a_place_is_given_back() {
        let door = door(2, 1 << 20);
        let first = door.admit(10).unwrap();
        let _second = door.admit(10).unwrap();
        assert_eq!(door.in_flight.get(), 2);
        let error = door.admit(10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        drop(first);
        door.admit(10).unwrap();
        assert_eq!(door.in_flight.get(), 1);
    }

    #[test]
    fn bytes_are_bounded_over_all_requests() {
        let door = door(9, 4096);
        let mut first = door.admit(2048).unwrap();
        let second = door.admit(2048).unwrap();
        assert_eq!(door.admit(1).unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(door.grow(&mut first, 1).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(second);
        door.grow(&mut first, 2048).unwrap();
        assert_eq!(door.admit(1).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(first);
        door.admit(4096).unwrap();
        assert_eq!(door.admit(4097).unwrap_err().kind(), ErrorKind::PayloadTooLarge);
        assert_eq!(door.in_flight.get(), 0, "a refused request is not in flight");
    }

    #[test]
    fn a_refusal_says_when_to_return() {
        let door = door(1, 1 << 20);
        let _place = door.admit(0).unwrap();
        for _ in 0..50 {
            door.observe(Instant::now(), Duration::from_secs(4));
        }
        let after = door.admit(0).unwrap_err().retry_after().unwrap();
        assert!((3.9..=4.1).contains(&after.as_secs_f64()), "{after:?}");
        for _ in 0..50 {
            door.observe(Instant::now(), Duration::from_secs(4000));
        }
        assert_eq!(door.admit(0).unwrap_err().retry_after(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_deadline_is_held_against_the_pace_of_the_answers() {
        const MS: Duration = Duration::from_millis(1);
        let door = door(100, 1 << 20);
        let now = Instant::now();
        let check = |millis: u32| door.check_deadline(now, Some(now + MS * millis));
        check(0).expect("nothing is known");
        for answer in 1..=200 {
            // Busy all the time: an answer each 10 ms, of requests that waited long.
            door.pace().answered(now + MS * 10 * answer, MS * 500, 50);
        }
        let places: Vec<_> = (0..20).map(|_| door.admit(0).unwrap()).collect();
        assert_eq!(check(150).unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        check(260).expect("20 times 10 ms, and the margin");
        drop(places);
        let _alone = door.admit(0).unwrap();
        check(15).expect("nobody is before it");

        let mut pace = Pace::default();
        for hour in 1..=100 {
            pace.answered(now + Duration::from_secs(3600) * hour, MS * 7, 0);
        }
        assert_eq!(pace.gap.unwrap().as_millis(), 7, "pauses do not count");
    }

    #[tokio::test(start_paused = true)]
    async fn emptied_waits_for_the_last_request_and_admits_no_more() {
        let door = door(2, 1 << 20);
        let place = door.admit(0).unwrap();
        let mut emptied = std::pin::pin!(door.emptied());
        assert!(tokio::time::timeout(Duration::from_secs(1), emptied.as_mut()).await.is_err());
        assert_eq!(door.admit(0).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(place);
        emptied.await;
    }
}
