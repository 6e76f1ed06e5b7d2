//! Fetching and listing, from the hub or, offline, from the cache alone.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tintype_core::{Error, ErrorKind, Result};

use crate::cache::{Cache, check_path, is_tag};
use crate::download::Content;
use crate::repo::Repo;
use crate::settings::Settings;
use crate::wire::{Ask, Wire, check, header};

/// Is told of a download: path, bytes so far, bytes in all where they are known.
pub(crate) type Progress = dyn Fn(&str, u64, Option<u64>) + Send + Sync;

/// The hub.
pub struct Hub {
    settings: Settings,
    wire: Wire,
    progress: Box<Progress>,
}

/// The part of the hub's description of a repository that matters here.
#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Hub {
    /// A hub with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { wire: Wire::new(&settings), settings, progress: Box::new(|_, _, _| {}) }
    }

    /// The same hub, with someone who is told of downloads: path, bytes so far, bytes in all where they are known.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(&str, u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// A file of a repository, out of the cache where its content is there already.
    ///
    /// # Errors
    /// `NotFound` for a repository, revision or file that the hub, or offline the cache, does not have; `Io` when the hub
    /// cannot be reached or breaks off; `InvalidPackage` for a content that is not what the hub promised;
    /// `InvalidArgument` for a path that leads out of the repository.
    pub fn fetch_file(&self, repo: &Repo, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        let cache = Cache::of(&self.settings.cache, repo);
        if let Some(file) = self.at_hand(&cache, repo, path) {
            return Ok(file);
        }
        if self.settings.offline {
            return Err(offline(repo, &format!("`{path}`")));
        }
        let url = repo.file_url(&self.settings.endpoint, path);
        let answer = self.wire.ask(&url, Ask::Head)?;
        check(&answer, repo, path)?;
        let headers = answer.headers();
        let tag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag"));
        let tag = tag.map(|tag| tag.trim_start_matches("W/").trim_matches('"')).filter(|tag| is_tag(tag));
        let commit = header(headers, "x-repo-commit").filter(|commit| is_tag(commit));
        let (Some(tag), Some(commit)) = (tag, commit) else {
            return Err(Error::new(
                ErrorKind::Io,
                format!("`{}` does not answer as a hub does", self.settings.endpoint),
            ));
        };
        let length = header(headers, "x-linked-size").or_else(|| header(headers, "content-length"));
        let length = length
            .and_then(|length| length.parse().ok())
            .filter(|_| answer.status().is_success() || header(headers, "x-linked-size").is_some());
        cache.keep_commit(&repo.revision, commit)?;
        let blob = cache.blob(tag);
        let _lock = cache.lock(tag)?;
        if !blob.is_file() {
            Content { repo, path, url: &url, tag, length }.fetch(&self.wire, &blob, &*self.progress)?;
        }
        cache.point(commit, path, tag)
    }

    /// Several files of one commit, in the folder that is returned: those of `paths` lie there under their paths.
    ///
    /// # Errors
    /// As [`Hub::fetch_file`].
    pub fn fetch_files(&self, repo: &Repo, paths: &[String]) -> Result<PathBuf> {
        let cache = Cache::of(&self.settings.cache, repo);
        // A branch that moves in the middle must not mix two commits, and of a commit nothing is asked twice.
        let revision = cache.commit(&repo.revision).unwrap_or_else(|| repo.revision.clone());
        let pinned = Repo { revision, ..repo.clone() };
        let mut folder = None;
        for path in paths {
            let file = self.fetch_file(&pinned, path)?;
            folder = file.ancestors().nth(path.split('/').count()).map(Path::to_owned);
        }
        folder.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("`{}` at `{}` has no such files", repo.name, repo.revision),
            )
        })
    }

    /// The files of a repository, sorted; offline those in the cache.
    ///
    /// # Errors
    /// As [`Hub::fetch_file`].
    pub fn list_files(&self, repo: &Repo) -> Result<Vec<String>> {
        let cache = Cache::of(&self.settings.cache, repo);
        if self.settings.offline {
            let commit = cache.commit(&repo.revision).ok_or_else(|| offline(repo, "the revision"))?;
            return Ok(cache.files(&commit));
        }
        let mut answer = self.wire.ask(&repo.info_url(&self.settings.endpoint), Ask::From(0))?;
        check(&answer, repo, "")?;
        let unreadable = |what: String| {
            Error::new(ErrorKind::Io, format!("the hub's description of `{}`: {what}", repo.name))
        };
        let text = answer.body_mut().read_to_string().map_err(|e| unreadable(e.to_string()))?;
        let info: Info = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
        if is_tag(&info.sha) {
            cache.keep_commit(&repo.revision, &info.sha)?;
        }
        let mut files: Vec<String> = info.siblings.into_iter().map(|s| s.rfilename).collect();
        files.sort();
        Ok(files)
    }

    /// A file that needs no question: of a commit, which never changes, or offline.
    fn at_hand(&self, cache: &Cache, repo: &Repo, path: &str) -> Option<PathBuf> {
        let is_commit = repo.revision.len() == 40 && repo.revision.bytes().all(|b| b.is_ascii_hexdigit());
        if !self.settings.offline && !is_commit {
            return None;
        }
        cache.file(&cache.commit(&repo.revision)?, path)
    }
}

fn offline(repo: &Repo, what: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("{what} of `{}` at `{}` is not in the cache", repo.name, repo.revision),
    )
    .with_hint("`HF_HUB_OFFLINE` is set: unset it to ask the hub")
}
