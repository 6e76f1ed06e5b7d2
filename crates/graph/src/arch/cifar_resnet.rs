//! The small residual networks for pictures of 32 × 32 (He et al. 2015, section 4.2), as in
//! `akamaster/pytorch_resnet_cifar10`: 16, 32 and 64 channels, and shortcuts without parameters.

use tintype_core::Result;

use super::ArchSpec;
use crate::builder::{Builder, Conv, Defaults, Draw};
use crate::model::Model;

/// Three stages of 3 blocks.
pub(super) fn resnet20(spec: &ArchSpec) -> Result<Model> {
    Ok(resnet(spec, 3))
}

/// Three stages of 9 blocks.
pub(super) fn resnet56(spec: &ArchSpec) -> Result<Model> {
    Ok(resnet(spec, 9))
}

fn resnet(spec: &ArchSpec, depth: usize) -> Model {
    let mut b =
        spec.builder(Defaults { conv: Draw::KaimingIn, linear: Draw::KaimingIn, ..Defaults::PYTORCH });
    let x = b.input("input", &[3, spec.image, spec.image]);
    let x = b.conv("conv1", &x, Conv::bare(3, 16, 3));
    let x = b.batch_norm("bn1", &x, 16);
    let mut x = b.relu("relu", &x);
    let mut channels = 16;
    for (stage, width) in (1..).zip([16, 32, 64]) {
        for i in 0..depth {
            x = block(&mut b, &format!("layer{stage}.{i}"), &x, [channels, width]);
            channels = width;
        }
    }
    let x = b.global_average_pool("avgpool", &x);
    let x = b.flatten("flatten", &x);
    let x = b.linear("linear", &x, channels, spec.classes);
    b.finish(&x, "logits", &[spec.classes])
}

/// Two 3×3 convolutions beside a shortcut; where the width doubles, the size halves.
fn block(b: &mut Builder, name: &str, x: &str, [channels, width]: [usize; 2]) -> String {
    let stride = if channels == width { 1 } else { 2 };
    let y = b.conv(&format!("{name}.conv1"), x, Conv { stride, ..Conv::bare(channels, width, 3) });
    let y = b.batch_norm(&format!("{name}.bn1"), &y, width);
    let y = b.relu(&format!("{name}.relu1"), &y);
    let y = b.conv(&format!("{name}.conv2"), &y, Conv::bare(width, width, 3));
    let y = b.batch_norm(&format!("{name}.bn2"), &y, width);
    let x = if stride == 1 {
        x.to_owned()
    } else {
        // The paper's option A: every second pixel, and channels of zeros on both sides.
        let x = b.every(&format!("{name}.shortcut.every"), x, stride);
        let more = (width - channels) as i64 / 2;
        b.pad(&format!("{name}.shortcut.pad"), &x, &[0, more, 0, 0, 0, more, 0, 0])
    };
    let sum = b.add_values(&format!("{name}.add"), &y, &x);
    b.relu(&format!("{name}.relu2"), &sum)
}
