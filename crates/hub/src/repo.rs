//! What a repository on the hub is called.

use tintype_core::{Error, ErrorKind, Result};

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoKind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

impl RepoKind {
    /// The hub's word in addresses of its API and in the cache: `models` or `datasets`.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

/// A repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// What it holds.
    pub kind: RepoKind,
    /// `owner/name`, or `name` alone for the oldest.
    pub name: String,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl Repo {
    /// The repository that `hf://owner/name[@revision]` means; `hf://datasets/owner/name` is a data set whatever `kind`
    /// says. The revision is `main` where absent.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else.
    pub fn parse(address: &str, kind: RepoKind) -> Result<Self> {
        let wrong = || {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("expected `hf://owner/name` or `hf://owner/name@revision`, found `{address}`"),
            )
        };
        let rest = address.strip_prefix("hf://").ok_or_else(wrong)?;
        let (rest, kind) = match rest.split_once('/') {
            Some(("datasets", rest)) => (rest, RepoKind::Dataset),
            Some(("models", rest)) => (rest, RepoKind::Model),
            _ => (rest, kind),
        };
        let (name, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) || !is_path(revision) {
            return Err(wrong());
        }
        Ok(Self { kind, name: name.to_owned(), revision: revision.to_owned() })
    }

    /// The folder in the cache, as `models--owner--name`.
    pub(crate) fn folder(&self) -> String {
        format!("{}--{}", self.kind.plural(), self.name.replace('/', "--"))
    }

    /// The address of a file.
    pub(crate) fn file_url(&self, endpoint: &str, path: &str) -> String {
        let kind = match self.kind {
            RepoKind::Model => "",
            RepoKind::Dataset => "datasets/",
        };
        format!(
            "{endpoint}/{kind}{}/resolve/{}/{}",
            self.name,
            encoded(&self.revision, ""),
            encoded(path, "/")
        )
    }

    /// The address of the list of files.
    pub(crate) fn info_url(&self, endpoint: &str) -> String {
        format!(
            "{endpoint}/api/{}/{}/revision/{}",
            self.kind.plural(),
            self.name,
            encoded(&self.revision, "")
        )
    }
}

/// Whether it can be a part of a repository's name, and of a path.
fn is_name(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty() && part.chars().all(allowed) && !part.starts_with('.') && !part.contains("..")
}

/// Whether it stays within a folder it is put under.
pub(crate) fn is_path(path: &str) -> bool {
    !path.contains('\\')
        && !path.contains('\0')
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Text as part of an address; what is `kept` is not a part's content but stands between parts.
fn encoded(text: &str, kept: &str) -> String {
    let mut url = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-_.~".contains(c) || kept.contains(c) {
            url.push(c);
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let repo = Repo::parse("hf://timm/resnet18.a1_in1k", RepoKind::Model).unwrap();
        assert_eq!((repo.name.as_str(), repo.revision.as_str()), ("timm/resnet18.a1_in1k", "main"));
        assert_eq!(repo.folder(), "models--timm--resnet18.a1_in1k");
        let repo = Repo::parse("hf://datasets/o/d@refs/pr/1", RepoKind::Model).unwrap();
        assert_eq!(
            repo.file_url("http://h", "a b/ü.png"),
            "http://h/datasets/o/d/resolve/refs%2Fpr%2F1/a%20b/%C3%BC.png"
        );
        assert_eq!(repo.info_url("http://h"), "http://h/api/datasets/o/d/revision/refs%2Fpr%2F1");
        assert_eq!(Repo::parse("hf://gpt2", RepoKind::Model).unwrap().name, "gpt2");
    }

    #[test]
    fn what_would_leave_the_cache_is_refused() {
        for address in [
            "timm/x",
            "hf://",
            "hf://a/b/c",
            "hf://../x",
            "hf://a/..",
            "hf://a/b@",
            "hf://a/b@../../x",
            "hf://a b/c",
        ] {
            let error = Repo::parse(address, RepoKind::Model).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{address}");
        }
    }
}
