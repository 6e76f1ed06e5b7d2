//! Values that are lists of sizes: `x.view(x.size(0), -1)` leaves `Shape`, `Gather`, `Concat` in a graph.

use std::collections::HashMap;

use super::Shapes;
use crate::proto::NodeProto;
use crate::wiring::Wiring;

/// Longer lists are not sizes.
const LONGEST: usize = 64;

/// The lists of integers that are known while a graph is followed, node by node.
pub(super) struct Integers<'a> {
    wiring: &'a Wiring<'a>,
    computed: HashMap<&'a str, Vec<i64>>,
}

impl<'a> Integers<'a> {
    pub(super) fn new(wiring: &'a Wiring<'a>) -> Self {
        Self { wiring, computed: HashMap::new() }
    }

    /// The elements of a stored or computed value, whatever its rank.
    pub(super) fn get(&self, name: &str) -> Option<Vec<i64>> {
        if let Some(values) = self.computed.get(name) {
            return Some(values.clone());
        }
        let tensor = self.wiring.constant(name)?;
        (tensor.shape().ok()?.iter().product::<usize>() <= LONGEST).then(|| tensor.to_i64().ok()).flatten()
    }

    /// Computes what `node` makes, if it is arithmetic on sizes.
    pub(super) fn follow(&mut self, node: &'a NodeProto, shapes: &Shapes) {
        if let Some(values) = self.compute(node, shapes)
            && values.len() <= LONGEST
            && let Some(name) = node.output_name(0)
        {
            self.computed.insert(name, values);
        }
    }

    fn compute(&self, node: &NodeProto, shapes: &Shapes) -> Option<Vec<i64>> {
        let op = node.standard_op()?;
        if op == "Shape" {
            let sizes = shapes.get(node.input_name(0)?)?;
            let sizes: Vec<i64> = sizes.iter().map(|&d| d as i64).collect();
            let clamp = |v: i64| {
                (if v < 0 { v + sizes.len() as i64 } else { v }).clamp(0, sizes.len() as i64) as usize
            };
            let start = clamp(node.int("start").unwrap_or(0));
            let end = clamp(node.int("end").unwrap_or(sizes.len() as i64));
            return sizes.get(start..end).map(<[i64]>::to_vec);
        }
        let input = |i: usize| self.get(node.input_name(i)?);
        match op {
            "Identity" | "Cast" | "Unsqueeze" | "Squeeze" => input(0),
            "Concat" => {
                let parts: Option<Vec<_>> = (0..node.input.len()).map(input).collect();
                Some(parts?.concat())
            }
            "Gather" => {
                let from = input(0)?;
                let pick = |i: &i64| {
                    from.get(usize::try_from(if *i < 0 { i + from.len() as i64 } else { *i }).ok()?)
                };
                input(1)?.iter().map(|i| pick(i).copied()).collect()
            }
            "Add" => pairwise(&input(0)?, &input(1)?, i64::checked_add),
            "Sub" => pairwise(&input(0)?, &input(1)?, i64::checked_sub),
            "Mul" => pairwise(&input(0)?, &input(1)?, i64::checked_mul),
            "Div" => pairwise(&input(0)?, &input(1)?, i64::checked_div),
            _ => None,
        }
    }
}

fn pairwise(a: &[i64], b: &[i64], apply: fn(i64, i64) -> Option<i64>) -> Option<Vec<i64>> {
    let length = a.len().max(b.len());
    let at = |v: &[i64], i: usize| if v.len() == 1 { v.first().copied() } else { v.get(i).copied() };
    (0..length).map(|i| apply(at(a, i)?, at(b, i)?)).collect()
}
