//! The program's words and exit codes for wrong options, wrong files and missing rights.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the program: its exit code, standard output and standard error.
fn switchd(dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_switchd"))
        .args(args)
        .current_dir(dir)
        .env_remove("SWITCHD_LOG")
        .output()
        .unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn help_and_version() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, _) = switchd(dir.path(), &["--help"]);
    assert_eq!(code, Some(0));
    for word in ["--port", "--controller", "--fail-mode", "--config", "Examples:", "CAP_NET_RAW"] {
        assert!(out.contains(word), "{word}");
    }
    let (code, out, _) = switchd(dir.path(), &["--version"]);
    assert_eq!((code, out), (Some(0), format!("switchd {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_options() {
    let dir = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (
            &["--port", "0=eth1"][..],
            "error: invalid value '0=eth1' for '--port <PORT>': `0` is no port number; expected 1 to 65279 before `=`",
        ),
        (
            &["--protocol", "1.9"],
            "error: invalid value '1.9' for '--protocol <VERSIONS>': `1.9` is no OpenFlow version; expected 1.0, 1.1, 1.2, 1.3, 1.4 or 1.5 (or OpenFlow10 …)",
        ),
        (&["--ports", "eth1"], "error: unexpected argument '--ports' found"),
        (&["--port", "a", "--port", "1=a"], "switchd: --port: interface `a` is taken already (--port)"),
        (&["--log", "a=b=c"], "switchd: --log: `a=b=c` is no log filter"),
        (&["--config", "missing.toml"], "switchd: --config: can't read `missing.toml`: No such file or directory"),
    ] {
        let (code, out, err) = switchd(dir.path(), args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.starts_with(expected), "{args:?}\n got: {err}\nwant: {expected}");
    }
}

#[test]
fn a_wrong_log_filter_is_shown_where_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&[][..], "switchd: SWITCHD_LOG: `a=b=c` is no log filter"),
        (&["--log", "d=e=f"], "switchd: --log: `d=e=f` is no log filter"),
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_switchd"))
            .args(args)
            .current_dir(dir.path())
            .env("SWITCHD_LOG", "a=b=c")
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{err}");
        assert!(err.starts_with(expected), "{err}");
    }
}

#[test]
fn wrong_files() {
    let dir = tempfile::tempdir().unwrap();
    for (text, expected) in [
        (
            "name = \"br0\"\nport = [\"x=eth1\"]\n",
            "switchd: s.toml, line 2: port: `x` is no port number; expected 1 to 65279 before `=`\n",
        ),
        (
            "[[bridge]]\nname = \"br0\"\ncontroler = \"tcp:c\"\n",
            "switchd: s.toml, line 3: controler: unknown key; did you mean `controller`?\n",
        ),
        ("workers = 1\nlog = \"a=b=c\"\n", "switchd: s.toml, line 2: log: `a=b=c` is no log filter"),
        ("name = \n", "switchd: s.toml, line 1: not TOML: "),
    ] {
        std::fs::write(dir.path().join("s.toml"), text).unwrap();
        let (code, out, err) = switchd(dir.path(), &["--config", "s.toml"]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{text}: {err}");
        assert!(err.starts_with(expected), "{text}\n got: {err}\nwant: {expected}");
    }
}

#[test]
fn missing_rights_are_named() {
    let dir = tempfile::tempdir().unwrap();
    // Drops every capability and the right to gain some, if we have any.
    let out = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--reuid=65534", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_switchd"))
        .args(["--port", "lo", "--management", "none"])
        .current_dir(dir.path())
        .output();
    let Ok(out) = out else {
        println!("skipped: no setpriv program");
        return;
    };
    let err = String::from_utf8_lossy(&out.stderr);
    if err.contains("setpriv:") {
        println!("skipped: {err}");
        return;
    }
    assert_eq!(out.status.code(), Some(1), "{err}");
    assert!(err.contains("ports need CAP_NET_RAW and CAP_NET_ADMIN") && err.contains("setcap"), "{err}");
}

/// A service manager's socket, and its path.
fn notified(dir: &Path) -> (PathBuf, UnixDatagram) {
    let path = dir.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    (path, socket)
}

fn wait_until_ready(socket: &UnixDatagram) {
    let mut message = [0; 256];
    loop {
        let n = match socket.recv(&mut message) {
            // A wait with a time limit isn't taken up again after a stop of the machine.
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            n => n.unwrap(),
        };
        if String::from_utf8_lossy(&message[..n]).contains("READY=1") {
            return;
        }
    }
}

#[test]
fn without_management_it_runs_until_a_signal_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (notify, socket) = notified(dir.path());
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP] {
        // Whoever runs the tests may be protected from hanging up.
        let child = Command::new("env")
            .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_switchd")])
            .args(["--management", "none", "--workers", "1", "--listen", "punix:of.sock"])
            .current_dir(dir.path())
            .env("NOTIFY_SOCKET", &notify)
            .env_remove("SWITCHD_LOG")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_ready(&socket);
        assert!(dir.path().join("of.sock").exists());
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let out = child.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(0), "{log}");
        assert!(log.contains("stopping"), "it ended before the signal:\n{log}");
        assert!(!dir.path().join("of.sock").exists(), "the listener's socket is left");
    }
}

#[test]
fn a_hang_up_that_is_to_be_ignored_is() {
    let dir = tempfile::tempdir().unwrap();
    let (notify, socket) = notified(dir.path());
    let child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_switchd")])
        .args(["--management", "none", "--workers", "1"])
        .env("NOTIFY_SOCKET", &notify)
        .env_remove("SWITCHD_LOG")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_ready(&socket);
    for signal in [rustix::process::Signal::HUP, rustix::process::Signal::TERM] {
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    }
    let out = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && log.contains("SIGTERM") && !log.contains("SIGHUP"), "{log}");
}

#[test]
fn a_state_that_can_t_be_kept_is_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let (code, _, err) = switchd(dir.path(), &["--management", "none", "--workers", "1", "--state", "file"]);
    let last = err.lines().last().unwrap_or_default();
    assert_eq!(code, Some(1), "{err}");
    assert!(last.starts_with("switchd: bridge `br0` can't start: --state: nothing can be kept in file: "), "{err}");
}
