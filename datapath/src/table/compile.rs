//! A match becomes a value and a mask over the flow key, checked on the way.
//!
//! What a version means beyond its fields is put into the key here: 1.1 and later want the L4 header
//! in the frame when an L4 field is matched (later fragments don't match), 1.0 sees ports 0 there;
//! 1.0's exact match beats every priority.
//!
//! Matches that come one after the other often have the same fields under the same masks, or one of some hundred such
//! sets: a [`Compiler`] remembers what follows from those, and looks at the values alone.

use crate::classifier::{Mask, Shape, ShapeField, known_bits};
use crate::key::{FlowKey, Slot, VLAN_PRESENT, flag, slot};
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::field::{Code, FieldId, Prereq};
use ofproto::matching::{Match, MatchField};
use std::sync::Arc;

/// A checked match.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) value: FlowKey,
    pub(crate) shape: Arc<Shape>,
    /// 1.0's match without wildcards.
    pub(crate) exact10: bool,
}

/// What a checked match is besides its value.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) shape: Arc<Shape>,
    /// 1.0's match without wildcards.
    pub(crate) exact10: bool,
    /// The shape is the one copy of it (see [`Compiler::share`]).
    pub(crate) shared: bool,
}

impl Form {
    /// The effective priority of an entry that a request of this version names by such a match and this priority.
    pub(crate) fn rank(&self, version: Version, priority: u16) -> u32 {
        if version == Version::V10 && self.exact10 { 0x1_0000 } else { u32::from(priority) }
    }
}

impl Compiled {
    /// The mask, what the version added included.
    pub(crate) fn mask(&self) -> FlowKey {
        self.shape.mask.key()
    }
}

/// A field of a [`Template`].
#[derive(Debug)]
struct Place {
    id: FieldId,
    mask: Option<u128>,
    code: Option<Code>,
    slot: Slot,
    /// The bits that a value may have, and those of them that the key shows.
    bits: u128,
    seen: u128,
    /// The value, of a field by which others are allowed or mean something.
    fixed: Option<u128>,
}

/// What all matches have in common that have these fields, masks and [fixed](is_fixed) values.
#[derive(Debug)]
struct Template {
    version: Version,
    places: Vec<Place>,
    /// What the version adds to the value.
    added: u64,
    shape: Arc<Shape>,
    /// It is the one copy.
    shared: bool,
}

/// Whether what a match may hold besides, or means, depends on this field's value.
fn is_fixed(id: FieldId) -> bool {
    use FieldId as F;
    matches!(id, F::EthType | F::IpProto | F::VlanVid | F::VlanTci | F::Icmpv6Type | F::PacketType)
}

impl Template {
    /// Of a match that was found good; `None` if more than that depends on its values.
    fn of(m: &Match, version: Version, shape: &Arc<Shape>) -> Option<Self> {
        // The fixed matches of 1.0 and 1.1 have rules of their own.
        if version <= Version::V11 {
            return None;
        }
        let mut taken = FlowKey::default();
        let mut added = 0;
        let mut places = Vec::with_capacity(m.fields.len());
        for f in &m.fields {
            let slot = slot(f.id)?;
            let bits = f.mask.unwrap_or(f.id.info().all_ones());
            let seen = bits & known_bits(f.id);
            if taken.read(slot) != 0 {
                // Two fields in one place may contradict each other.
                return None;
            }
            taken.write(slot, f.id.info().all_ones());
            if is_l4(f.id) && seen != 0 {
                added = flag::L4_PRESENT << 32;
            }
            let fixed = is_fixed(f.id).then_some(f.value);
            places.push(Place { id: f.id, mask: f.mask, code: f.code, slot, bits, seen, fixed });
        }
        Some(Self { version, places, added, shape: Arc::clone(shape), shared: false })
    }

    /// Writes the value of a match that has just these fields into one that is zero yet; false for another match,
    /// of which a part may have been written.
    fn fill(&self, value: &mut FlowKey, m: &Match, version: Version) -> bool {
        if version != self.version || m.fields.len() != self.places.len() || !m.unknown.is_empty() {
            return false;
        }
        for (f, p) in m.fields.iter().zip(&self.places) {
            let same = f.id == p.id && f.mask == p.mask && f.code == p.code;
            if !same || p.fixed.is_some_and(|v| v != f.value) || f.value & !p.bits != 0 {
                return false;
            }
            value.write(p.slot, f.value & p.seen);
        }
        value.0[crate::key::word::L4] |= self.added;
        true
    }
}

/// Templates kept, by a hash of what matches have in common.
const TEMPLATES: usize = 512;

/// Under which number a match's template is kept.
fn place_of(m: &Match, version: Version) -> usize {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |h: u64, x: u64| (h ^ x).wrapping_mul(K).rotate_left(29);
    let fold = |x: u128| (x as u64).wrapping_add(((x >> 64) as u64).wrapping_mul(K));
    let h = m.fields.iter().fold(version as u64, |h, f| {
        let fixed = if is_fixed(f.id) { fold(f.value) } else { 0 };
        mix(mix(h, f.id as u64 ^ fixed << 8), f.mask.map_or(0, fold))
    });
    (h.wrapping_mul(K) >> 32) as usize % TEMPLATES
}

/// Compiles matches, those that resemble earlier ones faster.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    known: Vec<Option<Box<Template>>>,
    /// The place of the latest one.
    last: usize,
}

impl Compiler {
    fn template(&self, at: usize) -> Option<&Template> {
        self.known.get(at)?.as_deref()
    }

    /// As [`compile`], with the value written to `value`, where it stays: it is too large to be handed from result to
    /// result.
    pub(crate) fn compile(&mut self, value: &mut FlowKey, m: &Match, version: Version) -> Result<Form, OfError> {
        let mut with = |t: &Template| {
            *value = FlowKey::default();
            t.fill(value, m, version).then(|| Form { shape: Arc::clone(&t.shape), exact10: false, shared: t.shared })
        };
        if let Some(form) = self.template(self.last).and_then(&mut with) {
            return Ok(form);
        }
        let at = place_of(m, version);
        self.last = at;
        if let Some(form) = self.template(at).and_then(&mut with) {
            return Ok(form);
        }
        let compiled = compile(m, version)?;
        *value = compiled.value;
        if self.known.is_empty() {
            self.known.resize_with(TEMPLATES, || None);
        }
        self.known[at] = Template::of(m, version, &compiled.shape).map(Box::new);
        Ok(Form { shape: compiled.shape, exact10: compiled.exact10, shared: false })
    }

    /// The one copy of the last match's shape is `shared`. That must remain the one until [`forget`](Self::forget).
    pub(crate) fn share(&mut self, form: &Form, shared: &Arc<Shape>) {
        if let Some(Some(last)) = self.known.get_mut(self.last)
            && Arc::ptr_eq(&last.shape, &form.shape)
        {
            last.shape = Arc::clone(shared);
            last.shared = true;
        }
    }

    /// Forgets all matches.
    pub(crate) fn forget(&mut self) {
        self.known = Vec::new();
    }
}

fn refuse(kind: ErrorKind, f: &MatchField, reason: &'static str) -> OfError {
    OfError::new(kind, f.id.info().name, reason)
}

/// Whether `prereq` holds given the fields before.
fn satisfied(prereq: Prereq, before: &[MatchField]) -> bool {
    let exact =
        |id: FieldId| before.iter().find(|f| f.id == id && f.effective_mask() == id.info().all_ones()).map(|f| f.value);
    // 1.5: a packet type of the Ethertype namespace says what eth_type would.
    let packet_type =
        before.iter().find(|f| f.id == FieldId::PacketType && f.value >> 16 == 1).map(|f| f.value & 0xffff);
    let eth_type = exact(FieldId::EthType).or(packet_type);
    let proto = exact(FieldId::IpProto);
    let icmpv6 = || eth_type == Some(0x86dd) && proto == Some(58);
    let nd = exact(FieldId::Icmpv6Type);
    match prereq {
        Prereq::None => true,
        Prereq::InPort => exact(FieldId::InPort).is_some(),
        Prereq::Vlan => before.iter().any(|f| match f.id {
            FieldId::VlanVid | FieldId::VlanTci => f.value & f.effective_mask() & u128::from(VLAN_PRESENT) != 0,
            _ => false,
        }),
        Prereq::Ip => matches!(eth_type, Some(0x0800 | 0x86dd)),
        Prereq::Ipv4 => eth_type == Some(0x0800),
        Prereq::Ipv6 => eth_type == Some(0x86dd),
        Prereq::Arp => matches!(eth_type, Some(0x0806 | 0x8035)),
        Prereq::Mpls => matches!(eth_type, Some(0x8847 | 0x8848)),
        Prereq::Pbb => eth_type == Some(0x88e7),
        Prereq::Nsh => eth_type == Some(0x894f),
        Prereq::Tcp => matches!(eth_type, Some(0x0800 | 0x86dd)) && proto == Some(6),
        Prereq::Udp => matches!(eth_type, Some(0x0800 | 0x86dd)) && proto == Some(17),
        Prereq::Sctp => matches!(eth_type, Some(0x0800 | 0x86dd)) && proto == Some(132),
        Prereq::Icmpv4 => eth_type == Some(0x0800) && proto == Some(1),
        Prereq::Icmpv6 => icmpv6(),
        Prereq::Nd => icmpv6() && matches!(nd, Some(135 | 136)),
        Prereq::NdSol => icmpv6() && nd == Some(135),
        Prereq::NdAdv => icmpv6() && nd == Some(136),
    }
}

/// Whether the field is read from the L4 header.
fn is_l4(id: FieldId) -> bool {
    use FieldId as F;
    matches!(
        id,
        F::TcpSrc
            | F::TcpDst
            | F::UdpSrc
            | F::UdpDst
            | F::SctpSrc
            | F::SctpDst
            | F::TcpFlags
            | F::Icmpv4Type
            | F::Icmpv4Code
            | F::Icmpv6Type
            | F::Icmpv6Code
            | F::Ipv6NdTarget
            | F::Ipv6NdSll
            | F::Ipv6NdTll
    )
}

/// Checks and compiles a match of `version`.
///
/// # Errors
/// `OFPBMC_*` as OpenFlow 1.3.5 §7.2.3 says: `BAD_FIELD` for a field this switch doesn't match on,
/// `DUP_FIELD`, `BAD_PREREQ`, `BAD_VALUE`, `BAD_MASK`, `BAD_WILDCARDS` (a value bit where the mask has none).
pub(crate) fn compile(m: &Match, version: Version) -> Result<Compiled, OfError> {
    use ErrorKind as E;
    if let Some((_, unknown)) = m.unknown.first() {
        return Err(OfError::new(
            E::BadMatchBadField,
            "oxm_field",
            format!("class {:#06x} field {} is not supported", unknown.class, unknown.field),
        ));
    }
    let mut value = FlowKey::default();
    let mut mask = FlowKey::default();
    let mut fields = Vec::with_capacity(m.fields.len());
    let fixed = version <= Version::V11;
    for (i, f) in m.fields.iter().enumerate() {
        let info = f.id.info();
        let Some(s) = slot(f.id) else {
            return Err(refuse(E::BadMatchBadField, f, "this switch does not match on it"));
        };
        let all = info.all_ones();
        if m.fields[..i].iter().any(|g| g.id == f.id) {
            return Err(refuse(E::BadMatchDupField, f, "given twice"));
        }
        let lone_pcp = fixed && f.id == FieldId::VlanPcp && m.get(FieldId::VlanVid).is_none();
        if !lone_pcp && !satisfied(info.prereq, &m.fields[..i]) {
            // The fixed match of 1.0 and 1.1 carries fields that its protocol doesn't have: no meaning.
            if fixed && f.code.is_none() {
                continue;
            }
            return Err(refuse(E::BadMatchBadPrereq, f, "what it needs is not matched before it"));
        }
        let mut bits = f.mask.unwrap_or(all);
        if f.value & !all != 0 || bits & !all != 0 {
            return Err(refuse(E::BadMatchBadValue, f, "wider than the field"));
        }
        let mut want = f.value;
        if want & !bits != 0 {
            if !fixed {
                return Err(refuse(E::BadMatchBadWildcards, f, "value bits are set where the mask has none"));
            }
            want &= bits;
        }
        if bits != all && bits != 0 && !info.maskable && f.id != FieldId::IpTos {
            return Err(refuse(E::BadMatchBadMask, f, "cannot be masked"));
        }
        if f.id == FieldId::VlanVid {
            let present = u128::from(VLAN_PRESENT);
            if bits & present != 0 && want & present == 0 {
                if want != 0 {
                    return Err(refuse(E::BadMatchBadValue, f, "without OFPVID_PRESENT no packet has this VLAN id"));
                }
                // Untagged. The present bit says it all; one form, so that both spellings are one identity.
                bits = present;
            }
        }
        if f.id == FieldId::IpProto && fixed && m.get(FieldId::EthType).is_some_and(|t| t.value == 0x0806) {
            // 1.0, 1.1: the opcode of ARP stands in nw_proto; the slot is the same.
            value.set(FieldId::ArpOp, want);
            mask.set(FieldId::ArpOp, 0xffff);
        }
        let (old_value, old_mask) = (value.read(s), mask.read(s));
        let seen = bits & known_bits(f.id);
        if (old_value ^ want) & old_mask & seen != 0 {
            return Err(refuse(E::BadMatchBadValue, f, "contradicts a field that shares its bits"));
        }
        value.write(s, old_value | (want & seen));
        mask.write(s, old_mask | seen);
        if lone_pcp {
            let present = slot(FieldId::VlanVid).map_or(0, |v| value.read(v)) | u128::from(VLAN_PRESENT);
            value.set(FieldId::VlanVid, present);
            mask.set(FieldId::VlanVid, mask.get(FieldId::VlanVid) | u128::from(VLAN_PRESENT));
        }
        if is_l4(f.id) && seen != 0 {
            let word = crate::key::word::L4;
            if version >= Version::V11 {
                value.0[word] |= flag::L4_PRESENT << 32;
                mask.0[word] |= flag::L4_PRESENT << 32;
            } else if want & seen != 0 {
                // 1.0 sees ports 0 in every fragment, the first one included.
                mask.0[word] |= 1 << 32;
            }
        }
        fields.push(ShapeField { id: f.id, mask: f.mask, code: f.code });
    }
    let exact10 = version == Version::V10 && is_exact10(m);
    // What fields asked for themselves is not the version's.
    let asked = m.get(FieldId::IpFrag).map_or(0, |f| (f.effective_mask() & 3) as u64) << 32;
    let hidden = mask.0[crate::key::word::L4] & ((flag::L4_PRESENT | 1) << 32) & !asked;
    let shape = Arc::new(Shape { fields: fields.into(), mask: Mask::of(&mask), hidden });
    Ok(Compiled { value, shape, exact10 })
}

/// Whether a 1.0 match has no wildcards that mean anything (OpenFlow 1.0.0 §3.4).
fn is_exact10(m: &Match) -> bool {
    use FieldId as F;
    let exact = |id: F| m.get(id).filter(|f| f.effective_mask() == id.info().all_ones()).map(|f| f.value);
    let base = [F::InPort, F::EthSrc, F::EthDst].iter().all(|id| exact(*id).is_some());
    let Some(vid) = exact(F::VlanVid) else { return false };
    let Some(eth_type) = exact(F::EthType) else { return false };
    if !base || (vid != 0 && exact(F::VlanPcp).is_none()) {
        return false;
    }
    let both = |a, b| exact(a).is_some() && exact(b).is_some();
    match eth_type {
        0x0800 => {
            both(F::Ipv4Src, F::Ipv4Dst)
                && (exact(F::IpDscp).is_some() || exact(F::IpTos).is_some())
                && match exact(F::IpProto) {
                    Some(6) => both(F::TcpSrc, F::TcpDst),
                    Some(17) => both(F::UdpSrc, F::UdpDst),
                    Some(1) => both(F::Icmpv4Type, F::Icmpv4Code),
                    other => other.is_some(),
                }
        }
        0x86dd => {
            (exact(F::IpDscp).is_some() || exact(F::IpTos).is_some())
                && match exact(F::IpProto) {
                    Some(6) => both(F::TcpSrc, F::TcpDst),
                    Some(17) => both(F::UdpSrc, F::UdpDst),
                    Some(58) => both(F::Icmpv6Type, F::Icmpv6Code),
                    other => other.is_some(),
                }
        }
        0x0806 => {
            (both(F::ArpSpa, F::ArpTpa) || both(F::Ipv4Src, F::Ipv4Dst))
                && (exact(F::ArpOp).is_some() || exact(F::IpProto).is_some())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(m: &Match, v: Version) -> ErrorKind {
        compile(m, v).map(|_| ()).unwrap_err().kind
    }

    #[test]
    fn refuses_what_the_specification_refuses() {
        use ErrorKind as E;
        let v = Version::V13;
        assert_eq!(kind(&Match::any().with(FieldId::TcpDst, 80), v), E::BadMatchBadPrereq);
        let late = Match::any().with(FieldId::IpProto, 6).with(FieldId::EthType, 0x800);
        assert_eq!(kind(&late, v), E::BadMatchBadPrereq);
        let twice = Match::any().with(FieldId::EthType, 0x800).with(FieldId::EthType, 0x800);
        assert_eq!(kind(&twice, v), E::BadMatchDupField);
        assert_eq!(kind(&Match::any().with(FieldId::VlanVid, 5), v), E::BadMatchBadValue);
        assert_eq!(kind(&Match::any().with(FieldId::VlanVid, 0x2000), v), E::BadMatchBadValue);
        assert_eq!(kind(&Match::any().with_mask(FieldId::InPort, 1, 1), v), E::BadMatchBadMask);
        assert_eq!(kind(&Match::any().with_mask(FieldId::EthDst, 3, 1), v), E::BadMatchBadWildcards);
        assert_eq!(kind(&Match::any().with(FieldId::CtZone, 3), v), E::BadMatchBadField);
    }

    #[test]
    fn gives_the_match_back_as_it_came() {
        let m = Match::any()
            .with(FieldId::InPort, 7)
            .with_mask(FieldId::VlanVid, 0x1000, 0x1000)
            .with(FieldId::EthType, 0x800)
            .with(FieldId::IpProto, 6)
            .with_mask(FieldId::Ipv4Dst, 0x0a00_0000, 0xff00_0000)
            .with(FieldId::TcpDst, 80);
        let c = compile(&m, Version::V13).unwrap();
        assert_eq!(c.shape.matching(&c.value), m);
    }

    #[test]
    fn l4_fields_need_the_header_from_1_1_on() {
        let m = Match::any().with(FieldId::EthType, 0x800).with(FieldId::IpProto, 6).with(FieldId::TcpDst, 0);
        let mut fragment = FlowKey::default();
        fragment.set(FieldId::EthType, 0x800);
        fragment.set(FieldId::IpProto, 6);
        fragment.set(FieldId::IpFrag, 3);
        let c = compile(&m, Version::V13).unwrap();
        assert!(!fragment.matches(&c.value, &c.mask()));
        let c = compile(&m, Version::V10).unwrap();
        assert!(fragment.matches(&c.value, &c.mask()));
    }

    #[test]
    fn untagged_has_one_identity() {
        let a = compile(&Match::any().with(FieldId::VlanVid, 0), Version::V13).unwrap();
        let b = compile(&Match::any().with_mask(FieldId::VlanVid, 0, 0x1000), Version::V13).unwrap();
        assert_eq!((a.value, a.mask()), (b.value, b.mask()));
    }

    /// Matches drawn from few fields, masks and values, good and bad ones, in rows that resemble each other: each
    /// comes out of a compiler as it does alone.
    #[test]
    fn the_last_match_is_no_reason_to_err() {
        use FieldId as F;
        let mut x = 7u64;
        let mut random = move |n: u64| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 33) % n
        };
        let fields: [(F, &[u128]); 14] = [
            (F::InPort, &[1, 2, u128::MAX]),
            (F::EthType, &[0x800, 0x86dd, 0x806]),
            (F::VlanVid, &[0, 5, 0x1005, 0x1000]),
            (F::VlanPcp, &[3, 8]),
            (F::IpProto, &[6, 17, 58, 1]),
            (F::Ipv4Src, &[0x0a00_0001, 0x0a00_0000]),
            (F::Ipv6Dst, &[7, 1 << 127]),
            (F::IpFrag, &[1, 2, 0]),
            (F::TcpDst, &[80, 0, 0x1_0000]),
            (F::UdpSrc, &[53, 1]),
            (F::Icmpv6Type, &[135, 136, 1]),
            (F::Ipv6NdTarget, &[9]),
            (F::Reg0, &[1, 2]),
            (F::Xreg0, &[1 << 32, 2]),
        ];
        let mut compilers: Vec<(Version, Compiler)> =
            [Version::V10, Version::V11, Version::V12, Version::V13, Version::V15]
                .map(|v| (v, Compiler::default()))
                .into();
        let (mut taken, mut resembling) = (0, 0);
        for _ in 0..4000 {
            let mut m = Match::any();
            let good = |id: F| matches!(id, F::InPort | F::EthType | F::IpProto | F::Ipv4Src | F::TcpDst | F::Reg0);
            let mostly_good = random(4) != 0;
            for (id, values) in &fields {
                if random(3) == 0 || mostly_good && !good(*id) {
                    continue;
                }
                let value = if mostly_good { values[0] } else { values[random(values.len() as u64) as usize] };
                m = match random(if mostly_good { 20 } else { 5 }) {
                    0 => m.with_mask(*id, value, [0xff00, 0xffff_ff00, 0][random(3) as usize]),
                    _ => m.with(*id, value),
                };
                if random(20) == 0 {
                    m = m.with(*id, value);
                }
            }
            for _ in 0..6 {
                if random(2) == 0 && !m.fields.is_empty() {
                    let i = random(m.fields.len() as u64) as usize;
                    let id = m.fields[i].id;
                    let values = fields.iter().find(|f| f.0 == id).expect("one of them").1;
                    m.fields[i].value = values[random(values.len() as u64) as usize];
                }
                for (version, compiler) in &mut compilers {
                    let known = compiler.template(place_of(&m, *version));
                    resembling += usize::from(known.is_some_and(|t| t.fill(&mut FlowKey::default(), &m, *version)));
                    // What stood there before must not show.
                    let mut value = FlowKey([u64::MAX; crate::key::WORDS]);
                    let (got, want) = (compiler.compile(&mut value, &m, *version), compile(&m, *version));
                    match (got, want) {
                        (Ok(a), Ok(b)) => {
                            assert_eq!((value, &a.shape, a.exact10), (b.value, &b.shape, b.exact10), "{m:?}");
                            taken += 1;
                        }
                        (Err(a), Err(b)) => assert_eq!(a, b, "{m:?}"),
                        (a, b) => panic!("{a:?} but {b:?} of {m:?} in {version}"),
                    }
                }
            }
        }
        assert!(taken > 1000 && resembling > 500, "{taken} {resembling}");
    }
}
