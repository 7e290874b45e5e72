//! See `fuzz::management`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::management::run(data));
