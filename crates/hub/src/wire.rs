//! Requests to the hub and what its answers mean.

use std::time::Duration;

use tintype_core::{Error, ErrorKind, Result};
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body};

use crate::repo::Repo;
use crate::settings::Settings;

/// Redirections that are followed one after another.
const MAX_REDIRECTIONS: usize = 8;
/// How long a hub may take to answer; its content may take longer.
const ANSWER: Duration = Duration::from_secs(30);

/// How a request is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// For the headers alone, up to the redirection that leads away from the hub.
    Head,
    /// For the content, from this byte on.
    From(u64),
}

/// A client that redirects by itself, so that the token stays with the hub.
pub(crate) struct Wire {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

impl Wire {
    pub fn new(settings: &Settings) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("tintype/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), endpoint: settings.endpoint.clone(), token: settings.token.clone() }
    }

    /// Asks for `url`, wherever it leads.
    ///
    /// # Errors
    /// `Io` when nobody answers, or only with redirections.
    pub fn ask(&self, url: &str, ask: Ask) -> Result<Response<Body>> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTIONS {
            let token = self.token.as_ref().filter(|_| self.is_hub(&url));
            let mut request = match ask {
                Ask::Head => self.agent.head(&url),
                Ask::From(_) => self.agent.get(&url),
            };
            // Packed content would have another length than is promised.
            request = request.header("Accept-Encoding", "identity");
            if let Some(token) = token {
                request = request.header("Authorization", &format!("Bearer {token}"));
            }
            if let Ask::From(start) = ask
                && start > 0
            {
                request = request.header("Range", &format!("bytes={start}-"));
            }
            let answer = request.call().map_err(|e| unreachable_hub(&url, &e))?;
            let Some(target) = redirection(&answer) else { return Ok(answer) };
            if ask == Ask::Head
                && target.contains("://")
                && header(answer.headers(), "x-linked-etag").is_some()
            {
                return Ok(answer);
            }
            url = joined(&url, target);
        }
        Err(Error::new(ErrorKind::Io, format!("`{url}`: more than {MAX_REDIRECTIONS} redirections")))
    }

    fn is_hub(&self, url: &str) -> bool {
        origin(url) == origin(&self.endpoint)
    }
}

/// Whether an answer is one.
///
/// # Errors
/// `NotFound` for a repository, revision or file that is not there or not for this user; `Io` for another failure of the hub.
pub(crate) fn check(answer: &Response<Body>, repo: &Repo, path: &str) -> Result<()> {
    let status = answer.status();
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    let code = header(answer.headers(), "x-error-code").unwrap_or_default();
    let Repo { name, revision, .. } = repo;
    let error = |what: String| Error::new(ErrorKind::NotFound, what);
    Err(match (code, status) {
        ("EntryNotFound", _) => error(format!("`{name}` has no file `{path}`")),
        ("RevisionNotFound", _) => error(format!("`{name}` has no revision `{revision}`")),
        ("GatedRepo", _) => error(format!("`{name}` asks its users to agree to its terms"))
            .with_hint("agree to them on the hub's page of it, and set `HF_TOKEN`"),
        ("RepoNotFound", _) | (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            error(format!("there is no `{name}` on the hub, or it is private"))
                .with_hint("set `HF_TOKEN` for a private one")
        }
        (_, StatusCode::NOT_FOUND) => error(format!("`{name}` has no file `{path}` at `{revision}`")),
        _ => Error::new(ErrorKind::Io, format!("the hub answered {status} for `{name}`")),
    })
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn redirection(answer: &Response<Body>) -> Option<&str> {
    let moved = answer.status().is_redirection();
    header(answer.headers(), "location").filter(|_| moved)
}

/// Scheme and host of an address.
fn origin(url: &str) -> &str {
    let rest = url.find("://").map_or(0, |at| at + 3);
    let end = url[rest..].find(['/', '?', '#']).map_or(url.len(), |at| rest + at);
    &url[..end]
}

fn joined(url: &str, target: &str) -> String {
    if target.contains("://") {
        target.to_owned()
    } else {
        format!("{}/{}", origin(url), target.trim_start_matches('/'))
    }
}

fn unreachable_hub(url: &str, error: &ureq::Error) -> Error {
    Error::new(ErrorKind::Io, format!("`{}` cannot be reached: {error}", origin(url)))
        .with_hint("`HF_HUB_OFFLINE=1` uses what is in the cache alone")
}
