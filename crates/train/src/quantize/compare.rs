//! A quantised model's answers beside the float model's, over the same images.

use serde::Serialize;
use tintype_core::Result;
use tintype_graph::Model;

use super::Work;
use super::calibrate::no_image;
use super::report::Images;
use crate::data::{Dataset, Sample};
use crate::evaluate::{Scorer, match_labels};
use crate::event::{ImagesPass, TrainEvent};
use crate::pass::Watch;
use crate::results::calibration::best_of;

/// The evaluation images with the float model's answers.
pub(super) struct Question<'a> {
    samples: &'a [Sample],
    answers: Answered,
    /// The model's class of each image, where the images have classes that it knows.
    truths: Option<Vec<usize>>,
    labels: Vec<String>,
}

/// The best class of each image; none where it cannot be read.
pub(super) struct Answered(Vec<Option<usize>>);

/// Float and quantised answers, counted.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    /// Share of right answers, float and quantised; where the images have classes.
    pub top1: Option<[f64; 2]>,
    /// Share of images with the same best class.
    pub agreement: f64,
    /// The classes that have images, those that lost most first.
    pub classes: Vec<ClassChange>,
}

/// One class's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassChange {
    /// The class's name.
    pub label: String,
    /// Images of the class.
    pub images: u64,
    /// How many of them the float model takes for it.
    pub float: u64,
    /// How many the quantised model does.
    pub int8: u64,
}

impl Comparison {
    /// Points of top-1 accuracy that were lost, below 0 where some were won; of agreement where there are no classes.
    pub fn drop(&self) -> f64 {
        100.0 * self.top1.map_or(1.0 - self.agreement, |[float, int8]| float - int8)
    }
}

impl<'a> Question<'a> {
    /// Lets the float model answer.
    ///
    /// # Errors
    /// `InvalidArgument` when no image can be read, or the model knows some of the images' classes but not all; what running it
    /// returns; `Cancelled`.
    pub fn ask(work: &mut Work, data: &'a Dataset) -> Result<Self> {
        let labels = Scorer::open(work.package, work.backend, 1)?.labels()?;
        let known = |class: &String| match_labels(std::slice::from_ref(class), &labels).is_ok();
        let classes =
            if data.classes.iter().any(known) { Some(match_labels(&data.classes, &labels)?) } else { None };
        let samples = data.samples.as_slice();
        let answers = Answered::by(work, None, samples)?;
        if answers.0.iter().all(Option::is_none) {
            return Err(no_image());
        }
        let truths = classes.map(|classes| samples.iter().map(|sample| classes[sample.class]).collect());
        Ok(Self { samples, answers, truths, labels })
    }

    /// The images.
    pub fn samples(&self) -> &'a [Sample] {
        self.samples
    }

    /// How many there are.
    pub fn images(&self) -> Images {
        let images = self.answers.0.iter().flatten().count();
        Images { images, unreadable: self.samples.len() - images, labelled: self.truths.is_some() }
    }

    /// Sets another model's answers beside the float one's.
    pub fn compare(&self, answers: &Answered) -> Comparison {
        let both = || self.answers.0.iter().zip(&answers.0).map(|(&a, &b)| a.zip(b));
        let images = both().flatten().count().max(1) as f64;
        let share = |count: usize| count as f64 / images;
        let agreement = share(both().flatten().filter(|(a, b)| a == b).count());
        let Some(truths) = &self.truths else {
            return Comparison { top1: None, agreement, classes: Vec::new() };
        };
        let mut classes: Vec<ClassChange> = self
            .labels
            .iter()
            .map(|label| ClassChange { label: label.clone(), images: 0, float: 0, int8: 0 })
            .collect();
        for (&truth, (a, b)) in truths.iter().zip(both()).filter_map(|(truth, pair)| Some((truth, pair?))) {
            let class = &mut classes[truth];
            class.images += 1;
            class.float += u64::from(a == truth);
            class.int8 += u64::from(b == truth);
        }
        classes.retain(|class| class.images > 0);
        let right = |of: fn(&ClassChange) -> u64| share(classes.iter().map(of).sum::<u64>() as usize);
        let top1 = Some([right(|class| class.float), right(|class| class.int8)]);
        let lost = |class: &ClassChange| {
            class.float as f64 / class.images as f64 - class.int8 as f64 / class.images as f64
        };
        classes.sort_by(|a, b| lost(b).total_cmp(&lost(a)).then_with(|| a.label.cmp(&b.label)));
        Comparison { top1, agreement, classes }
    }
}

impl Answered {
    /// Lets a model answer, the package's own where `None`.
    pub fn by(work: &mut Work, model: Option<&Model>, samples: &[Sample]) -> Result<Self> {
        let scorer = work.scorer(model)?;
        let stop = &work.options.stop;
        let watch = Watch { what: ImagesPass::Evaluate, subscriber: work.subscriber, stop };
        let rows = scorer.score(samples, watch)?;
        let mut best = Vec::with_capacity(rows.len());
        for (sample, row) in samples.iter().zip(rows) {
            best.push(row.as_deref().ok().map(|scores| best_of(scores).0));
            // The float model comes first, and the others read the same images.
            if let (Err(error), None) = (row, model) {
                let (image, reason) = (sample.origin.clone(), error.message().to_owned());
                work.subscriber.on_event(&TrainEvent::Unreadable { image, reason });
            }
        }
        Ok(Self(best))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_images_that_both_answered() {
        let question = Question {
            samples: &[],
            answers: Answered(vec![Some(0), Some(1), Some(1), None, Some(0)]),
            truths: Some(vec![0, 1, 1, 1, 1]),
            labels: vec!["a".into(), "b".into(), "c".into()],
        };
        let found = question.compare(&Answered(vec![Some(0), Some(0), Some(1), None, Some(1)]));
        assert_eq!((found.top1, found.agreement), (Some([0.75, 0.75]), 0.5));
        let class =
            |label: &str, images, float, int8| ClassChange { label: label.into(), images, float, int8 };
        assert_eq!(found.classes, [class("a", 1, 1, 1), class("b", 3, 2, 2)]);
        let unlabelled = Question { truths: None, ..question };
        let found = unlabelled.compare(&Answered(vec![Some(0), Some(0), Some(1), None, Some(0)]));
        assert_eq!((found.top1, found.drop()), (None, 25.0));
    }
}
