//! The golden image of a package: the last check before a model is put in service.

use std::borrow::Cow;

use tintype_core::{
    Error, ErrorKind, GoldenSpec, ImageClassifier, ModelSource, Package, Result, Scratch, Signature,
    bytes_of_text,
};
use tintype_engine::Session;

/// Classifies the package's golden image, where it has one, and compares the answer with the one that is known.
///
/// # Errors
/// `InvalidModel` when the answer is another, both named; `InvalidConfig` when the image is not there or not one.
pub(crate) fn check(signature: &Signature, package: &Package, session: &mut dyn Session) -> Result<()> {
    let Some(golden) = &package.spec.golden else { return Ok(()) };
    let Some(classifier) = signature.classifier() else {
        return Err(wrong("a model without `[preprocess]` has no images"));
    };
    let (index, probability) = classify(golden, classifier, package, session)?;
    let off = golden.probability.map_or(0.0, |expected| (expected - probability).abs());
    if index == golden.index && off <= golden.tolerance {
        return Ok(());
    }
    let expected =
        golden.probability.map_or_else(String::new, |p| format!(" with {p} ± {}", golden.tolerance));
    Err(Error::new(
        ErrorKind::InvalidModel,
        format!(
            "the golden image: expected class {}{expected}, found class {index} with {probability}",
            golden.index
        ),
    ))
}

/// The best class of the golden image, and its probability.
fn classify(
    golden: &GoldenSpec,
    classifier: &ImageClassifier,
    package: &Package,
    session: &mut dyn Session,
) -> Result<(usize, f32)> {
    let image = image(golden, package)?;
    let input = classifier.prepare(&image, &mut Scratch::default()).map_err(|e| wrong(e.message()))?;
    let outputs = session.run(&[&input])?;
    let none = || Error::new(ErrorKind::InvalidModel, "the golden image: the model gave no scores");
    let rows = classifier.probabilities(outputs.get(classifier.output()).ok_or_else(none)?)?;
    let best = classifier.rank(rows.first().ok_or_else(none)?, Some(1));
    best.first().map(|best| (best.index, best.confidence)).ok_or_else(none)
}

fn image<'a>(golden: &'a GoldenSpec, package: &Package) -> Result<Cow<'a, [u8]>> {
    if golden.image.starts_with("data:") {
        let bytes = bytes_of_text(golden.image.as_bytes());
        return bytes.map(Cow::Owned).ok_or_else(|| wrong("`image` is not base64 text"));
    }
    let ModelSource::Path(model) = &package.model else {
        return Err(wrong("a file needs a model directory; in an archive, `image` is a `data:` URL"));
    };
    let path = model.with_file_name(&golden.image);
    std::fs::read(&path).map(Cow::Owned).map_err(|e| wrong(Error::io(&path, e).message()))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("`[golden]`: {what}"))
}
