//! What the measurements share: a directory, the state of the machine, a private Open vSwitch.

use crate::net::{Namespace, Process, output};
use anyhow::{Context as _, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What [`start_ovs`] runs.
pub const OVS_PROGRAMS: [&str; 4] = ["ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl"];
/// The socket of the bridge that [`start_ovs`] makes, in its directory.
pub const OVS_BRIDGE: &str = "br0.mgmt";

/// Processes that wanted to run within the last minute, on average.
pub fn load_average() -> Option<f64> {
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
