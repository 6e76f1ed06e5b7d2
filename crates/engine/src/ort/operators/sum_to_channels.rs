//! The gradient of a bias.

use ort::value::TensorElementType::Float32;
use tintype_core::Result;

use super::kernel::{Attributes, Call, Kernel, Like, Type};
use super::threads::{Planes, Threads, chunks, require_len};
use super::wide::sum;

/// Columns of a matrix that are summed together: four cache lines of a row.
const COLUMNS: usize = 64;

/// `SumToChannels(x[N,C,…]) → y[C]`: the sum over all axes but the second.
pub(super) struct SumToChannels;

impl Kernel for SumToChannels {
    const NAME: &'static str = "SumToChannels";
    const INPUTS: &'static [Type] = &[Float32];
    const OUTPUTS: usize = 1;

    fn new(_: &Attributes) -> Result<Self> {
        Ok(Self)
    }

    fn output_like(_: usize) -> Like {
        Like::Channels(0)
    }

    fn compute(&self, call: &Call) -> Result<()> {
        let x = call.input(0)?;
        let planes = Planes::of(&x.shape())?;
        let mut y = call.output(0, &[planes.channels])?;
        apply(call.threads(), planes, x.f32s()?, y.f32s()?)
    }
}

fn apply(threads: &dyn Threads, planes: Planes, x: &[f32], y: &mut [f32]) -> Result<()> {
    require_len("`x`", x.len(), planes.count())?;
    require_len("`y`", y.len(), planes.channels)?;
    if planes.len == 1 {
        // A matrix: read row by row, some columns at a time. Column by column each number would cost a cache line.
        return chunks(threads, y, COLUMNS, |index, y| {
            let columns = index * COLUMNS..index * COLUMNS + y.len();
            let mut sums = [0.0; COLUMNS];
            for row in x.chunks_exact(planes.channels) {
                for (sum, x) in sums.iter_mut().zip(&row[columns.clone()]) {
                    *sum += f64::from(*x);
                }
            }
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum as f32);
        });
    }
    chunks(threads, y, 1, |channel, y| y[0] = planes.of_channel(x, channel).map(sum).sum::<f64>() as f32)
}

#[cfg(test)]
mod tests {
    use super::super::threads::TestThreads;
    use super::*;

    #[test]
    fn each_channel_is_summed_alone() {
        for shape in [&[2, 3][..], &[40, 150], &[1, 1, 1], &[3, 5, 7, 11], &[2, 2, 100], &[0, 2, 3]] {
            let planes = Planes::of(shape).unwrap();
            let x: Vec<f32> = (0..planes.count()).map(|i| (i % 17) as f32 - 3.0).collect();
            let mut y = vec![f32::NAN; planes.channels];
            apply(&TestThreads, planes, &x, &mut y).unwrap();
            let mut expected = vec![0.0; planes.channels];
            for (i, x) in x.iter().enumerate() {
                expected[i / planes.len % planes.channels] += x;
            }
            assert_eq!(y, expected, "{shape:?}");
        }
    }
}
