//! Programs under test, and what the kernel says of them: CPU time, memory, open files.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// For a program to start, or to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of `/proc/PID/stat`: 100 a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// A program that ends when this is dropped, and the workers it has started.
pub(crate) struct Process {
    child: Child,
    workers: Vec<u32>,
}

/// CPU time that a program has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl Process {
    /// Starts `command`; its standard error can be taken from the answer.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("can't start {}", command.get_program().to_string_lossy()))?;
        Ok(Self { child, workers: Vec::new() })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until it has started `count` processes of its own.
    pub(crate) fn with_workers(mut self, count: usize) -> Result<Self> {
        let began = Instant::now();
        while self.workers.len() < count {
            if let Some(status) = self.child.try_wait()? {
                bail!("a program ended at once: {status}");
            }
            if began.elapsed() > PATIENCE {
                bail!("a program started {} of its {count} workers only", self.workers.len());
            }
            pause();
            self.workers = children(self.child.id())?;
        }
        Ok(self)
    }

    /// What it has used since it started, all its threads and workers together.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let mut sum = Cpu::default();
        for pid in self.pids() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            sum.user += TICK * field(&stat, 14)?;
            sum.system += TICK * field(&stat, 15)?;
        }
        Ok(sum)
    }

    /// Resident memory in bytes; pages that its processes share count once.
    pub(crate) fn memory(&self) -> Result<u64> {
        let mut sum = 0;
        for pid in self.pids() {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
            sum += line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
        }
        Ok(sum)
    }

    pub(crate) fn open_files(&self) -> Result<usize> {
        self.pids().map(|pid| Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())).sum()
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.child.id()).chain(self.workers.iter().copied())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let began = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if began.elapsed() > PATIENCE {
                drop(self.child.kill());
                drop(self.child.wait());
                return;
            }
            pause();
        }
    }
}

impl Cpu {
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { user: self.user.saturating_sub(before.user), system: self.system.saturating_sub(before.system) }
    }
}

/// Thousands of connections are thousands of open files.
pub(crate) fn raise_open_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// What the figures were taken on, in a line.
pub(crate) fn machine() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let name = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{}, {} cores, Linux {}", name.trim_start_matches([' ', '\t', ':']), cores(), kernel.trim()))
}

/// Who else wants the CPUs: the load averages over 1 and 5 minutes.
pub(crate) fn load_average() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[expect(clippy::disallowed_methods, reason = "what a foreign program does makes no event here")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if field(&stat, 4)? == parent {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Numbered as in `proc_pid_stat(5)`. The second, the name, may hold spaces and brackets, but the last bracket is its end.
fn field(stat: &str, number: usize) -> Result<u32> {
    let after_name = stat.rsplit_once(')').context("malformed /proc/PID/stat")?.1;
    let text = after_name.split_whitespace().nth(number - 3).context("short /proc/PID/stat")?;
    Ok(text.parse()?)
}
