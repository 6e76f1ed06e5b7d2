//! Steps with weights and moments on the device, moved by a graph: the way of a GPU.
//!
//! ```text
//! rows, targets ─▸ the training graph, flat ─▸ loss, logits, squares ─▸ host
//!   parameters ▸──┘         └─▸ gradients ─▸ the update's graph ─▸ parameters, moments, average
//! ```
//! Over the bus go the batch, the loss and the logits, and a step's scalars, which are computed here by the same functions
//! as on the CPU. What was learned crosses it when somebody asks: for a checkpoint, for validation.

use std::rc::Rc;

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::{Backend, Operand, Resident as OnDevice, ResidentSession, SessionOptions};
use tintype_graph::{FlatOptions, Half, TrainingGraph};

use super::Trainer;
use super::learned::Learned;
use super::stepper::{Along, Answers, Steps, answers, missing};
use crate::config::TrainConfig;
use crate::optim::clip::Clip;
use crate::optim::nodes::{Layout, Scalars};
use crate::weights::Weights;

/// The two graphs' sessions, and what lies on the device between them.
pub(super) struct Resident<'a> {
    backend: &'a dyn Backend,
    config: &'a TrainConfig,
    options: SessionOptions,
    graph: Rc<TrainingGraph>,
    /// Whether the loss is scaled, so that a step whose gradients are no numbers is to be left out.
    is_scaled: bool,
    /// Absent before the first batch, because which parameters a step treats alike depends on what was learned before,
    /// and where somebody else may have changed that.
    loaded: Option<Loaded>,
    /// Whether the device has learned more than the host knows.
    is_ahead: bool,
}

/// The graphs' sessions, and what they work on.
struct Loaded {
    /// The parameters of each flat vector, as indices.
    groups: Vec<Vec<usize>>,
    gradients: Box<dyn ResidentSession>,
    update: Box<dyn ResidentSession>,
    state: State,
}

/// What lies on the device; each list has a vector a group.
struct State {
    parameters: Vec<OnDevice>,
    /// One or two a group.
    moments: Vec<OnDevice>,
    /// With one more for the running statistics, if there are any; empty without an average.
    averages: Vec<OnDevice>,
    running: Option<OnDevice>,
    /// Empty before the first batch, unless it is added to zeros.
    gradients: Vec<OnDevice>,
    /// Whether the gradients wait for an update.
    is_waiting: bool,
    /// The sum of their squares, where it is needed.
    squares: f64,
}

impl<'a> Resident<'a> {
    /// Nothing is loaded yet.
    pub fn new(trainer: &Trainer<'a>, graph: Rc<TrainingGraph>) -> Self {
        Self {
            backend: trainer.backend,
            config: trainer.config,
            options: trainer.place.for_training(trainer.config),
            graph,
            is_scaled: trainer.place.half == Some(Half::Float16),
            loaded: None,
            is_ahead: false,
        }
    }

    fn accumulates(&self) -> bool {
        self.config.trainer.accumulate > 1
    }

    /// Whether the host is told the sum of the gradients' squares.
    fn has_squares(&self) -> bool {
        self.is_scaled || self.config.optim.clip_norm > 0.0
    }

    /// The sessions and the state, with what was learned so far.
    fn ready(&mut self, learned: &Learned) -> Result<&mut Loaded> {
        let loaded = match self.loaded.take() {
            Some(loaded) => loaded,
            None => self.load(learned)?,
        };
        Ok(self.loaded.insert(loaded))
    }

    fn load(&self, learned: &Learned) -> Result<Loaded> {
        let groups = learned.optimizer.alike();
        let flat = self.graph.flat(&FlatOptions {
            groups: &groups,
            accumulate: self.accumulates(),
            squares: self.has_squares(),
        })?;
        let size = |group: &Vec<usize>| group.iter().map(|&i| self.graph.parameters[i].values.len()).sum();
        let layout = Layout {
            config: &self.config.optim,
            groups: &groups.iter().map(size).collect::<Vec<usize>>(),
            running: learned.weights.running().len(),
            average: learned.ema.is_some(),
        };
        let flat = ModelSource::Bytes(flat.to_bytes().into());
        let update = SessionOptions { custom_operators: false, ..self.options.clone() };
        let gradients = self.backend.load_resident(&flat, &self.options)?;
        let update = self.backend.load_resident(&layout.graph(), &update)?;
        let mut state = State::give(update.as_ref(), &groups, learned)?;
        if self.accumulates() {
            state.gradients = zeros(update.as_ref(), layout.groups)?;
        }
        Ok(Loaded { groups, gradients, update, state })
    }
}

impl State {
    /// What was learned, given to `session`; no gradients.
    fn give(session: &dyn ResidentSession, groups: &[Vec<usize>], learned: &Learned) -> Result<Self> {
        let give = |values: Vec<f32>| session.give(Tensor::new(vec![values.len()], values)?);
        let flat = |weights: &Weights| -> Result<Vec<OnDevice>> {
            groups.iter().map(|group| give(joined(group, |i| weights.parameters[i].values())?)).collect()
        };
        let slots = learned.optimizer.slots();
        let mut moments = Vec::new();
        for group in groups {
            moments.push(give(joined(group, |i| Ok(&slots[i].first))?)?);
            if !slots[group[0]].second.is_empty() {
                moments.push(give(joined(group, |i| Ok(&slots[i].second))?)?);
            }
        }
        let running = learned.weights.running();
        let mut averages = Vec::new();
        if let Some(ema) = &learned.ema {
            averages = flat(&ema.weights)?;
            if !running.is_empty() {
                averages.push(give(ema.weights.running())?);
            }
        }
        Ok(Self {
            parameters: flat(&learned.weights)?,
            moments,
            averages,
            running: if running.is_empty() { None } else { Some(give(running)?) },
            gradients: Vec::new(),
            is_waiting: false,
            squares: 0.0,
        })
    }
}

impl Steps for Resident<'_> {
    fn batch(&mut self, learned: &mut Learned, [rows, targets, seed]: [Tensor; 3]) -> Result<Answers> {
        let (accumulates, has_squares, has_seed) =
            (self.accumulates(), self.has_squares(), self.graph.has_seed);
        let Loaded { gradients, state, .. } = self.ready(learned)?;
        let mut operands = vec![Operand::Host(rows), Operand::Host(targets)];
        operands.extend(has_seed.then_some(Operand::Host(seed)));
        if accumulates {
            operands.push(Operand::Host(Tensor::new(vec![1], vec![!state.is_waiting])?));
        }
        operands.extend(state.parameters.iter().map(Operand::Resident));
        if accumulates {
            operands.extend(state.gradients.iter().map(Operand::Resident));
        }
        operands.extend(state.running.iter().map(Operand::Resident));
        let kept = state.parameters.len() + usize::from(state.running.is_some());
        let (mut host, mut kept) = gradients.run(operands, kept)?;
        if state.running.is_some() {
            state.running = kept.pop();
        }
        state.gradients = kept;
        state.is_waiting = true;
        if has_squares {
            let squares = host.pop().ok_or_else(|| missing("squares"))?;
            state.squares = f64::from(*squares.values::<f32>()?.first().ok_or_else(|| missing("squares"))?);
        }
        self.is_ahead = true;
        answers(host)
    }

    fn update(&mut self, learned: &mut Learned, along: Along) -> Result<bool> {
        let is_scaled = self.is_scaled;
        let Loaded { groups, update, state, .. } = self.ready(learned)?;
        if !std::mem::take(&mut state.is_waiting) {
            return Ok(true);
        }
        if is_scaled && !state.squares.is_finite() {
            return Ok(false);
        }
        let rules = learned.optimizer.advance(along.rate);
        let rules: Vec<_> = groups.iter().map(|group| rules[group[0]]).collect();
        let scalars = Scalars {
            factor: Clip::by_squares(along.config, state.squares, along.factor).factor(),
            keep: learned.ema.as_mut().map_or(0.0, crate::ema::Ema::advance),
            rules: &rules,
        };
        let numbers = scalars.numbers();
        let mut operands = vec![Operand::Host(Tensor::new(vec![numbers.len()], numbers)?)];
        let each = state.moments.len() / groups.len();
        for (group, moments) in state.moments.chunks_exact(each).enumerate() {
            operands.push(Operand::Resident(&state.parameters[group]));
            operands.push(Operand::Resident(&state.gradients[group]));
            operands.extend(moments.iter().map(Operand::Resident));
        }
        let groups = groups.len();
        let (averages, rest) = state.averages.split_at(groups.min(state.averages.len()));
        operands.extend(averages.iter().map(Operand::Resident));
        if !rest.is_empty() {
            operands.extend(state.running.iter().chain(rest).map(Operand::Resident));
        }
        let kept = groups * (1 + each) + state.averages.len();
        let (_, mut kept) = update.run(operands, kept)?;
        state.averages = kept.split_off(groups * (1 + each));
        state.parameters.clear();
        state.moments.clear();
        for (place, value) in kept.into_iter().enumerate() {
            let list = if place % (1 + each) == 0 { &mut state.parameters } else { &mut state.moments };
            list.push(value);
        }
        Ok(true)
    }

    fn settle(&mut self, learned: &mut Learned) -> Result<()> {
        let (Some(Loaded { groups, update, state, .. }), true) = (&self.loaded, self.is_ahead) else {
            return Ok(());
        };
        let fetch = |value: &OnDevice| update.fetch(value);
        let each = state.moments.len() / groups.len();
        for (group, members) in groups.iter().enumerate() {
            part(
                members,
                &fetch(&state.parameters[group])?,
                learned.weights.parameters.iter_mut().map(Tensor::values_mut),
            )?;
            let slots = learned.optimizer.slots_mut();
            part(
                members,
                &fetch(&state.moments[group * each])?,
                slots.iter_mut().map(|s| Ok(s.first.as_mut_slice())),
            )?;
            if each > 1 {
                part(
                    members,
                    &fetch(&state.moments[group * each + 1])?,
                    slots.iter_mut().map(|s| Ok(s.second.as_mut_slice())),
                )?;
            }
            if let Some(ema) = &mut learned.ema {
                part(
                    members,
                    &fetch(&state.averages[group])?,
                    ema.weights.parameters.iter_mut().map(Tensor::values_mut),
                )?;
            }
        }
        if let Some(running) = &state.running {
            learned.weights.set_running(fetch(running)?.values()?)?;
            if let (Some(ema), Some(average)) = (&mut learned.ema, state.averages.last()) {
                ema.weights.set_running(fetch(average)?.values()?)?;
            }
        }
        self.is_ahead = false;
        Ok(())
    }

    fn let_go(&mut self) {
        self.loaded = None;
    }
}

/// A vector of zeros for each of these sizes.
fn zeros(session: &dyn ResidentSession, sizes: &[usize]) -> Result<Vec<OnDevice>> {
    sizes.iter().map(|&size| session.give(Tensor::new(vec![size], vec![0.0f32; size])?)).collect()
}

/// The values of a group's members, one behind the other.
fn joined<'v>(group: &[usize], values: impl Fn(usize) -> Result<&'v [f32]>) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for &index in group {
        all.extend_from_slice(values(index)?);
    }
    Ok(all)
}

/// Gives each of a group's members its part of a flat vector.
fn part<'v>(group: &[usize], flat: &Tensor, all: impl Iterator<Item = Result<&'v mut [f32]>>) -> Result<()> {
    let mut members: Vec<Option<&mut [f32]>> = all.map(|values| values.map(Some)).collect::<Result<_>>()?;
    let mut rest = flat.values::<f32>()?;
    for &index in group {
        let Some(member) = members.get_mut(index).and_then(Option::take) else { continue };
        let (own, others) = rest.split_at_checked(member.len()).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a vector on the device is shorter than its parameters")
        })?;
        member.copy_from_slice(own);
        rest = others;
    }
    Ok(())
}
