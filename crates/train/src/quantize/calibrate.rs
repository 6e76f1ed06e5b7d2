//! The ranges of a model's tensors over images.
//!
//! Images stream: of each only the least and greatest value of every tensor stay, then, in a second pass for the methods
//! that want them, counts in bins over the range of the first. Every thread tallies for itself.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range as Span;

use tintype_core::{Error, ErrorKind, ImageClassifier, Result, Scratch};
use tintype_engine::{Session, SessionOptions};
use tintype_graph::quantize::{Histogram, Quantizer, Range};

use super::{Work, source};
use crate::data::{Dataset, Sample};
use crate::evaluate::Scorer;
use crate::event::{ImagesPass, TrainEvent};
use crate::pass::{self, Watch, batch_of, over_files};

/// How a tensor's range follows from its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// From the least to the greatest.
    MinMax,
    /// Without the rare values at the ends, as the Kullback-Leibler divergence says: [`Histogram::entropy`].
    Entropy,
    /// Without a share (0..1) of the values, half of it at each end.
    Percentile {
        /// The share that is left out.
        without: f64,
    },
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinMax => f.write_str("minmax"),
            Self::Entropy => f.write_str("entropy"),
            Self::Percentile { without } => write!(f, "percentile {}", 100.0 * (1.0 - without)),
        }
    }
}

/// The range of every observed tensor, and how many images could not be read.
pub(super) fn ranges(
    work: &mut Work,
    quantizer: &Quantizer,
    data: &Dataset,
) -> Result<(HashMap<String, Range>, usize)> {
    let model = source(&quantizer.observing());
    let threads = pass::threads(work.options.threads);
    let load = |_| work.backend.load(&model, &SessionOptions::default());
    let sessions = (0..threads).map(load).collect::<Result<Vec<_>>>()?;
    let mut observer =
        Observer { classifier: Scorer::open(work.package, work.backend, 1)?.classifier, sessions };

    let empty = vec![Range::EMPTY; quantizer.observed().len()];
    let (tallies, errors) = observer.observe(work, &data.samples, &empty)?;
    let mut whole = empty;
    for tally in tallies {
        whole.iter_mut().zip(tally).for_each(|(all, range)| *all = all.union(range));
    }
    for (image, error) in &errors {
        let (image, reason) = (image.origin.clone(), error.message().to_owned());
        work.subscriber.on_event(&TrainEvent::Unreadable { image, reason });
    }
    if errors.len() == data.samples.len() {
        return Err(no_image());
    }
    let chosen = match work.options.method {
        Method::MinMax => whole,
        Method::Entropy => observer.counts(work, data, &whole)?.iter().map(Histogram::entropy).collect(),
        Method::Percentile { without } => {
            observer.counts(work, data, &whole)?.iter().map(|counts| counts.without(without)).collect()
        }
    };
    Ok((quantizer.observed().iter().cloned().zip(chosen).collect(), errors.len()))
}

/// Nothing to go by.
pub(super) fn no_image() -> Error {
    Error::new(ErrorKind::InvalidArgument, "no image could be read")
}

/// What is made of a tensor's values.
trait Tally: Clone + Send {
    fn tally(&mut self, values: &[f32]);
}

impl Tally for Range {
    fn tally(&mut self, values: &[f32]) {
        *self = self.union(Self::of(values));
    }
}

impl Tally for Histogram {
    fn tally(&mut self, values: &[f32]) {
        self.add(values);
    }
}

/// The model that puts out its tensors, in sessions of one thread each.
struct Observer {
    classifier: ImageClassifier,
    sessions: Vec<Box<dyn Session>>,
}

/// The images that could not be read, with the reason.
type Unread<'a> = Vec<(&'a Sample, Error)>;

impl Observer {
    /// Runs every image; returns the tallies of each session, which begin as `empty`, one a tensor.
    fn observe<'a, T: Tally>(
        &mut self,
        work: &mut Work,
        samples: &'a [Sample],
        empty: &[T],
    ) -> Result<(Vec<Vec<T>>, Unread<'a>)> {
        let mut tallies = vec![empty.to_vec(); self.sessions.len()];
        let classifier = &self.classifier;
        let workers: Vec<_> = self
            .sessions
            .iter_mut()
            .zip(&mut tallies)
            .map(|(session, tallies)| {
                let mut scratch = Scratch::default();
                move |range: Span<usize>| {
                    samples[range]
                        .iter()
                        .map(|s| one(classifier, s, &mut scratch, (session.as_mut(), tallies)))
                        .collect()
                }
            })
            .collect();
        let stop = &work.options.stop;
        let mut watch = Watch { what: ImagesPass::Calibrate, subscriber: work.subscriber, stop };
        let rows = over_files(samples.len(), 1, workers, &mut watch)?;
        let unread =
            samples.iter().zip(rows).filter_map(|(sample, row)| Some((sample, row.err()?))).collect();
        Ok((tallies, unread))
    }

    /// How often values occur, over ranges that are known.
    fn counts(&mut self, work: &mut Work, data: &Dataset, whole: &[Range]) -> Result<Vec<Histogram>> {
        let empty: Vec<Histogram> = whole.iter().map(|&range| Histogram::new(range)).collect();
        let (tallies, _) = self.observe(work, &data.samples, &empty)?;
        let mut counts = empty;
        for tally in &tallies {
            counts.iter_mut().zip(tally).for_each(|(all, counts)| all.merge(counts));
        }
        Ok(counts)
    }
}

/// Runs one image; the outer error is the session's, the inner one the image's.
fn one<T: Tally>(
    classifier: &ImageClassifier,
    sample: &Sample,
    scratch: &mut Scratch,
    (session, tallies): (&mut dyn Session, &mut Vec<T>),
) -> Result<Result<()>> {
    let image = match sample.origin.read().and_then(|bytes| classifier.prepare(&bytes, scratch)) {
        Ok(image) => image,
        Err(error) => return Ok(Err(error)),
    };
    let batch = batch_of(&[image], session, classifier.input())?;
    let outputs = session.run(&[&batch])?;
    for (tally, output) in tallies.iter_mut().zip(&outputs) {
        tally.tally(output.values::<f32>()?);
    }
    Ok(Ok(()))
}
