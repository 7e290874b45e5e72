//! What the measurements beside peers share: their programs, the state of the machine, a network, a private Open
//! vSwitch.

use crate::net::{Namespace, Process, installed, output};
use anyhow::{Context as _, bail};
use clap::Args;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What [`start_ovs`] runs.
pub const OVS_PROGRAMS: [&str; 4] = ["ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl"];
/// The socket of the bridge that [`start_ovs`] makes, in its directory.
pub const OVS_BRIDGE: &str = "br0.mgmt";

/// Options of both comparisons.
#[derive(Args)]
pub struct Common {
    /// The switchd to measure; beside this program unless given
    #[arg(long, value_name = "PATH")]
    switchd: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The programs that are run.
pub struct Programs {
    /// This one.
    pub bench: PathBuf,
    /// Beside it.
    pub ofctl: PathBuf,
    /// The switch.
    pub switchd: PathBuf,
}

impl Common {
    /// Says what of the build and the machine spoils figures, and where the programs are.
    ///
    /// # Errors
    /// No right to make namespaces.
    pub fn programs(&self) -> anyhow::Result<Programs> {
        if !rustix::process::geteuid().is_root() {
            bail!("needs root for network namespaces");
        }
        if cfg!(debug_assertions) {
            eprintln!("ofbench: this is a debug build; its figures mean little");
        }
        if let Some(load) = load_average().filter(|load| *load > 0.5) {
            eprintln!("ofbench: the machine is busy (load {load}); its figures mean little");
        }
        let bench = std::env::current_exe()?;
        let beside = |name: &str| bench.parent().unwrap_or(Path::new(".")).join(name);
        let switchd = self.switchd.clone().unwrap_or_else(|| beside("switchd"));
        Ok(Programs { ofctl: beside("ofctl"), switchd, bench })
    }
}

impl Programs {
    /// Of the peers that were asked for (all, unless any were) those that can be measured here: Open vSwitch only
    /// where `ovs_programs` are installed.
    ///
    /// # Errors
    /// No switchd, or nothing is left.
    pub fn peers<P: Copy + PartialEq>(
        &self,
        asked: &[P],
        all: &[P],
        [switchd, ovs]: [P; 2],
        ovs_programs: &[&str],
    ) -> anyhow::Result<Vec<P>> {
        let mut peers = if asked.is_empty() { all.to_vec() } else { asked.to_vec() };
        if peers.contains(&switchd) && !self.switchd.is_file() {
            bail!("there is no {}: build it with `cargo build --release`", self.switchd.display());
        }
        if let Some(missing) = ovs_programs.iter().find(|p| !installed(p))
            && peers.contains(&ovs)
        {
            eprintln!("ofbench: Open vSwitch is left out: no {missing} here");
            peers.retain(|p| *p != ovs);
        }
        if peers.is_empty() {
            bail!("there is nothing to measure");
        }
        Ok(peers)
    }
}

/// Two hosts and a switch, each in a namespace: `eth0` of the hosts leads to `s1` and `s2` of the switch. What is
/// dropped first is declared first.
pub struct Network {
    /// The first host; its interface is down.
    pub h1: Namespace,
    /// The second host; its interface is down.
    pub h2: Namespace,
    /// The switch.
    pub sw: Namespace,
    /// For sockets and files.
    pub dir: Dir,
}

impl Network {
    /// With names of this process's own.
    ///
    /// # Errors
    /// What `ip` refuses.
    pub fn new() -> anyhow::Result<Self> {
        let id = format!("ofb{}", std::process::id());
        let dir = Dir(std::env::temp_dir().join(&id));
        std::fs::create_dir_all(&dir.0)?;
        let (h1, h2) = (Namespace::new(&format!("{id}-h1"))?, Namespace::new(&format!("{id}-h2"))?);
        let sw = Namespace::new(&format!("{id}-sw"))?;
        for (port, host) in [("s1", &h1), ("s2", &h2)] {
            sw.ip(&format!("link add {port} type veth peer name eth0 netns {}", host.0))?;
            sw.ip(&format!("link set {port} up"))?;
        }
        Ok(Self { h1, h2, sw, dir })
    }
}

/// Processes that wanted to run within the last minute, on average.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// A directory that goes away.
pub struct Dir(pub PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path as text.
pub fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} isn't UTF-8", path.display()))
}

/// Open vSwitch with a database and directories of its own, so that one that runs already stays as it is.
/// The second process is the database's. `controller` is dialled, where one is given.
pub fn start_ovs(sw: &Namespace, dir: &Path, controller: Option<&str>) -> anyhow::Result<Vec<Process>> {
    let schema = "/usr/share/openvswitch/vswitch.ovsschema";
    let at = |name: &str| dir.join(name).display().to_string();
    let (db, db_socket) = (at("conf.db"), format!("unix:{}", at("db.sock")));
    output(&["ovsdb-tool", "create", &db, schema])?;
    let dirs: Vec<(&str, &OsStr)> =
        ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"].map(|v| (v, dir.as_os_str())).to_vec();
    let mut c = Command::new("ovsdb-server");
    c.args([&db, &format!("--remote=p{db_socket}"), "--verbose=off"]).envs(dirs.iter().copied());
    let mut server = Process::start(c)?;
    server.until("ovsdb-server", || dir.join("db.sock").exists())?;
    let vsctl = |words: &str| {
        let mut c = Command::new("ovs-vsctl");
        c.arg(format!("--db={db_socket}"))
            .arg("--timeout=15")
            .args(words.split_whitespace())
            .envs(dirs.iter().copied());
        let out = c.output().context("cannot run ovs-vsctl")?;
        if !out.status.success() {
            bail!("`ovs-vsctl {words}`: {}", String::from_utf8_lossy(&out.stderr).trim());
        }
        Ok(())
    };
    vsctl("--no-wait init")?;
    // Without this it passes unfinished checksums on, and TCP between veth ends doesn't work at all.
    vsctl("--no-wait set Open_vSwitch . other_config:userspace-tso-enable=true")?;
    let unixctl = format!("--unixctl={}", at("vswitchd.ctl"));
    let vswitchd = sw.spawn(&["ovs-vswitchd", &db_socket, &unixctl, "--verbose=off"], &dirs)?;
    let mut processes = vec![vswitchd, server];
    vsctl("add-br br0 -- set bridge br0 datapath_type=netdev fail-mode=secure")?;
    for i in 1..=2 {
        vsctl(&format!("add-port br0 s{i} -- set interface s{i} ofport_request={i}"))?;
    }
    processes[0].until("the OVS bridge", || dir.join(OVS_BRIDGE).exists())?;
    if let Some(target) = controller {
        vsctl("set bridge br0 protocols=OpenFlow13")?;
        vsctl(&format!("set-controller br0 {target} -- set controller br0 connection-mode=out-of-band"))?;
    }
    Ok(processes)
}
