//! Values that are lists of sizes: `x.view(x.size(0), -1)` leaves `Shape`, `Gather`, `Concat` in a graph.

use super::{Shapes, sliced};
use crate::proto::{DataType, NodeProto};

/// Longer lists are not sizes.
pub(super) const LONGEST: usize = 64;

/// What `node` makes, if it is stored or arithmetic on sizes: its elements in order.
pub(super) fn compute(node: &NodeProto, shapes: &Shapes) -> Option<Vec<i64>> {
    elements(node, shapes).filter(|values| values.len() <= LONGEST)
}

fn elements(node: &NodeProto, shapes: &Shapes) -> Option<Vec<i64>> {
    let op = node.standard_op()?;
    let shape = |i: usize| shapes.get(node.input_name(i)?);
    let input = |i: usize| shapes.integers(node.input_name(i)?).map(<[i64]>::to_vec);
    let pairs = |apply: fn(i64, i64) -> Option<i64>| pairwise(&input(0)?, &input(1)?, apply);
    let truth = |apply: fn(&i64, &i64) -> bool| {
        let (a, b) = (input(0)?, input(1)?);
        let length = a.len().max(b.len());
        (0..length).map(|i| Some(i64::from(apply(&at(&a, i)?, &at(&b, i)?)))).collect()
    };
    match op {
        "Shape" => {
            let sizes: Vec<i64> = shape(0)?.iter().map(|&d| d as i64).collect();
            let rank = sizes.len() as i64;
            let clamp = |v: i64| (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize;
            let (start, end) = (node.int("start").unwrap_or(0), node.int("end").unwrap_or(rank));
            sizes.get(clamp(start)..clamp(end)).map(<[i64]>::to_vec)
        }
        "Size" => Some(vec![shape(0)?.iter().product::<usize>() as i64]),
        "Identity" | "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => input(0),
        "Cast" => {
            let to = node.int("to").and_then(|to| DataType::try_from(to as i32).ok())?;
            match to {
                DataType::Int32 | DataType::Int64 => input(0).or_else(|| {
                    // As in C, towards 0.
                    Some(shapes.floats(node.input_name(0)?)?.iter().map(|&v| v as i64).collect())
                }),
                DataType::Bool => Some(input(0)?.iter().map(|&v| i64::from(v != 0)).collect()),
                _ => None,
            }
        }
        "Concat" => {
            // Of lists alone: what more axes are joined along is not the order of the elements.
            let parts: Option<Vec<_>> = (0..node.input.len())
                .map(|i| input(i).filter(|_| shape(i).is_some_and(|s| s.len() == 1)))
                .collect();
            Some(parts?.concat())
        }
        "Gather" => {
            let from = input(0).filter(|_| shape(0).is_some_and(|s| s.len() == 1))?;
            let pick = |i: &i64| from.get(super::resolve_axis(*i, from.len())?).copied();
            input(1)?.iter().map(pick).collect()
        }
        "Slice" => {
            let (from, given) = (input(0)?, |i: usize| match node.input_name(i) {
                Some(_) => input(i).map(Some),
                None => Some(None),
            });
            let taken =
                sliced(shape(0)?, &input(1)?, &input(2)?, given(3)?.as_deref(), given(4)?.as_deref())?;
            // The places in `from`, grown axis by axis.
            let mut places = vec![0];
            for (taken, &size) in taken.iter().zip(shape(0)?) {
                let along = |i: usize| usize::try_from(taken.start as i64 + i as i64 * taken.step).ok();
                let along: Vec<usize> = (0..taken.count).map(along).collect::<Option<_>>()?;
                places = places.iter().flat_map(|p| along.iter().map(move |i| p * size + i)).collect();
            }
            places.iter().map(|&place| from.get(place).copied()).collect()
        }
        "Transpose" => match *shape(0)? {
            [_] => input(0),
            [rows, columns] if node.ints("perm").is_none_or(|p| p == [1, 0] || p.is_empty()) => {
                let from = input(0)?;
                (0..rows * columns).map(|i| from.get(i % rows * columns + i / rows).copied()).collect()
            }
            _ => None,
        },
        "ConstantOfShape" => {
            let count: i64 = input(0)?.iter().try_fold(1i64, |a, &d| a.checked_mul(d))?;
            let value = match node.attribute("value").and_then(|a| a.t.as_ref()) {
                Some(value) => *value.to_i64().ok()?.first()?,
                None => return None,
            };
            let count = usize::try_from(count).ok().filter(|&count| count <= LONGEST)?;
            Some(vec![value; count])
        }
        "Range" => {
            let [start, limit, step] = [0, 1, 2].map(|i| input(i).and_then(|v| v.first().copied()));
            let (start, limit, step) = (start?, limit?, step?);
            let count =
                limit.checked_sub(start)?.checked_add(step - step.signum())?.checked_div(step)?.max(0);
            (count <= LONGEST as i64).then(|| (0..count).map(|i| start + i * step).collect())
        }
        "Expand" => match (input(0)?.as_slice(), shape(0)?.len(), input(1)?.as_slice()) {
            (&[value], 0 | 1, &[count]) => {
                let count = usize::try_from(count).ok().filter(|&count| count <= LONGEST)?;
                Some(vec![value; count])
            }
            _ => None,
        },
        "Where" => {
            let [condition, a, b] = [input(0)?, input(1)?, input(2)?];
            let length = condition.len().max(a.len()).max(b.len());
            (0..length).map(|i| if at(&condition, i)? != 0 { at(&a, i) } else { at(&b, i) }).collect()
        }
        "ReduceProd" => {
            input(0)?.iter().try_fold(1i64, |a, &d| a.checked_mul(d)).map(|product| vec![product])
        }
        "Neg" => input(0)?.iter().map(|v| v.checked_neg()).collect(),
        "Add" => pairs(i64::checked_add),
        "Sub" => pairs(i64::checked_sub),
        "Mul" => pairs(i64::checked_mul),
        "Div" => pairs(i64::checked_div),
        "Mod" => pairs(i64::checked_rem_euclid),
        "Max" => pairs(|a, b| Some(a.max(b))),
        "Min" => pairs(|a, b| Some(a.min(b))),
        "Equal" => truth(i64::eq),
        "Less" => truth(i64::lt),
        "Greater" => truth(i64::gt),
        _ => None,
    }
}

/// What `node` makes, if it is arithmetic on sizes as floats: how often a window fits, rounded up.
pub(super) fn floats(node: &NodeProto, shapes: &Shapes) -> Option<Vec<f32>> {
    let input = |i: usize| shapes.floats(node.input_name(i)?);
    let pairs = |apply: fn(f32, f32) -> f32| {
        let (a, b) = (input(0)?, input(1)?);
        pairwise(a, b, |a, b| Some(apply(a, b)))
    };
    let each = |apply: fn(f32) -> f32| Some(input(0)?.iter().map(|&v| apply(v)).collect());
    let values: Vec<f32> = match node.standard_op()? {
        "Cast" if node.int("to") == Some(DataType::Float as i64) => {
            shapes.integers(node.input_name(0)?)?.iter().map(|&v| v as f32).collect()
        }
        "Concat" => (0..node.input.len()).map(input).collect::<Option<Vec<_>>>()?.concat(),
        "Identity" | "Squeeze" | "Unsqueeze" => input(0)?.to_vec(),
        "Ceil" => each(f32::ceil)?,
        "Floor" => each(f32::floor)?,
        "Sqrt" => each(f32::sqrt)?,
        "Clip" => {
            let bound = |i: usize, open: f32| match node.input_name(i) {
                Some(_) => input(i)?.first().copied(),
                None => Some(open),
            };
            let (low, high) = (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?);
            input(0)?.iter().map(|v| v.max(low).min(high)).collect()
        }
        "Add" => pairs(|a, b| a + b)?,
        "Sub" => pairs(|a, b| a - b)?,
        "Mul" => pairs(|a, b| a * b)?,
        "Div" => pairs(|a, b| a / b)?,
        _ => return None,
    };
    (values.len() <= LONGEST).then_some(values)
}

fn pairwise<T: Copy>(a: &[T], b: &[T], apply: impl Fn(T, T) -> Option<T>) -> Option<Vec<T>> {
    (0..a.len().max(b.len())).map(|i| apply(at(a, i)?, at(b, i)?)).collect()
}

/// An element of a list, or of a number that stands for any list.
fn at<T: Copy>(values: &[T], i: usize) -> Option<T> {
    if values.len() == 1 { values.first().copied() } else { values.get(i).copied() }
}
