//! A server that is started for the measurement, and what its processes take.

use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tintype_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::time::Instant;

/// How long a server may take to end by itself.
const GOODBYE: Duration = Duration::from_secs(10);
/// Between two looks whether it is ready, or has ended.
const LOOK: Duration = Duration::from_millis(2);

/// The groups of servers that run now: whoever ends this process at once ends them before.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Kills every server that this process started, for when nothing will be dropped any more.
pub fn kill_all() {
    for &group in running().iter() {
        // Already gone is as good.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn running() -> std::sync::MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// It and its children, which are signalled together.
    group: Pid,
    began: Instant,
}

impl ServerProcess {
    /// Starts a command line through the shell. What it writes goes to stderr.
    ///
    /// # Errors
    /// `Io` when there is no shell.
    pub fn shell(line: &str) -> Result<Self> {
        let mut command = Command::new("sh");
        // Data goes to stdout, and a server's words are none.
        let stderr = std::io::stderr().as_fd().try_clone_to_owned().map_err(not_started)?;
        command.arg("-c").arg(line).stdout(stderr);
        Self::start(command)
    }

    /// Starts `tintype serve …` and waits until it has said where it listens: the addresses it printed.
    ///
    /// # Errors
    /// `Io` when it ends before that; `DeadlineExceeded` when that takes longer than `limit`, and it is ended then.
    pub async fn announcing(mut command: Command, limit: Duration) -> Result<(Self, Vec<String>)> {
        command.stdout(Stdio::piped());
        let mut server = Self::start(command)?;
        let addresses = tokio::time::timeout(limit, server.addresses()).await.map_err(|_| {
            Error::new(ErrorKind::DeadlineExceeded, format!("the server did not listen within {limit:?}"))
        })??;
        Ok((server, addresses))
    }

    /// What it prints, up to the last address.
    async fn addresses(&mut self) -> Result<Vec<String>> {
        let mut addresses = Vec::new();
        if let Some(stdout) = self.child.stdout.take() {
            let mut lines = BufReader::new(ChildStdout::from_std(stdout).map_err(not_started)?).lines();
            while let Some(line) = lines.next_line().await.map_err(not_started)? {
                let last = line.starts_with("metrics://");
                addresses.push(line);
                if last {
                    return Ok(addresses);
                }
            }
        }
        loop {
            if let Some(status) = self.child.try_wait().map_err(not_started)? {
                let message = format!("the server ended before it listened: {status}");
                return Err(Error::new(ErrorKind::Io, message));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn start(mut command: Command) -> Result<Self> {
        // A group of its own: its children are signalled with it, and Ctrl-C reaches only the bench.
        // Locked meanwhile, or `kill_all` could miss it.
        let mut running = running();
        let child = command.stdin(Stdio::null()).process_group(0).spawn().map_err(not_started)?;
        let group = Pid::from_child(&child);
        running.push(group);
        Ok(Self { child, group, began: Instant::now() })
    }

    /// When it was started.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Waits until `is_ready` says so.
    ///
    /// # Errors
    /// `Io` when the server ends; `DeadlineExceeded` when that takes longer than `limit`.
    pub async fn ready(&mut self, is_ready: impl AsyncFn() -> bool, limit: Duration) -> Result<()> {
        while self.began.elapsed() < limit {
            if let Some(status) = self.child.try_wait().map_err(not_started)? {
                return Err(Error::new(
                    ErrorKind::Io,
                    format!("the server ended before it was ready: {status}"),
                ));
            }
            if is_ready().await {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Error::new(ErrorKind::DeadlineExceeded, format!("the server was not ready within {limit:?}")))
    }

    /// Its processes.
    pub fn tree(&self) -> ProcessTree {
        ProcessTree { root: self.child.id() }
    }

    /// Whether a process of it still runs: the one that was started, or one that this left behind.
    fn runs(&mut self) -> bool {
        if matches!(self.child.try_wait(), Ok(None)) {
            return true;
        }
        // One that ended and that nobody waits for is in the group for ever, where no `init` does.
        test_kill_process_group(self.group).is_ok()
            && procfs::process::all_processes().is_ok_and(|all| {
                let stats = all.filter_map(|process| process.ok()?.stat().ok());
                stats.into_iter().any(|stat| stat.pgrp == self.group.as_raw_pid() && stat.state != 'Z')
            })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Already gone is as good, here and below.
        let _ = kill_process_group(self.group, Signal::TERM);
        let asked = std::time::Instant::now();
        while self.runs() {
            if asked.elapsed() > GOODBYE {
                let _ = kill_process_group(self.group, Signal::KILL);
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(LOOK);
        }
        // Its number may be another's from now on.
        running().retain(|&group| group != self.group);
    }
}

fn not_started(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the server's process: {error}"))
}

/// A process and all its descendants.
#[derive(Debug, Clone, Copy)]
pub struct ProcessTree {
    root: u32,
}

/// What a tree of processes took and takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// CPU time, that of descendants that ended included.
    pub cpu: Duration,
    /// Resident memory in bytes; what processes share counts for each.
    pub rss: u64,
}

impl ProcessTree {
    /// Looks at every process of the tree; one that ends meanwhile counts nothing.
    pub fn look(self) -> Taken {
        let (mut taken, mut todo) = (Taken::default(), vec![self.root]);
        while let Some(pid) = todo.pop() {
            let Some(process) = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()) else {
                continue;
            };
            let Ok(stat) = process.stat() else { continue };
            // Children that were waited for are no processes any more; their time is their parent's.
            let waited = stat.cutime.max(0).unsigned_abs() + stat.cstime.max(0).unsigned_abs();
            let ticks = stat.utime + stat.stime + waited;
            taken.cpu += Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
            taken.rss += stat.rss * procfs::page_size();
            for task in process.tasks().into_iter().flatten().flatten() {
                todo.extend(task.children().unwrap_or_default());
            }
        }
        taken
    }
}

/// CPU time of this process alone.
pub(crate) fn own_cpu() -> Duration {
    let stat = Process::myself().and_then(|process| process.stat());
    let ticks = stat.map_or(0, |stat| stat.utime + stat.stime);
    Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_its_root_and_all_below() {
        let server = ServerProcess::shell("sh -c 'sleep 100 & sleep 100'; true").unwrap();
        let looked = || server.tree().look().rss;
        // The shell, its shell, and two that sleep; each is there once its parent has started it.
        let root = server.child.id();
        let children = |pid: u32| -> Vec<u32> {
            let process = Process::new(i32::try_from(pid).unwrap()).unwrap();
            process.task_main_thread().and_then(|main| main.children()).unwrap_or_default()
        };
        while children(root).first().is_none_or(|&child| children(child).len() < 2) {
            std::thread::yield_now();
        }
        let root =
            Process::new(i32::try_from(root).unwrap()).unwrap().stat().unwrap().rss * procfs::page_size();
        assert!(looked() > root, "four processes take more than one");
    }

    #[test]
    fn a_server_ends_with_its_children_and_these_have_time_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let said = dir.path().join("said");
        // The child outlives the server, which ends at once, by a tenth of a second.
        let child =
            "trap 'sleep 0.1; echo ended >> said; exit' TERM; echo $$ > said; while :; do sleep 0.01; done";
        std::fs::write(dir.path().join("child.sh"), child).unwrap();
        let line = format!("cd {} && {{ sh child.sh & exec sleep 100; }}", dir.path().display());
        let server = ServerProcess::shell(&line).unwrap();
        let read = || std::fs::read_to_string(&said).unwrap_or_default();
        while !read().ends_with('\n') {
            std::thread::yield_now();
        }
        let pid: i32 = read().trim().parse().unwrap();
        assert!(running().contains(&server.group));
        drop(server);
        assert!(read().ends_with("ended\n"), "it was killed before it had ended");
        let left = Process::new(pid).and_then(|process| process.stat());
        assert!(left.map_or(true, |stat| stat.state == 'Z'), "it runs on");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("100");
        let error = ServerProcess::announcing(command, Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    }

    #[tokio::test]
    async fn a_server_that_ends_is_not_waited_for() {
        let mut server = ServerProcess::shell("exit 3").unwrap();
        let error = server.ready(async || false, Duration::from_secs(60)).await.unwrap_err();
        assert!(error.message().contains("exit status: 3"), "{error}");
    }
}
