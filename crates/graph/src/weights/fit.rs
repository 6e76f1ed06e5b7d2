//! A checkpoint's tensors as a model's parameters, every name on both sides accounted for.

use std::collections::{BTreeSet, HashMap};

use tintype_core::{Error, ErrorKind, Result};

use super::Checkpoint;
use super::naming::{Naming, namings};
use crate::arch::Architecture;
use crate::builder::is_parameter;
use crate::model::Model;

/// What wrappers put before every name: `DataParallel`, Lightning modules, feature extractors, `torch.compile`.
const PREFIXES: &[&str] = &[
    "module.",
    "model.",
    "backbone.",
    "pretrained_model.",
    "net.",
    "network.",
    "_orig_mod.",
    "encoder.",
    "student.",
];
/// How many of them may stand before one another.
const MAX_PREFIXES: usize = 3;
/// Names of one kind that a message lists.
const LISTED: usize = 12;

/// A model with a checkpoint's weights.
#[derive(Debug)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// What stood before every name and was left out; empty where nothing did.
    pub prefix: String,
    /// Whose names the checkpoint uses, where they are not the model's.
    pub naming: Option<&'static str>,
    /// Names that a model in inference has no use for: counters of batches.
    pub ignored: Vec<String>,
}

/// Puts the tensors of `checkpoint` into `model`, which `architecture` built.
///
/// Tensors may be named as in the model, with prefixes before all of them, or as another library names the same network;
/// what fits best is taken. `keep` are parameters that stay as they are in the model, whatever the checkpoint has for
/// them: none, or those of a new last layer.
///
/// # Errors
/// `InvalidModel`, listing what is missing, what is unexpected and which shapes differ, unless all fits; those of
/// [`Checkpoint::read`].
pub fn fit(
    architecture: &Architecture,
    model: &Model,
    checkpoint: &mut Checkpoint,
    keep: &dyn Fn(&str) -> bool,
) -> Result<Fitted> {
    let mut wanted = HashMap::new();
    for tensor in model.graph().initializer.iter().filter(|t| is_parameter(&t.name)) {
        wanted.insert(tensor.name.as_str(), tensor.shape()?);
    }
    let (found, ignored): (Vec<&str>, Vec<&str>) =
        checkpoint.tensors().map(|(name, _)| name).partition(|name| !is_counter(name));
    let sides = Sides { wanted, keep, found, checkpoint };
    let mut best: Option<Match> = None;
    for naming in namings(architecture.name) {
        for prefix in prefixes(&sides.found) {
            let candidate = Match::of(&sides, naming, &prefix);
            if best.as_ref().is_none_or(|best| candidate.problems() < best.problems()) {
                best = Some(candidate);
            }
        }
    }
    let ignored = ignored.into_iter().map(str::to_owned).collect();
    let best = best.ok_or_else(|| Error::new(ErrorKind::Internal, "no naming was tried"))?;
    if best.problems() > 0 {
        return Err(best.error(architecture.name));
    }
    let mut values = Vec::new();
    for (name, sources) in &best.sources {
        let mut joined = Vec::new();
        for source in sources {
            joined.append(&mut checkpoint.read(source)?);
        }
        values.push((*name, joined));
    }
    let values: Vec<(&str, &[f32])> = values.iter().map(|(name, v)| (*name, v.as_slice())).collect();
    Ok(Fitted {
        model: model.with_parameters(&values)?,
        prefix: best.prefix,
        naming: best.naming.whose,
        ignored,
    })
}

/// How many classes a checkpoint of `architecture` tells apart: the rows of its last layer, if it has one.
pub fn classes(architecture: &Architecture, checkpoint: &Checkpoint) -> Option<usize> {
    let names: Vec<&str> =
        checkpoint.tensors().map(|(name, _)| name).filter(|name| !is_counter(name)).collect();
    namings(architecture.name).into_iter().find_map(|naming| {
        let theirs = (naming.theirs)(architecture.head);
        let [head] = &theirs[..] else { return None };
        prefixes(&names).iter().find_map(|p| checkpoint.shape(&format!("{p}{head}"))?.first().copied())
    })
}

/// Whether a tensor only counts batches or models, which no inference needs.
fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked") || name == "n_averaged"
}

/// What may be left out before all the names: nothing, or known prefixes that all of them have.
fn prefixes(names: &[&str]) -> Vec<String> {
    let mut known = vec![String::new()];
    for _ in 0..MAX_PREFIXES {
        let last = known.last().cloned().unwrap_or_default();
        let longer = PREFIXES.iter().map(|p| format!("{last}{p}"));
        match longer.into_iter().find(|p| !names.is_empty() && names.iter().all(|name| name.starts_with(p))) {
            Some(prefix) => known.push(prefix),
            None => break,
        }
    }
    known
}

/// What is to be brought together: `'a` is the model's, `'b` the checkpoint's.
struct Sides<'a, 'b> {
    /// The model's parameters and their shapes.
    wanted: HashMap<&'a str, Vec<usize>>,
    /// Those that stay as they are.
    keep: &'b dyn Fn(&str) -> bool,
    /// The checkpoint's tensors, without counters.
    found: Vec<&'b str>,
    checkpoint: &'b Checkpoint,
}

/// How a checkpoint would fit under one naming and prefix.
struct Match<'a> {
    naming: &'static Naming,
    prefix: String,
    /// The checkpoint's tensors for each parameter, to be joined along the first axis.
    sources: Vec<(&'a str, Vec<String>)>,
    missing: BTreeSet<String>,
    unexpected: BTreeSet<String>,
    /// Name, shape expected, shape found.
    differing: BTreeSet<String>,
}

impl<'a> Match<'a> {
    fn of(sides: &Sides<'a, '_>, naming: &'static Naming, prefix: &str) -> Self {
        let mut unexpected: BTreeSet<String> = sides.found.iter().map(|&name| name.to_owned()).collect();
        let (mut sources, mut missing, mut differing) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for (&name, expected) in &sides.wanted {
            let theirs: Vec<String> =
                (naming.theirs)(name).into_iter().map(|n| format!("{prefix}{n}")).collect();
            let shapes: Vec<Option<&[usize]>> = theirs.iter().map(|n| sides.checkpoint.shape(n)).collect();
            for name in &theirs {
                unexpected.remove(name);
            }
            if (sides.keep)(name) {
                continue;
            }
            missing.extend(theirs.iter().zip(&shapes).filter(|(_, s)| s.is_none()).map(|(n, _)| n.clone()));
            let Some(shapes) = shapes.into_iter().collect::<Option<Vec<_>>>() else { continue };
            let joined = joined(&shapes);
            if joined.as_ref() == Some(expected) {
                sources.push((name, theirs));
            } else {
                let found = shapes.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(" and ");
                differing.insert(format!("`{}` is {found} instead of {expected:?}", theirs.join("`, `")));
            }
        }
        Self { naming, prefix: prefix.to_owned(), sources, missing, unexpected, differing }
    }

    fn problems(&self) -> usize {
        self.missing.len() + self.unexpected.len() + self.differing.len()
    }

    fn error(&self, architecture: &str) -> Error {
        let mut parts = Vec::new();
        for (what, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if !names.is_empty() {
                let names = names.iter().map(|name| format!("`{name}`")).collect();
                parts.push(format!("{what}: {}", listed(names)));
            }
        }
        if !self.differing.is_empty() {
            parts.push(format!("of another shape: {}", listed(self.differing.iter().cloned().collect())));
        }
        Error::new(
            ErrorKind::InvalidModel,
            format!("the weights do not fit `{architecture}`; {}", parts.join("; ")),
        )
    }
}

/// The shape of tensors joined along the first axis.
fn joined(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let [first, rest @ ..] = shapes else { return None };
    let mut shape = first.to_vec();
    for other in rest {
        if other.len() != shape.len() || other.get(1..) != shape.get(1..) {
            return None;
        }
        *shape.first_mut()? += other.first()?;
    }
    Some(shape)
}

fn listed(names: Vec<String>) -> String {
    match names.len().checked_sub(LISTED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..LISTED].join(", ")),
        _ => names.join(", "),
    }
}
