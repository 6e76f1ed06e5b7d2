//! timm's and transformers' words for a preprocessing.

use serde_json::Value;
use tintype_core::{Error, ErrorKind, Filter, PreprocessSpec, Resize, Result};

/// timm's evaluation transform (`create_transform`), with the height and width of the input.
///
/// # Errors
/// `Unsupported` for a crop that is neither in the centre nor a squeeze.
pub fn of_timm(config: &Value) -> Result<(Option<PreprocessSpec>, Option<usize>)> {
    let Some([_, height, width]) =
        config.get("input_size").and_then(numbers).and_then(|n| <[f64; 3]>::try_from(n).ok())
    else {
        return Ok((None, None));
    };
    let size: [u32; 2] = [height as u32, width as u32];
    let share = config.get("crop_pct").and_then(Value::as_f64).unwrap_or(0.875);
    let larger = |side: u32| (f64::from(side) / share).floor() as u32;
    let resize = match config.get("crop_mode").and_then(Value::as_str).unwrap_or("center") {
        "center" if height == width => Resize::Shorter(larger(size[0])),
        "squash" => Resize::Exact(size.map(larger)),
        other => return Err(refuse(&format!("`crop_mode` is `{other}` for an input of {height}×{width}"))),
    };
    let filter = match config.get("interpolation").and_then(Value::as_str).unwrap_or("bilinear") {
        "bilinear" => Filter::Bilinear,
        "bicubic" => Filter::Bicubic,
        "lanczos" => Filter::Lanczos,
        "nearest" => Filter::Nearest,
        other => return Err(refuse(&format!("`interpolation` is `{other}`"))),
    };
    let spec = PreprocessSpec {
        resize: Some(resize),
        filter,
        crop: Some(size),
        scale: 1.0 / 255.0,
        mean: config.get("mean").and_then(numbers).unwrap_or_else(|| vec![0.485, 0.456, 0.406]),
        std: config.get("std").and_then(numbers).unwrap_or_else(|| vec![0.229, 0.224, 0.225]),
        ..PreprocessSpec::default()
    };
    let image = (height == width).then_some(size[0] as usize);
    Ok((Some(spec), image))
}

/// transformers' `preprocessor_config.json`, as its `ViTImageProcessor` and `ConvNextImageProcessor` read it.
///
/// # Errors
/// `Unsupported` for what is not expressed here.
pub fn of_transformers(config: &Value) -> Result<PreprocessSpec> {
    let is_on = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
    let count = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let of = |size: Option<&Value>| -> Option<[u32; 2]> {
        match size? {
            // Before there were keys, a number was both sides.
            side @ Value::Number(_) => Some([count(side)?; 2]),
            sides => Some([count(sides.get("height")?)?, count(sides.get("width")?)?]),
        }
    };
    let mut spec = PreprocessSpec { scale: 1.0, ..PreprocessSpec::default() };
    let shortest = config.get("size").and_then(|s| s.get("shortest_edge")).and_then(count);
    if is_on("do_resize", true) {
        match (of(config.get("size")), shortest) {
            // ConvNeXt's processor takes the share of the picture out of the size, below 384.
            (None, Some(side)) if config.get("crop_pct").is_some() && side < 384 => {
                let share = config.get("crop_pct").and_then(Value::as_f64).unwrap_or(0.875);
                spec.resize = Some(Resize::Shorter((f64::from(side) / share) as u32));
                spec.crop = Some([side; 2]);
            }
            (None, Some(side)) => spec.resize = Some(Resize::Shorter(side)),
            (Some(size), _) => spec.resize = Some(Resize::Exact(size)),
            (None, None) => return Err(refuse("`size` is neither two sides nor a shortest edge")),
        }
        spec.filter = match config.get("resample").and_then(Value::as_u64).unwrap_or(2) {
            0 => Filter::Nearest,
            1 => Filter::Lanczos,
            2 => Filter::Bilinear,
            3 => Filter::Bicubic,
            4 => Filter::Box,
            other => return Err(refuse(&format!("`resample` is {other}"))),
        };
    }
    if is_on("do_center_crop", false) {
        let size = of(config.get("crop_size"));
        spec.crop = Some(size.ok_or_else(|| refuse("`crop_size` is not two sides"))?);
    }
    if is_on("do_rescale", true) {
        spec.scale = config.get("rescale_factor").and_then(Value::as_f64).unwrap_or(1.0 / 255.0);
    }
    if is_on("do_normalize", true) {
        spec.mean = config.get("image_mean").and_then(numbers).unwrap_or_else(|| vec![0.5; 3]);
        spec.std = config.get("image_std").and_then(numbers).unwrap_or_else(|| vec![0.5; 3]);
    }
    Ok(spec)
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

fn refuse(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the preprocessing beside the weights: {what}"))
        .with_hint("say with `--spec F.toml` and a `[preprocess]` section how images become the input")
}
