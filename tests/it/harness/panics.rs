//! A panic in a task of the gateway looks like a connection that ended. Here it does not go unnoticed.

use std::{cell::Cell, panic, sync::Once};

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the panics of this thread, on which a test, its gateway and its cloud all run.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}

/// Fails if there were any.
pub(crate) fn assert_none() {
    assert_eq!(PANICS.get(), 0, "something panicked; see above");
}
