//! gzip and deflate, of bodies that come and bodies that go.

use std::io::Read;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder};
use tintype_core::{Error, ErrorKind, Result};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Deflate].into_iter().find(|coding| coding.as_str().eq_ignore_ascii_case(name))
    }

    /// How a request's body is compressed.
    ///
    /// # Errors
    /// `UnsupportedMediaType` for other ways.
    pub(crate) fn of_request(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
        let name = String::from_utf8_lossy(value.as_bytes());
        match name.trim() {
            "" | "identity" => Ok(None),
            name => Self::named(name).map(Some).ok_or_else(|| {
                Error::new(
                    ErrorKind::UnsupportedMediaType,
                    format!("expected content encoding `gzip` or `deflate`, found `{name}`"),
                )
            }),
        }
    }

    /// How the client would most like an answer to be compressed; `None` for not at all.
    pub(crate) fn of_answer(headers: &HeaderMap) -> Option<Self> {
        let mut best: Option<(Self, f32)> = None;
        let mut plain = 0.0f32;
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for item in value.to_str().unwrap_or_default().split(',') {
                let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
                let quality = parameters.trim().strip_prefix("q=");
                let quality: f32 = quality.map_or(Some(1.0), |q| q.trim().parse().ok()).unwrap_or(0.0);
                if name.trim().eq_ignore_ascii_case("identity") {
                    plain = quality;
                }
                if let Some(coding) = Self::named(name.trim())
                    && quality > best.map_or(0.0, |(_, quality)| quality)
                {
                    best = Some((coding, quality));
                }
            }
        }
        best.filter(|&(_, quality)| quality >= plain).map(|(coding, _)| coding)
    }

    /// The bytes behind `body`, at most `limit`.
    ///
    /// # Errors
    /// `PayloadTooLarge`; `InvalidRequest` for a body that is damaged.
    pub(crate) fn decompress(self, body: &[u8], limit: usize) -> Result<Bytes> {
        let mut plain = Vec::with_capacity(body.len().saturating_mul(2).min(limit));
        // One more than the limit tells what is too large from what is just so.
        let most = (limit as u64).saturating_add(1);
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(body).take(most).read_to_end(&mut plain),
            Self::Deflate => ZlibDecoder::new(body).take(most).read_to_end(&mut plain),
        };
        read.map_err(|error| {
            let name = self.as_str();
            Error::new(ErrorKind::InvalidRequest, format!("the body is not {name}: {error}"))
                .with_source(error)
        })?;
        if plain.len() > limit {
            return Err(Error::new(
                ErrorKind::PayloadTooLarge,
                format!("expected a body of at most {limit} bytes once it is decompressed"),
            ));
        }
        Ok(plain.into())
    }

    /// `body`, compressed for speed.
    ///
    /// # Errors
    /// `Internal` when that fails.
    pub(crate) fn compress(self, body: &[u8]) -> Result<Vec<u8>> {
        let mut packed = Vec::with_capacity(body.len() / 2);
        let read = match self {
            Self::Gzip => GzEncoder::new(body, Compression::fast()).read_to_end(&mut packed),
            Self::Deflate => ZlibEncoder::new(body, Compression::fast()).read_to_end(&mut packed),
        };
        read.map_err(|error| Error::new(ErrorKind::Internal, "compressing an answer").with_source(error))?;
        Ok(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, axum::http::HeaderValue::from_static(value));
        Coding::of_answer(&headers)
    }

    #[test]
    fn the_client_chooses() {
        for (value, expected) in [
            ("gzip", Some(Coding::Gzip)),
            ("deflate, gzip", Some(Coding::Deflate)),
            ("deflate;q=0.5, GZIP;q=0.8", Some(Coding::Gzip)),
            ("br, zstd", None),
            ("gzip;q=0", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.2, gzip;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=much", None),
            ("", None),
        ] {
            assert_eq!(accepting(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_within_the_limit() {
        let body = vec![7; 100_000];
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = coding.compress(&body).unwrap();
            assert!(packed.len() < 1000);
            assert_eq!(coding.decompress(&packed, 100_000).unwrap(), body);
            assert_eq!(coding.decompress(&packed, 99_999).unwrap_err().kind(), ErrorKind::PayloadTooLarge);
            let cut = coding.decompress(&packed[..packed.len() - 5], 100_000).unwrap_err();
            assert_eq!(cut.kind(), ErrorKind::InvalidRequest);
            assert_eq!(coding.decompress(b"hello", 100).unwrap_err().kind(), ErrorKind::InvalidRequest);
        }
    }
}
