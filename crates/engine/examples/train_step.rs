//! Times training steps of an architecture: forward, gradients and Adam, on random pictures.
//!
//! ```text
//! cargo run --release -p tintype-engine --example train_step -- ARCH [STEPS] [THREADS] [BATCH] [IMAGE]
//! ```
//! Prints one line of JSON: `{"steps": [ms, …], "cpu_ms": …, "loss": …}`, without the first two steps, which
//! allocate. `scripts/compare_train_step.py` runs it in turns with PyTorch.

use std::time::Instant;

use tintype_core::{Error, ErrorKind, ModelSource, Result, Tensor};
use tintype_engine::ort::OrtBackend;
use tintype_engine::{Backend, SessionOptions};
use tintype_graph::arch::{self, ArchSpec};
use tintype_graph::{GradientOptions, differentiate};

const CLASSES: usize = 5;
/// Steps that are not timed.
const WARM_UP: usize = 2;

fn main() -> Result<()> {
    let argument = |index, default| match std::env::args().nth(index) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            Error::new(ErrorKind::InvalidArgument, format!("expected a number, found `{text}`"))
        }),
    };
    let (steps, threads): (usize, usize) = (argument(2, 10)?, argument(3, 2)?);
    let (batch, image): (usize, usize) = (argument(4, 32)?, argument(5, 0)?);
    let name = std::env::args().nth(1).unwrap_or_else(|| "small_cnn".to_owned());
    let architecture = arch::find(&name)?;
    let image = if image == 0 { architecture.image } else { image };

    let model = architecture.build(&ArchSpec { image, ..ArchSpec::new(CLASSES) })?;
    let graph = differentiate(&model, &GradientOptions { batch, fused: true, trainable: &|_| true })?;
    let source = ModelSource::Bytes(graph.model.to_bytes().into());
    let options = SessionOptions {
        intra_threads: threads,
        spinning: true,
        custom_operators: true,
        ..SessionOptions::default()
    };
    let mut session = OrtBackend::new()?.load(&source, &options)?;

    let pictures = (0..batch * 3 * image * image).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0);
    let pictures = Tensor::new([batch, 3, image, image], pictures.collect::<Vec<_>>())?;
    let targets = (0..batch * CLASSES).map(|i| if i % CLASSES == i / CLASSES % CLASSES { 1.0 } else { 0.0 });
    let targets = Tensor::new([batch, CLASSES], targets.collect::<Vec<f32>>())?;
    let mut parameters = Vec::new();
    for parameter in &graph.parameters {
        parameters.push(Tensor::new(parameter.shape.clone(), parameter.values.clone())?);
    }
    let mut adam = Adam::new(&parameters);

    let mut times = Vec::new();
    let mut loss = 0.0;
    let mut cpu_before = cpu_ms()?;
    for step in 0..WARM_UP + steps {
        if step == WARM_UP {
            cpu_before = cpu_ms()?;
        }
        let start = Instant::now();
        let seed = Tensor::new([1], vec![step as i64])?;
        let inputs = [&pictures, &targets].into_iter().chain(graph.has_seed.then_some(&seed));
        let outputs = session.run(&inputs.chain(&parameters).collect::<Vec<_>>())?;
        adam.step(&mut parameters, &outputs[2..])?;
        loss = outputs[0].values::<f32>()?[0];
        if step >= WARM_UP {
            times.push(format!("{:.2}", start.elapsed().as_secs_f64() * 1e3));
        }
    }
    let cpu = (cpu_ms()? - cpu_before) / steps.max(1) as f64;
    #[expect(clippy::print_stdout, reason = "it is what the example is for")]
    {
        println!("{{\"steps\": [{}], \"cpu_ms\": {cpu:.1}, \"loss\": {loss:.4}}}", times.join(", "));
    }
    Ok(())
}

/// PyTorch's Adam with its defaults, in one pass over each parameter.
struct Adam {
    moments: Vec<Vec<[f32; 2]>>,
    steps: i32,
}

impl Adam {
    fn new(parameters: &[Tensor]) -> Self {
        Self { moments: parameters.iter().map(|p| vec![[0.0; 2]; p.data().len()]).collect(), steps: 0 }
    }

    fn step(&mut self, parameters: &mut [Tensor], gradients: &[Tensor]) -> Result<()> {
        self.steps += 1;
        let rate = 1e-3 / (1.0 - 0.9f32.powi(self.steps));
        let root = (1.0 - 0.999f32.powi(self.steps)).sqrt();
        for ((parameter, gradient), moments) in parameters.iter_mut().zip(gradients).zip(&mut self.moments) {
            let weights = parameter.values_mut::<f32>()?.iter_mut();
            for ((weight, g), [m, v]) in weights.zip(gradient.values::<f32>()?).zip(moments) {
                *m += 0.1 * (g - *m);
                *v = 0.999 * *v + 0.001 * g * g;
                *weight -= rate * *m / (v.sqrt() / root + 1e-8);
            }
        }
        Ok(())
    }
}

/// What this process has computed so far, on all its threads.
fn cpu_ms() -> Result<f64> {
    let wrong = || Error::new(ErrorKind::Unsupported, "expected times in `/proc/self/stat`");
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|e| wrong().with_source(e))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    // Linux counts a hundred ticks a second for user space, whatever the kernel's own timer.
    if ticks.len() == 2 { Ok((ticks[0] + ticks[1]) * 10.0) } else { Err(wrong()) }
}
