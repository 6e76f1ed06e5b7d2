//! The open loop: requests start at their times, on as many lanes as that takes.
//!
//! Workers take turns: the one whose turn it is waits for the next start, passes the turn on and asks. Where nobody is
//! free to take the turn another worker joins, up to the limit; from then on starts are late, and the time that they
//! are late by is part of their latency.

use std::cell::Cell;
use std::iter::Peekable;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tintype_core::Result;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::{too_late, worker::Worker};
use crate::alarm::Alarm;
use crate::arrivals::Arrivals;
use crate::driver::Driver;
use crate::stop::Stop;
use crate::tally::Recorder;

/// A start that is later than this counts as delayed.
const LATE: Duration = Duration::from_millis(1);

/// What an open loop is given.
#[derive(Debug)]
pub struct Open {
    /// When requests are to start.
    pub arrivals: Arrivals,
    /// No more lanes than these, and so no more requests under way.
    pub most_workers: usize,
    /// What wakes it at those times.
    pub alarm: Alarm,
}

/// Starts requests at their times until `stop`, or until no more may begin. How many were due by then and never started
/// is counted where `recorder` has its progress.
///
/// # Errors
/// `Io` when the alarm fails.
pub async fn open<D: Driver>(driver: &D, plan: Open, recorder: &Recorder, stop: &Stop) -> Result<()> {
    let Open { arrivals, most_workers, alarm } = plan;
    let began = Instant::now();
    let turn = Mutex::new(Turn { arrivals: arrivals.peekable(), over: false });
    let (free, joined) = (Cell::new(0), Notify::new());
    let crew =
        Crew { driver, recorder, stop, began, turn: &turn, alarm: &alarm, free: &free, joined: &joined };
    let mut workers = FuturesUnordered::new();
    workers.push(crew.work());
    let mut stopped = None;
    let mut too_late = std::pin::pin!(too_late(stop));
    loop {
        tokio::select! {
            biased;
            () = stop.requested(), if stopped.is_none() => stopped = Some(began.elapsed()),
            ended = workers.next() => match ended {
                Some(result) => result?,
                None => break,
            },
            () = joined.notified(), if workers.len() < most_workers => workers.push(crew.work()),
            () = &mut too_late => break,
        }
    }
    drop(workers);
    let arrivals = turn.into_inner().arrivals;
    if let Some(stopped) = stopped {
        recorder.progress().overdue(arrivals.take_while(|&due| due <= stopped).count() as u64);
    }
    Ok(())
}

/// What workers share.
struct Crew<'a, D> {
    driver: &'a D,
    recorder: &'a Recorder,
    stop: &'a Stop,
    began: Instant,
    turn: &'a Mutex<Turn>,
    alarm: &'a Alarm,
    /// Workers that wait for their turn, or have it.
    free: &'a Cell<usize>,
    /// Told when there are none.
    joined: &'a Notify,
}

/// Held by the worker whose turn it is.
struct Turn {
    arrivals: Peekable<Arrivals>,
    over: bool,
}

impl<D: Driver> Crew<'_, D> {
    async fn work(&self) -> Result<()> {
        let mut worker = Worker::new(self.driver, self.recorder);
        worker.open().await;
        loop {
            self.free.set(self.free.get() + 1);
            let start = self.start().await?;
            self.free.set(self.free.get() - 1);
            let Some((number, due)) = start else { return Ok(()) };
            if self.free.get() == 0 {
                self.joined.notify_one();
            }
            if due.elapsed() > LATE {
                self.recorder.delayed();
            }
            worker.ask(number, due).await;
        }
    }

    /// Waits for the turn and then for the next start: the request's number, and when it was due.
    async fn start(&self) -> Result<Option<(u64, Instant)>> {
        let mut turn = self.turn.lock().await;
        if turn.over {
            return Ok(None);
        }
        let Some(&due) = turn.arrivals.peek() else { return Ok(None) };
        let due = self.began + due;
        tokio::select! {
            biased;
            () = self.stop.requested() => {
                turn.over = true;
                return Ok(None);
            }
            rung = self.alarm.until(due) => rung?,
        }
        let number = self.recorder.progress().begin();
        match number {
            Some(_) => drop(turn.arrivals.next()),
            None => turn.over = true,
        }
        Ok(number.map(|number| (number, due)))
    }
}
