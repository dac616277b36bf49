//! The deliveries that a process has under way: some at once, few of them to one host, so that a receiver that is slow or
//! gone holds up nobody's reports but its own.

use std::collections::HashMap;

use futures_util::{
    future::{BoxFuture, FutureExt, pending},
    stream::{FuturesUnordered, StreamExt},
};

use super::{Webhooks, host_of};
use crate::{
    model::Delivery,
    service::{ServiceError, records, told::Told},
    store::{Cursor, Doc, ListQuery, StoreError},
};

/// How many are under way at once.
const AT_ONCE: usize = 20;
/// How many of them go to one host.
const AT_ONCE_PER_HOST: usize = 2;
/// How many are read at once, and how often in a row. What stands behind them is looked at the next time.
const PAGE: usize = 100;
const PAGES: usize = 5;

/// What a process delivers. Whoever drops it leaves what is under way to others, a minute later.
pub struct Round {
    webhooks: Webhooks,
    flying: FuturesUnordered<BoxFuture<'static, (String, Result<(), StoreError>)>>,
    hosts: HashMap<String, usize>,
    /// Where to go on looking: many reports to one host must not hide the others.
    after: Option<Cursor>,
    unreadable: Told,
}

impl Round {
    pub(super) fn new(webhooks: Webhooks) -> Self {
        let (flying, hosts) = (FuturesUnordered::new(), HashMap::new());
        Self { webhooks, flying, hosts, after: None, unreadable: Told::default() }
    }

    /// Begins what is due, as far as there is room. Who cannot sign takes nothing: others may be able to.
    pub async fn begin(&mut self) -> Result<(), ServiceError> {
        if self.webhooks.base.webhooks.secret.is_none() {
            return Ok(());
        }
        for _ in 0..PAGES {
            if self.flying.len() >= AT_ONCE {
                return Ok(());
            }
            let query = ListQuery::newest(records::DELIVERY, PAGE).index(records::deliveries_due());
            let page = self.webhooks.base.store.list(&query.after(self.after.take())).await?;
            let now = self.webhooks.base.clock.now();
            for doc in &page.docs {
                let Some(delivery) = self.read(doc)? else { continue };
                if delivery.due_at.is_none_or(|due| due > now) {
                    // The rest is due later still.
                    return Ok(());
                }
                if self.flying.len() >= AT_ONCE {
                    return Ok(());
                }
                let host = host_of(&delivery.url);
                if self.hosts.get(&host).is_some_and(|under_way| *under_way >= AT_ONCE_PER_HOST) {
                    continue;
                }
                if let Some(claimed) = self.webhooks.claim(delivery, doc).await? {
                    *self.hosts.entry(host.clone()).or_default() += 1;
                    let webhooks = self.webhooks.clone();
                    self.flying.push(async move { (host, webhooks.deliver(claimed).await) }.boxed());
                }
            }
            match page.next {
                Some(next) => self.after = Some(next),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Waits until one of them has ended: for ever, if none is under way.
    pub async fn ended(&mut self) -> Result<(), StoreError> {
        let Some((host, outcome)) = self.flying.next().await else { return pending().await };
        if let Some(under_way) = self.hosts.get_mut(&host) {
            *under_way -= 1;
            if *under_way == 0 {
                self.hosts.remove(&host);
            }
        }
        outcome
    }

    /// Whether any is under way.
    pub fn is_idle(&self) -> bool {
        self.flying.is_empty()
    }

    /// Nothing where it cannot be read, which ends no round.
    fn read(&self, doc: &Doc) -> Result<Option<Delivery>, ServiceError> {
        match doc.parse() {
            Ok(delivery) => Ok(Some(delivery)),
            Err(error) => self.unreadable.passed_over(&doc.key.to_string(), error.into()).map(|()| None),
        }
    }
}
