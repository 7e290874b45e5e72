use super::*;
#[test]
fn short_frames_have_nothing() {
    for n in 0..14 {
        let mut key = FlowKey::default();
        let layout = parse(&vec![0xff; n], &mut key);
        assert_eq!(key, FlowKey::default());
        assert_eq!(layout, Layout { end: n as u32, declared_end: n as u32, ..Layout::default() });
    }
}
