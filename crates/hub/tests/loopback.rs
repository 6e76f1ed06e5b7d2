//! The client against a hub that the test serves on loopback.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tintype_core::ErrorKind;
use tintype_hub::{Hub, Repo, RepoKind, Settings};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CONFIG: &[u8] = br#"{"architecture": "resnet18"}"#;

/// What the server keeps: every request's first line and headers, and how it behaves.
#[derive(Default)]
struct State {
    requests: Vec<(String, HashMap<String, String>)>,
    /// How many bytes of the large file the next answers give before the connection ends.
    breaks: Vec<usize>,
    /// Give other bytes than promised.
    lies: bool,
    cdn: String,
}

struct Served {
    url: String,
    state: Arc<Mutex<State>>,
}

fn weights() -> Vec<u8> {
    (0..300_000u32).map(|i| (i % 251) as u8).collect()
}

fn sha(bytes: &[u8]) -> String {
    tintype_core::package::digest::of_bytes(bytes)
}

/// A hub, and a second server on another port where the large files are.
fn serve() -> Served {
    let state = Arc::new(Mutex::new(State::default()));
    let mut urls = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        urls.push(format!("http://{}", listener.local_addr().expect("an address")));
        let state = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &state);
            }
        });
    }
    state.lock().expect("no panic").cdn = urls.pop().expect("two servers");
    Served { url: urls.pop().expect("two servers"), state }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let mut state = state.lock().expect("no panic");
    state.requests.push((first.clone(), headers.clone()));
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let weights = weights();
    let commit = format!("X-Repo-Commit: {COMMIT}\r\n");
    let (status, extra, body) = match path {
        "/api/models/o/m/revision/main" => {
            let json = format!(
                r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"model.safetensors"}},{{"rfilename":"config.json"}}]}}"#
            );
            ("200 OK", String::new(), json.into_bytes())
        }
        "/api/datasets/o/d/revision/main" => {
            let files =
                ["data/train.bin", "README.md"].map(|f| format!(r#"{{"rfilename":"{f}"}}"#)).join(",");
            let json = format!(r#"{{"sha":"{COMMIT}","siblings":[{files}]}}"#);
            ("200 OK", String::new(), json.into_bytes())
        }
        _ if path == format!("/datasets/o/d/resolve/{COMMIT}/data/train.bin") => {
            let (tag, size, cdn) = (sha(&weights), weights.len(), &state.cdn);
            let linked = format!("X-Linked-Etag: \"{tag}\"\r\nX-Linked-Size: {size}\r\n");
            ("302 Found", format!("{commit}{linked}Location: {cdn}/blob\r\n"), Vec::new())
        }
        _ if path == format!("/datasets/o/d/resolve/{COMMIT}/README.md") => {
            ("200 OK", format!("{commit}ETag: \"abc2\"\r\n"), b"# d".to_vec())
        }
        "/o/m/resolve/main/config.json" => ("200 OK", format!("{commit}ETag: \"abc1\"\r\n"), CONFIG.to_vec()),
        "/o/old/resolve/main/config.json" => {
            ("307 Temporary Redirect", "Location: /o/m/resolve/main/config.json\r\n".to_owned(), Vec::new())
        }
        "/o/m/resolve/main/model.safetensors" => {
            let (tag, size, cdn) = (sha(&weights), weights.len(), &state.cdn);
            let linked = format!("X-Linked-Etag: \"{tag}\"\r\nX-Linked-Size: {size}\r\nETag: \"other\"\r\n");
            ("302 Found", format!("{commit}{linked}Location: {cdn}/blob\r\n"), Vec::new())
        }
        "/blob" => {
            let range =
                headers.get("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            let start: usize = range.unwrap_or(0);
            let mut body = weights[start..].to_vec();
            if state.lies {
                body[0] ^= 1;
            }
            (if range.is_some() { "206 Partial Content" } else { "200 OK" }, String::new(), body)
        }
        "/o/gated/resolve/main/config.json" => {
            ("403 Forbidden", "X-Error-Code: GatedRepo\r\n".to_owned(), Vec::new())
        }
        _ if path.starts_with("/o/m/") => {
            ("404 Not Found", "X-Error-Code: EntryNotFound\r\n".to_owned(), Vec::new())
        }
        _ => ("401 Unauthorized", "X-Error-Code: RepoNotFound\r\n".to_owned(), Vec::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{extra}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    let given = if path == "/blob" && !state.breaks.is_empty() { state.breaks.remove(0) } else { body.len() };
    if method != "HEAD" {
        stream.write_all(&body[..given])?;
    }
    Ok(())
}

fn hub(served: &Served, cache: &Path) -> Hub {
    Hub::new(settings(served, cache))
}

fn settings(served: &Served, cache: &Path) -> Settings {
    Settings {
        endpoint: served.url.clone(),
        cache: cache.to_owned(),
        token: Some("hf_secret".into()),
        offline: false,
    }
}

fn repo(name: &str) -> Repo {
    Repo::parse(&format!("hf://{name}"), RepoKind::Model).expect("a name")
}

#[test]
fn files_come_into_the_layout_of_the_hub_s_own_library() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    let hub = hub(&served, cache.path());
    assert_eq!(hub.list_files(&repo("o/m")).unwrap(), ["config.json", "model.safetensors"]);
    let config = hub.fetch_file(&repo("o/m"), "config.json").unwrap();
    let large = hub.fetch_file(&repo("o/m"), "model.safetensors").unwrap();
    assert_eq!(std::fs::read(&config).unwrap(), CONFIG);
    assert_eq!(std::fs::read(&large).unwrap(), weights());
    let root = cache.path().join("models--o--m");
    assert_eq!(config, root.join("snapshots").join(COMMIT).join("config.json"));
    assert_eq!(std::fs::read_link(&config).unwrap(), Path::new("../../blobs/abc1"));
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    assert!(root.join("blobs").join(sha(&weights())).is_file());

    // A second time nothing is downloaded; at a commit nothing is even asked.
    served.state.lock().unwrap().requests.clear();
    hub.fetch_file(&repo("o/m"), "model.safetensors").unwrap();
    hub.fetch_file(&repo(&format!("o/m@{COMMIT}")), "model.safetensors").unwrap();
    let requests = served.state.lock().unwrap();
    assert!(
        matches!(&requests.requests[..], [(line, _)] if line.starts_with("HEAD ")),
        "{:?}",
        requests.requests
    );
}

#[test]
fn files_of_a_data_set_lie_in_one_folder_of_one_commit() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    let repo = Repo::parse("hf://o/d", RepoKind::Dataset).unwrap();
    let hub = hub(&served, cache.path());
    let files = hub.list_files(&repo).unwrap();
    assert_eq!(files, ["README.md", "data/train.bin"]);
    served.state.lock().unwrap().breaks = vec![100_000];
    let folder = hub.fetch_files(&repo, &files).unwrap();
    assert_eq!(folder, cache.path().join("datasets--o--d/snapshots").join(COMMIT));
    assert_eq!(std::fs::read(folder.join("data/train.bin")).unwrap(), weights());
    let asked = served.state.lock().unwrap().requests.len();
    // It was asked for at the commit, which never changes: a second time nobody is asked, on the hub or off it.
    assert_eq!(hub.fetch_files(&repo, &files).unwrap(), folder);
    let offline = Hub::new(Settings { offline: true, ..settings(&served, cache.path()) });
    assert_eq!(offline.fetch_files(&repo, &files).unwrap(), folder);
    assert_eq!(served.state.lock().unwrap().requests.len(), asked);
    let error = offline.fetch_files(&repo, &["data/none".to_owned()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn the_token_stays_with_the_hub() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    hub(&served, cache.path()).fetch_file(&repo("o/m"), "model.safetensors").unwrap();
    let state = served.state.lock().unwrap();
    for (line, headers) in &state.requests {
        let token = headers.get("authorization").map(String::as_str);
        let expected = if line.contains("/blob") { None } else { Some("Bearer hf_secret") };
        assert_eq!(token, expected, "{line}");
    }
    assert!(state.requests.iter().any(|(line, _)| line.starts_with("GET /blob")));
}

#[test]
fn what_broke_off_is_resumed() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    served.state.lock().unwrap().breaks = vec![100_000, 50_000];
    let file = hub(&served, cache.path()).fetch_file(&repo("o/m"), "model.safetensors").unwrap();
    assert_eq!(std::fs::read(file).unwrap(), weights());
    let state = served.state.lock().unwrap();
    let of_blob = state.requests.iter().filter(|(line, _)| line.contains("/blob"));
    let ranges: Vec<&str> =
        of_blob.filter_map(|(_, headers)| headers.get("range").map(String::as_str)).collect();
    assert_eq!(ranges, ["bytes=100000-", "bytes=150000-"]);
}

#[test]
fn what_never_comes_is_an_error_and_the_next_call_goes_on() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    served.state.lock().unwrap().breaks = vec![1000, 0, 0];
    let hub = hub(&served, cache.path());
    let error = hub.fetch_file(&repo("o/m"), "model.safetensors").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    served.state.lock().unwrap().breaks.clear();
    let file = hub.fetch_file(&repo("o/m"), "model.safetensors").unwrap();
    assert_eq!(std::fs::read(file).unwrap(), weights());
}

#[test]
fn another_content_than_promised_is_refused() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    served.state.lock().unwrap().lies = true;
    let hub = hub(&served, cache.path());
    let error = hub.fetch_file(&repo("o/m"), "model.safetensors").unwrap_err();
    assert_eq!(error.message(), "`model.safetensors` of `o/m` is not what the hub promised");
    served.state.lock().unwrap().lies = false;
    assert!(hub.fetch_file(&repo("o/m"), "model.safetensors").is_ok());
}

#[test]
fn offline_the_cache_alone_answers() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    hub(&served, cache.path()).fetch_file(&repo("o/m"), "config.json").unwrap();
    let before = served.state.lock().unwrap().requests.len();
    let offline = Hub::new(Settings { offline: true, ..settings(&served, cache.path()) });
    assert_eq!(std::fs::read(offline.fetch_file(&repo("o/m"), "config.json").unwrap()).unwrap(), CONFIG);
    assert_eq!(offline.list_files(&repo("o/m")).unwrap(), ["config.json"]);
    let error = offline.fetch_file(&repo("o/m"), "model.safetensors").unwrap_err();
    assert_eq!(error.message(), "`model.safetensors` of `o/m` at `main` is not in the cache");
    assert_eq!(served.state.lock().unwrap().requests.len(), before);
}

#[test]
fn what_the_hub_refuses_is_said() {
    let (served, cache) = (serve(), tempfile::tempdir().unwrap());
    let hub = hub(&served, cache.path());
    for (name, path, message) in [
        ("o/m", "none.bin", "`o/m` has no file `none.bin`"),
        ("o/gated", "config.json", "`o/gated` asks its users to agree to its terms"),
        ("o/nobody", "config.json", "there is no `o/nobody` on the hub, or it is private"),
    ] {
        let error = hub.fetch_file(&repo(name), path).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, message));
    }
    let error = hub.fetch_file(&repo("o/m"), "../../x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // A repository that was renamed is found under its new name.
    assert!(hub.fetch_file(&repo("o/old"), "config.json").is_ok());
}

#[test]
fn nobody_there_is_an_error() {
    let cache = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = Settings {
        endpoint: format!("http://{free}"),
        cache: cache.path().to_owned(),
        token: None,
        offline: false,
    };
    let error = Hub::new(settings).fetch_file(&repo("o/m"), "config.json").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.hint().unwrap().contains("HF_HUB_OFFLINE"));
}
