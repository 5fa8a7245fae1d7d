#![no_main]
libfuzzer_sys::fuzz_target!(init: rag_fuzz::init(), |data: &[u8]| rag_fuzz::run(rag_core::testing::fuzz::lightgbm, data));
