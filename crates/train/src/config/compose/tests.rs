use super::*;
use crate::config::{Device, OptimName, Scope};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Only what is built in.
fn built_in() -> Composer {
    Composer { files: Files { folders: Vec::new() }, primary: "train".to_owned() }
}

fn resolve(text: &str) -> TrainConfig {
    built_in().resolve(&words(text)).unwrap_or_else(|e| panic!("{text}: {e:?}")).config
}

/// A composer over a folder with these files.
fn with(files: &[(&str, &str)]) -> (tempfile::TempDir, Composer) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(format!("{name}.yaml"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let composer = Composer { files: Files { folders: vec![dir.path().to_owned()] }, ..built_in() };
    (dir, composer)
}

#[test]
fn defaults_follow_the_start_and_words_win() {
    let head = resolve("backbone=m.onnx data=some/beans/train optim.lr=1e-2");
    assert_eq!((head.name.as_str(), head.scope, head.optim.lr), ("beans", Scope::Head, 0.01));
    assert_eq!((head.trainer.epochs, head.model.name.as_str(), head.device), (30, "onnx", Device::Auto));
    let all = resolve("scope=all data=d optim=sgd model.widths=[8,16,32,64] seed=1 seed=2 device=cuda:1");
    assert_eq!((all.model.name.as_str(), all.optim.name, all.seed), ("small_cnn", OptimName::Sgd, 2));
    assert_eq!((all.model.widths, all.device), (Some([8, 16, 32, 64]), Device::Cuda(1)));
    let tuned = resolve("scope=all data=d backbone=m.onnx augment=flip");
    assert_eq!((tuned.model.name.as_str(), tuned.optim.lr, tuned.trainer.epochs), ("onnx", 1e-4, 5));
    assert_eq!(tuned.augment.hflip, 0.5);
    let vit = resolve("scope=all data=d model=vit_tiny model.image=96");
    assert_eq!(
        (vit.model.name.as_str(), vit.model.image, vit.trainer.epochs),
        ("vit_tiny_patch16_224", Some(96), 20)
    );
    assert_eq!(resolve("data.path=2024 backbone=m").data.path, Path::new("2024"));
}

#[test]
fn a_saved_config_is_run_again_by_its_name() {
    let config = resolve("scope=all data=d run_dir=r optim.lr=0.5");
    let (_dir, composer) = with(&[("config", &config.to_yaml().unwrap())]);
    let composer = Composer { primary: "config".to_owned(), ..composer };
    let again = composer.resolve(&[]).unwrap().config;
    assert_eq!(again, TrainConfig { run_dir: None, ..config });
    assert_eq!(composer.resolve(&words("optim.lr=2")).unwrap().config.optim.lr, 2.0);
}

#[test]
fn every_key_has_a_comment() {
    let mut keys = Vec::new();
    for (name, _) in files::EMBEDDED {
        let file = built_in().files.read(name).unwrap().unwrap();
        let group = name.rsplit_once('/').map_or(String::new(), |(group, _)| format!("{group}."));
        keys.extend(
            tree::leaves(&file.body).into_iter().filter(|k| !k.is_empty()).map(|k| group.clone() + &k),
        );
    }
    assert!(keys.len() > 20);
    for key in keys {
        assert!(usage().contains(&format!("\n  {key} ")), "`{key}` has no comment in any of its files");
    }
}

#[test]
fn experiments_override_groups_and_keys_and_words_override_them() {
    let mine = "
# @package _global_
defaults:
  - override /optim: sgd
  - override /model: small_cnn
  - override /trainer: short

scope: all
optim:
  lr: 0.25
data:
  path: ${oc.env:TINTYPE_NO_SUCH_VARIABLE,photos}
name: of_${data.path}_${optim.name}
";
    let short = "defaults:\n  - default\n  - _self_\nepochs: 2\n";
    let (_dir, composer) = with(&[("experiment/mine", mine), ("trainer/short", short)]);
    let found = composer.resolve(&words("experiment=mine optim.momentum=0.5")).unwrap();
    let config = found.config;
    assert_eq!((config.optim.name, config.optim.lr, config.optim.momentum), (OptimName::Sgd, 0.25, 0.5));
    assert_eq!((config.trainer.epochs, config.trainer.batch_size), (2, 32));
    assert_eq!(config.name, "of_photos_sgd");
    assert_eq!(found.files.last().unwrap().0, "experiment/mine");
    let other = composer.resolve(&words("experiment=mine optim=adamw trainer=default")).unwrap().config;
    assert_eq!((other.optim.name, other.trainer.epochs), (OptimName::Adamw, 20));
}

#[test]
fn words_add_and_remove() {
    let (_dir, composer) = with(&[("paths/local", "root: /photos\n")]);
    let error = composer.resolve(&words("+paths=local backbone=b data.path=${paths.root}/x")).unwrap_err();
    // The schema has no such group, but it was composed.
    assert_eq!(error.message(), "unknown key `paths`");
    let config = composer.resolve(&words("backbone=b data=d ~spec ++seed=3 +model.image=8")).unwrap().config;
    assert_eq!((config.seed, config.model.image), (3, Some(8)));
    assert_eq!(
        composer.resolve(&words("backbone=b data=d ~augment")).unwrap().config.augment,
        Default::default()
    );
}

#[test]
fn wrong_words_are_refused_with_advice() {
    let table = [
        ("data=d backbone=b optim.lrr=1", "unknown key `optim.lrr`", "did you mean `optim.lr`?"),
        ("data=d backbone=b lr=1", "unknown key `lr`", "did you mean `optim.lr`?"),
        ("data=d backbone=b epoch=1", "unknown key `epoch`", "did you mean `trainer.epochs`?"),
        ("data=d backbone=b zzz=1", "unknown key `zzz`", "tintype train scope=head|all"),
        ("data=d backbone=b +optim.lrr=1", "unknown key `optim.lrr`", "did you mean `optim.lr`?"),
        ("data=d backbone=b +optim.lr=1", "`+optim.lr` adds a key", "`optim.lr=…` changes it"),
        ("data=d", "`backbone=…` is missing", "tintype train scope=head|all"),
        ("data=d backbone=", "`model.path`: expected a value, found nothing", ""),
        ("backbone=b", "`data=…` is missing", "tintype train scope=head|all"),
        ("data", "expected `key=value`, found `data`", "tintype train scope=head|all"),
        ("data=d backbone=b trainer.epochs=many", "expected a whole number of at least 0, found `many`", ""),
        ("data=d backbone=b trainer.epochs=-1", "expected a whole number of at least 0, found `-1`", ""),
        ("data=d backbone=b trainer.epochs=1.5", "expected a whole number of at least 0, found `1.5`", ""),
        ("data=d backbone=b trainer.epochs=0", "`trainer.epochs`: expected at least 1, found `0`", ""),
        ("data=d backbone=b optim.lr=nan", "`optim.lr`: expected a number, found `nan`", ""),
        (
            "data=d backbone=b optim.name=lion",
            "`optim.name`: expected `adam` or `adamw` or `sgd`, found `lion`",
            "",
        ),
        ("data=d backbone=b optim=lion", "`optim` has no option `lion`", "adam, adamw, sgd"),
        (
            "data=d backbone=b device=gpu",
            "`device`: expected `auto`, `cpu`, `cuda` or `cuda:N`, found `gpu`",
            "",
        ),
        ("data=d backbone=b optim.lr=1,2", "`optim.lr=1,2` has several values: `-m`", "in quotes"),
        (
            "data=d backbone=b model.hidden=3",
            "`model=onnx` has no key `model.hidden`",
            "`model=small_cnn` has it",
        ),
        ("data=d backbone=b augment=flip", "`augment` needs `scope=all`", ""),
        ("scope=all data=d backbone=b model=small_cnn", "`backbone` and `model` exclude each other", ""),
        ("scope=all data=d model.widths=[1,2]", "expected four whole numbers", ""),
        ("scope=all data=d model=resnet19", "`model` has no option `resnet19`", "resnet18"),
        ("scope=some data=d backbone=b", "`scope`: expected `head` or `all`, found `some`", ""),
        ("data=d backbone=b data.val_fraction=1", "above 0 and below 1, found `1`", ""),
        ("data=d backbone=b spec=s preprocess=clip", "exclude each other", ""),
        ("data=d backbone=b name=${q.r}", "there is no key `q.r`", ""),
        ("data=d backbone=b name=${name}", "leads back to itself", ""),
        ("data=d backbone=b name=${now:%Y}", "the resolver `now`", "${oc.env:VAR}"),
        ("data=d backbone=b name=${oc.env:TINTYPE_NO_SUCH_VARIABLE}", "no variable", ""),
        ("data=d backbone=b experiment=x", "`experiment` has no option `x`", "experiment/x.yaml"),
    ];
    for (text, message, hint) in table {
        let error = built_in().resolve(&words(text)).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
        assert!(error.message().contains(message), "{text}: {}", error.message());
        assert!(error.hint().unwrap_or_default().contains(hint), "{text}: {:?}", error.hint());
    }
}

#[test]
fn wrong_files_are_refused_by_name() {
    let table = [
        ("optim/x", "a: [1\n", "optim=x", "x.yaml`: line 1"),
        ("optim/x", "a: 1\na: 2\n", "optim=x", "duplicate mapping key"),
        ("optim/x", "- 1\n", "optim=x", "expected a map of keys and values"),
        ("optim/x", "defaults: 1\n", "optim=x", "expected a list after `defaults:`"),
        ("optim/x", "defaults: [a@b: c]\n", "optim=x", "expected `group: option`"),
        ("optim/x", "defaults: [x]\n", "optim=x", "includes itself"),
        ("optim/x", "defaults: [gone]\n", "optim=x", "`optim` has no option `gone`"),
        ("optim/x", "lr: 1\n", "optim=x", "`optim.name=…` is missing"),
        ("optim/x", "defaults: [adam, _self_]\nlrr: 1\n", "optim=x", "unknown key `optim.lrr`"),
        (
            "experiment/x",
            "defaults: [override optim: sgd]\n",
            "experiment=x",
            "`experiment/optim` is not in the defaults",
        ),
        ("train", "defaults: [optim: '???']\n", "seed=1", "`optim=…` is missing"),
    ];
    for (name, text, word, message) in table {
        let (_dir, composer) = with(&[(name, text)]);
        let error = composer.resolve(&words(&format!("data=d backbone=b {word}"))).expect_err(text);
        assert!(error.message().contains(message), "{text}: {error}");
    }
}

#[test]
fn names_are_fit_for_a_package() {
    let table = [("a/b c/train", "b_c"), ("x/.hidden", "hidden"), ("/", "model"), ("x/Beans/", "Beans")];
    for (path, expected) in table {
        assert_eq!(name_after(Path::new(path)), expected, "{path}");
    }
}
