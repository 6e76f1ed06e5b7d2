//! Which preprocessing a training uses: its package's own, a spec file's, or a preset's at the graph's size.

use std::path::Path;

use tintype_core::{Error, ErrorKind, ModelSpec, PreprocessSpec, Resize, Result, TensorSpec};

use crate::config::TrainConfig;

/// Preprocessing for a model with this image input: `spec=`, else `preprocess=`, else the package's own.
///
/// # Errors
/// `InvalidConfig` when there is none of the three, when the spec file has no `[preprocess]`, or when a preset does not
/// know the size from the graph.
pub(crate) fn for_model(
    config: &TrainConfig,
    own: Option<&PreprocessSpec>,
    input: &TensorSpec,
) -> Result<PreprocessSpec> {
    match (&config.spec, config.preprocess, own) {
        (Some(path), ..) => read(path),
        (None, Some(preset), _) => preset.for_input(input),
        (None, None, Some(own)) => Ok(own.clone()),
        (None, None, None) => Err(Error::new(ErrorKind::InvalidConfig, "the backbone has no preprocessing of its own")
            .with_hint(
                "give `spec=F.toml` with a `[preprocess]` section, or `preprocess=imagenet`, `inception` or `clip`",
            )),
    }
}

/// Preprocessing for a network trained from scratch: `spec=`, else `preprocess=`, else its architecture's `own`.
///
/// # Errors
/// As [`for_model`].
pub(crate) fn for_scratch(config: &TrainConfig, own: PreprocessSpec) -> Result<PreprocessSpec> {
    match (&config.spec, config.preprocess) {
        (Some(path), _) => read(path),
        (None, Some(preset)) => Ok(preset.spec(own.crop.unwrap_or_else(|| size_of(&own)))),
        (None, None) => Ok(own),
    }
}

/// Height and width of what a spec without a crop makes.
fn size_of(spec: &PreprocessSpec) -> [u32; 2] {
    match spec.resize {
        Some(Resize::Exact(size)) => size,
        Some(Resize::Shorter(side) | Resize::Longer(side)) => [side, side],
        None => [0, 0],
    }
}

fn read(path: &Path) -> Result<PreprocessSpec> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let spec = ModelSpec::from_toml(&text).map_err(|e| e.context(format!("`{}`", path.display())))?;
    spec.preprocess.ok_or_else(|| {
        Error::new(ErrorKind::InvalidConfig, format!("`{}` has no `[preprocess]` section", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use tintype_core::{Channels, DType, Layout, Preset};

    use super::*;
    use crate::config::resolve;

    fn config(extra: &str) -> TrainConfig {
        let words: Vec<String> =
            format!("backbone=b data=d {extra}").split_whitespace().map(str::to_owned).collect();
        resolve(&words).unwrap()
    }

    fn input(shape: [Option<usize>; 4]) -> TensorSpec {
        TensorSpec { name: "x".into(), dtype: DType::F32, shape: shape.to_vec() }
    }

    #[test]
    fn a_preset_takes_its_size_from_the_graph_or_the_network() {
        let nchw = input([None, Some(3), Some(224), Some(224)]);
        let found = for_model(&config("preprocess=imagenet"), None, &nchw).unwrap();
        assert_eq!((found.crop, found.layout), (Some([224, 224]), Layout::Nchw));
        let own = PreprocessSpec { resize: Some(Resize::Exact([64, 64])), ..PreprocessSpec::default() };
        assert_eq!(for_scratch(&config(""), own.clone()).unwrap(), own);
        assert_eq!(for_scratch(&config("preprocess=imagenet"), own).unwrap().crop, Some([64, 64]));
    }

    #[test]
    fn a_package_brings_its_own_and_a_word_overrules_it() {
        let nchw = input([None, Some(3), Some(64), Some(64)]);
        let own = Preset::Inception.spec([64, 64]);
        assert_eq!(for_model(&config(""), Some(&own), &nchw).unwrap(), own);
        let other = for_model(&config("preprocess=clip"), Some(&own), &nchw).unwrap();
        assert_eq!(other, Preset::Clip.spec([64, 64]));
        let error = for_model(&config(""), None, &nchw).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.contains("spec=F.toml") && hint.contains("preprocess=imagenet"), "{hint}");
    }

    #[test]
    fn a_spec_file_must_have_the_section() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        std::fs::write(&path, "[postprocess]\ntop_k = 1\n").unwrap();
        let error =
            for_scratch(&config(&format!("spec={}", path.display())), PreprocessSpec::default()).unwrap_err();
        assert!(error.message().ends_with("has no `[preprocess]` section"), "{error}");
        std::fs::write(&path, "[preprocess]\nchannels = \"bgr\"\n").unwrap();
        let found =
            for_scratch(&config(&format!("spec={}", path.display())), PreprocessSpec::default()).unwrap();
        assert_eq!(found.channels, Channels::Bgr);
    }
}
