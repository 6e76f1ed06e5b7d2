//! The shape of each operator's outputs: here those that follow from the inputs' shapes and the attributes alone, in
//! [`arranged`] those where values say how axes are laid out. `Split` alone has several outputs of different shapes.

mod arranged;

use tintype_core::{Error, ErrorKind, Result};

use super::{Shapes, broadcast, elements, resolve_axis};
use crate::proto::{NodeProto, TensorProto};
use crate::window::Window;

/// Operators whose output has the shape of their first input.
const SAME: &[&str] = &[
    "Abs",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "CumSum",
    "DequantizeLinear",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "Mish",
    "Neg",
    "Not",
    "PRelu",
    "QuantizeLinear",
    "QuickGelu",
    "RMSNormalization",
    "Reciprocal",
    "Relu",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
    "Trilu",
];

/// Operators whose output has the shape that their inputs broadcast to.
const BROADCAST: &[&str] = &[
    "Add",
    "And",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
    "Sum",
    "Where",
    "Xor",
];

/// The shapes of `node`'s outputs, of as many of the first as follow.
pub(super) fn outputs(node: &NodeProto, shapes: &Shapes) -> Result<Vec<Vec<usize>>> {
    if node.standard_op() == Some("Split") {
        return Ok(arranged::split(node, shapes).unwrap_or_default());
    }
    Ok(first(node, shapes)?.into_iter().collect())
}

/// The shape of `node`'s first output; `None` when it does not follow.
fn first(node: &NodeProto, shapes: &Shapes) -> Result<Option<Vec<usize>>> {
    let shape = |i: usize| node.input_name(i).and_then(|name| shapes.get(name));
    let op = match (node.domain.as_str(), node.op_type.as_str()) {
        ("com.microsoft", op @ ("Gelu" | "QuickGelu")) => op,
        _ => match node.standard_op() {
            Some(op) => op,
            None => return Ok(None),
        },
    };
    if op == "Constant" {
        return node.attribute("value").and_then(|a| a.t.as_ref()).map(TensorProto::shape).transpose();
    }
    if op == "Range" {
        return Ok(node
            .output_name(0)
            .and_then(|name| shapes.integers(name))
            .map(|values| vec![values.len()]));
    }
    let Some(x) = shape(0) else { return Ok(None) };
    let list = |attribute: &str, input: usize| match node.input_name(input) {
        Some(name) => shapes.integers(name).map(<[i64]>::to_vec),
        None => node.ints(attribute).map(<[i64]>::to_vec),
    };
    let wrong = || misfit(node, &(0..node.input.len()).filter_map(shape).collect::<Vec<_>>());
    let found = match op {
        op if BROADCAST.contains(&op) => {
            let all: Option<Vec<&[usize]>> = (0..node.input.len()).map(shape).collect();
            let Some(all) = all else { return Ok(None) };
            all[1..].iter().try_fold(x.to_vec(), |joined, next| broadcast(&joined, next))
        }
        "Conv" => match (x, shape(1)) {
            (&[n, c, w], Some(&[o, inner, kw])) => {
                let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
                let fits = groups > 0 && inner * groups == c && o % groups == 0;
                let window = Window::of(node, [1, kw], [1, w])?;
                window.output([1, w]).filter(|_| fits).map(|[_, w]| vec![n, o, w])
            }
            (&[n, c, h, w], Some(&[o, inner, kh, kw])) => {
                let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
                let fits = groups > 0 && inner * groups == c && o % groups == 0;
                let window = Window::of(node, [kh, kw], [h, w])?;
                window.output([h, w]).filter(|_| fits).map(|[h, w]| vec![n, o, h, w])
            }
            _ => return Ok(None),
        },
        "ConvTranspose" => match (x, shape(1)) {
            (&[n, c, h, w], Some(&[inputs, outer, kh, kw])) if node.ints("output_shape").is_none() => {
                let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
                let window = Window::of(node, [kh, kw], [h, w])?;
                let size = window.transposed_output(node, [h, w])?.filter(|_| inputs == c && groups > 0);
                size.map(|[h, w]| vec![n, outer * groups, h, w])
            }
            _ => return Ok(None),
        },
        "MaxPool" | "AveragePool" => match (x, node.ints("kernel_shape")) {
            (&[n, c, h, w], Some(&[kh, kw])) => {
                let kernel = [usize::try_from(kh).unwrap_or(0), usize::try_from(kw).unwrap_or(0)];
                Window::of(node, kernel, [h, w])?.output([h, w]).map(|[h, w]| vec![n, c, h, w])
            }
            _ => return Ok(None),
        },
        "GlobalAveragePool" | "GlobalMaxPool" if x.len() > 2 => {
            Some(x.iter().enumerate().map(|(i, &d)| if i < 2 { d } else { 1 }).collect())
        }
        "Gemm" => match (x, shape(1)) {
            (&[a, b], Some(&[c, d])) => {
                let (m, k) = if node.int("transA").unwrap_or(0) != 0 { (b, a) } else { (a, b) };
                let (l, n) = if node.int("transB").unwrap_or(0) != 0 { (d, c) } else { (c, d) };
                (k == l).then(|| vec![m, n])
            }
            (_, None) => return Ok(None),
            _ => None,
        },
        "MatMul" => match shape(1) {
            Some(y) => product(x, y),
            None => return Ok(None),
        },
        "Flatten" => {
            let axis = node.int("axis").unwrap_or(1);
            let axis = if axis == x.len() as i64 { Some(x.len()) } else { resolve_axis(axis, x.len()) };
            axis.map(|a| vec![x[..a].iter().product(), x[a..].iter().product()])
        }
        "Reshape" => match list("shape", 1) {
            Some(wanted) => reshape(x, &wanted, node.int("allowzero").unwrap_or(0) != 0),
            None => return Ok(None),
        },
        "Squeeze" => {
            let axes = list("axes", 1);
            if node.input_name(1).is_some() && axes.is_none() {
                return Ok(None);
            }
            squeeze(x, axes.as_deref())
        }
        "Unsqueeze" => match list("axes", 1) {
            Some(axes) => unsqueeze(x, &axes),
            None => return Ok(None),
        },
        "Transpose" => match node.ints("perm").filter(|p| !p.is_empty()) {
            Some(perm) if perm.len() == x.len() => {
                perm.iter().map(|&p| resolve_axis(p, x.len()).map(|p| x[p])).collect()
            }
            Some(_) => None,
            None => Some(x.iter().rev().copied().collect()),
        },
        op if op.starts_with("Reduce") => {
            let axes = list("axes", 1);
            if node.input_name(1).is_some() && axes.is_none() {
                return Ok(None);
            }
            let axes = axes.unwrap_or_default();
            if axes.is_empty() && node.int("noop_with_empty_axes").unwrap_or(0) != 0 {
                return Ok(Some(x.to_vec()));
            }
            reduce(x, &axes, node.int("keepdims").unwrap_or(1) != 0)
        }
        "Concat" => {
            let parts: Option<Vec<&[usize]>> = (0..node.input.len()).map(shape).collect();
            match parts {
                Some(parts) => concat(&parts, node.int("axis").unwrap_or(0)),
                None => return Ok(None),
            }
        }
        op if SAME.contains(&op) => Some(x.to_vec()),
        _ => return arranged::output(node, shapes),
    };
    found.filter(|s| elements(s).is_some()).map(Some).ok_or_else(wrong)
}

fn misfit(node: &NodeProto, inputs: &[&[usize]]) -> Error {
    let list: Vec<String> = inputs.iter().map(|s| format!("{s:?}")).collect();
    node.error(ErrorKind::InvalidModel, format!("cannot work on inputs of the shapes {}", list.join(", ")))
}

/// A matrix product over leading axes that broadcast; vectors are not taken.
fn product(x: &[usize], y: &[usize]) -> Option<Vec<usize>> {
    let ([lead_x @ .., m, k], [lead_y @ .., l, n]) = (x, y) else { return None };
    let mut shape = broadcast(lead_x, lead_y).filter(|_| k == l)?;
    shape.extend([m, n]);
    Some(shape)
}

fn reshape(x: &[usize], wanted: &[i64], zero_is_zero: bool) -> Option<Vec<usize>> {
    let count: usize = x.iter().product();
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, &d) in wanted.iter().enumerate() {
        shape.push(match d {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if !zero_is_zero => *x.get(i)?,
            d => usize::try_from(d).ok()?,
        });
    }
    if let Some(i) = open {
        shape[i] = count.checked_div(elements(&shape)?)?;
    }
    (elements(&shape)? == count).then_some(shape)
}

fn squeeze(x: &[usize], axes: Option<&[i64]>) -> Option<Vec<usize>> {
    let Some(axes) = axes else { return Some(x.iter().copied().filter(|&d| d != 1).collect()) };
    let gone: Vec<usize> = axes.iter().map(|&a| resolve_axis(a, x.len())).collect::<Option<_>>()?;
    if gone.iter().any(|&a| x[a] != 1) {
        return None;
    }
    Some(x.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, &d)| d).collect())
}

fn unsqueeze(x: &[usize], axes: &[i64]) -> Option<Vec<usize>> {
    let rank = x.len() + axes.len();
    let new: Vec<usize> = axes.iter().map(|&a| resolve_axis(a, rank)).collect::<Option<_>>()?;
    let mut old = x.iter();
    (0..rank).map(|i| if new.contains(&i) { Some(1) } else { old.next().copied() }).collect()
}

fn reduce(x: &[usize], axes: &[i64], keep: bool) -> Option<Vec<usize>> {
    let axes: Vec<usize> = axes.iter().map(|&a| resolve_axis(a, x.len())).collect::<Option<_>>()?;
    let reduced = |i: usize| axes.is_empty() || axes.contains(&i);
    let kept = x.iter().enumerate().filter(|&(i, _)| keep || !reduced(i));
    Some(kept.map(|(i, &d)| if reduced(i) { 1 } else { d }).collect())
}

fn concat(parts: &[&[usize]], axis: i64) -> Option<Vec<usize>> {
    let mut shape = parts.first()?.to_vec();
    let axis = resolve_axis(axis, shape.len())?;
    for part in &parts[1..] {
        let fits = part.len() == shape.len() && (0..shape.len()).all(|i| i == axis || part[i] == shape[i]);
        shape[axis] += fits.then(|| part[axis])?;
    }
    Some(shape)
}
