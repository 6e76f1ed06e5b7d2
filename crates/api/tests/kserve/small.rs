//! Repository, settings and shared memory.

use tintype_api::kserve::repository::{File, Load, only_ready, unload_dependents};
use tintype_api::kserve::settings::LogSettings;
use tintype_api::kserve::{ErrorBody, Register};
use tintype_core::{Error, ErrorKind};

#[test]
fn a_load_may_bring_its_own_configuration_and_files() {
    assert_eq!(Load::parse(b"").unwrap(), Load::default());
    assert_eq!(Load::parse(b"{}").unwrap(), Load::default());
    let load = Load::parse(br#"{"parameters":{"config":"{}","file:1/model.onnx":"aGk="}}"#).unwrap();
    assert_eq!(load.config.as_deref(), Some("{}"));
    assert_eq!(load.files, [File { path: "1/model.onnx".into(), content: b"hi".to_vec() }]);
    for (body, reason) in [
        (r#"{"parameters":{"file:1/model.onnx":"aGk="}}"#, "requires a `config`"),
        (r#"{"parameters":{"config":"{}","file:x":"*"}}"#, "base64"),
        (r#"{"parameters":{"config":1}}"#, "expected text"),
        (r#"{"parameters":{"other":"x"}}"#, "unrecognized parameter 'other'"),
        ("[", "JSON"),
    ] {
        let error = Load::parse(body.as_bytes()).unwrap_err();
        assert!(error.message().contains(reason), "{body}: {error}");
    }
}

#[test]
fn small_bodies_may_be_empty() {
    assert!(
        !only_ready(b"").unwrap() && !only_ready(b"{}").unwrap() && only_ready(br#"{"ready":true}"#).unwrap()
    );
    assert!(only_ready(b"x").is_err());
    assert!(!unload_dependents(b"").unwrap());
    assert!(unload_dependents(br#"{"parameters":{"unload_dependents":true}}"#).unwrap());
    assert!(unload_dependents(br#"{"parameters":{"x":true}}"#).is_err());
    assert_eq!(Register::parse(br#"{"key":"/k","byte_size":4}"#).unwrap().offset, 0);
    assert!(Register::parse(br#"{"key":"/k","byte_size":-4}"#).is_err());
}

#[test]
fn log_settings_change_one_by_one() {
    let settings = LogSettings {
        log_file: String::new(),
        log_info: true,
        log_warning: true,
        log_error: true,
        log_verbose_level: 0,
        log_format: "default".into(),
    };
    let change = |body: &str| settings.clone().with(LogSettings::parse_changes(body.as_bytes())?);
    let changed = change(r#"{"log_info":false,"log_verbose_level":2,"log_format":"default"}"#).unwrap();
    assert_eq!(changed, LogSettings { log_info: false, log_verbose_level: 2, ..settings.clone() });
    for (body, kind) in [
        (r#"{"log_info":1}"#, ErrorKind::InvalidArgument),
        (r#"{"log_verbose_level":-1}"#, ErrorKind::InvalidArgument),
        (r#"{"log_warnings":true}"#, ErrorKind::InvalidArgument),
        (r#"{"log_format":"other"}"#, ErrorKind::InvalidArgument),
        (r#"{"log_format":"ISO8601"}"#, ErrorKind::Unsupported),
        (r#"{"log_file":"/etc/passwd"}"#, ErrorKind::Unsupported),
    ] {
        assert_eq!(change(body).unwrap_err().kind(), kind, "{body}");
    }
}

#[test]
fn an_operators_fault_is_not_told() {
    let body = |kind| ErrorBody::from(&Error::new(kind, "secret")).error;
    assert_eq!(body(ErrorKind::InvalidArgument), "secret");
    assert_eq!(body(ErrorKind::Io), "internal error");
}
