//! What reports are drawn with: [`Chart`]s as inline SVG, and the [`page`] around them, one HTML file that links to nothing.
//!
//! What is drawn, how numbers are written and the style sheet are the business of the report. Its style gives colours to the
//! classes `c0` to `c7` of series, and its look to what else a chart consists of: `.grid`, `svg text`, and the classes that are
//! passed to [`Chart::path`] and [`Chart::bar`].

mod chart;
mod page;

pub use chart::{COLOURS, Chart, Layout};
pub use page::{escaped, page};
