//! Routes that want a key: a header whose value only some know.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tintype_core::{Error, ErrorKind, Result};

/// A family of routes, and of methods, that may want a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Whether server and models are ready.
    Health,
    /// What they are.
    Metadata,
    /// Asking models.
    Inference,
    /// Regions of shared memory.
    SharedMemory,
    /// Configurations of models.
    ModelConfig,
    /// Index, load and unload.
    ModelRepository,
    /// What models did.
    Statistics,
    /// What is traced.
    Trace,
    /// What is logged.
    Logging,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 9] = [
        Self::Health,
        Self::Metadata,
        Self::Inference,
        Self::SharedMemory,
        Self::ModelConfig,
        Self::ModelRepository,
        Self::Statistics,
        Self::Trace,
        Self::Logging,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Metadata => "metadata",
            Self::Inference => "inference",
            Self::SharedMemory => "shared-memory",
            Self::ModelConfig => "model-config",
            Self::ModelRepository => "model-repository",
            Self::Statistics => "statistics",
            Self::Trace => "trace",
            Self::Logging => "logging",
        }
    }
}

/// Families that want a key: `<family>[,<family>…]:<header>=<value>` on the command line.
#[derive(Clone, PartialEq, Eq)]
pub struct Restriction {
    families: Vec<Family>,
    header: String,
    value: String,
}

impl fmt::Debug for Restriction {
    /// Without the value, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { families, header, .. } = self;
        f.debug_struct("Restriction")
            .field("families", families)
            .field("header", header)
            .finish_non_exhaustive()
    }
}

impl FromStr for Restriction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason: String| {
            Error::new(ErrorKind::InvalidArgument, reason)
                .with_hint("write `<api>[,<api>…]:<header>=<value>`")
        };
        let parts = text.split_once(':').and_then(|(families, rest)| Some((families, rest.split_once('=')?)));
        let Some((families, (header, value))) = parts else {
            return Err(wrong(format!("expected a restriction, found `{text}`")));
        };
        if header.is_empty() || axum::http::HeaderName::from_str(header).is_err() {
            return Err(wrong(format!("expected the name of a header, found `{header}`")));
        }
        let families = families.split(',').map(|name| {
            let found = Family::ALL.into_iter().find(|family| family.as_str() == name.trim());
            found.ok_or_else(|| {
                let known = Family::ALL.map(Family::as_str).join("`, `");
                wrong(format!("expected one of `{known}`, found `{name}`"))
            })
        });
        let families = families.collect::<Result<_>>()?;
        Ok(Self { families, header: header.to_ascii_lowercase(), value: value.to_owned() })
    }
}

/// The restrictions of both protocols.
#[derive(Debug, Clone, Default)]
pub struct Restrictions {
    /// Of HTTP's routes.
    pub http: Arc<[Restriction]>,
    /// Of gRPC's methods; their headers begin with `triton-grpc-protocol-`.
    pub grpc: Arc<[Restriction]>,
}

impl Restrictions {
    /// Whether HTTP's routes of `family` want a key.
    pub(crate) fn locks_http(&self, family: Family) -> bool {
        self.http.iter().any(|restriction| restriction.families.contains(&family))
    }
}

/// What gRPC's headers of restrictions begin with.
pub(crate) const GRPC_PREFIX: &str = "triton-grpc-protocol-";

/// The header that `family` wants, unless `header` has the right value of it.
pub(crate) fn missing<'a>(
    restrictions: &[Restriction],
    prefix: &str,
    family: Family,
    header: impl Fn(&str) -> Option<&'a [u8]>,
) -> Option<String> {
    let restriction = restrictions.iter().find(|restriction| restriction.families.contains(&family))?;
    let name = format!("{prefix}{}", restriction.header);
    let right = header(&name).is_some_and(|value| same(value, restriction.value.as_bytes()));
    (!right).then_some(name)
}

/// Compares in a time that does not tell how much of it is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
