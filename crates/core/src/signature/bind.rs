//! From a request's tensors to the model's, with Triton's checks in Triton's order.

use std::collections::BTreeSet;

use super::declare::{Input, Source};
use super::{Bound, Signature, encoded, invalid_argument};
use crate::triton::shape;
use crate::{DType, NamedTensor, Result, Tensor, TensorData};

impl Signature {
    /// Checks a request's inputs and puts them in the model's order; tensors that are right are moved, not copied.
    ///
    /// The inputs are the declared ones, or the ONNX model's own under their names. An image is taken wherever the model
    /// has a `[preprocess]`: at the declared image input, or as `BYTES` at the ONNX input.
    ///
    /// # Errors
    /// `InvalidArgument` with Triton's text, without its `[request id: …] ` prefix (which it puts before all but
    /// `unexpected inference input …`); `NotAnImage` for an element that is neither an image nor base64 text.
    pub fn bind(&self, given: Vec<NamedTensor>) -> Result<Bound> {
        let inputs = self.inputs_for(&given);
        self.check_names(inputs, &given)?;
        given.iter().try_for_each(|tensor| self.named(inputs, &tensor.name).map(drop))?;
        let rows = self.batch_size(&given)?;
        let mut tensors: Vec<Option<Tensor>> = vec![None; self.raw_inputs.len()];
        let mut images = None;
        for NamedTensor { name, tensor } in given {
            let input = self.named(inputs, &name)?;
            let is_image = input.source == Source::Image || self.is_image_in_place(input, &tensor);
            self.check_dtype(input, tensor.dtype(), if is_image { DType::Bytes } else { input.dtype })?;
            if is_image {
                images = Some(self.images(input, tensor, rows)?);
                continue;
            }
            let (dims, skip) = (&input.dims, usize::from(self.max_batch_size > 0));
            if !shape::fits(dims, &tensor.shape()[skip..]) {
                return Err(self.unexpected_shape(input, tensor.shape()));
            }
            if let Source::Tensor(index) = input.source {
                tensors[index] = Some(self.reshaped(input, tensor)?);
            }
        }
        if let Some(images) = images {
            return Ok(Bound::Images { rows: images.len(), images });
        }
        let inputs: Option<Vec<Tensor>> = tensors.into_iter().collect();
        let inputs = inputs.ok_or_else(|| {
            invalid_argument(format!("the request does not feed every input of model '{}'", self.name))
        })?;
        Ok(Bound::Tensors { inputs, rows })
    }

    /// The declared inputs, or the model's own for a request that names only those.
    fn inputs_for(&self, given: &[NamedTensor]) -> &[Input] {
        let knows = |inputs: &[Input], name: &str| inputs.iter().any(|input| input.name == name);
        let declared = given.iter().all(|tensor| knows(&self.inputs, &tensor.name));
        let raw = !given.is_empty() && given.iter().all(|tensor| knows(&self.raw_inputs, &tensor.name));
        if !declared && raw { &self.raw_inputs } else { &self.inputs }
    }

    fn check_names(&self, inputs: &[Input], given: &[NamedTensor]) -> Result<()> {
        let mut names = BTreeSet::new();
        // One alone, as most models have, is not there twice.
        if given.len() > 1
            && let Some(twice) = given.iter().find(|tensor| !names.insert(tensor.name.as_str()))
        {
            return Err(invalid_argument(format!("input '{}' already exists in request", twice.name)));
        }
        let required = inputs.iter().filter(|input| !input.optional).count();
        if (required..=inputs.len()).contains(&given.len()) {
            return Ok(());
        }
        let quoted = |names: &mut dyn Iterator<Item = &str>| {
            format!("[{}]", names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(","))
        };
        let got = quoted(&mut given.iter().map(|tensor| tensor.name.as_str()));
        let absent = inputs
            .iter()
            .filter(|input| !input.optional && given.iter().all(|tensor| tensor.name != input.name));
        let mut missing = quoted(&mut absent.map(|input| input.name.as_str()));
        if missing == "[]" {
            // What Triton prints when too many are given.
            missing = "]".to_owned();
        }
        let expected = if required == inputs.len() {
            format!("expected {required} inputs but got")
        } else {
            format!("expected number of inputs between {required} and {} but got", inputs.len())
        };
        Err(invalid_argument(format!(
            "{expected} {} inputs for model '{}'. Got input(s) {got}, but missing required input(s) {missing}. Please \
             provide all required input(s).",
            given.len(),
            self.name
        )))
    }

    fn named<'a>(&self, inputs: &'a [Input], name: &str) -> Result<&'a Input> {
        inputs.iter().find(|input| input.name == name).ok_or_else(|| {
            invalid_argument(format!("unexpected inference input '{name}' for model '{}'", self.name))
        })
    }

    /// The batch size, which all inputs must share; 1 for a model without batching.
    fn batch_size(&self, given: &[NamedTensor]) -> Result<usize> {
        if self.max_batch_size == 0 {
            return Ok(1);
        }
        let mut rows = None;
        for NamedTensor { name, tensor } in given {
            let Some(&first) = tensor.shape().first() else {
                return Err(invalid_argument(format!(
                    "input '{name}' has no shape but model requires batch dimension for '{}'",
                    self.name
                )));
            };
            if *rows.get_or_insert(first) != first {
                return Err(invalid_argument(format!(
                    "input '{name}' batch size does not match other inputs for '{}'",
                    self.name
                )));
            }
        }
        let (rows, limit) = (rows.unwrap_or(1), self.max_batch_size);
        if (1..=limit).contains(&rows) {
            return Ok(rows);
        }
        let bound = if rows > limit { format!("<= {limit}") } else { ">= 1".to_owned() };
        Err(invalid_argument(format!("inference request batch-size must be {bound} for '{}'", self.name)))
    }

    fn check_dtype(&self, input: &Input, found: DType, expected: DType) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(invalid_argument(format!(
            "inference input '{}' data-type is '{}', but model '{}' expects '{}'",
            input.name,
            found.kserve(),
            self.name,
            expected.kserve()
        )))
    }

    /// Whether images are given where the model takes pixels.
    fn is_image_in_place(&self, input: &Input, tensor: &Tensor) -> bool {
        let image_input = self.classifier.as_ref().map(|classifier| Source::Tensor(classifier.input()));
        tensor.dtype() == DType::Bytes && input.dtype != DType::Bytes && image_input == Some(input.source)
    }

    /// The encoded images of `[rows]` or `[rows, 1]`, base64 text decoded.
    fn images(&self, input: &Input, tensor: Tensor, rows: usize) -> Result<Vec<Vec<u8>>> {
        let (shape, data) = tensor.into_parts();
        let one_each = shape.iter().skip(usize::from(self.max_batch_size > 0)).all(|&size| size == 1);
        match data {
            TensorData::Bytes(elements) if one_each && elements.len() == rows => {
                elements.into_iter().enumerate().map(|(row, bytes)| encoded::decode(bytes, row)).collect()
            }
            // An image has one element a row, also where it stands for pixels.
            _ => Err(self.unexpected_shape(&Input { dims: vec![1], ..input.clone() }, &shape)),
        }
    }

    fn unexpected_shape(&self, input: &Input, found: &[usize]) -> crate::Error {
        let (batch, note) = if self.max_batch_size > 0 { (Some(-1), BATCH_NOTE) } else { (None, "") };
        let expected: Vec<i64> = batch.into_iter().chain(input.dims.iter().copied()).collect();
        invalid_argument(format!(
            "unexpected shape for input '{}' for model '{}'. Expected {}, got {}. {note}",
            input.name,
            self.name,
            shape::show(&expected),
            shape::show(found)
        ))
    }

    fn reshaped(&self, input: &Input, tensor: Tensor) -> Result<Tensor> {
        let Some(target) = &input.reshape else { return Ok(tensor) };
        let skip = usize::from(self.max_batch_size > 0);
        let (batch, rest) = tensor.shape().split_at(skip);
        let shape: Vec<usize> =
            batch.iter().copied().chain(shape::reshape(&input.dims, rest, target)).collect();
        tensor.reshaped(shape)
    }
}

/// What Triton adds where a batch axis was expected.
const BATCH_NOTE: &str = "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be \
                          prepended to each input shape. If you want to specify the full shape including the batch dim in \
                          your input dims config, try setting max_batch_size to zero. See the model configuration docs for \
                          more info on max_batch_size.";
