//! Reading a `.mar`, ours or one of `torch-model-archiver`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::manifest::Manifest;
use super::{INDEX_TO_NAME, MANIFEST_PATH};
use crate::package::archive::{Archive, ArchiveLimits};
use crate::package::digest::{self, Digests};
use crate::package::{ModelSource, Package, SPEC_FILE, check_name, external, labels, locate};
use crate::{Error, ErrorKind, Filter, ModelSpec, PreprocessSpec, Resize, Result};

/// The digests' name in the archive.
pub(in crate::package) const DIGESTS_PATH: &str = "MAR-INF/SHA256SUMS";

/// The most bytes of a manifest, spec, list of labels or list of digests.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// Reads a `.mar` into memory.
pub(in crate::package) fn read(path: &Path, limits: &ArchiveLimits) -> Result<Package> {
    let mut mar = Mar { archive: Archive::open(path, limits)?, digests: Digests::new() };
    if let Some(text) = mar.text(DIGESTS_PATH)? {
        mar.digests = digest::parse(&text)?;
    }
    let manifest = mar.manifest()?;
    let (name, version) = (&manifest.model.model_name, manifest.model.model_version.as_deref());
    check_name(name).map_err(|e| invalid(MANIFEST_PATH, e.message()))?;
    let model = mar.model(&manifest)?;
    Ok(Package {
        name: name.clone(),
        version: version.map(str::trim).filter(|v| !v.is_empty()).unwrap_or("1.0").to_owned(),
        spec: mar.spec(&manifest)?,
        labels: mar.labels()?,
        model: ModelSource::Bytes(model),
        config: None,
        output_labels: BTreeMap::new(),
    })
}

struct Mar {
    archive: Archive,
    /// What the archive says of itself; empty in TorchServe's own.
    digests: Digests,
}

impl Mar {
    /// The content of a file, checked against its digest.
    fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let content = self.archive.read(name)?;
        if let Some(content) = &content {
            digest::check(&self.digests, name, content)?;
        }
        Ok(content)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        let size = self.archive.files().find(|(found, _)| *found == name).map(|(_, size)| size);
        if size.is_some_and(|size| size > MAX_TEXT_BYTES) {
            return Err(Error::new(
                ErrorKind::PayloadTooLarge,
                format!("`{name}`: at most {MAX_TEXT_BYTES} bytes are taken"),
            ));
        }
        match self.bytes(name)?.map(String::from_utf8) {
            Some(Ok(text)) => Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))),
            Some(Err(_)) => Err(invalid(name, "expected UTF-8 text")),
            None => Ok(None),
        }
    }

    fn manifest(&mut self) -> Result<Manifest> {
        let Some(text) = self.text(MANIFEST_PATH)? else {
            // What `torch.save` and `torch.jit.save` write are zip archives too.
            if self.archive.files().any(|(name, _)| name.ends_with("data.pkl")) {
                return Err(locate::not_onnx("a PyTorch checkpoint"));
            }
            return Err(Error::new(
                ErrorKind::InvalidPackage,
                format!("the archive has no `{MANIFEST_PATH}`, so it is no `.mar`"),
            ));
        };
        serde_json::from_str(&text).map_err(|e| invalid(MANIFEST_PATH, e))
    }

    fn model(&mut self, manifest: &Manifest) -> Result<Arc<[u8]>> {
        let Some(file) = &manifest.model.serialized_file else {
            return Err(locate::not_onnx(&format!("what handler `{}` loads", manifest.model.handler)));
        };
        if !file.to_lowercase().ends_with(".onnx") {
            return Err(locate::not_onnx(&format!("its serialized file `{file}`")));
        }
        let Some(bytes) = self.bytes(file)? else {
            return Err(invalid(MANIFEST_PATH, format!("names `{file}`, which the archive does not hold")));
        };
        if let Some(location) = external::locations(&bytes)?.first() {
            return Err(super::write::external_data(location));
        }
        Ok(bytes.into())
    }

    fn spec(&mut self, manifest: &Manifest) -> Result<ModelSpec> {
        match self.text(SPEC_FILE)? {
            Some(text) => {
                let spec = ModelSpec::from_toml(&text).map_err(|e| e.context(format!("`{SPEC_FILE}`")))?;
                match spec.model {
                    Some(_) => Err(invalid(
                        SPEC_FILE,
                        "`model` is for directories: an archive's manifest names its file",
                    )),
                    None => Ok(spec),
                }
            }
            None if manifest.model.handler == "image_classifier" => Ok(image_classifier()),
            None => Ok(ModelSpec::default()),
        }
    }

    fn labels(&mut self) -> Result<Vec<String>> {
        match self.text(INDEX_TO_NAME)? {
            Some(text) => {
                labels::parse_index_to_name(&text).map_err(|e| e.context(format!("`{INDEX_TO_NAME}`")))
            }
            None => Ok(Vec::new()),
        }
    }
}

/// What TorchServe's built-in `image_classifier` does, which an archive without a spec means by naming it: `Resize(256)`,
/// `CenterCrop(224)`, `ToTensor`, ImageNet's mean and deviation, softmax, five best.
fn image_classifier() -> ModelSpec {
    let origin = "that of TorchServe's `image_classifier` handler, which the archive names";
    ModelSpec {
        preprocess: Some(PreprocessSpec {
            // The handler opens the picture with Pillow and never looks at its EXIF orientation.
            exif: crate::Exif::Ignore,
            channels: crate::Channels::Rgb,
            resize: Some(Resize::Shorter(256)),
            filter: Filter::Bilinear,
            crop: Some([224, 224]),
            pad: None,
            layout: crate::Layout::Nchw,
            dtype: crate::PixelType::F32,
            scale: 1.0 / 255.0,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }),
        provenance: BTreeMap::from([("preprocess".to_owned(), origin.to_owned())]),
        ..ModelSpec::default()
    }
}

fn invalid(file: &str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidPackage, format!("`{file}`: {what}"))
}
