//! Which jobs run together, and when: a state machine with time as a parameter.
//!
//! Jobs are pushed as they become ready; an instance that is free polls. While all instances are busy nobody polls, so
//! the queue *is* the growing batch. Nothing here locks, sleeps or reads a clock: the [`driver`](crate) around it does,
//! which is why every rule below can be tested in virtual time.
//!
//! The rules, in the words of Triton's dynamic batcher:
//! * priority levels are served strictly in order; within one, first in, first out; a job whose time in the queue ran
//!   out under `DELAY` waits behind the others of its level;
//! * a batch is a prefix of that order whose jobs all [fit](Queued::fits) the first;
//! * a batch has at most `max_batch_size` rows, or the largest preferred size (a single job may have more only if it was
//!   pushed so);
//! * a batch that reached a preferred size, or cannot grow (it is full, or the next job does not fit) runs at once;
//!   another waits for company until its oldest job is `max_queue_delay` old;
//! * without a delay and preferred sizes nothing waits, and ours goes beyond Triton's rule: jobs are spread over the idle
//!   instances, and a batch is as large as the model's [learned](Batcher::took) cost makes worth while, so that rows that
//!   share no cost do not wait for each other;
//! * expired and cancelled jobs never run; every poll hands back all that it finds.

mod load;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use load::Load;

/// What the batcher asks of a job.
pub trait Queued {
    /// How many rows it adds to a batch; at least 1.
    fn rows(&self) -> usize;
    /// Whether it may share a batch with `first`: equal dtypes, and equal shapes but for the first axis.
    fn fits(&self, first: &Self) -> bool;
    /// Its priority level, counted from 0, the most urgent; beyond the policy's levels means the last.
    fn level(&self) -> usize;
    /// When its answer is of no use any more.
    fn deadline(&self) -> Option<Instant>;
    /// When it has waited so long that others of its level go first.
    fn postponed_from(&self) -> Option<Instant>;
    /// Whether its caller has gone.
    fn is_cancelled(&self) -> bool;
}

/// How batches form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most rows in a batch; at least 1.
    pub max_batch_size: usize,
    /// Sizes at which a batch runs without waiting for more, each in `1..=max_batch_size`; the largest one bounds all
    /// batches. Empty for no preference.
    pub preferred_batch_sizes: Vec<usize>,
    /// How long the oldest job waits for company while an instance is idle.
    pub max_queue_delay: Duration,
    /// Priority levels; at least 1.
    pub priority_levels: usize,
    /// Instances that share the queue; at least 1.
    pub instances: usize,
}

impl BatchPolicy {
    /// One level, one instance and no preferred sizes.
    pub fn new(max_batch_size: usize, max_queue_delay: Duration) -> Self {
        Self {
            max_batch_size,
            preferred_batch_sizes: Vec::new(),
            max_queue_delay,
            priority_levels: 1,
            instances: 1,
        }
    }

    /// The most rows that a batch of several jobs may have.
    fn most_rows(&self) -> usize {
        self.preferred_batch_sizes.iter().copied().max().unwrap_or(self.max_batch_size)
    }
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
    levels: Vec<Level<J>>,
    load: Load,
}

/// The jobs of one priority.
#[derive(Debug)]
struct Level<J> {
    /// Oldest first.
    waiting: VecDeque<Waiting<J>>,
    /// Behind all of `waiting`, in the order in which they were postponed.
    postponed: VecDeque<Waiting<J>>,
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
    /// Since when its oldest job waits.
    oldest: Instant,
    /// Jobs in the longest part of it that has a preferred size.
    preferred: Option<usize>,
    /// Whether no later job could join it.
    closed: bool,
}

impl<J: Queued> Batcher<J> {
    /// An empty queue.
    pub fn new(policy: BatchPolicy) -> Self {
        let level = || Level { waiting: VecDeque::new(), postponed: VecDeque::new() };
        let levels = (0..policy.priority_levels.max(1)).map(|_| level()).collect();
        Self { policy, levels, load: Load::new() }
    }

    /// Jobs waiting.
    pub fn len(&self) -> usize {
        self.levels.iter().map(Level::len).sum()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.levels.iter().all(|level| level.len() == 0)
    }

    /// Adds `job` at the end of its level.
    pub fn push(&mut self, now: Instant, job: J) {
        let level = job.level().min(self.levels.len() - 1);
        self.load.arrived(now, job.rows());
        self.levels[level].waiting.push_back(Waiting { since: now, job });
    }

    /// Decides for one free instance; `idle_instances` counts it and every other that waits for work.
    pub fn poll(&mut self, now: Instant, idle_instances: usize) -> Decision<J> {
        let dead = self.take_dead(now);
        Decision { dead, next: self.next(now, idle_instances) }
    }

    /// Learns that a batch of `rows` rows took `time` to run.
    pub fn took(&mut self, rows: usize, time: Duration) {
        self.load.took(rows, time);
    }

    /// Empties the queue, in its order.
    pub fn take_all(&mut self) -> Vec<J> {
        self.take(usize::MAX)
    }

    fn next(&mut self, now: Instant, idle_instances: usize) -> Next<J> {
        let Some(prefix) = self.prefix().filter(|_| idle_instances > 0) else { return Next::Nothing };
        let delay = self.policy.max_queue_delay;
        let due = prefix.oldest + delay;
        let overdue = !delay.is_zero() && now >= due;
        let jobs = match prefix.preferred {
            Some(jobs) if !overdue => jobs,
            _ if delay.is_zero() && self.policy.preferred_batch_sizes.is_empty() => {
                let waiting = prefix.rows.div_ceil(idle_instances);
                let worth = self.load.batch_size(
                    self.waiting_rows(),
                    self.policy.instances,
                    self.policy.max_batch_size,
                );
                self.jobs_with_rows(waiting.min(worth)).min(prefix.jobs)
            }
            _ if delay.is_zero() || prefix.closed || overdue => prefix.jobs,
            _ => return Next::WaitUntil(due),
        };
        Next::Run(self.take(jobs))
    }

    fn prefix(&self) -> Option<Prefix> {
        let first = self.order().next()?;
        let max = self.policy.most_rows();
        let mut prefix = Prefix { jobs: 0, rows: 0, oldest: first.since, preferred: None, closed: false };
        for waiting in self.order() {
            let rows = prefix.rows + waiting.job.rows();
            if prefix.jobs > 0 && (rows > max || !waiting.job.fits(&first.job)) {
                prefix.closed = true;
                return Some(prefix);
            }
            prefix.jobs += 1;
            prefix.rows = rows;
            prefix.oldest = prefix.oldest.min(waiting.since);
            if self.policy.preferred_batch_sizes.contains(&rows) {
                prefix.preferred = Some(prefix.jobs);
            }
        }
        prefix.closed = prefix.rows >= max;
        Some(prefix)
    }

    /// Everything that waits, in the order in which it is served.
    fn order(&self) -> impl Iterator<Item = &Waiting<J>> {
        self.levels.iter().flat_map(|level| level.waiting.iter().chain(&level.postponed))
    }

    fn waiting_rows(&self) -> usize {
        self.order().map(|waiting| waiting.job.rows()).sum()
    }

    /// The fewest jobs from the front that have at least `rows` rows.
    fn jobs_with_rows(&self, rows: usize) -> usize {
        let mut sum = 0;
        let enough = self.order().position(|waiting| {
            sum += waiting.job.rows();
            sum >= rows
        });
        enough.map_or_else(|| self.len(), |last| last + 1)
    }

    /// Removes the first `count` jobs.
    fn take(&mut self, count: usize) -> Vec<J> {
        let mut taken = Vec::with_capacity(count.min(self.len()));
        for queue in self.levels.iter_mut().flat_map(|level| [&mut level.waiting, &mut level.postponed]) {
            let part = queue.len().min(count - taken.len());
            taken.extend(queue.drain(..part).map(|waiting| waiting.job));
        }
        taken
    }

    /// Removes the dead, and sets the overdue of each level behind the others.
    fn take_dead(&mut self, now: Instant) -> Vec<J> {
        let passed = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        let is_dead = |job: &J| job.is_cancelled() || passed(job.deadline());
        let mut dead = Vec::new();
        for level in &mut self.levels {
            for queue in [&mut level.waiting, &mut level.postponed] {
                dead.extend(split(queue, is_dead).into_iter().map(|waiting| waiting.job));
            }
            let overdue = split(&mut level.waiting, |job| passed(job.postponed_from()));
            level.postponed.extend(overdue);
        }
        dead
    }
}

impl<J> Level<J> {
    fn len(&self) -> usize {
        self.waiting.len() + self.postponed.len()
    }
}

/// Takes out of `queue` the jobs that `goes` picks; both keep their order.
fn split<J>(queue: &mut VecDeque<Waiting<J>>, goes: impl Fn(&J) -> bool) -> VecDeque<Waiting<J>> {
    // Nearly always nobody goes: look before moving anything.
    if !queue.iter().any(|waiting| goes(&waiting.job)) {
        return VecDeque::new();
    }
    let (gone, stay) = std::mem::take(queue).into_iter().partition(|waiting| goes(&waiting.job));
    *queue = stay;
    gone
}
