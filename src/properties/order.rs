//! Any bytes are an order that is the same when it is written and read again, or an error.

use crate::keeper::order::Order;

/// Any bytes are an order that is the same when it is written and read again, or an error.
pub fn order(data: &[u8]) {
    if let Ok(order) = Order::decode(data) {
        assert_eq!(Order::decode(&order.encode()).ok(), Some(order));
    }
}
