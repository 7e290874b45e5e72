use super::*;
use clap::{CommandFactory, Parser};

fn cli(args: &[&str]) -> Result<Config, String> {
    let cli = Cli::try_parse_from([&["switchd"], args].concat()).map_err(|e| e.to_string())?;
    Config::load(cli).map_err(|e| e.to_string())
}

fn with_file(args: &[&str], text: &str) -> Result<Config, String> {
    let cli = Cli::try_parse_from([&["switchd"], args].concat()).map_err(|e| e.to_string())?;
    let file = parse_file("s.toml", text).map_err(|e| e.to_string())?;
    Config::new(cli.into_options(), file).map_err(|e| e.to_string())
}

#[test]
fn the_command_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn defaults() {
    let c = cli(&["--port", "eth1", "--port", "7=eth2"]).unwrap();
    let b = &c.bridges[0];
    assert_eq!((b.name.as_str(), b.fail_mode, b.local_port), ("br0", FailMode::Standalone, false));
    assert_eq!(b.protocols, Version::ALL);
    assert_eq!(b.ports.len(), 2);
    assert_eq!(c.management, SocketPlace::Default("/run/switchd/br0.sock".into()));
    assert_eq!(cli(&["--controller", "tcp:c"]).unwrap().bridges[0].fail_mode, FailMode::Secure);
    let c = cli(&["--controller", "tcp:c", "--fail-mode", "standalone", "--protocol", "OpenFlow13,1.0"]).unwrap();
    assert_eq!(c.bridges[0].fail_mode, FailMode::Standalone);
    assert_eq!(c.bridges[0].protocols, [Version::V10, Version::V13]);
}

#[test]
fn every_long_option_of_a_bridge_is_a_key() {
    let text = r#"
        name = "s1"
        dpid = "0x10"
        port = ["1=eth1", "eth2,type=tap,workers=2"]
        local-port = true
        fail-mode = "secure"
        controller = "tls:c1"
        listen = ["ptcp:6634:127.0.0.1"]
        protocol = ["1.3", "OpenFlow14,1.5"]
        inactivity-probe = 7
        packet-in-rate = 70
        packet-in-burst = 9
        table-size = 500
        state = "/s"
        tls-key = "k"
        tls-cert = "c"
        tls-ca = "a"
        workers = 3
        worker-cpus = "0,2-3"
        spin = 50
        management = "none"
        log = "debug"
    "#;
    let from_file = with_file(&[], text).unwrap();
    let mut from_cli = cli(&[
        "--name",
        "s1",
        "--dpid",
        "10",
        "--port",
        "1=eth1",
        "--port",
        "eth2,workers=2,type=tap",
        "--local-port",
        "--fail-mode",
        "secure",
        "--controller",
        "ssl:c1:6653",
        "--listen",
        "ptcp:6634:127.0.0.1",
        "--protocol",
        "1.3,1.4,1.5",
        "--inactivity-probe",
        "7",
        "--packet-in-rate",
        "70",
        "--packet-in-burst",
        "9",
        "--table-size",
        "500",
        "--state",
        "/s",
        "--tls-key",
        "k",
        "--tls-cert",
        "c",
        "--tls-ca",
        "a",
        "--workers",
        "3",
        "--worker-cpus",
        "0,2,3",
        "--spin",
        "50",
        "--management",
        "none",
        "--log",
        "debug",
    ])
    .unwrap();
    // The two differ in where the filter was written, and in nothing else.
    from_cli.log = from_file.log.clone();
    assert_eq!(from_file, from_cli);
}

#[test]
fn the_command_line_wins_key_by_key() {
    let c = with_file(&["--dpid", "2", "--port", "eth9"], "dpid = \"1\"\nport = [\"eth1\"]\nname = \"x\"").unwrap();
    let b = &c.bridges[0];
    assert_eq!((b.name.as_str(), b.dpid, b.ports.len(), b.ports[0].name.as_str()), ("x", Some(Dpid(2)), 1, "eth9"));
}

#[test]
fn several_bridges() {
    let text = "workers = 1\n[[bridge]]\nname = \"a\"\nport = \"eth1\"\n[[bridge]]\nname = \"b\"\n";
    let c = with_file(&["--name", "b", "--dpid", "5"], text).unwrap();
    assert_eq!(c.bridges.len(), 2);
    assert_eq!((c.bridges[0].dpid, c.bridges[1].dpid), (None, Some(Dpid(5))));
    assert!(
        with_file(&["--dpid", "5"], text).unwrap_err().contains("which bridge of the file the options are for: a, b")
    );
    assert!(with_file(&["--name", "c"], text).unwrap_err().contains("has no bridge `c`"));
}

#[test]
fn mistakes_in_a_file_name_line_key_and_expectation() {
    for (text, expected) in [
        ("port = [\"eth1\"\nname = \"x\"", "s.toml, line 2: not TOML"),
        ("\nprots = [\"eth1\"]", "s.toml, line 2: prots: unknown key; expected one of name, dpid, port"),
        ("ports = [\"eth1\"]", "s.toml, line 1: ports: unknown key; did you mean `port`?"),
        ("fail_mode = \"secure\"", "s.toml, line 1: fail_mode: unknown key; did you mean `fail-mode`?"),
        ("\n\ndpid = 1", "s.toml, line 3: dpid: found a number, expected a string of hexadecimal digits"),
        ("dpid = \"xyz\"", "s.toml, line 1: dpid: `xyz` is no datapath id; expected up to 16"),
        ("port = [\n  \"eth1\",\n  \"0=eth2\",\n]", "s.toml, line 3: port: `0` is no port number; expected 1 to 65279"),
        ("port = [1]", "s.toml, line 1: port: found a number, expected strings in the list"),
        ("port = { a = 1 }", "s.toml, line 1: port: found a table, expected a list of strings"),
        ("local-port = \"yes\"", "s.toml, line 1: local-port: found a string, expected `true` or `false`"),
        (
            "fail-mode = \"open\"",
            "s.toml, line 1: fail-mode: `open` is no fail mode; expected `secure` or `standalone`",
        ),
        ("controller = \"1.2.3.4\"", "s.toml, line 1: controller: `1.2.3.4` names no transport; expected tcp:"),
        ("protocol = \"1.3,2.0\"", "s.toml, line 1: protocol: `2.0` is no OpenFlow version"),
        ("spin = 10001", "s.toml, line 1: spin: 10001 microseconds can't be; expected 0 to 10000"),
        ("workers = 0", "s.toml, line 1: workers: 0 workers can't be; expected 1 to 64"),
        ("packet-in-rate = -1", "s.toml, line 1: packet-in-rate: -1 a second can't be; expected 0 (any number)"),
        ("table-size = 0", "s.toml, line 1: table-size: a table of 0 flows can't be; expected 1 to 1000000"),
        ("packet-in-burst = 0", "s.toml, line 1: packet-in-burst: 0 packets can't be; expected 1 to"),
        ("inactivity-probe = -1", "s.toml, line 1: inactivity-probe: -1 seconds can't be; expected 0 (never) to 86400"),
        ("workers = \"2\"", "s.toml, line 1: workers: found a string, expected a number"),
        ("bridge = 3", "s.toml, line 1: bridge: found a number, expected tables that begin with `[[bridge]]`"),
        ("[[bridge]]\nname = \"a\"\nworkers = 2", "s.toml, line 3: workers: `workers` is the whole process's"),
        ("name = \"a\"\n[[bridge]]\nname = \"b\"", "s.toml, line 1: name: belongs into a `[[bridge]]` table"),
        (
            "tls-key = \"k\"",
            "s.toml, line 1: tls-key: TLS needs a key, a certificate and an authority; missing: tls-cert, tls-ca",
        ),
        ("controller = \"tls:c\"", "s.toml, line 1: controller: TLS needs"),
        ("in-band = true", "s.toml, line 1: in-band: needs `local-port`"),
        ("local-port = true\nin-band = true", "s.toml, line 2: in-band: needs a `controller` at"),
        (
            "local-port = true\nin-band = true\ncontroller = [\"tcp:10.0.0.1\",\n\"tcp:ctl\"]",
            "s.toml, line 4: controller: `in-band` needs a controller's address, not its name: `tcp:ctl:6653`",
        ),
        (
            "port = [\n\"eth1\",\n\"2=eth1\"]",
            "s.toml, line 3: port: interface `eth1` is taken already (s.toml, line 2: port)",
        ),
        (
            "port = [\n\"2=eth1\",\n\"2=eth2\"]",
            "s.toml, line 3: port: port number `2` is taken already (s.toml, line 2: port)",
        ),
        (
            "name = \"eth1\"\nport = \"eth1\"",
            "s.toml, line 2: port: interface `eth1` is taken already (s.toml, line 1: name)",
        ),
    ] {
        let e = with_file(&[], text).unwrap_err();
        assert!(e.starts_with(expected), "{text}\n got: {e}\nwant: {expected}");
    }
}

#[test]
fn two_bridges_cannot_share() {
    for (keys, expected) in [
        ("dpid = \"1\"", "datapath id `0000000000000001` is taken"),
        ("listen = \"ptcp:\"", "listener `ptcp:6653:0.0.0.0` is taken"),
        ("port = \"eth1\"", "interface `eth1` is taken"),
    ] {
        let text = format!("[[bridge]]\nname = \"a\"\n{keys}\n[[bridge]]\nname = \"b\"\n{keys}\n");
        let e = with_file(&[], &text).unwrap_err();
        assert!(e.contains(expected) && e.starts_with("s.toml, line 6:"), "{e}");
    }
    let e = with_file(&[], "[[bridge]]\nname = \"a\"\n\n[[bridge]]\ndpid = \"1\"\n").unwrap_err();
    assert_eq!(e, "s.toml, line 4: bridge: each of several bridges needs a `name`");
}

#[test]
fn mistakes_on_the_command_line_name_the_option() {
    for (args, expected) in [
        (&["--port", "0=eth1"][..], "'--port <PORT>': `0` is no port number; expected 1 to 65279"),
        (&["--dpid", "zz"], "'--dpid <HEX16>': `zz` is no datapath id"),
        (&["--controller", "host"], "'--controller <TARGET>': `host` names no transport"),
        (&["--protocol", "1.3,9"], "'--protocol <VERSIONS>': `9` is no OpenFlow version"),
        (&["--spin", "10001"], "'--spin <MICROSECONDS>': 10001 microseconds can't be"),
        (&["--workers", "0"], "'--workers <N>': 0 workers can't be"),
        (&["--fail-mode", "open"], "'--fail-mode <MODE>': `open` is no fail mode"),
        (&["--prot", "1.3"], "unexpected argument '--prot'"),
        (
            &["--controller", "tls:c", "--tls-key", "k"],
            "--tls-key: TLS needs a key, a certificate and an authority; missing: tls-cert, tls-ca",
        ),
        (&["--port", "eth1", "--port", "eth1"], "--port: interface `eth1` is taken already (--port)"),
        (&["--config", "/nonexistent/s.toml"], "--config: can't read `/nonexistent/s.toml`: No such file"),
    ] {
        let e = cli(args).unwrap_err();
        assert!(e.contains(expected), "{args:?}\n got: {e}\nwant: {expected}");
    }
}

#[test]
fn tools_find_a_bridge_by_its_name() {
    let tools = |c: Config| c.bridges.into_iter().map(|b| b.tools).collect::<Vec<_>>();
    let default = |name: &str| SocketPlace::Default(format!("/run/switchd/{name}.mgmt").into());
    assert_eq!(tools(cli(&["--name", "br7"]).unwrap()), [default("br7")]);
    assert_eq!(tools(cli(&["--listen", "punix:/run/of"]).unwrap()), [default("br0")]);
    let file = "[[bridge]]\nname = \"a\"\n[[bridge]]\nname = \"b\"\n";
    assert_eq!(tools(with_file(&[], file).unwrap()), [default("a"), default("b")]);
    // Asked for, or management elsewhere.
    for words in [["--listen", "punix:/run/switchd/br0.mgmt"], ["--management", "/run/m"], ["--management", "none"]] {
        assert_eq!(tools(cli(&words).unwrap()), [SocketPlace::Off], "{words:?}");
    }
}

#[test]
fn watchers_have_their_socket_beside_management_s_or_where_it_is_said() {
    let snoop = |c: Config| c.bridges.into_iter().map(|b| b.snoop).collect::<Vec<_>>();
    let default = |name: &str| SocketPlace::Default(format!("/run/switchd/{name}.snoop").into());
    assert_eq!(snoop(cli(&["--name", "br7"]).unwrap()), [default("br7")]);
    assert_eq!(snoop(cli(&["--management", "/run/m"]).unwrap()), [SocketPlace::Off]);
    assert_eq!(snoop(cli(&["--management", "none"]).unwrap()), [SocketPlace::Off]);
    assert_eq!(snoop(cli(&["--snoop", "none"]).unwrap()), [SocketPlace::Off]);
    let there = cli(&["--management", "none", "--snoop", "/run/s"]).unwrap();
    assert_eq!(snoop(there), [SocketPlace::At("/run/s".into())]);
    let file = "[[bridge]]\nname = \"a\"\nsnoop = \"/run/a\"\n[[bridge]]\nname = \"b\"\n";
    assert_eq!(snoop(with_file(&[], file).unwrap()), [SocketPlace::At("/run/a".into()), default("b")]);
}

#[test]
fn in_band_control_is_a_bridge_s_choice() {
    let out = cli(&["--local-port", "--controller", "tcp:10.0.0.1"]).unwrap();
    assert!(!out.bridges[0].in_band);
    let c = cli(&["--local-port", "--in-band", "--controller", "tcp:10.0.0.1", "--controller", "unix:/c"]).unwrap();
    assert!(c.bridges[0].in_band);
    let at: Vec<_> = c.bridges[0].controllers.iter().map(|c| c.in_band().map(|a| a.to_string())).collect();
    assert_eq!(at, [Some("10.0.0.1:6653".to_owned()), None]);
    for (given, at) in [("tcp:[fd00::1]", "[fd00::1]:6653"), ("tls:[::ffff:10.0.0.1]:7", "10.0.0.1:7")] {
        assert_eq!(given.parse::<ControllerSpec>().unwrap().in_band().unwrap().to_string(), at);
    }
}

#[test]
fn derived_ids_are_stable_and_differ() {
    let a = cli(&["--port", "eth1"]).unwrap().bridges.remove(0);
    let b = cli(&["--port", "eth2"]).unwrap().bridges.remove(0);
    let id = derived_dpid("machine\n", &a);
    assert_eq!(id, derived_dpid("machine", &a));
    assert_ne!(id, derived_dpid("other", &a));
    assert_ne!(id, derived_dpid("machine", &b));
    assert_eq!(id.0 >> 48, 0);
    assert_eq!(id.0 >> 40 & 3, 2, "locally administered, not multicast");
}

#[test]
fn the_packaged_example_is_right() {
    let c = with_file(&[], include_str!("../../packaging/switchd.toml")).unwrap();
    let b = &c.bridges[0];
    assert_eq!((b.ports.len(), b.controllers.len(), b.fail_mode), (2, 1, FailMode::Secure));
    let queues = b.queues.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(queues, ["eth2:1,min-rate=10.0%,max-rate=50.0%", "eth2:2,max-rate=50000000"]);
}

#[test]
fn queues_read_from_strings_tables_and_the_command_line() {
    let table = "port = \"eth1\"\n[[queue]]\nport = 1\nid = 2\nmax-rate = 1000\n";
    let string = "port = \"eth1\"\nqueue = \"1:2,max-rate=1k\"\n";
    let wanted = cli(&["--port", "eth1", "--queue", "1:2,max-rate=1000"]).unwrap().bridges;
    assert_eq!(with_file(&[], table).unwrap().bridges, wanted);
    assert_eq!(with_file(&[], string).unwrap().bridges, wanted);
    for (text, expected) in [
        ("port = \"eth1\"\n[[queue]]\nport = \"eth1\"\n", "s.toml, line 2: queue: a queue needs `port` and `id`"),
        ("port = \"eth1\"\n[[queue]]\nport = \"eth1\"\nid = -1\n", "line 4: id: `-1` is no queue number"),
        ("port = \"eth1\"\n[[queue]]\nport = \"eth1\"\nid = 1\nrate = 4\n", "line 5: rate: unknown queue option"),
        ("port = \"eth1\"\nqueue = \"eth2:1\"", "line 2: queue: there is no port `eth2`"),
        ("port = \"eth1\"\nqueue = [\"eth1:1\", \"eth1:1\"]", "queue `eth1:1` is taken already"),
    ] {
        let e = with_file(&[], text).unwrap_err();
        assert!(e.contains(expected), "{text}: {e}");
    }
}

#[test]
fn the_keys_that_messages_name_are_the_options() {
    let e = with_file(&[], "x-y-z = 1").unwrap_err();
    let keys = e.split_once("expected one of ").unwrap().1.split(", ").collect::<Vec<_>>();
    for option in Cli::command().get_arguments().filter_map(clap::Arg::get_long) {
        // The file can't name itself.
        assert!(keys.contains(&option) || ["config", "help", "version"].contains(&option), "{option}");
    }
    assert!(with_file(&[], "snoops = \"x\"").unwrap_err().contains("did you mean `snoop`?"));
}

#[test]
fn a_file_without_end_is_not_read_to_it() {
    let e = cli(&["--config", "/dev/zero"]).unwrap_err();
    assert!(e.starts_with("--config: `/dev/zero` has more than 1048576 bytes"), "{e}");
}

#[test]
fn two_sockets_have_two_places() {
    for args in [
        ["--management", "/run/s", "--snoop", "/run/s"],
        ["--management", "/run/s", "--listen", "punix:/run/s"],
        ["--snoop", "/run/s", "--listen", "punix:/run/s"],
    ] {
        let e = cli(&args).unwrap_err();
        assert!(e.contains("socket `/run/s` is taken already"), "{args:?}: {e}");
    }
    let e = with_file(&[], "snoop = \"/s\"\nmanagement = \"/s\"\n").unwrap_err();
    assert_eq!(e, "s.toml, line 2: management: socket `/s` is taken already (s.toml, line 1: snoop)");
    let text = "[[bridge]]\nname = \"a\"\nsnoop = \"/s\"\n[[bridge]]\nname = \"b\"\nsnoop = \"/s\"\n";
    let e = with_file(&[], text).unwrap_err();
    assert_eq!(e, "s.toml, line 6: snoop: socket `/s` is taken already (s.toml, line 3: snoop)");
}

#[test]
fn an_empty_path_is_none() {
    for key in ["state", "tls-key", "tls-cert", "tls-ca"] {
        let e = with_file(&[], &format!("{key} = \"\"")).unwrap_err();
        assert_eq!(e, format!("s.toml, line 1: {key}: a path is missing"));
    }
}
