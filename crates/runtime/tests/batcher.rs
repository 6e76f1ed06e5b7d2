//! The batcher in virtual time: each rule in a small story, then all of them under random traffic.

use std::time::{Duration, Instant};

use tintype_runtime::batcher::{BatchPolicy, Batcher, Next, Queued};

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    id: usize,
    rows: usize,
    shape: usize,
    level: usize,
    deadline: Option<Instant>,
    postponed: Option<Instant>,
    cancelled: bool,
}

fn job(id: usize) -> Job {
    Job { id, rows: 1, shape: 0, level: 0, deadline: None, postponed: None, cancelled: false }
}

impl Queued for Job {
    fn rows(&self) -> usize {
        self.rows
    }
    fn fits(&self, first: &Self) -> bool {
        self.shape == first.shape
    }
    fn level(&self) -> usize {
        self.level
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn postponed_from(&self) -> Option<Instant> {
        self.postponed
    }
    fn is_cancelled(&self) -> bool {
        self.cancelled
    }
}

fn batcher(max_batch_size: usize, delay_ms: u32) -> Batcher<Job> {
    Batcher::new(BatchPolicy::new(max_batch_size, MS * delay_ms))
}

fn prefers(preferred: &[usize], delay_ms: u32) -> Batcher<Job> {
    let policy = BatchPolicy::new(16, MS * delay_ms);
    Batcher::new(BatchPolicy { preferred_batch_sizes: preferred.to_vec(), ..policy })
}

/// Polls for one idle instance; the ids of the batch, empty where none forms.
fn run(batcher: &mut Batcher<Job>, now: Instant) -> Vec<usize> {
    match batcher.poll(now, 1).next {
        Next::Run(jobs) => jobs.iter().map(|job| job.id).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn without_a_delay_an_idle_instance_never_waits() {
    let now = Instant::now();
    let mut batcher = batcher(8, 0);
    assert_eq!(batcher.poll(now, 1).next, Next::Nothing);
    batcher.push(now, job(1));
    assert_eq!(run(&mut batcher, now), [1]);
}

#[test]
fn while_nobody_polls_the_queue_is_the_growing_batch() {
    let now = Instant::now();
    let mut batcher = batcher(4, 0);
    for id in 0..6 {
        batcher.push(now + MS * id as u32, job(id));
    }
    assert_eq!(run(&mut batcher, now + MS * 9), [0, 1, 2, 3]);
    assert_eq!(run(&mut batcher, now + MS * 9), [4, 5]);
}

#[test]
fn with_a_delay_the_oldest_job_sets_the_time() {
    let now = Instant::now();
    let mut batcher = batcher(4, 10);
    batcher.push(now, job(1));
    batcher.push(now + MS * 9, job(2));
    assert_eq!(batcher.poll(now + MS * 9, 1).next, Next::WaitUntil(now + MS * 10));
    assert_eq!(run(&mut batcher, now + MS * 10), [1, 2]);
}

#[test]
fn a_full_batch_does_not_wait() {
    let now = Instant::now();
    let mut batcher = batcher(2, 10);
    batcher.push(now, job(1));
    batcher.push(now, job(2));
    batcher.push(now, job(3));
    assert_eq!(run(&mut batcher, now), [1, 2]);
    assert_eq!(batcher.poll(now, 1).next, Next::WaitUntil(now + MS * 10));
}

#[test]
fn another_shape_ends_the_batch_at_once() {
    let now = Instant::now();
    let mut batcher = batcher(8, 10);
    batcher.push(now, job(1));
    batcher.push(now, Job { shape: 7, ..job(2) });
    batcher.push(now, job(3));
    assert_eq!(run(&mut batcher, now), [1]);
    assert_eq!(run(&mut batcher, now), [2]);
    assert_eq!(batcher.poll(now, 1).next, Next::WaitUntil(now + MS * 10));
}

#[test]
fn rows_count_and_a_job_is_never_split() {
    let now = Instant::now();
    let mut batcher = batcher(4, 0);
    for (id, rows) in [(1, 3), (2, 2), (3, 2), (4, 9)] {
        batcher.push(now, Job { rows, ..job(id) });
    }
    assert_eq!(run(&mut batcher, now), [1]);
    assert_eq!(run(&mut batcher, now), [2, 3]);
    assert_eq!(run(&mut batcher, now), [4], "a job larger than a batch runs alone");
}

#[test]
fn idle_instances_share_the_work_where_no_delay_asks_for_batches() {
    let now = Instant::now();
    let mut spread = batcher(8, 0);
    let mut batched = batcher(8, 10);
    for id in 0..8 {
        spread.push(now, job(id));
        batched.push(now, job(id));
    }
    let sizes = |batcher: &mut Batcher<Job>, idle| match batcher.poll(now, idle).next {
        Next::Run(jobs) => jobs.len(),
        _ => 0,
    };
    assert_eq!([sizes(&mut spread, 3), sizes(&mut spread, 2), sizes(&mut spread, 1)], [3, 3, 2]);
    assert_eq!(sizes(&mut batched, 3), 8);
}

#[test]
fn the_dead_are_handed_back_and_never_run() {
    let now = Instant::now();
    let mut batcher = batcher(8, 0);
    batcher.push(now, Job { cancelled: true, ..job(1) });
    batcher.push(now, Job { deadline: Some(now + MS), ..job(2) });
    batcher.push(now, Job { deadline: Some(now + MS * 5), ..job(3) });
    let decision = batcher.poll(now + MS, 1);
    assert_eq!(decision.dead.iter().map(|job| job.id).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(decision.next, Next::Run(jobs) if jobs.len() == 1 && jobs[0].id == 3));
}

#[test]
fn the_dead_are_handed_back_even_when_no_instance_is_idle() {
    let now = Instant::now();
    let mut batcher = batcher(8, 0);
    batcher.push(now, Job { cancelled: true, ..job(1) });
    batcher.push(now, job(2));
    let decision = batcher.poll(now, 0);
    assert_eq!((decision.dead.len(), decision.next), (1, Next::Nothing));
    assert_eq!(batcher.take_all().len(), 1);
}

#[test]
fn a_preferred_size_runs_at_once_and_the_largest_bounds_a_batch() {
    let now = Instant::now();
    let mut batcher = prefers(&[4, 8], 10);
    (0..3).for_each(|id| batcher.push(now, job(id)));
    assert_eq!(batcher.poll(now, 1).next, Next::WaitUntil(now + MS * 10));
    (3..6).for_each(|id| batcher.push(now, job(id)));
    assert_eq!(run(&mut batcher, now), [0, 1, 2, 3], "six wait: four of them are a preferred batch");
    (6..20).for_each(|id| batcher.push(now, job(id)));
    assert_eq!(run(&mut batcher, now), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(run(&mut batcher, now).len(), 8, "overdue or not, never more than the largest");
    assert!(batcher.is_empty());
}

#[test]
fn an_overdue_batch_runs_whatever_its_size() {
    let now = Instant::now();
    let mut batcher = prefers(&[4], 10);
    (0..3).for_each(|id| batcher.push(now, job(id)));
    assert_eq!(run(&mut batcher, now + MS * 10), [0, 1, 2]);
}

#[test]
fn without_a_delay_a_preferred_size_is_taken_and_the_rest_follows() {
    let now = Instant::now();
    let mut batcher = prefers(&[4], 0);
    (0..6).for_each(|id| batcher.push(now, job(id)));
    assert_eq!(run(&mut batcher, now), [0, 1, 2, 3]);
    assert_eq!(run(&mut batcher, now), [4, 5]);
}

#[test]
fn the_urgent_go_first_and_share_batches_with_the_others() {
    let now = Instant::now();
    let policy = BatchPolicy { priority_levels: 2, ..BatchPolicy::new(3, Duration::ZERO) };
    let mut batcher = Batcher::new(policy);
    for (id, level) in [(1, 1), (2, 1), (3, 0), (4, 0), (5, 7)] {
        batcher.push(now, Job { level, ..job(id) });
    }
    assert_eq!(run(&mut batcher, now), [3, 4, 1]);
    assert_eq!(run(&mut batcher, now), [2, 5], "levels beyond the last are the last");
}

#[test]
fn who_waited_too_long_under_delay_goes_behind_its_level_and_is_not_lost() {
    let now = Instant::now();
    let policy = BatchPolicy { priority_levels: 2, ..BatchPolicy::new(1, Duration::ZERO) };
    let mut batcher = Batcher::new(policy);
    batcher.push(now, Job { postponed: Some(now + MS), ..job(1) });
    batcher.push(now, job(2));
    batcher.push(now, Job { level: 1, ..job(3) });
    let order: Vec<usize> = (0..3).flat_map(|_| run(&mut batcher, now + MS)).collect();
    assert_eq!(order, [2, 1, 3]);
}

mod random_traffic {
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Event {
        Push(Job, Option<u32>, Option<u32>),
        Poll { idle: usize },
        Wait { ms: u32 },
    }

    /// A job without an id, and after how many milliseconds it expires and is postponed.
    fn push() -> impl Strategy<Value = Event> {
        let ms = || prop::option::weighted(0.3, 0..20u32);
        (1..4usize, 0..2usize, 0..3usize, ms(), ms(), prop::bool::weighted(0.1)).prop_map(
            |(rows, shape, level, deadline, postponed, cancelled)| {
                Event::Push(Job { rows, shape, level, cancelled, ..job(0) }, deadline, postponed)
            },
        )
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => push(),
            3 => (0..4usize).prop_map(|idle| Event::Poll { idle }),
            2 => (0..8u32).prop_map(|ms| Event::Wait { ms }),
        ]
    }

    /// What the outside world knows: everything pushed, and what came out of it.
    struct World {
        policy: BatchPolicy,
        start: Instant,
        now: Instant,
        pushed: BTreeMap<usize, (Instant, Job)>,
        out: HashSet<usize>,
    }

    impl World {
        fn is_dead(&self, job: &Job) -> bool {
            job.cancelled || job.deadline.is_some_and(|deadline| deadline <= self.now)
        }

        /// In the order of arrival.
        fn waiting(&self) -> impl Iterator<Item = &(Instant, Job)> {
            self.pushed.iter().filter(|(id, _)| !self.out.contains(id)).map(|(_, entry)| entry)
        }

        /// By level, then who was not postponed, then arrival. Who was postponed earlier than others by some poll keeps
        /// its place before them, which this does not know: see `check_batch`.
        fn in_order(&self) -> Vec<Job> {
            let mut jobs: Vec<Job> = self.waiting().map(|(_, job)| job.clone()).collect();
            jobs.sort_by_key(|job| (job.level.min(self.policy.priority_levels - 1), self.is_postponed(job)));
            jobs
        }

        fn is_postponed(&self, job: &Job) -> bool {
            job.postponed.is_some_and(|time| time <= self.now)
        }

        /// Polls until nothing runs, and checks every rule at every answer.
        fn poll(&mut self, batcher: &mut Batcher<Job>, idle: usize) {
            let decision = batcher.poll(self.now, idle);
            for job in &decision.dead {
                assert!(self.is_dead(job), "{job:?} was buried alive");
                assert!(self.out.insert(job.id), "{job:?} came out twice");
            }
            assert!(self.waiting().all(|(_, job)| !self.is_dead(job)), "a dead job was left in the queue");
            match decision.next {
                Next::Run(jobs) => self.check_batch(&jobs, idle),
                Next::WaitUntil(time) => {
                    assert!(idle > 0 && time > self.now, "waits for the past");
                    let oldest = self.waiting().map(|(since, _)| *since).min().expect("waits for nobody");
                    assert_eq!(time, oldest + self.policy.max_queue_delay, "waits for the wrong time");
                }
                Next::Nothing => {
                    assert!(idle == 0 || self.waiting().next().is_none(), "work, and nobody told");
                }
            }
            assert_eq!(batcher.len(), self.waiting().count(), "a job was lost");
        }

        fn check_batch(&mut self, jobs: &[Job], idle: usize) {
            assert!(idle > 0, "a batch formed though no instance is free");
            let rows: usize = jobs.iter().map(|job| job.rows).sum();
            let most =
                self.policy.preferred_batch_sizes.iter().copied().max().unwrap_or(self.policy.max_batch_size);
            assert!(rows <= most || jobs.len() == 1, "{rows} rows");
            let rank = |job: &Job| (job.level.min(self.policy.priority_levels - 1), self.is_postponed(job));
            for (job, expected) in jobs.iter().zip(self.in_order()) {
                let same = job.id == expected.id || (self.is_postponed(job) && rank(job) == rank(&expected));
                assert!(same, "{job:?} ran where {expected:?} was next");
            }
            for job in jobs {
                assert!(job.fits(&jobs[0]), "unequal shapes in one batch");
                assert!(!self.is_dead(job), "{job:?} ran though dead");
                assert!(self.out.insert(job.id), "{job:?} came out twice");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn keeps_every_rule(
            max in 1..9usize,
            delay in 0..10u32,
            preferred in prop::collection::vec(1..9usize, 0..3),
            priority_levels in 1..4usize,
            events in prop::collection::vec(event(), 1..80),
        ) {
            let preferred_batch_sizes = preferred.into_iter().filter(|&size| size <= max).collect();
            let policy = BatchPolicy {
                preferred_batch_sizes, priority_levels, ..BatchPolicy::new(max, MS * delay)
            };
            let mut batcher = Batcher::new(policy.clone());
            let start = Instant::now();
            let mut world = World { policy, start, now: start, pushed: BTreeMap::new(), out: HashSet::new() };
            for (id, event) in events.into_iter().enumerate() {
                match event {
                    Event::Push(job, deadline, postponed) => {
                        let at = |ms: Option<u32>| ms.map(|ms| world.now + MS * ms);
                        let (deadline, postponed) = (at(deadline), at(postponed));
                        let job = Job { id, rows: job.rows.min(max), deadline, postponed, ..job };
                        world.pushed.insert(id, (world.now, job.clone()));
                        batcher.push(world.now, job);
                    }
                    Event::Wait { ms } => world.now += MS * ms,
                    Event::Poll { idle } => world.poll(&mut batcher, idle),
                }
            }
            // Nothing waits past its delay while an instance idles, and everything comes out in the end.
            world.now = world.now.max(world.start) + MS * delay;
            while !batcher.is_empty() {
                let before = batcher.len();
                world.poll(&mut batcher, 1);
                prop_assert!(batcher.len() < before, "an idle instance was left waiting after the delay");
            }
            prop_assert_eq!(world.out.len(), world.pushed.len());
        }
    }
}
