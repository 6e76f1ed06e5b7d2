//! Pooling by windows. Pooling of whole pictures is a reduction: [`super::reduce`].

use tintype_core::{ErrorKind, Result};

use super::FUSED_DOMAIN;
use super::conv::spread;
use super::tape::Tape;
use crate::proto::NodeProto;
use crate::window::Window;

/// The gradient goes to the first maximum of each window, in row-major order, as in PyTorch.
pub(super) fn max(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.picture(node, &x)?;
    let window = window(node, shape)?;
    let dx = if tape.fused && window.dilations == [1; 2] {
        let fused = NodeProto::new("MaxPoolGrad", &[dy, &x, &node.output[0]], &[]).of_domain(FUSED_DOMAIN);
        tape.one(window.write(fused), shape.to_vec())
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

/// Each pixel of a window gets an equal share of the pixels that the average counts.
pub(super) fn average(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let Some(x) = tape.wants(node, 0) else { return Ok(()) };
    let shape = tape.picture(node, &x)?;
    let mut window = window(node, shape)?;
    let pooled = tape.picture(node, &node.output[0])?;
    let with_padding = node.int("count_include_pad").unwrap_or(0) != 0;
    // Pixels counted down and across, for each window.
    let counts = [0, 1].map(|i| -> Vec<usize> {
        let (size, before, after) = (shape[2 + i], window.before[i], window.after[i]);
        let (low, high) = if with_padding { (0, before + size + after) } else { (before, before + size) };
        let start = |place: usize| place * window.strides[i];
        let taps = |place| (0..window.kernel[i]).map(move |k| start(place) + k * window.dilations[i]);
        (0..pooled[2 + i]).map(|place| taps(place).filter(|at| (low..high).contains(at)).count()).collect()
    });
    let shares: Vec<f32> =
        counts[0].iter().flat_map(|h| counts[1].iter().map(move |w| 1.0 / (h * w).max(1) as f32)).collect();
    let share = match shares.split_first() {
        Some((first, rest)) if rest.iter().all(|s| s == first) => tape.scaled(dy, *first),
        _ => {
            let shares = tape.constant(&[1, 1, pooled[2], pooled[3]], &shares);
            tape.elementwise("Mul", dy, &shares)
        }
    };
    for i in 0..2 {
        // A last window that is not whole reaches into more padding.
        let spanned = (pooled[2 + i] - 1) * window.strides[i] + window.extent(i);
        let missing = spanned.saturating_sub(shape[2 + i] + window.before[i] + window.after[i]);
        window.after[i] += missing;
    }
    let [kh, kw] = window.kernel;
    let kernel = tape.constant(&[shape[1], 1, kh, kw], &vec![1.0; shape[1] * kh * kw]);
    let dx = spread(tape, &share, &kernel, window, shape)
        .ok_or_else(|| node.error(ErrorKind::Unsupported, "has more padding than its window covers"))?;
    tape.add(&x, dx);
    Ok(())
}

fn window(node: &NodeProto, [_, _, height, width]: [usize; 4]) -> Result<Window> {
    let kernel = node.ints("kernel_shape").unwrap_or_default();
    let kernel: Vec<usize> = kernel.iter().filter_map(|&k| usize::try_from(k).ok()).collect();
    let kernel = kernel.try_into().map_err(|_| node.error(ErrorKind::InvalidModel, "has no window"))?;
    Window::of(node, kernel, [height, width])
}
