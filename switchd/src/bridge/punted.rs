//! What sessions are told of a packet for the controllers.

use crate::session::notify::Punted;
use bytes::Bytes;
use datapath::key::FlowKey;
use datapath::punt::Punt;
use ofproto::field::FieldId;
use ofproto::ids::{Cookie, Dpid};
use ofproto::matching::Match;
use ofproto::packet::PacketInReason;

/// Pipeline fields that a packet-in's match holds besides `in_port`, where they aren't zero: the
/// specification's, and Nicira's registers, which come as pairs to 1.5 (its packet registers).
const PIPELINE: [FieldId; 26] = [
    FieldId::TunnelId,
    FieldId::TunIpv4Src,
    FieldId::TunIpv4Dst,
    FieldId::TunIpv6Src,
    FieldId::TunIpv6Dst,
    FieldId::TunGbpId,
    FieldId::TunGbpFlags,
    FieldId::TunFlags,
    FieldId::Metadata,
    FieldId::Reg0,
    FieldId::Reg1,
    FieldId::Reg2,
    FieldId::Reg3,
    FieldId::Reg4,
    FieldId::Reg5,
    FieldId::Reg6,
    FieldId::Reg7,
    FieldId::Reg8,
    FieldId::Reg9,
    FieldId::Reg10,
    FieldId::Reg11,
    FieldId::Reg12,
    FieldId::Reg13,
    FieldId::Reg14,
    FieldId::Reg15,
    FieldId::PktMark,
];

/// What sessions are told of a packet. `dpid`: of the switch that paused it, if it is paused.
pub(super) fn punted(punt: Punt, dpid: Dpid) -> Punted {
    let in_port = punt.in_port();
    let mut pipeline = Match::any().with(FieldId::InPort, u128::from(in_port.0));
    let phy = punt.key.get(FieldId::InPhyPort);
    if phy != 0 && phy != u128::from(in_port.0) {
        pipeline = pipeline.with(FieldId::InPhyPort, phy);
    }
    for id in PIPELINE {
        let value = punt.key.get(id);
        if value != 0 {
            pipeline = pipeline.with(id, value);
        }
    }
    // A miss without a miss entry has no cookie; one with a miss entry has the entry's.
    let implicit_miss = punt.reason == PacketInReason::TableMiss && punt.cookie == Cookie(u64::MAX);
    let own_len = (implicit_miss || punt.reason == PacketInReason::InvalidTtl) && punt.paused.is_none();
    Punted {
        frame: Bytes::copy_from_slice(punt.frame.bytes()),
        in_port,
        pipeline,
        reason: punt.reason,
        table: punt.table,
        cookie: punt.cookie,
        max_len: (!own_len).then_some(punt.max_len),
        implicit_miss,
        controller_id: (punt.controller_id != 0).then_some(punt.controller_id),
        flow: flow_hash(&punt.key),
        userdata: punt.userdata,
        paused: punt.paused.map(|mut rest| {
            rest.bridge = dpid.0;
            rest
        }),
    }
}

/// What tells flows apart for spreading packet-ins over connections.
const FLOW: [FieldId; 11] = [
    FieldId::InPort,
    FieldId::EthDst,
    FieldId::EthSrc,
    FieldId::EthType,
    FieldId::VlanVid,
    FieldId::Ipv4Src,
    FieldId::Ipv4Dst,
    FieldId::Ipv6Src,
    FieldId::Ipv6Dst,
    FieldId::TcpSrc,
    FieldId::TcpDst,
];

/// One number for all packets of a flow.
fn flow_hash(key: &FlowKey) -> u64 {
    let hash = FLOW.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, field| {
        let value = key.get(*field);
        let word = (value as u64) ^ (value >> 64) as u64;
        (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use datapath::frame::Frame;
    use ofproto::ids::TableId;

    #[test]
    fn every_pipeline_field_that_is_not_zero_is_told_once() {
        let mut key = FlowKey::default();
        key.set(FieldId::InPort, 3);
        key.set(FieldId::InPhyPort, 3);
        let told = |key: &FlowKey| {
            let punt = Punt {
                reason: PacketInReason::ApplyAction,
                table: TableId(0),
                cookie: Cookie(0),
                key: *key,
                frame: Frame::from_bytes(&[0; 60]),
                max_len: 128,
                controller_id: 0,
                userdata: None,
                paused: None,
            };
            punted(punt, Dpid(1)).pipeline
        };
        assert_eq!(told(&key), Match::any().with(FieldId::InPort, 3));
        let mut all = Match::any().with(FieldId::InPort, 3);
        for (i, id) in PIPELINE.into_iter().enumerate() {
            key.set(id, i as u128 + 1);
            all = all.with(id, i as u128 + 1);
        }
        assert_eq!(told(&key), all);
    }
}
