//! Where the figures go: text or JSON to stdout, files where they were asked for.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tintype_bench::export::{History, ProfileExport};
use tintype_bench::report::{Columns, Level, Report, head, level, summary, to_csv, to_html};
use tintype_core::{Error, ErrorKind, Result};

use super::args::MeasureArgs;

/// The forms that were asked for.
pub(super) struct Output {
    json: bool,
    columns: Columns,
    csv: Option<Target>,
    out: Option<Target>,
    page: Option<Target>,
    /// Each request, where that was asked for.
    export: Option<Export>,
}

/// A file that is written at the end, and opened before: a path that cannot be written is not found out after hours.
struct Target {
    path: PathBuf,
    file: File,
}

struct Export {
    target: Target,
    profile: ProfileExport,
}

impl Output {
    /// Opens the files.
    pub(super) fn new(args: &MeasureArgs) -> Result<Self> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(Target::open).transpose();
        Ok(Self {
            json: args.json,
            columns: if args.verbose_csv { Columns::All } else { Columns::Usual },
            csv: open(&args.latency_report_file)?,
            out: open(&args.out)?,
            page: open(&args.report)?,
            export: open(&args.profile_export_file)?
                .map(|target| Export { target, profile: ProfileExport::new() }),
        })
    }

    /// Before the first load.
    pub(super) fn head(&self, report: &Report) -> Result<()> {
        if self.json { Ok(()) } else { print(&head(report)) }
    }

    /// After each load.
    pub(super) fn level(&mut self, report: &Report, found: &Level, history: &History) -> Result<()> {
        if let Some(export) = &mut self.export {
            export.profile.add(report, found.load, history);
        }
        if self.json { Ok(()) } else { print(&level(report, found)) }
    }

    /// At the end.
    pub(super) fn finish(self, report: &Report) -> Result<()> {
        let json =
            serde_json::to_string(report).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        if self.json {
            print(&format!("{json}\n"))?;
        } else {
            print(&format!("\n{}", summary(report)))?;
        }
        if let Some(csv) = self.csv {
            csv.write(&to_csv(report, self.columns))?;
        }
        if let Some(out) = self.out {
            out.write(&format!("{json}\n"))?;
        }
        if let Some(Export { target, profile }) = self.export {
            target.write(&profile.to_json(report)?)?;
        }
        match self.page {
            Some(page) => page.write(&to_html(report)),
            None => Ok(()),
        }
    }
}

impl Target {
    fn open(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|e| Error::io(path, e))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|e| Error::new(ErrorKind::Io, format!("writing to stdout: {e}")))
}
