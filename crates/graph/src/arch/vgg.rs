//! VGG with 19 layers and batch norm (Simonyan and Zisserman 2014), as torchvision's `vgg19_bn` under the dogs-vs-cats
//! project's classifier of 1028 and 512 units.

use tintype_core::{Error, ErrorKind, Result};

use super::ArchSpec;
use crate::builder::{Builder, Conv, Defaults, Draw};
use crate::model::Model;

/// Channels of the convolutions of each stage; a pooling follows each.
const STAGES: [&[usize]; 5] = [&[64; 2], &[128; 2], &[256; 4], &[512; 4], &[512; 4]];
/// Height and width of the features that the classifier reads.
const GRID: usize = 7;
const HIDDEN: [usize; 2] = [1028, 512];

/// The network. Parameters are named as torchvision's, those of the classifier `classifier.fc1`, `fc2`, `fc3`.
pub(super) fn vgg19_bn(spec: &ArchSpec) -> Result<Model> {
    let ratio = spec.dropout.unwrap_or_default();
    let mut b = spec.builder(Defaults { conv: Draw::KaimingOut, ..Defaults::PYTORCH });
    let mut x = b.input("input", &[3, spec.image, spec.image]);
    // torchvision's numbers of the layers: convolution, norm and ReLU count, and each pooling.
    let (mut channels, mut layer) = (3, 0);
    for widths in STAGES {
        for &width in widths {
            x = b.conv(&format!("features.{layer}"), &x, Conv::same(channels, width, 3));
            x = b.batch_norm(&format!("features.{}", layer + 1), &x, width);
            x = b.relu(&format!("features.{}", layer + 2), &x);
            (channels, layer) = (width, layer + 3);
        }
        x = b.max_pool(&format!("features.{layer}"), &x, 2);
        layer += 1;
    }
    x = to_grid(&mut b, &x, spec.image / 32)?;
    x = b.flatten("flatten", &x);
    let mut inputs = channels * GRID * GRID;
    for (i, units) in (1..).zip(HIDDEN) {
        x = b.linear(&format!("classifier.fc{i}"), &x, inputs, units);
        x = b.relu(&format!("classifier.relu{i}"), &x);
        x = b.dropout(&format!("classifier.dropout{i}"), &x, ratio);
        inputs = units;
    }
    x = b.linear("classifier.fc3", &x, inputs, spec.classes);
    Ok(b.finish(&x, "logits", &[spec.classes]))
}

/// PyTorch's adaptive average pooling to 7 × 7, of the sizes at which its windows are equal.
fn to_grid(b: &mut Builder, x: &str, side: usize) -> Result<String> {
    match side {
        GRID => Ok(x.to_owned()),
        1 => Ok(b.spread("avgpool", x, GRID)),
        _ if side.is_multiple_of(GRID) => Ok(b.average_pool("avgpool", x, side / GRID)),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            "`image` must be 32 to 63, or a multiple of 224, for `vgg19_bn`".to_owned(),
        )),
    }
}
