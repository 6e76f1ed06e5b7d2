//! The HTTP front end: routes, limits, deadlines, errors, metrics, and a server that drains.
//!
//! ```text
//! Server::serve        accepts connections until the shutdown signal, then drains
//!  └ app               the router; one file an endpoint family in `routes`
//!     ├ body           reads a body within its limits, after the runtime admitted the request
//!     ├ Runtime        does the work
//!     └ rescue         the one point where an `Error` becomes a response, and is logged
//! ```
//!
//! What the bodies look like is `tintype-api`'s business, and so is the status of an error. TLS, authentication and
//! other protocols are not here yet.

mod app;
mod body;
mod config;
mod deadline;
mod metrics;
mod multipart;
mod params;
mod rescue;
mod routes;
mod server;

pub use config::ServerConfig;
pub use server::Server;
