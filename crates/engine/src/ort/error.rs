//! ONNX Runtime's failures as ours.
//!
//! Its messages name files of the build machine and of this one; what a client may see of them is cleaned here, the
//! original stays as the error's source for the log.

use std::path::Path;

use ort::ErrorCode;
use tintype_core::{Error, ErrorKind};

/// A session could not be configured; a fault of the caller's options or of the library.
pub(super) fn engine<R>(error: ort::Error<R>) -> Error {
    translate(ErrorKind::Engine, &error, None)
}

/// A run failed. Where an operator refused what it was given, an index out of range or shapes that do not go together, the
/// input is at fault, and the session is as good as before.
pub(super) fn run(error: ort::Error) -> Error {
    let kind = if is_refusal(error.message()) { ErrorKind::InvalidArgument } else { ErrorKind::Engine };
    translate(kind, &error, None)
}

/// A failure of a device or for want of memory is reported by the operator that met it, too.
fn is_refusal(message: &str) -> bool {
    const OF_DEVICES: [&str; 6] = ["CUDA", "CUDNN", "CUBLAS", "TensorRT", "OpenVINO", "allocate memory"];
    message.starts_with("Non-zero status code returned while running")
        && !OF_DEVICES.iter().any(|word| message.contains(word))
}

/// A model could not be loaded; `path` is where it was read from, if from a file.
pub(super) fn load(error: ort::Error, path: Option<&Path>) -> Error {
    let kind = match error.code() {
        ErrorCode::NoSuchFile => ErrorKind::NotFound,
        ErrorCode::ExecutionProviderFailure | ErrorCode::DeviceReset => ErrorKind::Engine,
        // An exception while optimising is the model's fault too: a wrong attribute, shapes that do not fit.
        _ => ErrorKind::InvalidModel,
    };
    translate(kind, &error, path)
}

/// What a failure says, for a sentence around it.
pub(super) fn engine_message<R>(error: &ort::Error<R>) -> String {
    clean(error.message(), None)
}

fn translate<R>(kind: ErrorKind, error: &ort::Error<R>, path: Option<&Path>) -> Error {
    let message = clean(error.message(), path);
    Error::new(kind, format!("ONNX Runtime: {message}")).with_source(error.message().to_owned())
}

/// `message` on one line, without this machine's folders and the build machine's source locations.
fn clean(message: &str, path: Option<&Path>) -> String {
    let mut message = message.to_owned();
    if let Some(path) = path {
        let name = path.file_name().map_or("model".into(), |name| name.to_string_lossy());
        message = message.replace(&path.display().to_string(), &name);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            message = message.replace(&format!("{}/", folder.display()), "");
        }
    }
    // A source location is `/onnxruntime_src/…/file.cc:123` and, after it, the function's signature up to its `)`.
    while let Some(start) = message.find("/onnxruntime_src/") {
        let rest = &message[start..];
        let location = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let signature = rest[location..].find(") ").map(|at| location + at + 2);
        let end = start + signature.unwrap_or(location);
        message.replace_range(start..end, "");
    }
    let words: Vec<_> = message.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_machine_and_of_the_build_stay_out() {
        let path = Path::new("/srv/models/cat/1/model.onnx");
        let cases = [
            (
                "Load model from /srv/models/cat/1/model.onnx failed:Protobuf parsing failed.",
                "Load model from model.onnx failed:Protobuf parsing failed",
            ),
            ("open file \"/srv/models/cat/1/w.bin\" failed", "open file \"w.bin\" failed"),
            (
                "node:Conv_1 /onnxruntime_src/onnxruntime/core/op.h:86 void onnxruntime::Op::Set(int, bool) X rank is 3.\n",
                "node:Conv_1 X rank is 3",
            ),
            ("failed at /onnxruntime_src/a.cc:1", "failed at"),
            ("Node (/features/0/Conv) is odd", "Node (/features/0/Conv) is odd"),
        ];
        for (message, expected) in cases {
            assert_eq!(clean(message, Some(path)), expected);
        }
    }
}
