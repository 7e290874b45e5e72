//! What sessions are told of a packet for the controllers.

use crate::session::notify::Punted;
use bytes::{Bytes, BytesMut};
use datapath::key::{FlowKey, WORDS, low_bits, slot};
use datapath::punt::Punt;
use ofproto::field::FieldId;
use ofproto::ids::{Cookie, Dpid, PortNo};
use ofproto::matching::Match;
use ofproto::packet::PacketInReason;
use std::sync::Arc;

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

/// The bits of a key that [`PIPELINE`] is made of.
const PIPELINE_BITS: [u64; WORDS] = {
    let mut bits = [0; WORDS];
    let mut i = 0;
    while i < PIPELINE.len() {
        if let Some(slot) = slot(PIPELINE[i]) {
            if slot.bits == 128 {
                bits[slot.word] = u64::MAX;
                bits[slot.word + 1] = u64::MAX;
            } else {
                bits[slot.word] |= low_bits(slot.bits) << slot.shift;
            }
        }
        i += 1;
    }
    bits
};

/// Frames up to this length lie together in blocks: a block is kept as long as one of its frames is.
const SMALL: usize = 512;
const BLOCK: usize = 4096;

/// Tells sessions of packets, with what it keeps for the next one.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// The last match that said nothing but the ingress port.
    plain: Option<(PortNo, Arc<Match>)>,
    block: BytesMut,
}

impl Teller {
    /// What sessions are told of a packet. `dpid`: of the switch that paused it, if it is paused; `flows`: whether packets
    /// of different flows have to be told apart.
    pub(super) fn punted(&mut self, punt: Punt, dpid: Dpid, flows: bool) -> Punted {
        // A miss without a miss entry has no cookie; one with a miss entry has the entry's.
        let implicit_miss = punt.reason == PacketInReason::TableMiss && punt.cookie == Cookie(u64::MAX);
        let own_len = (implicit_miss || punt.reason == PacketInReason::InvalidTtl) && punt.paused.is_none();
        Punted {
            frame: self.frame(punt.frame.bytes()),
            in_port: punt.in_port(),
            pipeline: self.pipeline(&punt.key, punt.in_port()),
            reason: punt.reason,
            table: punt.table,
            cookie: punt.cookie,
            max_len: (!own_len).then_some(punt.max_len),
            implicit_miss,
            controller_id: (punt.controller_id != 0).then_some(punt.controller_id),
            flow: if flows { flow_hash(&punt.key) } else { 0 },
            userdata: punt.userdata,
            paused: punt.paused.map(|mut rest| {
                rest.bridge = dpid.0;
                rest
            }),
        }
    }

    fn frame(&mut self, frame: &[u8]) -> Bytes {
        if frame.len() > SMALL {
            return Bytes::copy_from_slice(frame);
        }
        if self.block.capacity() - self.block.len() < frame.len() {
            self.block = BytesMut::with_capacity(BLOCK);
        }
        self.block.extend_from_slice(frame);
        self.block.split().freeze()
    }

    fn pipeline(&mut self, key: &FlowKey, no: PortNo) -> Arc<Match> {
        let in_port = u128::from(no.0);
        let phy = Some(key.get(FieldId::InPhyPort)).filter(|phy| *phy != 0 && *phy != in_port);
        let only_in_port = || Match::any().with(FieldId::InPort, in_port);
        if phy.is_none() && key.0.iter().zip(&PIPELINE_BITS).all(|(word, bits)| word & bits == 0) {
            return match &self.plain {
                Some((port, plain)) if *port == no => Arc::clone(plain),
                _ => Arc::clone(&self.plain.insert((no, Arc::new(only_in_port()))).1),
            };
        }
        let mut all = only_in_port();
        if let Some(phy) = phy {
            all = all.with(FieldId::InPhyPort, phy);
        }
        for id in PIPELINE {
            let value = key.get(id);
            if value != 0 {
                all = all.with(id, value);
            }
        }
        Arc::new(all)
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

    fn punt(key: &FlowKey, frame: &[u8]) -> Punt {
        Punt {
            reason: PacketInReason::ApplyAction,
            table: TableId(0),
            cookie: Cookie(0),
            key: *key,
            frame: Frame::from_bytes(frame),
            max_len: 128,
            controller_id: 0,
            userdata: None,
            paused: None,
        }
    }

    #[test]
    fn every_pipeline_field_that_is_not_zero_is_told_once() {
        let mut teller = Teller::default();
        let mut key = FlowKey::default();
        key.set(FieldId::InPort, 3);
        key.set(FieldId::InPhyPort, 3);
        let mut told = |key: &FlowKey| teller.punted(punt(key, &[0; 60]), Dpid(1), false).pipeline;
        let plain = Match::any().with(FieldId::InPort, 3);
        assert_eq!(*told(&key), plain);
        let mut all = plain.clone();
        for (i, id) in PIPELINE.into_iter().enumerate() {
            let mut one = key;
            one.set(id, 1);
            assert_eq!(*told(&one), plain.clone().with(id, 1));
            all = all.with(id, i as u128 + 1);
        }
        for (i, id) in PIPELINE.into_iter().enumerate() {
            key.set(id, i as u128 + 1);
        }
        assert_eq!(*told(&key), all);
        // What isn't the pipeline's isn't told, and another port is.
        let mut key = FlowKey([u64::MAX; WORDS]);
        PIPELINE.into_iter().for_each(|id| key.set(id, 0));
        for port in [3, 4, 4, 3] {
            key.set(FieldId::InPort, port);
            for (phy, named) in [(port, None), (0, None), (9, Some(9))] {
                key.set(FieldId::InPhyPort, phy);
                let plain = Match::any().with(FieldId::InPort, port);
                assert_eq!(*told(&key), named.map_or(plain.clone(), |n| plain.with(FieldId::InPhyPort, n)));
            }
        }
    }

    #[test]
    fn frames_that_lie_together_stay_what_they_are() {
        let mut teller = Teller::default();
        let lengths = [60, 0, SMALL, 1, SMALL + 1, 9000].into_iter().cycle().take(600);
        let frames: Vec<Vec<u8>> = lengths.enumerate().map(|(i, len)| vec![i as u8; len]).collect();
        let mut tell = |f: &Vec<u8>| teller.punted(punt(&FlowKey::default(), f), Dpid(1), false).frame;
        let told: Vec<Bytes> = frames.iter().map(&mut tell).collect();
        assert!(frames.iter().zip(&told).all(|(f, t)| f == t));
    }

    #[test]
    fn flows_are_told_apart_where_it_is_asked() {
        let mut teller = Teller::default();
        let mut flow = |port: u128, flows| {
            let mut key = FlowKey::default();
            key.set(FieldId::TcpSrc, port);
            teller.punted(punt(&key, &[0; 60]), Dpid(1), flows).flow
        };
        assert_eq!((flow(1, false), flow(2, false)), (0, 0));
        assert!(flow(1, true) != flow(2, true) && flow(1, true) == flow(1, true));
    }
}
