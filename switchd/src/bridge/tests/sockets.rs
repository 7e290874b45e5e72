//! The bridge's thread: with sockets, and round by round.

use super::{add, by_a_task, parts};
use crate::agent::{Agent, AgentConfig};
use crate::bridge::hub::Hub;
use crate::bridge::{Event, Runner, channel};
use crate::management::{Call, Request};
use crate::session::tests::fake::split;
use crate::session::{Received, Settings};
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::Version;
use ofproto::flow::FlowModFlags;
use ofproto::ids::{Dpid, Xid};
use ofproto::message::Message;
use ofproto::wire::{self, Header};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const V13: Version = Version::V13;

fn read_message(stream: &mut std::net::TcpStream) -> (Header, Message) {
    let mut bytes = vec![0; 8];
    stream.read_exact(&mut bytes).unwrap();
    let len = usize::from(Header::decode(&bytes).unwrap().length);
    bytes.resize(len, 0);
    stream.read_exact(&mut bytes[8..]).unwrap();
    wire::decode(&bytes).unwrap()
}

fn write_message(stream: &mut std::net::TcpStream, xid: u32, message: &Message) {
    stream.write_all(&wire::encode(V13, Xid(xid), message).unwrap()).unwrap();
}

#[test]
fn the_whole_way_over_sockets() {
    let (switch, _, mut worker) = parts();
    let (handle, inbox) = channel().unwrap();
    let epoch = std::time::Instant::now();
    let clock = move || Time(epoch.elapsed().as_nanos() as u64);
    let runner = Runner::new(Hub::new(switch, Settings::default()), inbox, clock, || Duration::ZERO);
    // The worker's thread comes round until the test is over.
    let over = Arc::new(AtomicU64::new(0));
    let until = Arc::clone(&over);
    let working = std::thread::spawn(move || {
        while until.load(Ordering::Relaxed) == 0 {
            let _ = worker.adopt();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let thread = std::thread::spawn(move || runner.run());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // A controller that the switch dials, and a listener that is dialled.
    let controller = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = AgentConfig {
        controllers: vec![format!("tcp:{}", controller.local_addr().unwrap()).parse().unwrap()],
        listen: vec![
            "ptcp:6653:127.0.0.1"
                .parse()
                .map(|_: crate::config::Listen| crate::config::Listen::Tcp("127.0.0.1:0".parse().unwrap()))
                .unwrap(),
        ],
        ..AgentConfig::default()
    };
    let agent = runtime.block_on(Agent::start(&config, &handle)).unwrap();

    let (mut s, _) = controller.accept().unwrap();
    assert!(matches!(read_message(&mut s).1, Message::Hello(_)));
    write_message(&mut s, 1, &Message::Hello(Vec::new()));
    write_message(&mut s, 2, &Message::FeaturesRequest);
    let (header, reply) = read_message(&mut s);
    assert!(matches!(reply, Message::FeaturesReply(f) if f.dpid == Dpid(0xd1)));
    assert_eq!(header.xid, Xid(2));
    // A message in single bytes, and many in one piece.
    for byte in wire::encode(V13, Xid(3), &Message::EchoRequest(Bytes::from_static(b"x"))).unwrap() {
        s.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_message(&mut s).1, Message::EchoReply(Bytes::from_static(b"x")));
    let mut many = Vec::new();
    for n in 0..500 {
        many.extend(wire::encode(V13, Xid(n), &Message::FlowMod(add(1 + n % 8, FlowModFlags::empty()))).unwrap());
    }
    many.extend(wire::encode(V13, Xid(1000), &Message::BarrierRequest).unwrap());
    s.write_all(&many).unwrap();
    let (header, reply) = read_message(&mut s);
    assert_eq!((header.xid, reply), (Xid(1000), Message::BarrierReply));

    // Another comes to the listener; the first is unhurt by its nonsense.
    let at = agent.listening[0].strip_prefix("ptcp:").unwrap().split(':').next().unwrap().parse::<u16>().unwrap();
    let mut visitor = std::net::TcpStream::connect(("127.0.0.1", at)).unwrap();
    assert!(matches!(read_message(&mut visitor).1, Message::Hello(_)));
    visitor.write_all(&[4, 0, 0, 3, 0, 0, 0, 1]).unwrap();
    let mut rest = Vec::new();
    visitor.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty(), "it is told before it is cut off");
    write_message(&mut s, 9, &Message::EchoRequest(Bytes::new()));
    assert!(matches!(read_message(&mut s).1, Message::EchoReply(_)));

    let (reply, answer) = tokio::sync::oneshot::channel();
    handle.send_blocking(Event::Call(Call { request: Request::Connections, reply })).unwrap();
    let answer = answer.blocking_recv().unwrap().unwrap();
    assert_eq!(answer[0]["state"], "active");
    assert_eq!(answer[0]["counters"]["flow_mods"], 500);

    // The controller goes and comes back: the switch dials again.
    drop(s);
    let (mut s, _) = controller.accept().unwrap();
    assert!(matches!(read_message(&mut s).1, Message::Hello(_)));

    handle.send_blocking(Event::Stop).unwrap();
    thread.join().unwrap();
    over.store(1, Ordering::Relaxed);
    working.join().unwrap();
}

#[test]
fn nothing_passes_a_barrier_not_even_an_echo_request() {
    let (switch, _, mut worker) = parts();
    let _ = worker.adopt();
    let (handle, inbox) = channel().unwrap();
    let mut runner =
        Runner::new(Hub::new(switch, Settings::default()), inbox, || Time::from_secs(1), || Duration::ZERO);
    let (sender, outbox, opened) = by_a_task();
    handle.send_blocking(opened).unwrap();
    let say = |xid, message: Message| {
        let bytes = wire::encode(V13, Xid(xid), &message).unwrap();
        let header = Header::decode(&bytes).unwrap();
        sender.blocking_send(vec![Received::new(header, bytes.into())]).unwrap();
    };
    let heard = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut bytes = Vec::new();
        while outbox.queued() > 0 {
            let crate::agent::outbox::Work::Write(chunks) = runtime.block_on(outbox.take()) else { break };
            chunks.iter().for_each(|c| bytes.extend_from_slice(c));
            outbox.wrote(chunks.iter().map(Bytes::len).sum());
        }
        // What the ports do is told with xid 0.
        split(&bytes).iter().map(|(h, _)| h.xid.0).filter(|xid| *xid != 0).collect::<Vec<_>>()
    };
    say(1, Message::Hello(Vec::new()));
    say(2, Message::FlowMod(add(1, FlowModFlags::empty())));
    say(3, Message::BarrierRequest);
    say(4, Message::FeaturesRequest);
    say(5, Message::EchoRequest(Bytes::from_static(b"there?")));
    say(6, Message::GetConfigRequest);
    for _ in 0..4 {
        runner.round();
    }
    assert_eq!(heard(), [1], "our hello");
    let _ = worker.adopt();
    for _ in 0..4 {
        runner.round();
    }
    assert_eq!(heard(), [3, 4, 5, 6], "in their order");
}
