//! How long two models take for one image on one thread, in turn, so that a busy machine slows both alike.

use std::time::{Duration, Instant};

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::{Backend, SessionOptions};

use crate::pass::Stop;

/// Rounds before any is counted.
const WARM_UP: usize = 3;
/// Rounds at most.
const ROUNDS: usize = 60;
/// Rounds at least, whatever they take.
const FEWEST: usize = 7;
/// How long rounds go on.
const BUDGET: Duration = Duration::from_secs(10);

/// The median milliseconds of each model.
pub(super) fn measure(
    models: &[ModelSource; 2],
    input: &Tensor,
    backend: &dyn Backend,
    stop: &Stop,
) -> Result<[f64; 2]> {
    let load = |model: &ModelSource| backend.load(model, &SessionOptions::default());
    let mut sessions = [load(&models[0])?, load(&models[1])?];
    let mut times = [Vec::new(), Vec::new()];
    let began = Instant::now();
    for round in 0..WARM_UP + ROUNDS {
        if stop.is_requested() {
            return Err(Error::new(ErrorKind::Cancelled, "stopped"));
        }
        if round >= WARM_UP + FEWEST && began.elapsed() > BUDGET {
            break;
        }
        for (session, times) in sessions.iter_mut().zip(&mut times) {
            let start = Instant::now();
            session.run(&[input])?;
            if round >= WARM_UP {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(times.map(median))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_has_a_median_between_two() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![9.0, 1.0, 3.0]), 3.0);
    }
}
