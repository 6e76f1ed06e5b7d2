//! Training graphs: a classifier's graph with loss and gradients appended.
//!
//! [`differentiate`] keeps the forward nodes (batch norms and dropouts become live: [`forward`]), turns the trainable
//! initializers into inputs ([`parameters`]), appends softmax cross-entropy ([`loss`]), and walks the nodes backwards:
//! [`rules`] names the function that says what an operator contributes to the gradients of its inputs. All of it is written through a
//! [`tape::Tape`], which knows every shape. The result is a plain ONNX model whose outputs are the loss and the
//! gradients; running it and updating the parameters is the business of others.
//!
//! [`flat`] and [`mixed`] rewrite it for a training on a device.

mod activation;
mod batch_norm;
mod conv;
mod elementwise;
mod flat;
mod forward;
mod layout;
pub(crate) mod linear;
mod loss;
mod mixed;
mod normalisation;
mod parameters;
mod pool;
mod reduce;
mod resize;
mod rules;
mod softmax;
mod tape;
mod unary;

use std::collections::HashSet;

use tintype_core::{Error, ErrorKind, Result};

use crate::model::Model;
use crate::proto::{DataType, NodeProto, ValueInfoProto};
use crate::rewrite::{clear_name, prune, rename};
use crate::shape::Shapes;
use crate::upgrade::upgrade;
pub use flat::FlatOptions;
pub use mixed::Half;
use rules::Rule;
use tape::Tape;

/// The domain of the fused operators.
pub(crate) const FUSED_DOMAIN: &str = "tintype";
/// Names of a training graph's inputs and outputs.
const LOSS: &str = "loss";
const LOGITS: &str = "logits";
const TARGETS: &str = "targets";
const SEED: &str = "seed";

/// How to differentiate.
#[derive(Clone, Copy)]
pub struct GradientOptions<'a> {
    /// Images a step.
    pub batch: usize,
    /// Whether operators of the domain `tintype` may be used; see `tintype-engine`'s `ort`. Without them the graph
    /// runs on any engine with ONNX's and ONNX Runtime's own operators, on a CPU slower. Dropout then draws from the
    /// session's own generator, which no seed sets.
    pub fused: bool,
    /// Which parameters get gradients, by name.
    pub trainable: &'a dyn Fn(&str) -> bool,
}

/// A graph that computes loss and gradients.
#[derive(Debug, Clone)]
pub struct TrainingGraph {
    /// Inputs, in this order: the image batch; `targets` `f32[N, K]`, whose rows sum to 1 or to the row's weight; `seed` `i64[1]` if
    /// [`TrainingGraph::has_seed`]; the parameters.
    ///
    /// Outputs, in this order: `loss` `f32[]`, the mean over the batch; `logits` `f32[N, K]`; the gradient of each
    /// parameter; of each batch norm the batch's mean `f32[C]` and biased variance `f32[C]`.
    pub model: Model,
    /// The parameters, in the order of the inputs.
    pub parameters: Vec<Parameter>,
    /// The batch norms that run on the batch's own statistics, in the order of the outputs.
    pub batch_norms: Vec<BatchNormState>,
    /// Whether the graph draws random numbers, and so has the input `seed`.
    pub has_seed: bool,
}

impl TrainingGraph {
    /// The same graph with nothing but the statistics of its batch norms: two outputs for each, and every input. Running
    /// it costs what the forward part costs.
    ///
    /// # Errors
    /// `InvalidModel` when the graph contradicts itself.
    pub fn statistics(&self) -> Result<Model> {
        let mut model = self.model.clone();
        let graph = model.graph_mut();
        let count = 2 * self.batch_norms.len();
        graph.output.drain(..graph.output.len().saturating_sub(count));
        prune(graph)?;
        Ok(model)
    }
}

/// An initializer that is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The initializer's name.
    pub name: String,
    /// The size of every axis.
    pub shape: Vec<usize>,
    /// Its values now, in row-major order.
    pub values: Vec<f32>,
}

/// A batch norm that is trained, and the statistics that it keeps for inference.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormState {
    /// The initializer that holds the running mean.
    pub mean: String,
    /// The initializer that holds the running variance.
    pub variance: String,
    /// `running = running · momentum + batch · (1 - momentum)`, as ONNX has it; PyTorch's is 1 minus this.
    pub momentum: f32,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Values a channel in one batch, `N · H · W`: PyTorch keeps the unbiased variance, `count / (count - 1)` times
    /// the biased one.
    pub count: usize,
}

impl BatchNormState {
    /// What makes the biased variance unbiased.
    pub fn unbiased(&self) -> f32 {
        let count = self.count as f32;
        // PyTorch refuses a single value a channel; its variance is 0 and stays so here.
        if count > 1.0 { count / (count - 1.0) } else { 1.0 }
    }
}

/// Appends loss and gradients to a classifier with one input and one output of scores `[N, K]`.
///
/// The loss is softmax cross-entropy on the logits: a `Softmax` or `LogSoftmax` at the end of the graph is left out.
/// A batch norm whose scale is trainable runs on the batch's statistics, others stay as in inference. `Dropout` nodes
/// are live.
///
/// # Errors
/// `Unsupported`, naming the node, when a gradient would have to pass an operator that has none; when there is nothing
/// to train; when the model has several inputs or outputs, dynamic axes other than the batch, or an operator set
/// before 7. `InvalidModel` when the model contradicts itself.
pub fn differentiate(model: &Model, options: &GradientOptions) -> Result<TrainingGraph> {
    let mut model = prepared(model)?;
    let shapes = Shapes::infer(&model, options.batch)?;
    let input = model.inputs()?.swap_remove(0);
    let parameters = parameters::choose(&model, options.trainable)?;
    refuse_unknown(&model, &parameters)?;
    let forward = forward::rewrite(&model, &parameters, options.fused, &shapes)?;
    let mut tape = Tape::new(&model, shapes, options.fused);
    for parameter in &parameters {
        tape.need(&parameter.name);
    }
    for node in &forward.nodes {
        tape.forward(node)?;
    }
    loss::append(&mut tape)?;
    for node in forward.nodes.iter().rev() {
        backward(&mut tape, node)?;
    }
    let parameters = parameters.into_iter().filter(|p| tape.gradient(&p.name).is_some()).collect::<Vec<_>>();
    if parameters.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, "the model has no trainable parameter"));
    }
    let logits_shape = tape.shapes.get(LOGITS).unwrap_or_default().to_vec();
    let image_shape = tape.shapes.get(&input.name).unwrap_or_default().to_vec();

    let gradients = tape.name_gradients(&parameters);
    let Tape { mut nodes, initializers, shapes, .. } = tape;
    let fused = if options.fused { conv::fuse(&mut nodes, &shapes) } else { Vec::new() };
    let graph = model.graph_mut();
    let declared = |name: &str, shape: &[usize]| ValueInfoProto::fixed(name, DataType::Float, shape);
    graph.input = vec![declared(&input.name, &image_shape), declared(TARGETS, &logits_shape)];
    if forward.has_seed {
        graph.input.push(ValueInfoProto::fixed(SEED, DataType::Int64, &[1]));
    }
    graph.input.extend(parameters.iter().map(|p| declared(&p.name, &p.shape)));
    graph.output = vec![declared(LOSS, &[]), declared(LOGITS, &logits_shape)];
    graph.output.extend(gradients.iter().zip(&parameters).map(|(g, p)| declared(g, &p.shape)));
    for norm in &forward.batch_norms {
        graph.output.extend(norm.statistics.iter().map(|name| declared(name, &[norm.channels])));
    }
    graph.node = nodes;
    graph.initializer.retain(|t| parameters.iter().all(|p| p.name != t.name));
    graph.initializer.extend(initializers);
    graph.value_info =
        fused.iter().map(|name| declared(name, shapes.get(name).unwrap_or_default())).collect();
    prune(graph)?;
    model.import_opset("com.microsoft", 1);
    if options.fused {
        model.import_opset(FUSED_DOMAIN, 1);
    }
    let batch_norms = forward.batch_norms.into_iter().map(|n| n.state).collect();
    Ok(TrainingGraph { model, parameters, batch_norms, has_seed: forward.has_seed })
}

/// The model with its output being the logits by that name, the other names of a training graph free, nothing dead.
fn prepared(model: &Model) -> Result<Model> {
    let unsupported = |what: String| Error::new(ErrorKind::Unsupported, what);
    let mut model = model.clone();
    model.free_initializers();
    let (inputs, outputs) = (model.graph().input.len(), model.graph().output.len());
    if inputs != 1 || outputs != 1 {
        return Err(unsupported(format!(
            "training needs a model with one input and one output, found {inputs} and {outputs}"
        )));
    }
    let input = model.graph().input[0].name.clone();
    let logits = loss::logits(model.graph())?;
    model.graph_mut().output[0].name.clone_from(&logits);
    prune(model.graph_mut())?;
    upgrade(&mut model)?;
    let graph = model.graph_mut();
    for name in [LOSS, LOGITS, TARGETS, SEED] {
        if name == logits {
            continue;
        }
        if name == input || graph.initializer.iter().any(|t| t.name == name) {
            return Err(unsupported(format!("an input or initializer is called `{name}`")));
        }
        clear_name(graph, name);
    }
    rename(graph, &logits, LOGITS);
    Ok(model)
}

/// Finds operators without a gradient between a parameter and the loss. It is asked before any shape is, because such
/// an operator mostly has no known shape either.
fn refuse_unknown(model: &Model, parameters: &[Parameter]) -> Result<()> {
    let mut needed: HashSet<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    for node in &model.graph().node {
        if depends_on(node, |name| needed.contains(name)) {
            rules::rule(node)?;
            needed.extend(node.output.iter().map(String::as_str).filter(|s| !s.is_empty()));
        }
    }
    Ok(())
}

/// Whether what `node` makes changes with a value that `is_needed`; sizes and comparisons do not.
fn depends_on(node: &NodeProto, is_needed: impl Fn(&str) -> bool) -> bool {
    !rules::is_flat(node) && node.input.iter().any(|name| is_needed(name))
}

/// Adds what `node` contributes to the gradients of its inputs, if a gradient reaches it and an input needs one.
fn backward(tape: &mut Tape, node: &NodeProto) -> Result<()> {
    let reached: Vec<Option<String>> =
        node.output.iter().map(|name| tape.gradient(name).map(str::to_owned)).collect();
    let wanted: Vec<&String> = node.input.iter().filter(|name| tape.is_needed(name)).collect();
    if wanted.is_empty() || reached.iter().all(Option::is_none) {
        return Ok(());
    }
    for name in wanted.into_iter().chain(node.input.first()).chain(node.output.first()) {
        tape.shape(node, name)?;
    }
    match (rules::rule(node)?, reached.as_slice()) {
        (Rule::All(rule), reached) => rule(tape, node, reached),
        (Rule::First(rule), [Some(dy), rest @ ..]) if rest.iter().all(Option::is_none) => {
            rule(tape, node, dy)
        }
        _ => Err(node.error(ErrorKind::Unsupported, "has no gradient through its second output")),
    }
}
