//! MobileNetV2 (Sandler et al. 2018), as torchvision names it.

use tintype_core::Result;

use super::ArchSpec;
use crate::builder::{Builder, Conv, Defaults, Draw};
use crate::model::Model;

/// Expansion, channels, repetitions, stride of the first (the paper's table 2).
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];
const LAST: usize = 1280;

/// The network.
pub(super) fn mobilenet_v2(spec: &ArchSpec) -> Result<Model> {
    let mut b =
        spec.builder(Defaults { conv: Draw::KaimingOut, linear: Draw::Normal(0.01), ..Defaults::PYTORCH });
    let x = b.input("input", &[3, spec.image, spec.image]);
    let mut x = layer(&mut b, "features.0", &x, Conv { stride: 2, ..Conv::bare(3, 32, 3) });
    let (mut channels, mut index) = (32, 1);
    for [expansion, width, repetitions, stride] in STAGES {
        for i in 0..repetitions {
            let stride = if i == 0 { stride } else { 1 };
            let name = format!("features.{index}");
            let y = block(&mut b, &name, &x, [channels, expansion * channels, width, stride]);
            let keeps = stride == 1 && channels == width;
            x = if keeps { b.add_values(&format!("{name}.add"), &x, &y) } else { y };
            (channels, index) = (width, index + 1);
        }
    }
    let x = layer(&mut b, &format!("features.{index}"), &x, Conv::bare(channels, LAST, 1));
    let x = b.global_average_pool("avgpool", &x);
    let x = b.flatten("flatten", &x);
    let x = b.dropout("classifier.0", &x, spec.dropout.unwrap_or_default());
    let x = b.linear("classifier.1", &x, LAST, spec.classes);
    Ok(b.finish(&x, "logits", &[spec.classes]))
}

/// 1×1 to more channels, 3×3 on each by itself, 1×1 to few.
fn block(b: &mut Builder, name: &str, x: &str, sizes: [usize; 4]) -> String {
    let [channels, inner, width, stride] = sizes;
    let (mut x, mut i) = (x.to_owned(), 0);
    if inner != channels {
        x = layer(b, &format!("{name}.conv.0"), &x, Conv::bare(channels, inner, 1));
        i = 1;
    }
    let x = layer(b, &format!("{name}.conv.{i}"), &x, Conv::depthwise(inner, 3, stride));
    let x = b.conv(&format!("{name}.conv.{}", i + 1), &x, Conv::bare(inner, width, 1));
    b.batch_norm(&format!("{name}.conv.{}", i + 2), &x, width)
}

/// Convolution, batch norm, ReLU6.
fn layer(b: &mut Builder, name: &str, x: &str, conv: Conv) -> String {
    let x = b.conv(&format!("{name}.0"), x, conv);
    let x = b.batch_norm(&format!("{name}.1"), &x, conv.outputs);
    b.relu6(&format!("{name}.2"), &x)
}
