//! How much may run at once.

use std::num::NonZero;

/// The cores that this process may use, as affinity and cgroup say; 1 where that cannot be found out.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
