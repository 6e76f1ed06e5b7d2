//! A wish to stop, heard on every thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A wish to stop. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    wished: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// Wishes it.
    pub fn request(&self) {
        self.0.wished.store(true, Ordering::SeqCst);
        self.0.notify.notify_waiters();
    }

    /// Whether it was wished.
    pub fn is_requested(&self) -> bool {
        self.0.wished.load(Ordering::SeqCst)
    }

    /// Resolves once it is.
    pub async fn requested(&self) {
        let notified = self.0.notify.notified();
        tokio::pin!(notified);
        // Enlisted before the look, or a wish between the two would be missed.
        notified.as_mut().enable();
        if !self.is_requested() {
            notified.await;
        }
    }
}
