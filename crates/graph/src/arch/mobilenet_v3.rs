//! MobileNetV3 (Howard et al. 2019), as torchvision names it.

use tintype_core::Result;

use super::ArchSpec;
use crate::builder::{Builder, Conv, Defaults, Draw};
use crate::model::Model;

/// A row of the paper's tables 1 and 2.
struct Row {
    kernel: usize,
    /// Channels between the two 1×1 convolutions.
    inner: usize,
    outputs: usize,
    /// Whether a small network weighs the channels (squeeze and excite).
    weighs: bool,
    activation: Activation,
    stride: usize,
}

#[derive(Clone, Copy)]
enum Activation {
    Relu,
    HardSwish,
}

use Activation::{HardSwish, Relu};

const fn row(kernel: usize, [inner, outputs]: [usize; 2], weighs: bool, rest: (Activation, usize)) -> Row {
    Row { kernel, inner, outputs, weighs, activation: rest.0, stride: rest.1 }
}

const SMALL: [Row; 11] = [
    row(3, [16, 16], true, (Relu, 2)),
    row(3, [72, 24], false, (Relu, 2)),
    row(3, [88, 24], false, (Relu, 1)),
    row(5, [96, 40], true, (HardSwish, 2)),
    row(5, [240, 40], true, (HardSwish, 1)),
    row(5, [240, 40], true, (HardSwish, 1)),
    row(5, [120, 48], true, (HardSwish, 1)),
    row(5, [144, 48], true, (HardSwish, 1)),
    row(5, [288, 96], true, (HardSwish, 2)),
    row(5, [576, 96], true, (HardSwish, 1)),
    row(5, [576, 96], true, (HardSwish, 1)),
];

const LARGE: [Row; 15] = [
    row(3, [16, 16], false, (Relu, 1)),
    row(3, [64, 24], false, (Relu, 2)),
    row(3, [72, 24], false, (Relu, 1)),
    row(5, [72, 40], true, (Relu, 2)),
    row(5, [120, 40], true, (Relu, 1)),
    row(5, [120, 40], true, (Relu, 1)),
    row(3, [240, 80], false, (HardSwish, 2)),
    row(3, [200, 80], false, (HardSwish, 1)),
    row(3, [184, 80], false, (HardSwish, 1)),
    row(3, [184, 80], false, (HardSwish, 1)),
    row(3, [480, 112], true, (HardSwish, 1)),
    row(3, [672, 112], true, (HardSwish, 1)),
    row(5, [672, 160], true, (HardSwish, 2)),
    row(5, [960, 160], true, (HardSwish, 1)),
    row(5, [960, 160], true, (HardSwish, 1)),
];

/// The small network.
pub(super) fn mobilenet_v3_small(spec: &ArchSpec) -> Result<Model> {
    Ok(mobilenet_v3(spec, &SMALL, 1024))
}

/// The large network.
pub(super) fn mobilenet_v3_large(spec: &ArchSpec) -> Result<Model> {
    Ok(mobilenet_v3(spec, &LARGE, 1280))
}

fn mobilenet_v3(spec: &ArchSpec, rows: &[Row], hidden: usize) -> Model {
    let mut b = spec.builder(Defaults {
        conv: Draw::KaimingOut,
        linear: Draw::Normal(0.01),
        norm_epsilon: 1e-3,
        norm_momentum: 0.01,
    });
    let x = b.input("input", &[3, spec.image, spec.image]);
    let stem = Conv { stride: 2, ..Conv::bare(3, 16, 3) };
    let mut x = layer(&mut b, "features.0", &x, (stem, HardSwish));
    let mut channels = 16;
    for (i, row) in (1..).zip(rows) {
        let name = format!("features.{i}");
        let y = block(&mut b, &format!("{name}.block"), &x, (channels, row));
        let keeps = row.stride == 1 && channels == row.outputs;
        x = if keeps { b.add_values(&format!("{name}.add"), &y, &x) } else { y };
        channels = row.outputs;
    }
    let last = Conv::bare(channels, 6 * channels, 1);
    let x = layer(&mut b, &format!("features.{}", rows.len() + 1), &x, (last, HardSwish));
    let x = b.global_average_pool("avgpool", &x);
    let x = b.flatten("flatten", &x);
    let x = b.linear("classifier.0", &x, last.outputs, hidden);
    let x = b.hard_swish("classifier.1", &x);
    let x = b.dropout("classifier.2", &x, spec.dropout.unwrap_or_default());
    let x = b.linear("classifier.3", &x, hidden, spec.classes);
    b.finish(&x, "logits", &[spec.classes])
}

/// 1×1 to more channels, a window on each by itself, weights of the channels, 1×1 to few.
fn block(b: &mut Builder, name: &str, x: &str, (channels, row): (usize, &Row)) -> String {
    let &Row { kernel, inner, outputs, weighs, activation, stride } = row;
    let (mut x, mut i) = (x.to_owned(), 0);
    if inner != channels {
        x = layer(b, &format!("{name}.{i}"), &x, (Conv::bare(channels, inner, 1), activation));
        i += 1;
    }
    x = layer(b, &format!("{name}.{i}"), &x, (Conv::depthwise(inner, kernel, stride), activation));
    i += 1;
    if weighs {
        x = weigh(b, &format!("{name}.{i}"), &x, inner);
        i += 1;
    }
    let x = b.conv(&format!("{name}.{i}.0"), &x, Conv::bare(inner, outputs, 1));
    b.batch_norm(&format!("{name}.{i}.1"), &x, outputs)
}

/// Each channel times a weight that follows from the means of all channels.
fn weigh(b: &mut Builder, name: &str, x: &str, channels: usize) -> String {
    let fewer = divisible(channels / 4);
    let y = b.global_average_pool(&format!("{name}.avgpool"), x);
    let y = b.conv(&format!("{name}.fc1"), &y, Conv::same(channels, fewer, 1));
    let y = b.relu(&format!("{name}.activation"), &y);
    let y = b.conv(&format!("{name}.fc2"), &y, Conv::same(fewer, channels, 1));
    let y = b.hard_sigmoid(&format!("{name}.scale_activation"), &y);
    b.multiply(&format!("{name}.mul"), &y, x)
}

/// The nearest multiple of 8 that is not more than a tenth below (torchvision's `_make_divisible`).
fn divisible(channels: usize) -> usize {
    let nearest = ((channels + 4) / 8 * 8).max(8);
    if nearest * 10 < channels * 9 { nearest + 8 } else { nearest }
}

/// Convolution, batch norm, activation.
fn layer(b: &mut Builder, name: &str, x: &str, (conv, activation): (Conv, Activation)) -> String {
    let x = b.conv(&format!("{name}.0"), x, conv);
    let x = b.batch_norm(&format!("{name}.1"), &x, conv.outputs);
    let name = format!("{name}.2");
    match activation {
        Relu => b.relu(&name, &x),
        HardSwish => b.hard_swish(&name, &x),
    }
}
