//! A layer's weight and bias as integers.

use tintype_core::Result;

use super::WeightBits;
use super::place::LayerNode;
use crate::proto::TensorProto;

/// The largest bias in steps; a quarter of an `i32`, which leaves the accumulator its room.
const LARGEST_BIAS: f64 = (1u32 << 29) as f64;

/// Integers and what they are worth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    /// Of the weight, in its own order.
    pub values: Vec<i8>,
    /// One an output channel.
    pub scales: Vec<f32>,
    /// One an output channel, where the layer has a bias.
    pub bias: Option<Bias>,
}

/// A bias in steps of its channel's weight scale times the input's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bias {
    pub values: Vec<i32>,
    pub scales: Vec<f32>,
}

impl Weights {
    /// Rounds to the nearest step, ties to even; `input` is the scale of what the layer reads.
    pub fn new(
        layer: &LayerNode,
        weight: &TensorProto,
        bias: Option<&TensorProto>,
        rounding: (f32, WeightBits),
    ) -> Result<Self> {
        let (input, bits) = rounding;
        let greatest = match bits {
            WeightBits::Eight => 127.0,
            WeightBits::Seven => 64.0,
        };
        let (floats, shape) = (weight.to_f32()?, weight.shape()?);
        let bias = bias.map(TensorProto::to_f32).transpose()?;
        let channels = shape[layer.axis];
        let inner: usize = shape[layer.axis + 1..].iter().product::<usize>().max(1);
        let channel = |index: usize| index / inner % channels;
        let mut reach = vec![0f32; channels];
        for (index, value) in floats.iter().enumerate() {
            let most = &mut reach[channel(index)];
            *most = most.max(value.abs());
        }
        let scales: Vec<f32> = (0..channels)
            .map(|c| {
                let own = f64::from(reach[c]) / greatest;
                // Where weights are next to nothing, their bias must still fit.
                let bias = bias.as_ref().map_or(0.0, |b| f64::from(b[c].abs()));
                let least = bias / (f64::from(input) * LARGEST_BIAS);
                own.max(least).max(f64::from(f32::MIN_POSITIVE)) as f32
            })
            .collect();
        let step = |index: usize, value: f32| {
            let steps = (f64::from(value) / f64::from(scales[channel(index)])).round_ties_even();
            steps.clamp(-greatest, greatest) as i8
        };
        let values = floats.iter().enumerate().map(|(index, &value)| step(index, value)).collect();
        let bias = bias.map(|floats| {
            let worth: Vec<f32> = scales.iter().map(|&s| (f64::from(s) * f64::from(input)) as f32).collect();
            let values = floats.iter().zip(&worth);
            let values =
                values.map(|(&b, &s)| (f64::from(b) / f64::from(s)).round_ties_even() as i32).collect();
            Bias { values, scales: worth }
        });
        Ok(Self { values, scales, bias })
    }
}
