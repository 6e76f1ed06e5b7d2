//! The thread that writes traces.
//!
//! As in Triton, every version of the settings collects on its own, and a file is an array:
//! * with `log_frequency`, so many traces go into a file of their own, `<file>.0`, `<file>.1`, …;
//! * with `trace_count`, so do all of them, once they have all been collected;
//! * the rest goes into `<file>`: at the latest when the settings change or the server ends. Without either of the two
//!   that is at once, so that a trace can be read while the server runs; the array is closed when it ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use tintype_core::Result;
use tintype_core::triton::TraceSettings;

use super::record::Record;
use crate::threads::Threads;

/// Memory that traces take until they are written; more are lost, and that is said. A disk that is slow must not fill the
/// memory with tensors.
const MOST_BYTES: usize = 64 << 20;

/// Text that is collected for one file; more begins the next one earlier than asked.
const MOST_TEXT: usize = 16 << 20;

/// The owner of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    target: Arc<Target>,
    threads: Threads,
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Target {
    sender: mpsc::Sender<Message>,
    /// Bytes on their way.
    bytes: Arc<AtomicUsize>,
    /// Versions of the settings so far.
    versions: AtomicU64,
}

/// What one version of the settings collects. Dropping it writes the rest.
#[derive(Debug)]
pub(super) struct Pages {
    version: u64,
    sender: mpsc::Sender<Message>,
    bytes: Arc<AtomicUsize>,
}

/// One trace.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) records: Vec<Record>,
    /// How many traces there will be in all, once that is known.
    pub(super) in_all: Option<u64>,
}

#[derive(Debug)]
enum Message {
    Open(u64, TraceSettings),
    Add(u64, Collected, usize),
    Close(u64),
    End,
}

impl Writer {
    /// # Errors
    /// `Internal` when the system refuses a thread.
    pub(super) fn start() -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let bytes = Arc::<AtomicUsize>::default();
        let mut threads = Threads::new();
        let on_their_way = bytes.clone();
        threads.spawn("trace", move || Desk::default().work(&receiver, &on_their_way))?;
        Ok(Self { target: Arc::new(Target { sender, bytes, versions: AtomicU64::new(0) }), threads })
    }

    pub(super) fn target(&self) -> Arc<Target> {
        self.target.clone()
    }

    /// Tells the thread to write what it has and to end, whoever may still be traced.
    pub(super) fn close(self) -> Threads {
        // Where it has ended there is nothing to tell.
        let _ = self.target.sender.send(Message::End);
        self.threads
    }
}

impl Target {
    /// For traces under `settings`.
    pub(super) fn open(&self, settings: &TraceSettings) -> Pages {
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        let _ = self.sender.send(Message::Open(version, settings.clone()));
        Pages { version, sender: self.sender.clone(), bytes: self.bytes.clone() }
    }
}

impl Pages {
    pub(super) fn add(&self, mut collected: Collected) {
        let size: usize = collected.records.iter().map(Record::size).sum();
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > MOST_BYTES {
            tracing::warn!("a trace is lost: those before it are not written yet");
            // It counts nevertheless, so that the count can be reached.
            collected.records.clear();
        }
        // After the end nobody writes any more.
        let _ = self.sender.send(Message::Add(self.version, collected, size));
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::Close(self.version));
    }
}

/// What the thread has.
#[derive(Debug, Default)]
struct Desk {
    pages: HashMap<u64, Open>,
    files: HashMap<String, Array>,
}

/// A version of the settings, and the traces that are not in a file yet.
#[derive(Debug)]
struct Open {
    settings: TraceSettings,
    text: String,
    /// Traces in `text`.
    count: u64,
    /// Traces ever.
    collected: u64,
}

impl Open {
    /// What is collected, to be written.
    fn take(&mut self) -> String {
        self.count = 0;
        std::mem::take(&mut self.text)
    }
}

impl Desk {
    fn work(mut self, messages: &mpsc::Receiver<Message>, bytes: &AtomicUsize) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Open(version, settings) => {
                    let open = Open { settings, text: String::new(), count: 0, collected: 0 };
                    self.pages.insert(version, open);
                }
                Message::Add(version, collected, size) => {
                    self.add(version, collected);
                    bytes.fetch_sub(size, Ordering::Relaxed);
                }
                Message::Close(version) => {
                    if let Some(mut open) = self.pages.remove(&version) {
                        self.file(&open.settings.file).append(&open.take());
                    }
                }
                Message::End => break,
            }
        }
        for (_, mut open) in std::mem::take(&mut self.pages) {
            self.file(&open.settings.file).append(&open.take());
        }
        self.files.into_values().for_each(Array::close);
    }

    fn add(&mut self, version: u64, Collected { records, in_all }: Collected) {
        let Some(open) = self.pages.get_mut(&version) else { return };
        for record in &records {
            if !open.text.is_empty() {
                open.text.push(',');
            }
            // Writing to a string does not fail.
            let _ = record.write(&mut open.text);
        }
        open.count += 1;
        open.collected += 1;
        let TraceSettings { log_frequency, count, .. } = open.settings;
        let full = log_frequency > 0 && open.count >= log_frequency.into() || open.text.len() > MOST_TEXT;
        let at_once = log_frequency == 0 && count < 0;
        if !(at_once || full || in_all == Some(open.collected)) {
            return;
        }
        let (text, name) = (open.take(), open.settings.file.clone());
        match at_once {
            true => self.file(&name).append(&text),
            false => self.file(&name).write_numbered(&text),
        }
    }

    fn file(&mut self, name: &str) -> &mut Array {
        self.files.entry(name.to_owned()).or_insert_with(|| Array::new(name))
    }
}

/// `<file>`, and how many of `<file>.0`, `<file>.1`, … there are.
#[derive(Debug)]
struct Array {
    name: String,
    /// Created with the first trace in it.
    file: Option<File>,
    numbered: u64,
}

impl Array {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), file: None, numbered: 0 }
    }

    fn append(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let before = if self.file.is_some() { ",\n" } else { "[" };
        let written = match self.file.take().map_or_else(|| File::create(&self.name), Ok) {
            Ok(mut file) => {
                let written = file.write_all([before, text].concat().as_bytes());
                self.file = Some(file);
                written
            }
            Err(error) => Err(error),
        };
        self.tell(written);
    }

    fn write_numbered(&mut self, text: &str) {
        let name = format!("{}.{}", self.name, self.numbered);
        self.numbered += 1;
        self.tell(std::fs::write(name, format!("[{text}]")));
    }

    fn close(mut self) {
        if let Some(mut file) = self.file.take() {
            self.tell(file.write_all(b"]"));
        }
    }

    fn tell(&self, written: std::io::Result<()>) {
        if let Err(error) = written {
            tracing::error!(file = %self.name, %error, "traces could not be written");
        }
    }
}
