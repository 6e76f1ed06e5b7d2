//! A small convolutional network that trains from scratch in minutes on a CPU.

use tintype_core::{Error, ErrorKind, Result};

use super::ArchSpec;
use crate::builder::{Conv, Defaults};
use crate::model::Model;

/// The architecture's name.
pub(super) const NAME: &str = "small_cnn";

/// Four blocks of 3×3 convolution, batch norm, ReLU and 2×2 max pooling, then two linear layers with ReLU and dropout
/// between them.
pub(super) fn small_cnn(spec: &ArchSpec) -> Result<Model> {
    let widths = spec.widths.unwrap_or([32, 64, 128, 256]);
    let hidden = spec.hidden.unwrap_or(128);
    if hidden == 0 || widths.contains(&0) {
        return Err(Error::new(ErrorKind::InvalidArgument, "`hidden` and every width must be at least 1"));
    }
    let mut b = spec.builder(Defaults::PYTORCH);
    let mut x = b.input("input", &[3, spec.image, spec.image]);
    let mut channels = 3;
    for (i, width) in (1..).zip(widths) {
        // The batch norm behind it would cancel a bias.
        x = b.conv(&format!("conv{i}"), &x, Conv { bias: false, ..Conv::same(channels, width, 3) });
        x = b.batch_norm(&format!("bn{i}"), &x, width);
        x = b.relu(&format!("relu{i}"), &x);
        x = b.max_pool(&format!("pool{i}"), &x, 2);
        channels = width;
    }
    let size = spec.image / 16;
    x = b.flatten("flatten", &x);
    x = b.linear("fc1", &x, channels * size * size, hidden);
    x = b.relu("relu5", &x);
    x = b.dropout("dropout", &x, spec.dropout.unwrap_or_default());
    x = b.linear("fc2", &x, hidden, spec.classes);
    Ok(b.finish(&x, "logits", &[spec.classes]))
}
