//! See `fuzz::framer`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::framer::run(data));
