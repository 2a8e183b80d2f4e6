//! Lists, page by page: the cursor is the key of the last item, so that a page stays right while others write.

use std::{fmt::Display, ops::ControlFlow};

use serde::{Serialize, de::DeserializeOwned};

use super::Error;
use crate::store::{Key, Order, Read, Span, Table};

/// Which page of a list.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// At most how many items; brought into 1 to 1000.
    pub limit: usize,
    /// [`Page::next_cursor`] of the page before; the first page if none.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 50, cursor: None }
    }
}

impl PageRequest {
    /// The part of `span` that has not been shown yet.
    pub(super) fn rest<K: Key>(
        &self,
        span: Span<K>,
        order: Order,
        key: impl FnOnce(&str) -> Option<K>,
    ) -> Result<Span<K>, Error> {
        let Some(cursor) = &self.cursor else { return Ok(span) };
        let key = key(cursor).ok_or_else(|| Error::invalid("cursor", "is not one that a list has returned"))?;
        Ok(match order {
            Order::Ascending => span.after(&key),
            Order::Descending => span.before(&key),
        })
    }

    /// Reads records until the page is full; `keep` makes an item of those that belong to the list.
    pub(super) fn fill<K, V, T>(
        &self,
        read: &impl Read,
        table: &Table<K, V>,
        span: &Span<K>,
        order: Order,
        mut keep: impl FnMut(V) -> Result<Option<T>, Error>,
    ) -> Result<Page<T>, Error>
    where
        K: Key + Display,
        V: Serialize + DeserializeOwned,
    {
        let limit = self.limit.clamp(1, 1000);
        let mut page = Page { items: Vec::new(), next_cursor: None };
        let mut last = None;
        read.visit(table, span, order, |key, value| {
            let Some(item) = keep(value)? else { return Ok(ControlFlow::Continue(())) };
            if page.items.len() == limit {
                page.next_cursor = last.take();
                return Ok(ControlFlow::Break(()));
            }
            page.items.push(item);
            last = Some(key.to_string());
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        Ok(page)
    }
}
