//! Which request is prepared next: one lane a model, served in turn, each with a bound on what is ahead of it.
//!
//! A prepared image is larger than its file and waits in memory, so a lane yields a job only while its model's queue of
//! prepared jobs has a place: reserve downstream before pulling from upstream. A model that is stuck fills its own
//! places and stops there; the other lanes go on. How many requests may wait in a lane is admission's business.

use std::collections::VecDeque;

/// Names a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneId(pub(crate) u64);

/// All lanes.
#[derive(Debug)]
pub(crate) struct Lanes<J> {
    lanes: Vec<Lane<J>>,
    /// Where the search for the next job begins.
    turn: usize,
}

#[derive(Debug)]
struct Lane<J> {
    id: LaneId,
    /// Places left among the prepared jobs.
    places: usize,
    waiting: VecDeque<J>,
}

impl<J> Lanes<J> {
    /// No lanes.
    pub(crate) fn new() -> Self {
        Self { lanes: Vec::new(), turn: 0 }
    }

    /// Opens a lane with `places` places.
    pub(crate) fn open(&mut self, id: LaneId, places: usize) {
        self.lanes.push(Lane { id, places, waiting: VecDeque::new() });
    }

    /// Adds a job to a lane; hands it back when there is no such lane.
    pub(crate) fn push(&mut self, id: LaneId, job: J) -> Result<(), J> {
        match self.lane(id) {
            Some(lane) => {
                lane.waiting.push_back(job);
                Ok(())
            }
            None => Err(job),
        }
    }

    /// Takes the next job and a place with it.
    pub(crate) fn pop(&mut self) -> Option<(LaneId, J)> {
        let count = self.lanes.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let lane = &mut self.lanes[index];
            if lane.places == 0 {
                continue;
            }
            if let Some(job) = lane.waiting.pop_front() {
                lane.places -= 1;
                self.turn = index + 1;
                return Some((lane.id, job));
            }
        }
        None
    }

    /// Gives a place back.
    pub(crate) fn release(&mut self, id: LaneId) {
        if let Some(lane) = self.lane(id) {
            lane.places += 1;
        }
    }

    /// Closes a lane; its waiting jobs come back.
    pub(crate) fn close(&mut self, id: LaneId) -> Vec<J> {
        match self.lanes.iter().position(|lane| lane.id == id) {
            Some(index) => self.lanes.remove(index).waiting.into(),
            None => Vec::new(),
        }
    }

    /// Closes every lane; the waiting jobs come back.
    pub(crate) fn close_all(&mut self) -> Vec<J> {
        self.lanes.drain(..).flat_map(|lane| lane.waiting).collect()
    }

    fn lane(&mut self, id: LaneId) -> Option<&mut Lane<J>> {
        self.lanes.iter_mut().find(|lane| lane.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LaneId = LaneId(1);
    const B: LaneId = LaneId(2);

    #[test]
    fn lanes_take_turns_and_keep_their_order() {
        let mut lanes = Lanes::new();
        lanes.open(A, 9);
        lanes.open(B, 9);
        for job in ["a1", "a2", "a3"] {
            lanes.push(A, job).unwrap();
        }
        lanes.push(B, "b1").unwrap();
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|(_, job)| job).collect();
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn a_lane_without_places_waits_and_the_others_go_on() {
        let mut lanes = Lanes::new();
        lanes.open(A, 1);
        lanes.open(B, 2);
        lanes.push(A, "a1").unwrap();
        lanes.push(A, "a2").unwrap();
        lanes.push(B, "b1").unwrap();
        lanes.push(B, "b2").unwrap();
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|(_, job)| job).collect();
        assert_eq!(order, ["a1", "b1", "b2"]);
        lanes.release(A);
        assert_eq!(lanes.pop(), Some((A, "a2")));
    }

    #[test]
    fn a_closed_lane_hands_back_what_waits_and_takes_no_more() {
        let mut lanes = Lanes::new();
        lanes.open(A, 1);
        lanes.push(A, "a1").unwrap();
        lanes.open(B, 1);
        lanes.push(B, "b1").unwrap();
        assert_eq!(lanes.close(B), ["b1"]);
        assert_eq!(lanes.push(B, "b2"), Err("b2"));
        assert_eq!(lanes.close_all(), ["a1"]);
        assert_eq!(lanes.push(A, "a2"), Err("a2"));
        assert_eq!(lanes.pop(), None);
    }
}
