//! Steps with weights and moments in the host's memory, moved by Rust: the way of the CPU.

use tintype_core::{ModelSource, Result, Tensor};
use tintype_engine::Session;
use tintype_graph::TrainingGraph;

use super::Trainer;
use super::learned::Learned;
use super::stepper::{Along, Answers, Steps, answers, inputs, missing};
use crate::optim::clip::Clip;

/// The session of a training graph, and what it gave.
pub(super) struct Hosted {
    /// Whether the graph draws random numbers.
    has_seed: bool,
    session: Box<dyn Session>,
    /// The sum over batches of the gradients that have not moved anything yet.
    waiting: Option<Vec<Tensor>>,
}

impl Hosted {
    /// Loads the graph.
    pub fn new(trainer: &Trainer, graph: &TrainingGraph) -> Result<Self> {
        let session = trainer.backend.load(
            &ModelSource::Bytes(graph.model.to_bytes().into()),
            &trainer.place.for_training(trainer.config),
        )?;
        Ok(Self { has_seed: graph.has_seed, session, waiting: None })
    }
}

impl Steps for Hosted {
    fn batch(&mut self, learned: &mut Learned, [rows, targets, seed]: [Tensor; 3]) -> Result<Answers> {
        let inputs = inputs(self.has_seed, &learned.weights, [&rows, &targets, &seed]);
        let mut outputs = self.session.run(&inputs)?;
        let parameters = learned.weights.parameters.len();
        if outputs.len() < 2 + parameters {
            return Err(missing("gradients"));
        }
        let statistics = outputs.split_off(2 + parameters);
        let gradients = outputs.split_off(2);
        learned.weights.observe(&statistics)?;
        match &mut self.waiting {
            None => self.waiting = Some(gradients),
            Some(waiting) => {
                for (sum, gradient) in waiting.iter_mut().zip(&gradients) {
                    let values = sum.values_mut::<f32>()?;
                    values.iter_mut().zip(gradient.values::<f32>()?).for_each(|(s, g)| *s += g);
                }
            }
        }
        answers(outputs)
    }

    fn update(&mut self, learned: &mut Learned, along: Along) -> Result<bool> {
        let Some(gradients) = self.waiting.take() else { return Ok(true) };
        let clip = Clip::new(along.config, &gradients, along.factor)?;
        learned.optimizer.step(&mut learned.weights.parameters, &gradients, along.rate, clip)?;
        if let Some(ema) = &mut learned.ema {
            ema.update(&learned.weights)?;
        }
        Ok(true)
    }

    fn settle(&mut self, _: &mut Learned) -> Result<()> {
        Ok(())
    }

    fn let_go(&mut self) {}
}
