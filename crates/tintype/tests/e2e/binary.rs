//! Starting the binary, and a small model for it to work on.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

/// A finished command.
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Every line of stdout as JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The same, after checking that the command succeeded.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "{}\n{}", self.status, self.stderr);
        self
    }
}

/// Runs `tintype args…` to its end.
pub fn tintype<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Finished {
    finish(Command::new(env!("CARGO_BIN_EXE_tintype")).args(args))
}

/// Runs any command to its end.
pub fn finish(command: &mut Command) -> Finished {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("start the command");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 output");
    Finished { status, stdout: text(stdout), stderr: text(stderr) }
}

/// A `tintype serve` on a port of its own, killed when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    /// Host and port of gRPC.
    pub grpc: String,
    /// Host and port of the metrics.
    pub metrics: String,
}

impl Server {
    /// Starts `tintype serve MODEL --http-port 0 args…` and waits until it says where it listens.
    pub fn start(model: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tintype"))
            .arg("serve")
            .arg(model)
            .args(["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the server");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = stdout.lines().map_while(Result::ok);
        let mut address = |scheme: &str| {
            let line = lines.find(|line| line.starts_with(scheme));
            line.expect("the server prints its addresses on stdout, in this order")
        };
        let url = address("http://");
        let [grpc, metrics] = ["grpc://", "metrics://"].map(|scheme| address(scheme).replace(scheme, ""));
        Self { child, url, grpc, metrics }
    }

    /// Asks it to stop, as an orchestrator does, and waits.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        self.child.wait().expect("wait for the server")
    }

    /// `curl -sS args… URL/path`.
    pub fn curl(&self, path: &str, args: &[&str]) -> Finished {
        finish(
            Command::new("curl")
                .args(["-sS", "--max-time", "30"])
                .args(args)
                .arg(format!("{}{path}", self.url)),
        )
    }

    /// The same; the body as JSON and the HTTP status.
    #[track_caller]
    pub fn curl_json(&self, path: &str, args: &[&str]) -> (u16, Value) {
        let mut with_status = vec!["-w", "\n%{http_code}"];
        with_status.extend(args);
        let answer = self.curl(path, &with_status).success().stdout;
        let (body, status) = answer.rsplit_once('\n').expect("a status line");
        let body = serde_json::from_str(body).expect(body);
        (status.parse().expect("a status"), body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `terminate`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files of a small classifier: 8×8 RGB, three classes, one for each dominant channel.
pub struct Fixture {
    pub dir: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let fixture = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        let write = |name: &str, bytes: &[u8]| std::fs::write(fixture.path(name), bytes).expect(name);
        // Class k sums channel k: weights [3, 3·8·8].
        let weights: Vec<f32> =
            (0..3 * 192).map(|i| if i % 192 / 64 == i / 192 { 0.1 } else { 0.0 }).collect();
        write("m.onnx", &tintype_testkit::onnx::scores(&[3, 8, 8], &weights, &[0.0; 3]));
        write("labels.txt", b"red\ngreen\nblue\n");
        write("spec.toml", b"[preprocess]\nresize = { exact = [8, 8] }\nscale = 0.00392156862745098\n");
        for (name, pixel) in [("red", [250, 5, 5]), ("green", [5, 250, 5]), ("blue", [5, 5, 250])] {
            let picture = image::RgbImage::from_pixel(20, 10, image::Rgb(pixel));
            picture.save(fixture.path(&format!("{name}.png"))).expect(name);
        }
        write("broken.jpg", b"\xff\xd8\xff\xe0 not much of a picture");
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// The classifier as `red-green-blue.mar`.
    pub fn mar(&self) -> PathBuf {
        let out = self.path("red-green-blue.mar");
        tintype([
            "package",
            "create",
            "--name",
            "red-green-blue",
            "--onnx",
            &self.text("m.onnx"),
            "--labels",
            &self.text("labels.txt"),
            "--spec",
            &self.text("spec.toml"),
            "--out",
            out.to_str().expect("UTF-8"),
        ])
        .success();
        out
    }
}
