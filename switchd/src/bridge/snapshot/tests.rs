//! What is written is taken up again, whole or not at all.

use super::*;
use crate::bridge::Instance;
use crate::bridge::saving::save;
use crate::bridge::tests::{Bench, add, group};
use crate::ports::PortEvent;
use crate::queues::Queue;
use crate::session::tests::fake::port;
use ofproto::action::Action;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::ids::PortNo;
use ofproto::ids::TableId;
use ofproto::instruction::Instruction;
use ofproto::meter::{Band, BandAction, MeterFlags};
use ofproto::port::PortConfig;
use ofproto::port::PortMod;
use ofproto::stats::FlowStatsRequest;
use ofproto::table::TableFeatureProp;

const NOW: Time = Time::from_secs(5);

fn filled() -> Bench {
    let mut b = Bench::of(1000);
    let c = b.connect(TERMS);
    let rate = Band { action: BandAction::Drop, rate: 1000, burst_size: 100 };
    let meter =
        MeterMod { command: MeterModCommand::Add, flags: MeterFlags::KBPS, meter: MeterId(3), bands: vec![rate] };
    b.say(c, TERMS, 1, &Message::MeterMod(meter));
    // Group 1 is made last and stands first.
    b.say(c, TERMS, 1, &group(9));
    let mut through = GroupMod {
        command: GroupModCommand::Add,
        ty: GroupType::Indirect,
        group: GroupId(1),
        command_bucket: BucketId::ALL,
        buckets: Vec::new(),
        properties: Vec::new(),
    };
    through.buckets = vec![Bucket { id: None, ..Bucket::new(vec![Action::Group(GroupId(9))]) }];
    b.say(c, TERMS, 2, &Message::GroupMod(through));
    for n in 0..300 {
        let mut flow = add(n, FlowModFlags::SEND_FLOW_REM | FlowModFlags::RESET_COUNTS);
        flow.table = TableId((n % 3) as u8);
        flow.priority = n as u16;
        flow.cookie = ofproto::ids::Cookie(u64::MAX - u64::from(n));
        flow.idle_timeout = n as u16 % 7;
        let actions = vec![Action::Meter(MeterId(3)), Action::Group(GroupId(1))];
        flow.instructions = vec![Instruction::ApplyActions(actions)];
        b.say(c, TERMS, n, &Message::FlowMod(flow));
    }
    // What the newest version's wire has no form for.
    let queue = Queue { id: ofproto::ids::QueueId(3), min: None, max: None, speed: 1 };
    b.hub.switch.port_event(b.now, PortEvent::Queues(PortNo(1), vec![queue]));
    let old = b.connect(Version::V10);
    let mut flow = add(77, FlowModFlags::empty());
    flow.instructions =
        vec![Instruction::ApplyActions(vec![Action::Enqueue { port: PortNo(1), queue: ofproto::ids::QueueId(3) }])];
    b.say(old, Version::V10, 1, &Message::FlowMod(flow));
    assert_eq!(b.hear(old), []);
    b.hub.session_mut(old).unwrap().end(false, "test");
    b.hub.closed(b.now, old);
    // Of the other controller's coming and going.
    b.hear(c);
    let config = TableConfig::EVICTION | TableConfig::VACANCY_EVENTS;
    let properties = vec![TableModProp::Eviction(2), TableModProp::Vacancy { down: 10, up: 20, vacancy: 0 }];
    b.say(c, TERMS, 1, &Message::TableMod(TableMod { table: TableId(1), config, properties }));
    let closed = PortMod {
        port_no: PortNo(2),
        hw_addr: port(2).hw_addr,
        config: PortConfig::NO_FWD,
        mask: PortConfig::NO_FWD,
        properties: Vec::new(),
    };
    b.say(c, TERMS, 1, &Message::PortMod(closed));
    let out = b.hear(c);
    assert!(matches!(out[..], [(_, Message::PortStatus(_))]), "{out:?}");
    b
}

fn lines(b: &mut Bench) -> Vec<Line> {
    let (mut lines, last) = around(&b.hub.switch).unwrap();
    let s = &mut b.hub.switch;
    let dump = s.control.flow_stats(&FlowStatsRequest::default(), TERMS).unwrap();
    loop {
        let (flows, ended) = s.control.next_flows(dump, 1000, NOW);
        lines.extend(flows.into_iter().map(Line::of_flow));
        if ended {
            break;
        }
    }
    lines.extend(last);
    lines
}

#[test]
fn what_was_there_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = filled();
    let before = lines(&mut b);
    let saved = save(&mut b.hub.switch, NOW, &path).unwrap();
    assert_eq!(saved, 1 + 2 * 2 + 301 + 1 + 1);
    // In words: the enqueue, a bucket without an id, the port.
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().filter(|l| l.starts_with("06")).count(), saved - 3, "{text}");
    let mut again = Bench::of(1000);
    again.hub.switch.port_event(NOW, PortEvent::Removed(PortNo(2)));
    assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(saved));
    // Ports come later than the state.
    again.hub.switch.port_event(NOW, PortEvent::Added(port(2)));
    assert_eq!(again.hub.switch.control.ports().get(PortNo(2)).unwrap().desc.config, PortConfig::NO_FWD);
    assert_eq!(lines(&mut again), before);
    assert_eq!(restore(&mut again.hub.switch, NOW, &dir.path().join("none")).unwrap(), None);
}

/// Tables as controllers of all versions can leave them.
fn tables(b: &mut Bench) {
    let c = b.connect(Version::V13);
    let mut set = b.hub.switch.control.table_features(Version::V13);
    // Out of the pipeline.
    set.retain(|f| f.table != TableId(3));
    let narrow = &mut set[1];
    narrow.name = "narrow".into();
    narrow.metadata_write = 0xff;
    narrow.properties.retain(|p| !matches!(p, TableFeatureProp::WriteActions { .. }));
    narrow.properties.push(TableFeatureProp::WriteActions { miss: false, ids: Vec::new() });
    b.hub.switch.control.set_table_features(Version::V13, &set, b.now).unwrap();
    let mut flow = add(5, FlowModFlags::empty());
    flow.table = TableId(1);
    b.say(c, Version::V13, 1, &Message::FlowMod(flow));
    let mut egress = b.hub.switch.control.table_features(Version::V15).remove(2);
    egress.command = 1;
    egress.features |= 16;
    egress.properties.clear();
    b.hub.switch.control.set_table_features(Version::V15, &[egress], b.now).unwrap();
    let old = b.connect(Version::V12);
    for (table, config) in [(0, TableConfig::MISS_CONTINUE), (1, TableConfig::MISS_DROP), (2, 0)] {
        let config = TableConfig::from_bits_retain(config);
        let m = TableMod { table: TableId(table), config, properties: Vec::new() };
        b.say(old, Version::V12, 1, &Message::TableMod(m));
    }
    assert_eq!(b.hear(c), []);
    assert_eq!(b.hear(old), []);
}

#[test]
fn tables_can_do_after_a_restart_what_they_could_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = Bench::of(1000);
    tables(&mut b);
    let before = lines(&mut b);
    save(&mut b.hub.switch, NOW, &path).unwrap();
    let mut again = Bench::of(1000);
    assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(before.len()));
    for version in [Version::V13, Version::V14, Version::V15] {
        let (old, new) = (&b.hub.switch.control, &again.hub.switch.control);
        assert_eq!(new.table_features(version), old.table_features(version));
    }
    let (old, new) = (&b.hub.switch.control, &again.hub.switch.control);
    assert_eq!(new.table_features(Version::V13).len(), 3);
    assert_eq!(new.miss_configs(), old.miss_configs());
    assert_eq!(new.miss_configs().len(), 3);
    assert_eq!(new.table_configs(), old.table_configs());
    assert_eq!(new.table_configs()[1].0, TableConfig::MISS_DROP);
    assert_eq!(lines(&mut again), before);
    // And they bind again.
    let c = again.connect(Version::V13);
    let mut flow = add(6, FlowModFlags::empty());
    flow.table = TableId(1);
    flow.instructions = vec![Instruction::WriteActions(vec![Action::output(PortNo(1))])];
    again.say(c, Version::V13, 1, &Message::FlowMod(flow));
    assert!(matches!(again.hear(c)[..], [(_, Message::Error(_))]));
    // What the switch can't do, a file can't make it do.
    let text = fs::read_to_string(&path).unwrap();
    let bad = r#"{"miss":{"table":254,"config":1}}"#;
    for (line, with) in [(r#"{"miss":{"table":0,"config":1}}"#, bad), ("0612", "0499")] {
        assert!(text.contains(line), "{text}");
        fs::write(&path, text.replacen(line, with, 1)).unwrap();
        let mut third = Bench::of(1000);
        assert!(restore(&mut third.hub.switch, NOW, &path).is_err());
        assert_eq!(lines(&mut third), []);
    }
}

#[test]
fn what_an_earlier_version_wrote_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = filled();
    let before = lines(&mut b);
    save(&mut b.hub.switch, NOW, &path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for (head, read) in [(2, true), (3, true), (1, false), (4, false)] {
        fs::write(&path, text.replacen(HEAD, &format!("{{\"switchd_state\":{head}}}"), 1)).unwrap();
        let mut again = Bench::of(1000);
        assert_eq!(restore(&mut again.hub.switch, NOW, &path).is_ok(), read, "{head}");
        // All but the port, which is there already.
        assert_eq!(lines(&mut again).len(), if read { before.len() - 1 } else { 0 });
    }
}

#[test]
fn half_a_snapshot_is_none_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = filled();
    save(&mut b.hub.switch, NOW, &path).unwrap();
    let whole = fs::read(&path).unwrap();
    let cuts = (0..whole.len()).step_by(997).chain(whole.len() - 30..whole.len());
    for cut in cuts {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut again = Bench::of(1000);
        assert!(restore(&mut again.hub.switch, NOW, &path).is_err(), "cut at {cut} of {}", whole.len());
        assert_eq!(lines(&mut again), []);
    }
    // A table too small for it.
    fs::write(&path, &whole).unwrap();
    let mut small = Bench::of(8);
    assert!(matches!(restore(&mut small.hub.switch, NOW, &path), Err(SnapshotError::Refused { .. })));
    assert_eq!(lines(&mut small), []);
}

#[test]
fn a_write_that_fails_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = filled();
    save(&mut b.hub.switch, NOW, &path).unwrap();
    let old = fs::read(&path).unwrap();
    // In the way of the file that is to be written first.
    fs::create_dir(dir.path().join("br0.new")).unwrap();
    assert!(save(&mut b.hub.switch, NOW, &path).is_err());
    assert_eq!(fs::read(&path).unwrap(), old);
}

#[test]
fn a_snapshot_under_way_shows_the_moment_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = filled();
    let before = lines(&mut b);
    let (tell, told) = std::sync::mpsc::channel();
    b.hub.switch.config.state = Some(path.clone());
    b.hub.switch.begin_save(Box::new(move |done| tell.send(done).unwrap()));
    // Another one meanwhile has to wait.
    let (busy, heard) = std::sync::mpsc::channel();
    b.hub.switch.begin_save(Box::new(move |done| busy.send(done).unwrap()));
    assert!(matches!(heard.recv().unwrap(), Err(SnapshotError::Busy)));
    // Everything is deleted before the first flow is taken.
    let c = b.connect(TERMS);
    let delete = FlowMod { command: ofproto::flow::FlowModCommand::Delete, table: TableId::ALL, ..FlowMod::default() };
    b.say(c, TERMS, 1, &Message::FlowMod(delete));
    for _ in 0..1_000_000 {
        b.turn();
        if let Ok(done) = told.try_recv() {
            assert_eq!(done.unwrap(), before.len());
            break;
        }
        std::thread::yield_now();
    }
    b.hear(c);
    assert_eq!(b.flows_count(c), 0);
    let mut again = Bench::of(1000);
    assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(before.len()));
    again.hub.switch.port_event(NOW, PortEvent::Removed(PortNo(2)));
    again.hub.switch.port_event(NOW, PortEvent::Added(port(2)));
    assert_eq!(lines(&mut again), before);
}

#[test]
fn an_end_in_the_middle_of_a_snapshot_writes_the_end_s() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = filled();
    b.hub.switch.config.state = Some(path.clone());
    let (tell, told) = std::sync::mpsc::channel();
    b.hub.switch.begin_save(Box::new(move |done| tell.send(done).unwrap()));
    b.hub.switch.ending(NOW);
    assert!(matches!(told.recv().unwrap(), Err(SnapshotError::GivenUp)));
    let mut again = Bench::of(1000);
    assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(308));
    assert!(!dir.path().join("br0.new").exists());
}

#[test]
fn what_leads_to_a_table_that_left_the_pipeline_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("br0.state");
    let mut b = Bench::of(1000);
    let c = b.connect(Version::V13);
    let mut leads = add(5, FlowModFlags::empty());
    leads.instructions = vec![Instruction::GotoTable(TableId(3))];
    b.say(c, Version::V13, 1, &Message::FlowMod(leads.clone()));
    assert_eq!(b.hear(c), []);
    let mut three = b.hub.switch.control.table_features(Version::V13);
    three.truncate(3);
    b.hub.switch.control.set_table_features(Version::V13, &three, b.now).unwrap();
    let before = lines(&mut b);
    save(&mut b.hub.switch, NOW, &path).unwrap();
    let mut again = Bench::of(1000);
    assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(before.len()));
    assert_eq!(lines(&mut again), before);
    assert_eq!(again.hub.switch.control.table_features(Version::V13).len(), 3);
    // But no other one comes.
    leads.priority = 6;
    let c = again.connect(Version::V13);
    again.say(c, Version::V13, 1, &Message::FlowMod(leads));
    assert!(matches!(again.hear(c)[..], [(_, Message::Error(_))]));
}
