//! A data set on a hub that the test serves on loopback: learned from, and judged by without the hub.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::binary::{Finished, Fixture, finish};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Written by Hugging Face's own library: `crates/train/tests/data/parquet.py`.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../train/tests/data/parquet/data");
const NAMES: [&str; 3] =
    ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "validation-00000-of-00001.parquet"];

/// Serves the data set `o/d` until the test ends.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream);
        }
    });
    url
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let file = path.strip_prefix(&format!("/datasets/o/d/resolve/{COMMIT}/data/"));
    let file = file.filter(|name| NAMES.contains(name));
    let (status, body) = match (path, file) {
        ("/api/datasets/o/d/revision/main", _) => {
            let files = NAMES.map(|name| format!(r#"{{"rfilename":"data/{name}"}}"#)).join(",");
            ("200 OK", format!(r#"{{"sha":"{COMMIT}","siblings":[{files}]}}"#).into_bytes())
        }
        (_, Some(name)) => ("200 OK", std::fs::read(Path::new(FILES).join(name))?),
        _ => ("401 Unauthorized", Vec::new()),
    };
    let tag = file.unwrap_or_default().replace('.', "-");
    write!(
        stream,
        "HTTP/1.1 {status}\r\nX-Repo-Commit: {COMMIT}\r\nETag: \"{tag}\"\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(&body) }
}

#[test]
fn a_data_set_of_the_hub_is_learned_from_and_judged_by() {
    let (fixture, hub) = (Fixture::new(), serve());
    let tintype = |words: &str, variables: &[(&str, &str)]| -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
        command.args(words.split_whitespace()).env("HF_HUB_CACHE", fixture.path("cache"));
        finish(command.current_dir(fixture.dir.path()).envs(variables.iter().copied()))
    };
    let settings =
        "scope=all model.image=16 model.widths=[4,4,8,8] model.hidden=8 trainer.epochs=1 run_dir=run";
    let online = [("HF_ENDPOINT", hub.as_str())];
    tintype(&format!("train data=hf://o/d {settings}"), &online).success();
    let config = std::fs::read_to_string(fixture.path("run/config.yaml")).unwrap();
    assert!(config.contains("path: hf://o/d\n") && config.contains("name: d\n"), "{config}");
    let card = std::fs::read_to_string(fixture.path("run/README.md")).unwrap();
    assert!(card.contains("hf://o/d") && !card.contains("snapshots"), "{card}");

    // What was fetched is all that is needed from now on.
    let offline = [("HF_ENDPOINT", "http://127.0.0.1:9"), ("HF_HUB_OFFLINE", "1")];
    let judged = tintype("evaluate run hf://o/d --json", &offline).success().json_lines();
    assert_eq!(judged[0]["n"], 12);
    let out = tintype("evaluate run hf://o/none", &offline);
    assert!(
        !out.status.success() && out.stderr.contains("of `o/none` at `main` is not in the cache"),
        "{}",
        out.stderr
    );
    let out = tintype("evaluate run hf://o/none", &online);
    assert!(out.stderr.contains("there is no `o/none` on the hub, or it is private"), "{}", out.stderr);
}
