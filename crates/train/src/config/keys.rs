//! The one list of keys that a training configuration has.

use super::Scope;

/// What a key's value must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Anything.
    Text,
    /// A whole number of at least 0.
    Count,
    /// A number.
    Number,
    /// `true` or `false`.
    Switch,
    /// Four counts, as `[64,128,256,512]`.
    FourCounts,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Count => f.write_str("a whole number of at least 0"),
            Self::Number => f.write_str("a number"),
            Self::Switch => f.write_str("`true` or `false`"),
            Self::FourCounts => f.write_str("four whole numbers as `[64,128,256,512]`"),
            Self::OneOf(words) => {
                for (i, word) in words.iter().enumerate() {
                    let join = if i == 0 { "" } else { " or " };
                    write!(f, "{join}`{word}`")?;
                }
                Ok(())
            }
        }
    }
}

/// A key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    /// Dotted, as in `optim.lr`.
    pub path: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// The only scope that it applies to, if it does not apply to both.
    pub scope: Option<Scope>,
    /// One line for the usage text.
    pub help: &'static str,
}

const fn key(path: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { path, kind, scope: None, help }
}

const fn only(scope: Scope, path: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { path, kind, scope: Some(scope), help }
}

/// Every key, in the order of the usage text.
pub(super) const KEYS: &[Key] = &[
    key("scope", Kind::OneOf(&["head", "all"]), "train the last layer of a model, or every layer"),
    key("backbone", Kind::Text, "the model to begin with: a package, a run directory or an `.onnx` file"),
    only(
        Scope::All,
        "arch",
        Kind::OneOf(&["small_cnn"]),
        "without a backbone: the architecture, from scratch",
    ),
    key("data.path", Kind::Text, "a folder with one folder of images per class; `data=` for short"),
    key("data.val_fraction", Kind::Number, "the share of each class held out for validation"),
    key("name", Kind::Text, "the model's name"),
    key("run_dir", Kind::Text, "where results go; `runs/<name>/<time>` by default"),
    key("seed", Kind::Count, "seeds split, initialisation, order and dropout"),
    key(
        "preprocess",
        Kind::OneOf(&["imagenet", "inception", "clip"]),
        "preprocessing of a bare `.onnx` file, by preset",
    ),
    key("spec", Kind::Text, "preprocessing out of a `tintype.toml`"),
    key("optim.name", Kind::OneOf(&["adam", "adamw", "sgd"]), "the optimizer"),
    key("optim.lr", Kind::Number, "learning rate"),
    key("optim.weight_decay", Kind::Number, "L2 penalty; decoupled with `adamw`"),
    key("optim.momentum", Kind::Number, "momentum of `sgd`"),
    key("trainer.epochs", Kind::Count, "passes over the training images"),
    key("trainer.batch_size", Kind::Count, "images a step"),
    key("trainer.threads", Kind::Count, "cores to use; 0 means all"),
    only(Scope::All, "model.image", Kind::Count, "height and width of the input"),
    only(Scope::All, "model.widths", Kind::FourCounts, "channels of the four blocks"),
    only(Scope::All, "model.hidden", Kind::Count, "units of the hidden layer"),
    only(Scope::All, "model.dropout", Kind::Number, "share of hidden units dropped"),
    only(Scope::All, "augment.flip", Kind::Switch, "mirror half of the training images"),
];

/// What a training begins with, which its defaults follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// `scope=head`: a model whose last layer is replaced.
    Head,
    /// `scope=all` with a backbone: that model.
    Backbone,
    /// `scope=all` without: random weights.
    Scratch,
}

/// The defaults of one kind of training, as TOML.
pub(super) fn defaults(start: Start) -> &'static str {
    match start {
        Start::Head => {
            "
            scope = 'head'
            seed = 0
            data = { val_fraction = 0.2 }
            optim = { name = 'adam', lr = 0.001, weight_decay = 0.0, momentum = 0.9 }
            trainer = { epochs = 30, batch_size = 32, threads = 0 }
            "
        }
        Start::Backbone => {
            "
            scope = 'all'
            seed = 0
            data = { val_fraction = 0.2 }
            optim = { name = 'adam', lr = 0.0001, weight_decay = 0.0, momentum = 0.9 }
            trainer = { epochs = 5, batch_size = 32, threads = 0 }
            augment = { flip = false }
            "
        }
        Start::Scratch => {
            "
            scope = 'all'
            arch = 'small_cnn'
            seed = 0
            data = { val_fraction = 0.2 }
            optim = { name = 'adam', lr = 0.001, weight_decay = 0.0, momentum = 0.9 }
            trainer = { epochs = 20, batch_size = 32, threads = 0 }
            model = { image = 64, widths = [32, 64, 128, 256], hidden = 128, dropout = 0.3 }
            augment = { flip = false }
            "
        }
    }
}
