//! A small convolutional network that trains from scratch in minutes on a CPU.

use tintype_core::{Error, ErrorKind, Result};

use super::ArchSpec;
use crate::builder::{Builder, Conv, Defaults};
use crate::model::Model;

/// The architecture's name.
pub(super) const NAME: &str = "small_cnn";

/// The numbers of [`small_cnn`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmallCnn {
    /// Classes to tell apart.
    pub classes: usize,
    /// Height and width of the pictures: a multiple of 16.
    pub image: usize,
    /// Channels after each of the four convolutions.
    pub widths: [usize; 4],
    /// Neurons of the layer before the scores.
    pub hidden: usize,
    /// The share of those that each training step drops, at least 0 and less than 1.
    pub dropout: f32,
    /// What the initial parameters follow from.
    pub seed: u64,
}

/// The network with the sizes that `spec` names, or sizes that suit pictures of 64 × 64.
pub(super) fn by_name(spec: &ArchSpec) -> Result<Model> {
    let sizes = SmallCnn {
        classes: spec.classes,
        image: spec.image,
        widths: spec.widths.unwrap_or([32, 64, 128, 256]),
        hidden: spec.hidden.unwrap_or(128),
        dropout: spec.dropout.unwrap_or_default(),
        seed: spec.seed,
    };
    write(spec.builder(Defaults::PYTORCH), &sizes)
}

/// Four blocks of 3×3 convolution, batch norm, ReLU and 2×2 max pooling, then two linear layers with ReLU and dropout
/// between them.
///
/// Input `input` `f32[N, 3, image, image]`, output `logits` `f32[N, classes]`.
///
/// # Errors
/// `InvalidArgument` when a number is out of range.
pub fn small_cnn(spec: &SmallCnn) -> Result<Model> {
    write(Builder::new(spec.seed), spec)
}

fn write(mut b: Builder, spec: &SmallCnn) -> Result<Model> {
    check(spec)?;
    let mut x = b.input("input", &[3, spec.image, spec.image]);
    let mut channels = 3;
    for (i, width) in (1..).zip(spec.widths) {
        // The batch norm behind it would cancel a bias.
        x = b.conv(&format!("conv{i}"), &x, Conv { bias: false, ..Conv::same(channels, width, 3) });
        x = b.batch_norm(&format!("bn{i}"), &x, width);
        x = b.relu(&format!("relu{i}"), &x);
        x = b.max_pool(&format!("pool{i}"), &x, 2);
        channels = width;
    }
    let size = spec.image / 16;
    x = b.flatten("flatten", &x);
    x = b.linear("fc1", &x, channels * size * size, spec.hidden);
    x = b.relu("relu5", &x);
    x = b.dropout("dropout", &x, spec.dropout);
    x = b.linear("fc2", &x, spec.hidden, spec.classes);
    Ok(b.finish(&x, "logits", &[spec.classes]))
}

fn check(spec: &SmallCnn) -> Result<()> {
    let invalid = |what: String| Err(Error::new(ErrorKind::InvalidArgument, what));
    if spec.image == 0 || !spec.image.is_multiple_of(16) {
        return invalid(format!("`image` must be a multiple of 16, found {}", spec.image));
    }
    if spec.classes == 0 || spec.hidden == 0 || spec.widths.contains(&0) {
        return invalid("`classes`, `hidden` and every width must be at least 1".to_owned());
    }
    if !(0.0..1.0).contains(&spec.dropout) {
        return invalid(format!("`dropout` must be at least 0 and less than 1, found {}", spec.dropout));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: SmallCnn =
        SmallCnn { classes: 5, image: 32, widths: [4, 6, 8, 10], hidden: 12, dropout: 0.5, seed: 3 };

    #[test]
    fn it_says_what_it_takes_and_gives() {
        let model = small_cnn(&SPEC).unwrap();
        assert_eq!(model.inputs().unwrap()[0].to_string(), "input: f32[?,3,32,32]");
        assert_eq!(model.outputs().unwrap()[0].to_string(), "logits: f32[?,5]");
        assert_eq!(model.initializer("fc1.weight").unwrap().dims, [12, 40]);
    }

    #[test]
    fn numbers_out_of_range_are_errors() {
        for spec in [
            SmallCnn { image: 40, ..SPEC },
            SmallCnn { classes: 0, ..SPEC },
            SmallCnn { dropout: 1.0, ..SPEC },
            SmallCnn { dropout: f32::NAN, ..SPEC },
        ] {
            assert_eq!(small_cnn(&spec).unwrap_err().kind(), ErrorKind::InvalidArgument, "{spec:?}");
        }
    }
}
