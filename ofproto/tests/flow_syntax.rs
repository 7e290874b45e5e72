//! Flows whose reading and printing were compared with `ovs-ofctl parse-flow` of Open vSwitch 3.1:
//! each line of `flow_syntax.tsv` is a version, a flow, and the match and actions that it prints, or
//! `ERR` where it refuses the flow.

use ofproto::Version;
use ofproto::flow::FlowModCommand;
use ofproto::text::{ParseContext, Printer, parse_flow_mod};

#[test]
fn flows_read_and_print_as_ovs_ofctl_has_them() {
    let mut n = 0;
    for line in include_str!("flow_syntax.tsv").lines().filter(|l| !l.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [version, input, expected] = columns[..] else { panic!("three columns: {line}") };
        let version = Version::parse(version).expect("a version");
        n += 1;
        let parsed = parse_flow_mod(input, FlowModCommand::Add, &ParseContext::new(version));
        let printed = match &parsed {
            Err(_) => "ERR".to_owned(),
            Ok(flow) => {
                let printer = Printer { version, ports: &() };
                let matching = printer.matching(&flow.matching).to_string();
                let actions = printer.instructions(&flow.instructions).to_string();
                let priority =
                    if flow.priority == 0x8000 { String::new() } else { format!("priority={}", flow.priority) };
                let comma = if matching.is_empty() || priority.is_empty() { "" } else { "," };
                format!("{priority}{comma}{matching}|{actions}")
            }
        };
        assert_eq!(printed, expected, "OpenFlow {version}: {input}\n{parsed:?}");
    }
    assert!(n >= 250, "only {n} examples");
}
