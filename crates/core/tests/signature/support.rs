//! Packages without files, and the tensors of models that are not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use tintype_core::triton::{self, Defaults};
use tintype_core::{
    DType, Element, ModelSource, ModelSpec, NamedTensor, Package, Result, Signature, Tensor, TensorSpec,
    image,
};

/// Preprocessing to f32 [1, 4, 4].
pub const PREPROCESS: &str = "[preprocess]\nresize = { exact = [4, 4] }\nchannels = \"gray\"\n";

/// A package `m` of a `tintype.toml` and a `config.pbtxt` (none where empty), with three labels where it classifies.
pub fn package(spec: &str, config: &str) -> Package {
    let spec = ModelSpec::from_toml(spec).unwrap();
    let labels: &[&str] = if spec.preprocess.is_some() { &["cat", "dog", "fox"] } else { &[] };
    Package {
        name: "m".to_owned(),
        version: "1".to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        spec,
        model: ModelSource::Bytes([].into()),
        config: (!config.is_empty()).then(|| Arc::new(triton::parse(config).unwrap())),
        output_labels: BTreeMap::new(),
    }
}

/// `x f32 ?,1,4,4`: name, type, sizes, `?` for any.
pub fn tensor_spec(text: &str) -> TensorSpec {
    let words: Vec<&str> = text.split(' ').collect();
    let dtype = DType::ALL.iter().copied().find(|dtype| dtype.as_str() == words[1]).expect(words[1]);
    let sizes = words[2].split(',').filter(|size| !size.is_empty());
    TensorSpec { name: words[0].to_owned(), dtype, shape: sizes.map(|size| size.parse().ok()).collect() }
}

pub fn specs(texts: &[&str]) -> Vec<TensorSpec> {
    texts.iter().map(|text| tensor_spec(text)).collect()
}

/// A signature by the defaults.
pub fn signature(package: &Package, inputs: &[&str], outputs: &[&str]) -> Result<Signature> {
    let limits = image::Limits::default();
    Signature::new(package, &specs(inputs), &specs(outputs), limits, &Defaults::default())
}

/// A classifier of three classes with a dynamic batch axis.
pub fn classifier(spec: &str, config: &str) -> Result<Signature> {
    signature(&package(&format!("{spec}\n{PREPROCESS}"), config), &["x f32 ?,1,4,4"], &["y f32 ?,3"])
}

pub fn named<T: Element>(name: &str, shape: &[usize], values: Vec<T>) -> NamedTensor {
    NamedTensor { name: name.to_owned(), tensor: Tensor::new(shape, values).unwrap() }
}

/// A tensor of zeros.
pub fn zeros(name: &str, shape: &[usize]) -> NamedTensor {
    named(name, shape, vec![0f32; shape.iter().product()])
}

/// Elements of bytes.
pub fn bytes(name: &str, shape: &[usize], elements: &[&[u8]]) -> NamedTensor {
    named(name, shape, elements.iter().map(|element| element.to_vec()).collect())
}

/// What a BYTES tensor holds, as text.
pub fn texts(tensor: &Tensor) -> Vec<String> {
    let elements = tensor.values::<Vec<u8>>().unwrap();
    elements.iter().map(|element| String::from_utf8(element.clone()).unwrap()).collect()
}
