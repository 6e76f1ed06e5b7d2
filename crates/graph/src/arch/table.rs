//! Every architecture, in the order in which they are listed to people.

use super::{
    Architecture, Sides, base_cnn, cifar_resnet, mobilenet_v2, mobilenet_v3, pixels, resnet, small_cnn, vgg,
    vit,
};

/// The architectures that can be trained from scratch or imported into.
pub static ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: small_cnn::NAME,
        about: "four 3×3 convolutions and two linear layers; learns from scratch in minutes on a CPU",
        image: 64,
        sides: Sides::MultiplesOf(16),
        dropout: Some(0.3),
        head: "fc2.weight",
        pixels: pixels::whole,
        build: small_cnn::small_cnn,
    },
    Architecture {
        name: "base_cnn",
        about: "the dogs-vs-cats project's: four 3×3 convolutions and two linear layers, 8.9 million parameters",
        image: 224,
        sides: Sides::From(46),
        dropout: Some(0.2),
        head: "fc2.weight",
        pixels: pixels::stretched,
        build: base_cnn::base_cnn,
    },
    Architecture {
        name: "vgg19_bn",
        about: "VGG-19 with batch norm under the dogs-vs-cats project's classifier",
        image: 224,
        sides: Sides::From(32),
        dropout: Some(0.5),
        head: "classifier.fc3.weight",
        pixels: pixels::stretched,
        build: vgg::vgg19_bn,
    },
    Architecture {
        name: "resnet18",
        about: "residual network of 18 layers, as in torchvision and timm",
        build: resnet::resnet18,
        ..IMAGENET
    },
    Architecture {
        name: "resnet34",
        about: "residual network of 34 layers, as in torchvision and timm",
        build: resnet::resnet34,
        ..IMAGENET
    },
    Architecture {
        name: "resnet50",
        about: "residual network of 50 layers, as in torchvision and timm",
        build: resnet::resnet50,
        ..IMAGENET
    },
    Architecture {
        name: "resnet20",
        about: "residual network of 20 layers for pictures of 32 × 32 (CIFAR)",
        build: cifar_resnet::resnet20,
        ..CIFAR
    },
    Architecture {
        name: "resnet56",
        about: "residual network of 56 layers for pictures of 32 × 32 (CIFAR)",
        build: cifar_resnet::resnet56,
        ..CIFAR
    },
    Architecture {
        name: "mobilenet_v2",
        about: "inverted residuals, 3.5 million parameters, as in torchvision",
        dropout: Some(0.2),
        head: "classifier.1.weight",
        build: mobilenet_v2::mobilenet_v2,
        ..IMAGENET
    },
    Architecture {
        name: "mobilenet_v3_small",
        about: "made for CPUs, 2.5 million parameters, as in torchvision",
        dropout: Some(0.2),
        head: "classifier.3.weight",
        build: mobilenet_v3::mobilenet_v3_small,
        ..IMAGENET
    },
    Architecture {
        name: "mobilenet_v3_large",
        about: "made for CPUs, 5.5 million parameters, as in torchvision",
        dropout: Some(0.2),
        head: "classifier.3.weight",
        build: mobilenet_v3::mobilenet_v3_large,
        ..IMAGENET
    },
    Architecture {
        name: "vit_tiny_patch16_224",
        about: "vision transformer of 192 channels, 5.7 million parameters, as in timm",
        build: vit::tiny,
        ..VIT
    },
    Architecture {
        name: "vit_small_patch16_224",
        about: "vision transformer of 384 channels, 22 million parameters, as in timm",
        build: vit::small,
        ..VIT
    },
    Architecture {
        name: "vit_base_patch16_224",
        about: "vision transformer of 768 channels, 86 million parameters, as in timm",
        build: vit::base,
        ..VIT
    },
    Architecture {
        name: "deit_tiny_patch16_224",
        about: "vit_tiny_patch16_224 with ImageNet's normalisation, as in timm",
        pixels: pixels::deit,
        build: vit::tiny,
        ..VIT
    },
];

/// What torchvision's models for ImageNet have in common.
const IMAGENET: Architecture = Architecture {
    name: "",
    about: "",
    image: 224,
    sides: Sides::From(32),
    dropout: None,
    head: "fc.weight",
    pixels: pixels::imagenet,
    build: resnet::resnet18,
};

/// What the networks for CIFAR have in common.
const CIFAR: Architecture = Architecture {
    image: 32,
    sides: Sides::From(8),
    head: "linear.weight",
    pixels: pixels::whole,
    build: cifar_resnet::resnet20,
    ..IMAGENET
};

/// What the vision transformers have in common.
const VIT: Architecture = Architecture {
    sides: Sides::MultiplesOf(16),
    dropout: Some(0.0),
    head: "head.weight",
    pixels: pixels::vit,
    build: vit::tiny,
    ..IMAGENET
};
