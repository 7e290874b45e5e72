//! What a controller can make one packet cost.

use super::*;

/// `OFPP_TABLE` out of a register: each time round is a level, not only a lookup, or the stack ends before the bounds do.
#[test]
fn a_packet_that_submits_itself_ends() {
    let mut s = TestSwitch::new(Version::V13);
    let reg = sub(F::Reg0, 0, 16);
    let again = vec![
        Action::Nicira(NxAction::RegLoad { dst: reg.clone(), value: 0xfff9 }),
        out(2),
        Action::Nicira(NxAction::OutputReg { src: reg, max_len: 0, v2: false }),
    ];
    s.apply(0, 1, Match::any(), again);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(c.drops, [DropReason::TooComplex]);
    assert!(c.sent.len() <= MAX_DEPTH as usize + 1, "{}", c.sent.len());
}

/// Choices cost what they look at, so that no list of actions makes one packet cost a second.
#[test]
fn choices_among_many_are_paid_for() {
    use ofproto::nicira::Subfield;
    let mut s = TestSwitch::new(Version::V13);
    let reg = || -> Subfield { sub(F::Reg0, 0, 16) };
    let multipath = NxAction::Multipath { fields: 1, basis: 0, algorithm: 2, max_link: u16::MAX, arg: 0, dst: reg() };
    s.apply(0, 1, Match::any(), vec![Action::Nicira(multipath); 1000]);
    assert_eq!(s.run(1, &frames::tcp(), T).drops, [DropReason::TooComplex]);

    // A group of dead buckets, and one bucket that watches it.
    let dead = Bucket { watch_port: PortNo(99), ..Bucket::new(vec![out(2)]) };
    let many = GroupMod { buckets: vec![dead; crate::group::MAX_BUCKETS], ..group(1, GroupType::FastFailover, vec![]) };
    s.group(&many).unwrap();
    let watching = Bucket { watch_group: GroupId(1), ..Bucket::new(vec![out(2)]) };
    s.group(&GroupMod { buckets: vec![watching], ..group(2, GroupType::FastFailover, vec![]) }).unwrap();
    for id in [1, 2] {
        s.apply(0, 1 + id as u16, Match::any(), vec![Action::Group(GroupId(id)); 1000]);
        let drops = s.run(1, &frames::tcp(), T).drops;
        assert_eq!(drops.last(), Some(&DropReason::TooComplex));
        assert!(drops.len() < 300, "{}", drops.len());
    }
    // The largest group works as a whole.
    let mut last = many;
    (last.command, last.buckets[crate::group::MAX_BUCKETS - 1].watch_port) = (GroupModCommand::Modify, PortNo(3));
    s.group(&last).unwrap();
    s.apply(0, 9, Match::any(), vec![Action::Group(GroupId(1)), Action::Group(GroupId(2))]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [2, 2]);
}
