//! What lanes send: the same requests over each, or some for each, where answers go to a place of the lane's own.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tintype_core::{Error, ErrorKind, Result};

/// Requests that every lane sends in turn. Clones share them.
pub struct Requests<T>(Arc<Inner<T>>);

impl<T> Clone for Requests<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

enum Inner<T> {
    Same(Arc<[T]>),
    BySlot(BySlot<T>),
}

struct BySlot<T> {
    make: Make<T>,
    slots: Mutex<Slots<T>>,
}

type Make<T> = Box<dyn Fn(usize) -> Result<Vec<T>> + Send + Sync>;

/// Made once each: the lanes of the next load send the same.
struct Slots<T> {
    made: usize,
    /// Those that no lane has.
    free: Vec<(usize, Arc<[T]>)>,
}

impl<T> Requests<T> {
    /// The same over each lane.
    ///
    /// # Errors
    /// `InvalidArgument` when there are none.
    pub fn same(requests: Vec<T>) -> Result<Self> {
        if requests.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "there is no request to send"));
        }
        Ok(Self(Arc::new(Inner::Same(requests.into()))))
    }

    /// Those that `make` makes, at least one, for each of the slots 0, 1, …; no two lanes have the same slot at a time.
    pub fn by_slot(make: impl Fn(usize) -> Result<Vec<T>> + Send + Sync + 'static) -> Self {
        let slots = Mutex::new(Slots { made: 0, free: Vec::new() });
        Self(Arc::new(Inner::BySlot(BySlot { make: Box::new(make), slots })))
    }

    /// Those of a lane, until they are dropped.
    ///
    /// # Errors
    /// What making them says.
    pub(crate) fn take(&self) -> Result<Taken<T>> {
        let (slot, requests) = match &*self.0 {
            Inner::Same(requests) => (None, requests.clone()),
            Inner::BySlot(by_slot) => {
                let mut slots = by_slot.slots();
                let (slot, requests) = match slots.free.pop() {
                    Some(free) => free,
                    None => (slots.made, (by_slot.make)(slots.made)?.into()),
                };
                slots.made = slots.made.max(slot + 1);
                (Some(slot), requests)
            }
        };
        Ok(Taken { slot, requests, of: self.clone() })
    }
}

impl<T> BySlot<T> {
    fn slots(&self) -> MutexGuard<'_, Slots<T>> {
        // A panic of `make` leaves nothing half done.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Requests<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

/// The requests of a lane.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    slot: Option<usize>,
    requests: Arc<[T]>,
    of: Requests<T>,
}

impl<T> Taken<T> {
    /// The one that is sent as number `number` of all.
    pub(crate) fn at(&self, number: u64) -> &T {
        &self.requests[(number % self.requests.len() as u64) as usize]
    }
}

impl<T> Deref for Taken<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.requests
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        if let (Inner::BySlot(by_slot), Some(slot)) = (&*self.of.0, self.slot) {
            by_slot.slots().free.push((slot, self.requests.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_at_a_time_have_slots_of_their_own_and_later_ones_the_same_again() {
        let requests = Requests::by_slot(|slot| {
            if slot < 3 { Ok(vec![slot]) } else { Err(Error::new(ErrorKind::Io, "there is no room")) }
        });
        let taken = [0, 1, 2].map(|slot| {
            let taken = requests.take().unwrap();
            assert_eq!(*taken.at(7), slot);
            taken
        });
        assert!(requests.take().is_err(), "no fourth can be made");
        drop(taken);
        let mut again = [0, 1, 2].map(|_| requests.take().unwrap());
        again.sort_by_key(|taken| taken[0]);
        assert_eq!(again.each_ref().map(|taken| taken[0]), [0, 1, 2]);
    }

    #[test]
    fn the_same_requests_are_sent_in_turn() {
        let taken = Requests::same(vec!['a', 'b']).unwrap().take().unwrap();
        assert_eq!([0, 1, 2].map(|number| *taken.at(number)), ['a', 'b', 'a']);
        assert!(Requests::<char>::same(Vec::new()).is_err());
    }
}
