//! Architectures: one function each, from its few numbers to a model with initial parameters.
//!
//! [`ARCHITECTURES`] is the table of them, [`find`] looks a name up. Parameters are named as in torchvision or timm, and
//! begin as there, so that checkpoints of those fit ([`crate::weights`]). `docs/adding-an-architecture.md` shows how
//! to add one. Training is `tintype-train`'s business, and so is what a configuration may say.

mod base_cnn;
mod cifar_resnet;
mod mobilenet_v2;
mod mobilenet_v3;
mod pixels;
mod resnet;
mod small_cnn;
mod table;
mod vgg;
mod vit;

use tintype_core::{Error, ErrorKind, PreprocessSpec, Result};

use crate::builder::{Builder, Defaults};
use crate::model::Model;

pub use table::ARCHITECTURES;

/// The numbers that an architecture is built from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArchSpec {
    /// Classes to tell apart.
    pub classes: usize,
    /// Height and width of the pictures; 0 for the architecture's own.
    pub image: usize,
    /// The share of values that a dropout drops in training, at least 0 and less than 1; the architecture's own where
    /// absent.
    pub dropout: Option<f32>,
    /// What the initial parameters follow from.
    pub seed: u64,
    /// Leave the parameters 0, for weights from elsewhere; drawing a hundred million numbers takes a second.
    pub blank: bool,
    /// What norms add to the variance, where weights come from a network with another number than the architecture's own.
    pub norm_epsilon: Option<f32>,
    /// `small_cnn` alone: channels after each of the four convolutions.
    pub widths: Option<[usize; 4]>,
    /// `small_cnn` alone: neurons of the layer before the scores.
    pub hidden: Option<usize>,
}

impl ArchSpec {
    /// An architecture as it is, for `classes` classes, from seed 0.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            image: 0,
            dropout: None,
            seed: 0,
            blank: false,
            norm_epsilon: None,
            widths: None,
            hidden: None,
        }
    }

    fn builder(&self, defaults: Defaults) -> Builder {
        let mut builder = if self.blank { Builder::blank() } else { Builder::new(self.seed) };
        let norm_epsilon = self.norm_epsilon.unwrap_or(defaults.norm_epsilon);
        builder.defaults = Defaults { norm_epsilon, ..defaults };
        builder
    }
}

/// A network that can be built by name.
///
/// Input `input` `f32[N, 3, image, image]`, output `logits` `f32[N, classes]`.
#[derive(Debug)]
pub struct Architecture {
    /// The name in configurations and commands: torchvision's or timm's.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Height and width of the pictures it was made for.
    pub image: usize,
    /// Which other heights and widths it takes.
    pub sides: Sides,
    /// The share that its dropouts drop; absent where it has none.
    pub dropout: Option<f32>,
    /// The parameter of the last layer, whose first axis is the classes.
    pub head: &'static str,
    pixels: fn(u32) -> PreprocessSpec,
    build: fn(&ArchSpec) -> Result<Model>,
}

/// The heights and widths that an architecture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// So many pixels or more.
    From(usize),
    /// Multiples of so many pixels.
    MultiplesOf(usize),
}

impl Architecture {
    /// The model with initial parameters.
    ///
    /// # Errors
    /// `InvalidArgument` for a number out of range, or one that this architecture does not have.
    pub fn build(&self, spec: &ArchSpec) -> Result<Model> {
        let image = if spec.image == 0 { self.image } else { spec.image };
        let spec = ArchSpec { image, dropout: spec.dropout.or(self.dropout), ..*spec };
        self.check(&spec)?;
        (self.build)(&spec).map_err(|e| e.context(format!("`{}`", self.name)))
    }

    /// The preprocessing that its authors use, for pictures of `image` × `image`; 0 for its own size.
    pub fn preprocess(&self, image: usize) -> PreprocessSpec {
        let image = if image == 0 { self.image } else { image };
        (self.pixels)(u32::try_from(image).unwrap_or(u32::MAX))
    }

    fn check(&self, spec: &ArchSpec) -> Result<()> {
        let invalid =
            |what: String| Err(Error::new(ErrorKind::InvalidArgument, format!("`{}`: {what}", self.name)));
        if spec.classes == 0 {
            return invalid("expected at least 1 class, found 0".to_owned());
        }
        match self.sides {
            Sides::From(least) if spec.image < least => {
                return invalid(format!("expected an `image` of at least {least}, found {}", spec.image));
            }
            Sides::MultiplesOf(step) if !spec.image.is_multiple_of(step) => {
                return invalid(format!("expected an `image` of a multiple of {step}, found {}", spec.image));
            }
            _ => {}
        }
        if spec.image > MAX_IMAGE {
            return invalid(format!("expected an `image` of at most {MAX_IMAGE}, found {}", spec.image));
        }
        match spec.dropout {
            Some(_) if self.dropout.is_none() => return invalid("has no `dropout`".to_owned()),
            Some(ratio) if !(0.0..1.0).contains(&ratio) => {
                return invalid(format!("expected a `dropout` of at least 0 and less than 1, found {ratio}"));
            }
            _ => {}
        }
        if self.name != small_cnn::NAME && (spec.widths.is_some() || spec.hidden.is_some()) {
            return invalid(format!("`widths` and `hidden` are for `{}` alone", small_cnn::NAME));
        }
        Ok(())
    }
}

/// The largest pictures: beyond it, a linear layer over all pixels would not fit into memory.
const MAX_IMAGE: usize = 4096;

/// The architecture called `name`.
///
/// # Errors
/// `InvalidConfig` when there is none, with the nearest name as a hint.
pub fn find(name: &str) -> Result<&'static Architecture> {
    ARCHITECTURES.iter().find(|a| a.name == name).ok_or_else(|| {
        let error = Error::new(ErrorKind::InvalidConfig, format!("no architecture is called `{name}`"));
        let distance = |a: &Architecture| strsim::damerau_levenshtein(a.name, &name.to_lowercase());
        match ARCHITECTURES.iter().min_by_key(|a| distance(a)) {
            Some(nearest) if distance(nearest) <= nearest.name.len() / 2 => {
                error.with_hint(format!("did you mean `{}`?", nearest.name))
            }
            _ => {
                let known: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
                error.with_hint(format!("there are `{}`", known.join("`, `")))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_says_what_it_takes_and_gives() {
        for arch in ARCHITECTURES {
            let model = arch.build(&ArchSpec { blank: true, ..ArchSpec::new(7) }).unwrap();
            let side = arch.image;
            assert_eq!(
                model.inputs().unwrap()[0].to_string(),
                format!("input: f32[?,3,{side},{side}]"),
                "{}",
                arch.name
            );
            assert_eq!(model.outputs().unwrap()[0].to_string(), "logits: f32[?,7]", "{}", arch.name);
            assert_eq!(model.initializer(arch.head).unwrap().dims[0], 7, "{}", arch.name);
            let pixels = arch.preprocess(0);
            assert_eq!(
                tintype_core::Plan::new(pixels, tintype_core::image::Limits::default())
                    .unwrap()
                    .output_shape(),
                Some([3, side, side]),
                "{}",
                arch.name
            );
            assert!(std::ptr::eq(find(arch.name).unwrap(), arch));
        }
    }

    #[test]
    fn numbers_out_of_range_are_errors() {
        let base = ArchSpec::new(2);
        for (name, spec, message) in [
            ("resnet18", ArchSpec { classes: 0, ..base }, "`resnet18`: expected at least 1 class, found 0"),
            (
                "resnet18",
                ArchSpec { image: 16, ..base },
                "`resnet18`: expected an `image` of at least 32, found 16",
            ),
            (
                "small_cnn",
                ArchSpec { image: 40, ..base },
                "`small_cnn`: expected an `image` of a multiple of 16, found 40",
            ),
            (
                "resnet18",
                ArchSpec { image: 5000, ..base },
                "`resnet18`: expected an `image` of at most 4096, found 5000",
            ),
            ("resnet18", ArchSpec { dropout: Some(0.1), ..base }, "`resnet18`: has no `dropout`"),
            (
                "base_cnn",
                ArchSpec { dropout: Some(1.0), ..base },
                "`base_cnn`: expected a `dropout` of at least 0 and less than 1, found 1",
            ),
            (
                "small_cnn",
                ArchSpec { hidden: Some(0), ..base },
                "`small_cnn`: `hidden` and every width must be at least 1",
            ),
            (
                "base_cnn",
                ArchSpec { hidden: Some(3), ..base },
                "`base_cnn`: `widths` and `hidden` are for `small_cnn` alone",
            ),
        ] {
            let error = find(name).unwrap().build(&spec).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, message));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = find("ResNet-18").unwrap_err();
        assert_eq!(error.message(), "no architecture is called `ResNet-18`");
        assert_eq!(error.hint(), Some("did you mean `resnet18`?"));
        assert!(find("convolutional").unwrap_err().hint().unwrap().starts_with("there are `small_cnn`, "));
    }
}
