//! What the environment says, in the words of Python's `huggingface_hub`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Where the hub and its cache are.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The hub, without a slash at the end: `HF_ENDPOINT`, else `https://huggingface.co`.
    pub endpoint: String,
    /// The folder of the cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, which is `huggingface` in the user's cache.
    pub cache: PathBuf,
    /// What opens private repositories: `HF_TOKEN`, else what `hf auth login` left in the file `HF_TOKEN_PATH` or
    /// `token` in `HF_HOME`.
    pub token: Option<String>,
    /// Whether nothing but the cache is asked: `HF_HUB_OFFLINE`.
    pub offline: bool,
}

/// The token is left out.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// What the process's environment says.
    pub fn from_env() -> Self {
        Self::from(|name| std::env::var_os(name))
    }

    /// What an environment says; an empty variable is an absent one.
    pub fn from(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name: &str| {
            let value = variable(name)?.into_string().ok()?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        let home = path("HF_HOME").unwrap_or_else(|| {
            let cache = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
            cache.unwrap_or_default().join("huggingface")
        });
        let token = text("HF_TOKEN").or_else(|| {
            let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
            let token = std::fs::read_to_string(file).ok()?.trim().to_owned();
            (!token.is_empty()).then_some(token)
        });
        let is_on = |name| {
            text(name).is_some_and(|v| matches!(v.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
        };
        Self {
            endpoint: text("HF_ENDPOINT").map_or_else(
                || "https://huggingface.co".to_owned(),
                |url| url.trim_end_matches('/').to_owned(),
            ),
            cache: path("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            token,
            offline: is_on("HF_HUB_OFFLINE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        Settings::from(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    #[test]
    fn the_words_are_those_of_huggingface_hub() {
        let plain = settings(&[("HOME", "/nowhere")]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.cache, PathBuf::from("/nowhere/.cache/huggingface/hub"));
        assert!(!plain.offline && plain.token.is_none());
        let all = settings(&[
            ("HF_ENDPOINT", "http://h/"),
            ("HF_HOME", "/h"),
            ("HF_TOKEN", " secret\n"),
            ("HF_HUB_OFFLINE", "true"),
        ]);
        assert_eq!((all.endpoint.as_str(), all.cache), ("http://h", PathBuf::from("/h/hub")));
        assert_eq!((all.token.as_deref(), all.offline), (Some("secret"), true));
        assert_eq!(settings(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/h")]).cache, PathBuf::from("/c"));
    }

    #[test]
    fn the_token_is_read_from_the_login_and_never_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_abc\n").unwrap();
        let found = settings(&[("HF_HOME", home.path().to_str().unwrap())]);
        assert_eq!(found.token.as_deref(), Some("hf_abc"));
        assert!(!format!("{found:?}").contains("hf_abc"));
    }
}
