//! Nicira's actions to bytes.

use super::*;
use crate::action::Action;
use crate::matching::{MatchField, OxmId};
use crate::nicira::{Learn, Nat, NxAction, Subfield};
use crate::version::Version;
use crate::wire::v10::put_port;
use crate::wire::{EncodeError, Writer, action, nicira_learn, oxm, property, require, unsupported};

fn put_ofs_nbits(w: &mut Writer, s: &Subfield) -> Result<(), EncodeError> {
    if s.offset > 0x3ff || s.n_bits == 0 || s.n_bits > 64 {
        let value = u128::from(s.offset) << 16 | u128::from(s.n_bits);
        return Err(EncodeError::OutOfRange { what: "ofs_nbits", value });
    }
    w.u16(s.offset << 6 | (s.n_bits - 1));
    Ok(())
}

/// Writes a field's header where there is room for four bytes only.
fn put_short_id(w: &mut Writer, version: Version, id: &OxmId) -> Result<(), EncodeError> {
    let before = w.len();
    oxm::encode_id(w, version, id)?;
    require(w.len() == before + 4, version, "an experimenter's field in an action that has four bytes for it")
}

/// Pads so that the action has `len` bytes at least, and a multiple of eight; `start` as in [`encode`]'s.
fn pad_to(w: &mut Writer, start: usize, len: usize) {
    let used = w.len() - start + BEFORE;
    w.zeros(used.next_multiple_of(8).max(len) - used);
}

/// Writes a Nicira action's body from its subtype on.
pub(in crate::wire) fn encode(w: &mut Writer, version: Version, nx: &NxAction) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    let subtype = encode_body(w, version, nx)?;
    let [hi, lo] = subtype.to_be_bytes();
    w.patch_u8(start, hi);
    w.patch_u8(start + 1, lo);
    let len = match subtype {
        OUTPUT_REG | OUTPUT_REG2 | STACK_PUSH | STACK_POP | CHECK_PKT_LARGER | DELETE_FIELD => 24,
        SAMPLE2 | SAMPLE3 => 32,
        _ => 16,
    };
    if !matches!(nx, NxAction::Unknown { .. }) {
        pad_to(w, start, len);
    }
    Ok(())
}

fn encode_body(w: &mut Writer, version: Version, nx: &NxAction) -> Result<u16, EncodeError> {
    let id = |w: &mut Writer, id: &OxmId| oxm::encode_id(w, version, id);
    let short_id = |w: &mut Writer, id: &OxmId| put_short_id(w, version, id);
    Ok(match nx {
        NxAction::Resubmit { in_port, table: None, .. } => {
            put_port(w, *in_port, "in_port")?;
            RESUBMIT
        }
        NxAction::Resubmit { in_port, table: Some(table), ct } => {
            put_port(w, *in_port, "in_port")?;
            w.u8(table.0);
            if *ct { RESUBMIT_TABLE_CT } else { RESUBMIT_TABLE }
        }
        NxAction::SetTunnel { id, wide: true } => {
            w.zeros(6);
            w.u64(*id);
            SET_TUNNEL64
        }
        NxAction::SetTunnel { id, wide: false } => {
            w.zeros(2);
            let narrow = u32::try_from(*id);
            w.u32(narrow.map_err(|_| EncodeError::OutOfRange { what: "tun_id", value: (*id).into() })?);
            SET_TUNNEL
        }
        NxAction::SetQueue(queue) => {
            w.zeros(2);
            w.u32(*queue);
            SET_QUEUE
        }
        NxAction::PopQueue => POP_QUEUE,
        NxAction::Exit => EXIT,
        NxAction::DecTtl => DEC_TTL,
        NxAction::DecMplsTtl => DEC_MPLS_TTL,
        NxAction::CtClear => CT_CLEAR,
        NxAction::DecNshTtl => DEC_NSH_TTL,
        NxAction::RegMove { n_bits, src_offset, dst_offset, src, dst } => {
            [*n_bits, *src_offset, *dst_offset].iter().for_each(|n| w.u16(*n));
            id(w, src)?;
            id(w, dst)?;
            REG_MOVE
        }
        NxAction::RegLoad { dst, value } => {
            put_ofs_nbits(w, dst)?;
            short_id(w, &dst.field)?;
            w.u64(*value);
            REG_LOAD
        }
        NxAction::RegLoad2(field) => {
            encode_load2(w, version, field)?;
            REG_LOAD2
        }
        NxAction::Note(bytes) => {
            w.bytes(bytes);
            NOTE
        }
        NxAction::Multipath { fields, basis, algorithm, max_link, arg, dst } => {
            w.u16(*fields);
            w.u16(*basis);
            w.zeros(2);
            w.u16(*algorithm);
            w.u16(*max_link);
            w.u32(*arg);
            w.zeros(2);
            put_ofs_nbits(w, dst)?;
            short_id(w, &dst.field)?;
            MULTIPATH
        }
        NxAction::Bundle { algorithm, fields, basis, slave_type, members, dst } => {
            [*algorithm, *fields, *basis].iter().for_each(|n| w.u16(*n));
            w.u32(*slave_type);
            w.u16(count(members.len(), "n_slaves")?);
            match dst {
                Some(dst) => {
                    put_ofs_nbits(w, dst)?;
                    short_id(w, &dst.field)?;
                }
                None => w.zeros(6),
            }
            w.zeros(4);
            members.iter().try_for_each(|p| put_port(w, *p, "slave"))?;
            if dst.is_some() { BUNDLE_LOAD } else { BUNDLE }
        }
        NxAction::OutputReg { src, max_len, v2: false } => {
            put_ofs_nbits(w, src)?;
            short_id(w, &src.field)?;
            w.u16(*max_len);
            OUTPUT_REG
        }
        NxAction::OutputReg { src, max_len, v2: true } => {
            put_ofs_nbits(w, src)?;
            w.u16(*max_len);
            id(w, &src.field)?;
            OUTPUT_REG2
        }
        NxAction::DecTtlCntIds(ids) => {
            w.u16(count(ids.len(), "n_controllers")?);
            w.zeros(4);
            ids.iter().for_each(|n| w.u16(*n));
            DEC_TTL_CNT_IDS
        }
        NxAction::FinTimeout { idle, hard } => {
            w.u16(*idle);
            w.u16(*hard);
            FIN_TIMEOUT
        }
        NxAction::Controller { max_len, controller_id, reason } => {
            w.u16(*max_len);
            w.u16(*controller_id);
            w.u8(*reason);
            CONTROLLER
        }
        NxAction::Controller2 { .. } => {
            encode_controller2(w, nx)?;
            CONTROLLER2
        }
        NxAction::WriteMetadata { metadata, mask } => {
            w.zeros(6);
            w.u64(*metadata);
            w.u64(*mask);
            WRITE_METADATA
        }
        NxAction::PushMpls(ethertype) => {
            w.u16(*ethertype);
            PUSH_MPLS
        }
        NxAction::PopMpls(ethertype) => {
            w.u16(*ethertype);
            POP_MPLS
        }
        NxAction::SetMplsTtl(ttl) => {
            w.u8(*ttl);
            SET_MPLS_TTL
        }
        NxAction::SetMplsTc(tc) => {
            w.u8(*tc);
            SET_MPLS_TC
        }
        NxAction::SetMplsLabel(label) => {
            w.zeros(2);
            w.u32(*label);
            SET_MPLS_LABEL
        }
        NxAction::StackPush(s) | NxAction::StackPop(s) => {
            w.u16(s.offset);
            id(w, &s.field)?;
            w.u16(s.n_bits);
            if matches!(nx, NxAction::StackPush(_)) { STACK_PUSH } else { STACK_POP }
        }
        NxAction::Sample { probability, collector_set_id, obs_domain_id, obs_point_id, sampling_port, direction } => {
            w.u16(*probability);
            [*collector_set_id, *obs_domain_id, *obs_point_id].iter().for_each(|n| w.u32(*n));
            match (sampling_port, direction) {
                (None, None) => SAMPLE,
                (port, direction) => {
                    put_port(w, port.unwrap_or(crate::ids::PortNo::ANY), "sampling_port")?;
                    w.u8(direction.unwrap_or(0));
                    if direction.is_some() { SAMPLE3 } else { SAMPLE2 }
                }
            }
        }
        NxAction::Learn(learn) => encode_learn(w, version, learn)?,
        NxAction::Conjunction { clause, n_clauses, id } => {
            w.u8(*clause);
            w.u8(*n_clauses);
            w.u32(*id);
            CONJUNCTION
        }
        NxAction::Ct { flags, zone, recirc_table, alg, actions } => {
            w.u16(*flags);
            match zone {
                Ok(zone) => {
                    w.u32(0);
                    w.u16(*zone);
                }
                Err(src) => {
                    short_id(w, &src.field)?;
                    put_ofs_nbits(w, src)?;
                }
            }
            w.u8(recirc_table.0);
            w.zeros(3);
            w.u16(*alg);
            encode_nested(w, version, actions)?;
            CT
        }
        NxAction::Nat(nat) => {
            encode_nat(w, nat);
            NAT
        }
        NxAction::OutputTrunc { port, max_len } => {
            put_port(w, *port, "port")?;
            w.u32(*max_len);
            OUTPUT_TRUNC
        }
        NxAction::Clone(actions) => {
            w.zeros(6);
            encode_nested(w, version, actions)?;
            CLONE
        }
        NxAction::CheckPktLarger { pkt_len, dst } => {
            w.u16(*pkt_len);
            w.u16(dst.offset);
            id(w, &dst.field)?;
            CHECK_PKT_LARGER
        }
        NxAction::DeleteField(field) => {
            id(w, field)?;
            DELETE_FIELD
        }
        NxAction::Encap { hdr_size, packet_type, properties } => {
            w.u16(*hdr_size);
            w.u32(*packet_type);
            w.bytes(properties);
            ENCAP
        }
        NxAction::Decap { packet_type } => {
            w.zeros(2);
            w.u32(*packet_type);
            DECAP
        }
        NxAction::Unknown { subtype, data } => {
            w.bytes(data);
            *subtype
        }
    })
}

fn encode_nested(w: &mut Writer, version: Version, actions: &[Action]) -> Result<(), EncodeError> {
    w.nested(|w| action::encode_list(w, version, actions))
        .unwrap_or_else(|| Err(unsupported(version, "so many actions inside each other")))
}

fn count(n: usize, what: &'static str) -> Result<u16, EncodeError> {
    u16::try_from(n).map_err(|_| EncodeError::TooLong { what, len: n, max: 0xffff })
}

fn encode_load2(w: &mut Writer, version: Version, field: &MatchField) -> Result<(), EncodeError> {
    oxm::encode_field(w, version, field)
}

fn encode_nat(w: &mut Writer, nat: &Nat) {
    let present = [
        nat.ipv4_min.is_some(),
        nat.ipv4_max.is_some(),
        nat.ipv6_min.is_some(),
        nat.ipv6_max.is_some(),
        nat.proto_min.is_some(),
        nat.proto_max.is_some(),
    ];
    w.zeros(2);
    w.u16(nat.flags);
    w.u16(present.iter().enumerate().fold(0, |bits, (i, is)| bits | u16::from(*is) << i));
    [nat.ipv4_min, nat.ipv4_max].iter().flatten().for_each(|n| w.u32(*n));
    [nat.ipv6_min, nat.ipv6_max].iter().flatten().for_each(|n| w.uint(*n, 16));
    [nat.proto_min, nat.proto_max].iter().flatten().for_each(|n| w.u16(*n));
}

fn encode_controller2(w: &mut Writer, nx: &NxAction) -> Result<(), EncodeError> {
    let NxAction::Controller2 { max_len, controller_id, reason, userdata, pause, meter } = nx else { return Ok(()) };
    w.zeros(6);
    // The length of a property of 16 bits counts its padding, that of one of 8 bits doesn't.
    let padded = |n: u16| (u32::from(n) << 16).to_be_bytes();
    let mut prop = |ty, bytes: &[u8]| {
        property::encode(w, ty, |w| {
            w.bytes(bytes);
            Ok(())
        })
    };
    if let Some(n) = max_len {
        prop(PROP_MAX_LEN, &padded(*n))?;
    }
    if let Some(n) = controller_id {
        prop(PROP_CONTROLLER_ID, &padded(*n))?;
    }
    if let Some(n) = reason {
        prop(PROP_REASON, &[*n])?;
    }
    if let Some(data) = userdata {
        prop(PROP_USERDATA, data)?;
    }
    if *pause {
        prop(PROP_PAUSE, &[])?;
    }
    if let Some(meter) = meter {
        prop(PROP_METER, &meter.0.to_be_bytes())?;
    }
    Ok(())
}

fn encode_learn(w: &mut Writer, version: Version, learn: &Learn) -> Result<u16, EncodeError> {
    [learn.idle_timeout, learn.hard_timeout, learn.priority].iter().for_each(|n| w.u16(*n));
    w.u64(learn.cookie.0);
    w.u16(learn.flags);
    w.u8(learn.table.0);
    w.u8(0);
    w.u16(learn.fin_idle_timeout);
    w.u16(learn.fin_hard_timeout);
    let mut subtype = LEARN;
    if let Some((n, dst)) = &learn.limit {
        subtype = LEARN2;
        w.u32(*n);
        let flagged = learn.flags & Learn::WRITE_RESULT != 0;
        require(dst.is_some() == flagged, version, "a learn result without its flag")?;
        match dst {
            Some(dst) => {
                require(dst.n_bits == 1, version, "a learn result of more than one bit")?;
                w.u16(dst.offset);
                w.zeros(2);
                oxm::encode_id(w, version, &dst.field)?;
            }
            None => w.zeros(4),
        }
    }
    nicira_learn::encode_specs(w, version, &learn.specs)?;
    Ok(subtype)
}
