//! What is done to a float graph before it is quantised, none of which changes its answers.

use std::collections::{HashMap, HashSet};

use tintype_core::Result;

use crate::model::Model;
use crate::proto::{DataType, GraphProto, NodeProto, TensorProto};
use crate::rewrite::{Names, prune, rename};
use crate::upgrade::upgrade;
use crate::wiring::Wiring;

/// Brings the model to operator set 17, leaves out what does nothing in inference, and folds batch norms into the
/// convolutions before them: a norm's factor belongs into the weight's scale, and its sum into the bias.
pub(super) fn fold(model: &mut Model) -> Result<()> {
    upgrade(model)?;
    drop_idle(model.graph_mut());
    fold_norms(model)?;
    prune(model.graph_mut())
}

/// Takes `Identity` and `Dropout` out of the graph, but for those that make one of its outputs.
fn drop_idle(graph: &mut GraphProto) {
    let outputs: HashSet<String> = graph.output.iter().map(|v| v.name.clone()).collect();
    let idle = |node: &NodeProto| {
        matches!(node.standard_op(), Some("Identity" | "Dropout"))
            && node.output.iter().skip(1).all(String::is_empty)
            && node.int("training_mode").is_none()
            // A third input says that it may be training.
            && node.input_name(2).is_none()
            && !node.output.iter().any(|name| outputs.contains(name))
    };
    while let Some(index) = graph.node.iter().position(idle) {
        let node = graph.node.remove(index);
        let (Some(from), Some(to)) = (node.output_name(0), node.input_name(0)) else { continue };
        rename(graph, from, to);
    }
}

/// A convolution and the batch norm behind it, by their indices.
struct Pair {
    conv: usize,
    norm: usize,
    weight: TensorProto,
    bias: TensorProto,
}

fn fold_norms(model: &mut Model) -> Result<()> {
    let pairs = pairs(model.graph())?;
    let graph = model.graph_mut();
    let mut names = Names::of(graph);
    let mut gone = HashSet::new();
    for pair in pairs {
        let output = graph.node[pair.norm].output[0].clone();
        let conv = &mut graph.node[pair.conv];
        let [weight, bias] = [(pair.weight, 1), (pair.bias, 2)].map(|(mut tensor, input)| {
            tensor.name = names.fresh(&format!("{}/folded", tensor.name));
            conv.input.resize(conv.input.len().max(input + 1), String::new());
            conv.input[input].clone_from(&tensor.name);
            tensor
        });
        conv.output[0] = output;
        graph.initializer.extend([weight, bias]);
        gone.insert(pair.norm);
    }
    let mut index = 0..;
    graph.node.retain(|_| index.next().is_none_or(|i| !gone.contains(&i)));
    Ok(())
}

fn pairs(graph: &GraphProto) -> Result<Vec<Pair>> {
    let wiring = Wiring::new(graph)?;
    let mut readers: HashMap<&str, usize> = HashMap::new();
    let outputs = graph.output.iter().map(|v| v.name.as_str());
    for name in graph.node.iter().flat_map(NodeProto::reads).chain(outputs) {
        *readers.entry(name).or_default() += 1;
    }
    let nodes = graph.node.iter().enumerate();
    let makers: HashMap<&str, usize> =
        nodes.filter_map(|(index, node)| Some((node.output_name(0)?, index))).collect();
    let mut pairs = Vec::new();
    for (norm, node) in graph.node.iter().enumerate() {
        let is_norm =
            node.standard_op() == Some("BatchNormalization") && node.int("training_mode") != Some(1);
        let is_norm = is_norm && node.output_name(0).is_some();
        let Some(input) = node.input_name(0).filter(|name| is_norm && readers.get(name) == Some(&1)) else {
            continue;
        };
        let Some(&conv) = makers.get(input) else { continue };
        if graph.node[conv].standard_op() == Some("Conv")
            && let Some((weight, bias)) = folded(&wiring, &graph.node[conv], node)?
        {
            pairs.push(Pair { conv, norm, weight, bias });
        }
    }
    Ok(pairs)
}

/// Weight and bias of a convolution that also does what the batch norm behind it does:
/// `w·γ/√(σ² + ε)` and `(b − μ)·γ/√(σ² + ε) + β`.
fn folded(wiring: &Wiring, conv: &NodeProto, norm: &NodeProto) -> Result<Option<(TensorProto, TensorProto)>> {
    let stored = |node: &NodeProto, input: usize| {
        node.input_name(input)
            .and_then(|name| Some((name.to_owned(), wiring.constant(name)?)))
            .filter(|(_, tensor)| tensor.data_type == DataType::Float as i32)
    };
    let (Some((name, weight)), Some(scale), Some(shift), Some(mean), Some(variance)) =
        (stored(conv, 1), stored(norm, 1), stored(norm, 2), stored(norm, 3), stored(norm, 4))
    else {
        return Ok(None);
    };
    let bias = stored(conv, 2);
    if bias.is_none() && conv.input_name(2).is_some() {
        return Ok(None);
    }
    let shape = weight.shape()?;
    let [scale, shift, mean, variance] =
        [scale.1.to_f32()?, shift.1.to_f32()?, mean.1.to_f32()?, variance.1.to_f32()?];
    let channels = shape.first().copied().unwrap_or(0);
    let before = bias.map_or_else(|| Ok(vec![0.0; channels]), |(_, tensor)| tensor.to_f32())?;
    let fits = [&scale, &shift, &mean, &variance, &before].iter().all(|v| v.len() == channels);
    if channels == 0 || !fits {
        return Ok(None);
    }
    let epsilon = f64::from(norm.float("epsilon").unwrap_or(1e-5));
    let factor = |c: usize| f64::from(scale[c]) / (f64::from(variance[c]) + epsilon).sqrt();
    let mut values = weight.to_f32()?;
    let inner = values.len() / channels;
    for (c, row) in values.chunks_mut(inner.max(1)).enumerate() {
        row.iter_mut().for_each(|w| *w = (f64::from(*w) * factor(c)) as f32);
    }
    let sums: Vec<f32> = (0..channels)
        .map(|c| ((f64::from(before[c]) - f64::from(mean[c])) * factor(c) + f64::from(shift[c])) as f32)
        .collect();
    let bias = TensorProto::from_f32(&format!("{name}/bias"), &[channels], &sums);
    Ok(Some((TensorProto::from_f32(&name, &shape, &values), bias)))
}
