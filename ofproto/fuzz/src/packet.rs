//! A frame and a list of edits: after each, key and layout are what a parse of the bytes says, the
//! frame stays within its bound, and a super-frame is cut into what its size says or refused.

use datapath::frame::{Frame, Gso, GsoKind, MAX_FRAME, PartialChecksum};
use datapath::packet::Packet;
use datapath::parse::parse;
use datapath::segment::{MAX_SEGMENTS, is_offloadable, segment};
use ofproto::field::{FIELDS, FieldId};

/// Input: a byte for the offload work, one for the number of edits, ten bytes an edit, the frame.
pub fn run(data: &[u8]) {
    let &[work, edits, ref rest @ ..] = data else { return };
    let Some((edits, bytes)) = rest.split_at_checked(usize::from(edits % 32) * 10) else { return };
    if bytes.len() > MAX_FRAME {
        return;
    }
    let mut frame = Frame::from_bytes(bytes);
    let word = |at: usize| bytes.get(at..at + 2).map_or(0, |w| u16::from_be_bytes([w[0], w[1]]));
    if work & 1 != 0 {
        frame.offload.checksum = Some(PartialChecksum { start: u16::from(work >> 1), offset: word(0) & 31 });
    }
    if work & 6 != 0 {
        let kind = [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4][usize::from(work >> 1 & 3) - 1];
        frame.offload.gso = Some(Gso { kind, size: word(2), ecn: work & 8 != 0 });
    }
    let mut packet = Packet::new(frame);
    coherent(&packet, "parse");
    for edit in edits.chunks_exact(10) {
        let what = apply(&mut packet, edit);
        coherent(&packet, what);
        assert!(packet.frame.len() <= MAX_FRAME.max(bytes.len()), "{what} made the frame too long");
    }
    let copy = packet.duplicate();
    assert_eq!(copy.frame.bytes(), packet.frame.bytes());
    let _ = is_offloadable(&packet.frame);
    let mut count = 0;
    let cut = segment(&packet.frame, |part| {
        count += 1;
        assert!(part.len() <= packet.frame.len());
        coherent(&Packet::new(part), "segment");
    });
    match cut {
        Ok(n) => assert!(n == count && n <= MAX_SEGMENTS),
        Err(_) => assert_eq!(count, 0, "emitted and refused"),
    }
    packet.finish_checksum();
    coherent(&packet, "finish_checksum");
}

fn coherent(packet: &Packet, what: &str) {
    let mut key = packet.key;
    let layout = parse(packet.frame.bytes(), &mut key);
    assert_eq!(layout, packet.layout, "layout after {what} of {:02x?}", packet.frame.bytes());
    assert_eq!(key, packet.key, "key after {what} of {:02x?}", packet.frame.bytes());
}

fn apply(p: &mut Packet, edit: &[u8]) -> &'static str {
    let &[op, field, a, b, c, d, e, f, g, h] = edit else { return "nothing" };
    let short = u16::from_be_bytes([a, b]);
    let low = u16::from_be_bytes([g, h]);
    let field_of = |n: u8| FIELDS[usize::from(n) % FIELDS.len()].id;
    let id: FieldId = field_of(field);
    match op % 17 {
        0 | 1 => {
            let value = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
            p.set_field(id, value | value << 64, u128::MAX);
            "set_field"
        }
        2 => {
            let value = u128::from(u32::from_be_bytes([a, b, c, d]));
            let mask = u128::from(u32::from_be_bytes([e, f, g, h]));
            p.set_field(id, value | value << 96, mask | mask << 96);
            "a masked set_field"
        }
        3 => {
            p.push_vlan(if a & 1 == 0 { 0x8100 } else { 0x88a8 });
            "push_vlan"
        }
        4 => {
            p.pop_vlan();
            "pop_vlan"
        }
        5 => {
            p.set_vlan_vid(short);
            "set_vlan_vid"
        }
        6 => {
            p.set_vlan_pcp(a);
            "set_vlan_pcp"
        }
        7 => {
            p.push_mpls(if a & 1 == 0 { 0x8847 } else { 0x8848 });
            "push_mpls"
        }
        8 => {
            p.pop_mpls([0x0800, 0x86dd, 0x8847, 0x0806, short][usize::from(c) % 5]);
            "pop_mpls"
        }
        9 => {
            p.push_pbb(0x88e7);
            "push_pbb"
        }
        10 => {
            p.pop_pbb();
            "pop_pbb"
        }
        11 => {
            p.set_mpls_ttl(a);
            p.set_nw_ttl(b);
            "a TTL's set"
        }
        12 => {
            let before = p.frame.bytes().to_vec();
            if p.dec_nw_ttl().is_err() {
                assert_eq!(p.frame.bytes(), before);
            }
            "dec_nw_ttl"
        }
        13 => {
            let before = p.frame.bytes().to_vec();
            if p.dec_mpls_ttl().is_err() {
                assert_eq!(p.frame.bytes(), before);
            }
            "dec_mpls_ttl"
        }
        14 => {
            if a & 1 == 0 {
                p.copy_ttl_out();
            } else {
                p.copy_ttl_in();
            }
            "a TTL's copy"
        }
        15 => {
            p.set_tp_src(short);
            p.set_tp_dst(low);
            "1.0's port"
        }
        _ => {
            p.copy_field(id, short & 0x1ff, field_of(c), low & 0x1ff, u16::from(d));
            "copy_field"
        }
    }
}
