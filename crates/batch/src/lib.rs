//! Scoring many images: today, finding them.
//!
//! [`listing::images`] turns what was typed (files, directories, globs) into an ordered list of paths, for `tintype
//! predict`. The batch job's manifest (which image is row what), its chunks and its part
//! files belong here as they come: a job will be a pure function of that list, a model and a chunk number. Reading and
//! scoring an image is `tintype-core`'s and the engine's; what a *bad* image means is for the caller.

pub mod listing;
