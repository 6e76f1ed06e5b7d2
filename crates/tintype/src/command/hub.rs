//! The hub as people see it: found by the environment, with a bar for what takes time.

use indicatif::{ProgressBar, ProgressStyle};
use tintype_hub::{Hub, Settings};

/// The hub that the environment names, with a bar for what takes time.
pub fn from_env() -> Hub {
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("{msg} {bytes} of {total_bytes}, {bytes_per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    Hub::new(Settings::from_env()).on_progress(move |path, done, total| {
        bar.set_message(path.to_owned());
        bar.set_length(total.unwrap_or(done));
        bar.set_position(done);
    })
}
