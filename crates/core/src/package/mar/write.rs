//! Writing a `.mar`, the same bytes for the same package.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

use super::manifest::{self, Manifest, Model};
use super::read::DIGESTS_PATH;
use super::{INDEX_TO_NAME, MANIFEST_PATH};
use crate::package::digest::{self, Digests};
use crate::package::{MODEL_FILE, Package, SPEC_FILE, external, labels, quoted};
use crate::{Error, ErrorKind, ModelSpec, Result};

/// How a `.mar` is written.
#[derive(Debug, Clone, Copy)]
pub struct MarOptions {
    /// The manifest's `createdOn`, in whole seconds; the one part of the archive that the package does not decide.
    pub created: SystemTime,
    /// Whether a file that exists is replaced.
    pub overwrite: bool,
}

impl Default for MarOptions {
    /// Created now, nothing replaced.
    fn default() -> Self {
        Self { created: SystemTime::now(), overwrite: false }
    }
}

/// One file of the archive.
struct Entry<'a> {
    name: &'static str,
    content: &'a [u8],
    method: CompressionMethod,
}

/// Writes `package` to `path`.
pub(in crate::package) fn write(package: &Package, path: &Path, options: &MarOptions) -> Result<()> {
    if path.exists() && !options.overwrite {
        return Err(exists(path));
    }
    let model = package.model.bytes()?;
    if let Some(location) = external::locations(&model)?.first() {
        return Err(external_data(location));
    }
    let manifest = manifest_json(package, options.created)?;
    // The manifest names the model's file.
    let spec = ModelSpec { model: None, ..package.spec.clone() }.to_toml()?;
    let index_to_name = labels::to_index_to_name(&package.labels);
    let text = |name, content| Entry { name, content, method: CompressionMethod::Deflated };
    let mut entries = vec![text(MANIFEST_PATH, manifest.as_bytes()), text(SPEC_FILE, spec.as_bytes())];
    if !package.labels.is_empty() {
        entries.push(text(INDEX_TO_NAME, index_to_name.as_bytes()));
    }
    // Weights shrink by a tenth at best; stored, they are read at the speed of the disk.
    entries.push(Entry { name: MODEL_FILE, content: &model, method: CompressionMethod::Stored });
    let digests: Digests = entries.iter().map(|e| (e.name.to_owned(), digest::of_bytes(e.content))).collect();
    let digests = digest::to_text(&digests);
    entries.insert(1, text(DIGESTS_PATH, digests.as_bytes()));
    place(path, options.overwrite, |file| write_zip(file, &entries))
}

fn manifest_json(package: &Package, created: SystemTime) -> Result<String> {
    let manifest = Manifest {
        created_on: manifest::created_on(created),
        runtime: "python".to_owned(),
        model: Model {
            model_name: package.name.clone(),
            serialized_file: Some(MODEL_FILE.to_owned()),
            handler: "image_classifier".to_owned(),
            model_version: Some(package.version.clone()),
        },
        archiver_version: concat!("tintype-", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    serde_json::to_string_pretty(&manifest).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
}

fn write_zip(file: &mut File, entries: &[Entry<'_>]) -> io::Result<()> {
    let mut zip = ZipWriter::new(io::BufWriter::new(file));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(entry.method)
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644)
            .large_file(entry.content.len() as u64 >= u64::from(u32::MAX));
        zip.start_file(entry.name, options)?;
        zip.write_all(entry.content)?;
    }
    zip.finish()?.flush()
}

/// Writes a file under a temporary name in the same directory and renames it to `path`, so that `path` is never half a
/// file.
fn place(path: &Path, overwrite: bool, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    // Temporary files are private by default; this one becomes an ordinary file, of which the umask has its part.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(|e| Error::io(folder, e))?;
    content(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(|e| Error::io(path, e))?;
    let placed = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    match placed {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(e) => Err(Error::io(path, e.error)),
    }
}

fn exists(path: &Path) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{} exists already", quoted(path)))
        .with_hint("choose another name, or remove that file first")
}

/// The error for a model whose weights would have to lie beside it.
pub(super) fn external_data(location: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the model keeps weights in `{location}`, which a `.mar` cannot hold beside it"),
    )
    .with_hint("save the model as one file, with `onnx.save(onnx.load(\"model.onnx\"), \"one.onnx\")`, or use a model directory")
}
