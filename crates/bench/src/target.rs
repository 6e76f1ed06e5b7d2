//! Where a server listens.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use tintype_core::{Error, ErrorKind, Result};

/// A server's address, perhaps with a path: `http://127.0.0.1:8000/predict`, `127.0.0.1:8001`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host and port.
    pub authority: String,
    /// Path and query; empty where there is no path but `/`.
    pub path: String,
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::new(ErrorKind::InvalidArgument, format!("`{text}`: {reason}"));
        let uri: Uri = text.parse().map_err(|e: hyper::http::uri::InvalidUri| invalid(&e.to_string()))?;
        if let Some(scheme) = uri.scheme_str().filter(|&scheme| scheme != "http" && scheme != "grpc") {
            return Err(invalid(&format!("expected `http` or `grpc`, found `{scheme}`"))
                .with_hint("TLS is not spoken; measure the server behind its proxy"));
        }
        let authority = uri.authority().ok_or_else(|| invalid("expected a host and a port"))?;
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            path: if path == "/" { String::new() } else { path.to_owned() },
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let of = |text: &str| text.parse::<Target>().map(|t| (t.authority, t.path));
        let is = |authority: &str, path: &str| (authority.to_owned(), path.to_owned());
        assert_eq!(of("http://127.0.0.1:8000").unwrap(), is("127.0.0.1:8000", ""));
        assert_eq!(of("http://host/").unwrap(), is("host:80", ""));
        assert_eq!(of("http://host/predict/?top_k=1").unwrap(), is("host:80", "/predict/?top_k=1"));
        assert_eq!(of("localhost:8001").unwrap(), is("localhost:8001", ""));
        assert_eq!(of("grpc://[::1]:8001").unwrap(), is("[::1]:8001", ""));
        assert!(of("https://host").is_err());
        assert!(of("/models/m").is_err());
    }
}
