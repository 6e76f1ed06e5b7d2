//! Whose turn it is to be traced, under one version of the settings.

use std::sync::{Arc, Mutex, MutexGuard};

use tintype_core::triton::TraceSettings;

use super::lock;
use super::record::Record;
use super::writer::{Collected, Pages, Target};

/// Settings in force, and what was traced by them. Once nobody holds it any more, what it collected is written.
#[derive(Debug)]
pub(super) struct Sampler {
    asked: TraceSettings,
    counts: Mutex<Counts>,
    /// Where traces go; `None` where there are none.
    pages: Option<Pages>,
}

#[derive(Debug)]
struct Counts {
    seen: u64,
    taken: u64,
    /// -1 for any number.
    left: i32,
}

impl Sampler {
    pub(super) fn new(asked: TraceSettings, target: Option<Arc<Target>>) -> Self {
        let pages = target.filter(|_| asked.idle().is_none()).map(|target| target.open(&asked));
        let counts = Mutex::new(Counts { seen: 0, taken: 0, left: asked.count });
        Self { asked, counts, pages }
    }

    /// As they were set.
    pub(super) fn asked(&self) -> &TraceSettings {
        &self.asked
    }

    /// As they are: with what is left of the count.
    pub(super) fn settings(&self) -> TraceSettings {
        TraceSettings { count: self.counts().left, ..self.asked.clone() }
    }

    /// Whether the request that asks is traced.
    pub(super) fn take(&self) -> bool {
        if self.pages.is_none() {
            return false;
        }
        let mut counts = self.counts();
        if counts.left == 0 {
            return false;
        }
        counts.seen += 1;
        let its_turn = counts.seen.is_multiple_of(self.asked.rate.into());
        if its_turn {
            counts.taken += 1;
            counts.left -= i32::from(counts.left > 0);
        }
        its_turn
    }

    /// Hands a trace over to be written.
    pub(super) fn collect(&self, records: Vec<Record>) {
        let Some(pages) = &self.pages else { return };
        let counts = self.counts();
        let in_all = (counts.left == 0).then_some(counts.taken);
        drop(counts);
        pages.add(Collected { records, in_all });
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }
}
