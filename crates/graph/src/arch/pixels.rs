//! From pictures to input tensors, as the authors of the architectures do it.

use tintype_core::{Filter, PreprocessSpec, Preset, Resize};

/// torchvision's evaluation of its ImageNet models: [`Preset::Imagenet`].
pub(super) fn imagenet(image: u32) -> PreprocessSpec {
    Preset::Imagenet.spec([image, image])
}

/// The largest centre square, with ImageNet's normalisation: CIFAR's pictures come whole.
pub(super) fn whole(image: u32) -> PreprocessSpec {
    PreprocessSpec { resize: Some(Resize::Shorter(image)), ..imagenet(image) }
}

/// The whole picture, its sides stretched to a square, with ImageNet's normalisation: the dogs-vs-cats project.
pub(super) fn stretched(image: u32) -> PreprocessSpec {
    PreprocessSpec { resize: Some(Resize::Exact([image, image])), crop: None, ..imagenet(image) }
}

/// timm's evaluation of its vision transformers: nine tenths of the picture, bicubic, values in -1..=1.
pub(super) fn vit(image: u32) -> PreprocessSpec {
    PreprocessSpec { mean: vec![0.5; 3], std: vec![0.5; 3], ..deit(image) }
}

/// timm's evaluation of DeiT: nine tenths of the picture, bicubic, ImageNet's normalisation.
pub(super) fn deit(image: u32) -> PreprocessSpec {
    PreprocessSpec {
        resize: Some(Resize::Shorter((f64::from(image) / 0.9).floor() as u32)),
        filter: Filter::Bicubic,
        ..imagenet(image)
    }
}
