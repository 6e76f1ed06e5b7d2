//! Which jobs run together, and when: a state machine with time as a parameter.
//!
//! Jobs are pushed as they become ready; an instance that is free polls. While all instances are busy nobody polls, so
//! the queue *is* the growing batch. Nothing here locks, sleeps or reads a clock: the [`driver`](crate) around it does,
//! which is why every rule below can be tested in virtual time.
//!
//! The rules:
//! * first in, first out; a batch is a prefix of the queue whose jobs all [fit](Queued::fits) the first;
//! * a batch has at most `max_batch_size` rows (a single job may have more only if it was pushed so);
//! * a batch that cannot grow (it is full, or the next job does not fit) runs at once; another waits for company until
//!   its oldest job is `max_queue_delay` old;
//! * without a delay, jobs are spread over the idle instances rather than piled on one: cores gain more than batches;
//! * expired and cancelled jobs never run; every poll hands back all that it finds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What the batcher asks of a job.
pub trait Queued {
    /// How many rows it adds to a batch; at least 1.
    fn rows(&self) -> usize;
    /// Whether it may share a batch with `first`: equal dtypes, and equal shapes but for the first axis.
    fn fits(&self, first: &Self) -> bool;
    /// When its answer is of no use any more.
    fn deadline(&self) -> Option<Instant>;
    /// Whether its caller has gone.
    fn is_cancelled(&self) -> bool;
}

/// How batches form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most rows in a batch; at least 1.
    pub max_batch_size: usize,
    /// How long the oldest job waits for company while an instance is idle.
    pub max_queue_delay: Duration,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision<J> {
    /// Jobs that expired or were cancelled: to be answered, never to be run.
    pub dead: Vec<J>,
    /// What the polling instance does next.
    pub next: Next<J>,
}

/// What the polling instance does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<J> {
    /// Runs these jobs, in this order.
    Run(Vec<J>),
    /// Polls again at this time, or earlier when a job is pushed.
    WaitUntil(Instant),
    /// Polls again when a job is pushed.
    Nothing,
}

/// The queue of one model.
#[derive(Debug)]
pub struct Batcher<J> {
    policy: BatchPolicy,
    /// Oldest first.
    queue: VecDeque<Waiting<J>>,
}

#[derive(Debug)]
struct Waiting<J> {
    since: Instant,
    job: J,
}

/// The longest prefix of the queue that may run together.
struct Prefix {
    jobs: usize,
    rows: usize,
    /// Whether no later job could join it.
    closed: bool,
}

impl<J: Queued> Batcher<J> {
    /// An empty queue.
    pub fn new(policy: BatchPolicy) -> Self {
        Self { policy, queue: VecDeque::new() }
    }

    /// Jobs waiting.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds `job` at the end.
    pub fn push(&mut self, now: Instant, job: J) {
        self.queue.push_back(Waiting { since: now, job });
    }

    /// Decides for one free instance; `idle_instances` counts it and every other that waits for work.
    pub fn poll(&mut self, now: Instant, idle_instances: usize) -> Decision<J> {
        let dead = self.take_dead(now);
        Decision { dead, next: self.next(now, idle_instances) }
    }

    /// Empties the queue, oldest first.
    pub fn take_all(&mut self) -> Vec<J> {
        self.queue.drain(..).map(|waiting| waiting.job).collect()
    }

    fn next(&mut self, now: Instant, idle_instances: usize) -> Next<J> {
        let Some(oldest) = self.queue.front() else { return Next::Nothing };
        if idle_instances == 0 {
            return Next::Nothing;
        }
        let due = oldest.since + self.policy.max_queue_delay;
        let prefix = self.prefix();
        if !prefix.closed && now < due {
            return Next::WaitUntil(due);
        }
        let jobs = if self.policy.max_queue_delay.is_zero() {
            self.jobs_with_rows(prefix.rows.div_ceil(idle_instances)).min(prefix.jobs)
        } else {
            prefix.jobs
        };
        Next::Run(self.queue.drain(..jobs).map(|waiting| waiting.job).collect())
    }

    fn prefix(&self) -> Prefix {
        let max = self.policy.max_batch_size;
        let mut prefix = Prefix { jobs: 0, rows: 0, closed: false };
        for waiting in &self.queue {
            let joins = prefix.jobs == 0
                || (waiting.job.fits(&self.queue[0].job) && prefix.rows + waiting.job.rows() <= max);
            if !joins {
                prefix.closed = true;
                return prefix;
            }
            prefix.jobs += 1;
            prefix.rows += waiting.job.rows();
        }
        prefix.closed = prefix.rows >= max;
        prefix
    }

    /// The fewest jobs from the front that have at least `rows` rows.
    fn jobs_with_rows(&self, rows: usize) -> usize {
        let mut sum = 0;
        let enough = self.queue.iter().position(|waiting| {
            sum += waiting.job.rows();
            sum >= rows
        });
        enough.map_or(self.queue.len(), |last| last + 1)
    }

    fn take_dead(&mut self, now: Instant) -> Vec<J> {
        let is_dead = |job: &J| job.is_cancelled() || job.deadline().is_some_and(|deadline| deadline <= now);
        // Nearly always nobody has died: look before moving anything.
        if !self.queue.iter().any(|waiting| is_dead(&waiting.job)) {
            return Vec::new();
        }
        let (dead, alive): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.queue).into_iter().partition(|waiting| is_dead(&waiting.job));
        self.queue = alive;
        dead.into_iter().map(|waiting| waiting.job).collect()
    }
}
