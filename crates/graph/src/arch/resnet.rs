//! Residual networks for pictures of 224 × 224 (He et al. 2015), as torchvision and timm name them.

use tintype_core::Result;

use super::ArchSpec;
use crate::builder::{Builder, Conv, Defaults, Draw, Pool};
use crate::model::Model;

/// What a stage is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, 1×1, the last four times as wide; the 3×3 has the stride, as in torchvision (ResNet "V1.5").
    Bottleneck,
}

/// 18 layers.
pub(super) fn resnet18(spec: &ArchSpec) -> Result<Model> {
    Ok(resnet(spec, Block::Basic, [2, 2, 2, 2]))
}

/// 34 layers.
pub(super) fn resnet34(spec: &ArchSpec) -> Result<Model> {
    Ok(resnet(spec, Block::Basic, [3, 4, 6, 3]))
}

/// 50 layers.
pub(super) fn resnet50(spec: &ArchSpec) -> Result<Model> {
    Ok(resnet(spec, Block::Bottleneck, [3, 4, 6, 3]))
}

fn resnet(spec: &ArchSpec, block: Block, depths: [usize; 4]) -> Model {
    let mut b = spec.builder(Defaults { conv: Draw::KaimingOut, ..Defaults::PYTORCH });
    let x = b.input("input", &[3, spec.image, spec.image]);
    let x = b.conv("conv1", &x, Conv { stride: 2, ..Conv::bare(3, 64, 7) });
    let x = b.batch_norm("bn1", &x, 64);
    let x = b.relu("relu", &x);
    let mut x = b.max_pool_by("maxpool", &x, Pool { kernel: 3, stride: 2, padding: 1 });
    let mut channels = 64;
    for (stage, depth) in (1..).zip(depths) {
        let width = 32 << stage;
        for i in 0..depth {
            let stride = if i == 0 && stage > 1 { 2 } else { 1 };
            let name = format!("layer{stage}.{i}");
            (x, channels) = match block {
                Block::Basic => basic(&mut b, &name, &x, Sizes { channels, width, stride }),
                Block::Bottleneck => bottleneck(&mut b, &name, &x, Sizes { channels, width, stride }),
            };
        }
    }
    let x = b.global_average_pool("avgpool", &x);
    let x = b.flatten("flatten", &x);
    let x = b.linear("fc", &x, channels, spec.classes);
    b.finish(&x, "logits", &[spec.classes])
}

/// The sizes of a block.
#[derive(Clone, Copy)]
struct Sizes {
    /// Channels that come in.
    channels: usize,
    /// Channels of the 3×3 convolutions.
    width: usize,
    stride: usize,
}

/// A block, and how many channels it gives.
fn basic(b: &mut Builder, name: &str, x: &str, sizes: Sizes) -> (String, usize) {
    let Sizes { channels, width, stride } = sizes;
    let y = b.conv(&format!("{name}.conv1"), x, Conv { stride, ..Conv::bare(channels, width, 3) });
    let y = b.batch_norm(&format!("{name}.bn1"), &y, width);
    let y = b.relu(&format!("{name}.relu1"), &y);
    let y = b.conv(&format!("{name}.conv2"), &y, Conv::bare(width, width, 3));
    let y = b.batch_norm(&format!("{name}.bn2"), &y, width);
    (residual(b, name, [x, &y], Sizes { width, ..sizes }), width)
}

/// A block, and how many channels it gives.
fn bottleneck(b: &mut Builder, name: &str, x: &str, sizes: Sizes) -> (String, usize) {
    let Sizes { channels, width, stride } = sizes;
    let wide = 4 * width;
    let y = b.conv(&format!("{name}.conv1"), x, Conv::bare(channels, width, 1));
    let y = b.batch_norm(&format!("{name}.bn1"), &y, width);
    let y = b.relu(&format!("{name}.relu1"), &y);
    let y = b.conv(&format!("{name}.conv2"), &y, Conv { stride, ..Conv::bare(width, width, 3) });
    let y = b.batch_norm(&format!("{name}.bn2"), &y, width);
    let y = b.relu(&format!("{name}.relu2"), &y);
    let y = b.conv(&format!("{name}.conv3"), &y, Conv::bare(width, wide, 1));
    let y = b.batch_norm(&format!("{name}.bn3"), &y, wide);
    (residual(b, name, [x, &y], Sizes { width: wide, ..sizes }), wide)
}

/// `relu(y + x)`, with x brought to y's size where that differs.
fn residual(b: &mut Builder, name: &str, [x, y]: [&str; 2], sizes: Sizes) -> String {
    let Sizes { channels, width, stride } = sizes;
    let x = if stride == 1 && channels == width {
        x.to_owned()
    } else {
        let conv = Conv { stride, ..Conv::bare(channels, width, 1) };
        let x = b.conv(&format!("{name}.downsample.0"), x, conv);
        b.batch_norm(&format!("{name}.downsample.1"), &x, width)
    };
    let sum = b.add_values(&format!("{name}.add"), y, &x);
    b.relu(&format!("{name}.relu"), &sum)
}
