//! When a request's answer is of no use any more.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use tintype_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::ServerConfig;

/// The header with which a client of HTTP says how many milliseconds it will wait.
static HEADER: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// The header with which a client of gRPC says how long it will wait.
const GRPC_HEADER: &str = "grpc-timeout";

/// The sooner of what the client asks for and what the server allows, counted from now.
///
/// # Errors
/// `InvalidRequest` for a header that is not a time.
pub(crate) fn of(headers: &HeaderMap, config: &ServerConfig) -> Result<Instant> {
    let asked = match headers.get(&HEADER) {
        Some(value) => milliseconds(value.as_bytes())?,
        None => Duration::MAX,
    };
    Ok(Instant::now() + asked.min(config.request_timeout))
}

/// When a client of gRPC stops waiting; a time that cannot be read is as none.
pub(crate) fn of_grpc(headers: &HeaderMap) -> Option<Instant> {
    let asked = headers.get(GRPC_HEADER).and_then(|value| grpc_time(value.to_str().ok()?));
    Instant::now().checked_add(asked?)
}

fn milliseconds(value: &[u8]) -> Result<Duration> {
    let text = String::from_utf8_lossy(value);
    match text.trim().parse::<u64>() {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!(
                "header `X-Request-Timeout-Ms`: expected a positive number of milliseconds, found `{text}`"
            ),
        )),
    }
}

/// At most eight digits and a unit, e.g. `100m`.
fn grpc_time(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_times_are_digits_and_a_unit() {
        assert_eq!(grpc_time("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(grpc_time("3M"), Some(Duration::from_secs(180)));
        assert_eq!(grpc_time("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(grpc_time("5u"), Some(Duration::from_micros(5)));
        for wrong in ["", "m", "5", "5x", "-5m", "100000000n", "5µ"] {
            assert_eq!(grpc_time(wrong), None, "{wrong}");
        }
    }
}
