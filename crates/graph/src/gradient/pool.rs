//! Pooling and means.

use tintype_core::{ErrorKind, Result};

use super::FUSED_DOMAIN;
use super::conv::spread;
use super::tape::Tape;
use crate::proto::NodeProto;
use crate::shape::resolve_axis;
use crate::window::Window;

/// The gradient goes to the first maximum of each window, in row-major order, as in PyTorch.
pub(super) fn max(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.picture(node, &x)?;
    let window = window(node, shape)?;
    if window.dilations != [1; 2] {
        return Err(node.error(ErrorKind::Unsupported, "has no gradient with dilations"));
    }
    let dx = if tape.fused {
        let list = |v: &[usize]| v.iter().map(|&v| v as i64).collect::<Vec<_>>();
        let fused = NodeProto::new("MaxPoolGrad", &[dy, &x, &node.output[0]], &[])
            .of_domain(FUSED_DOMAIN)
            .with("kernel_shape", list(&window.kernel))
            .with("strides", list(&window.strides))
            .with("pads", list(&[window.before, window.after].concat()));
        tape.one(fused, shape.to_vec())
    } else {
        scatter(tape, node, dy, &x)
    };
    tape.add(&x, dx);
    Ok(())
}

/// The pooling once more, for the places of the maxima, and a scattered sum into zeros.
fn scatter(tape: &mut Tape, node: &NodeProto, dy: &str, x: &str) -> String {
    let (shape, pooled) = (tape.own(x), tape.own(dy));
    let (count, windows) = (shape.iter().product(), pooled.iter().product());
    let mut again = node.clone();
    again.output.clear();
    let places = tape.push(again, &[pooled.clone(), pooled]).swap_remove(1);
    let size = tape.integers(&[count as i64]);
    let zeros = tape.op("ConstantOfShape", &[&size], vec![count]);
    let (places, dy) = (tape.reshape(&places, &[windows]), tape.reshape(dy, &[windows]));
    let scattered = NodeProto::new("ScatterElements", &[&zeros, &places, &dy], &[]).with("reduction", "add");
    let flat = tape.one(scattered, vec![count]);
    tape.reshape(&flat, &shape)
}

/// Each pixel of a window gets an equal share.
pub(super) fn average(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.picture(node, &x)?;
    let window = window(node, shape)?;
    let padded = window.before != [0; 2] || window.after != [0; 2];
    let ceil = node.int("ceil_mode").unwrap_or(0) != 0;
    if ceil || (padded && node.int("count_include_pad").unwrap_or(0) == 0) {
        return Err(
            node.error(ErrorKind::Unsupported, "has no gradient where windows differ in their pixels")
        );
    }
    let [kh, kw] = window.kernel;
    let share = vec![1.0 / (kh * kw) as f32; shape[1] * kh * kw];
    let kernel = tape.constant(&[shape[1], 1, kh, kw], &share);
    let dx = spread(tape, dy, &kernel, window, shape)
        .ok_or_else(|| node.error(ErrorKind::Unsupported, "has more padding than its window covers"))?;
    tape.add(&x, dx);
    Ok(())
}

/// `GlobalAveragePool` and `ReduceMean`: every element gets an equal share.
pub(super) fn mean(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let (shape, reduced) = (tape.shape(node, &x)?, tape.own(dy));
    let axes = match node.op_type.as_str() {
        "GlobalAveragePool" => (2..shape.len()).collect(),
        _ => averaged(tape, node, shape.len())?,
    };
    let kept: Vec<usize> =
        shape.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
    let share = reduced.iter().product::<usize>() as f32 / shape.iter().product::<usize>() as f32;
    let dy = tape.scaled(dy, share);
    let dy = tape.reshape(&dy, &kept);
    let sizes: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
    let sizes = tape.integers(&sizes);
    let dx = tape.op("Expand", &[&dy, &sizes], shape);
    tape.add(&x, dx);
    Ok(())
}

/// The axes that a `ReduceMean` averages.
fn averaged(tape: &Tape, node: &NodeProto, rank: usize) -> Result<Vec<usize>> {
    let listed = match node.input_name(1) {
        Some(name) => tape.stored(name),
        None => node.ints("axes").map(<[i64]>::to_vec),
    };
    let axes = listed.map(|axes| axes.iter().map(|&a| resolve_axis(a, rank)).collect::<Option<Vec<_>>>());
    match axes {
        Some(Some(axes)) if !axes.is_empty() => Ok(axes),
        _ => Err(node.error(ErrorKind::Unsupported, "has no list of axes that could be read")),
    }
}

fn window(node: &NodeProto, [_, _, height, width]: [usize; 4]) -> Result<Window> {
    let kernel = node.ints("kernel_shape").unwrap_or_default();
    let kernel: Vec<usize> = kernel.iter().filter_map(|&k| usize::try_from(k).ok()).collect();
    let kernel = kernel.try_into().map_err(|_| node.error(ErrorKind::InvalidModel, "has no window"))?;
    Window::of(node, kernel, [height, width])
}
