//! Against the definition, in `f64`.

use tintype_testkit::assert_close;

use super::super::threads::TestThreads;
use super::*;

const SHAPES: [&[usize]; 6] =
    [&[4, 3], &[2, 1, 1, 1], &[3, 2, 5, 7], &[1, 4, 33], &[2, 3, 8, 8], &[5, 2, 1, 65]];

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed) * 2_654_435_761) % 1009) as f32 / 504.0 - 1.0).collect()
}

/// Mean, biased variance and `(x - mean) / sqrt(var + epsilon)` of each channel, in `f64`.
fn reference(planes: Planes, x: &[f32], epsilon: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let channel = |i: usize| i / planes.len % planes.channels;
    let count = planes.per_channel() as f64;
    let (mut mean, mut var) = (vec![0.0; planes.channels], vec![0.0; planes.channels]);
    for (i, &x) in x.iter().enumerate() {
        mean[channel(i)] += f64::from(x) / count;
    }
    for (i, &x) in x.iter().enumerate() {
        var[channel(i)] += (f64::from(x) - mean[channel(i)]).powi(2) / count;
    }
    let normal = x.iter().enumerate();
    let normal = normal.map(|(i, &x)| (f64::from(x) - mean[channel(i)]) / (var[channel(i)] + epsilon).sqrt());
    let normal = normal.collect();
    (mean, var, normal)
}

fn to_f32(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

struct Run {
    planes: Planes,
    x: Vec<f32>,
    y: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    mean: Vec<f32>,
    var: Vec<f32>,
}

fn run(shape: &[usize], relu: bool, offset: f32) -> Run {
    let planes = Planes::of(shape).unwrap();
    let x = numbers(planes.count(), 1).iter().map(|x| x + offset).collect::<Vec<_>>();
    let (gamma, beta) = (numbers(planes.channels, 7), numbers(planes.channels, 3));
    let mut y = vec![f32::NAN; x.len()];
    let (mut mean, mut var) = (vec![f32::NAN; planes.channels], vec![f32::NAN; planes.channels]);
    let input = Affine { x: &x, gamma: &gamma, beta: &beta };
    let operator = BatchNormTrain { epsilon: 1e-5, relu };
    operator.apply(&TestThreads, planes, input, [&mut y, &mut mean, &mut var]).unwrap();
    Run { planes, x, y, gamma, beta, mean, var }
}

#[test]
fn the_batch_is_normalised() {
    for shape in SHAPES {
        for relu in [false, true] {
            let run = run(shape, relu, 0.0);
            let (mean, var, normal) = reference(run.planes, &run.x, 1e-5);
            assert_close(&run.mean, &to_f32(&mean), 1e-6);
            assert_close(&run.var, &to_f32(&var), 1e-6);
            let expected: Vec<f32> = (0..normal.len())
                .map(|i| {
                    let c = i / run.planes.len % run.planes.channels;
                    let y = normal[i] as f32 * run.gamma[c] + run.beta[c];
                    if relu { y.max(0.0) } else { y }
                })
                .collect();
            assert_close(&run.y, &expected, 1e-5);
        }
    }
}

#[test]
fn a_large_mean_does_not_cancel_the_variance() {
    // Over squares, 1e4² leaves nothing of a variance of 0.33 in `f32`.
    let run = run(&[8, 2, 32, 32], false, 1e4);
    let (mean, var, _) = reference(run.planes, &run.x, 1e-5);
    assert_close(&run.mean, &to_f32(&mean), 2e-3);
    assert_close(&run.var, &to_f32(&var), 1e-4);
}

#[test]
fn gradients_are_those_of_the_definition() {
    for shape in SHAPES {
        for relu in [false, true] {
            let run = run(shape, relu, 0.0);
            let planes = run.planes;
            let dy = numbers(planes.count(), 11);
            let forward =
                Forward { dy: &dy, x: &run.x, y: &run.y, gamma: &run.gamma, mean: &run.mean, var: &run.var };
            let mut dx = vec![f32::NAN; dy.len()];
            let (mut dgamma, mut dbeta) = (vec![f32::NAN; planes.channels], vec![f32::NAN; planes.channels]);
            let operator = BatchNormTrainGrad { epsilon: 1e-5, relu };
            operator.apply(&TestThreads, planes, &forward, [&mut dx, &mut dgamma, &mut dbeta]).unwrap();

            let (_, var, normal) = reference(planes, &run.x, 1e-5);
            let channel = |i: usize| i / planes.len % planes.channels;
            let t = |i: usize| if relu && run.y[i] <= 0.0 { 0.0 } else { f64::from(dy[i]) };
            let (mut sum, mut dot) = (vec![0.0; planes.channels], vec![0.0; planes.channels]);
            for i in 0..dy.len() {
                sum[channel(i)] += t(i);
                dot[channel(i)] += t(i) * normal[i];
            }
            assert_close(&dbeta, &to_f32(&sum), 1e-5);
            assert_close(&dgamma, &to_f32(&dot), 1e-4);
            let count = planes.per_channel() as f64;
            let expected: Vec<f32> = (0..dy.len())
                .map(|i| {
                    let c = channel(i);
                    let scale = f64::from(run.gamma[c]) / (var[c] + 1e-5).sqrt();
                    (scale * (t(i) - sum[c] / count - normal[i] * dot[c] / count)) as f32
                })
                .collect();
            let largest = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
            assert_close(&dx, &expected, 1e-5 * largest);
        }
    }
}

#[test]
fn nan_is_not_hidden_by_relu() {
    let (mut y, mut mean, mut var) = ([0.0; 2], [0.0], [0.0]);
    let input = Affine { x: &[f32::NAN, 1.0], gamma: &[1.0], beta: &[0.0] };
    let planes = Planes::of(&[2, 1]).unwrap();
    let operator = BatchNormTrain { epsilon: 1e-5, relu: true };
    operator.apply(&TestThreads, planes, input, [&mut y, &mut mean, &mut var]).unwrap();
    assert!(y[1].is_nan());
}
