//! Nicira's load in replies of 1.5: Open vSwitch, whose action it is, has it up to 1.4 only and says set-field with a
//! mask from then on, so that is what clients of 1.5 can read.

use ofproto::action::Action;
use ofproto::instruction::Instruction;
use ofproto::message::MultipartReply;
use ofproto::monitor::FlowUpdate;
use ofproto::nicira::NxAction;

/// Writes the loads in a reply's flows and buckets as set-field.
pub(super) fn say_as_set_field(reply: &mut MultipartReply) {
    match reply {
        MultipartReply::Flow(flows) => flows.iter_mut().for_each(|f| instructions(&mut f.instructions)),
        MultipartReply::FlowMonitor(updates) => {
            for update in updates {
                if let FlowUpdate::Full { instructions: list, .. } = update {
                    instructions(list);
                }
            }
        }
        MultipartReply::GroupDesc(groups) => {
            groups.iter_mut().flat_map(|g| &mut g.buckets).for_each(|b| actions(&mut b.actions));
        }
        _ => {}
    }
}

fn instructions(list: &mut [Instruction]) {
    for i in list {
        if let Instruction::WriteActions(all) | Instruction::ApplyActions(all) = i {
            actions(all);
        }
    }
}

/// As deep as the decoder let actions nest.
fn actions(all: &mut [Action]) {
    for a in all {
        match a {
            Action::Nicira(NxAction::Clone(inner)) => actions(inner),
            Action::Nicira(load) => {
                if let Some(field) = load.load_as_set_field() {
                    *a = Action::SetField(field);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::Version;
    use ofproto::flow::FlowModCommand;
    use ofproto::group::GroupModCommand;
    use ofproto::stats::{FlowDesc, FlowStats};
    use ofproto::text::{ParseContext, parse_flow_mod, parse_group_mod};

    #[test]
    fn loads_are_said_as_set_field_wherever_they_are() {
        let ctx = ParseContext::new(Version::V15);
        let flow = |load: &str| {
            let line = format!("actions={load},clone({load},2),write_actions({load})");
            let m = parse_flow_mod(&line, FlowModCommand::Add, &ctx).expect("sound");
            MultipartReply::Flow(vec![FlowDesc::added(m, FlowStats::default())])
        };
        let mut said = flow("load:7->NXM_NX_REG0[4..11]");
        say_as_set_field(&mut said);
        assert_eq!(said, flow("set_field:0x70/0xff0->reg0"));

        let group = |load: &str| {
            let line = format!("group_id=1,type=all,bucket=bucket_id=1,actions={load},2");
            let m = parse_group_mod(&line, GroupModCommand::Add, &ctx).expect("sound");
            MultipartReply::GroupDesc(vec![ofproto::group::GroupDesc {
                ty: m.ty,
                group: m.group,
                buckets: m.buckets,
                properties: Vec::new(),
            }])
        };
        let mut said = group("load:7->NXM_NX_REG0[4..11]");
        say_as_set_field(&mut said);
        assert_eq!(said, group("set_field:0x70/0xff0->reg0"));
    }
}
