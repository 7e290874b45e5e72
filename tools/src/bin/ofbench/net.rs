//! Namespaces, interfaces and processes, all of which go away when dropped.

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command to its end and gives its output.
pub fn output(words: &[&str]) -> anyhow::Result<String> {
    let (program, args) = words.split_first().context("no command")?;
    let out = Command::new(program).args(args).output().with_context(|| format!("cannot run {program}"))?;
    if !out.status.success() {
        bail!("`{}`: {}", words.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether a program is on the path, or in the administrator's directories.
pub fn installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|d| std::path::Path::new(d).join(program).is_file())
}

/// A namespace.
#[derive(Debug)]
pub struct Namespace(pub String);

impl Namespace {
    /// Makes one, without IPv6, whose housekeeping disturbs measurements.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        output(&["ip", "netns", "add", name])?;
        let ns = Self(name.to_owned());
        ns.run(&[
            "sh",
            "-c",
            "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6",
        ])
        .ok();
        ns.ip("link set lo up")?;
        Ok(ns)
    }

    /// `ip` in it, the words separated by blanks.
    pub fn ip(&self, words: &str) -> anyhow::Result<String> {
        let all: Vec<&str> = ["ip", "-n", &self.0].into_iter().chain(words.split_whitespace()).collect();
        output(&all)
    }

    /// Runs a command in it to its end.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let all: Vec<&str> = ["ip", "netns", "exec", &self.0].into_iter().chain(words.iter().copied()).collect();
        output(&all)
    }

    /// Starts a command in it.
    pub fn spawn(&self, words: &[&str], envs: &[(&str, &OsStr)]) -> anyhow::Result<Process> {
        let mut c = Command::new("ip");
        c.args(["netns", "exec", &self.0]).args(words).envs(envs.iter().copied());
        Process::start(c)
    }

    /// Runs something in a thread of this process that is in the namespace: sockets made there stay there.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
        let path = std::path::Path::new("/run/netns").join(&self.0);
        let file = std::fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let network = Some(rustix::thread::LinkNameSpaceType::Network);
                rustix::thread::move_into_link_name_space(file.as_fd(), network)
                    .with_context(|| format!("cannot enter {}", path.display()))?;
                work()
            });
            worker.join().unwrap_or_else(|_| bail!("a thread in {} ended early", self.0))
        })
    }

    /// Packets received by an interface.
    pub fn received(&self, interface: &str) -> anyhow::Result<u64> {
        let text = self.ip(&format!("-j -s link show dev {interface}"))?;
        let value: Value = serde_json::from_str(&text)?;
        value.pointer("/0/stats64/rx/packets").and_then(Value::as_u64).context("`ip -s` shows no counters")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = output(&["ip", "netns", "del", &self.0]);
    }
}

/// A process that is ended when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts one; what it prints is passed over.
    pub fn start(mut c: Command) -> anyhow::Result<Self> {
        c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(c.spawn().with_context(|| format!("cannot run {:?}", c.get_program()))?))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until something is there.
    pub fn until(&mut self, what: &str, ready: impl Fn() -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(15);
        while !ready() {
            if let Some(status) = self.0.try_wait()? {
                bail!("{what} ended early: {status}");
            }
            if Instant::now() > end {
                bail!("{what} did not come up");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
