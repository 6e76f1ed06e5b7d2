//! What other libraries call the parameters of the same networks.
//!
//! A naming is listed only where the network is the same to the last operation, so that renaming is all there is to do;
//! timm's MobileNetV3, say, adds another epsilon to its variances than torchvision's.

/// Names of one library.
pub(super) struct Naming {
    /// Whose names; absent for the model's own.
    pub whose: Option<&'static str>,
    /// The tensors that, joined along the first axis, make the parameter of this name.
    pub theirs: fn(&str) -> Vec<String>,
}

static OWN: Naming = Naming { whose: None, theirs: |name| vec![name.to_owned()] };
static TRANSFORMERS_VIT: Naming = Naming { whose: Some("transformers' ViT"), theirs: transformers_vit };
static TRANSFORMERS_RESNET: Naming =
    Naming { whose: Some("transformers' ResNet"), theirs: transformers_resnet };
static TIMM_MOBILENET: Naming = Naming { whose: Some("timm's MobileNetV2"), theirs: timm_mobilenet_v2 };

/// The namings under which checkpoints of an architecture are found, its own first.
pub(super) fn namings(architecture: &str) -> Vec<&'static Naming> {
    let other = match architecture {
        "mobilenet_v2" => Some(&TIMM_MOBILENET),
        "resnet18" | "resnet34" | "resnet50" => Some(&TRANSFORMERS_RESNET),
        name if name.contains("patch16") => Some(&TRANSFORMERS_VIT),
        _ => None,
    };
    std::iter::once(&OWN).chain(other).collect()
}

/// `ViTForImageClassification` of Hugging Face's transformers: query, key and value apart.
fn transformers_vit(name: &str) -> Vec<String> {
    let one = |name: String| vec![name];
    match name {
        "cls_token" => return one("vit.embeddings.cls_token".to_owned()),
        "pos_embed" => return one("vit.embeddings.position_embeddings".to_owned()),
        _ => {}
    }
    let Some((layer, what)) = name.rsplit_once('.') else { return one(name.to_owned()) };
    let plain = match layer {
        "patch_embed.proj" => "vit.embeddings.patch_embeddings.projection",
        "norm" => "vit.layernorm",
        "head" => "classifier",
        _ => {
            let parts = layer.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
            let Some((block, inner)) = parts else { return one(name.to_owned()) };
            let block = format!("vit.encoder.layer.{block}");
            let theirs = match inner {
                "norm1" => "layernorm_before",
                "norm2" => "layernorm_after",
                "attn.proj" => "attention.output.dense",
                "mlp.fc1" => "intermediate.dense",
                "mlp.fc2" => "output.dense",
                "attn.qkv" => {
                    let part = |part| format!("{block}.attention.attention.{part}.{what}");
                    return ["query", "key", "value"].map(part).to_vec();
                }
                _ => return one(name.to_owned()),
            };
            return one(format!("{block}.{theirs}.{what}"));
        }
    };
    one(format!("{plain}.{what}"))
}

/// `ResNetForImageClassification` of Hugging Face's transformers.
fn transformers_resnet(name: &str) -> Vec<String> {
    let renamed = || {
        let (layer, what) = name.rsplit_once('.')?;
        let embedder = "resnet.embedder.embedder";
        let theirs = match layer {
            "conv1" => format!("{embedder}.convolution"),
            "bn1" => format!("{embedder}.normalization"),
            "fc" => "classifier.1".to_owned(),
            _ => {
                let (stage, rest) = layer.strip_prefix("layer")?.split_once('.')?;
                let (block, inner) = rest.split_once('.')?;
                let stage = stage.parse::<usize>().ok()?.checked_sub(1)?;
                let block = format!("resnet.encoder.stages.{stage}.layers.{block}");
                let numbered =
                    |prefix: &str| inner.strip_prefix(prefix)?.parse::<usize>().ok()?.checked_sub(1);
                match (inner, numbered("conv"), numbered("bn")) {
                    ("downsample.0", ..) => format!("{block}.shortcut.convolution"),
                    ("downsample.1", ..) => format!("{block}.shortcut.normalization"),
                    (_, Some(i), _) => format!("{block}.layer.{i}.convolution"),
                    (_, _, Some(i)) => format!("{block}.layer.{i}.normalization"),
                    _ => return None,
                }
            }
        };
        Some(format!("{theirs}.{what}"))
    };
    vec![renamed().unwrap_or_else(|| name.to_owned())]
}

/// timm's `mobilenetv2_100`: stages of blocks, and names for the layers instead of numbers.
fn timm_mobilenet_v2(name: &str) -> Vec<String> {
    /// Blocks of each stage.
    const STAGES: [usize; 7] = [1, 2, 3, 4, 3, 3, 1];
    let renamed = || {
        let (layer, what) = name.rsplit_once('.')?;
        let theirs = match layer {
            "features.0.0" => "conv_stem".to_owned(),
            "features.0.1" => "bn1".to_owned(),
            "features.18.0" => "conv_head".to_owned(),
            "features.18.1" => "bn2".to_owned(),
            "classifier.1" => "classifier".to_owned(),
            _ => {
                let (index, inner) = layer.strip_prefix("features.")?.split_once(".conv.")?;
                let mut block = index.parse::<usize>().ok()?.checked_sub(1)?;
                let stage = STAGES.iter().position(|&blocks| {
                    let is_here = block < blocks;
                    block -= if is_here { 0 } else { blocks };
                    is_here
                })?;
                // The first block has no expansion, and timm's another order of names for it.
                let part = match (stage, inner) {
                    (0, "0.0") => "conv_dw",
                    (0, "0.1") => "bn1",
                    (0, "1") => "conv_pw",
                    (0, "2") => "bn2",
                    (_, "0.0") => "conv_pw",
                    (_, "0.1") => "bn1",
                    (_, "1.0") => "conv_dw",
                    (_, "1.1") => "bn2",
                    (_, "2") => "conv_pwl",
                    (_, "3") => "bn3",
                    _ => return None,
                };
                format!("blocks.{stage}.{block}.{part}")
            }
        };
        Some(format!("{theirs}.{what}"))
    };
    vec![renamed().unwrap_or_else(|| name.to_owned())]
}
