//! Any bytes are an order that is the same when it is written and read again, or an error.
#![no_main]

#[expect(
    dead_code,
    reason = "jobctl has no library: its rooms are compiled in, and only a parser is asked"
)]
#[path = "../../src/core/mod.rs"]
mod core;
#[expect(
    dead_code,
    unused_imports,
    reason = "jobctl has no library: its rooms are compiled in, and only a parser is asked"
)]
#[path = "../../src/keeper/mod.rs"]
mod keeper;
#[expect(
    dead_code,
    unused_imports,
    reason = "jobctl has no library: its rooms are compiled in, and only a parser is asked"
)]
#[path = "../../src/os/mod.rs"]
mod os;

use crate::keeper::order::Order;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(order) = Order::decode(data) {
        assert_eq!(Order::decode(&order.encode()), Ok(order));
    }
});
