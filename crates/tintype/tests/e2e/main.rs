//! The real binary, driven as a user drives it: from a shell, with `curl`, with a browser.
//!
//! One module a command. Nothing here needs the network or a fixed port; what wants a program that is not installed
//! says that it was skipped.

mod bench;
mod binary;
mod circle;
mod clients;
mod hub;
mod optimize;
mod package;
mod predict;
mod serve;
mod train;
