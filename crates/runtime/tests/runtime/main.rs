//! The runtime over a scripted engine. Threads are real, so tests wait for what they can see, never for time.

mod answers;
mod ensembles;
mod failures;
mod lifecycle;
mod policies;
mod queueing;
mod repositories;
mod support;
mod tensors;
mod traces;
