//! What a `config.json` says of a network: timm's, or that of Hugging Face's transformers.
//!
//! transformers describes a network by its numbers; those that are the same network as one of ours to the last operation
//! are recognised, all others refused with the number that is otherwise.

use serde_json::Value;
use tintype_core::{Error, ErrorKind, PreprocessSpec, Result};

use super::pixels;
use super::source::Source;

/// What is known of a network before its weights are read.
#[derive(Debug, Default)]
pub struct Described {
    /// The architecture's name.
    pub arch: Option<String>,
    /// Pixels of a side.
    pub image: Option<usize>,
    /// What norms add to the variance, where it is not the architecture's own.
    pub norm_epsilon: Option<f32>,
    /// Class names by index.
    pub labels: Vec<String>,
    /// From pictures to the input.
    pub preprocess: Option<PreprocessSpec>,
}

/// What the files beside the weights say; nothing where there are none.
///
/// # Errors
/// `Unsupported` for a network that is none of the architectures, `InvalidConfig` for contradictions.
pub fn of(source: &Source) -> Result<Described> {
    let Some(config) = &source.config else { return Ok(Described::default()) };
    let mut described = match (text(config, "architecture"), text(config, "model_type")) {
        (Some(architecture), _) => by_timm(config, architecture)?,
        (None, Some("vit")) => vit(config)?,
        (None, Some("resnet")) => resnet(config)?,
        (None, Some(other)) => {
            return Err(refuse(format!("the network is a `{other}` of transformers, which is none of ours")));
        }
        (None, None) => Described::default(),
    };
    described.labels = labels(config);
    if let Some(preprocessor) = &source.preprocessor {
        described.preprocess = Some(pixels::of_transformers(preprocessor)?);
    }
    Ok(described)
}

fn by_timm(config: &Value, architecture: &str) -> Result<Described> {
    // Once at the top, since 2023 in a group of its own.
    let pixels = config.get("pretrained_cfg").unwrap_or(config);
    let (preprocess, image) = pixels::of_timm(pixels)?;
    let arch = match architecture {
        "mobilenetv2_100" => "mobilenet_v2",
        other => other,
    };
    Ok(Described { arch: Some(arch.to_owned()), image, preprocess, ..Described::default() })
}

fn vit(config: &Value) -> Result<Described> {
    let width = count(config, "hidden_size").unwrap_or(768);
    let size = match width {
        192 => "tiny",
        384 => "small",
        768 => "base",
        _ => return Err(refuse(format!("`hidden_size` is {width}, expected 192, 384 or 768"))),
    };
    for (key, default, expected) in [
        ("num_hidden_layers", 12, 12),
        ("num_attention_heads", 12, width / 64),
        ("intermediate_size", 3072, 4 * width),
        ("patch_size", 16, 16),
        ("num_channels", 3, 3),
    ] {
        expect(config, key, default, expected)?;
    }
    expect_text(config, "hidden_act", "gelu")?;
    expect_flag(config, "qkv_bias", true)?;
    let epsilon = config.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12);
    Ok(Described {
        arch: Some(format!("vit_{size}_patch16_224")),
        image: Some(count(config, "image_size").unwrap_or(224)),
        norm_epsilon: Some(epsilon as f32),
        ..Described::default()
    })
}

fn resnet(config: &Value) -> Result<Described> {
    let counts = |key: &str| -> Vec<u64> {
        let list = config.get(key).and_then(Value::as_array);
        list.map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_u64).collect())
    };
    let layer = text(config, "layer_type").unwrap_or("bottleneck");
    let arch = match (layer, &counts("depths")[..], &counts("hidden_sizes")[..]) {
        ("basic", [2, 2, 2, 2], [64, 128, 256, 512]) => "resnet18",
        ("basic", [3, 4, 6, 3], [64, 128, 256, 512]) => "resnet34",
        ("bottleneck", [3, 4, 6, 3], [256, 512, 1024, 2048]) => "resnet50",
        (layer, depths, widths) => {
            return Err(refuse(format!("found `{layer}` layers of depths {depths:?} and widths {widths:?}")));
        }
    };
    expect(config, "embedding_size", 64, 64)?;
    expect_text(config, "hidden_act", "relu")?;
    expect_flag(config, "downsample_in_first_stage", false)?;
    expect_flag(config, "downsample_in_bottleneck", false)?;
    Ok(Described { arch: Some(arch.to_owned()), ..Described::default() })
}

/// `label_names` or `labels` of timm, `id2label` of transformers.
fn labels(config: &Value) -> Vec<String> {
    let lists = [config.get("label_names"), config.get("labels"), config.get("id2label")];
    for found in lists.into_iter().flatten() {
        let label = |value: &Value| value.as_str().map(str::to_owned);
        let labels: Option<Vec<String>> = match found {
            Value::Array(list) => list.iter().map(label).collect(),
            Value::Object(by_index) => {
                (0..by_index.len()).map(|i| label(by_index.get(&i.to_string())?)).collect()
            }
            _ => None,
        };
        if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
            return labels;
        }
    }
    Vec::new()
}

fn text<'a>(config: &'a Value, key: &str) -> Option<&'a str> {
    config.get(key)?.as_str()
}

fn count(config: &Value, key: &str) -> Option<usize> {
    usize::try_from(config.get(key)?.as_u64()?).ok()
}

fn expect(config: &Value, key: &str, default: usize, expected: usize) -> Result<()> {
    let found = count(config, key).unwrap_or(default);
    if found == expected { Ok(()) } else { Err(refuse(format!("`{key}` is {found}, expected {expected}"))) }
}

fn expect_text(config: &Value, key: &str, expected: &str) -> Result<()> {
    let found = text(config, key).unwrap_or(expected);
    if found == expected {
        Ok(())
    } else {
        Err(refuse(format!("`{key}` is `{found}`, expected `{expected}`")))
    }
}

fn expect_flag(config: &Value, key: &str, expected: bool) -> Result<()> {
    let found = config.get(key).and_then(Value::as_bool).unwrap_or(expected);
    if found == expected { Ok(()) } else { Err(refuse(format!("`{key}` is {found}, expected {expected}"))) }
}

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::Unsupported, format!("`config.json`: {what}"))
        .with_hint("export the network to ONNX where it was trained, and package that file")
}
