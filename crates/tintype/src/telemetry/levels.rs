//! Which events are logged.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Filter};

/// Targets of tintype's own events begin with this.
const OURS: &str = "tintype";

/// What may be heard, and which of its levels are.
#[derive(Debug)]
pub struct Levels {
    heard: EnvFilter,
    switches: Switches,
}

/// Levels that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    pub info: bool,
    pub warning: bool,
    pub error: bool,
    /// 1: what helps to find faults; 2: everything. Of tintype's own events.
    pub verbose: u32,
}

impl Default for Switches {
    fn default() -> Self {
        Self { info: true, warning: true, error: true, verbose: 0 }
    }
}

impl Levels {
    /// All levels of what `heard` lets pass.
    pub fn new(heard: EnvFilter) -> Self {
        Self { heard, switches: Switches::default() }
    }

    /// The levels that are on.
    pub fn switches(&self) -> Switches {
        self.switches
    }

    /// Turns levels on and off.
    pub fn switch(&mut self, switches: Switches) {
        self.switches = switches;
    }

    /// Whether the switches alone decide, and how.
    fn decided(&self, metadata: &Metadata<'_>) -> Option<bool> {
        let Switches { info, warning, error, verbose } = self.switches;
        let on = match *metadata.level() {
            Level::ERROR => error,
            Level::WARN => warning,
            Level::INFO => info,
            Level::DEBUG => return (verbose >= 1 && metadata.target().starts_with(OURS)).then_some(true),
            Level::TRACE => return (verbose >= 2 && metadata.target().starts_with(OURS)).then_some(true),
        };
        (!on).then_some(false)
    }
}

impl<S: Subscriber> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        let heard = || Filter::<S>::enabled(&self.heard, metadata, context);
        self.decided(metadata).unwrap_or_else(heard)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.decided(metadata) {
            Some(true) => Interest::always(),
            Some(false) => Interest::never(),
            None => Filter::<S>::callsite_enabled(&self.heard, metadata),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let verbose = match self.switches.verbose {
            0 => LevelFilter::OFF,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        Filter::<S>::max_level_hint(&self.heard).map(|heard| heard.max(verbose))
    }
}
