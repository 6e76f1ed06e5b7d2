//! Answers in the order in which their requests were taken, whoever finishes first: `preserve_ordering`.

use std::collections::VecDeque;

/// Holds finished work back until all that was begun before it is finished.
#[derive(Debug)]
pub(crate) struct Sequencer<T> {
    /// The turn of the first slot.
    first: u64,
    /// One for each turn that was given and not yet let go; `None` while it is worked on.
    slots: VecDeque<Option<T>>,
}

impl<T> Sequencer<T> {
    pub(crate) fn new() -> Self {
        Self { first: 0, slots: VecDeque::new() }
    }

    /// The next turn. Each must be [finished](Self::finish), or all later ones wait for ever.
    pub(crate) fn begin(&mut self) -> u64 {
        self.slots.push_back(None);
        self.first + self.slots.len() as u64 - 1
    }

    /// Everything that may now go out, in order.
    pub(crate) fn finish(&mut self, turn: u64, result: T) -> Vec<T> {
        let slot =
            turn.checked_sub(self.first).and_then(|index| self.slots.get_mut(usize::try_from(index).ok()?));
        if let Some(slot) = slot {
            *slot = Some(result);
        }
        let mut out = Vec::new();
        while let Some(ready) = self.slots.pop_front_if(|slot| slot.is_some()) {
            self.first += 1;
            out.extend(ready);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_begun_goes_out_first() {
        let mut order = Sequencer::new();
        let turns = [order.begin(), order.begin(), order.begin()];
        assert_eq!(order.finish(turns[1], 'b'), []);
        assert_eq!(order.finish(turns[0], 'a'), ['a', 'b']);
        let last = order.begin();
        assert_eq!(order.finish(last, 'd'), []);
        assert_eq!(order.finish(turns[2], 'c'), ['c', 'd']);
    }
}
