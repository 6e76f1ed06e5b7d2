//! Vision transformers of patches of 16 × 16 (Dosovitskiy et al. 2020), as timm names them. DeiT's (Touvron et al. 2020)
//! is the same network trained otherwise.
//!
//! Every linear layer sees rows `[N · T, D]` of T tokens an image: one matrix product with its bias, instead of one an
//! image. Only the attention itself needs the tokens of an image together.

use tintype_core::Result;

use super::ArchSpec;
use crate::builder::{Builder, Conv, Defaults, Draw};
use crate::model::Model;

const PATCH: usize = 16;
const DEPTH: usize = 12;
/// Channels of a head of the attention.
const HEAD: usize = 64;

/// 192 channels, 3 heads.
pub(super) fn tiny(spec: &ArchSpec) -> Result<Model> {
    Ok(vit(spec, 192))
}

/// 384 channels, 6 heads.
pub(super) fn small(spec: &ArchSpec) -> Result<Model> {
    Ok(vit(spec, 384))
}

/// 768 channels, 12 heads.
pub(super) fn base(spec: &ArchSpec) -> Result<Model> {
    Ok(vit(spec, 768))
}

/// The numbers of a block.
#[derive(Clone, Copy)]
struct Sizes {
    width: usize,
    tokens: usize,
}

fn vit(spec: &ArchSpec, width: usize) -> Model {
    let mut b =
        spec.builder(Defaults { linear: Draw::Normal(0.02), norm_epsilon: 1e-6, ..Defaults::PYTORCH });
    let side = spec.image / PATCH;
    let sizes = Sizes { width, tokens: side * side + 1 };
    let mut x = embed(&mut b, spec.image, sizes);
    for i in 0..DEPTH {
        x = block(&mut b, &format!("blocks.{i}"), &x, sizes);
    }
    // The norm of all tokens and then the first: only that one is normalised.
    let x = b.reshape("tokens", &x, &[-1, sizes.tokens as i64, width as i64]);
    let x = b.pick("class_token", &x, 0);
    let x = b.layer_norm("norm", &x, width);
    let x = match spec.dropout {
        Some(ratio) if ratio > 0.0 => b.dropout("head_drop", &x, ratio),
        _ => x,
    };
    let x = b.linear("head", &x, width, spec.classes);
    b.finish(&x, "logits", &[spec.classes])
}

/// Pictures as rows of tokens, with their positions; the first of each image is the class token.
fn embed(b: &mut Builder, image: usize, Sizes { width, tokens }: Sizes) -> String {
    let class = b.free_parameter("cls_token", &[1, 1, width], 1e-6);
    let positions = b.free_parameter("pos_embed", &[1, tokens, width], 0.02);
    let x = b.input("input", &[3, image, image]);
    let conv = Conv { stride: PATCH, padding: 0, ..Conv::same(3, width, PATCH) };
    let x = b.conv("patch_embed.proj", &x, conv);
    let x = b.reshape("patch_embed.flat", &x, &[-1, width as i64, tokens as i64 - 1]);
    let x = b.transpose("patch_embed.rows", &x, &[0, 2, 1]);
    // A row of zeros before the patches takes the class token, which is added with the positions: no need to repeat it
    // for each image, however many there are.
    let x = b.pad("patch_embed.pad", &x, &[0, 1, 0, 0, 0, 0]);
    let class = b.pad("cls_token.pad", &class, &[0, 0, 0, 0, tokens as i64 - 1, 0]);
    let start = b.add_values("start", &class, &positions);
    let x = b.add_values("embed", &x, &start);
    b.reshape("rows", &x, &[-1, width as i64])
}

fn block(b: &mut Builder, name: &str, x: &str, sizes: Sizes) -> String {
    let Sizes { width, .. } = sizes;
    let y = b.layer_norm(&format!("{name}.norm1"), x, width);
    let y = attention(b, &format!("{name}.attn"), &y, sizes);
    let x = b.add_values(&format!("{name}.add1"), x, &y);
    let y = b.layer_norm(&format!("{name}.norm2"), &x, width);
    let y = b.linear(&format!("{name}.mlp.fc1"), &y, width, 4 * width);
    let y = b.gelu(&format!("{name}.mlp.act"), &y);
    let y = b.linear(&format!("{name}.mlp.fc2"), &y, 4 * width, width);
    b.add_values(&format!("{name}.add2"), &x, &y)
}

/// Self-attention over the tokens of each image, `[N · T, D]` to the same.
fn attention(b: &mut Builder, name: &str, x: &str, Sizes { width, tokens }: Sizes) -> String {
    let heads = [-1, tokens as i64, (width / HEAD) as i64, HEAD as i64];
    let all = b.linear(&format!("{name}.qkv"), x, width, 3 * width);
    let [query, key, value] = b.split(&format!("{name}.split"), &all, width);
    let mut by_head = |what: &str, x: &str, order: &[i64]| {
        let x = b.reshape(&format!("{name}.{what}.heads"), x, &heads);
        b.transpose(&format!("{name}.{what}"), &x, order)
    };
    let query = by_head("query", &query, &[0, 2, 1, 3]);
    let key = by_head("key", &key, &[0, 2, 3, 1]);
    let value = by_head("value", &value, &[0, 2, 1, 3]);
    let query = b.scale(&format!("{name}.scaled"), &query, 1.0 / (HEAD as f32).sqrt());
    let scores = b.matmul(&format!("{name}.scores"), &query, &key);
    let shares = b.softmax(&format!("{name}.softmax"), &scores);
    let y = b.matmul(&format!("{name}.mixed"), &shares, &value);
    let y = b.transpose(&format!("{name}.joined"), &y, &[0, 2, 1, 3]);
    let y = b.reshape(&format!("{name}.rows"), &y, &[-1, width as i64]);
    b.linear(&format!("{name}.proj"), &y, width, width)
}
