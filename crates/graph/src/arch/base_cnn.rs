//! The plain convolutional network of the dogs-vs-cats project: four blocks, two linear layers.

use tintype_core::Result;

use super::ArchSpec;
use crate::builder::{Conv, Defaults};
use crate::model::Model;

const WIDTHS: [usize; 4] = [64, 128, 256, 512];
const HIDDEN: usize = 100;

/// Four blocks of 3×3 convolution without padding, batch norm, ReLU, dropout and 2×2 max pooling, then two linear layers
/// with ReLU and dropout between them.
pub(super) fn base_cnn(spec: &ArchSpec) -> Result<Model> {
    let ratio = spec.dropout.unwrap_or_default();
    let mut b = spec.builder(Defaults::PYTORCH);
    let mut x = b.input("input", &[3, spec.image, spec.image]);
    let (mut channels, mut side) = (3, spec.image);
    for (i, width) in (1..).zip(WIDTHS) {
        let block = format!("conv_block{i}");
        x = b.conv(&format!("{block}.conv"), &x, Conv { padding: 0, ..Conv::same(channels, width, 3) });
        x = b.batch_norm(&format!("{block}.batch_norm"), &x, width);
        x = b.relu(&format!("{block}.relu"), &x);
        x = b.dropout(&format!("{block}.dropout"), &x, ratio);
        x = b.max_pool(&format!("{block}.max_pool"), &x, 2);
        (channels, side) = (width, (side - 2) / 2);
    }
    x = b.flatten("flatten", &x);
    x = b.linear("fc_block1.fc", &x, channels * side * side, HIDDEN);
    x = b.relu("fc_block1.relu", &x);
    x = b.dropout("fc_block1.dropout", &x, ratio);
    x = b.linear("fc2", &x, HIDDEN, spec.classes);
    Ok(b.finish(&x, "logits", &[spec.classes]))
}
