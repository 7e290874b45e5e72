//! The flow syntax: any text is read or refused with a place inside it, and what was read prints as
//! something that is read as the same.

use ofproto::flow::FlowModCommand;
use ofproto::group::GroupModCommand;
use ofproto::meter::MeterModCommand;
use ofproto::text::{self, ActionsText, MatchText, MeterModText, ParseContext, Printer, TextError};

/// Input: a byte that chooses parser and version, then the text.
pub fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let Ok(input) = std::str::from_utf8(rest) else { return };
    let version = crate::version(choice & 7);
    let ctx = ParseContext::new(version);
    let printer = Printer { version, ports: &() };
    match choice >> 4 {
        0 | 1 => {
            same(input, |t| text::parse_flow_mod(t, FlowModCommand::Add, &ctx), |m| printer.flow_mod(m).to_string())
        }
        2 => same(input, |t| text::parse_match(t, &ctx), |m| MatchText(m).to_string()),
        3 => same(input, |t| text::parse_actions(t, &ctx), |m| printer.actions(m).to_string()),
        4 => same(input, |t| text::parse_instructions(t, &ctx), |m| printer.instructions(m).to_string()),
        5 => {
            same(input, |t| text::parse_group_mod(t, GroupModCommand::Add, &ctx), |m| printer.group_mod(m).to_string())
        }
        6 => same(input, |t| text::parse_meter_mod(t, MeterModCommand::Add, &ctx), |m| MeterModText(m).to_string()),
        7 => same(input, |t| text::parse_flow_desc(t, &ctx), |m| printer.flow(m).to_string()),
        8 => taken(input, text::parse_flow_stats_request(input, &ctx)),
        9 => taken(input, text::parse_packet_out(input, &ctx)),
        10 => taken(input, text::parse_flow_mods(input, FlowModCommand::Add, &ctx)),
        11 => taken(input, text::parse_group_mods(input, GroupModCommand::Add, &ctx)),
        12 => {
            // Printed for another version than read for.
            if let Ok(m) = text::parse_actions(input, &ctx) {
                let _ = ActionsText(&m).to_string();
            }
        }
        _ => {
            for field in ofproto::field::FIELDS {
                let _ = text::parse_plain_value(field.id, input);
            }
        }
    }
}

fn taken<T>(input: &str, result: Result<T, TextError>) {
    if let Err(e) = result {
        assert!(e.offset <= input.len(), "{e} in {input:?}");
        assert!(!e.to_string().is_empty());
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    input: &str,
    parse: impl Fn(&str) -> Result<T, TextError>,
    print: impl Fn(&T) -> String,
) {
    match parse(input) {
        Ok(model) => {
            let printed = print(&model);
            match parse(&printed) {
                Ok(again) if again == model => {}
                // What the syntax can't say (a match field's header form) is lost once, not again.
                Ok(again) => assert_eq!(print(&again), printed, "{model:?}\n{again:?}"),
                Err(e) => panic!("{e}\n read {input:?}\nprint {printed:?}\n{model:?}"),
            }
        }
        Err(e) => {
            assert!(e.offset <= input.len(), "{e} in {input:?}");
            assert!(!e.to_string().is_empty());
        }
    }
}
