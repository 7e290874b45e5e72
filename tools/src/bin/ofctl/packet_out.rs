//! `packet-out`

use crate::Misuse;
use crate::apply::apply;
use crate::arguments::InBundle;
use crate::cli::Options;
use crate::target::Target;
use crate::text_input::Given;
use ofproto::message::Message;
use ofproto::text::parse_packet_out;
use std::process::ExitCode;

/// The texts of packet-outs, one a packet: as they are, or put together of their parts.
fn texts(words: &[String], actions: Option<&str>, in_port: &str) -> Result<Vec<String>, Misuse> {
    let misuse = |text: &str| Err(Misuse(text.into()));
    let whole = |in_port: &str, actions: &str, packet: &String| {
        let digits: String = packet.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
        format!("in_port={in_port},packet={digits},actions={actions}")
    };
    match (words, actions) {
        ([packet], None) if packet.contains('=') => Ok(vec![packet.clone()]),
        ([packet], Some(_)) if packet.contains('=') => {
            misuse("the packet-out has its actions in it; --actions is for a frame given alone")
        }
        ([packet], Some(actions)) => Ok(vec![whole(in_port, actions, packet)]),
        ([_], None) => misuse("a frame given alone needs --actions"),
        ([in_port, actions, packets @ ..], None) if !packets.is_empty() => {
            Ok(packets.iter().map(|packet| whole(in_port, actions, packet)).collect())
        }
        _ => misuse("expected in_port=…,packet=HEX,actions=…, or IN_PORT ACTIONS HEX…, or HEX with --actions"),
    }
}

/// `packet-out`
pub fn packet_out(
    o: &Options,
    target: &Target,
    words: &[String],
    actions: Option<&str>,
    in_port: &str,
) -> anyhow::Result<ExitCode> {
    let texts: Vec<Given> =
        texts(words, actions, in_port)?.into_iter().map(|text| Given { place: None, text }).collect();
    apply(o, target, &texts, "packet-out", InBundle { wanted: false }, |text, ctx| {
        parse_packet_out(text, ctx).map(Message::PacketOut)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_say_a_packet() {
        let read = |words: &[&str], actions| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            texts(&words, actions, "7").map_err(|e| e.to_string())
        };
        let whole = "in_port=1,packet=00,actions=output:2";
        assert_eq!(read(&[whole], None), Ok(vec![whole.into()]));
        assert_eq!(read(&["00:01 02"], Some("flood")), Ok(vec!["in_port=7,packet=000102,actions=flood".into()]));
        assert_eq!(
            read(&["3", "output:2,output:4", "00", "01"], None),
            Ok(["00", "01"].map(|p| format!("in_port=3,packet={p},actions=output:2,output:4")).into())
        );
        assert!(read(&[whole], Some("flood")).is_err());
        assert!(read(&["00"], None).is_err());
        assert!(read(&["1", "flood"], None).is_err());
        assert!(read(&["1", "flood", "00"], Some("drop")).is_err());
    }
}
