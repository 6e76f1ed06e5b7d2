//! What a [`PreprocessSpec`] must fulfil before it can run.

use crate::{Error, ErrorKind, PixelType, PreprocessSpec, Resize, Result};

/// The largest side that a spec may ask for.
const MAX_SIDE: u32 = 16_384;

/// Checks every key.
pub(super) fn validate(spec: &PreprocessSpec) -> Result<()> {
    match spec.resize {
        Some(Resize::Shorter(n)) => side("resize.shorter", n)?,
        Some(Resize::Longer(n)) => side("resize.longer", n)?,
        Some(Resize::Exact(size)) => sides("resize.exact", size)?,
        None => {}
    }
    if let Some(size) = spec.crop {
        sides("crop", size)?;
    }
    if let Some(pad) = spec.pad {
        sides("pad.size", pad.size)?;
        if spec.crop.is_some() {
            return Err(invalid("expected either `crop` or `pad`, found both"));
        }
    }
    if spec.dtype == PixelType::U8 {
        return raw_pixels(spec);
    }
    if !spec.scale.is_finite() || spec.scale == 0.0 {
        return Err(invalid(format!("`scale`: expected a finite number other than 0, found {}", spec.scale)));
    }
    per_channel("mean", &spec.mean, spec)?;
    per_channel("std", &spec.std, spec)?;
    match spec.std.iter().find(|&&std| std <= 0.0) {
        Some(std) => Err(invalid(format!("`std`: expected numbers above 0, found {std}"))),
        None => Ok(()),
    }
}

fn raw_pixels(spec: &PreprocessSpec) -> Result<()> {
    let key = if spec.scale != 1.0 {
        "scale"
    } else if !spec.mean.is_empty() {
        "mean"
    } else if !spec.std.is_empty() {
        "std"
    } else {
        return Ok(());
    };
    Err(invalid(format!("`{key}`: expected none with `dtype = \"u8\"`, which leaves the pixels as they are")))
}

fn per_channel(key: &str, values: &[f64], spec: &PreprocessSpec) -> Result<()> {
    let channels = spec.channels.count();
    if ![0, 1, channels].contains(&values.len()) {
        return Err(invalid(format!(
            "`{key}`: expected {}, found {} values",
            if channels == 1 { "1 value".to_owned() } else { format!("1 or {channels} values") },
            values.len()
        )));
    }
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(invalid(format!("`{key}`: expected finite numbers, found {value}"))),
        None => Ok(()),
    }
}

fn sides(key: &str, [height, width]: [u32; 2]) -> Result<()> {
    side(key, height)?;
    side(key, width)
}

fn side(key: &str, found: u32) -> Result<()> {
    if (1..=MAX_SIDE).contains(&found) {
        return Ok(());
    }
    Err(invalid(format!("`{key}`: expected 1 to {MAX_SIDE} pixels, found {found}")))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}
