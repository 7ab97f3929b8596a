//! Waiting for whichever of two futures is ready first.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// The output of the future that was ready first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First<A, B> {
    /// The first argument's.
    One(A),
    /// The second argument's.
    Other(B),
}

/// Waits for either future and drops the other.
pub(super) async fn first<A, B>(
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> First<A, B> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(move |context| {
        if let Poll::Ready(answer) = one.as_mut().poll(context) {
            return Poll::Ready(First::One(answer));
        }
        other.as_mut().poll(context).map(First::Other)
    })
    .await
}
