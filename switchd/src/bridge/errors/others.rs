//! Ports, tables, packet-outs, multiparts.

use super::{FROM_11, FROM_12, FROM_13, FROM_14, Table, ask, experimenter_prop, packet, unknown_prop};
use bytes::Bytes;
use ofproto::Version::{self, V10, V11, V12, V13, V14, V15};
use ofproto::action::Action;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::group::OtherProp;
use ofproto::ids::TableId;
use ofproto::ids::{BufferId, ExperimenterId, GroupId, MacAddr, MeterId, MonitorId, PortNo, QueueId};
use ofproto::matching::Match;
use ofproto::message::{Experimenter, Message, MultipartRequest, SwitchConfig};
use ofproto::monitor::{FlowMonitorRequest, MonitorCommand, MonitorFlags};
use ofproto::packet::PacketOut;
use ofproto::port::{PortConfig, PortFeatures, PortMod, PortModProp};
use ofproto::role::{Role, RoleMsg};
use ofproto::stats::FlowStatsRequest;
use ofproto::table::{TableConfig, TableFeatureProp, TableFeatures, TableMod, TableModProp};

#[test]
fn port_table_and_config() {
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        let port = |f: &dyn Fn(&mut PortMod)| {
            let mut m = PortMod {
                port_no: PortNo(1),
                hw_addr: MacAddr([2, 0, 0, 0, 0, 1]),
                config: PortConfig::empty(),
                mask: PortConfig::empty(),
                properties: Vec::new(),
            };
            f(&mut m);
            Message::PortMod(m)
        };
        t.row("a port that isn't there", &all, port(&|m| m.port_no = PortNo(77)), E::PortModFailedBadPort);
        t.row("every port", &all, port(&|m| m.port_no = PortNo::ALL), E::PortModFailedBadPort);
        t.row("another address", &all, port(&|m| m.hw_addr = MacAddr([2; 6])), E::PortModFailedBadHwAddr);
        let bit = PortConfig::from_bits_retain(1 << 1);
        t.row("an undefined bit", FROM_11, port(&|m| (m.config, m.mask) = (bit, bit)), E::PortModFailedBadConfig);
        t.row("an undefined bit of the mask", FROM_11, port(&|m| m.mask = bit), E::PortModFailedBadConfig);
        let advertise =
            |bits| port(&|m| m.properties = vec![PortModProp::Ethernet(PortFeatures::from_bits_retain(bits))]);
        t.row("an undefined feature", FROM_11, advertise(1 << 16), E::PortModFailedBadAdvertise);
        let prop = |p: OtherProp| port(&|m| m.properties = vec![PortModProp::Other(p.clone())]);
        t.row("an undefined property", FROM_14, prop(unknown_prop()), E::BadPropertyBadType);
        t.row("somebody's property", FROM_14, prop(experimenter_prop()), E::BadPropertyBadExperimenter);
        let optical = port(&|m| m.properties = vec![PortModProp::Optical(Default::default())]);
        t.row("light for a port without", FROM_14, optical, E::BadPropertyBadType);

        let table = |table, bits, properties| {
            Message::TableMod(TableMod {
                table: TableId(table),
                config: TableConfig::from_bits_retain(bits),
                properties,
            })
        };
        t.row("a table that isn't there", FROM_11, table(4, 0, vec![]), E::TableModFailedBadTable);
        t.row("an undefined bit", FROM_11, table(0, 1 << 5, vec![]), E::TableModFailedBadConfig);
        t.row("a miss that can't be", &[V11, V12], table(0, 3, vec![]), E::TableModFailedBadConfig);
        t.row("a bit of a later version", &[V11, V12, V13], table(0, 4, vec![]), E::TableModFailedBadConfig);
        let vacancy = |down, up| TableModProp::Vacancy { down, up, vacancy: 0 };
        t.row("vacancy upside down", FROM_14, table(0, 8, vec![vacancy(60, 40)]), E::BadPropertyBadValue);
        t.row("more than all is free", FROM_14, table(0, 8, vec![vacancy(60, 101)]), E::BadPropertyBadValue);
        let twice = vec![vacancy(1, 2), vacancy(1, 2)];
        t.row("a property twice", FROM_14, table(0, 8, twice), E::BadPropertyDupType);
        t.row(
            "an undefined property",
            FROM_14,
            table(0, 0, vec![TableModProp::Other(unknown_prop())]),
            E::BadPropertyBadType,
        );
        let theirs = vec![TableModProp::Other(experimenter_prop())];
        t.row("somebody's property", FROM_14, table(0, 0, theirs), E::BadPropertyBadExperimenter);

        let config = |flags| Message::SetConfig(SwitchConfig { flags, miss_send_len: 128 });
        t.row("an undefined flag", &all, config(1 << 4), E::SwitchConfigFailedBadFlags);
        t.row("reassembly", &all, config(2), E::SwitchConfigFailedBadFlags);
        t.row("two ways to treat fragments", &all, config(3), E::SwitchConfigFailedBadFlags);
        t.row("a flag that ended with 1.2", FROM_13, config(4), E::SwitchConfigFailedBadFlags);
        t.end(6);
    }
}

#[test]
fn packet_outs() {
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        let to = |port| vec![Action::output(PortNo(port))];
        let with = |f: &dyn Fn(&mut PacketOut)| {
            let Message::PacketOut(mut m) = packet(1, to(2)) else { unreachable!() };
            f(&mut m);
            Message::PacketOut(m)
        };
        let buffered = with(&|m| (m.buffer_id, m.data) = (BufferId(77), Bytes::new()));
        t.row("a buffer that never was", &all, buffered, E::BadRequestBufferUnknown);
        t.row("an ingress port that can't be", FROM_12, packet(PortNo::FLOOD.0, to(2)), E::BadRequestBadPort);
        t.row("an ingress port that isn't there", FROM_12, packet(77, to(2)), E::BadRequestBadPort);
        t.row("one byte", FROM_12, with(&|m| m.data = vec![0].into()), E::BadRequestBadPacket);
        t.row("an output that can't be", &all, packet(1, to(PortNo::ANY.0)), E::BadActionBadOutPort);
        let unknown = vec![Action::Unknown { ty: 0x77, data: vec![0; 4].into() }];
        t.row("an undefined action", &all, packet(1, unknown), E::BadActionBadType);
        t.row("a group that isn't there", FROM_11, packet(1, vec![Action::Group(GroupId(9))]), E::BadActionBadOutGroup);
        let queued = vec![Action::SetQueue(QueueId(1)), Action::output(PortNo(2))];
        t.row("a queue that isn't there", FROM_11, packet(1, queued), E::BadActionBadQueue);
        let queued = vec![Action::Enqueue { port: PortNo(2), queue: QueueId(1) }];
        t.row("a queue that isn't there", &[V10], packet(1, queued), E::BadActionBadQueue);
        let header = with(&|m| m.matching = m.matching.clone().with(F::EthType, 0x800));
        t.row("a header field", &[V15], header, E::BadRequestPipelineFieldsOnly);
        t.row("no ingress port", &[V15], with(&|m| m.matching = Match::any()), E::BadRequestBadPort);
        t.row("a meter that isn't there", &[V15], packet(1, vec![Action::Meter(MeterId(9))]), E::BadActionBadMeter);
        t.end(4);
    }
}

#[test]
fn multiparts_and_others() {
    use MultipartRequest as M;
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        let flows = |table| FlowStatsRequest { table: TableId(table), ..FlowStatsRequest::default() };
        t.row("flows of a table that isn't there", FROM_11, ask(M::Flow(flows(9))), E::BadRequestBadTableId);
        t.row("a sum of a table that isn't there", FROM_11, ask(M::Aggregate(flows(9))), E::BadRequestBadTableId);
        t.row("statistics of a port that isn't there", FROM_12, ask(M::PortStats(PortNo(9))), E::BadRequestBadPort);
        t.row("a port that isn't there", &[V15], ask(M::PortDesc(PortNo(9))), E::BadRequestBadPort);
        t.row("statistics of no group", FROM_11, ask(M::Group(GroupId(9))), E::GroupModFailedUnknownGroup);
        t.row("statistics of no meter", FROM_13, ask(M::Meter(MeterId(9))), E::MeterModFailedUnknownMeter);
        t.row("configuration of no meter", FROM_13, ask(M::MeterConfig(MeterId(9))), E::MeterModFailedUnknownMeter);
        let queue = |port, queue| ask(M::Queue { port: PortNo(port), queue: QueueId(queue) });
        t.row("queues of a port that isn't there", &all, queue(9, 1), E::QueueOpFailedBadPort);
        t.row("a queue that isn't there", &all, queue(1, 9), E::QueueOpFailedBadQueue);
        t.row("a queue of another port", &all, queue(2, 1), E::QueueOpFailedBadQueue);
        let queue = M::QueueDesc { port: PortNo(9), queue: QueueId::ALL };
        t.row("descriptions of no port's queues", FROM_14, ask(queue), E::QueueOpFailedBadPort);
        let get = Message::QueueGetConfigRequest(PortNo(9));
        t.row("queues of a port that isn't there", &[V10, V11, V12, V13], get, E::QueueOpFailedBadPort);
        let unknown = M::Unknown { ty: 0x7777, body: Bytes::new() };
        t.row("an undefined multipart", &all, ask(unknown), E::BadRequestBadMultipart);
        let experimenter = ExperimenterId(0x00ab_cdef);
        let exp = || Experimenter { experimenter, exp_type: (v > V10).then_some(1), data: Bytes::new() };
        t.row("somebody's message", FROM_11, Message::Experimenter(exp()), E::BadRequestBadExperimenter);
        let kind = |bytes: &mut Vec<u8>| bytes[1] = 250;
        t.raw("an undefined type", &all, Message::BarrierRequest, kind, E::BadRequestBadType);
        t.row("what only a switch sends", &all, Message::BarrierReply, E::BadRequestBadType);

        let role = |role, generation_id| Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id });
        t.row("an undefined role", FROM_12, role(Role::Unknown(9), 0), E::RoleRequestFailedBadRole);
        if v >= V12 {
            t.fine(role(Role::Master, 5));
            t.row("an old generation", FROM_12, role(Role::Master, 4), E::RoleRequestFailedStale);
        }
        let mask = AsyncProp::Reasons { kind: AsyncKind::PacketIn, master: true, mask: 1 << 30 };
        let m = Message::SetAsync(AsyncConfig { props: vec![mask] });
        t.row("an undefined reason", FROM_14, m, E::AsyncConfigFailedInvalid);
        let m = Message::SetAsync(AsyncConfig { props: vec![AsyncProp::Other(unknown_prop())] });
        t.row("an undefined mask", FROM_14, m, E::BadPropertyBadType);

        let monitor = |id, command, f: &dyn Fn(&mut FlowMonitorRequest)| {
            let mut m = FlowMonitorRequest {
                id: MonitorId(id),
                out_port: PortNo::ANY,
                out_group: GroupId::ANY,
                flags: MonitorFlags::ADD,
                table: TableId::ALL,
                command,
                matching: Match::any(),
                bare: false,
            };
            f(&mut m);
            ask(M::FlowMonitor(vec![m]))
        };
        if v >= V14 {
            use MonitorCommand::{Add, Delete, Modify, Unknown};
            t.fine(monitor(1, Add, &|_| {}));
            t.row("a monitor that is there", FROM_14, monitor(1, Add, &|_| {}), E::FlowMonitorFailedMonitorExists);
            t.row("a modify of none", FROM_14, monitor(2, Modify, &|_| {}), E::FlowMonitorFailedUnknownMonitor);
            t.row("a delete of none", FROM_14, monitor(2, Delete, &|_| {}), E::FlowMonitorFailedUnknownMonitor);
            t.row("an undefined command", FROM_14, monitor(2, Unknown(9), &|_| {}), E::FlowMonitorFailedBadCommand);
            let flags = |n| move |m: &mut FlowMonitorRequest| m.flags = MonitorFlags::from_bits_retain(n);
            t.row("an undefined flag", FROM_14, monitor(2, Add, &flags(0x81)), E::FlowMonitorFailedBadFlags);
            t.row("no event", FROM_14, monitor(2, Add, &flags(16)), E::FlowMonitorFailedBadFlags);
            let table = |m: &mut FlowMonitorRequest| m.table = TableId(9);
            t.row("a table that isn't there", FROM_14, monitor(2, Add, &table), E::FlowMonitorFailedBadTableId);
            let port = |m: &mut FlowMonitorRequest| m.out_port = PortNo(0);
            t.row("an output that can't be", FROM_14, monitor(2, Add, &port), E::FlowMonitorFailedBadOut);
            let group = |m: &mut FlowMonitorRequest| m.out_group = GroupId(0xffff_ff01);
            t.row("a group that can't be", FROM_14, monitor(2, Add, &group), E::FlowMonitorFailedBadOut);
        }
        t.end(7);
    }
}

#[test]
fn table_features() {
    for v in FROM_13.iter().copied() {
        let mut t = Table::new(v);
        let now = t.bench.hub.switch.control_mut().table_features(v);
        let all = |f: &dyn Fn(&mut Vec<TableFeatures>)| {
            let mut tables = now.clone();
            f(&mut tables);
            // What is left out stays as it is, which keeps the request short.
            if v >= V15 {
                tables.iter_mut().filter(|t| t.properties.len() > 3).for_each(|t| t.properties.clear());
            } else {
                tables.truncate(5);
            }
            ask(MultipartRequest::TableFeatures(tables))
        };
        let first = |f: &dyn Fn(&mut TableFeatures)| {
            all(&|t: &mut Vec<TableFeatures>| {
                t[0].properties.retain(|p| matches!(p, TableFeatureProp::Match(_)));
                f(&mut t[0]);
            })
        };
        t.row("a table that isn't there", FROM_13, first(&|t| t.table = TableId(9)), E::TableFeaturesFailedBadTable);
        t.row("a table twice", FROM_13, first(&|t| t.table = TableId(1)), E::TableFeaturesFailedBadTable);
        let other = |p: OtherProp| first(&|t| t.properties.push(TableFeatureProp::Other(p.clone())));
        t.row("an undefined property", &[V13], other(unknown_prop()), E::TableFeaturesFailedBadType);
        t.row("an undefined property", FROM_14, other(unknown_prop()), E::BadPropertyBadType);
        t.row("somebody's property", FROM_14, other(experimenter_prop()), E::BadPropertyBadExperimenter);
        let back = first(&|t| {
            t.properties.push(TableFeatureProp::NextTables { miss: false, tables: vec![TableId(0)] });
        });
        let kind = if v == V13 { E::TableFeaturesFailedBadArgument } else { E::BadPropertyBadValue };
        t.row("a next table that comes before", FROM_13, back, kind);
        let twice = first(&|t| {
            let p = TableFeatureProp::NextTables { miss: false, tables: vec![] };
            t.properties.extend([p.clone(), p]);
        });
        t.row("a property twice", FROM_14, twice, E::BadPropertyDupType);
        let only = &[V15];
        t.row("an undefined command", only, first(&|t| t.command = 9), E::TableFeaturesFailedBadCommand);
        t.row("an undefined feature", only, first(&|t| t.features |= 1 << 20), E::TableFeaturesFailedBadFeatures);
        let first_egress = first(&|t| t.features |= 16);
        t.row("egress from table 0", only, first_egress, E::TableFeaturesFailedBadFeatures);
        let bits = TableConfig::from_bits_retain(1 << 20);
        t.row("an undefined capability", only, first(&|t| t.capabilities |= bits), E::TableFeaturesFailedBadCapa);
        t.row(
            "more entries than there can be",
            only,
            first(&|t| t.max_entries = u32::MAX),
            E::TableFeaturesFailedBadMaxEnt,
        );
        t.end(4);
    }
}
