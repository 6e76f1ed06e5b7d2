//! Einstein sums of one or two factors.

use tintype_core::{ErrorKind, Result};

use crate::gradient::tape::Tape;
use crate::proto::NodeProto;

/// An equation `ab,bc->ac`: a letter an axis.
#[derive(Debug, PartialEq)]
pub(crate) struct Equation {
    /// The letters of each input.
    pub(crate) inputs: Vec<String>,
    /// The letters of the output.
    pub(crate) output: String,
}

impl Equation {
    /// The equation of `node`; `None` where it has `...` or a letter twice in one tensor.
    pub(crate) fn of(node: &NodeProto) -> Option<Self> {
        let text: String = node.string("equation")?.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, output) = match text.split_once("->") {
            Some((left, output)) => (left, output.to_owned()),
            None => (text.as_str(), implied(&text)),
        };
        let inputs: Vec<String> = left.split(',').map(str::to_owned).collect();
        let plain = |letters: &String| {
            letters.chars().enumerate().all(|(i, c)| c.is_ascii_alphabetic() && letters.find(c) == Some(i))
        };
        let usable = inputs.iter().chain([&output]).all(plain) && inputs.len() == node.input.len();
        usable.then_some(Self { inputs, output })
    }

    /// The output's shape, from those of the inputs; `None` where they do not fit.
    pub(crate) fn shape(&self, inputs: &[&[usize]]) -> Option<Vec<usize>> {
        if self.inputs.iter().zip(inputs).any(|(letters, shape)| letters.len() != shape.len()) {
            return None;
        }
        let size = |letter| {
            self.inputs.iter().zip(inputs).find_map(|(letters, shape)| Some(shape[letters.find(letter)?]))
        };
        self.output.chars().map(size).collect()
    }
}

/// Without an arrow the output has the letters that occur once, in the order of the alphabet.
fn implied(inputs: &str) -> String {
    let mut once: Vec<char> =
        inputs.chars().filter(|c| c.is_ascii_alphabetic() && inputs.matches(*c).count() == 1).collect();
    once.sort_unstable();
    once.into_iter().collect()
}

/// The gradient of a factor is the sum over the output's gradient and the other factor, with the factor's letters.
pub(in crate::gradient) fn einsum(tape: &mut Tape, node: &NodeProto, dy: &str) -> Result<()> {
    let unsupported = |what: &str| node.error(ErrorKind::Unsupported, what);
    let Some(Equation { inputs, output }) = Equation::of(node).filter(|e| e.inputs.len() <= 2) else {
        return Err(unsupported("has no gradient for its equation"));
    };
    for (this, letters) in inputs.iter().enumerate() {
        let Some(x) = tape.wants(node, this) else { continue };
        let mut factors = vec![(output.clone(), dy.to_owned())];
        for (other, letters) in inputs.iter().enumerate().filter(|(other, _)| *other != this) {
            factors.push((letters.clone(), node.input[other].clone()));
        }
        if !letters.chars().all(|c| factors.iter().any(|(letters, _)| letters.contains(c))) {
            return Err(unsupported("sums over an axis that one factor alone has"));
        }
        let (left, names): (Vec<String>, Vec<String>) = factors.into_iter().unzip();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let equation = format!("{}->{letters}", left.join(","));
        let shape = tape.shape(node, &x)?;
        let again = NodeProto::new("Einsum", &names, &[]).with("equation", equation.as_str());
        let dx = tape.one(again, shape);
        tape.add(&x, dx);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equation(text: &str, inputs: &[&str]) -> Option<Equation> {
        Equation::of(&NodeProto::new("Einsum", inputs, &["y"]).with("equation", text))
    }

    #[test]
    fn an_output_is_implied_as_in_numpy() {
        let found = equation("bij, bjk", &["a", "b"]).unwrap();
        assert_eq!(found.output, "ik");
        assert_eq!(found.shape(&[&[2, 3, 4], &[2, 4, 5]]), Some(vec![3, 5]));
        assert_eq!(equation("ij,jk->ki", &["a", "b"]).unwrap().shape(&[&[2, 3], &[3, 5]]), Some(vec![5, 2]));
    }

    #[test]
    fn what_is_not_one_letter_an_axis_is_not_an_equation() {
        for (text, inputs) in [("...i,ij->...j", 2), ("ii->i", 1), ("ij,jk->ik", 1), ("i1->i", 1)] {
            let inputs = &["a", "b"][..inputs];
            assert_eq!(equation(text, inputs), None, "{text}");
        }
    }
}
