//! A data set on the hub: its files come into the hub's cache, and from there on it is a folder like any other.

use std::path::{Path, PathBuf};

use tintype_core::image::has_image_extension;
use tintype_core::{Error, ErrorKind, Result};
use tintype_hub::{Repo, RepoKind};

/// The folder that `place` means: fetched, where it is `hf://owner/name[@revision]`; otherwise none.
///
/// # Errors
/// `InvalidArgument` for another address that begins so; `NotFound` when the repository has no images; those of
/// [`tintype_hub::Hub::fetch_file`].
pub fn fetched(place: &Path) -> Result<Option<PathBuf>> {
    let Some(address) = place.to_str().filter(|text| text.starts_with("hf://")) else { return Ok(None) };
    let repo = Repo::parse(address, RepoKind::Dataset)?;
    let hub = super::hub::from_env();
    let files = hub.list_files(&repo)?;
    let wanted = images(&files);
    if wanted.is_empty() {
        let message = format!("`{address}` has neither Parquet files nor images");
        return Err(Error::new(ErrorKind::NotFound, message)
            .with_hint("the hub keeps most data sets as Parquet at the revision `@refs/convert/parquet`"));
    }
    hub.fetch_files(&repo, &wanted).map(Some)
}

/// The Parquet files, or else the images with the tables that may lie beside them.
fn images(files: &[String]) -> Vec<String> {
    let ends = |ending: &str| files.iter().filter(|f| f.ends_with(ending)).cloned().collect::<Vec<_>>();
    let parquet = ends(".parquet");
    if !parquet.is_empty() {
        return parquet;
    }
    let images = files.iter().filter(|f| has_image_extension(Path::new(f.as_str()))).cloned();
    let images: Vec<String> = images.collect();
    if images.is_empty() { images } else { [images, ends(".csv"), ends(".jsonl")].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parquet_comes_before_images_and_tables_with_these_alone() {
        let of = |files: &[&str]| images(&files.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["README.md", "data/train-0.parquet", "x.png"]), ["data/train-0.parquet"]);
        assert_eq!(of(&["README.md", "a/x.PNG", "metadata.csv"]), ["a/x.PNG", "metadata.csv"]);
        assert!(of(&["README.md", "metadata.csv", "all.zip"]).is_empty());
    }

    #[test]
    fn folders_stay_folders_and_a_wrong_address_is_refused() {
        assert_eq!(fetched(Path::new("photos")).unwrap(), None);
        let error = fetched(Path::new("hf://a/b/c")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}
