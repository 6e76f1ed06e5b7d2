//! A load generator: sends requests to a server at a load that is kept, and says how they fared.
//!
//! ```text
//! Sweep ─► Load ─► Generator: threads ─► load::{closed, open} ─► Lane ─► a server
//!   ▲                          │ recorders
//!   └── within the threshold? ─┴─► measure: windows until they agree ─► Report ─► text, CSV, JSON, HTML
//! ```
//!
//! The decisions are pure: [`arrivals`] says when requests start, [`stability`] when a load was measured long enough,
//! [`search`] which load comes next. What is asked goes through a [`driver::Driver`]; HTTP and gRPC are in
//! [`transport`], and whoever wants to measure something else brings a driver. The command line is elsewhere.

pub mod alarm;
pub mod arrivals;
pub mod control;
pub mod driver;
pub mod export;
pub mod generator;
pub mod input;
pub mod latency;
pub mod load;
pub mod measure;
pub mod metrics;
pub mod probe;
pub mod process;
pub mod profile;
pub mod range;
pub mod reading;
pub mod report;
pub mod requests;
pub mod search;
pub mod service;
pub mod shared_memory;
pub mod stability;
pub mod stop;
pub mod tally;
pub mod target;
pub mod transport;
