//! `tintype package import`: a checkpoint of PyTorch or safetensors as a package that serves.
//!
//! [`source`] finds the weights and what lies beside them; [`described`] reads timm's and transformers' `config.json`.
//! Reading weights without running anything, and fitting them into an architecture, is `tintype_graph::weights`' business.

mod described;
mod pixels;
mod source;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use tintype_core::package::{check_name, check_version};
use tintype_core::{Error, ErrorKind, ModelSource, ModelSpec, Package, Result};
use tintype_graph::arch::{ARCHITECTURES, ArchSpec, Architecture, find};
use tintype_graph::weights::{Checkpoint, Fitted, classes, fit};
use tintype_hub::Hub;

use super::{Destination, labels_in, quoted, spec_in};
use described::Described;
use source::Source;

/// Options of `tintype package import`.
#[derive(Debug, Args)]
#[command(after_long_help = architectures())]
pub struct ImportArgs {
    /// A `.safetensors`, `.pth`, `.pt`, `.th`, `.bin` or `.ckpt` file, the `.index.json` of several, a folder with these and a
    /// `config.json`, or `hf://owner/name[@revision]`
    #[arg(value_name = "SOURCE")]
    source: String,

    /// The architecture, as `resnet18` (`--help` lists them); not needed where a `config.json` names it
    #[arg(long, value_name = "A")]
    arch: Option<String>,

    /// A file with one class name a line; not needed where a `config.json` names them
    #[arg(long, value_name = "F.txt")]
    labels: Option<PathBuf>,

    /// A TOML file with `[preprocess]` and `[postprocess]`, instead of the architecture's usual preprocessing
    #[arg(long, value_name = "F.toml")]
    spec: Option<PathBuf>,

    /// Leave out the checkpoint's last layer and begin a new one for N classes, to be trained
    #[arg(long, value_name = "N")]
    head_classes: Option<usize>,

    /// Height and width of the input, where they are not the architecture's own
    #[arg(long, value_name = "PIXELS", default_value_t = 0, hide_default_value = true)]
    image: usize,

    /// The model's name; the architecture's by default
    #[arg(long)]
    name: Option<String>,

    #[command(flatten)]
    destination: Destination,
}

/// Makes a package of a checkpoint and prints where it is.
pub fn import(args: &ImportArgs, hub: &Hub, stdout: &mut impl Write) -> Result<()> {
    check_version(&args.destination.version)?;
    let source = Source::find(&args.source, hub)?;
    let described = described::of(&source)?;
    let arch = architecture(args, &described)?;
    let name = args.name.clone().unwrap_or_else(|| arch.name.to_owned());
    check_name(&name)?;
    let mut checkpoint = Checkpoint::open(&source.weights)?;
    let fitted = fitted(args, &described, arch, &mut checkpoint)?;
    tell(&fitted);

    let mut spec = match &args.spec {
        Some(file) => spec_in(file)?,
        None => ModelSpec {
            preprocess: Some(match &described.preprocess {
                Some(preprocess) => preprocess.clone(),
                None => arch.preprocess(image(args, &described)),
            }),
            ..ModelSpec::default()
        },
    };
    for (key, value) in
        [("arch", arch.name), ("weights", &source.origin), ("tintype", env!("CARGO_PKG_VERSION"))]
    {
        spec.provenance.insert(key.to_owned(), value.to_owned());
    }
    let package = Package {
        name,
        version: args.destination.version.clone(),
        spec,
        labels: match (&args.labels, args.head_classes) {
            (Some(file), _) => labels_in(file)?,
            // The names are those of the classes that were left out.
            (None, Some(_)) => Vec::new(),
            (None, None) => described.labels,
        },
        model: ModelSource::Bytes(fitted.model.to_bytes().into()),
        config: None,
        output_labels: BTreeMap::new(),
    };
    args.destination.write(&package, stdout)
}

/// The architectures, a line each.
fn architectures() -> String {
    let line = |arch: &Architecture| format!("  {:<23}{}\n", arch.name, arch.about);
    let lines: String = ARCHITECTURES.iter().map(line).collect();
    format!("Architectures:\n{lines}")
}

fn architecture(args: &ImportArgs, described: &Described) -> Result<&'static Architecture> {
    match (&args.arch, &described.arch) {
        (Some(name), _) => find(name),
        (None, Some(name)) => find(name).map_err(|e| e.context("`config.json`")),
        (None, None) => {
            Err(Error::new(ErrorKind::InvalidArgument, "nothing says which architecture the weights are of")
                .with_hint("name it with `--arch`, as `--arch resnet18`"))
        }
    }
}

/// Pixels of a side: those asked for, those described, or 0 for the architecture's own.
fn image(args: &ImportArgs, described: &Described) -> usize {
    if args.image == 0 { described.image.unwrap_or(0) } else { args.image }
}

fn fitted(
    args: &ImportArgs,
    described: &Described,
    arch: &Architecture,
    checkpoint: &mut Checkpoint,
) -> Result<Fitted> {
    let found = args.head_classes.or_else(|| classes(arch, checkpoint));
    let classes = found.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidModel,
            format!("{}: found no last layer of `{}`", quoted(checkpoint.path()), arch.name),
        )
        .with_hint("`--head-classes N` begins a new one, to be trained")
    })?;
    let spec = ArchSpec {
        image: image(args, described),
        blank: args.head_classes.is_none(),
        norm_epsilon: described.norm_epsilon,
        ..ArchSpec::new(classes)
    };
    let head = arch.head.trim_end_matches("weight");
    let keep = |name: &str| args.head_classes.is_some() && name.starts_with(head);
    let fitted = fit(arch, &arch.build(&spec)?, checkpoint, &keep);
    fitted.map_err(|e| e.context(quoted(checkpoint.path())))
}

/// Says what was done to the names.
fn tell(fitted: &Fitted) {
    if !fitted.prefix.is_empty() {
        tracing::info!("left out `{}` before every name", fitted.prefix);
    }
    if let Some(naming) = fitted.naming {
        tracing::info!("renamed the parameters from {naming}");
    }
    if !fitted.ignored.is_empty() {
        tracing::debug!("left out counters: {}", fitted.ignored.join(", "));
    }
}

#[cfg(test)]
mod tests;
